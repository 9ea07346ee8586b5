use proptest::prelude::*;

use super::*;
use crate::model::content::Stamp;
use crate::model::journal::{WriteEntry, WriteRun};

const CLASS: RowClass = RowClass { db: 1, iter: 1 };

fn version(db: DbNo, step: u32, depth: i64) -> Version {
    Version { stamp: Stamp { db, cycle: 1, step }, depth }
}

fn entry(db: DbNo, step: u32, seen: Option<Version>, wrote: Option<Version>, seq: Option<(u64, u64)>) -> WriteEntry {
    let runs = vec![WriteRun { class: CLASS, first: 1, last: 10, seen, wrote }];
    WriteEntry { db, step, runs, acknowledged: seq.is_some(), seq: seq.filter(|s| s.0 > 0) }
}

fn journal(db: DbNo, writes: Vec<WriteEntry>) -> CycleJournal {
    CycleJournal { db, cycle: 1, baseline: Vec::new(), writes, resent: false }
}

fn admissible(journals: &[CycleJournal]) -> Vec<Option<Version>> {
    Model::build(journals).segment(CLASS.key(5)).expect("the row was written").admissible.clone()
}

#[test]
fn a_row_that_nobody_else_touched_has_one_state() {
    let (inserted, updated) = (version(1, 4, 0), version(1, 7, 1));
    let writes =
        vec![entry(1, 4, None, Some(inserted), Some((0, 0))), entry(1, 7, Some(inserted), Some(updated), Some((0, 0)))];
    assert_eq!(admissible(&[journal(1, writes.clone()), journal(2, vec![])]), [Some(updated)]);
    let mut with_delete = writes;
    with_delete.push(entry(1, 10, Some(updated), None, Some((0, 0))));
    assert_eq!(admissible(&[journal(1, with_delete)]), [None]);
}

#[test]
fn an_unacknowledged_write_leaves_both_states_open() {
    let (inserted, updated) = (version(1, 4, 0), version(1, 7, 1));
    let writes =
        vec![entry(1, 4, None, Some(inserted), Some((0, 0))), entry(1, 7, Some(inserted), Some(updated), None)];
    assert_eq!(admissible(&[journal(1, writes)]), [Some(inserted), Some(updated)]);
}

#[test]
fn concurrent_writes_leave_a_set_that_the_servers_order_makes_exact() {
    let inserted = version(1, 4, 0);
    let (mine, theirs) = (version(1, 7, 1), version(2, 3, 1));
    let run = |first_seq, second_seq| {
        admissible(&[
            journal(
                1,
                vec![
                    entry(1, 4, None, Some(inserted), Some((1, 10))),
                    entry(1, 7, Some(inserted), Some(mine), first_seq),
                ],
            ),
            journal(2, vec![entry(2, 3, Some(inserted), Some(theirs), second_seq)]),
        ])
    };
    assert_eq!(run(Some((0, 0)), Some((0, 0))), [Some(mine), Some(theirs)]);
    assert_eq!(run(Some((11, 20)), Some((21, 30))), [Some(theirs)]);
    assert_eq!(run(Some((31, 40)), Some((21, 30))), [Some(mine)]);
    assert_eq!(run(Some((11, 25)), Some((21, 30))), [Some(mine), Some(theirs)], "overlapping sends stay open");
}

#[test]
fn what_was_there_before_the_cycle_counts() {
    let old = Version { stamp: Stamp { db: 2, cycle: 0, step: 9 }, depth: 3 };
    let mut one = journal(1, vec![entry(1, 1, Some(old), None, Some((5, 9)))]);
    let mut two = journal(2, vec![]);
    let run = StateRun { class: CLASS, first: 1, last: 12, version: old };
    one.baseline.push(run);
    two.baseline.push(run);
    let model = Model::build(&[one, two]);
    assert_eq!(model.segment(CLASS.key(5)).unwrap().admissible, [None]);
    assert_eq!(model.segment(CLASS.key(11)).unwrap().admissible, [Some(old)]);
    assert_eq!(model.segment(CLASS.key(13)), None);
    assert_eq!(model.row_bounds(), (2, 2));
}

