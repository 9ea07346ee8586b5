//! The real daemon as a child process: its lines as events, its children as `/proc` knows them, its end and its report.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A wait for an event that takes longer than this has failed.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Writes a configuration file into a directory and returns its path.
pub fn configuration(dir: &Path, text: &str) -> PathBuf {
    let file = dir.join("soakd.toml");
    std::fs::write(&file, text).expect("a configuration");
    file
}

/// Returns the settings of a small run of `databases` databases on the embedded target.
pub fn small(pace: &str, (rows, iterations, databases): (u32, u32, u32), more: &str) -> String {
    format!(
        "[workload.sync]\nscale = \"custom\"\nrows = {rows}\niterations = {iterations}\ndatabases = {databases}\n\
         pace = \"{pace}\"\n[log]\nlevel = \"warn\"\nrepeats = \"0s\"\n{more}"
    )
}

/// Returns the command line of `soakd run`.
pub fn run_command(config: &Path, state: &Path, more: &[&str]) -> Command {
    let mut command = soakd(&["run", "--plain", "--config"]);
    command.arg(config).arg("--state-dir").arg(state).args(more);
    command
}

/// Returns the program with arguments and without anything that the environment might set.
pub fn soakd(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soakd"));
    command.args(args).env_remove("SOAKD_CONFIG").env_remove("SOAKD_STATE_DIR").env_remove("RUST_LOG");
    command
}

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a program to its end.
pub fn ended(command: &mut Command) -> Ended {
    Daemon::start(command).end()
}

/// A running daemon. It is killed when it is dropped.
pub struct Daemon {
    child: Child,
    lines: Receiver<(bool, String)>,
    started: Instant,
    /// Time from its start to the first phase of a cycle.
    pub first_phase: Option<Duration>,
    /// Everything that it said so far: true marks lines of standard error.
    pub said: Vec<(bool, String)>,
}

impl Daemon {
    pub fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the daemon starts");
        let (sender, lines) = channel();
        pass_on(child.stdout.take().expect("its output"), false, sender.clone());
        pass_on(child.stderr.take().expect("its errors"), true, sender);
        Self { child, lines, started: Instant::now(), first_phase: None, said: Vec::new() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that holds one of the texts; `None` if the daemon has ended without it.
    pub fn line_of(&mut self, texts: &[&str]) -> Option<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.next_line(until) {
                Ok(line) if texts.iter().any(|text| line.contains(text)) => return Some(line),
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("none of {texts:?} within {PATIENCE:?}:\n{}", self.all()),
            }
        }
    }

    /// Waits for a line that holds the text; the daemon must not end before.
    pub fn line(&mut self, text: &str) -> String {
        match self.line_of(&[text]) {
            Some(line) => line,
            None => panic!("it ended without {text:?}:\n{}", self.all()),
        }
    }

    /// Takes in lines until a moment is there; false if the daemon has ended before.
    pub fn lives_for(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            match self.next_line(until) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn next_line(&mut self, until: Instant) -> Result<String, RecvTimeoutError> {
        let (error, line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()))?;
        if error && line.starts_with("cycle ") {
            self.first_phase.get_or_insert_with(|| self.started.elapsed());
        }
        self.said.push((error, line.clone()));
        Ok(line)
    }

    /// Returns all that it said, for messages.
    pub fn all(&self) -> String {
        self.said.iter().map(|(_, line)| format!("{line}\n")).collect()
    }

    /// Returns how many lines so far hold the text.
    pub fn count(&self, text: &str) -> usize {
        self.said.iter().filter(|(_, line)| line.contains(text)).count()
    }

    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Kills the daemon with SIGKILL and waits until neither it nor any of its children is there.
    pub fn kill(mut self) {
        let children = children(self.pid());
        self.signal(Signal::KILL);
        self.child.wait().expect("its end");
        all_gone(&children);
    }

    /// Waits for its end and for that of its children.
    pub fn end(self) -> Ended {
        self.end_within(PATIENCE)
    }

    pub fn end_within(mut self, time: Duration) -> Ended {
        let until = Instant::now() + time;
        loop {
            match self.next_line(until) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it did not end within {time:?}:\n{}", self.all()),
            }
        }
        let status = self.child.wait().expect("its end");
        let of = |error| self.said.iter().filter(|(e, _)| *e == error).map(|(_, line)| format!("{line}\n")).collect();
        Ended { code: status.code(), signal: status.signal(), stdout: of(false), stderr: of(true) }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pass_on(stream: impl Read + Send + 'static, error: bool, lines: Sender<(bool, String)>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            bytes.clear();
            if lines.send((error, line)).is_err() {
                return;
            }
        }
    });
}

