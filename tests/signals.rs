//! Stopping and going on: signals in the middle of a step, a second signal, parts that hang, changed settings, and what the
//! reports say while a daemon runs and afterwards.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;

use std::path::Path;
use std::time::Duration;

use daemon::{Daemon, children, configuration, ended, exact, list, report, run_command, send, small, soakd};
use rustix::process::Signal;
use serde_json::Value;

/// A stop in good order may take this long.
const STOP_MAX: Duration = Duration::from_secs(30);
const GOES_ON: &str = "the next `soakd run` goes on from here";

/// Returns settings of a run in lockstep that takes some seconds.
fn settings(cycles: u32, rows: u32) -> String {
    format!("[run]\nseed = 8\ncycles = {cycles}\ndatabases_per_worker = 1\n{}", small("lockstep", (rows, 30, 2), ""))
}

/// Starts a run and waits until it is in the middle of its first load.
fn mid_load(config: &Path, state: &Path) -> Daemon {
    let mut daemon = Daemon::start(&mut run_command(config, state, &[]));
    daemon.line("cycle 1: load");
    assert!(daemon.lives_for(Duration::from_millis(100)));
    daemon
}

/// Runs to the end and returns the report.
fn finished(config: &Path, state: &Path) -> Value {
    let ended = ended(&mut run_command(config, state, &[]));
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    report(state)
}

/// Freezes one worker of the load, so that its step does not end.
fn freeze(daemon: &Daemon) {
    let first = |part: &daemon::Process| part.databases().iter().any(|name| name == "db1.sqlite");
    let worker = children(daemon.pid()).into_iter().find(first).expect("the worker of the first database");
    send(worker.pid, Signal::STOP);
}

/// Returns the runs that the state knows, the newest first.
fn runs(state: &Path) -> Vec<Value> {
    let ended = ended(soakd(&["runs", "--format", "json", "--state-dir"]).arg(state));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let runs: Value = serde_json::from_str(&ended.stdout).expect("a list of runs");
    list(&runs, "runs").to_vec()
}

#[test]
fn asked_to_stop_it_ends_after_the_step_and_the_next_start_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = configuration(dir.path(), &settings(2, 40));
    let expected = finished(&config, &dir.path().join("calm"));
    for (name, signal) in [("term", Signal::TERM), ("int", Signal::INT)] {
        let state = dir.path().join(name);
        let daemon = mid_load(&config, &state);
        let parts = children(daemon.pid());
        // As a service's processes are stopped, or a terminal's: everybody gets the signal.
        parts.iter().for_each(|part| send(part.pid, signal));
        daemon.signal(signal);
        let stopped = daemon.end_within(STOP_MAX);
        assert_eq!(stopped.code, Some(2), "{}{}", stopped.stdout, stopped.stderr);
        assert!(stopped.stdout.contains(GOES_ON) && stopped.stderr.contains(GOES_ON), "{stopped:?}");
        daemon::all_gone(&parts);
        let between = report(&state);
        assert_eq!(between["run"]["verdict"], Value::Null);
        assert_eq!(between["run"]["phase"], "load");
        let steps = between["totals"]["steps"].as_u64().unwrap_or_default();
        assert!(steps > 0 && steps < 1080, "{steps} steps are not in the middle");

        let mut daemon = Daemon::start(&mut run_command(&config, &state, &[]));
        let line = daemon.line(" goes on in ");
        assert!(line.contains("cycle 1, phase load"), "{line}");
        let ended = daemon.end();
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        let after = report(&state);
        assert_eq!(exact(&after), exact(&expected), "{name}");
        assert!(list(&after, "epochs").iter().all(|epoch| epoch["clean_end"] == true), "{after:#}");
    }
}

#[test]
fn neither_a_part_that_hangs_nor_impatience_loses_anything() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = configuration(dir.path(), &settings(1, 40));
    let expected = finished(&config, &dir.path().join("calm"));
    for impatient in [false, true] {
        let state = dir.path().join(format!("{impatient}"));
        let mut daemon = mid_load(&config, &state);
        let parts = children(daemon.pid());
        freeze(&daemon);
        daemon.signal(Signal::TERM);
        daemon.line("a second signal stops at once");
        if impatient {
            daemon.signal(Signal::INT);
        }
        let stopped = daemon.end_within(STOP_MAX);
        assert_eq!(stopped.code, Some(2), "{}{}", stopped.stdout, stopped.stderr);
        assert_ne!(stopped.stderr.contains(GOES_ON), impatient, "{stopped:?}");
        daemon::all_gone(&parts);
        assert_eq!(exact(&finished(&config, &state)), exact(&expected), "impatient: {impatient}");
    }
}

