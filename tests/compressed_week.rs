//! A week in about a minute: the real daemon under a faster clock, with three schedules in three zones, an incident that stays,
//! digests, retention, a watchdog, and a kill in the middle of it.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;
#[path = "support/outside.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod outside;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use daemon::{Daemon, Ended, configuration, run_command};
use outside::{Inbox, Systemd};
use rustix::process::Signal;
use serde_json::Value;
use soakd::clock::Clock;
use soakd::engine::schedule::{State, grace, upcoming};
use soakd::store::Store;

/// A week passes in a minute.
const SCALE: u32 = 10_080;
const DAY_MS: i64 = 24 * 3600 * 1000;
const HOUR_MS: i64 = 3600 * 1000;
/// Memory that the daemon may have needed at most.
const MEMORY_MAX_KIB: u64 = 200 * 1024;
const STATE_FILE_MAX: u64 = 32 << 20;
const WATCHDOG: Duration = Duration::from_secs(4);
const RUNS_KEPT: usize = 5;

fn settings(hook: &str) -> String {
    format!(
        "[run]\nseed = 7\ncycles = 1\n\
         [workload.sync]\nscale = \"custom\"\nrows = 5\niterations = 1\ndatabases = 2\nwait = \"5ms\"\n\
         [notify]\ngroup_wait = \"0s\"\ndigest_every = \"1d\"\nper_hour = 1000\n[notify.webhook.inbox]\naddress = \"{hook}\"\n\
         [limits]\ndisk_warn = \"0B\"\ndisk_pause = \"0B\"\n\
         [retention]\nruns = {RUNS_KEPT}\ndatabases = 0\n\
         [log]\nlevel = \"info\"\nformat = \"text\"\nrepeats = \"0s\"\n\
         [schedule.daily]\ncron = \"0 15 * * *\"\nzone = \"Europe/Berlin\"\noverlap = \"queue\"\n\
         [schedule.sixth]\ncron = \"0 */6 * * *\"\nzone = \"America/New_York\"\noverlap = \"queue\"\n\
         [schedule.quiet]\ncron = \"0 12 * * *\"\nzone = \"Asia/Tokyo\"\nquiet = [\"11:00-14:00\"]\nmissed = \"once\"\n"
    )
}

/// Returns the clock and the schedules' histories as the state file has them; nobody may hold it.
fn stored(state: &Path) -> (Clock, State) {
    let store = Store::open(state).expect("the state file");
    let clock = store.value("clock").expect("a clock").expect("a clock");
    (clock, store.value("schedules").expect("histories").expect("histories"))
}

/// Returns the highest memory use of a process so far, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Returns how many runs of a schedule are due after one instant, up to another.
fn due(loaded: &soakd::config::Loaded, name: &str, from: DateTime<Utc>, to: DateTime<Utc>) -> u64 {
    let mut config = loaded.config.schedule[name].clone();
    // Runs in quiet hours are due as well; what becomes of them is counted elsewhere.
    config.quiet.clear();
    let only = BTreeMap::from([(name.to_owned(), config)]);
    let list = upcoming(&only, &State::new(), from, 200).expect("a list");
    list.iter().filter(|run| run.planned.at <= to).count() as u64
}

/// Lets the daemon live until its clock shows an instant.
fn live_until(daemon: &mut Daemon, clock: Clock, at_ms: i64) {
    let left = u64::try_from(at_ms - clock.now_ms()).unwrap_or(0);
    assert!(daemon.lives_for(clock.lasts(Duration::from_millis(left))), "{}", daemon.all());
}

/// Checks what the service manager heard of one life that ended well, and returns the number of signs of life.
fn told_well(heard: &[String]) -> (usize, usize) {
    let all = heard.join("\n");
    let count = |start: &str| heard.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((count("READY=1"), count("STOPPING=1")), (1, 1), "{all}");
    assert!(heard.iter().any(|line| line.starts_with("STATUS=") && line.contains("next run ")), "{all}");
    let (mut idle, mut running, mut state) = (0, 0, "");
    for line in heard {
        match line.strip_prefix("STATUS=") {
            Some(status) => state = status.split(';').next().unwrap_or_default(),
            None if line == "WATCHDOG=1" && state == "idle" => idle += 1,
            None if line == "WATCHDOG=1" && state == "running" => running += 1,
            None => {}
        }
    }
    (idle, running)
}

