//! The criteria of a run: fixed and hashed when it begins, judged at growing distances while it lasts, and at its end.
//!
//! What is judged is gathered here, from the state file alone; the judges are in `checker::criteria`.

use anyhow::{Context, bail};

use super::ledger::Ledger;
use super::measure::figures::is_kept;
use super::quiet::planned_end;
use super::setup::Setup;
use crate::checker::criteria::{self, Evidence, Fixed, Planned, Written};
use crate::config::{CriteriaConfig, StoreConfig, TargetConfig};
use crate::model::judgement::Judgement;
use crate::model::record::{CycleRecord, RunRecord};
use crate::model::verdict::Verdict;
use crate::probe::limits;
use crate::stats::burn::{Meter, Span};
use crate::store::{Store, StoreError};

/// Names of the blobs with the criteria as they were fixed, and with what was burnt of the error budget.
const FIXED_BLOB: &str = "criteria";
const BURNT_BLOB: &str = "criteria-burnt";
/// Cycles that are read at a time to make up for what a life did not write down.
const PAGE: usize = 500;
/// Share of operations that succeed at once, where the budget is not judged at all.
const OBJECTIVE: f64 = 0.99;

/// The criteria of one run, and what is kept for them from cycle to cycle.
pub(super) struct Judge {
    fixed: Fixed,
    meter: Meter,
    /// The last cycle that the meter knows.
    metered: u64,
}

/// Fixes the criteria of a run that begins now.
pub(super) fn fix(setup: &Setup, now_ms: i64) -> Fixed {
    let run = &setup.config.run;
    let length = run.duration.map(|time| u64::try_from(time.get().as_millis()).unwrap_or(u64::MAX));
    let until = planned_end(run).map(|end| u64::try_from(end.timestamp_millis() - now_ms).unwrap_or(0));
    let planned = Planned { cycles: run.cycles, span_ms: [length, until].into_iter().flatten().min() };
    Fixed::new(&written(&setup.config.criteria), planned)
}

/// Keeps the criteria of a run that has just begun.
pub(super) fn keep(store: &mut Store, run: &str, fixed: &Fixed) -> Result<(), StoreError> {
    store.put_blob(run, FIXED_BLOB, &serde_json::to_vec(fixed).unwrap_or_default())
}

/// Returns what somebody wrote, in the units of the metrics.
fn written(config: &CriteriaConfig) -> Written {
    let bytes = |size: Option<crate::config::Bytes>| size.map(|size| size.get() as f64);
    let seconds = |time: Option<crate::config::Span>| time.map(|time| time.get().as_secs_f64());
    let count = |count: Option<u64>| count.map(|count| count as f64);
    let limits = [
        ("success_share", config.success_share),
        ("unexpected_errors", count(config.unexpected_errors)),
        ("disconnects", count(config.disconnects)),
        ("memory_slope", bytes(config.memory_slope)),
        ("memory_step", bytes(config.memory_step)),
        ("memory_ceiling", bytes(config.memory_ceiling)),
        ("descriptors_slope", config.descriptors_slope),
        ("wal_slope", bytes(config.wal_slope)),
        ("database_slope", bytes(config.database_slope)),
        ("p99", seconds(config.p99)),
        ("p99_drift", config.p99_drift),
        ("throughput_drift", config.throughput_drift),
        ("converge", seconds(config.converge)),
        ("budget", config.budget),
    ];
    let limits = limits.into_iter().filter_map(|(name, limit)| Some((name.to_owned(), limit?))).collect();
    Written { limits, skip: config.skip.clone(), confidence: config.confidence }
}

impl Judge {
    /// Takes up the criteria of a run.
    pub(super) fn open(setup: &Setup, ledger: &Ledger, record: &mut RunRecord) -> anyhow::Result<Self> {
        let (kept, burnt) =
            ledger.with(|store| Ok((store.blob(&record.run, FIXED_BLOB)?, store.blob(&record.run, BURNT_BLOB)?)))?;
        let fixed = match kept {
            Some(bytes) => serde_json::from_slice(&bytes).context("reading the criteria of the run")?,
            // The run was begun by a version that knew none.
            None => {
                let fixed = fix(setup, record.started_ms);
                ledger.with(|store| keep(store, &record.run, &fixed))?;
                fixed
            }
        };
        if record.criteria.is_empty() {
            record.criteria = fixed.hash();
        } else if record.criteria != fixed.hash() {
            bail!(
                "the criteria of run {} are not those that it began with (their hash is {}, and was {}): start anew with --fresh",
                record.run,
                fixed.hash(),
                record.criteria
            );
        }
        let (meter, metered) = burnt.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let mut judge = Self { fixed, meter, metered };
        loop {
            let page = ledger.with(|store| store.cycles_after(&record.run, judge.metered, PAGE))?;
            page.iter().for_each(|cycle| judge.note(cycle));
            if page.len() < PAGE {
                return Ok(judge);
            }
        }
    }

