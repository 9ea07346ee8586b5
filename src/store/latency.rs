//! Latencies by action: of the cycle in work, counted with its steps in one transaction and therefore exactly once, and of all
//! closed cycles together. A cycle's own are added to those of the run when it is closed, and removed.

use std::collections::BTreeMap;

use redb::{ReadableTable, WriteTransaction};

use super::steps::after;
use super::tables::{self, LATENCY, RowsMut, key};
use super::{Store, StoreError};
use crate::model::judgement::LatencySummary;
use crate::model::step::{Action, StepReport};
use crate::stats::latency::Latencies;

/// Number under which the closed cycles of a run stand; cycles count from 1.
const RUN: u64 = 0;

impl Store {
    /// Returns the latencies of a run by action, those of the cycle in work included.
    pub fn latency(&self, run: &str) -> Result<Vec<LatencySummary>, StoreError> {
        self.read(|txn| of_run(txn, run))
    }

    /// Returns the latencies of the cycle in work by action; none of a cycle that is closed.
    pub fn cycle_latency(&self, run: &str, cycle: u64) -> Result<Vec<LatencySummary>, StoreError> {
        self.read(|txn| {
            let Some(table) = tables::if_there(txn, LATENCY)? else { return Ok(Vec::new()) };
            Ok(summaries(&read(&table, run, (&key(run, &[cycle]), &after(run, cycle)))?))
        })
    }
}

/// Returns the latencies of a run within a transaction.
pub(super) fn of_run(txn: &redb::ReadTransaction, run: &str) -> Result<Vec<LatencySummary>, StoreError> {
    let Some(table) = tables::if_there(txn, LATENCY)? else { return Ok(Vec::new()) };
    Ok(summaries(&read(&table, run, (&key(run, &[]), &tables::end(run)))?))
}

/// Adds steps that are counted for the first time; waiting is no operation and has no latency.
pub(super) fn count(txn: &WriteTransaction, run: &str, fresh: &[&StepReport]) -> Result<(), StoreError> {
    let mut touched: BTreeMap<(u64, &str), Latencies> = BTreeMap::new();
    for report in fresh.iter().filter(|report| !matches!(report.step.action, Action::Wait { .. })) {
        let latencies = touched.entry((report.cycle, report.step.action.verb())).or_default();
        match &report.figures {
            // A lane's second is many operations.
            Some(figures) => latencies.add(&unpack(&figures.latency)?),
            None => latencies.record(report.latency_us()),
        }
    }
    let mut table = txn.open_table(LATENCY)?;
    touched.iter().try_for_each(|((cycle, action), more)| add(&mut table, &at(run, *cycle, action), more))
}

/// Adds the latencies of a cycle, and of those before it, to those of the run.
pub(super) fn close_cycle(txn: &WriteTransaction, run: &str, cycle: u64) -> Result<(), StoreError> {
    let mut table = txn.open_table(LATENCY)?;
    let (from, until) = (key(run, &[RUN + 1]), after(run, cycle));
    for (action, more) in read(&table, run, (&from, &until))? {
        add(&mut table, &at(run, RUN, &action), &more)?;
    }
    table.retain_in(from.as_slice()..until.as_slice(), |_, _| false)?;
    Ok(())
}

/// Returns the key of an action in a cycle, or in the run.
fn at(run: &str, cycle: u64, action: &str) -> Vec<u8> {
    let mut key = key(run, &[cycle]);
    key.extend_from_slice(action.as_bytes());
    key
}

fn add(table: &mut RowsMut<'_>, at: &[u8], more: &Latencies) -> Result<(), StoreError> {
    let mut all = match table.get(at)? {
        Some(bytes) => unpack(bytes.value())?,
        None => Latencies::default(),
    };
    all.add(more);
    table.insert(at, all.pack().as_slice())?;
    Ok(())
}

/// Reads all latencies between two keys, and adds up those of one action.
fn read(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    run: &str,
    (from, until): (&[u8], &[u8]),
) -> Result<BTreeMap<String, Latencies>, StoreError> {
    let prefix = key(run, &[RUN]).len();
    let mut all: BTreeMap<String, Latencies> = BTreeMap::new();
    for row in table.range(from..until)? {
        let (at, bytes) = row?;
        let action = at.value().get(prefix..).map(String::from_utf8_lossy).unwrap_or_default();
        all.entry(action.into_owned()).or_default().add(&unpack(bytes.value())?);
    }
    Ok(all)
}

fn unpack(bytes: &[u8]) -> Result<Latencies, StoreError> {
    let damaged = || serde::de::Error::custom("it is no packed histogram");
    Latencies::unpack(bytes).ok_or_else(|| StoreError::record("latency", damaged()))
}

fn summaries(all: &BTreeMap<String, Latencies>) -> Vec<LatencySummary> {
    let summary = |(action, latencies): (&String, &Latencies)| LatencySummary {
        action: action.clone(),
        count: latencies.count(),
        p50_us: latencies.quantile(0.5),
        p90_us: latencies.quantile(0.9),
        p99_us: latencies.quantile(0.99),
        p999_us: latencies.quantile(0.999),
        max_us: latencies.max(),
    };
    all.iter().map(summary).collect()
}
