//! A disk that fills up beside a running daemon: the load waits while space is short and goes on when there is some again.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use daemon::{Daemon, PATIENCE, configuration, ended, list, report, run_command, small, soakd};
use serde_json::Value;

/// Free space that the filled disk has: less than `limits.disk_pause`, and enough for what is written meanwhile.
const LEFT: u64 = 16 << 20;

/// A small disk of its own; unmounted when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a mount point");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=96m", "soakd-test"]).arg(at).output();
        mounted.is_ok_and(|done| done.status.success()).then(|| Self(at.to_owned()))
    }

    fn free(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.0).expect("its size");
        stat.f_bavail * stat.f_frsize
    }

    /// Fills it until little is left.
    fn fill(&self) {
        let mut filler = std::fs::File::create(self.0.join("filler")).expect("a file");
        while self.free() > LEFT {
            filler.write_all(&[1; 65_536]).expect("room");
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("the filler");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, should a process of a failed test still be there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn json(args: &[&str], state: &Path) -> Value {
    let said = ended(soakd(args).args(["--format", "json", "--state-dir"]).arg(state));
    serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

#[test]
fn a_disk_that_is_nearly_full_pauses_the_load_until_there_is_room() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let Some(disk) = SmallDisk::mount(&state) else {
        println!("\n*** SKIPPED: mounting a small disk is not permitted here; run it as root\n");
        return;
    };
    let limits = "[limits]\nevery = \"100ms\"\ndisk_warn = \"28MiB\"\ndisk_pause = \"24MiB\"\n";
    let text = format!("[run]\nseed = 8\ncycles = 1\n{}", small("lockstep", (20, 30, 2), limits));
    let config = configuration(dir.path(), &text);
    let mut daemon = Daemon::start(&mut run_command(&config, &state, &[]));
    daemon.line("cycle 1: load");
    disk.fill();
    let until = Instant::now() + PATIENCE;
    let paused = loop {
        let status = json(&["status"], &state);
        if status["state"] == "paused" {
            break status;
        }
        assert!(Instant::now() < until, "it never paused: {status:#}");
    };
    let because = paused["paused_because"][0].as_str().expect("a reason");
    assert!(because.contains("limits.disk_pause"), "{because}");
    assert_ne!(paused["run"]["phase"], "done");
    let open = json(&["incidents"], &state);
    assert!(list(&open, "incidents").iter().any(|one| one["severity"] == "warning"), "{open:#}");

    disk.make_room();
    let ended = daemon.end();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("PASS"), "{}", ended.stdout);
    let report = report(&state);
    assert_eq!((&report["cycles_done"], &report["totals"]["steps"]), (&1.into(), &540.into()));
    let all = json(&["incidents", "--all"], &state);
    let of_disk = |one: &Value| one.to_string().contains("disk");
    assert!(list(&all, "incidents").iter().all(|one| one["severity"] == "warning" && of_disk(one)), "{all:#}");
}