#[test]
fn seeing_again_what_one_replaced_is_a_regression() {
    let inserted = version(1, 4, 0);
    let healthy =
        vec![entry(1, 4, None, Some(inserted), Some((1, 10))), entry(1, 10, Some(inserted), None, Some((11, 20)))];
    assert_eq!(Model::build(&[journal(1, healthy.clone())]).regressions, []);
    let mut broken = healthy;
    broken.push(entry(1, 16, Some(inserted), Some(version(1, 16, 1)), Some((21, 30))));
    let model = Model::build(&[journal(1, broken.clone())]);
    assert_eq!(model.regressions.len(), 1);
    assert!(model.regressions[0].was_deleted && model.regressions[0].rows == 10);
    let resent = CycleJournal { resent: true, ..journal(1, broken) };
    assert_eq!(Model::build(&[resent]).regressions, [], "after a reset old changes may come again");
}

#[test]
fn a_state_that_the_servers_order_had_replaced_must_not_be_seen_again() {
    let (inserted, theirs) = (version(1, 4, 0), version(2, 3, 1));
    let run = |theirs_seq| {
        let mine = vec![
            entry(1, 4, None, Some(inserted), Some((1, 10))),
            entry(1, 10, Some(inserted), None, Some((31, 40))),
            entry(1, 16, Some(theirs), Some(version(1, 16, 2)), Some((51, 60))),
        ];
        let other = vec![entry(2, 3, Some(inserted), Some(theirs), Some(theirs_seq))];
        Model::build(&[journal(1, mine), journal(2, other)]).regressions
    };
    let back = run((21, 30));
    assert_eq!(back.iter().map(|r| (r.db, r.replaced_by, r.was_deleted)).collect::<Vec<_>>(), [(1, 10, true)]);
    assert_eq!(run((41, 50)), [], "written after the deletion, the row is rightly there");
    assert_eq!(run((0, 0)), [], "without the server's order nobody can say");
}

#[test]
fn a_state_that_was_seen_and_that_nobody_wrote_is_told() {
    let (inserted, never, mine) = (version(1, 4, 0), version(2, 9, 7), version(1, 7, 8));
    let seeing = |seen| {
        vec![entry(1, 4, None, Some(inserted), Some((1, 10))), entry(1, 7, Some(seen), Some(mine), Some((11, 20)))]
    };
    let found = |journal: CycleJournal| Model::build(&[journal]).unwritten;
    assert_eq!(found(journal(1, seeing(inserted))), []);
    let told = Unwritten { db: 1, key: CLASS.key(1), rows: 10, version: never, step: 7, mixed: false };
    assert_eq!(found(journal(1, seeing(never))), [told]);
    let before = StateRun { class: CLASS, first: 1, last: 10, version: never };
    assert_eq!(found(CycleJournal { baseline: vec![before], ..journal(1, seeing(never)) }), []);
    assert_eq!(found(CycleJournal { resent: true, ..journal(1, seeing(never)) }), []);
    let merged = Version { stamp: inserted.stamp, depth: mine.depth };
    assert!(found(journal(1, seeing(merged)))[0].mixed, "a merge per column may make that");
}

#[test]
fn a_replica_is_compared_row_by_row() {
    let inserted = version(1, 4, 0);
    let model = Model::build(&[journal(1, vec![entry(1, 4, None, Some(inserted), Some((1, 10)))])]);
    let run = |first, last, version| StateRun { class: CLASS, first, last, version };
    assert_eq!(model.compare(&[run(1, 10, inserted)], false), []);
    let found = model.compare(&[run(1, 3, inserted), run(4, 4, version(2, 9, 0)), run(5, 11, inserted)], false);
    assert_eq!(found.iter().map(|m| (m.first, m.last)).collect::<Vec<_>>(), [(4, 4), (11, 11)]);
    let found = model.compare(&[run(1, 9, inserted)], false);
    assert_eq!((found[0].first, found[0].actual), (10, None));
}

