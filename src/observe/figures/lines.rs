//! From what is kept of a metric to a line that breaks where what was measured was started anew.

use super::Measures;
use crate::model::measure::{Measured, Value};
use crate::model::record::CycleRecord;
use crate::observe::chart::{Look, Series};
use crate::observe::report::words::between;
use crate::stats::Sample;

/// Returns the line of a metric.
pub(super) fn line(name: impl Into<String>, points: &[Measured]) -> Series {
    let mut series = Series::new(name, Look::Line, Vec::with_capacity(points.len()));
    let merged = points.iter().any(|point| point.samples > 1);
    let mut life = None;
    for point in points {
        if life.is_some_and(|before| before != point.life) {
            series.points.push((point.at_ms, f64::NAN));
            if merged {
                series.range.push((point.at_ms, f64::NAN, f64::NAN));
            }
        }
        life = Some(point.life);
        series.points.push((point.at_ms, point.mean));
        if merged {
            series.range.push((point.at_ms, point.min, point.max));
        }
    }
    series
}

/// Returns the samples that a trend is examined on.
pub(super) fn samples(points: &[Measured]) -> Vec<Sample> {
    points.iter().map(|point| Sample { at_ms: point.at_ms, value: point.mean, epoch: point.life }).collect()
}

/// First, last, least and largest value, and how many cycles they are of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Extent {
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) samples: u64,
}

/// Returns the extent of a metric, if anything was measured.
pub(crate) fn extent(points: &[Measured]) -> Option<Extent> {
    let (first, last) = (points.first()?, points.last()?);
    Some(Extent {
        first: first.mean,
        last: last.mean,
        least: points.iter().map(|point| point.min).fold(f64::INFINITY, f64::min),
        most: points.iter().map(|point| point.max).fold(f64::NEG_INFINITY, f64::max),
        samples: points.iter().map(|point| u64::from(point.samples)).sum(),
    })
}

/// Returns what the records of the cycles that are kept say of lengths; a gap between two of them begins a new line.
pub(super) fn of_cycles(cycles: &[CycleRecord]) -> Measures {
    let mut measures = Measures::new();
    let mut life = 0;
    let mut before: Option<&CycleRecord> = None;
    for cycle in cycles {
        let follows =
            before.is_some_and(|last| last.cycle.saturating_add(1) == cycle.cycle && last.epoch == cycle.epoch);
        life += u32::from(!follows);
        before = Some(cycle);
        let seconds = |ms: u64| ms as f64 / 1000.0;
        for (metric, value) in
            [("cycle", seconds(between(cycle.started_ms, cycle.ended_ms))), ("converge", seconds(cycle.settle_ms))]
        {
            let point = Measured::one(cycle.ended_ms, cycle.cycle, &Value { value, life });
            measures.entry(metric.to_owned()).or_default().push(point);
        }
    }
    measures
}
