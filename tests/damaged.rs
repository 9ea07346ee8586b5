//! A local database that is damaged costs its cycle, and not the run of the others.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;

use daemon::{Daemon, configuration, ended, list, report, run_command, small};

#[test]
fn a_damaged_database_fails_its_cycle_and_the_others_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let settings =
        format!("[run]\nseed = 8\ncycles = 2\ndatabases_per_worker = 1\n{}", small("concurrent", (40, 3, 3), ""));
    let config = configuration(dir.path(), &settings);
    let mut first = Daemon::start(&mut run_command(&config, &state, &[]));
    first.line("cycle 2: load");
    first.kill();
    let run = std::fs::read_dir(state.join("runs")).expect("runs").next().expect("a run").expect("an entry").path();
    for suffix in ["", "-wal", "-shm"] {
        let file = run.join(format!("db2.sqlite{suffix}"));
        if file.exists() {
            std::fs::write(&file, "this is no database, and never was one. ".repeat(400)).expect("a damaged file");
        }
    }
    let second = ended(&mut run_command(&config, &state, &[]));
    assert_eq!(second.code, Some(1), "{}{}", second.stdout, second.stderr);
    let report = report(&state);
    assert_eq!(report["cycles_done"], 2);
    let findings = list(&report, "findings");
    let damaged = findings.iter().find(|f| f["first"]["kind"] == "corrupt");
    let message = damaged.expect("a finding")["first"]["message"].as_str().expect("a text").to_owned();
    assert!(message.contains("left down until the next cycle: DB2 is damaged and cannot be opened"), "{message}");
    for database in list(&report, "databases").iter().filter(|database| database["db"] != 2) {
        assert_eq!(database["counters"]["steps"], 54, "{database}");
    }
}
