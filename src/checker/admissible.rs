//! The model of a user's rows: for every row the set of states that it may be in, computed from the journals of all
//! databases that wrote it.
//!
//! A state is admissible if some write left it and no acknowledged write that had seen it, or that the server must have put
//! after it, replaced it. Rows that nobody else touched have exactly one such state. Where the target gives sequence
//! numbers (its accept order decides) sends that did not overlap are ordered by them, so that the set shrinks to one; a
//! target that tells nothing leaves the set as it is. Rows are handled as runs: the cost follows the number of different
//! fates, not the number of rows.

use std::collections::BTreeMap;

use crate::model::ids::{DbNo, RowClass, RowKey};
use crate::model::journal::{CycleJournal, StateRun, Version};

/// Neighbouring rows with one history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub first: u32,
    pub last: u32,
    /// States the rows may be in; `None` is "not there".
    pub admissible: Vec<Option<Version>>,
    /// Every state the rows were ever in, in this cycle.
    pub known: Vec<Version>,
    /// Databases that deleted the rows.
    pub deleters: Vec<DbNo>,
    /// Databases whose writes of the rows were acknowledged.
    pub writers: Vec<DbNo>,
}

/// A database saw a state again that it had itself replaced before: reads went backwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regress {
    pub db: DbNo,
    pub key: RowKey,
    pub rows: u32,
    pub version: Version,
    /// Step that had replaced the state, and step that saw it again.
    pub replaced_by: u32,
    pub seen_again_by: u32,
    /// True if it had been deleted; false if it had been overwritten.
    pub was_deleted: bool,
}

/// A database saw a state that no write of the cycle left and that was not there when the cycle began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwritten {
    pub db: DbNo,
    pub key: RowKey,
    pub rows: u32,
    pub version: Version,
    pub step: u32,
    /// True if a merge per column may have made it of states that were written.
    pub mixed: bool,
}

/// The model of one user's rows after one cycle.
#[derive(Debug, Default)]
pub struct Model {
    classes: BTreeMap<RowClass, Vec<Segment>>,
    pub regressions: Vec<Regress>,
    pub regressions_total: u64,
    pub unwritten: Vec<Unwritten>,
}

/// Regressions, and states that nobody wrote, that are listed one by one.
const REGRESSIONS_MAX: usize = 50;

/// One write of a run of rows, flattened from a journal.
#[derive(Debug, Clone, Copy)]
struct Write {
    first: u32,
    last: u32,
    /// 0 for what was there when the cycle began.
    db: DbNo,
    step: u32,
    seen: Option<Version>,
    wrote: Option<Version>,
    acknowledged: bool,
    seq: Option<(u64, u64)>,
    resent: bool,
}

impl Model {
    /// Computes the model from the journals of all databases of one user.
    pub fn build(journals: &[CycleJournal]) -> Self {
        let mut by_class: BTreeMap<RowClass, Vec<Write>> = BTreeMap::new();
        for journal in journals {
            for run in &journal.baseline {
                by_class.entry(run.class).or_default().push(baseline(run));
            }
            for entry in &journal.writes {
                for run in &entry.runs {
                    by_class.entry(run.class).or_default().push(Write {
                        first: run.first,
                        last: run.last,
                        db: entry.db,
                        step: entry.step,
                        seen: run.seen,
                        wrote: run.wrote,
                        acknowledged: entry.acknowledged,
                        seq: entry.seq,
                        resent: journal.resent,
                    });
                }
            }
        }
        let mut model = Self::default();
        // After a reset changes of earlier cycles may come again, to anybody.
        let resent = journals.iter().any(|journal| journal.resent);
        for (class, mut writes) in by_class {
            writes.sort_unstable_by_key(|w| (w.first, w.db, w.step));
            let segments = model.sweep(class, &writes, journals.len(), resent);
            model.classes.insert(class, segments);
        }
        model
    }

