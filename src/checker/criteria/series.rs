//! From what is kept of a metric to the series that the statistics take.

use std::collections::BTreeSet;

use super::Evidence;
use crate::model::measure::{Measured, halved};
use crate::model::metric::parse;
use crate::stats::Sample;

/// Points of one series that are examined: more make it slower and hardly any better.
const POINTS_MAX: usize = 512;
/// Share of the cycles that the better of two metrics must cover to be preferred.
const COVERED: f64 = 0.9;

/// One metric of one part.
pub(super) struct Series {
    pub(super) metric: String,
    pub(super) points: Vec<Measured>,
}

impl Series {
    /// Returns the samples, each life apart, in units of `unit`.
    pub(super) fn samples(&self, unit: f64) -> Vec<Sample> {
        let sample = |point: &Measured| Sample { at_ms: point.at_ms, value: point.mean / unit, epoch: point.life };
        self.points.iter().map(sample).collect()
    }

    /// Returns how many cycles were measured.
    pub(super) fn cycles(&self) -> u64 {
        cycles(&self.points)
    }
}

/// Returns how many cycles points stand for.
pub(super) fn cycles(points: &[Measured]) -> u64 {
    points.iter().map(|point| u64::from(point.samples)).sum()
}

impl Evidence<'_> {
    /// Returns the parts that a kind of metric was measured of, and those that it had to be measured of.
    pub(super) fn parts_of(&self, kinds: &[&str], expected: &[String]) -> BTreeSet<String> {
        let measured = self.measures.iter().filter(|(_, points)| !points.is_empty()).filter_map(|(metric, _)| {
            let (kind, part) = parse(metric)?;
            (kinds.contains(&kind.name) && !part.is_empty()).then(|| part.to_owned())
        });
        measured.chain(expected.iter().cloned()).collect()
    }

    /// Returns the first of some kinds that was measured of a part in nearly as many cycles as any of them.
    pub(super) fn first_of(&self, kinds: &[&str], part: &str) -> Option<Series> {
        let known = |kind: &&str| {
            let metric = if part.is_empty() { (*kind).to_owned() } else { format!("{kind}.{part}") };
            let points: Vec<Measured> =
                self.measures.get(&metric)?.iter().filter(|point| point.mean.is_finite()).copied().collect();
            Some(Series { points, metric }).filter(|series| !series.points.is_empty())
        };
        let all: Vec<Series> = kinds.iter().filter_map(known).collect();
        let most = all.iter().map(Series::cycles).max()? as f64;
        let mut best = all.into_iter().find(|series| series.cycles() as f64 >= COVERED * most)?;
        while best.points.len() > POINTS_MAX {
            let half = halved(&best.points);
            if half.len() == best.points.len() {
                // Every point is a life of its own.
                break;
            }
            best.points = half;
        }
        Some(best)
    }
}
