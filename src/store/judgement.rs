//! What the criteria of a run came to, and what that means for incidents.

use redb::ReadTransaction;

use super::runs::progress;
use super::tables::{self, BLOBS, named};
use super::{Store, StoreError};
use crate::model::finding::Finding;
use crate::model::judgement::Judgement;

/// Name that it is kept under.
const NAME: &str = "judgement";

impl Store {
    /// Overwrites what the criteria of a run came to, in one transaction with the incidents: `alarms` opens some or adds to
    /// them, and those of the causes in `held` are resolved.
    pub fn put_judgement(
        &mut self,
        run: &str,
        judgement: &Judgement,
        alarms: &[Finding],
        held: &[String],
    ) -> Result<(), StoreError> {
        self.write_told(|txn, desk| {
            progress(txn, run)?;
            tables::put(&mut txn.open_table(BLOBS)?, BLOBS, &named(run, NAME), judgement)?;
            desk.judged(txn, run, alarms, held)
        })
    }
}

/// Reads what the criteria of a run came to when they were last judged.
pub(super) fn last(txn: &ReadTransaction, run: &str) -> Result<Option<Judgement>, StoreError> {
    tables::get(&txn.open_table(BLOBS)?, BLOBS, &named(run, NAME))
}