/// Checks what is left of the past.
fn past_is_bounded(state: &Path) {
    let listed = daemon::ended(daemon::soakd(&["runs", "--format", "json", "--state-dir"]).arg(state));
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let listed: Value = serde_json::from_str(&listed.stdout).expect("a list of runs");
    let ids: Vec<&str> = daemon::list(&listed, "runs").iter().filter_map(|run| run["run"].as_str()).collect();
    // The run under way, or the newest one, may be more than those that are kept.
    assert!((1..=RUNS_KEPT + 1).contains(&ids.len()), "{ids:?}");
    for (dir, most) in [("runs", RUNS_KEPT + 1), ("reports", RUNS_KEPT + 1)] {
        let there = std::fs::read_dir(state.join(dir)).expect("a directory").flatten();
        let there: Vec<_> = there.filter(|e| e.path().is_dir()).map(|e| e.file_name()).collect();
        assert!(there.len() <= most, "{dir}: {there:?}");
        assert!(there.iter().all(|name| ids.iter().any(|id| *id == name)), "{dir} has what no run left: {there:?}");
    }
    assert!(state.join("reports").join(ids[0]).join("report.txt").exists(), "the newest run has no report");
    let file = std::fs::read_dir(state)
        .expect("a directory")
        .flatten()
        .find(|e| e.path().extension().is_some_and(|x| x == "redb"));
    let size = file.expect("a state file").metadata().expect("its size").len();
    assert!(size < STATE_FILE_MAX, "the state file has {size} bytes");
}

/// Returns the runs that began: short ids, in their order.
fn begun(said: &[(bool, String)]) -> Vec<String> {
    said.iter()
        .filter_map(|(_, line)| line.strip_prefix("run ")?.split_once(" starts").map(|(id, _)| id.to_owned()))
        .collect()
}

#[test]
fn a_week_passes_in_a_minute() {
    let began = Instant::now();
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let inbox = Inbox::start();
    let systemd = Systemd::start(dir.path());
    let config = configuration(dir.path(), &settings(&inbox.url()));
    let loaded = soakd::config::Config::load(&config).expect("a good configuration");
    let scale = SCALE.to_string();
    let more = ["--testing", "--time-scale", &scale, "--plant", "forged-insert"];
    let start = || Daemon::start(systemd.service(&mut run_command(&config, &state, &more), WATCHDOG));

    // Three days, and an end in the middle of a run.
    let mut first = start();
    first.line(" starts, seed 7");
    assert!(first.lives_for(Duration::from_millis(u64::try_from(3 * DAY_MS).unwrap_or(0)) / SCALE));
    first.line("cycle 1: load");
    let mut said = first.said.clone();
    let mut peak = peak_kib(first.pid());
    let from = systemd.heard().len();
    first.kill();
    let (clock, before) = stored(&state);
    let base_ms = fast_since(&state);
    assert_eq!(clock.scale(), SCALE);

    // Down until the run after quiet hours is surely missed.
    let killed_ms = clock.now_ms();
    let seen = DateTime::from_timestamp_millis(before["quiet"].seen_ms).expect("a time");
    let only = BTreeMap::from([("quiet".to_owned(), loaded.config.schedule["quiet"].clone())]);
    let next = upcoming(&only, &State::new(), seen, 1).expect("a list")[0].planned.at;
    let back_ms = next.timestamp_millis() + grace(clock).num_milliseconds() + 3 * HOUR_MS;
    std::thread::sleep(clock.lasts(Duration::from_millis(u64::try_from(back_ms - clock.now_ms()).unwrap_or(0))));

    // The rest of the week, and a day for the end.
    let mut second = start();
    let resumed = second.line(" goes on in ");
    let last = begun(&said).pop().expect("a run");
    assert!(resumed.contains(&last), "{resumed} is not {last}");
    live_until(&mut second, clock, base_ms + 7 * DAY_MS);
    let until = Instant::now() + Duration::from_secs(20);
    while inbox.about("digest").len() < 5 {
        assert!(Instant::now() < until, "{} digests", inbox.about("digest").len());
        assert!(second.lives_for(Duration::from_millis(100)));
    }
    peak = peak.max(peak_kib(second.pid()));
    second.signal(Signal::TERM);
    let Ended { code, stdout, stderr, .. } = second.end();
    said.extend(stderr.lines().map(|line| (true, line.to_owned())));
    // Every run has failed, as planted; a stop in the middle of one does not hide that.
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    let (_, after) = stored(&state);
    let days = (clock.now_ms() - base_ms) as f64 / DAY_MS as f64;

    // Every run that was due took place or was left out, and none took place twice.
    let ids = begun(&said);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    let runs: u64 = after.values().map(|history| history.runs).sum();
    // The stop may have come before the last one could say that it starts; the next start goes on with it.
    let silent = unfinished(&state).is_some_and(|run| !ids.iter().any(|id| run.starts_with(id.as_str())));
    assert_eq!(runs, ids.len() as u64 + u64::from(silent), "{after:#?}");
    let told = said.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n");
    assert!(!told.contains("panicked"), "{told}");
    assert!(!told.contains("tokio_cron_scheduler"), "the log is full of what its timer does:\n{told}");
    assert_decided(&loaded, base_ms, (&before, &after), &told);

    let digests = assert_told(&inbox, days);
    past_is_bounded(&state);

    let heard: Vec<String> = systemd.heard().into_iter().map(|(_, line)| line).collect();
    let (idle, running) = told_well(&heard[from..]);
    assert!(idle > 0 && running > 0, "signs of life: {idle} idle, {running} running");
    assert!(peak < MEMORY_MAX_KIB, "the daemon needed {peak} KiB");
    println!(
        "{days:.1} days in {:.0} s, {:.1} of them down: {runs} runs, {} digests, {} summaries, {idle} + {running} signs of life, \
         at most {} MiB",
        began.elapsed().as_secs_f64(),
        (back_ms - killed_ms) as f64 / DAY_MS as f64,
        digests,
        inbox.about("summary").len(),
        peak / 1024,
    );
}

