//! The state file stays small over weeks, and gives space back.

use std::collections::BTreeMap;
use std::fs;

use super::*;

/// 48 days at one cycle a minute.
const CYCLES: u64 = 69_120;
const LIMIT: u64 = 256 * 1024 * 1024;

#[test]
fn old_cycles_are_thinned_and_the_first_failures_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.durability = Durability::None;
    let run = a_run(RUN, 1);
    store.begin_run(&run).unwrap();
    let failing = |cycle| cycle % 5 == 0;
    for cycle in 1..=CYCLES_FULL + 600 {
        let verdict = if failing(cycle) { Verdict::Fail } else { Verdict::Pass };
        store.finish_cycle(&run, &a_cycle(cycle, verdict), &BTreeMap::new()).unwrap();
    }
    let all = store.cycles(RUN).unwrap();
    assert_eq!(all.len() as u64, CYCLES_FULL + 600);
    for cycle in &all {
        let pinned = failing(cycle.cycle) && cycle.cycle <= 5 * CYCLES_PINNED as u64;
        let full = pinned || cycle.cycle > 600;
        let kept = if full { 6 } else { 3 * usize::from(failing(cycle.cycle)) };
        assert_eq!(cycle.checks.len(), kept, "cycle {}", cycle.cycle);
        assert_eq!(cycle.checks.iter().any(|check| !check.evidence.is_empty()), full, "cycle {}", cycle.cycle);
    }
    let snapshot = store.snapshot(RUN).unwrap().unwrap();
    assert_eq!(snapshot.cycles.len(), CYCLES_PINNED + CYCLES_SHOWN as usize);
    assert_eq!(snapshot.cycles_by_verdict, BTreeMap::from([(Verdict::Pass, 880), (Verdict::Fail, 220)]));
}

/// Simulates a whole run; commits are made durable every 20 cycles only, as the size does not depend on that.
#[test]
fn forty_eight_days_fit_in_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let run = a_run(RUN, 1);
    store.begin_run(&run).unwrap();
    for cycle in 1..=CYCLES {
        store.durability = if cycle % 20 == 0 { Durability::Immediate } else { Durability::None };
        let verdict = if cycle % 1000 == 7 { Verdict::Fail } else { Verdict::Pass };
        store.finish_cycle(&run, &a_cycle(cycle, verdict), &BTreeMap::from([(1, cycle)])).unwrap();
    }
    drop(store);
    let bytes = fs::metadata(dir.path().join(FILE)).unwrap().len();
    println!("{CYCLES} cycles: {:.1} MiB of at most {} MiB", bytes as f64 / 1048576.0, LIMIT >> 20);
    assert!(bytes <= LIMIT, "{bytes} bytes");
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.snapshot(RUN).unwrap().unwrap().cycles_done, CYCLES);
}

#[test]
fn freed_space_is_given_back_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.begin_run(&a_run(RUN, 1)).unwrap();
    for n in 0..12 {
        store.put_blob(RUN, &format!("b{n}"), &vec![n; BLOB_BYTES_MAX]).unwrap();
    }
    for n in 0..12 {
        store.put_blob(RUN, &format!("b{n}"), b"").unwrap();
    }
    drop(store);
    let size = || fs::metadata(dir.path().join(FILE)).unwrap().len();
    let before = size();
    let store = Store::open(dir.path()).unwrap();
    assert!(before > 16 << 20 && size() < before / 4, "{before} -> {}", size());
    assert!(store.run(RUN).unwrap().is_some());
}
