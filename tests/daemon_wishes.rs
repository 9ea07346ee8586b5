//! A day in the daemon's life: what people ask of it while it works, and what a changed configuration does to it.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use daemon::{Daemon, Ended, PATIENCE, configuration, ended, list, report, run_command, small, soakd};
use rustix::process::Signal;
use serde_json::Value;

/// Looks of self-care over which a load that rests must stand still.
const LOOKS: usize = 5;
/// Looks after which a load is believed to rest: how far it is becomes known some moments later.
const REST: usize = 30;
/// Looks come often, so that they can be waited for.
const LOOKED_AFTER: &str = "[limits]\nevery = \"100ms\"\n";

/// Returns settings of a run in lockstep.
fn settings(run: &str, (rows, iterations): (u32, u32), more: &str) -> String {
    format!("[run]\nseed = 8\n{run}{}{LOOKED_AFTER}", small("lockstep", (rows, iterations, 2), more))
}

fn started(config: &Path, state: &Path) -> Daemon {
    Daemon::start(&mut run_command(config, state, &[]))
}

/// Runs a command for the daemon of a state directory.
fn tell(args: &[&str], state: &Path) -> Ended {
    ended(soakd(args).arg("--state-dir").arg(state))
}

/// Does it, and returns what the daemon answered.
fn obeyed(args: &[&str], state: &Path) -> String {
    let said = tell(args, state);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{args:?}: {said:?}");
    said.stdout
}

fn status(state: &Path) -> Value {
    serde_json::from_str(&obeyed(&["status", "--format", "json"], state)).expect("a status")
}

/// Waits for a status of this kind.
fn status_when(state: &Path, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let said = tell(&["status", "--format", "json"], state);
        let status: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
        if said.code == Some(0) && is(&status) {
            return status;
        }
        assert!(Instant::now() < until, "not {what}: {said:?}");
    }
}

/// Waits until the load rests and returns the steps that it has done; they must not become more.
fn steps_at_rest(state: &Path) -> u64 {
    let next =
        |seen: &Value| status_when(state, "looked at", |status| status["health"]["at_ms"] != seen["health"]["at_ms"]);
    let mut before = status_when(state, "paused", |status| status["state"] == "paused");
    // The step in work still ends, and it takes some looks until that shows.
    let mut same = 0;
    while same < REST {
        let now = next(&before);
        same = if now["run"]["steps_done"] == before["run"]["steps_done"] { same + 1 } else { 0 };
        before = now;
    }
    for _ in 0..LOOKS {
        let now = next(&before);
        assert_eq!(now["run"]["steps_done"], before["run"]["steps_done"], "a step was begun in a pause");
        before = now;
    }
    before["run"]["steps_done"].as_u64().expect("a number of steps")
}

fn passed(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn a_pause_holds_the_load_also_after_a_kill_and_everything_answers_meanwhile() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let config = configuration(dir.path(), &settings("cycles = 1\n", (20, 30), ""));
    let mut daemon = started(&config, &state);
    daemon.line("cycle 1: load");
    let now = status(&state);
    assert_eq!(
        (&now["state"], &now["run"]["cycle"], &now["pid"]),
        (&"running".into(), &1.into(), &daemon.pid().into())
    );
    assert!(obeyed(&["pause", "--reason", "a backup"], &state).contains("paused"));
    let steps = steps_at_rest(&state);
    assert!(steps < 540, "{steps} steps are not in the middle");
    assert!(obeyed(&["status"], &state).contains("State      paused: a backup\n"));
    daemon.kill();

    let daemon = started(&config, &state);
    let resumed = steps_at_rest(&state);
    assert!(resumed < 540 && status(&state)["paused_because"] == serde_json::json!(["a backup"]));
    // The state file is locked; the daemon answers for it.
    assert_eq!(obeyed(&["incidents"], &state), "No incident is open.\n");
    assert!(obeyed(&["runs"], &state).contains("soak"));
    assert_eq!(report(&state)["cycles_done"], 0);
    let mut events = Daemon::start(soakd(&["events", "--format", "json", "--state-dir"]).arg(&state));
    events.line("\"kind\":\"status\"");
    assert_eq!(obeyed(&["resume"], &state), "resumed\n");
    let cycle: Value = serde_json::from_str(&events.line("\"kind\":\"cycle\"")).expect("an event");
    assert_eq!(cycle["data"]["verdict"], "pass", "{cycle}");
    passed(&daemon.end());
    assert_eq!(events.end().code, Some(69), "the daemon has ended");
    assert_eq!(report(&state)["totals"]["steps"], 540);
}

#[test]
fn a_trigger_ends_the_pause_between_cycles_whenever_it_comes() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let config = configuration(dir.path(), &settings("cycles = 3\npause = \"1h\"\n", (10, 3), ""));
    let mut daemon = started(&config, &state);
    daemon.line("cycle 1: load");
    // Whether it is in the load or already in the pause: the next cycle does not wait.
    assert!(obeyed(&["trigger"], &state).contains("the next cycle begins"));
    daemon.line("cycle 2: load");
    daemon.line("cycle 2: PASS");
    obeyed(&["trigger"], &state);
    let refused = tell(&["trigger", "nightly"], &state);
    assert!(refused.code == Some(1) && refused.stderr.contains("nightly"), "{refused:?}");
    passed(&daemon.end());
    assert_eq!(report(&state)["cycles_done"], 3);
}

