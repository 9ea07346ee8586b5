//! Steps and what was seen on the way. A step is counted when its key is new and its cycle is still open, and never again.

use std::collections::{BTreeMap, BTreeSet};

use redb::{ReadableTable, WriteTransaction};

use super::latency;
use super::runs::{progress, put_progress};
use super::tables::{self, DATABASES, FINDINGS, LOGS, OUTAGES, RUNS, STEPS, key, named};
use super::{FINDING_GROUPS_MAX, OUTAGES_MAX, Progress, Store, StoreError};
use crate::model::finding::Finding;
use crate::model::ids::{DbNo, user_of};
use crate::model::record::{DbSummary, FindingGroup, LogTail, Outage, RunRecord};
use crate::model::step::{Action, StepReport};

/// Adds the figures of a lane's second to those of the run; its latencies stand with those of all actions.
fn count_lane(progress: &mut Progress, report: &StepReport) {
    if let (Action::Lane(lane), Some(figures)) = (report.step.action, &report.figures) {
        progress.lanes.entry(lane).or_default().add(figures);
    }
}

impl Store {
    /// Counts finished steps and their findings in one transaction, and returns how many of them were new.
    pub fn record_steps(&mut self, run: &str, reports: &[StepReport]) -> Result<u64, StoreError> {
        Ok(self.count_steps(run, reports)?.len() as u64)
    }

    /// Counts finished steps, their findings and the incidents that these belong to in one transaction, and returns those
    /// that were new.
    pub fn count_steps<'a>(&mut self, run: &str, reports: &'a [StepReport]) -> Result<Vec<&'a StepReport>, StoreError> {
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        self.write_told(|txn, desk| {
            let mut progress = progress(txn, run)?;
            let fresh = new_steps(txn, run, progress.last_closed, reports)?;
            if fresh.is_empty() {
                return Ok(fresh);
            }
            let mut touched: BTreeMap<DbNo, DbSummary> = BTreeMap::new();
            for report in &fresh {
                let summary = summary_in(txn, run, &mut touched, report.db)?;
                let errors = report.findings.len() as u64;
                summary.counters.count(report);
                summary.counters.errors += errors;
                let slowest = summary.slowest_us.entry(report.step.action.verb().to_owned()).or_default();
                *slowest = (*slowest).max(report.elapsed_us);
                progress.totals.count(report);
                progress.totals.errors += errors;
                count_lane(&mut progress, report);
            }
            put_summaries(txn, run, &touched)?;
            latency::count(txn, run, &fresh)?;
            fold(txn, run, &mut progress, fresh.iter().flat_map(|report| &report.findings))?;
            put_progress(txn, run, &progress)?;
            let findings: Vec<Finding> = fresh.iter().flat_map(|report| report.findings.iter().cloned()).collect();
            desk.add(txn, run, &findings)?;
            Ok(fresh)
        })
    }

    /// Returns the steps of an open cycle that are counted, by database.
    pub fn steps_done(&self, run: &str, cycle: u64) -> Result<BTreeMap<DbNo, BTreeSet<u32>>, StoreError> {
        self.read(|txn| {
            let mut done: BTreeMap<DbNo, BTreeSet<u32>> = BTreeMap::new();
            let steps = txn.open_table(STEPS)?;
            for row in steps.range(key(run, &[cycle]).as_slice()..after(run, cycle).as_slice())? {
                let row = row?;
                let at = |index| tables::number(run, row.0.value(), index).and_then(|n| u32::try_from(n).ok());
                if let (Some(db), Some(step)) = (at(1), at(2)) {
                    done.entry(db).or_default().insert(step);
                }
            }
            Ok(done)
        })
    }

    /// Counts findings that belong to no step, and the incidents that they belong to; each call counts them anew.
    pub fn record_findings(&mut self, run: &str, findings: &[Finding]) -> Result<(), StoreError> {
        if findings.is_empty() {
            return Ok(());
        }
        self.write_told(|txn, desk| {
            let mut progress = progress(txn, run)?;
            let mut touched = BTreeMap::new();
            // What concerns soakd itself or its machine is no error of what is tested.
            for finding in findings.iter().filter(|finding| !finding.is_own()) {
                progress.totals.errors += 1;
                if let Some(db) = finding.db {
                    summary_in(txn, run, &mut touched, db)?.counters.errors += 1;
                }
            }
            put_summaries(txn, run, &touched)?;
            fold(txn, run, &mut progress, findings.iter())?;
            put_progress(txn, run, &progress)?;
            desk.add(txn, run, findings)
        })
    }

    /// Adds outages, or overwrites those that began at the same time; beyond a bound the oldest are dropped and counted.
    pub fn record_outages(&mut self, run: &str, outages: &[Outage]) -> Result<(), StoreError> {
        if outages.is_empty() {
            return Ok(());
        }
        self.write_told(|txn, desk| {
            let mut progress = progress(txn, run)?;
            desk.note_outages(txn, run, outages, progress.last_closed + 1)?;
            let mut table = txn.open_table(OUTAGES)?;
            for outage in outages {
                tables::put(&mut table, OUTAGES, &key(run, &[outage.from_ms.max(0) as u64]), outage)?;
            }
            let keys: Vec<Vec<u8>> = (table.range(key(run, &[]).as_slice()..tables::end(run).as_slice())?)
                .map(|row| Ok(row?.0.value().to_vec()))
                .collect::<Result<_, redb::StorageError>>()?;
            for old in keys.iter().take(keys.len().saturating_sub(OUTAGES_MAX)) {
                table.remove(old.as_slice())?;
                progress.outages_dropped += 1;
            }
            put_progress(txn, run, &progress)
        })
    }

    /// Overwrites the log excerpts of the given databases.
    pub fn record_logs(&mut self, run: &str, logs: &BTreeMap<DbNo, LogTail>) -> Result<(), StoreError> {
        if logs.is_empty() {
            return Ok(());
        }
        self.write(|txn| {
            progress(txn, run)?;
            let mut table = txn.open_table(LOGS)?;
            for (db, tail) in logs {
                tables::put(&mut table, LOGS, &key(run, &[u64::from(*db)]), tail)?;
            }
            Ok(())
        })
    }
}

