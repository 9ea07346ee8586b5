//! Forgetting: which runs, local databases and logs have had their time, as a pure plan, and the removal of a run's rows. The
//! plan is made anew from what there is each time, so that a crash in the midst of it is made up for by the next one. Files
//! are removed by whoever asked for the plan, and before the rows: a run that still has rows is found again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use redb::{ReadableTable, WriteTransaction};

use super::tables::{
    self, BLOBS, CYCLES, DATABASES, EPOCHS, FINDINGS, LATENCY, LOGS, MEASURES, OUTAGES, PROGRESS, RUNS, Rows, STEPS,
    THINNED, key,
};
use super::{Store, StoreError};
use crate::model::record::RunRecord;
use crate::model::verdict::Verdict;

/// Tables with rows of a run, beside its record and its progress: those go last, so that a run is either found or gone.
const PER_RUN: [Rows; 11] =
    [STEPS, DATABASES, CYCLES, THINNED, FINDINGS, OUTAGES, LOGS, BLOBS, EPOCHS, MEASURES, LATENCY];
/// Rows that one transaction removes at most, so that steps of a run under way never wait long for it.
const BATCH: usize = 500;
/// Age at which a directory that belongs to no known run is removed.
const ORPHAN_MS: i64 = 24 * 3600 * 1000;

impl Store {
    /// Removes all that is kept of a run, in transactions of bounded size; returns how many rows there were. A run that has
    /// not ended is refused, and one that is not there is forgotten already.
    pub fn forget_run(&mut self, run: &str) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            match self.forget_some(run)? {
                0 => return Ok(removed),
                some => removed += some,
            }
        }
    }

    /// Removes some rows of a run; `0` means that none are left.
    pub fn forget_some(&mut self, run: &str) -> Result<u64, StoreError> {
        let id = key(tables::checked(run)?, &[]);
        if self.run(run)?.is_some_and(|record| record.ended_ms.is_none()) {
            return Err(StoreError::Unfinished { run: run.to_owned() });
        }
        self.write(|txn| {
            let mut left = BATCH;
            for table in PER_RUN {
                left -= remove(txn, table, run, left)?;
                if left == 0 {
                    return Ok(BATCH as u64);
                }
            }
            let mut last = 0;
            for table in [PROGRESS, RUNS] {
                last += u64::from(txn.open_table(table)?.remove(id.as_slice())?.is_some());
            }
            Ok((BATCH - left) as u64 + last)
        })
    }
}

/// Removes at most `max` rows of a run from a table; returns how many.
fn remove(txn: &WriteTransaction, name: Rows, run: &str, max: usize) -> Result<usize, StoreError> {
    let mut table = txn.open_table(name)?;
    let (from, until) = (key(run, &[]), tables::end(run));
    let keys: Vec<Vec<u8>> = (table.range(from.as_slice()..until.as_slice())?.take(max))
        .map(|row| Ok(row?.0.value().to_vec()))
        .collect::<Result<_, redb::StorageError>>()?;
    for key in &keys {
        table.remove(key.as_slice())?;
    }
    Ok(keys.len())
}

/// What is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    pub runs: usize,
    pub age_ms: i64,
    /// Runs whose local databases are kept.
    pub databases: usize,
    pub bytes: u64,
    pub log_bytes: u64,
}

/// What a directory of a run takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    pub bytes: u64,
    /// Time since something was last made or removed in it, by the system's clock.
    pub age_ms: i64,
}

/// A log file that is no longer written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldLog {
    pub path: PathBuf,
    pub bytes: u64,
    pub modified_ms: i64,
}

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// All runs, the newest first.
    pub runs: Vec<RunRecord>,
    /// Directories below `runs`, by run id.
    pub databases: BTreeMap<String, Held>,
    /// Directories below `reports`, by run id.
    pub reports: BTreeMap<String, Held>,
    pub logs: Vec<OldLog>,
    /// Logs that are being written.
    pub log_bytes: u64,
    /// The run that later ones are compared with: its rows and reports stay.
    pub baseline: Option<String>,
    pub now_ms: i64,
}

