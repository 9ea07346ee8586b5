//! The journal: what a life leaves behind, the next one knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::*;
use crate::model::finding::{Kind, Side};
use crate::model::step::{Action, Step, StepOutcome};
use crate::stats::latency::Latencies;

/// Sums what was acknowledged.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Sums {
    sums: BTreeMap<u32, i64>,
}

impl Ledger for Sums {
    type Begin = i64;
    type Done = String;

    fn is_harmless(begin: &i64) -> bool {
        *begin == 0
    }

    fn begun(&mut self, _: Op, _: &i64) {}

    fn ended(&mut self, op: Op, begin: &i64, end: End, _: &String) {
        if end == End::Acknowledged {
            *self.sums.entry(op.worker).or_default() += begin;
        }
    }
}

fn open(dir: &Path, cycle: u64) -> Journal<Sums> {
    Journal::open(dir, cycle, Sums::default()).unwrap()
}

fn a_step(no: u32, counts: [u64; 3]) -> StepReport {
    StepReport {
        db: 1,
        cycle: 1,
        step: Step { no, iter: 1, action: Action::Lane(Lane::Reader), crud_ops: counts[0] },
        outcome: StepOutcome::Acknowledged,
        rows: 0,
        moved: 0,
        bytes: 0,
        attempts: 1,
        started_ms: 0,
        late_us: 0,
        elapsed_us: 0,
        seq: None,
        findings: Vec::new(),
        figures: None,
    }
}

/// Lets the file of a journal take nothing more, or everything again; returns its length.
fn spoil(journal: &Journal<Sums>, spoilt: bool) -> u64 {
    let mut inner = journal.lock();
    let path = segment_path(&inner.dir, inner.segment);
    let file = if spoilt { File::open(&path) } else { File::options().append(true).open(&path) };
    inner.file = file.unwrap();
    path.metadata().unwrap().len()
}

fn done(text: &str) -> String {
    text.to_owned()
}

#[test]
fn the_next_life_knows_what_was_acknowledged_and_what_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), 1);
    assert!(!first.is_begun());
    first.note_begun().unwrap();
    let one = first.begin(Lane::Reader, 1, 5).unwrap();
    first.end(one, End::Acknowledged, &done("a"));
    let step = first.step(Lane::Reader, |counts, _| a_step(1, counts)).unwrap();
    assert_eq!(step.step.crud_ops, 1);
    let two = first.begin(Lane::Reader, 1, 7).unwrap();
    first.end(two, End::Refused, &done("b"));
    let three = first.begin(Lane::Reader, 2, 9).unwrap();
    let four = first.begin(Lane::Reader, 2, 11).unwrap();
    first.end(four, End::Indeterminate, &done("c"));
    drop(first);
    let path = segment_path(dir.path(), 1);
    // A kill in the middle of a line.
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"e\":[{\"lane\":").unwrap();

    let second = open(dir.path(), 1);
    assert!(second.is_begun());
    assert_eq!(second.with(|sums| sums.clone()).sums, BTreeMap::from([(1, 5)]));
    let (ends, dropped) = second.open_operations();
    assert_eq!((ends, dropped), (vec![(three, 9), (four, 11)], 0));
    assert_eq!((second.last(Lane::Reader, 2), second.steps().0), (2, 1));
    second.end(four, End::Acknowledged, &done("it was there"));
    second.end(three, End::Refused, &done("it was not"));
    // The end of an indeterminate operation is counted when it ended, and not again when somebody looked.
    let step = second.step(Lane::Reader, |counts, _| a_step(2, [counts[0], counts[1], counts[2]])).unwrap();
    assert_eq!(step.step.crud_ops, 0);
    assert_eq!(second.open_operations().0, []);
    drop(second);
    let third = open(dir.path(), 1);
    assert_eq!(third.with(|sums| sums.clone()).sums, BTreeMap::from([(1, 5), (2, 11)]));
    assert_eq!(third.steps().1.len(), 2);
}

#[test]
fn what_the_tables_began_with_is_known_once_and_is_no_operation_of_the_load() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), 1);
    let made = first.begin(Lane::Reader, 9, 100).unwrap();
    first.end(made, End::Acknowledged, &done("made"));
    first.note_begun().unwrap();
    let one = first.begin(Lane::Reader, 1, 5).unwrap();
    first.end(one, End::Acknowledged, &done("a"));
    drop(first);
    let second = open(dir.path(), 1);
    assert_eq!(second.with(|sums| sums.clone()).sums, BTreeMap::from([(1, 5), (9, 100)]));
    assert_eq!(second.step(Lane::Reader, |counts, _| a_step(1, counts)).unwrap().step.crud_ops, 1);
}

