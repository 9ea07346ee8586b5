//! Wrong settings, wrong files, no room, no rights: each has one message that says what failed, where, why and what next, the
//! right exit code, and leaves what is there as it is.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use daemon::{Daemon, Ended, configuration, ended, exact, report, run_command, small, soakd};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use redb::TableDefinition;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

const STATE_FILE: &str = "soakd.redb";

/// Returns settings of a short run.
fn short() -> String {
    format!("[run]\nseed = 6\ncycles = 1\ndatabases_per_worker = 2\n{}", small("lockstep", (20, 2, 2), ""))
}

/// Asserts that a command failed with this code and said one line that holds all the parts.
fn assert_refused(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "not one message: {ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "{part:?} is not said: {ended:?}");
    }
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}

/// Returns a state directory with a finished run.
fn finished_state(dir: &Path) -> PathBuf {
    let state = dir.join("state");
    let config = configuration(dir, &short());
    let done = ended(&mut run_command(&config, &state, &[]));
    assert_eq!(done.code, Some(0), "{done:?}");
    state
}

#[test]
fn all_that_is_wrong_with_a_configuration_is_said_at_once_with_lines() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = configuration(
        dir.path(),
        "[run]\ncycles = 0\nseed = -1\ncylces = 3\npause = \"soon\"\n[workload.sync]\nrls = \"yes\"\nscale = \"custom\"\n\
         rows = 99999999999999999999999\niterations = 0\ndatabases = 4000000\n[target.embedded]\nport = 70000\n[verify]\n\
         tolerate = [\"everything\"]\n[surprise]\n",
    );
    for command in ["run", "check"] {
        let refused = ended(soakd(&[command, "--config"]).arg(&config));
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(64), ""), "{refused:?}");
        let said: Vec<(u32, &str)> = refused.stderr.lines().map(|line| located(&config, line)).collect();
        let expected = [
            (2, "run.cycles"),
            (3, "run.seed"),
            (4, "run.cylces"),
            (5, "run.pause"),
            (7, "workload.sync.rls"),
            (9, "workload.sync.rows"),
            (10, "workload.sync.iterations"),
            (11, "workload.sync.databases"),
            (13, "target.embedded.port"),
            (15, "verify.tolerate"),
            (16, "surprise"),
        ];
        assert_eq!(said, expected, "{}", refused.stderr);
        assert!(refused.stderr.lines().all(|line| line.contains("allowed: ")), "{}", refused.stderr);
    }
    assert!(!dir.path().join("soakd-state").exists());
}

/// Splits `file:line: key: …` of a message.
fn located<'a>(config: &Path, line: &'a str) -> (u32, &'a str) {
    let rest = line.strip_prefix(&format!("{}:", config.display())).expect("the file first");
    let mut parts = rest.splitn(3, ": ");
    (parts.next().and_then(|no| no.parse().ok()).expect("a line number"), parts.next().expect("a key"))
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let none = dir.path().join("none.toml");
    for command in ["run", "check"] {
        let refused = ended(soakd(&[command, "--config"]).arg(&none));
        assert_refused(&refused, 64, &["none.toml", "No such file", "`soakd init` writes one"]);
    }
    assert_refused(&ended(soakd(&["run", "--config"]).arg(dir.path())), 64, &["Is a directory"]);
    let binary = dir.path().join("binary.toml");
    fs::write(&binary, [0, 159, 146, 150]).expect("a file");
    assert_refused(&ended(soakd(&["run", "--config"]).arg(&binary)), 64, &["binary.toml", "UTF-8"]);
}

#[test]
fn an_extension_that_cannot_be_one_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let settings = |more: &str| {
        format!(
            "[target.cloudsync]\naddress = \"http://127.0.0.1:9\"\ndatabase_id = \"db\"\napi_key = {{ env = \"SOAKD_NO_KEY\" }}\n\
             [workload.sync]\nrls = false\n[provider.extension]\npath = \"sync.so\"\n{more}"
        )
    };
    let config = configuration(dir.path(), &settings(""));
    let run = || ended(run_command(&config, &state, &[]).env_remove("SOAKD_NO_KEY"));
    assert_refused(&run(), 64, &["provider.extension", "sync.so", "No such file", "give the full path"]);
    fs::write(dir.path().join("sync.so"), "<html>not found</html>").expect("a file");
    assert_refused(&run(), 64, &["provider.extension", "sync.so is not an ELF shared library"]);
    fs::copy(env!("CARGO_BIN_EXE_soakd"), dir.path().join("sync.so")).expect("a copy");
    configuration(dir.path(), &settings(&format!("sha256 = \"{}\"\n", "0".repeat(64))));
    assert_refused(&run(), 64, &["provider.extension", "has sha256"]);
    assert!(!state.exists());
    configuration(dir.path(), &settings(""));
    assert_refused(&run(), 64, &["target.cloudsync.api_key", "SOAKD_NO_KEY"]);
}