/// Returns the key after all steps of a cycle.
pub(super) fn after(run: &str, cycle: u64) -> Vec<u8> {
    cycle.checked_add(1).map_or_else(|| tables::end(run), |next| key(run, &[next]))
}

/// Marks the steps that were not counted before, and returns them.
fn new_steps<'a>(
    txn: &WriteTransaction,
    run: &str,
    last_closed: u64,
    reports: &'a [StepReport],
) -> Result<Vec<&'a StepReport>, StoreError> {
    let mut steps = txn.open_table(STEPS)?;
    let mut fresh = Vec::new();
    for report in reports.iter().filter(|report| report.cycle > last_closed) {
        let at = key(run, &[report.cycle, u64::from(report.db), u64::from(report.step.no)]);
        if steps.insert(at.as_slice(), [].as_slice())?.is_none() {
            fresh.push(report);
        }
    }
    Ok(fresh)
}

/// Returns the summary of a database, read once per transaction.
pub(super) fn summary_in<'a>(
    txn: &WriteTransaction,
    run: &str,
    touched: &'a mut BTreeMap<DbNo, DbSummary>,
    db: DbNo,
) -> Result<&'a mut DbSummary, StoreError> {
    use std::collections::btree_map::Entry;
    match touched.entry(db) {
        Entry::Occupied(known) => Ok(known.into_mut()),
        Entry::Vacant(free) => {
            let kept = tables::get(&txn.open_table(DATABASES)?, DATABASES, &key(run, &[u64::from(db)]))?;
            let summary = match kept {
                Some(summary) => summary,
                None => {
                    let record: Option<RunRecord> = tables::get(&txn.open_table(RUNS)?, RUNS, &key(run, &[]))?;
                    let databases = record.map_or(1, |record| record.scale.databases);
                    DbSummary { db, user: user_of(db.max(1), databases), ..DbSummary::default() }
                }
            };
            Ok(free.insert(summary))
        }
    }
}

/// Writes the summaries that a transaction changed.
pub(super) fn put_summaries(
    txn: &WriteTransaction,
    run: &str,
    touched: &BTreeMap<DbNo, DbSummary>,
) -> Result<(), StoreError> {
    let mut table = txn.open_table(DATABASES)?;
    for (db, summary) in touched {
        tables::put(&mut table, DATABASES, &key(run, &[u64::from(*db)]), summary)?;
    }
    Ok(())
}

/// Folds findings into their groups; each group is read and written once.
fn fold<'a>(
    txn: &WriteTransaction,
    run: &str,
    progress: &mut Progress,
    findings: impl Iterator<Item = &'a Finding>,
) -> Result<(), StoreError> {
    let mut table = txn.open_table(FINDINGS)?;
    let mut touched: BTreeMap<String, FindingGroup> = BTreeMap::new();
    for finding in findings {
        let cause = finding.cause();
        if let Some(group) = touched.get_mut(&cause) {
            group.add(finding);
            continue;
        }
        let group = match tables::get::<FindingGroup>(&table, FINDINGS, &named(run, &cause))? {
            Some(mut group) => {
                group.add(finding);
                group
            }
            None if progress.finding_groups >= FINDING_GROUPS_MAX as u64 => {
                progress.findings_ungrouped += 1;
                continue;
            }
            None => {
                progress.finding_groups += 1;
                FindingGroup::new(finding.clone())
            }
        };
        touched.insert(cause, group);
    }
    for (cause, group) in &touched {
        tables::put(&mut table, FINDINGS, &named(run, cause), group)?;
    }
    Ok(())
}