    /// Cuts a class where any write begins or ends, and settles the fate of each piece.
    fn sweep(&mut self, class: RowClass, writes: &[Write], databases: usize, resent: bool) -> Vec<Segment> {
        let mut cuts: Vec<u64> = writes.iter().flat_map(|w| [u64::from(w.first), u64::from(w.last) + 1]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut segments: Vec<Segment> = Vec::new();
        let mut active: Vec<Write> = Vec::new();
        let mut next = 0;
        for pair in cuts.windows(2) {
            let (first, last) = (pair[0] as u32, (pair[1] - 1) as u32);
            active.retain(|w| w.last >= first);
            while next < writes.len() && writes[next].first <= first {
                active.push(writes[next]);
                next += 1;
            }
            if active.is_empty() {
                continue;
            }
            active.sort_unstable_by_key(|w| (w.db, w.step));
            self.regressions(class, first, last, &active);
            if !resent {
                self.unwritten(class, first, last, &active);
            }
            let segment = fate(first, last, &active, databases);
            match segments.last_mut() {
                Some(before) if same_fate(before, &segment) => before.last = last,
                _ => segments.push(segment),
            }
        }
        segments
    }

    /// Looks for a database that saw a state again after it had replaced it.
    fn regressions(&mut self, class: RowClass, first: u32, last: u32, active: &[Write]) {
        for (i, again) in active.iter().enumerate() {
            let Some(version) = again.seen else { continue };
            let older = |w: &Write| {
                w.seen == Some(version) || active.iter().any(|x| x.wrote == Some(version) && replaces(w, x))
            };
            // The last of them says what the database had made of the row.
            let earlier = active[..i].iter().rfind(|w| {
                w.db == again.db
                    && w.db != 0
                    && w.step < again.step
                    && w.wrote != again.seen
                    && w.acknowledged
                    && older(w)
            });
            let Some(earlier) = earlier.filter(|w| !w.resent) else { continue };
            self.regressions_total += 1;
            if self.regressions.len() < REGRESSIONS_MAX {
                self.regressions.push(Regress {
                    db: again.db,
                    key: class.key(first),
                    rows: last - first + 1,
                    version,
                    replaced_by: earlier.step,
                    seen_again_by: again.step,
                    was_deleted: earlier.wrote.is_none(),
                });
            }
        }
    }

    /// Looks for states that were seen although nobody had written them.
    fn unwritten(&mut self, class: RowClass, first: u32, last: u32, active: &[Write]) {
        let any = |test: &dyn Fn(&Version) -> bool| active.iter().filter_map(|w| w.wrote.as_ref()).any(test);
        for write in active {
            let Some(version) = write.seen.filter(|seen| !any(&|v| v == seen)) else { continue };
            let mixed = any(&|v| v.stamp == version.stamp) && any(&|v| v.depth == version.depth);
            let of_kind = self.unwritten.iter().filter(|found| found.mixed == mixed).count();
            if of_kind < REGRESSIONS_MAX {
                let (key, rows) = (class.key(first), last - first + 1);
                self.unwritten.push(Unwritten { db: write.db, key, rows, version, step: write.step, mixed });
            }
        }
    }

    /// Returns the history of a row; `None` if nobody ever wrote it.
    pub fn segment(&self, key: RowKey) -> Option<&Segment> {
        let segments = self.classes.get(&key.class())?;
        let at = segments.partition_point(|s| s.last < key.row);
        segments.get(at).filter(|s| s.first <= key.row)
    }

    /// Compares a replica's states with the model: runs of rows whose state is not admissible, in order.
    pub fn compare(&self, states: &[StateRun], merge_columns: bool) -> Vec<Mismatch> {
        let mut found = Vec::new();
        let mut by_class: BTreeMap<RowClass, Vec<&StateRun>> = BTreeMap::new();
        for run in states {
            by_class.entry(run.class).or_default().push(run);
        }
        let classes: std::collections::BTreeSet<RowClass> =
            self.classes.keys().chain(by_class.keys()).copied().collect();
        for class in classes {
            let segments = self.classes.get(&class).map_or(&[][..], Vec::as_slice);
            let runs = by_class.get(&class).map_or(&[][..], Vec::as_slice);
            compare_class(class, segments, runs, merge_columns, &mut found);
        }
        found
    }

    /// Returns how many rows there must be at least and at most.
    pub fn row_bounds(&self) -> (u64, u64) {
        let (mut least, mut most) = (0, 0);
        for segment in self.classes.values().flatten() {
            let rows = u64::from(segment.last - segment.first) + 1;
            least += if segment.admissible.contains(&None) { 0 } else { rows };
            most += if segment.admissible.iter().any(Option::is_some) { rows } else { 0 };
        }
        (least, most)
    }

    /// Returns every key that must not be there any more, in order.
    pub fn dead_keys(&self) -> impl Iterator<Item = RowKey> + '_ {
        self.classes.iter().flat_map(|(class, segments)| {
            let dead = segments.iter().filter(|s| s.admissible.iter().all(Option::is_none));
            dead.flat_map(|s| (s.first..=s.last).map(|row| class.key(row)))
        })
    }

    /// Returns every key that may be there, in order.
    pub fn live_keys(&self) -> impl Iterator<Item = RowKey> + '_ {
        self.classes.iter().flat_map(|(class, segments)| {
            let alive = segments.iter().filter(|s| s.admissible.iter().any(Option::is_some));
            alive.flat_map(|s| (s.first..=s.last).map(|row| class.key(row)))
        })
    }
}