#[test]
fn a_state_directory_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = configuration(dir.path(), &short());
    let file = dir.path().join("file");
    fs::write(&file, "mine").expect("a file");
    for state in [file.join("below"), file.clone()] {
        let path = state.display().to_string();
        assert_refused(&ended(&mut run_command(&config, &state, &[])), 69, &[&path, "directory", "--state-dir"]);
        for command in ["report", "runs"] {
            let none = ended(soakd(&[command, "--state-dir"]).arg(&state));
            assert_refused(&none, 2, &["there is no soakd state", &path, "--state-dir"]);
        }
    }
    assert_eq!(fs::read_to_string(&file).expect("the file"), "mine");
}

#[test]
fn usage_that_is_not_understood_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = configuration(dir.path(), &short());
    let state = dir.path().join("state");
    assert_refused(&ended(&mut run_command(&config, &state, &["--cycles", "0"])), 64, &["--cycles 0", "1 or more"]);
    assert!(!state.exists());
    for wrong in [
        &["run", "--fast"][..],
        &["run", "--cycles", "many"],
        &["run", "--cycles", "-1"],
        &["jump"],
        &["report", "--format", "pdf"],
        &[],
    ] {
        let refused = ended(&mut soakd(wrong));
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(64), ""), "{wrong:?}: {refused:?}");
        assert!(refused.stderr.contains("--help") || refused.stderr.contains("Usage: soakd"), "{refused:?}");
    }
    let planted = ended(&mut run_command(&config, &state, &["--plant", "lose"]));
    assert_refused(&planted, 64, &["--testing"]);
    assert!(!state.exists());
}

#[test]
fn every_command_explains_itself() {
    let top = ended(&mut soakd(&["--help"]));
    assert_eq!(top.code, Some(0), "{top:?}");
    for command in ["run", "check", "init", "report", "runs", "target"] {
        assert!(top.stdout.contains(&format!("\n  {command} ")), "{command} is not listed: {}", top.stdout);
        let help = ended(&mut soakd(&[command, "--help"]));
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""), "{help:?}");
        assert!(help.stdout.contains(&format!("Usage: soakd {command}")), "{help:?}");
    }
    assert_eq!(ended(&mut soakd(&["--version"])).code, Some(0));
}

#[test]
fn an_unknown_run_is_not_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = finished_state(dir.path());
    for unknown in ["ffff", "../..", ""] {
        let none = ended(soakd(&["report", "--state-dir"]).arg(&state).arg(unknown));
        if unknown.is_empty() {
            assert_eq!(none.code, Some(0), "the empty beginning means every run, and there is one: {none:?}");
        } else {
            assert_refused(&none, 2, &[unknown, "`soakd runs` lists those that are"]);
        }
    }
}

#[test]
fn two_daemons_do_not_share_a_state() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = configuration(dir.path(), &short().replace("cycles = 1", "cycles = 2\npause = \"1h\""));
    let state = dir.path().join("state");
    let mut first = Daemon::start(&mut run_command(&config, &state, &[]));
    first.line("cycle 1: ");
    let second = ended(&mut run_command(&config, &state, &["--fresh"]));
    assert_refused(&second, 69, &[STATE_FILE, "is in use: a soakd run holds it", "--state-dir"]);
    first.line("cycle 1: PASS");
    first.signal(rustix::process::Signal::TERM);
    assert_eq!(first.end().code, Some(2));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let config = configuration(dir.path(), &format!("{}[target.embedded]\nport = {port}\n", short()));
    let state = dir.path().join("state");
    let refused = ended(&mut run_command(&config, &state, &[]));
    let words = format!("port {port} (target.embedded.port)");
    assert_refused(&refused, 69, &[&words, "in use", "choose another port"]);
    drop(listener);
    let free = ended(&mut run_command(&config, &state, &[]));
    assert_eq!(free.code, Some(0), "{free:?}");
}

/// Asserts that every command refuses a state file in these words and leaves it as it is.
fn assert_left_alone(config: &Path, state: &Path, parts: &[&str]) {
    let file = state.join(STATE_FILE);
    let before = fs::read(&file).expect("the state file");
    for command in [run_command(config, state, &[]), run_command(config, state, &["--fresh"])].into_iter().chain(
        ["report", "runs"].map(|command| {
            let mut command = soakd(&[command, "--state-dir"]);
            command.arg(state);
            command
        }),
    ) {
        let mut command: Command = command;
        let refused = ended(&mut command);
        assert_refused(&refused, 70, parts);
        assert!(fs::read(&file).expect("the state file") == before, "{command:?} wrote into it");
    }
}

#[test]
fn a_state_file_of_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = finished_state(dir.path());
    let meta: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("meta");
    let db = redb::Database::open(state.join(STATE_FILE)).expect("the state file");
    let txn = db.begin_write().expect("a transaction");
    txn.open_table(meta).expect("the table").insert(b"format".as_slice(), b"7".as_slice()).expect("a number");
    txn.commit().expect("a commit");
    drop(db);
    let parts = [STATE_FILE, "has format 7", "knows formats up to 3", "use the newer soakd"];
    assert_left_alone(&dir.path().join("soakd.toml"), &state, &parts);
}