/// Sends a signal to a process that a test started, or that a daemon of it started.
pub fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process id")).expect("a process id");
    // A process that has ended needs no signal.
    let _ = kill_process(pid, signal);
}

/// A process, told apart from a later one with the same number by its start time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    pub born: u64,
    /// The subcommand that it runs: `worker` or `target`.
    pub part: String,
}

impl Process {
    /// Returns true while it is there and not a zombie.
    pub fn alive(&self) -> bool {
        stat(self.pid).is_some_and(|(_, state, born)| born == self.born && state != 'Z')
    }

    /// Returns the file names of the databases that it holds open.
    pub fn databases(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(format!("/proc/{}/fd", self.pid)) else { return Vec::new() };
        let links = entries.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
        links.filter_map(|to| to.file_name()?.to_str().map(str::to_owned)).filter(|f| f.ends_with(".sqlite")).collect()
    }
}

/// Returns the living children of a process.
pub fn children(parent: u32) -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let child = |pid: u32| {
        let (ppid, state, born) = stat(pid)?;
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let part = command.split(|b| *b == 0).nth(1).map(|part| String::from_utf8_lossy(part).into_owned());
        (ppid == parent && state != 'Z').then(|| Process { pid, born, part: part.unwrap_or_default() })
    };
    pids.filter_map(child).collect()
}

/// Returns parent, state and start time of a process.
fn stat(pid: u32) -> Option<(u32, char, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    Some((fields.get(1)?.parse().ok()?, fields.first()?.chars().next()?, fields.get(19)?.parse().ok()?))
}

/// Waits until all of the processes are gone.
pub fn all_gone(processes: &[Process]) {
    let until = Instant::now() + PATIENCE;
    while let Some(left) = processes.iter().find(|process| process.alive()) {
        assert!(Instant::now() < until, "{left:?} outlived its daemon");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Returns the JSON report of the newest run.
pub fn report(state: &Path) -> Value {
    let ended = ended(soakd(&["report", "--format", "json", "--state-dir"]).arg(state));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).expect("a report")
}

/// Returns what a run was planned to do and did: equal for any two runs of the same plan, however they were disturbed.
pub fn planned(report: &Value) -> Value {
    let pick = |from: &Value, names: &[&str]| -> Value {
        names.iter().map(|name| ((*name).to_owned(), from[*name].clone())).collect::<serde_json::Map<_, _>>().into()
    };
    let counters = ["steps", "steps_failed", "steps_refused", "crud_ops", "sync_ops"];
    let databases: Vec<Value> = list(report, "databases").iter().map(|db| pick(&db["counters"], &counters)).collect();
    let cycle = ["cycle", "steps", "steps_planned", "verdict"];
    serde_json::json!({
        "totals": pick(&report["totals"], &counters),
        "databases": databases,
        "cycles_done": report["cycles_done"],
        "cycles": list(report, "cycles").iter().map(|c| pick(c, &cycle)).collect::<Vec<_>>(),
        "verdict": report["run"]["verdict"],
    })
}

/// Returns what two runs of one seed in lockstep have in common beyond their plan: every row, and the errors.
pub fn exact(report: &Value) -> Value {
    let pick = |from: &Value, names: &[&str]| -> Vec<Value> { names.iter().map(|name| from[*name].clone()).collect() };
    let counters = ["rows_inserted", "rows_updated", "rows_deleted", "errors"];
    let databases =
        list(report, "databases").iter().map(|db| (pick(&db["counters"], &counters), db["rows_final"].clone()));
    serde_json::json!({
        "planned": planned(report),
        "totals": pick(&report["totals"], &counters),
        "databases": databases.collect::<Vec<_>>(),
        "cycles": list(report, "cycles").iter().map(|c| pick(c, &["content", "rows_final", "errors"])).collect::<Vec<_>>(),
    })
}

/// Returns a list within a report.
pub fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}
