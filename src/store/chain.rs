//! The receipt of a run as it is kept: its first and last lines as they were written, and of each cycle its digests. A line is
//! written in the same transaction as what it stands for.

use redb::WriteTransaction;

use super::runs::{progress, put_progress};
use super::tables::{self, BLOBS, PROGRESS, key, named};
use super::{Progress, Store, StoreError};
use crate::model::judgement::Judgement;
use crate::model::receipt::{self, Ends};
use crate::model::record::{CycleRecord, RunRecord};

/// Names of the first and the last line among the small values of a run.
const FIRST: &str = "receipt/run";
const LAST: &str = "receipt/end";

impl Store {
    /// Returns what is kept of a run's receipt beside its cycles.
    pub fn receipt(&self, run: &str) -> Result<Ends, StoreError> {
        self.read(|txn| {
            let blobs = txn.open_table(BLOBS)?;
            let line = |name: &str| -> Result<Option<String>, StoreError> {
                let bytes = blobs.get(named(run, name).as_slice())?;
                Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes.value()).into_owned()))
            };
            let progress: Option<Progress> = tables::get(&txn.open_table(PROGRESS)?, PROGRESS, &key(run, &[]))?;
            Ok(Ends { first: line(FIRST)?, last: line(LAST)?, head: progress.unwrap_or_default().head })
        })
    }
}

/// Writes the first line; returns the progress of a run whose cycles follow it.
pub(super) fn begun(txn: &WriteTransaction, run: &RunRecord) -> Result<Progress, StoreError> {
    let line = receipt::run_line(run);
    txn.open_table(BLOBS)?.insert(named(&run.run, FIRST).as_slice(), line.text.as_bytes())?;
    Ok(Progress { head: line.digest, ..Progress::default() })
}

/// Returns a cycle with its place behind the last one; that of a run without a first line stays without.
pub(super) fn linked(progress: &mut Progress, cycle: &CycleRecord) -> CycleRecord {
    let mut cycle = cycle.clone();
    if !progress.head.is_empty() {
        receipt::link(&mut cycle, &progress.head);
        progress.head.clone_from(&cycle.digest);
    }
    cycle
}

/// Writes the last line of a run that has a first one.
pub(super) fn ended(txn: &WriteTransaction, run: &RunRecord, judgement: Option<&Judgement>) -> Result<(), StoreError> {
    let mut progress = progress(txn, &run.run)?;
    if progress.head.is_empty() {
        return Ok(());
    }
    let line = receipt::end_line(run, progress.last_closed, &progress.totals, judgement, &progress.head);
    txn.open_table(BLOBS)?.insert(named(&run.run, LAST).as_slice(), line.text.as_bytes())?;
    progress.head = line.digest;
    put_progress(txn, &run.run, &progress)
}
