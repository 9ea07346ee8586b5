//! Runs the real program on a database that it drives directly, and reads what it reports.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A wait that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// A state directory and the arguments that all starts have in common.
pub(crate) struct Direct {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
}

/// How a start ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) report: Value,
}

#[allow(dead_code, reason = "every test program uses its part of it")]
impl Direct {
    /// Returns a run of these words, such as `bank --seconds 2`.
    pub(crate) fn new(words: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("soakd-direct").tempdir().unwrap();
        let mut args: Vec<String> = ["run"].into_iter().chain(words.split(' ')).map(str::to_owned).collect();
        args.extend(["--plain".into(), "--state-dir".into(), dir.path().join("state").display().to_string()]);
        Self { dir, args, env: Vec::new() }
    }

    pub(crate) fn with(mut self, words: &[&str]) -> Self {
        self.args.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Starts it, with its output in a file.
    pub(crate) fn start(&self) -> Child {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        Command::new(env!("CARGO_BIN_EXE_soakd"))
            .args(&self.args)
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .env_remove("SOAKD_STATE_DIR")
            .env_remove("SOAKD_CONFIG")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("output.log")
    }

    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Waits for the end of a start.
    pub(crate) fn end(&self, mut child: Child) -> Ended {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > until {
                child.kill().unwrap();
                panic!("soakd {:?} did not end in time:\n{}", self.args, self.output());
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        Ended { code: status.code(), out: self.output(), report: newest_report(&self.state()) }
    }

    pub(crate) fn run(&self) -> Ended {
        self.end(self.start())
    }

    /// Waits until the journal of the load has grown to this many operations of a lane.
    pub(crate) fn await_operations(&self, lane: &str, wanted: usize) {
        let until = Instant::now() + PATIENCE;
        let needle = format!("{{\"lane\":\"{lane}\"");
        loop {
            let found: usize = journals(&self.state()).iter().map(|text| text.matches(&needle).count()).sum();
            if found >= wanted {
                return;
            }
            assert!(Instant::now() < until, "{found} of {wanted} operations of {lane}:\n{}", self.output());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    /// Waits until an operation has ended without anybody knowing how.
    pub(crate) fn await_outage(&self) {
        let until = Instant::now() + PATIENCE;
        while !journals(&self.state())
            .iter()
            .any(|text| text.contains("\"indeterminate\"") || text.contains("\"refused\""))
        {
            assert!(Instant::now() < until, "no operation met the outage:\n{}", self.output());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Returns the texts of all journals below a state directory.
fn journals(state: &Path) -> Vec<String> {
    let runs = std::fs::read_dir(state.join("runs")).into_iter().flatten().flatten();
    let files = runs.flat_map(|run| std::fs::read_dir(run.path().join("journal")).into_iter().flatten().flatten());
    let logs = files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "log"));
    logs.filter_map(|path| std::fs::read(path).ok()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

fn newest_report(state: &Path) -> Value {
    let runs = std::fs::read_dir(state.join("reports")).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = runs.map(|run| run.path().join("report.json")).filter(|path| path.exists()).collect();
    paths.sort();
    let text = paths.last().and_then(|path| std::fs::read(path).ok());
    text.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap())
}

#[allow(dead_code, reason = "every test program uses its part of it")]
impl Ended {
    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.out);
        self
    }

    /// Returns the check of this name in the last cycle.
    pub(crate) fn check(&self, name: &str) -> &Value {
        let cycle = self.report["cycles"].as_array().and_then(|cycles| cycles.last()).unwrap_or(&Value::Null);
        let checks = cycle["checks"].as_array().map_or(&[][..], Vec::as_slice);
        checks.iter().find(|c| c["check"] == name).unwrap_or_else(|| panic!("no check {name}:\n{}", self.out))
    }

    pub(crate) fn evidence(&self, name: &str) -> String {
        let lines = self.check(name)["evidence"].as_array().map_or(&[][..], Vec::as_slice);
        lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn lane(&self, lane: &str) -> &Value {
        &self.report["lanes"][lane]
    }

    /// Returns how many errors nobody expected.
    pub(crate) fn unexpected(&self) -> u64 {
        let lanes = self.report["lanes"].as_object().expect("lanes in the report");
        let tables = lanes.values().filter_map(|lane| lane["unexpected"].as_object());
        tables.flat_map(|table| table.values()).filter_map(Value::as_u64).sum()
    }
}
