//! The baseline: which run later ones are compared with, what such a comparison came to, and the incident that follows from it.

use super::tables::{self, BLOBS, DAEMON, named};
use super::{Store, StoreError};
use crate::model::finding::Finding;
use crate::model::judgement::{BaselineComparison, Changes};

/// Name of the value that names the run.
const BASELINE: &str = "baseline";
/// Names of what is kept of a run about it.
pub(super) const COMPARISON: &str = "comparison";
pub(super) const CHANGES: &str = "changes";

impl Store {
    /// Makes a run the one that later runs are compared with, or none; retention keeps it, and what was worse than in
    /// an earlier one is settled.
    pub fn set_baseline(&mut self, run: Option<&str>) -> Result<(), StoreError> {
        if let Some(run) = run
            && self.run(tables::checked(run)?)?.is_none()
        {
            return Err(StoreError::UnknownRun { run: run.to_owned() });
        }
        self.write_told(|txn, desk| {
            let mut table = txn.open_table(DAEMON)?;
            match run {
                // Whoever chooses another one has seen what was worse.
                Some(run) => {
                    tables::put(&mut table, DAEMON, BASELINE.as_bytes(), &run)?;
                    desk.recovered(txn, run)
                }
                None => {
                    table.remove(BASELINE.as_bytes())?;
                    Ok(())
                }
            }
        })
    }

    /// Returns the run that later runs are compared with; `None` if there is none, or it is gone.
    pub fn baseline(&self) -> Result<Option<String>, StoreError> {
        let Some(run) = self.value::<String>(BASELINE)? else { return Ok(None) };
        Ok(self.run(&run)?.map(|found| found.run))
    }

    /// Keeps how a run compares with the baseline; what is worse belongs to one incident, and when nothing is worse any more,
    /// that is resolved.
    pub fn record_comparison(
        &mut self,
        run: &str,
        comparison: &BaselineComparison,
        worse: &[Finding],
    ) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(comparison).map_err(|e| StoreError::record(COMPARISON, e))?;
        self.write_told(|txn, desk| {
            txn.open_table(BLOBS)?.insert(named(run, COMPARISON).as_slice(), bytes.as_slice())?;
            desk.add(txn, run, worse)?;
            if comparison.refused.is_empty() && worse.is_empty() && !comparison.changes.is_empty() {
                desk.recovered(txn, run)?;
            }
            Ok(())
        })
    }

    /// Keeps which versions of the server a run saw and what changed with them; what got worse belongs to one
    /// incident, and when it is not worse any more, that is resolved.
    pub fn record_changes(
        &mut self,
        run: &str,
        changes: &Changes,
        worse: &[Finding],
        recovered: bool,
    ) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(changes).map_err(|e| StoreError::record(CHANGES, e))?;
        self.write_told(|txn, desk| {
            txn.open_table(BLOBS)?.insert(named(run, CHANGES).as_slice(), bytes.as_slice())?;
            desk.add(txn, run, worse)?;
            if recovered { desk.recovered(txn, run) } else { Ok(()) }
        })
    }

    /// Returns what was kept by [`Store::record_changes`].
    pub fn changes(&self, run: &str) -> Result<Changes, StoreError> {
        let bytes = self.blob(run, CHANGES)?;
        let parse = |bytes: Vec<u8>| serde_json::from_slice(&bytes).map_err(|e| StoreError::record(CHANGES, e));
        Ok(bytes.map(parse).transpose()?.unwrap_or_default())
    }
}
