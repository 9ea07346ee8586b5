//! Takes other users' rows out of a user's history: wherever such a row was seen is a fault of its own, and what was done to
//! it there is nothing that the user's content can be measured by.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Group;
use crate::model::ids::{DbNo, RowClass, RowKey};
use crate::model::journal::CycleJournal;

/// Other users' rows that a write step found in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sighting {
    pub(super) db: DbNo,
    pub(super) key: RowKey,
    pub(super) rows: u32,
    pub(super) step: u32,
}

/// Sightings that are listed one by one.
const SIGHTINGS_MAX: usize = 50;

/// Returns the journals without other users' rows, and where those were seen first.
pub(super) fn split<'a>(group: &'a Group<'_>) -> (Cow<'a, [CycleJournal]>, Vec<Sighting>) {
    let own = |class: RowClass| group.owner.is_none() || group.members.contains(&class.db);
    let all_own = |journal: &CycleJournal| {
        journal.baseline.iter().all(|run| own(run.class))
            && journal.writes.iter().flat_map(|entry| &entry.runs).all(|run| own(run.class))
    };
    if group.journals.iter().all(all_own) {
        return (Cow::Borrowed(&group.journals), Vec::new());
    }
    let mut first: BTreeMap<(DbNo, RowKey), Sighting> = BTreeMap::new();
    let mut journals = group.journals.clone();
    for journal in &mut journals {
        journal.baseline.retain(|run| own(run.class));
        for entry in &mut journal.writes {
            for run in entry.runs.iter().filter(|run| !own(run.class) && run.seen.is_some()) {
                let (db, step, key, rows) = (entry.db, entry.step, run.class.key(run.first), run.last - run.first + 1);
                if first.len() < SIGHTINGS_MAX {
                    first.entry((db, key)).or_insert(Sighting { db, key, rows, step });
                }
            }
            entry.runs.retain(|run| own(run.class));
        }
    }
    (Cow::Owned(journals), first.into_values().collect())
}
