//! What was measured at the quiet end of each cycle, by metric: a bounded number of points, merged two and two as a run grows,
//! so that a run of weeks takes no more room than one of days and a commit rewrites only the last block of each metric.

use std::collections::BTreeMap;

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::runs::progress;
use super::tables::{self, MEASURES, RowsMut, checked, named};
use super::{Store, StoreError};
use crate::model::measure::{CycleMeasures, METRICS_MAX, Measured, MetricPoints, POINTS_MAX, halved};

/// Points of one block.
const BLOCK_POINTS: usize = 32;
/// Stands before the blocks of a metric; the index has none.
const BLOCKS: &str = "block ";
const INDEX: &str = "index";

/// What is kept of a run's metrics beside their points.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Index {
    /// No measures of this cycle or an earlier one are ever added again.
    last_cycle: u64,
    metrics: BTreeMap<String, Extent>,
    /// Metrics beyond the bound.
    left_out: u64,
}

/// How much is kept of one metric.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extent {
    points: usize,
    /// Cycles that one point stands for.
    stride: u32,
}

impl Store {
    /// Adds what was measured of a cycle, once; metrics beyond a bound are left out and counted.
    pub fn record_measures(&mut self, run: &str, measures: &CycleMeasures) -> Result<(), StoreError> {
        for name in measures.values.keys() {
            checked(name)?;
        }
        self.write(|txn| {
            progress(txn, run)?;
            let mut table = txn.open_table(MEASURES)?;
            let mut index: Index = tables::get(&table, MEASURES, &named(run, INDEX))?.unwrap_or_default();
            if measures.cycle <= index.last_cycle {
                return Ok(());
            }
            index.last_cycle = measures.cycle;
            for (name, value) in &measures.values {
                if !index.metrics.contains_key(name) && index.metrics.len() >= METRICS_MAX {
                    index.left_out += 1;
                    continue;
                }
                let extent = index.metrics.entry(name.clone()).or_insert(Extent { points: 0, stride: 1 });
                append(&mut table, (run, name), extent, &Measured::one(measures.at_ms, measures.cycle, value))?;
            }
            tables::put(&mut table, MEASURES, &named(run, INDEX), &index)
        })
    }

    /// Returns what was measured of a run, by metric, the oldest first.
    pub fn measures(&self, run: &str) -> Result<BTreeMap<String, Vec<Measured>>, StoreError> {
        self.measures_of(run, |_| true)
    }

    /// Returns what was measured of some metrics of a run.
    pub fn measures_of(
        &self,
        run: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Vec<Measured>>, StoreError> {
        self.read(|txn| {
            let Some(table) = tables::if_there(txn, MEASURES)? else { return Ok(BTreeMap::new()) };
            let index: Index = tables::get(&table, MEASURES, &named(run, INDEX))?.unwrap_or_default();
            let all = index.metrics.iter().filter(|(name, _)| wanted(name));
            all.map(|(name, extent)| Ok((name.clone(), read(&table, (run, name), extent.points)?))).collect()
        })
    }

    /// Returns what was measured of a run for the metrics that follow a name, in the order of their names; at most `max`.
    pub fn measures_after(&self, run: &str, after: &str, max: usize) -> Result<Vec<MetricPoints>, StoreError> {
        self.read(|txn| {
            let Some(table) = tables::if_there(txn, MEASURES)? else { return Ok(Vec::new()) };
            let index: Index = tables::get(&table, MEASURES, &named(run, INDEX))?.unwrap_or_default();
            let all = index.metrics.iter().filter(|(name, _)| name.as_str() > after).take(max);
            all.map(|(name, extent)| {
                Ok(MetricPoints { metric: name.clone(), points: read(&table, (run, name), extent.points)? })
            })
            .collect()
        })
    }

    /// Returns how many values were left out because there are too many metrics.
    pub fn measures_left_out(&self, run: &str) -> Result<u64, StoreError> {
        self.read(|txn| {
            let Some(table) = tables::if_there(txn, MEASURES)? else { return Ok(0) };
            let index: Index = tables::get(&table, MEASURES, &named(run, INDEX))?.unwrap_or_default();
            Ok(index.left_out)
        })
    }

    /// Forgets all tables of measures of a run, for tests of what a run without them looks like.
    #[cfg(test)]
    pub(crate) fn forget_measures(&mut self, run: &str) -> Result<(), StoreError> {
        self.write(|txn| {
            let mut table = txn.open_table(MEASURES)?;
            table.retain_in(tables::key(run, &[]).as_slice()..tables::end(run).as_slice(), |_, _| false)?;
            Ok(())
        })
    }
}

/// Adds a point at the end of a metric; when it has too many, neighbours are merged first.
fn append(table: &mut RowsMut<'_>, at: (&str, &str), extent: &mut Extent, point: &Measured) -> Result<(), StoreError> {
    let last_block = extent.points.saturating_sub(1) / BLOCK_POINTS;
    let mut block = read_block(table, at, last_block)?;
    if let Some(last) = block.last_mut().filter(|last| last.life == point.life && last.samples < extent.stride) {
        last.merge(point);
        return write_block(table, at, last_block, &block);
    }
    if extent.points >= POINTS_MAX {
        let half = halved(&read(table, at, extent.points)?);
        let before = extent.points.div_ceil(BLOCK_POINTS);
        extent.stride = extent.stride.saturating_mul(2);
        if half.len() < POINTS_MAX {
            return rewrite(table, at, extent, (before, half), point);
        }
        // Every point is a life of its own: the older half goes, because no two of them can be joined.
        return rewrite(table, at, extent, (before, half[half.len() / 2..].to_vec()), point);
    }
    let no = extent.points / BLOCK_POINTS;
    if no > last_block {
        block = Vec::new();
    }
    block.push(*point);
    extent.points += 1;
    write_block(table, at, no, &block)
}

fn rewrite(
    table: &mut RowsMut<'_>,
    at: (&str, &str),
    extent: &mut Extent,
    (blocks_before, mut points): (usize, Vec<Measured>),
    point: &Measured,
) -> Result<(), StoreError> {
    points.push(*point);
    for no in 0..blocks_before {
        table.remove(block_key(at, no).as_slice())?;
    }
    for (no, block) in points.chunks(BLOCK_POINTS).enumerate() {
        write_block(table, at, no, block)?;
    }
    extent.points = points.len();
    Ok(())
}

fn read(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    at: (&str, &str),
    points: usize,
) -> Result<Vec<Measured>, StoreError> {
    let mut all = Vec::with_capacity(points);
    for no in 0..points.div_ceil(BLOCK_POINTS) {
        all.extend(read_block(table, at, no)?);
    }
    Ok(all)
}

fn read_block(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    at: (&str, &str),
    no: usize,
) -> Result<Vec<Measured>, StoreError> {
    Ok(table.get(block_key(at, no).as_slice())?.map_or_else(Vec::new, |bytes| Measured::unpack(bytes.value())))
}

fn write_block(table: &mut RowsMut<'_>, at: (&str, &str), no: usize, block: &[Measured]) -> Result<(), StoreError> {
    table.insert(block_key(at, no).as_slice(), Measured::pack(block).as_slice())?;
    Ok(())
}

/// Returns the key of a block: run, metric, number.
fn block_key((run, metric): (&str, &str), no: usize) -> Vec<u8> {
    let mut key = named(run, BLOCKS);
    key.extend_from_slice(metric.as_bytes());
    key.push(0);
    key.extend_from_slice(&u32::try_from(no).unwrap_or(u32::MAX).to_be_bytes());
    key
}
