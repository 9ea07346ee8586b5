//! A machine in distress: a disk that fills up, and parts that freeze.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;
#[path = "support/outside.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod outside;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use daemon::{Daemon, PATIENCE, children, configuration, ended, run_command, send, small, soakd};
use outside::Systemd;
use rustix::process::Signal;
use serde_json::Value;

const WATCHDOG: Duration = Duration::from_secs(2);

/// A small file system of its own, gone when it is dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// Mounts it; `None` where that is not permitted.
    fn mount(at: &'a Path, size: &str) -> Option<Self> {
        std::fs::create_dir(at).expect("a directory");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // A test that has failed may have left somebody there.
        let _ = Command::new("umount").args(["--lazy"]).arg(self.0).status();
    }
}

/// Waits until the daemon's status is as wanted.
fn wait_for(state: &Path, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let said = ended(soakd(&["status", "--format", "json", "--state-dir"]).arg(state));
        let now: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
        if said.code == Some(0) && wanted(&now) {
            return now;
        }
        assert!(Instant::now() < until, "never {what}: {said:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_full_disk_pauses_a_run_and_harms_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let Some(_disk) = SmallDisk::mount(&state, "size=160m") else {
        eprintln!("\n*** SKIPPED: the test of a full disk: a file system can only be mounted as root\n");
        return;
    };
    let limits = "[limits]\ndisk_warn = \"60MiB\"\ndisk_pause = \"50MiB\"\nevery = \"100ms\"\n";
    let settings = format!("[run]\nseed = 8\ncycles = 2\n{}", small("lockstep", (40, 200, 2), limits));
    let config = configuration(dir.path(), &settings);
    let mut daemon = Daemon::start(&mut run_command(&config, &state, &[]));
    daemon.line("cycle 1: load");
    wait_for(&state, "running", |now| now["state"] == "running");
    let filler = state.join("filler");
    let free = rustix::fs::statvfs(&state).map(|stat| stat.f_bavail * stat.f_frsize).expect("its free space");
    let size = usize::try_from(free.saturating_sub(30 << 20)).expect("a size");
    std::fs::write(&filler, vec![1; size]).expect("there is room for it");
    let paused = wait_for(&state, "paused", |now| now["state"] == "paused");
    assert!(
        paused["paused_because"][0].as_str().is_some_and(|why| why.contains("limits.disk_pause is 50MiB")),
        "{paused}"
    );
    std::fs::remove_file(&filler).expect("it is there");
    wait_for(&state, "running again", |now| now["state"] == "running");
    let end = daemon.end();
    assert_eq!(end.code, Some(0), "{end:?}");
    assert_eq!(daemon::report(&state)["run"]["verdict"], "pass");
    let said = ended(soakd(&["incidents", "--all", "--format", "json", "--state-dir"]).arg(&state));
    let incidents: Value = serde_json::from_str(&said.stdout).expect("incidents");
    let warned = daemon::list(&incidents, "incidents").iter().any(|incident| {
        incident["severity"] == "warning" && incident["title"].as_str().is_some_and(|title| title.contains("disk"))
    });
    assert!(warned, "{incidents:#}");
}

/// Starts a run as a service and waits until it is in its load.
fn service(dir: &Path, systemd: &Systemd, more: &str) -> Daemon {
    let settings =
        format!("[run]\nseed = 8\ncycles = 1\ndatabases_per_worker = 1\n{}", small("lockstep", (40, 200, 2), more));
    let config = configuration(dir, &settings);
    let mut command = run_command(&config, &dir.join("state"), &[]);
    let mut daemon = Daemon::start(systemd.service(&mut command, WATCHDOG));
    daemon.line("cycle 1: load");
    systemd.line(0, "WATCHDOG=1");
    daemon
}

#[test]
fn a_daemon_whose_parts_all_freeze_does_not_feed_the_watchdog() {
    let dir = tempfile::tempdir().expect("a directory");
    let systemd = Systemd::start(dir.path());
    let daemon = service(dir.path(), &systemd, "[timeouts]\nstep = \"1h\"\n");
    // systemd waits for as long as the daemon may wait for a step, and then for the watchdog's own time.
    systemd.line(0, &format!("WATCHDOG_USEC={}", (Duration::from_secs(3600) + WATCHDOG).as_micros()));
    let parts = children(daemon.pid());
    assert!(parts.len() >= 3, "{parts:?}");
    parts.iter().for_each(|part| send(part.pid, Signal::STOP));
    // What was under way when they froze may be told once more.
    std::thread::sleep(WATCHDOG);
    let (fed, before) = (systemd.count("WATCHDOG=1"), systemd.heard().len());
    std::thread::sleep(WATCHDOG * 2);
    assert_eq!(systemd.count("WATCHDOG=1"), fed, "nothing was done: {:#?}", systemd.heard());
    parts.iter().for_each(|part| send(part.pid, Signal::CONT));
    systemd.line(before, "WATCHDOG=1");
    let end = daemon.end();
    assert_eq!(end.code, Some(0), "{end:?}");
}

#[test]
fn a_worker_that_freezes_is_replaced_and_the_watchdog_is_fed_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let systemd = Systemd::start(dir.path());
    let daemon = service(
        dir.path(),
        &systemd,
        "[timeouts]\nstep = \"2s\"\nrequest = \"1s\"\nconnect = \"1s\"\nprobe = \"1s\"\n",
    );
    let holds = |part: &daemon::Process| part.databases().iter().any(|name| name == "db1.sqlite");
    let worker = children(daemon.pid()).into_iter().find(holds).expect("the worker of the first database");
    send(worker.pid, Signal::STOP);
    daemon::all_gone(std::slice::from_ref(&worker));
    let before = systemd.heard().len();
    systemd.line(before, "WATCHDOG=1");
    let end = daemon.end();
    let report = daemon::report(&dir.path().join("state"));
    assert_eq!(report["cycles_done"], 1, "{}{report:#}", end.stderr);
    assert_eq!(systemd.count("STOPPING=1"), 1);
}