#[test]
fn a_column_merge_may_mix_two_admissible_writes_but_nothing_else() {
    let (a, b) = (version(1, 7, 1), version(2, 3, 2));
    let mixed = Version { stamp: a.stamp, depth: b.depth };
    assert!(admits(&[Some(a), Some(b)], Some(mixed), true));
    assert!(!admits(&[Some(a), Some(b)], Some(mixed), false));
    assert!(!admits(&[Some(a), Some(b)], Some(version(3, 1, 1)), true));
}

/// One write of the little simulation below.
#[derive(Debug, Clone)]
enum Move {
    Write { db: usize, row: u32, delete: bool },
    Send { db: usize },
    Receive { db: usize },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let step = prop_oneof![
        3 => (0..3usize, 1..6u32, any::<bool>()).prop_map(|(db, row, delete)| Move::Write { db, row, delete }),
        2 => (0..3usize).prop_map(|db| Move::Send { db }),
        2 => (0..3usize).prop_map(|db| Move::Receive { db }),
    ];
    proptest::collection::vec(step, 1..60)
}

/// A correct server in a few lines: the last accepted write to a row wins.
#[derive(Default)]
struct Simulation {
    server: BTreeMap<u32, Option<Version>>,
    replicas: [BTreeMap<u32, Version>; 3],
    dirty: [std::collections::BTreeSet<u32>; 3],
    journals: [Vec<WriteEntry>; 3],
    seq: u64,
}

impl Simulation {
    fn write(&mut self, db: usize, row: u32, delete: bool) {
        let seen = self.replicas[db].get(&row).copied();
        if delete && seen.is_none() {
            return;
        }
        let step = self.journals[db].len() as u32 + 1;
        let stamp = Stamp { db: db as u32 + 1, cycle: 1, step };
        let wrote = (!delete).then(|| Version { stamp, depth: seen.map_or(0, |v| v.depth + 1) });
        match wrote {
            Some(version) => self.replicas[db].insert(row, version),
            None => self.replicas[db].remove(&row),
        };
        self.dirty[db].insert(row);
        let runs = vec![WriteRun { class: CLASS, first: row, last: row, seen, wrote }];
        self.journals[db].push(WriteEntry { db: db as u32 + 1, step, runs, acknowledged: false, seq: None });
    }

    fn send(&mut self, db: usize, with_seq: bool) {
        let first = self.seq + 1;
        for row in std::mem::take(&mut self.dirty[db]) {
            self.seq += 1;
            self.server.insert(row, self.replicas[db].get(&row).copied());
        }
        let seq = (with_seq && self.seq >= first).then_some((first, self.seq));
        for entry in self.journals[db].iter_mut().filter(|e| !e.acknowledged) {
            (entry.acknowledged, entry.seq) = (true, seq);
        }
    }

    fn receive(&mut self, db: usize) {
        for (row, state) in &self.server {
            if self.dirty[db].contains(row) {
                continue;
            }
            match state {
                Some(version) => self.replicas[db].insert(*row, *version),
                None => self.replicas[db].remove(row),
            };
        }
    }
}

proptest! {
    /// Whatever the databases do, what a correct server ends with is admissible; with its order it is the only state.
    #[test]
    fn a_correct_server_always_passes(moves in moves(), with_seq in any::<bool>()) {
        let mut sim = Simulation::default();
        for step in moves {
            match step {
                Move::Write { db, row, delete } => sim.write(db, row, delete),
                Move::Send { db } => sim.send(db, with_seq),
                Move::Receive { db } => sim.receive(db),
            }
        }
        (0..3).for_each(|db| sim.send(db, with_seq));
        (0..3).for_each(|db| sim.receive(db));
        let journals: Vec<_> = (0..3).map(|db| journal(db as u32 + 1, sim.journals[db].clone())).collect();
        let model = Model::build(&journals);
        prop_assert_eq!(&model.regressions, &[]);
        prop_assert_eq!(&model.unwritten, &[]);
        for (row, state) in &sim.server {
            let segment = model.segment(CLASS.key(*row)).expect("the row was written");
            prop_assert!(segment.admissible.contains(state), "row {} is {:?}, model {:?}", row, state, segment);
            if with_seq {
                prop_assert_eq!(segment.admissible.len(), 1, "{:?}", segment);
            }
        }
    }
}
