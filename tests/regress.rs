//! What gets worse during a run must be found by the real daemon, with the part and the metric: a leak of memory, a leak of
//! descriptors, a log that is never checkpointed, answers that become slower. The same soak without them passes. Time is
//! compressed: half a minute is a day, so that limits per hour mean something. How fast answers are is judged only where they
//! become many times slower, because other work on the machine makes them slower too; a tenth is a matter of `make trials`.

#![allow(clippy::unwrap_used)]

#[path = "support/soak.rs"]
mod soak;

use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use soak::{Ended, Soak};

/// Cycles of each soak; criteria that are written down are judged from 30 on.
const CYCLES: u64 = 64;
/// Half a minute is a day.
const SCALE: u32 = 2_880;
/// What a test bed needs: a floor of latency above the noise of a small machine, and a log that is emptied often enough for one
/// that is not to stand out.
const BED: [&str; 2] = ["base-latency=150ms", "wal-pages=50"];
const CRITERIA: &str = "[verify]\nisolation = false\n[criteria]\nmemory_slope = \"1MiB\"\ndescriptors_slope = 1.0\n\
    wal_slope = \"32KiB\"\n";

/// One soak at a time: the others would be noise.
static ALONE: Mutex<()> = Mutex::new(());

/// Makes a soak with a fault or none, judged by these criteria too.
fn run(plant: Option<&'static str>, more: &str) -> Ended {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Soak {
        cycles: CYCLES,
        rows: 100,
        iterations: 1,
        mode: "contended",
        workload: "contention = 1.0\noffline = 0.0",
        pace: "concurrent",
        more: format!("{CRITERIA}{more}"),
        plants: BED.into_iter().chain(plant).collect(),
        time_scale: Some(SCALE),
        ..Soak::default()
    }
    .run()
}

/// Returns the criteria with this verdict, each with its metric.
fn judged(ended: &Ended, verdict: &str) -> Vec<(String, String)> {
    let results = ended.report["judgement"]["results"].as_array().unwrap_or_else(|| panic!("{}", ended.story()));
    let text = |result: &Value, key: &str| result[key].as_str().unwrap_or_default().to_owned();
    let with = results.iter().filter(|result| result["verdict"] == verdict);
    with.map(|result| (text(result, "criterion"), text(result, "metric"))).collect()
}

/// Asserts that a planted fault fails the run by this criterion of a metric with that part, and by nothing else.
fn assert_found(plant: &'static str, criterion: &str, metrics: &[&str]) {
    assert_found_with("", plant, criterion, metrics);
}

fn assert_found_with(more: &str, plant: &'static str, criterion: &str, metrics: &[&str]) {
    let ended = run(Some(plant), more);
    let failed = judged(&ended, "fail");
    assert_eq!(ended.code, Some(1), "{plant}: {:#}\n{}", ended.report["judgement"], ended.story());
    let named = failed.iter().filter(|(by, metric)| by == criterion && metrics.contains(&metric.as_str())).count();
    assert!(named > 0 && named == failed.len(), "{plant}: {failed:?}\n{}", ended.story());
    assert_eq!(ended.cycle(CYCLES)["verdict"], "pass", "{}", ended.story());
}

#[test]
fn a_leak_of_memory_is_found() {
    assert_found("leak-memory=393216", "memory_slope", &["rss.target", "pss.target", "anon.target", "heap.target"]);
}

#[test]
fn a_leak_of_descriptors_is_found() {
    assert_found("leak-descriptor=5", "descriptors_slope", &["fds.target", "fds_file.target", "fds_other.target"]);
}

#[test]
fn a_log_that_is_never_checkpointed_is_found() {
    assert_found("keep-wal", "wal_slope", &["wal.target"]);
}

#[test]
fn answers_that_become_four_times_slower_are_found() {
    let metrics = ["latency_p99.sent", "latency_p99.received"];
    assert_found_with("p99_drift = 1.0\n", "slow-later=300@420", "p99_drift", &metrics);
}

#[test]
fn the_same_soak_without_a_fault_passes() {
    let ended = run(None, "");
    assert_eq!(ended.code, Some(0), "{:#}\n{}", ended.report["judgement"], ended.story());
    let passed = judged(&ended, "pass");
    for criterion in ["memory_slope", "descriptors_slope", "wal_slope"] {
        assert!(passed.iter().any(|(by, _)| by == criterion), "{criterion}: {}", ended.story());
    }
}