#[test]
fn another_cycle_begins_with_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), 1);
    let one = first.begin(Lane::Reader, 1, 5).unwrap();
    first.end(one, End::Acknowledged, &done("a"));
    drop(first);
    let second = open(dir.path(), 2);
    assert_eq!((second.with(|sums| sums.clone()), second.steps().0, second.is_begun()), (Sums::default(), 0, false));
}

#[test]
fn files_stay_bounded_and_the_ledger_survives_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), 1);
    let long = "x".repeat(1 << 20);
    for n in 0..100u32 {
        let op = journal.begin(Lane::Reader, 1, 1).unwrap();
        journal.end(op, End::Acknowledged, &long);
        journal.step(Lane::Reader, |counts, _| a_step(n + 1, counts)).unwrap();
    }
    let kept: u64 = segments(dir.path()).unwrap().values().map(|path| path.metadata().unwrap().len()).sum();
    assert!(kept <= (SEGMENTS_KEPT + 2) * (SEGMENT_BYTES + (1 << 21)), "{kept}");
    assert!(journal.recent()[0].2.iter().all(|line| line.len() <= RECENT_BYTES));
    drop(journal);
    assert_eq!(open(dir.path(), 1).with(|sums| sums.clone()).sums[&1], 100);
}

#[test]
fn a_journal_that_cannot_be_read_is_said_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), 1));
    std::fs::write(dir.path().join("checkpoint.json"), b"{").unwrap();
    let error = Journal::open(dir.path(), 1, Sums::default()).err().unwrap().to_string();
    assert!(error.contains("checkpoint.json") && error.contains("--fresh"), "{error}");
}

#[test]
fn what_belongs_to_a_step_that_is_not_done_survives_a_kill_and_is_told_once() {
    let finding = |what: &str| Finding::new(5, 1, "load", (Side::Server, Kind::Constraint), what);
    let figures = |us: u64| {
        let mut latency = Latencies::default();
        latency.record(us);
        LaneFigures { unexpected: [("constraint".into(), 1)].into(), latency: latency.pack(), ..LaneFigures::default() }
    };
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), 1);
    first.carry(Lane::Reader, figures(3), vec![finding("one")]);
    drop(first);
    let second = open(dir.path(), 1);
    second.carry(Lane::Reader, figures(5), vec![finding("two")]);
    drop(second);
    let third = open(dir.path(), 1);
    let mut carried = Carried::default();
    third
        .step(Lane::Deleter, |counts, other| {
            assert_eq!(other.findings, []);
            let report = a_step(1, counts);
            StepReport { step: Step { action: Action::Lane(Lane::Deleter), ..report.step }, ..report }
        })
        .unwrap();
    let step = |counts, all| {
        carried = all;
        a_step(2, counts)
    };
    third.step(Lane::Reader, step).unwrap();
    assert_eq!(carried.findings, [finding("one"), finding("two")]);
    assert_eq!(carried.figures.unexpected["constraint"], 2);
    assert_eq!(Latencies::unpack(&carried.figures.latency).map(|all| (all.count(), all.max())), Some((2, 5)));
    third
        .step(Lane::Reader, |counts, after| {
            assert_eq!((after.findings.len(), after.figures.unexpected.len()), (0, 0));
            a_step(3, counts)
        })
        .unwrap();
    drop(third);
    let step = |counts, after: Carried| {
        assert!(after.findings.is_empty());
        a_step(4, counts)
    };
    open(dir.path(), 1).step(Lane::Reader, step).unwrap();
}

#[test]
fn nothing_follows_a_line_that_could_not_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), 1);
    let one = journal.begin(Lane::Reader, 1, 5).unwrap();
    journal.end(one, End::Acknowledged, &done("a"));
    // The file takes no more, as on a full disk, and then it does again.
    let whole = spoil(&journal, true);
    let error = journal.begin(Lane::Reader, 1, 7).unwrap_err().to_string();
    assert!(error.contains("--fresh"), "{error}");
    spoil(&journal, false);
    assert!(journal.begin(Lane::Reader, 2, 9).is_err(), "an operation that cannot be written down is not sent");
    journal.end(one, End::Acknowledged, &done("b"));
    assert!(journal.step(Lane::Reader, |counts, _| a_step(1, counts)).is_err());
    drop(journal);
    assert_eq!(whole, std::fs::metadata(segment_path(dir.path(), 1)).unwrap().len());
    let next = open(dir.path(), 1);
    assert_eq!(next.with(|sums| sums.clone()).sums, BTreeMap::from([(1, 5)]));
    assert_eq!((next.open_operations().0, next.last(Lane::Reader, 1)), (vec![], 1));
}