#[test]
fn changed_settings_are_refused_by_name_unless_a_new_run_is_wanted() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let config = configuration(dir.path(), &settings(1, 40));
    let daemon = mid_load(&config, &state);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end_within(STOP_MAX).code, Some(2));
    let old = runs(&state);
    let before = report(&state);

    let more = "[verify]\nisolation = false\n";
    let config = configuration(dir.path(), &format!("{}{more}", settings(1, 41)));
    let refused = ended(&mut run_command(&config, &state, &[]));
    assert_eq!(refused.code, Some(64), "{refused:?}");
    for part in [
        "workload.sync.rows: was 40, is now 41",
        "verify.isolation: was true, is now false",
        "undo the change to go on with it, or start anew with --fresh",
    ] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
    assert_eq!(refused.stderr.matches(" was ").count(), 3, "only what differs is listed: {}", refused.stderr);
    assert_eq!((&runs(&state), &report(&state)["epochs"]), (&old, &before["epochs"]), "a refusal changes nothing");
    assert_eq!(exact(&report(&state)), exact(&before));

    // More cycles, another name and another log level are no other run.
    let longer =
        settings(1, 40).replace("seed = 8\ncycles = 1", "name = \"longer\"\ncycles = 2").replace("warn", "error");
    let config = configuration(dir.path(), &longer);
    let resumed = ended(&mut run_command(&config, &state, &[]));
    assert_eq!(resumed.code, Some(64), "the seed was taken away: {resumed:?}");
    let config = configuration(dir.path(), &longer.replace("[run]\n", "[run]\nseed = 8\n"));
    let resumed = ended(&mut run_command(&config, &state, &[]));
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    let all = runs(&state);
    assert_eq!((all.len(), &all[0]["run"]), (1, &old[0]["run"]));
    assert_eq!(report(&state)["cycles_done"], 2);
}

#[test]
fn a_fresh_run_marks_the_unfinished_one_as_aborted() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let config = configuration(dir.path(), &settings(1, 40));
    let daemon = mid_load(&config, &state);
    daemon.kill();
    let config = configuration(dir.path(), &settings(1, 30));
    let fresh = ended(&mut run_command(&config, &state, &["--fresh"]));
    assert_eq!(fresh.code, Some(0), "{fresh:?}");
    let all = runs(&state);
    assert_eq!(all.len(), 2);
    assert_eq!((&all[0]["verdict"], &all[1]["verdict"]), (&Value::from("pass"), &Value::from("aborted")));
    assert!(all[1]["ended_because"].as_str().is_some_and(|why| why.contains("--fresh")), "{all:#?}");
    let aborted = ended(soakd(&["report"]).arg(all[1]["run"].as_str().expect("an id")).arg("--state-dir").arg(&state));
    assert_eq!(aborted.code, Some(0), "{aborted:?}");
    assert!(aborted.stdout.starts_with("ABORTED"), "{aborted:?}");
    // A finished run is not taken up: the next start is a new one.
    assert_eq!(ended(&mut run_command(&config, &state, &[])).code, Some(0));
    assert_eq!(runs(&state).len(), 3);
}

#[test]
fn reports_answer_while_a_daemon_runs_and_afterwards() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let paused = settings(2, 20).replace("[run]\n", "[run]\npause = \"1h\"\n");
    let config = configuration(dir.path(), &paused);
    let mut daemon = mid_load(&config, &state);
    for command in ["report", "runs"] {
        let early = ended(soakd(&[command, "--state-dir"]).arg(&state));
        assert_eq!((early.code, early.stderr.as_str()), (Some(0), ""), "{early:?}");
        assert!(early.stdout.contains("soak") && !early.stdout.contains("PASS"), "{early:?}");
    }
    daemon.line("cycle 1: PASS");
    let written = state.join("reports/runs.json");
    let until = std::time::Instant::now() + daemon::PATIENCE;
    while !written.exists() {
        assert!(std::time::Instant::now() < until, "no report after the first checkpoint");
        assert!(daemon.lives_for(Duration::from_millis(5)));
    }
    for (command, holds) in [("report", "Verification of cycle 1"), ("runs", "Started (UTC)")] {
        let there = ended(soakd(&[command, "--state-dir"]).arg(&state));
        assert_eq!(there.code, Some(0), "{there:?}");
        assert!(there.stdout.contains(holds) && there.stderr.is_empty(), "{there:?}");
    }
    daemon.signal(Signal::INT);
    assert_eq!(daemon.end_within(STOP_MAX).code, Some(2));
    let after = ended(soakd(&["report", "--state-dir"]).arg(&state));
    assert_eq!((after.code, after.stderr.as_str()), (Some(0), ""), "{after:?}");
    assert_eq!(runs(&state).len(), 1);
}