/// Rows of a replica that are not as they may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    pub class: RowClass,
    pub first: u32,
    pub last: u32,
    pub actual: Option<Version>,
    /// What would be admissible; empty if nobody ever wrote such rows.
    pub admissible: Vec<Option<Version>>,
}

/// Returns true if the state is one of the admissible ones.
///
/// A service that merges per column may take the stamp of one write and the counter of another.
pub fn admits(admissible: &[Option<Version>], actual: Option<Version>, merge_columns: bool) -> bool {
    if admissible.contains(&actual) {
        return true;
    }
    let Some(actual) = actual.filter(|_| merge_columns) else { return false };
    let any = |test: &dyn Fn(&Version) -> bool| admissible.iter().flatten().any(test);
    any(&|v| v.stamp == actual.stamp) && any(&|v| v.depth == actual.depth)
}

fn compare_class(
    class: RowClass,
    segments: &[Segment],
    runs: &[&StateRun],
    merge_columns: bool,
    found: &mut Vec<Mismatch>,
) {
    let mut cuts: Vec<u64> = segments
        .iter()
        .map(|s| (s.first, s.last))
        .chain(runs.iter().map(|r| (r.first, r.last)))
        .flat_map(|(first, last)| [u64::from(first), u64::from(last) + 1])
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    let (mut s, mut r) = (0, 0);
    for pair in cuts.windows(2) {
        let (first, last) = (pair[0] as u32, (pair[1] - 1) as u32);
        while s < segments.len() && segments[s].last < first {
            s += 1;
        }
        while r < runs.len() && runs[r].last < first {
            r += 1;
        }
        let segment = segments.get(s).filter(|seg| seg.first <= first);
        let actual = runs.get(r).filter(|run| run.first <= first).map(|run| run.version);
        let admissible = segment.map_or(&[][..], |seg| seg.admissible.as_slice());
        let never_written = segment.is_none() && actual.is_none();
        if !never_written && !admits(admissible, actual, merge_columns) {
            found.push(Mismatch { class, first, last, actual, admissible: admissible.to_vec() });
        }
    }
}

fn baseline(run: &StateRun) -> Write {
    Write {
        first: run.first,
        last: run.last,
        db: 0,
        step: 0,
        seen: None,
        wrote: Some(run.version),
        acknowledged: true,
        seq: Some((0, 0)),
        resent: false,
    }
}

/// Returns what may have become of rows with these writes, ordered by database and step.
fn fate(first: u32, last: u32, writes: &[Write], databases: usize) -> Segment {
    let mut candidates: Vec<Write> = writes.to_vec();
    let baselines = writes.iter().filter(|w| w.db == 0).count();
    if baselines < databases {
        // Somewhere the row was not there when the cycle began.
        candidates.push(Write {
            first,
            last,
            db: 0,
            step: 0,
            seen: None,
            wrote: None,
            acknowledged: true,
            seq: Some((0, 0)),
            resent: false,
        });
    }
    let mut admissible: Vec<Option<Version>> = Vec::new();
    for write in &candidates {
        if !candidates.iter().any(|later| replaces(later, write)) && !admissible.contains(&write.wrote) {
            admissible.push(write.wrote);
        }
    }
    let mut segment = Segment { first, last, admissible, known: Vec::new(), deleters: Vec::new(), writers: Vec::new() };
    for write in writes {
        match write.wrote {
            Some(version) if !segment.known.contains(&version) => segment.known.push(version),
            None if !segment.deleters.contains(&write.db) => segment.deleters.push(write.db),
            _ => {}
        }
        if write.acknowledged && write.db != 0 && !segment.writers.contains(&write.db) {
            segment.writers.push(write.db);
        }
    }
    segment
}

/// Returns true if `later` is known to have replaced what `write` left.
fn replaces(later: &Write, write: &Write) -> bool {
    if !later.acknowledged || later.db == 0 {
        return false;
    }
    let own = later.db == write.db && later.step > write.step;
    let saw_it = match write.wrote {
        Some(version) => later.seen == Some(version) && !(later.db == write.db && later.step == write.step),
        None => write.db == 0 && later.seen.is_none(),
    };
    let ordered = matches!((later.seq, write.seq), (Some((from, _)), Some((_, until))) if from > until)
        && !(later.db == write.db && later.step <= write.step);
    own || saw_it || ordered
}

fn same_fate(a: &Segment, b: &Segment) -> bool {
    a.last.checked_add(1) == Some(b.first)
        && a.admissible == b.admissible
        && a.known == b.known
        && a.deleters == b.deleters
        && a.writers == b.writers
}

#[cfg(test)]
mod tests;
