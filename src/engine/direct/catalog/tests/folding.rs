use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::ledger::{Begin, Done, Met, left};
use super::*;
use crate::engine::direct::course::{Ledger, Op};

fn op(worker: u32, no: u64) -> Op {
    Op { lane: Lane::ConcurrentWriters, worker, no }
}

/// Takes in a write that ended.
fn write(ledger: &mut CatalogLedger, op: Op, (dataset, from, before): (u32, i64, &str), end: End) {
    let begin = Begin::Write(dataset, from, before.into());
    ledger.begun(op, &begin);
    let met = (end != End::Acknowledged).then_some(Met::Conflict);
    ledger.ended(op, &begin, end, &Done { met, ..Done::default() });
}

#[test]
fn two_writers_with_the_same_version_are_a_lost_update() {
    let mut ledger = CatalogLedger::new(2, SEED);
    write(&mut ledger, op(1, 1), (2, 1, "a"), End::Acknowledged);
    write(&mut ledger, op(2, 1), (2, 1, "a"), End::Acknowledged);
    assert_eq!(
        ledger.twice.first,
        ["dataset_002: version 2 was acknowledged to concurrent_writers/2, operation 1, and to concurrent_writers/1, \
          operation 1: one of the updates is lost"]
    );
}

#[test]
fn what_was_refused_after_the_compare_and_set_counts_nowhere() {
    let mut ledger = CatalogLedger::new(1, SEED);
    write(&mut ledger, op(1, 1), (1, 1, "a"), End::Refused);
    write(&mut ledger, op(2, 1), (1, 1, "a"), End::Indeterminate);
    let evidence = ledger.evidence();
    assert_eq!((evidence[0].acknowledged, evidence[0].last.version, ledger.tops()), (0, 1, vec![1]));
    assert_eq!(ledger.counts(Lane::ConcurrentWriters).conflicts, 2);
}

#[test]
fn a_checkpoint_stays_small_and_says_the_same() {
    let mut ledger = CatalogLedger::new(50, SEED);
    for no in 1..=20_000u64 {
        let from = no.div_ceil(50) as i64;
        write(&mut ledger, op(1, no), ((no % 50) as u32 + 1, from, "0123456789abcdef"), End::Acknowledged);
    }
    let text = serde_json::to_string(&ledger).unwrap();
    assert!(text.len() < 128 * 1024, "{}", text.len());
    let again: CatalogLedger = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
}

/// A write: who, on which dataset, how it ends, and whether its acknowledgement comes late.
type Planned = (u32, u32, u8, bool);

proptest! {
    /// Against a plain model: acknowledgements of a true history in any order of the ends are all counted, nothing is found.
    #[test]
    fn a_true_history_is_counted_and_found_clean(plan in prop::collection::vec((1u32..4, 1u32..4, 0u8..4, any::<bool>()), 0..120)) {
        let mut ledger = CatalogLedger::new(3, SEED);
        let mut rows: BTreeMap<u32, _> = ledger.evidence().into_iter().zip(1..).map(|(d, no)| (no, d.last)).collect();
        let mut acknowledged: BTreeMap<u32, u64> = BTreeMap::new();
        let (mut late, mut numbers) = (Vec::new(), BTreeMap::<u32, u64>::new());
        let plan: Vec<Planned> = plan;
        for (worker, dataset, end, delayed) in plan {
            let no = numbers.entry(worker).and_modify(|no| *no += 1).or_insert(1);
            let (op, row) = (op(worker, *no), &rows[&dataset]);
            let begin = Begin::Write(dataset, row.version, row.content.clone());
            let after = left(op, row.version, &row.content);
            ledger.begun(op, &begin);
            let end = if end == 0 { End::Refused } else { End::Acknowledged };
            if end == End::Acknowledged {
                *acknowledged.entry(dataset).or_default() += 1;
                rows.insert(dataset, after);
            }
            if delayed {
                late.push((op, begin, end));
            } else {
                ledger.ended(op, &begin, end, &Done::default());
            }
        }
        for (op, begin, end) in late.into_iter().rev() {
            ledger.ended(op, &begin, end, &Done::default());
        }
        prop_assert_eq!(ledger.twice.broken, 0);
        for (known, no) in ledger.evidence().into_iter().zip(1u32..) {
            prop_assert_eq!(known.acknowledged, acknowledged.get(&no).copied().unwrap_or(0));
            prop_assert_eq!(&known.last, &rows[&no]);
        }
    }

    /// Of two writes with one version the second is found, wherever it stands.
    #[test]
    fn a_doubled_version_is_always_found(length in 2usize..60, twice in 0usize..60) {
        let mut ledger = CatalogLedger::new(1, SEED);
        for at in 0..length {
            write(&mut ledger, op(1, at as u64 + 1), (1, at as i64 + 1, "a"), End::Acknowledged);
        }
        write(&mut ledger, op(2, 1), (1, (twice % length) as i64 + 1, "a"), End::Acknowledged);
        prop_assert_eq!(ledger.twice.broken, 1);
        prop_assert!(ledger.twice.first[0].contains("concurrent_writers/2"));
    }

    /// Distinct versions that readers saw are those that they saw.
    #[test]
    fn versions_seen_through_the_cache_are_counted(versions in prop::collection::vec(1i64..40, 0..60)) {
        let mut ledger = CatalogLedger::new(1, SEED);
        for (version, no) in versions.iter().zip(1..) {
            let (op, begin) = (Op { lane: Lane::CacheReaders, worker: 1, no }, Begin::Read(1));
            ledger.begun(op, &begin);
            ledger.ended(op, &begin, End::Acknowledged, &Done { cached: Some(*version), ..Done::default() });
        }
        let distinct = versions.iter().collect::<BTreeSet<_>>().len() as u64;
        prop_assert_eq!(ledger.distinct(), (distinct, distinct));
    }
}