    /// Takes a cycle in that has ended.
    fn note(&mut self, cycle: &CycleRecord) {
        if cycle.cycle <= self.metered {
            return;
        }
        self.metered = cycle.cycle;
        let objective = self.fixed.criteria.get("budget").and_then(|budget| budget.limit).unwrap_or(OBJECTIVE);
        // What a retry heals was an operation that failed, and one more that did not.
        let (errors, operations) = (cycle.errors, cycle.steps.saturating_add(cycle.errors));
        self.meter.add(Span { from_ms: cycle.started_ms, until_ms: cycle.ended_ms, errors, operations }, objective);
    }

    /// Takes a cycle in, and judges the run so far if a look is due.
    pub(super) fn after(
        &mut self,
        (setup, ledger): (&Setup, &Ledger),
        record: &RunRecord,
        cycle: &CycleRecord,
    ) -> anyhow::Result<()> {
        self.note(cycle);
        let Some(look) = criteria::look_at(cycle.cycle) else { return Ok(()) };
        let burnt = serde_json::to_vec(&(&self.meter, self.metered))?;
        ledger.with(|store| store.put_blob(&record.run, BURNT_BLOB, &burnt))?;
        let judged = self.judge((setup, ledger), record, Some(look))?;
        let worst = judged.verdict().map(|verdict| verdict.to_string()).unwrap_or_default();
        tracing::info!(cycle = cycle.cycle, look, worst, "criteria");
        Ok(())
    }

    /// Judges the whole run at its end; `None` if no criterion is judged.
    pub(super) fn at_end(
        &self,
        (setup, ledger): (&Setup, &Ledger),
        record: &RunRecord,
    ) -> anyhow::Result<Option<Verdict>> {
        Ok(self.judge((setup, ledger), record, None)?.verdict())
    }

    fn judge(
        &self,
        (setup, ledger): (&Setup, &Ledger),
        record: &RunRecord,
        look: Option<u64>,
    ) -> anyhow::Result<Judgement> {
        let (measures, snapshot) =
            ledger.with(|store| Ok((store.measures(&record.run)?, store.snapshot(&record.run)?)))?;
        let Some(snapshot) = snapshot else { bail!("run {} is not in the state file", record.run) };
        let parts = parts(setup);
        let evidence = Evidence {
            now_ms: setup.clock.now_ms(),
            cycle: snapshot.cycles.last().map_or(0, |cycle| cycle.cycle),
            cycles_done: snapshot.cycles_done,
            observed_ms: record.observed_ms,
            look,
            totals: &snapshot.totals,
            findings: &snapshot.findings,
            findings_ungrouped: snapshot.findings_ungrouped,
            outages: &snapshot.outages,
            outages_dropped: snapshot.outages_dropped,
            tolerated: &setup.config.verify.tolerate,
            measures: &measures,
            parts: &parts,
            files: &files(setup),
            blind: blind(setup),
            latency: &snapshot.latency,
            meter: &self.meter,
            descriptors_max: limits::own().descriptors,
        };
        let mut judgement = criteria::judge(&self.fixed, &evidence);
        if let Some(before) = &snapshot.judgement {
            criteria::remember(&mut judgement, before);
        }
        let (alarms, held) = (criteria::alarms(&judgement), criteria::held(&judgement));
        ledger.with(|store| store.put_judgement(&record.run, &judgement, &alarms, &held))?;
        Ok(judgement)
    }
}

/// Returns the processes that must have been measured: those of which every cycle keeps something.
fn parts(setup: &Setup) -> Vec<String> {
    let target = (blind(setup).is_none()).then(|| "target".to_owned());
    let workers = (1..=setup.groups().len()).map(|n| format!("worker-{n}"));
    let all = std::iter::once("daemon".to_owned()).chain(target).chain(workers);
    all.enumerate().filter(|(at, _)| is_kept(*at, "rss")).map(|(_, part)| part).collect()
}

/// Returns the parts whose database files must have been measured.
fn files(setup: &Setup) -> Vec<String> {
    let here = match &setup.config.target {
        TargetConfig::Embedded(embedded) => matches!(embedded.store, StoreConfig::Sqlite),
        _ => !setup.config.observe.target_files.is_empty(),
    };
    here.then(|| "target".to_owned()).into_iter().collect()
}

/// Returns why the target's process cannot be measured, if it cannot.
fn blind(setup: &Setup) -> Option<&'static str> {
    let observe = &setup.config.observe;
    let named = observe.target_pid.is_some() || observe.target_unit.is_some() || observe.target_metrics.is_some();
    let embedded = matches!(setup.config.target, TargetConfig::Embedded(_));
    (!embedded && !named).then_some("give observe.target_pid, observe.target_unit or observe.target_metrics")
}

#[cfg(test)]
mod tests;