#[test]
fn a_damaged_state_file_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = finished_state(dir.path());
    let (config, file) = (dir.path().join("soakd.toml"), state.join(STATE_FILE));
    let good = fs::read(&file).expect("the state file");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let damaged = [STATE_FILE, "is damaged", "it was left as it is: move it away to start afresh"];

    let mut noise = vec![0; 100_000];
    rng.fill_bytes(&mut noise);
    fs::write(&file, &noise).expect("noise");
    assert_left_alone(&config, &state, &damaged);
    fs::write(&file, "[run]\ncycles = 3\n").expect("a text");
    assert_left_alone(&config, &state, &damaged);
    let mut flipped = good.clone();
    flipped[..9].iter_mut().for_each(|byte| *byte ^= 0xff);
    fs::write(&file, &flipped).expect("flipped bytes");
    assert_left_alone(&config, &state, &damaged);

    // Anywhere else it may hit what nobody reads; it must never be a panic or a hang.
    for _ in 0..40 {
        let mut flipped = good.clone();
        for _ in 0..rng.random_range(1..64) {
            let at = rng.random_range(9..flipped.len());
            flipped[at] ^= rng.random_range(1..=255u8);
        }
        fs::write(&file, &flipped).expect("flipped bytes");
        let seen = ended(soakd(&["report", "--state-dir"]).arg(&state));
        match seen.code {
            Some(0) => assert_eq!(seen.stderr, ""),
            Some(2) => assert_refused(&seen, 2, &[]),
            _ => assert_refused(&seen, 70, &[STATE_FILE]),
        }
    }
    fs::write(&file, &good).expect("the state file");
    assert_eq!(report(&state)["run"]["verdict"], "pass");
}

/// Lets a run lose its room in the middle of a load, goes on with room, and compares with a run that always had it.
fn out_of_room(dir: &Path, words: &str, squeeze: impl FnOnce(&Daemon), make_room: impl FnOnce()) {
    let settings = small("lockstep", (3, 60, 6), "[limits]\ndisk_warn = \"0B\"\ndisk_pause = \"0B\"\n");
    let settings = format!("[run]\nseed = 7\ncycles = 1\ndatabases_per_worker = 8\n{settings}");
    let config = configuration(dir, &settings);
    let (calm, state) = (dir.join("calm"), dir.join("state"));
    assert_eq!(ended(&mut run_command(&config, &calm, &[])).code, Some(0));
    let mut daemon = Daemon::start(&mut run_command(&config, &state, &[]));
    daemon.line("cycle 1: load");
    squeeze(&daemon);
    let stopped = daemon.end();
    assert_eq!(stopped.code, Some(70), "{stopped:?}");
    let last = stopped.stderr.lines().last().unwrap_or_default();
    for part in ["soakd: ", STATE_FILE, words, "start soakd again: what was acknowledged is kept"] {
        assert!(last.contains(part), "{part:?} is not said: {stopped:?}");
    }
    assert!(!stopped.stderr.contains("panicked"), "{stopped:?}");
    make_room();
    let mut again = Daemon::start(&mut run_command(&config, &state, &[]));
    again.line(" goes on in cycle 1, phase ");
    let done = again.end();
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(exact(&report(&state)), exact(&report(&calm)));
}

#[test]
fn a_limit_on_file_sizes_ends_a_run_in_words_and_costs_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("state").join(STATE_FILE);
    // From now on no file of the daemon grows; its workers and its target are not concerned.
    let squeeze = |daemon: &Daemon| {
        let size = Some(fs::metadata(&file).expect("the state file").len());
        let pid = Pid::from_raw(i32::try_from(daemon.pid()).expect("a process id"));
        prlimit(pid, Resource::Fsize, Rlimit { current: size, maximum: size }).expect("a limit");
    };
    out_of_room(dir.path(), "limit on the size of files", squeeze, || {});
}

/// A small file system in memory; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).expect("a mount point");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "soakd-test"]).arg(at).output();
        mounted.is_ok_and(|done| done.status.success()).then(|| Self(at.to_owned()))
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut filler = fs::File::create(self.0.join("filler")).expect("a file");
        let block = [1; 4096];
        while filler.write_all(&block).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, should a process of a failed test still be there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_ends_a_run_in_words_and_costs_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let Some(disk) = SmallDisk::mount(&state) else {
        println!("skipped: mounting is not permitted here");
        return;
    };
    // Only the state file is on the small disk.
    for name in ["runs", "logs", "reports"] {
        let real = dir.path().join(name);
        fs::create_dir(&real).expect("a directory");
        std::os::unix::fs::symlink(&real, state.join(name)).expect("a link");
    }
    let make_room = || fs::remove_file(state.join("filler")).expect("the filler");
    out_of_room(dir.path(), "no space left", |_| disk.fill(), make_room);
}
