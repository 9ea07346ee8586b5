//! The receipt in the state file: it survives restarts, repeats and thinning, and is found broken if a record was changed.

use super::*;
use crate::model::judgement::Judgement;
use crate::model::receipt::verify::{Examiner, Fault, Found};
use crate::model::receipt::{cycle_line, open_line};

/// Examines the receipt as it is kept now.
fn examined(store: &Store) -> Found {
    let ends = store.receipt(RUN).unwrap();
    let cycles = store.cycles(RUN).unwrap();
    let mut examiner = Examiner::new(Some(ends.head.clone()));
    let open = || open_line(1, cycles.len() as u64, &ends.head).text;
    let last = ends.last.clone().unwrap_or_else(open);
    let lines = ends.first.into_iter().chain(cycles.iter().map(cycle_line)).chain([last]);
    lines.for_each(|line| examiner.line(line.as_bytes(), false).unwrap());
    examiner.finish().unwrap()
}

fn overwrite(store: &mut Store, cycle: &CycleRecord) {
    let at = tables::key(RUN, &[cycle.cycle]);
    store.write(|txn| tables::put(&mut txn.open_table(tables::CYCLES)?, tables::CYCLES, &at, cycle)).unwrap();
}

#[test]
fn cycles_are_chained_over_restarts_and_repeats_and_thinning() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = a_run(RUN, 1);
    Store::open(dir.path()).unwrap().begin_run(&run).unwrap();
    let cycles = CYCLES_FULL + 40;
    for cycle in 1..=cycles {
        let mut store = Store::open(dir.path()).unwrap();
        store.durability = if cycle % 20 == 0 { Durability::Immediate } else { Durability::None };
        let verdict = if cycle % 7 == 0 { Verdict::Fail } else { Verdict::Pass };
        for _ in 0..2 {
            store.finish_cycle(&run, &a_cycle(cycle, verdict), &BTreeMap::new()).unwrap();
        }
        if cycle % 20 != 0 {
            // A commit that is not durable would be lost with the handle.
            store.durability = Durability::Immediate;
            store.update_run(&run).unwrap();
        }
    }
    let mut store = Store::open(dir.path()).unwrap();
    let found = examined(&store);
    assert_eq!((found.problems.as_slice(), found.cycles, found.ended()), ([].as_slice(), cycles, false));
    assert_eq!(store.snapshot(RUN).unwrap().unwrap().receipt, found.head);
    run.ended_ms = Some(9);
    run.verdict = Some(Verdict::Fail);
    store.end_run(&run).unwrap();
    let ended = store.receipt(RUN).unwrap();
    run.ended_ms = Some(10);
    store.end_run(&run).unwrap();
    assert_eq!(store.receipt(RUN).unwrap(), ended, "the end is written once");
    let found = examined(&store);
    assert_eq!((found.problems.as_slice(), found.ended(), &found.head), ([].as_slice(), true, &ended.head));
    let last = found.last.unwrap();
    assert_eq!((&last["cycles"], &last["verdict"], &last["ended_ms"]), (&cycles.into(), &"fail".into(), &9.into()));
}

#[test]
fn a_record_that_was_changed_in_the_file_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let run = a_run(RUN, 1);
    store.begin_run(&run).unwrap();
    for cycle in 1..=4 {
        store.finish_cycle(&run, &a_cycle(cycle, Verdict::Pass), &BTreeMap::new()).unwrap();
    }
    let cycles = store.cycles(RUN).unwrap();
    let changed = CycleRecord { errors: 7, ..cycles[1].clone() };
    overwrite(&mut store, &changed);
    let problems = examined(&store).problems;
    assert_eq!((problems.len(), problems[0].line, problems[0].fault), (1, 3, Fault::Edited));
    overwrite(&mut store, &cycles[1]);
    assert!(examined(&store).problems.is_empty());
    let checks = crate::model::receipt::checks_digest(&cycles[1].checks);
    assert_eq!(checks, cycles[1].checks_digest);
}

#[test]
fn runs_of_an_older_soakd_stay_without_a_receipt() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut run = a_run(RUN, 1);
    store.begin_run(&run).unwrap();
    let at = tables::key(RUN, &[]);
    let old = Progress::default();
    store.write(|txn| tables::put(&mut txn.open_table(tables::PROGRESS)?, tables::PROGRESS, &at, &old)).unwrap();
    store.finish_cycle(&run, &a_cycle(1, Verdict::Pass), &BTreeMap::new()).unwrap();
    run.ended_ms = Some(5);
    store.end_run(&run).unwrap();
    let ends = store.receipt(RUN).unwrap();
    assert_eq!((ends.last, ends.head.as_str()), (None, ""));
    assert_eq!(store.cycles(RUN).unwrap(), [a_cycle(1, Verdict::Pass)]);
}

#[test]
fn the_judgement_is_part_of_the_end() {
    let end = |judgement: Option<&Judgement>| {
        crate::model::receipt::end_line(&a_run(RUN, 1), 1, &Counters::default(), judgement, "p").digest
    };
    let mut judged = Judgement::default();
    let (none, empty) = (end(None), end(Some(&judged)));
    judged.results.push(crate::model::judgement::CriterionResult {
        criterion: "memory_slope".to_owned(),
        metric: "rss.target".to_owned(),
        verdict: Some(Verdict::Pass),
        summary: "flat".to_owned(),
        limit: Some(1.0),
        value: Some(0.25),
        low: None,
        high: None,
        confidence: None,
        samples: 9,
        detectable: None,
        reaches_ms: None,
        evidence: Vec::new(),
    });
    let one = end(Some(&judged));
    judged.results[0].value = Some(0.5);
    let all: std::collections::BTreeSet<_> = [none, empty, one, end(Some(&judged))].into();
    assert_eq!(all.len(), 4);
}
