//! Latencies: each step's once, from its intended start, by cycle while it is in work and by run for ever.

use std::collections::BTreeMap;

use super::*;
use crate::model::judgement::LatencySummary;

fn step(cycle: u64, no: u32, late_us: u64, elapsed_us: u64) -> StepReport {
    let step = Step { no, iter: 1, action: Action::Send, crud_ops: 0 };
    StepReport { step, late_us, elapsed_us, findings: Vec::new(), ..a_step(cycle, 1, no) }
}

fn waited(cycle: u64, no: u32) -> StepReport {
    StepReport { step: Step { no, iter: 1, action: Action::Wait { ms: 9 }, crud_ops: 0 }, ..step(cycle, no, 0, 9_000) }
}

fn counts(all: &[LatencySummary]) -> Vec<(String, u64)> {
    all.iter().map(|summary| (summary.action.clone(), summary.count)).collect()
}

#[test]
fn latency_counts_from_the_intended_start_and_merges_over_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let run = a_run(RUN, 1);
    store.begin_run(&run).unwrap();
    store.record_steps(RUN, &[step(1, 1, 0, 1_000), step(1, 2, 4_000, 1_000), waited(1, 3)]).unwrap();
    // Reported again after a crash, with another time: the first report stands.
    store.record_steps(RUN, &[step(1, 2, 0, 900_000), step(1, 4, 0, 1_000)]).unwrap();
    let cycle = store.cycle_latency(RUN, 1).unwrap();
    assert_eq!(counts(&cycle), [("sent".to_owned(), 3)]);
    assert_eq!((cycle[0].p50_us, cycle[0].p99_us, cycle[0].max_us), (1_000, 5_000, 5_000));
    assert_eq!(store.latency(RUN).unwrap(), cycle);
    store.finish_cycle(&run, &a_cycle(1, Verdict::Pass), &BTreeMap::new()).unwrap();
    assert_eq!(store.cycle_latency(RUN, 1).unwrap(), []);
    // A straggler of a closed cycle counts nowhere; one of the next is part of the run at once.
    store.record_steps(RUN, &[step(1, 5, 0, 1), step(2, 1, 0, 2_000_000)]).unwrap();
    assert_eq!(counts(&store.cycle_latency(RUN, 2).unwrap()), [("sent".to_owned(), 1)]);
    let all = store.latency(RUN).unwrap();
    assert_eq!((all[0].count, all[0].p50_us, all[0].max_us), (4, 1_000, 2_000_000));
    assert_eq!(store.snapshot(RUN).unwrap().unwrap().latency, all);
}

#[test]
fn latencies_survive_closing_twice_and_go_with_their_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let (mut run, other) = (a_run(RUN, 1), a_run("r", 2));
    store.begin_run(&run).unwrap();
    store.begin_run(&other).unwrap();
    store.record_steps("r", &[step(1, 1, 0, 7)]).unwrap();
    for cycle in 1..=3 {
        let steps: Vec<StepReport> = (1..=9).map(|no| a_step(cycle, 1, no)).collect();
        store.record_steps(RUN, &steps).unwrap();
        store.finish_cycle(&run, &a_cycle(cycle, Verdict::Pass), &BTreeMap::new()).unwrap();
        store.finish_cycle(&run, &a_cycle(cycle, Verdict::Pass), &BTreeMap::new()).unwrap();
        drop(store);
        store = Store::open(dir.path()).unwrap();
    }
    let each = ["deleted", "inserted", "sent"].map(|action| (action.to_owned(), 9));
    assert_eq!(counts(&store.latency(RUN).unwrap()), each);
    run.ended_ms = Some(9);
    store.end_run(&run).unwrap();
    store.forget_run(RUN).unwrap();
    assert_eq!(store.latency(RUN).unwrap(), []);
    assert_eq!(counts(&store.latency("r").unwrap()), [("sent".to_owned(), 1)]);
}
