//! Reading incidents; they are written in the same transaction as the findings and cycles that they come from.

use super::desk::is_open;
use super::tables::{self, INCIDENTS};
use super::{Store, StoreError};
use crate::model::incident::case::Case;
use crate::model::incident::{ChangeKind, Incident};

impl Store {
    /// Returns the incidents, the newest first; at most `max`.
    pub fn incidents(&self, open_only: bool, max: usize) -> Result<Vec<Incident>, StoreError> {
        self.incidents_before(None, open_only, max)
    }

    /// Returns the incidents that came before one of this number, or all of them, the newest first; at most `max`.
    pub fn incidents_before(
        &self,
        before: Option<u64>,
        open_only: bool,
        max: usize,
    ) -> Result<Vec<Incident>, StoreError> {
        let until = before.unwrap_or(u64::MAX).to_be_bytes();
        self.read(|txn| {
            let Some(table) = tables::if_there(txn, INCIDENTS)? else { return Ok(Vec::new()) };
            let mut found = Vec::new();
            for row in table.range(..until.as_slice())?.rev() {
                if found.len() >= max {
                    break;
                }
                let case: Case = tables::parse(INCIDENTS, row?.1.value())?;
                if !open_only || is_open(&case) {
                    found.push(case.incident);
                }
            }
            Ok(found)
        })
    }

    /// Returns one incident.
    pub fn incident(&self, id: u64) -> Result<Option<Incident>, StoreError> {
        self.read(|txn| {
            let Some(table) = tables::if_there(txn, INCIDENTS)? else { return Ok(None) };
            Ok(tables::get::<Case>(&table, INCIDENTS, &id.to_be_bytes())?.map(|case| case.incident))
        })
    }

    /// Returns what happened to incidents in the transactions since this was last called.
    pub fn take_changes(&mut self) -> Vec<(Incident, ChangeKind)> {
        std::mem::take(&mut self.changes)
    }
}