#[test]
fn it_stops_after_the_cycle_or_after_the_step_and_goes_on_later() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let config = configuration(dir.path(), &settings("cycles = 3\n", (20, 10), ""));
    let mut daemon = started(&config, &state);
    daemon.line("cycle 1: load");
    assert!(obeyed(&["stop"], &state).contains("after the cycle"));
    let stopped = daemon.end();
    assert_eq!(stopped.code, Some(2), "{stopped:?}");
    let between = report(&state);
    assert_eq!((&between["cycles_done"], &between["run"]["verdict"]), (&1.into(), &Value::Null));

    let mut daemon = started(&config, &state);
    daemon.line("cycle 2: load");
    assert!(obeyed(&["stop", "--now"], &state).contains("after the step"));
    assert_eq!(daemon.end().code, Some(2));
    assert_eq!(report(&state)["cycles_done"], 1, "the cycle in work was not finished");

    let mut daemon = started(&config, &state);
    daemon.line("goes on in cycle 2");
    obeyed(&["pause"], &state);
    steps_at_rest(&state);
    let answer = obeyed(&["stop"], &state);
    assert!(answer.contains("paused") && answer.contains("--now"), "a paused cycle has no end: {answer}");
    obeyed(&["stop", "--now"], &state);
    assert_eq!(daemon.end().code, Some(2));

    let daemon = started(&config, &state);
    status_when(&state, "paused", |status| status["state"] == "paused");
    obeyed(&["resume"], &state);
    passed(&daemon.end());
    assert_eq!(report(&state)["cycles_done"], 3);
}

#[test]
fn a_reload_takes_over_what_is_good_and_refuses_the_rest_by_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let config = configuration(dir.path(), &settings("cycles = 50\npause = \"1h\"\n", (20, 10), ""));
    let mut daemon = started(&config, &state);
    daemon.line("cycle 1: load");
    let second = ended(&mut run_command(&config, &state, &[]));
    assert_eq!((second.code, second.stderr.lines().count()), (Some(69), 1), "{second:?}");
    assert!(second.stderr.contains("another"), "{second:?}");

    for (text, reason) in [
        (settings("cycles = 0\n", (20, 10), ""), "run.cycles"),
        (settings("cycles = 50\npause = \"1h\"\n", (21, 10), ""), "workload.sync.rows cannot change from 20 to 21"),
        (settings("pause = \"1h\"\n", (20, 10), "[schedule.a]\ncron = \"@yearly\"\nrun.cycles = 1\n"), "restart soakd"),
    ] {
        configuration(dir.path(), &text);
        let refused = tell(&["reload"], &state);
        assert!(refused.code == Some(1) && refused.stderr.contains(reason), "{reason}: {refused:?}");
        let told = status(&state)["reload"].as_str().unwrap_or_default().to_owned();
        assert!(told.contains("the old one stays in force") && told.contains(reason), "{told}");
    }

    let hook = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let more = format!("[notify.webhook.ops]\naddress = \"http://{}/hook\"\n", hook.local_addr().expect("its address"));
    let text = settings("cycles = 2\npause = \"0s\"\n", (20, 10), &more).replace("\"warn\"", "\"info\"");
    configuration(dir.path(), &text);
    daemon.signal(Signal::HUP);
    let taken = |status: &Value| status["reload"].as_str().is_some_and(|said| said.contains("was reloaded"));
    let status = status_when(&state, "reloaded", taken);
    assert_eq!(status["state"], "running");
    // The summary at the end goes to the new recipient.
    let (mut connection, _) = hook.accept().expect("a connection");
    let mut said = [0; 4096];
    let length = connection.read(&mut said).expect("a request");
    assert!(said[..length].starts_with(b"POST /hook"), "{}", String::from_utf8_lossy(&said));
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").expect("an answer");
    drop(connection);
    let ended = daemon.end();
    passed(&ended);
    assert!(ended.stderr.contains("\"level\":\"info\""), "the level is another: {}", ended.stderr);
    assert_eq!(report(&state)["cycles_done"], 2);
    assert_eq!(report(&state)["run"]["scale"]["cycles_planned"], 2);
}

#[test]
fn schedules_are_triggered_kept_while_in_use_and_stopped_when_idle() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let schedule = |name: &str| format!("[schedule.{name}]\ncron = \"0 0 29 2 *\"\nrun.cycles = 1\n");
    let with = |names: &[&str]| {
        let schedules: String = names.iter().map(|name| schedule(name)).collect();
        configuration(dir.path(), &settings("", (20, 10), &schedules))
    };
    let config = with(&["a", "b"]);
    let mut daemon = started(&config, &state);
    let idle = status_when(&state, "idle", |status| status["state"] == "idle");
    assert!(list(&idle, "schedules").iter().all(|schedule| schedule["next_ms"].is_i64()), "{idle:#}");
    for (args, why) in [(&["trigger"][..], "a, b"), (&["trigger", "c"], "c")] {
        let refused = tell(args, &state);
        assert!(refused.code == Some(1) && refused.stderr.contains(why), "{refused:?}");
    }
    assert!(obeyed(&["trigger", "a"], &state).contains("schedule a"));
    daemon.line("cycle 1: load");
    with(&["b"]);
    let refused = tell(&["reload"], &state);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("schedule.a cannot go while a run of it is under way"), "{refused:?}");
    daemon.line("cycle 1: PASS");
    let idle = status_when(&state, "idle", |status| status["state"] == "idle");
    assert_eq!((&idle["run"]["schedule"], &idle["run"]["verdict"]), (&"a".into(), &"pass".into()));
    obeyed(&["reload"], &state);
    status_when(&state, "one schedule", |status| list(status, "schedules").len() == 1);
    obeyed(&["stop"], &state);
    let stopped = daemon.end_within(Duration::from_secs(30));
    assert!(stopped.stdout.contains("stopped"), "{stopped:?}");
    passed(&stopped);
    let runs: Value = serde_json::from_str(&tell(&["runs", "--format", "json"], &state).stdout).expect("runs");
    assert_eq!(list(&runs, "runs").len(), 1);
}
