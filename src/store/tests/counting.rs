//! A step counts exactly once, in whatever order and how often it is reported.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::model::record::Outage;

#[derive(Debug, Clone)]
enum Move {
    Report(Vec<(u64, u32, u32)>),
    Finish,
    Reopen,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let step = (1u64..4, 1u32..4, 1u32..12);
    let one = prop_oneof![
        6 => prop::collection::vec(step, 0..12).prop_map(Move::Report),
        1 => Just(Move::Finish),
        1 => Just(Move::Reopen),
    ];
    prop::collection::vec(one, 1..20)
}

/// What counting distinct keys once gives, computed without a store.
#[derive(Default)]
struct Expected {
    seen: BTreeSet<(u64, u32, u32)>,
    totals: Counters,
    by_db: BTreeMap<u32, Counters>,
}

impl Expected {
    fn report(&mut self, closed: u64, (cycle, db, no): (u64, u32, u32)) -> u64 {
        if cycle <= closed || !self.seen.insert((cycle, db, no)) {
            return 0;
        }
        let report = a_step(cycle, db, no);
        let mut one = Counters { errors: report.findings.len() as u64, ..Counters::default() };
        one.count(&report);
        self.totals.add(&one);
        self.by_db.entry(db).or_default().add(&one);
        1
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_step_counts_once(moves in moves()) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let run = a_run(RUN, 1);
        store.begin_run(&run).unwrap();
        let (mut expected, mut closed) = (Expected::default(), 0);
        for next in moves {
            match next {
                Move::Report(keys) => {
                    let reports: Vec<_> = keys.iter().map(|(cycle, db, no)| a_step(*cycle, *db, *no)).collect();
                    let fresh: u64 = keys.into_iter().map(|at| expected.report(closed, at)).sum();
                    prop_assert_eq!(store.record_steps(RUN, &reports).unwrap(), fresh);
                }
                Move::Finish => {
                    closed += 1;
                    store.finish_cycle(&run, &a_cycle(closed, Verdict::Pass), &BTreeMap::from([(1, closed)])).unwrap();
                    store.finish_cycle(&run, &a_cycle(closed, Verdict::Pass), &BTreeMap::from([(1, closed)])).unwrap();
                    prop_assert!(store.steps_done(RUN, closed).unwrap().is_empty());
                }
                Move::Reopen => {
                    drop(store);
                    store = Store::open(dir.path()).unwrap();
                }
            }
            let mut open: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
            for (_, db, no) in expected.seen.iter().filter(|(cycle, ..)| *cycle == closed + 1) {
                open.entry(*db).or_default().insert(*no);
            }
            prop_assert_eq!(store.steps_done(RUN, closed + 1).unwrap(), open);
        }
        let snapshot = store.snapshot(RUN).unwrap().unwrap();
        prop_assert_eq!(&snapshot.totals, &expected.totals);
        prop_assert_eq!(snapshot.cycles_done, closed);
        for summary in &snapshot.databases {
            let counted = expected.by_db.remove(&summary.db).unwrap_or_default();
            prop_assert_eq!(&summary.counters, &counted);
        }
        prop_assert!(expected.by_db.is_empty());
        prop_assert_eq!(snapshot.findings.iter().map(|group| group.count).sum::<u64>(), snapshot.totals.errors);
    }
}

#[test]
fn a_summary_names_its_user_and_slowest_steps() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.begin_run(&a_run(RUN, 1)).unwrap();
    store.record_steps(RUN, &[a_step(1, 3, 1), a_step(1, 3, 4), a_step(1, 3, 3)]).unwrap();
    let snapshot = store.snapshot(RUN).unwrap().unwrap();
    let summary = &snapshot.databases[0];
    assert_eq!((summary.db, summary.user, summary.counters.steps), (3, 2, 3));
    assert_eq!(summary.slowest_us, BTreeMap::from([("inserted".to_owned(), 12), ("sent".to_owned(), 9)]));
}

#[test]
fn groups_of_findings_are_bounded_and_the_rest_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.begin_run(&a_run(RUN, 1)).unwrap();
    let letters = |n: usize| ["a", "b", "c", "d", "e", "f", "g"].map(|l| l.repeat(n + 1)).concat();
    let findings: Vec<_> = (0..FINDING_GROUPS_MAX + 5)
        .map(|n| a_finding(n as i64, 1, &format!("{}{}", "x".repeat(n % 150), letters(n / 150))))
        .collect();
    store.record_findings(RUN, &findings).unwrap();
    store.record_findings(RUN, &findings[..1]).unwrap();
    let snapshot = store.snapshot(RUN).unwrap().unwrap();
    assert_eq!(snapshot.findings.len(), FINDING_GROUPS_MAX);
    assert_eq!(snapshot.findings_ungrouped, 5);
    assert_eq!(snapshot.totals.errors, FINDING_GROUPS_MAX as u64 + 6);
    assert_eq!(snapshot.findings[0].count, 2, "the first seen comes first");
}

#[test]
fn outages_are_updated_in_place_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.begin_run(&a_run(RUN, 1)).unwrap();
    let outage = |from_ms, until_ms| Outage { from_ms, until_ms, reason: "no answer".to_owned() };
    store.record_outages(RUN, &[outage(5, None)]).unwrap();
    store.record_outages(RUN, &[outage(5, Some(9))]).unwrap();
    assert_eq!(store.snapshot(RUN).unwrap().unwrap().outages, [outage(5, Some(9))]);
    let many: Vec<_> = (10..10 + OUTAGES_MAX as i64).map(|at| outage(at, Some(at + 1))).collect();
    store.record_outages(RUN, &many).unwrap();
    let snapshot = store.snapshot(RUN).unwrap().unwrap();
    assert_eq!((snapshot.outages.len(), snapshot.outages_dropped), (OUTAGES_MAX, 1));
    assert_eq!(snapshot.outages, many);
}
