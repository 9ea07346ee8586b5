//! What people ask of the running daemon: the real program on both sides of its socket.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use daemon::{Daemon, Ended, PATIENCE, configuration, ended, run_command, small, soakd};
use rustix::process::Signal;
use serde_json::Value;
use soakd::observe::api::client::Client;

const STOP_MAX: Duration = Duration::from_secs(30);

/// Settings of a run in lockstep that takes some seconds a cycle, with a long pause between two.
fn continuous(more: &str) -> String {
    format!("[run]\nseed = 8\ncycles = 3\npause = \"1h\"\n{}", small("lockstep", (40, 150, 2), more))
}

/// Settings of runs of some seconds that are due once a year.
fn scheduled(more: &str) -> String {
    let schedule = "[schedule.yearly]\ncron = \"0 0 1 1 *\"\n";
    format!("[run]\nseed = 8\ncycles = 1\n{}", small("lockstep", (40, 300, 2), &format!("{schedule}{more}")))
}

/// Runs a command that asks the daemon.
fn ask(state: &Path, args: &[&str]) -> Ended {
    ended(soakd(args).arg("--state-dir").arg(state).env_remove("SOAKD_SOCKET").env_remove("RUNTIME_DIRECTORY"))
}

/// Runs a command that the daemon does, and returns what it says.
fn told(state: &Path, args: &[&str]) -> String {
    let said = ask(state, args);
    assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
    said.stdout
}

fn status(state: &Path) -> Value {
    serde_json::from_str(&told(state, &["status", "--format", "json"])).expect("a status")
}

