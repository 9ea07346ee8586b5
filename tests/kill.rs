//! Kills: the daemon at any moment, its target, its workers. Nothing acknowledged may be lost, every step counts exactly once,
//! and the verdict is what an undisturbed run's would be, unless a part crashed that nobody had ordered to.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use daemon::{Daemon, configuration, exact, list, planned, report, run_command, send, small};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use serde_json::Value;

/// Lines that say that a life of the daemon has begun.
const BEGUN: &[&str] = &[" starts, seed ", " goes on in cycle "];
/// Kills without a phase coming to its end, after which lives become longer: a phase is begun anew by each.
const PATIENT_AFTER: u32 = 4;

/// Runs to the end without any disturbance and returns the report.
fn undisturbed(config: &Path, state: &Path, more: &[&str]) -> Value {
    let ended = daemon::ended(&mut run_command(config, state, more));
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    report(state)
}

/// Returns arguments that let a run end with the cycle that it is in, however far that is: what takes part in these tests
/// differs in speed by far.
fn last_cycle(state: &Path) -> [String; 2] {
    ["--cycles".to_owned(), report(state)["run"]["cycle"].to_string()]
}

/// What became of a run that was killed again and again.
struct Killed {
    report: Value,
    kills: u32,
    /// Times from the start of the process to the first phase.
    restarts: Vec<Duration>,
}

impl Killed {
    fn print(&self, what: &str) {
        let mut times: Vec<u128> = self.restarts.iter().map(Duration::as_millis).collect();
        times.sort_unstable();
        let at = |share: usize| times.get(times.len() * share / 100).or(times.last()).copied().unwrap_or_default();
        println!(
            "{what}: {} kills; from start to the next step: median {} ms, 95 % {} ms, most {} ms (goal 2000 ms)",
            self.kills,
            at(50),
            at(95),
            at(100)
        );
    }
}

/// Kills the daemon at random moments, then lets it finish the cycle that it is in; returns the arguments for that, too.
fn killed_at_random(config: &Path, state: &Path, kills: u32) -> (Killed, [String; 2]) {
    let mut rng = ChaCha8Rng::seed_from_u64(u64::from(kills));
    let (mut restarts, mut in_vain, mut last_phase) = (Vec::new(), 0, String::new());
    for _ in 0..kills {
        let mut daemon = Daemon::start(&mut run_command(config, state, &[]));
        let lives = if rng.random_range(0..5) == 0 {
            // Some kills hit the daemon while it starts and closes the gap to its workers.
            daemon.lives_for(Duration::from_millis(rng.random_range(1..600)))
        } else {
            let longer = 1 + in_vain / PATIENT_AFTER;
            daemon.line_of(BEGUN).is_some()
                && daemon.lives_for(Duration::from_millis(rng.random_range(20..400)) * longer)
        };
        assert!(lives, "it ended before it was killed:\n{}", daemon.all());
        let phases = daemon.said.iter().filter(|(error, line)| *error && line.starts_with("cycle "));
        let phase = phases.map(|(_, line)| line.clone()).next_back().unwrap_or_default();
        in_vain = if phase == last_phase { in_vain + 1 } else { 0 };
        last_phase = phase;
        restarts.extend(daemon.first_phase);
        daemon.kill();
    }
    let last = last_cycle(state);
    let ended = daemon::ended(&mut run_command(config, state, &last.each_ref().map(String::as_str)));
    assert_eq!(ended.code, Some(0), "after {kills} kills: {}{}", ended.stdout, ended.stderr);
    (Killed { report: report(state), kills, restarts }, last)
}

/// Asserts that the epochs follow each other, that only the last one ended in good order, and that they name their cycles.
fn assert_epochs(report: &Value) {
    let epochs = list(report, "epochs");
    let text = |name| report["run"][name].to_string();
    assert!(epochs.len() > 1, "a run that was killed has several epochs");
    let mut last = (0, 0);
    for (index, epoch) in epochs.iter().enumerate() {
        let number = |name: &str| epoch[name].as_u64().unwrap_or_default();
        assert!(number("epoch") > last.0 && number("cycle") >= last.1, "{epochs:?}");
        assert_eq!(epoch["clean_end"], index + 1 == epochs.len(), "run {}: {epoch}", text("run"));
        last = (number("epoch"), number("cycle"));
    }
}

