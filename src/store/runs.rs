//! Runs, epochs and the engine's own small values.

use redb::{ReadableTable, WriteTransaction};

use super::chain;
use super::tables::{self, BLOBS, EPOCHS, PROGRESS, RUNS, checked, key, named};
use super::{BLOB_BYTES_MAX, EPOCHS_MAX, Progress, Store, StoreError};
use crate::model::message::Subject;
use crate::model::record::{Counters, EpochRecord, RunRecord};

impl Store {
    /// Adds a run; its id must be new.
    pub fn begin_run(&mut self, run: &RunRecord) -> Result<(), StoreError> {
        let id = key(checked(&run.run)?, &[]);
        self.write(|txn| {
            let mut runs = txn.open_table(RUNS)?;
            if runs.get(id.as_slice())?.is_some() {
                return Err(StoreError::RunExists { run: run.run.clone() });
            }
            tables::put(&mut runs, RUNS, &id, run)?;
            let progress = chain::begun(txn, run)?;
            tables::put(&mut txn.open_table(PROGRESS)?, PROGRESS, &id, &progress)
        })
    }

    /// Overwrites the record of a run, for example when its phase changes.
    pub fn update_run(&mut self, run: &RunRecord) -> Result<(), StoreError> {
        self.write(|txn| put_run(txn, run))
    }

    /// Closes a run and its receipt, and queues its summary: its record must say when and why it ended, and its criteria must
    /// be judged. A run's end resolves no incident.
    pub fn end_run(&mut self, run: &RunRecord) -> Result<(), StoreError> {
        let judgement = self.snapshot(&run.run)?.and_then(|snapshot| snapshot.judgement);
        self.write_told(|txn, desk| {
            let before: Option<RunRecord> = tables::get(&txn.open_table(RUNS)?, RUNS, &key(&run.run, &[]))?;
            put_run(txn, run)?;
            let ended_before = before.is_some_and(|before| before.ended_ms.is_some());
            if !ended_before && run.ended_ms.is_some() {
                chain::ended(txn, run, judgement.as_ref())?;
            }
            if desk.policy.summary && !ended_before {
                desk.queue(txn, Subject::Summary { run: run.run.clone(), ended: true }, Some(&run.run), 0)?;
            }
            Ok(())
        })
    }

    /// Returns the newest run that has not ended.
    pub fn unfinished(&self) -> Result<Option<RunRecord>, StoreError> {
        Ok(self.runs()?.into_iter().find(|run| run.ended_ms.is_none()))
    }

    /// Returns one run.
    pub fn run(&self, id: &str) -> Result<Option<RunRecord>, StoreError> {
        self.read(|txn| tables::get(&txn.open_table(RUNS)?, RUNS, &key(id, &[])))
    }

    /// Returns all runs, the newest first.
    pub fn runs(&self) -> Result<Vec<RunRecord>, StoreError> {
        let mut runs: Vec<RunRecord> = self.read(|txn| tables::scan(&txn.open_table(RUNS)?, RUNS, &[], &[u8::MAX]))?;
        runs.sort_by(|a, b| (b.started_ms, &b.run).cmp(&(a.started_ms, &a.run)));
        Ok(runs)
    }

    /// Returns the newest run.
    pub fn latest(&self) -> Result<Option<RunRecord>, StoreError> {
        Ok(self.runs()?.into_iter().next())
    }

    /// Returns what all steps of a run came to so far.
    pub fn totals(&self, run: &str) -> Result<Counters, StoreError> {
        self.read(|txn| {
            let progress: Option<Progress> = tables::get(&txn.open_table(PROGRESS)?, PROGRESS, &key(run, &[]))?;
            progress.map(|progress| progress.totals).ok_or_else(|| StoreError::UnknownRun { run: run.to_owned() })
        })
    }

    /// Adds an epoch; beyond a bound the oldest one after the first is dropped.
    pub fn begin_epoch(&mut self, run: &str, epoch: &EpochRecord) -> Result<(), StoreError> {
        self.write(|txn| {
            progress(txn, run)?;
            let mut epochs = txn.open_table(EPOCHS)?;
            tables::put(&mut epochs, EPOCHS, &key(run, &[u64::from(epoch.epoch)]), epoch)?;
            let keys: Vec<Vec<u8>> = (epochs.range(key(run, &[]).as_slice()..tables::end(run).as_slice())?)
                .map(|row| Ok(row?.0.value().to_vec()))
                .collect::<Result<_, redb::StorageError>>()?;
            for old in keys.iter().skip(1).take(keys.len().saturating_sub(EPOCHS_MAX + 1)) {
                epochs.remove(old.as_slice())?;
            }
            Ok(())
        })
    }

    /// Overwrites an epoch: its last sign of life, its end, what it recovered.
    pub fn touch_epoch(&mut self, run: &str, epoch: &EpochRecord) -> Result<(), StoreError> {
        let at = key(run, &[u64::from(epoch.epoch)]);
        self.write(|txn| tables::put(&mut txn.open_table(EPOCHS)?, EPOCHS, &at, epoch))
    }

    /// Returns the epochs of a run, the oldest first.
    pub fn epochs(&self, run: &str) -> Result<Vec<EpochRecord>, StoreError> {
        self.read(|txn| tables::scan(&txn.open_table(EPOCHS)?, EPOCHS, &key(run, &[]), &tables::end(run)))
    }

    /// Keeps a small value of the engine's own under a name.
    pub fn put_blob(&mut self, run: &str, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.len() > BLOB_BYTES_MAX {
            return Err(StoreError::TooLarge { name: name.to_owned(), bytes: bytes.len(), max: BLOB_BYTES_MAX });
        }
        let at = named(run, checked(name)?);
        self.write(|txn| {
            progress(txn, run)?;
            txn.open_table(BLOBS)?.insert(at.as_slice(), bytes)?;
            Ok(())
        })
    }

    /// Returns a value kept by [`Store::put_blob`].
    pub fn blob(&self, run: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let at = named(run, name);
        self.read(|txn| Ok(txn.open_table(BLOBS)?.get(at.as_slice())?.map(|bytes| bytes.value().to_vec())))
    }
}

/// Overwrites a run that must exist.
pub(super) fn put_run(txn: &WriteTransaction, run: &RunRecord) -> Result<(), StoreError> {
    let id = key(&run.run, &[]);
    let mut runs = txn.open_table(RUNS)?;
    if runs.get(id.as_slice())?.is_none() {
        return Err(StoreError::UnknownRun { run: run.run.clone() });
    }
    tables::put(&mut runs, RUNS, &id, run)
}

/// Reads the progress of a run that must exist.
pub(super) fn progress(txn: &WriteTransaction, run: &str) -> Result<Progress, StoreError> {
    tables::get(&txn.open_table(PROGRESS)?, PROGRESS, &key(run, &[]))?
        .ok_or_else(|| StoreError::UnknownRun { run: run.to_owned() })
}

/// Writes the progress of a run.
pub(super) fn put_progress(txn: &WriteTransaction, run: &str, progress: &Progress) -> Result<(), StoreError> {
    tables::put(&mut txn.open_table(PROGRESS)?, PROGRESS, &key(run, &[]), progress)
}