/// Asserts that every run that was due was decided on, and what down-time did to those that were missed.
fn assert_decided(loaded: &soakd::config::Loaded, base_ms: i64, (before, after): (&State, &State), told: &str) {
    for (name, history) in after {
        let at = |ms| DateTime::from_timestamp_millis(ms).expect("a time");
        // It takes the daemon a moment of the faster time to begin to count.
        let [most, least] = [0, 8 * HOUR_MS].map(|ms| due(loaded, name, at(base_ms + ms), at(history.seen_ms)));
        let decided = history.runs + history.skipped + u64::from(history.waiting.is_some());
        assert!((least..=most).contains(&decided), "{name}: {decided} of {least} to {most}: {history:?}\n{told}");
    }
    assert!(after["sixth"].runs >= 8 && after["daily"].runs >= 3 && after["quiet"].runs >= 3, "{after:#?}");
    assert!(after["sixth"].skipped > before["sixth"].skipped, "down-time skips what it misses: {after:#?}");
    assert!(after["quiet"].runs > before["quiet"].runs, "{after:#?}");
    assert!(
        told.contains("schedule quiet: a run waits because soakd was down or paused")
            || told.contains("one run does not take place because soakd was down or paused"),
        "{told}"
    );
}

/// Asserts what people were told, and returns the number of digests.
fn assert_told(inbox: &Inbox, days: f64) -> usize {
    // A digest a day, one message per incident, and a summary for every run that ended.
    let (digests, opened) = (inbox.about("digest"), inbox.about("opened"));
    assert!((5..=9).contains(&digests.len()), "{} digests in {days:.1} days", digests.len());
    assert_eq!(opened.len(), 1, "{opened:#?}");
    let keys: BTreeSet<String> = digests.iter().map(|digest| digest["key"].to_string()).collect();
    assert_eq!(keys.len(), digests.len(), "a digest came twice");
    digests.len()
}

/// Returns when the clock began to run faster.
fn fast_since(state: &Path) -> i64 {
    let store = Store::open(state).expect("the state file");
    let clock: Value = store.value("clock").expect("a clock").expect("a clock");
    clock["base_ms"].as_i64().expect("a time")
}

/// Returns the run that the next start would go on with.
fn unfinished(state: &Path) -> Option<String> {
    let store = Store::open(state).expect("the state file");
    store.unfinished().expect("it can be read").map(|run| run.run)
}