#[test]
fn killed_at_a_hundred_random_moments_a_run_ends_as_if_undisturbed() {
    let dir = tempfile::tempdir().expect("a directory");
    for (pace, kills) in [("lockstep", 70), ("concurrent", 30)] {
        let settings = small(pace, (30, 10, 3), "");
        let settings = format!("[run]\nseed = 2\ncycles = 1000\ndatabases_per_worker = 2\n{settings}");
        let config = configuration(dir.path(), &settings);
        let (killed, last) = killed_at_random(&config, &dir.path().join(pace), kills);
        killed.print(&format!("{pace}, {} {}", last[0], last[1]));
        let calm = dir.path().join(format!("{pace}-calm"));
        let expected = undisturbed(&config, &calm, &last.each_ref().map(String::as_str));
        if pace == "lockstep" {
            assert_eq!(exact(&killed.report), exact(&expected));
        }
        assert_eq!(planned(&killed.report), planned(&expected), "{pace}");
        assert_epochs(&killed.report);
        assert_timed(&killed.report);
    }
}

/// Asserts that every step has its latency in the histograms of the run, once.
fn assert_timed(report: &Value) {
    let timed: u64 = list(report, "latency").iter().filter_map(|action| action["count"].as_u64()).sum();
    assert_eq!(report["totals"]["steps"], timed);
}

#[test]
fn killed_in_every_phase_a_run_ends_as_if_undisturbed() {
    const PHASES: &[&str] = &["load", "settle", "verify", "checkpoint", "pause"];
    for pace in ["lockstep", "concurrent"] {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = small(pace, (30, 2, 3), "");
        let settings = format!("[run]\nseed = 5\ncycles = 3\npause = \"500ms\"\ndatabases_per_worker = 2\n{settings}");
        let config = configuration(dir.path(), &settings);
        let expected = undisturbed(&config, &dir.path().join("calm"), &[]);
        let state = dir.path().join("killed");
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let mut hit: BTreeMap<&str, u32> = BTreeMap::new();
        for phase in PHASES {
            let mut daemon = Daemon::start(&mut run_command(&config, &state, &[]));
            // After a cycle's verdict comes the pause. A kill in the checkpoint may be too late for it.
            let line = if *phase == "pause" { ": PASS in".to_owned() } else { format!(": {phase}") };
            daemon.line(&line);
            let within = if *phase == "checkpoint" { 5 } else { 60 };
            assert!(daemon.lives_for(Duration::from_millis(rng.random_range(0..within))));
            daemon.kill();
            *hit.entry(phase).or_default() += 1;
        }
        assert_eq!(hit.len(), PHASES.len());
        let ended = daemon::ended(&mut run_command(&config, &state, &[]));
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        let report = report(&state);
        assert_eq!(planned(&report), planned(&expected), "{pace}");
        if pace == "lockstep" {
            assert_eq!(exact(&report), exact(&expected));
        }
        assert_epochs(&report);
    }
}

/// Returns the groups of findings about crashes of one side, and how many findings they hold.
fn crashes(report: &Value, side: &str) -> (u64, Vec<String>) {
    let of_side = |group: &&Value| group["first"]["side"] == side && group["first"]["kind"] == "crash";
    let groups: Vec<&Value> = list(report, "findings").iter().filter(of_side).collect();
    let count = groups.iter().filter_map(|group| group["count"].as_u64()).sum();
    (count, groups.iter().map(|group| group["first"]["message"].to_string()).collect())
}

/// Asserts what must hold of a run in which parts were killed: all steps, all rows, and a verdict that names the crash.
fn assert_crashed(report: &Value, side: &str, kills: u64, first_cause: &str) {
    let (count, messages) = crashes(report, side);
    assert_eq!(count, kills, "{messages:?}");
    assert!(!messages.is_empty() && messages.iter().all(|m| m.contains("signal 9 (SIGKILL)")), "{messages:?}");
    for group in list(report, "findings") {
        let first = &group["first"];
        let crash = first["kind"] == "crash" && first["side"] == side;
        let healed = first["side"] == "network" && group["tolerated"] == group["count"];
        assert!(
            crash || healed,
            "neither a crash that was ordered nor a trouble of the network that was healed: {group}"
        );
    }
    assert_eq!(report["run"]["verdict"], "fail");
    assert_timed(report);
    let mut named = 0;
    for cycle in list(report, "cycles") {
        assert_eq!(cycle["steps"], cycle["steps_planned"]);
        for check in list(cycle, "checks") {
            let name = check["check"].as_str().unwrap_or_default();
            if name == "health.errors" {
                named += u32::from(check["verdict"] == "fail");
                let summary = check["summary"].as_str().unwrap_or_default();
                assert!(check["verdict"] == "pass" || summary.contains(first_cause), "{check}");
            } else {
                assert_eq!(check["verdict"], "pass", "{check}");
            }
        }
    }
    assert!(named > 0, "no cycle failed by its errors");
}