/// Waits until the status is as wanted.
fn wait_for(state: &Path, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        // While the daemon starts, there is nobody to ask.
        let said = ask(state, &["status", "--format", "json"]);
        let now: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
        if said.code == Some(0) && wanted(&now) {
            return now;
        }
        assert!(Instant::now() < until, "never {what}: {said:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until the load stands still, and returns the steps that are done.
fn stands_still(state: &Path) -> Value {
    wait_for(state, "paused", |now| now["state"] == "paused" && now["paused_because"] == serde_json::json!(["lunch"]));
    let mut before = Value::Null;
    loop {
        let now = status(state)["run"]["steps_done"].clone();
        if now == before {
            return now;
        }
        before = now;
        // Longer than the figures take to get here.
        std::thread::sleep(Duration::from_secs(5));
    }
}

/// Returns what the socket answers.
fn get(state: &Path, path: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // The program does this first thing; a test has to do it itself.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::open(&state.join("soakd.sock")).expect("a socket");
    runtime.block_on(client.text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Checks that everything which can be read is there, and that the figures agree.
fn everything_answers(state: &Path) {
    let openapi: Value = serde_json::from_str(&get(state, "/openapi.json")).expect("a description");
    let run = status(state)["run"]["run"].as_str().expect("a run").to_owned();
    let paths = openapi["paths"].as_object().expect("paths");
    assert!(paths.len() > 10, "{paths:?}");
    for (path, methods) in paths {
        // The stream does not end, and is followed elsewhere; there is no incident.
        if methods["get"].is_object() && path != "/v1/events" && !path.contains("{id}") {
            assert!(!get(state, &path.replace("{run}", &run)).is_empty(), "{path}");
        }
    }
    let metrics = get(state, "/metrics");
    let report: Value = serde_json::from_str(&told(state, &["report", "--format", "json"])).expect("a report");
    let line = |start: &str| metrics.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>();
    let cycles: f64 =
        line("soakd_cycles_total{").iter().filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    assert_eq!(report["cycles_done"].as_f64(), Some(cycles), "{metrics}");
    let promtool =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut promtool) = promtool else {
        eprintln!(
            "\n*** SKIPPED: the check of /metrics: promtool is not installed (Debian: apt-get install prometheus)\n"
        );
        return;
    };
    promtool.stdin.take().expect("its input").write_all(metrics.as_bytes()).expect("it reads");
    let said = promtool.wait_with_output().expect("its end");
    assert!(said.status.success(), "{}\n{metrics}", String::from_utf8_lossy(&said.stdout));
}

#[test]
fn a_continuous_run_is_paused_hurried_and_stopped() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let config = configuration(dir.path(), &continuous(""));
    let start = || Daemon::start(&mut run_command(&config, &state, &[]));
    let mut daemon = start();
    daemon.line("cycle 1: load");
    wait_for(&state, "running", |now| now["state"] == "running" && now["run"]["steps_done"].as_u64() > Some(0));
    assert!(told(&state, &["status"]).contains("State      running\n"));

    told(&state, &["pause", "--reason", "lunch"]);
    let steps = stands_still(&state);
    assert!(told(&state, &["status"]).contains("State      paused: lunch\n"));
    assert!(told(&state, &["trigger"]).contains("not before this is over: lunch"));
    let second = ended(&mut run_command(&config, &state, &[]));
    assert_eq!((second.code, second.stderr.lines().count()), (Some(69), 1), "{second:?}");
    assert_eq!(status(&state)["run"]["steps_done"], steps, "nothing new begins");

    daemon.kill();
    let mut daemon = start();
    daemon.line(" goes on in ");
    let steps = stands_still(&state);
    assert_eq!(told(&state, &["resume"]), "resumed\n");
    wait_for(&state, "further", |now| now["run"]["steps_done"].as_u64() > steps.as_u64());

    daemon.line("cycle 1: PASS");
    wait_for(&state, "between two cycles", |now| now["run"]["phase"] == "pause");
    for (args, holds) in [
        (&["runs"][..], "Started (UTC)"),
        (&["report"], "Verification of cycle 1"),
        (&["incidents"], "No incident is open"),
    ] {
        assert!(told(&state, args).contains(holds), "{args:?}");
    }
    everything_answers(&state);
    let mut events = soakd(&["events", "--format", "json", "--state-dir"]);
    let mut events = events.arg(&state).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut heard = BufReader::new(events.stdout.take().expect("its output")).lines().map_while(Result::ok);
    assert!(heard.next().is_some_and(|line| line.contains("\"status\"")));
    told(&state, &["trigger"]);
    daemon.line("cycle 2: load");
    assert!(told(&state, &["stop"]).contains("after the cycle in work"));
    assert!(heard.any(|line| line.contains("\"kind\":\"cycle\"")), "no event of the cycle");
    events.wait().expect("it ends with the daemon");
    let stopped = daemon.end();
    assert_eq!(stopped.code, Some(2), "{stopped:?}");
    assert!(stopped.stderr.contains("cycle 2: PASS") && !stopped.stderr.contains("cycle 3: load"), "{stopped:?}");

    let mut daemon = start();
    daemon.line("cycle 3: load");
    told(&state, &["stop", "--now"]);
    let stopped = daemon.end_within(STOP_MAX);
    assert!(stopped.code == Some(2) && !stopped.stderr.contains("cycle 3: settle"), "{stopped:?}");
    assert_eq!(ask(&state, &["pause"]).code, Some(69), "nobody is there");
}

#[test]
fn a_reload_takes_over_what_is_good_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let config = configuration(dir.path(), &scheduled(""));
    let mut daemon = Daemon::start(&mut run_command(&config, &state, &[]));
    let idle = wait_for(&state, "idle", |now| now["state"] == "idle" && !now["schedules"][0].is_null());
    assert_eq!((&idle["schedules"][0]["name"], idle["schedules"][0]["next_ms"].is_i64()), (&"yearly".into(), true));
    assert!(told(&state, &["status"]).contains("Schedule   yearly: next run "));

    // A signal and a command do the same.
    let more = "[schedule.monthly]\ncron = \"@monthly\"\n";
    configuration(dir.path(), &scheduled(more).replace("\"warn\"", "\"info\""));
    daemon.signal(Signal::HUP);
    wait_for(&state, "reloaded", |now| daemon::list(now, "schedules").len() == 2);
    daemon.line("the configuration was reloaded");
    configuration(dir.path(), &scheduled("").replace("0 0 1 1 *", "0 0 31 2 *"));
    let refused = ask(&state, &["reload"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("schedule.yearly.cron"), "{refused:?}");
    configuration(dir.path(), "[run]\ncycles = \"many\"\n");
    daemon.signal(Signal::HUP);
    daemon.line("the old one stays in force");
    let now = wait_for(&state, "refused", |now| now["reload"].as_str().is_some_and(|said| said.contains("run.cycles")));
    assert_eq!(daemon::list(&now, "schedules").len(), 2);
    configuration(dir.path(), &scheduled(more).replace("[run]\n", "[run]\nstate_dir = \"/elsewhere\"\n"));
    assert!(ask(&state, &["reload"]).stderr.contains("run.state_dir cannot change"));

    // A run that is asked for in a pause begins when the pause is over.
    configuration(dir.path(), &scheduled(more));
    told(&state, &["reload"]);
    assert!(ask(&state, &["trigger"]).stderr.contains("name one of monthly, yearly"));
    told(&state, &["pause", "--reason", "lunch"]);
    assert!(told(&state, &["trigger", "yearly"]).contains("not before this is over: lunch"));
    let now = wait_for(&state, "paused", |now| now["state"] == "paused");
    assert!(now["run"].is_null(), "{now}");
    told(&state, &["resume"]);
    daemon.line("cycle 1: load");
    let now = wait_for(&state, "running", |now| now["state"] == "running");
    assert_eq!(now["run"]["schedule"], "yearly");

    // What the run is made of cannot change under it, nor can its schedule go.
    configuration(dir.path(), &scheduled(more).replace("rows = 40", "rows = 41"));
    let refused = ask(&state, &["reload"]);
    assert!(
        refused.code == Some(1) && refused.stderr.contains("workload.sync.rows cannot change from 40 to 41"),
        "{refused:?}"
    );
    configuration(dir.path(), &scheduled(more).replace("yearly", "other"));
    assert!(ask(&state, &["reload"]).stderr.contains("schedule.yearly cannot go"));
    daemon.line("cycle 1: PASS");
    wait_for(&state, "idle", |now| now["state"] == "idle");
    assert!(told(&state, &["reload"]).contains("reloaded"));
    assert!(told(&state, &["stop"]).contains("no run is under way"));
    let stopped = daemon.end_within(STOP_MAX);
    assert_eq!(stopped.code, Some(0), "its only run passed: {stopped:?}");
}
