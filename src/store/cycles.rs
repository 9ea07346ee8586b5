//! Closing cycles, and thinning old ones so that the file stays bounded over weeks.

use std::collections::BTreeMap;

use redb::WriteTransaction;

use super::chain;
use super::latency;
use super::runs::{progress, put_progress, put_run};
use super::steps::{after, put_summaries, summary_in};
use super::tables::{self, CYCLES, STEPS, THINNED, key};
use super::{CYCLES_FULL, CYCLES_PINNED, Progress, Store, StoreError};
use crate::model::ids::DbNo;
use crate::model::record::{CycleRecord, RunRecord};
use crate::model::verdict::Verdict;

/// Checks that a thinned cycle without a pass still names.
const THIN_CHECKS: usize = 3;
/// Characters of their summaries that are kept.
const THIN_CHARS: usize = 120;

impl Store {
    /// Closes a cycle in one transaction: its record, behind the cycle before in the run's receipt, the run's position, the
    /// databases' rows, and what it means for incidents. A cycle that is closed already is not counted again.
    pub fn finish_cycle(
        &mut self,
        run: &RunRecord,
        cycle: &CycleRecord,
        rows_final: &BTreeMap<DbNo, u64>,
    ) -> Result<(), StoreError> {
        self.write_told(|txn, desk| {
            put_run(txn, run)?;
            let mut progress = progress(txn, &run.run)?;
            if cycle.cycle <= progress.last_closed {
                return Ok(());
            }
            let mut touched = BTreeMap::new();
            for (db, rows) in rows_final {
                summary_in(txn, &run.run, &mut touched, *db)?.rows_final = *rows;
            }
            put_summaries(txn, &run.run, &touched)?;
            let linked = chain::linked(&mut progress, cycle);
            tables::put(&mut txn.open_table(CYCLES)?, CYCLES, &key(&run.run, &[cycle.cycle]), &linked)?;
            progress.last_closed = cycle.cycle;
            progress.cycles_done += 1;
            *progress.cycles_by_verdict.entry(cycle.verdict).or_default() += 1;
            if cycle.verdict != Verdict::Pass && progress.pinned.len() < CYCLES_PINNED {
                progress.pinned.push(cycle.cycle);
            }
            prune_steps(txn, &run.run, cycle.cycle)?;
            latency::close_cycle(txn, &run.run, cycle.cycle)?;
            thin(txn, &run.run, &mut progress)?;
            put_progress(txn, &run.run, &progress)?;
            desk.close_cycle(txn, &run.run, cycle)
        })
    }

    /// Returns all closed cycles of a run, the oldest first; old ones without their evidence.
    pub fn cycles(&self, run: &str) -> Result<Vec<CycleRecord>, StoreError> {
        let (from, until) = (key(run, &[]), tables::end(run));
        self.read(|txn| {
            let mut cycles: Vec<CycleRecord> = tables::scan(&txn.open_table(THINNED)?, THINNED, &from, &until)?;
            cycles.extend(tables::scan::<CycleRecord>(&txn.open_table(CYCLES)?, CYCLES, &from, &until)?);
            cycles.sort_by_key(|cycle| cycle.cycle);
            Ok(cycles)
        })
    }

    /// Returns the closed cycles of a run that follow a cycle, the oldest first; at most `max`.
    pub fn cycles_after(&self, run: &str, after: u64, max: usize) -> Result<Vec<CycleRecord>, StoreError> {
        let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
        let (from, until) = (key(run, &[first]), tables::end(run));
        let range = (from.as_slice(), until.as_slice());
        self.read(|txn| {
            let mut cycles: Vec<CycleRecord> = tables::scan_first(&txn.open_table(THINNED)?, THINNED, range, max)?;
            cycles.extend(tables::scan_first::<CycleRecord>(&txn.open_table(CYCLES)?, CYCLES, range, max)?);
            cycles.sort_by_key(|cycle| cycle.cycle);
            cycles.truncate(max);
            Ok(cycles)
        })
    }
}

/// Forgets the step keys of closed cycles: `last_closed` guards them from now on.
fn prune_steps(txn: &WriteTransaction, run: &str, cycle: u64) -> Result<(), StoreError> {
    let mut steps = txn.open_table(STEPS)?;
    steps.retain_in(key(run, &[]).as_slice()..after(run, cycle).as_slice(), |_, _| false)?;
    Ok(())
}

/// Moves cycles that are no longer recent out of the way, as short rows.
fn thin(txn: &WriteTransaction, run: &str, progress: &mut Progress) -> Result<(), StoreError> {
    let until = (progress.last_closed + 1).saturating_sub(CYCLES_FULL);
    if until <= progress.thin_before {
        return Ok(());
    }
    let mut table = txn.open_table(CYCLES)?;
    let mut short = txn.open_table(THINNED)?;
    let old: Vec<CycleRecord> = tables::scan(&table, CYCLES, &key(run, &[progress.thin_before]), &key(run, &[until]))?;
    for cycle in old.into_iter().filter(|cycle| !progress.pinned.contains(&cycle.cycle)) {
        let at = key(run, &[cycle.cycle]);
        table.remove(at.as_slice())?;
        tables::put(&mut short, THINNED, &at, &thinned(cycle))?;
    }
    progress.thin_before = until;
    Ok(())
}

/// Keeps the figures of a cycle, and the names of what went wrong in it.
fn thinned(mut cycle: CycleRecord) -> CycleRecord {
    cycle.checks.retain(|check| check.verdict.is_some_and(|verdict| verdict != Verdict::Pass));
    cycle.checks.truncate(THIN_CHECKS);
    for check in &mut cycle.checks {
        check.evidence.clear();
        check.summary = check.summary.chars().take(THIN_CHARS).collect();
    }
    cycle
}