/// Settings of a run that nobody waits for to end.
fn long(databases: u32, pace: &str) -> String {
    let more = "[retry]\nfirst = \"20ms\"\nmax = \"200ms\"\nrestarts_per_cycle = 1000\n";
    format!("[run]\nseed = 3\ncycles = 1000\ndatabases_per_worker = 1\n{}", small(pace, (40, 40, databases), more))
}

/// Stops a daemon, and lets the next one finish the cycle in work.
fn finish(daemon: Daemon, config: &Path, state: &Path) {
    daemon.signal(Signal::TERM);
    let stopped = daemon.end();
    assert!(matches!(stopped.code, Some(1 | 2)), "{stopped:?}");
    let ended = daemon::ended(&mut run_command(config, state, &last_cycle(state).each_ref().map(String::as_str)));
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn a_target_that_is_killed_twenty_times_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = configuration(dir.path(), &long(2, "concurrent"));
    let state = dir.path().join("state");
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    let mut daemon = Daemon::start(&mut run_command(&config, &state, &[]));
    daemon.line(": load");
    for _ in 0..20 {
        in_load(&mut daemon, Duration::from_millis(rng.random_range(20..150)));
        let targets: Vec<_> = daemon::children(daemon.pid()).into_iter().filter(|c| c.part == "target").collect();
        assert_eq!(targets.len(), 1, "{targets:?}");
        send(targets[0].pid, Signal::KILL);
        daemon.line("the embedded target was started again");
    }
    finish(daemon, &config, &state);
    assert_crashed(&report(&state), "server", 20, "the embedded target ended by signal 9 (SIGKILL)");
}

/// Lets a moment pass, and waits for the next load phase if this one is over then.
fn in_load(daemon: &mut Daemon, moment: Duration) {
    loop {
        assert!(daemon.lives_for(moment), "the run ended before all kills were done:\n{}", daemon.all());
        let mut phases = daemon.said.iter().filter(|(error, line)| *error && line.starts_with("cycle "));
        if phases.next_back().is_some_and(|(_, line)| line.contains(": load")) {
            return;
        }
        daemon.line(": load");
    }
}

#[test]
fn workers_that_are_killed_twenty_times_finish_every_step_exactly_once() {
    let dir = tempfile::tempdir().expect("a directory");
    for pace in ["concurrent", "lockstep"] {
        let config = configuration(dir.path(), &long(3, pace));
        let state = dir.path().join(pace);
        let mut rng = ChaCha8Rng::seed_from_u64(21);
        let mut daemon = Daemon::start(&mut run_command(&config, &state, &[]));
        daemon.line(": load");
        for _ in 0..20 {
            in_load(&mut daemon, Duration::from_millis(rng.random_range(20..150)));
            let children = daemon::children(daemon.pid());
            // Workers of the load, at work or just being started again.
            let probes = |c: &daemon::Process| c.databases().iter().any(|name| name.starts_with("reader"));
            let workers: Vec<_> = children.into_iter().filter(|c| c.part == "worker" && !probes(c)).collect();
            assert!(!workers.is_empty());
            send(workers[rng.random_range(0..workers.len())].pid, Signal::KILL);
            daemon.line("finding: ");
        }
        finish(daemon, &config, &state);
        assert_crashed(&report(&state), "client", 20, "ended by signal 9 (SIGKILL)");
    }
}

/// The kernel ends a child with the thread that started it: a part that was started again must not die when that thread has
/// nothing to do for a while.
#[test]
fn parts_that_were_started_again_live_on_through_a_long_pause() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = format!("[run]\nseed = 4\ncycles = 2\npause = \"13s\"\n{}", small("concurrent", (30, 20, 2), ""));
    let config = configuration(dir.path(), &settings);
    let state = dir.path().join("state");
    let mut daemon = Daemon::start(&mut run_command(&config, &state, &[]));
    daemon.line("cycle 1: load");
    let children = daemon::children(daemon.pid());
    assert!(children.len() >= 4, "{children:?}");
    children.iter().for_each(|child| send(child.pid, Signal::KILL));
    daemon.line("cycle 1: FAIL");
    let parts = daemon::children(daemon.pid());
    assert!(parts.iter().all(|part| !children.contains(part)) && parts.len() == children.len(), "{parts:?}");
    daemon.line("cycle 2: load");
    assert_eq!(daemon::children(daemon.pid()).len(), parts.len(), "{}", daemon.all());
    assert!(parts.iter().all(daemon::Process::alive), "{}", daemon.all());
    daemon.line("cycle 2: PASS");
    assert_eq!(daemon.end().code, Some(1));
}