/// What is to go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Runs whose rows go, after their directories; the oldest first.
    pub runs: Vec<String>,
    /// Run ids whose directory below `runs` goes.
    pub databases: BTreeSet<String>,
    /// Run ids whose directory below `reports` goes.
    pub reports: BTreeSet<String>,
    pub logs: Vec<PathBuf>,
}

impl Plan {
    /// Returns true if nothing is to go.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.databases.is_empty() && self.reports.is_empty() && self.logs.is_empty()
    }
}

/// Decides what goes. Runs that have not ended stay with all they have, and of the newest one that ended and of the baseline at
/// least the rows and reports.
pub fn plan(past: &Past, keep: &Keep) -> Plan {
    let newest_ended = past.runs.iter().find(|run| run.ended_ms.is_some()).map(|run| run.run.as_str());
    let stays = |run: &str| newest_ended == Some(run) || past.baseline.as_deref() == Some(run);
    let known: BTreeSet<&str> = past.runs.iter().map(|run| run.run.as_str()).collect();
    let mut plan = Plan::default();
    for (place, run) in past.runs.iter().enumerate().rev() {
        let Some(ended) = run.ended_ms else { continue };
        let old = past.now_ms.saturating_sub(ended) > keep.age_ms;
        if (place >= keep.runs || old) && !stays(&run.run) {
            plan.forget(past, run);
        }
    }
    let may_go = |run: &&RunRecord| run.ended_ms.is_some() && past.databases.contains_key(&run.run);
    let mut with: Vec<&RunRecord> =
        past.runs.iter().filter(may_go).filter(|run| !plan.databases.contains(&run.run)).collect();
    // Stable: within each kind the newest stay first. The newest one that ended is what people look at first.
    with.sort_by_key(|run| (newest_ended != Some(run.run.as_str()), run.verdict == Some(Verdict::Pass)));
    plan.databases.extend(with.into_iter().skip(keep.databases).map(|run| run.run.clone()));
    shrink(past, keep, &stays, &mut plan);
    for (all, gone) in [(&past.databases, &mut plan.databases), (&past.reports, &mut plan.reports)] {
        let orphans = all.iter().filter(|(run, held)| !known.contains(run.as_str()) && held.age_ms > ORPHAN_MS);
        gone.extend(orphans.map(|(run, _)| run.clone()));
    }
    let mut logs: Vec<&OldLog> = past.logs.iter().collect();
    logs.sort_by_key(|log| (log.modified_ms, &log.path));
    let mut total = logs.iter().fold(past.log_bytes, |sum, log| sum.saturating_add(log.bytes));
    for log in logs {
        if total > keep.log_bytes {
            total -= log.bytes;
            plan.logs.push(log.path.clone());
        }
    }
    plan
}

/// Brings what ended runs hold below the bound: the oldest databases first, and then whole runs.
fn shrink(past: &Past, keep: &Keep, stays: &dyn Fn(&str) -> bool, plan: &mut Plan) {
    let bytes = |held: &BTreeMap<String, Held>, run: &str| held.get(run).map_or(0, |held| held.bytes);
    let ended: Vec<&RunRecord> = past
        .runs
        .iter()
        .rev()
        .filter(|run| run.ended_ms.is_some() && !stays(&run.run) && !plan.runs.contains(&run.run))
        .collect();
    let mut total = 0u64;
    for run in &ended {
        let databases = if plan.databases.contains(&run.run) { 0 } else { bytes(&past.databases, &run.run) };
        total = total.saturating_add(databases).saturating_add(bytes(&past.reports, &run.run));
    }
    for run in &ended {
        if total > keep.bytes && past.databases.contains_key(&run.run) && plan.databases.insert(run.run.clone()) {
            total -= bytes(&past.databases, &run.run);
        }
    }
    for run in &ended {
        if total > keep.bytes {
            total -= bytes(&past.reports, &run.run);
            plan.forget(past, run);
        }
    }
}

impl Plan {
    /// Adds a run with everything that there is of it.
    fn forget(&mut self, past: &Past, run: &RunRecord) {
        self.runs.push(run.run.clone());
        if past.databases.contains_key(&run.run) {
            self.databases.insert(run.run.clone());
        }
        if past.reports.contains_key(&run.run) {
            self.reports.insert(run.run.clone());
        }
    }
}

#[cfg(test)]
mod tests;
