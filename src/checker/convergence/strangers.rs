//! Names rows that cannot be this user's own under their key; of such a row nothing else is said in the same place.

use std::collections::BTreeSet;

use super::class::show;
use super::{Court, Fault, foreign};
use crate::checker::admissible::Mismatch;
use crate::checker::strange::StrangeRow;
use crate::model::ids::RowKey;

impl Court<'_> {
    /// Returns true if the row was named as a stranger there.
    pub(super) fn is_strange(&self, place: &str, key: RowKey) -> bool {
        self.strange.get(place).is_some_and(|keys| keys.contains(&key.to_string()))
    }

    /// Names other users' rows only: all that can be said where the group's history is not known.
    pub(super) fn foreigners(&mut self) {
        for replica in &self.group.replicas {
            let rows: Vec<StrangeRow> = replica.strange.iter().filter(|row| row.foreign).cloned().collect();
            self.strangers(&replica.name, &rows, rows.len() as u64);
        }
    }

    /// Names other users' rows that write steps found, unless they are still there and were named for that.
    pub(super) fn sightings(&mut self, sightings: &[foreign::Sighting]) {
        for found in sightings {
            let place = format!("DB{}", found.db);
            if self.is_strange(&place, found.key) {
                continue;
            }
            let detail = format!("it belongs to the user of DB{} (step {} found it)", found.key.db, found.step);
            self.add(Fault::Foreign, &place, found.key.to_string(), found.rows, detail);
        }
    }

    /// Names states that write steps found and that nobody wrote, unless they are still there and were named for that.
    pub(super) fn unwritten(&mut self) {
        for found in self.model.unwritten.iter().filter(|f| !(f.mixed && self.group.merge_columns)) {
            let (place, key) = (format!("DB{}", found.db), found.key.to_string());
            let named = self.faults.iter().any(|f| f.place == place && f.key == key);
            if named || self.is_strange(&place, found.key) {
                continue;
            }
            let detail = format!("step {} found {}, which nobody wrote", found.step, show(&found.version));
            self.add(Fault::Phantom, &place, key, found.rows, detail);
        }
    }

    /// Names the strangers of one place.
    pub(super) fn strangers(&mut self, place: &str, strange: &[StrangeRow], total: u64) {
        for row in strange {
            self.strange.entry(place.to_owned()).or_default().insert(row.key.clone());
            if row.foreign {
                let detail = format!("it belongs to {}", row.owner);
                self.add(Fault::Foreign, place, row.key.clone(), 1, detail);
            } else if let Some(original) = self.originals.get(&row.key) {
                let detail = format!("its content is that of {original}");
                self.add(Fault::Duplicated, place, row.key.clone(), 1, detail);
            } else {
                let detail = format!("nobody wrote such a row (stamp {:?})", row.stamp);
                self.add(Fault::Phantom, place, row.key.clone(), 1, detail);
            }
        }
        self.total += total.saturating_sub(strange.len() as u64);
    }

    /// Cuts the rows that were named as strangers out of a run of rows.
    pub(super) fn without_strangers(&self, place: &str, run: Mismatch) -> Vec<Mismatch> {
        let strange = self.strange.get(place);
        let rows: BTreeSet<u32> = strange
            .into_iter()
            .flatten()
            .filter_map(|key| RowKey::parse(key))
            .filter(|key| key.class() == run.class && (run.first..=run.last).contains(&key.row))
            .map(|key| key.row)
            .collect();
        let (mut pieces, mut next) = (Vec::new(), Some(run.first));
        for row in rows {
            if let Some(first) = next.filter(|first| *first < row) {
                pieces.push(Mismatch { first, last: row - 1, ..run.clone() });
            }
            next = row.checked_add(1);
        }
        if let Some(first) = next.filter(|first| *first <= run.last) {
            pieces.push(Mismatch { first, ..run });
        }
        pieces
    }
}
