//! The command on a state file: what it prints in every form, and its exit codes.

use std::collections::BTreeMap;

use super::*;
use crate::app::choose_baseline;
use crate::model::measure::{CycleMeasures, Value};
use crate::model::verdict::Verdict;
use crate::observe::report::sample;
use crate::store::Store;

/// Values that look like noise and are the same everywhere.
fn noise(cycle: u64, salt: u64) -> f64 {
    let mixed = (cycle.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt.wrapping_mul(0xd1b5_4a32_d192_ed03))
        .wrapping_mul(0x2545_f491);
    ((mixed >> 20) % 1000) as f64 / 1000.0 - 0.5
}

/// Adds a run that ended, with what was measured of its cycles.
fn add(store: &mut Store, id: &str, server: &str, (cycles, slower): (u64, f64)) {
    let mut run = sample::passing().run;
    run.run = id.to_owned();
    run.versions.server = server.to_owned();
    run.started_ms += i64::from(id.as_bytes()[0]) * 1000;
    (run.ended_ms, run.verdict) = (None, None);
    store.begin_run(&run).unwrap();
    for cycle in 1..=cycles {
        let mut measures = CycleMeasures { cycle, at_ms: cycle as i64 * 1000, values: BTreeMap::new() };
        let salt = u64::from(id.as_bytes()[0]);
        for (no, (name, level, speed)) in [
            ("latency_p50.sent", 0.012, slower),
            ("latency_p99.sent", 0.031, slower),
            ("throughput.sent", 420.0, 1.0 / slower),
            ("rss.target", 64e6, 1.0),
            ("errors", 0.0, 1.0),
        ]
        .into_iter()
        .enumerate()
        {
            let value = level * speed * (1.0 + 0.02 * noise(cycle, salt + no as u64 * 17));
            measures.values.insert(name.to_owned(), Value { value, life: 1 });
        }
        store.record_measures(id, &measures).unwrap();
        let record = crate::model::record::CycleRecord { cycle, ..sample::passing().cycles[0].clone() };
        store.finish_cycle(&run, &record, &BTreeMap::new()).unwrap();
    }
    run.ended_ms = Some(run.started_ms + 1);
    run.verdict = Some(Verdict::Pass);
    store.end_run(&run).unwrap();
}

fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    add(&mut store, "alpha", "7a1b", (40, 1.0));
    add(&mut store, "beta", "7a1b", (40, 1.0));
    add(&mut store, "gamma", "8f3c", (40, 1.12));
    add(&mut store, "short", "8f3c", (4, 1.0));
    add(&mut store, "empty", "8f3c", (0, 1.0));
    dir
}

fn args(dir: &std::path::Path, runs: &[&str]) -> CompareArgs {
    let state = StateArgs { state_dir: Some(dir.to_owned()), config: None };
    CompareArgs { runs: runs.iter().map(|run| (*run).to_owned()).collect(), state, ..CompareArgs::default() }
}

fn code(dir: &std::path::Path, runs: &[&str]) -> u8 {
    run(args(dir, runs)).unwrap()
}

#[test]
fn the_exit_code_says_what_it_came_to() {
    let dir = filled();
    assert_eq!(code(dir.path(), &["alpha", "beta"]), 0);
    assert_eq!(code(dir.path(), &["gamma", "alpha"]), 0, "better");
    assert_eq!(code(dir.path(), &["alpha", "gamma"]), 1);
    assert_eq!(code(dir.path(), &["alpha", "beta", "gamma"]), 1);
    assert_eq!(code(dir.path(), &["alpha", "short"]), 2);
    for wrong in [&["alpha", "empty"][..], &["alpha", "alpha"], &["alpha", "nothing"], &["alpha", "baseline"]] {
        assert_eq!(code(dir.path(), wrong), 64, "{wrong:?}");
    }
    assert_eq!(run(CompareArgs { margin: Some(0.0), ..args(dir.path(), &["alpha", "beta"]) }).unwrap(), 64);
    assert_eq!(run(CompareArgs { margin: Some(20.0), ..args(dir.path(), &["alpha", "gamma"]) }).unwrap(), 0);
    let elsewhere = format!("{}:gam", dir.path().display());
    assert_eq!(code(std::path::Path::new("/nowhere"), &[&elsewhere, &elsewhere.replace("gam", "alpha")]), 0);
    assert_eq!(code(std::path::Path::new("/nowhere"), &["alpha", "beta"]), 64);
}

#[test]
fn comparisons_look_as_they_did() {
    let dir = filled();
    for (name, runs) in
        [("worse", &["alpha", "gamma"][..]), ("same", &["alpha", "beta"]), ("refused", &["alpha", "empty"])]
    {
        let mut all = compared(&args(dir.path(), runs)).unwrap();
        all.after.iter_mut().for_each(|(_, comparison)| comparison.at_ms = 0);
        insta::assert_snapshot!(format!("{name}_text"), report::compared(&all, ComparisonFormat::Text));
        insta::assert_snapshot!(format!("{name}_markdown"), report::compared(&all, ComparisonFormat::Markdown));
        if name == "worse" {
            insta::assert_snapshot!(format!("{name}_json"), report::compared(&all, ComparisonFormat::Json));
            insta::assert_snapshot!(format!("{name}_html"), report::compared(&all, ComparisonFormat::Html));
        }
    }
}

#[test]
fn a_baseline_is_chosen_shown_and_cleared() {
    let dir = filled();
    let mut store = Store::open(dir.path()).unwrap();
    assert!(choose_baseline(&mut store, Some("alpha")).unwrap().starts_with("later runs are compared with run alpha"));
    assert_eq!(store.baseline().unwrap().as_deref(), Some("alpha"));
    for (run, why) in [("nothing", "there is no run nothing"), ("empty", "nothing was measured in run empty")] {
        assert!(choose_baseline(&mut store, Some(run)).unwrap_err().starts_with(why));
    }
    drop(store);
    assert_eq!(code(dir.path(), &["baseline", "gamma"]), 1);
    let mut store = Store::open(dir.path()).unwrap();
    assert!(choose_baseline(&mut store, None).unwrap().contains("alpha is not the baseline any more"));
    assert_eq!(choose_baseline(&mut store, None).unwrap(), "there was no baseline");
    assert_eq!(store.baseline().unwrap(), None);
}
