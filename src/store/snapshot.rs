//! All that is known of a run, read in one short transaction.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use redb::ReadTransaction;
use serde::de::DeserializeOwned;

use super::baseline::{CHANGES, COMPARISON};
use super::latency;
use super::tables::{self, BLOBS, CYCLES, DATABASES, EPOCHS, FINDINGS, LOGS, OUTAGES, PROGRESS, RUNS, end, key, named};
use super::{CYCLES_SHOWN, Progress, Store, StoreError};
use crate::model::ids::DbNo;
use crate::model::record::{CycleRecord, FORMAT, FindingGroup, LogTail, RunRecord, Snapshot};

/// Name of the blob with the lines that people know of a cycle.
pub const LINES: &str = "lines";

impl Store {
    /// Returns what reports are made from, or `None` if there is no such run.
    pub fn snapshot(&self, run: &str) -> Result<Option<Snapshot>, StoreError> {
        self.read(|txn| {
            let record: Option<RunRecord> = tables::get(&txn.open_table(RUNS)?, RUNS, &key(run, &[]))?;
            let Some(record) = record else { return Ok(None) };
            let progress: Progress =
                tables::get(&txn.open_table(PROGRESS)?, PROGRESS, &key(run, &[]))?.unwrap_or_default();
            let (from, until) = (key(run, &[]), end(run));
            let mut findings: Vec<FindingGroup> = tables::scan(&txn.open_table(FINDINGS)?, FINDINGS, &from, &until)?;
            findings.sort_by(|a, b| (a.first.at_ms, &a.cause).cmp(&(b.first.at_ms, &b.cause)));
            Ok(Some(Snapshot {
                format: FORMAT,
                // A run that has ended is the same whenever it is looked at.
                made_ms: record.ended_ms.unwrap_or_else(now_ms),
                run: record,
                epochs: tables::scan(&txn.open_table(EPOCHS)?, EPOCHS, &from, &until)?,
                databases: tables::scan(&txn.open_table(DATABASES)?, DATABASES, &from, &until)?,
                cycles: cycles(txn, run, &progress)?,
                findings,
                outages: tables::scan(&txn.open_table(OUTAGES)?, OUTAGES, &from, &until)?,
                logs: logs(txn, run)?,
                totals: progress.totals,
                lanes: progress.lanes,
                lines: kept(txn, run, LINES)?.unwrap_or_default(),
                cycles_done: progress.cycles_done,
                cycles_by_verdict: progress.cycles_by_verdict,
                judgement: super::judgement::last(txn, run)?,
                latency: latency::of_run(txn, run)?,
                receipt: progress.head,
                baseline: kept(txn, run, COMPARISON)?,
                changes: kept(txn, run, CHANGES)?.unwrap_or_default(),
                findings_ungrouped: progress.findings_ungrouped,
                outages_dropped: progress.outages_dropped,
            }))
        })
    }
}

/// Returns a small value that is kept of a run under a name.
fn kept<T: DeserializeOwned>(txn: &ReadTransaction, run: &str, name: &str) -> Result<Option<T>, StoreError> {
    tables::get(&txn.open_table(BLOBS)?, BLOBS, &named(run, name))
}

/// Returns the first cycles without a pass and the last ones, in order, each once.
fn cycles(txn: &ReadTransaction, run: &str, progress: &Progress) -> Result<Vec<CycleRecord>, StoreError> {
    let table = txn.open_table(CYCLES)?;
    let recent = (progress.last_closed + 1).saturating_sub(CYCLES_SHOWN);
    let mut cycles: Vec<CycleRecord> = Vec::new();
    for pinned in progress.pinned.iter().filter(|cycle| **cycle < recent) {
        cycles.extend(tables::get::<CycleRecord>(&table, CYCLES, &key(run, &[*pinned]))?);
    }
    cycles.extend(tables::scan::<CycleRecord>(&table, CYCLES, &key(run, &[recent]), &end(run))?);
    Ok(cycles)
}

fn logs(txn: &ReadTransaction, run: &str) -> Result<BTreeMap<DbNo, LogTail>, StoreError> {
    let table = txn.open_table(LOGS)?;
    let mut logs = BTreeMap::new();
    for row in table.range(key(run, &[]).as_slice()..end(run).as_slice())? {
        let (at, value) = row?;
        let db = tables::number(run, at.value(), 0).and_then(|db| u32::try_from(db).ok());
        if let Some(db) = db {
            let tail = serde_json::from_slice(value.value()).map_err(|e| StoreError::record("logs", e))?;
            logs.insert(db, tail);
        }
    }
    Ok(logs)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
