//! What was measured at the quiet end of each cycle: one value per metric and cycle, comparable from cycle to cycle because
//! nothing moves at that moment. A long run keeps a bounded number of points per metric; neighbours are merged as it grows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Points kept of one metric; when there are more, neighbours of one life are merged.
pub const POINTS_MAX: usize = 2048;
/// Metrics kept of one run.
pub const METRICS_MAX: usize = 256;
/// Bytes of a packed point.
const POINT_BYTES: usize = 48;

/// Everything that was measured of one cycle.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CycleMeasures {
    pub cycle: u64,
    pub at_ms: i64,
    /// Value by metric; what could not be measured is absent.
    pub values: BTreeMap<String, Value>,
}

/// One value, and the life of what it was measured of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    pub value: f64,
    /// Changes whenever what is measured was started anew: a process id, or the daemon's epoch.
    pub life: u32,
}

impl CycleMeasures {
    /// Notes a value; one that is no number is left out.
    pub fn note(&mut self, metric: impl Into<String>, value: f64, life: u32) {
        if value.is_finite() {
            self.values.insert(metric.into(), Value { value, life });
        }
    }
}

/// How much a server holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holdings {
    pub rows: u64,
    /// Deletes that are remembered for clients which have not heard of them.
    pub tombstones: u64,
    /// Rows that the server keeps for itself: clients, tokens, watermarks.
    pub metadata: u64,
}

/// Values of one or more cycles in a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Time and number of the first cycle.
    pub at_ms: i64,
    pub cycle: u64,
    pub life: u32,
    /// Cycles that it stands for.
    pub samples: u32,
    pub mean: f64,
    pub min: f64,
    pub max: f64,
}

impl Measured {
    /// Makes a point of one cycle.
    pub fn one(at_ms: i64, cycle: u64, value: &Value) -> Self {
        let Value { value, life } = *value;
        Self { at_ms, cycle, life, samples: 1, mean: value, min: value, max: value }
    }

    /// Adds the values of later cycles.
    pub fn merge(&mut self, other: &Self) {
        let (mine, theirs) = (f64::from(self.samples), f64::from(other.samples));
        self.mean += (other.mean - self.mean) * theirs / (mine + theirs);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.samples = self.samples.saturating_add(other.samples);
    }

    /// Packs points.
    pub fn pack(points: &[Self]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(points.len() * POINT_BYTES);
        for point in points {
            bytes.extend_from_slice(&point.at_ms.to_le_bytes());
            bytes.extend_from_slice(&point.cycle.to_le_bytes());
            bytes.extend_from_slice(&point.life.to_le_bytes());
            bytes.extend_from_slice(&point.samples.to_le_bytes());
            for value in [point.mean, point.min, point.max] {
                bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
        bytes
    }

    /// Reads packed points; a torn end, which no transaction writes, is left out.
    pub fn unpack(bytes: &[u8]) -> Vec<Self> {
        let eight = |bytes: &[u8], at: usize| <[u8; 8]>::try_from(&bytes[at..at + 8]).unwrap_or_default();
        let four = |bytes: &[u8], at: usize| <[u8; 4]>::try_from(&bytes[at..at + 4]).unwrap_or_default();
        let point = |bytes: &[u8]| Self {
            at_ms: i64::from_le_bytes(eight(bytes, 0)),
            cycle: u64::from_le_bytes(eight(bytes, 8)),
            life: u32::from_le_bytes(four(bytes, 16)),
            samples: u32::from_le_bytes(four(bytes, 20)).max(1),
            mean: f64::from_le_bytes(eight(bytes, 24)),
            min: f64::from_le_bytes(eight(bytes, 32)),
            max: f64::from_le_bytes(eight(bytes, 40)),
        };
        bytes.chunks_exact(POINT_BYTES).map(point).collect()
    }
}

/// What is kept of one metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricPoints {
    pub metric: String,
    /// The oldest first.
    pub points: Vec<Measured>,
}

/// Merges neighbours of one life, two and two.
pub fn halved(points: &[Measured]) -> Vec<Measured> {
    let mut out: Vec<Measured> = Vec::with_capacity(points.len() / 2 + 1);
    let mut open = false;
    for point in points {
        match out.last_mut() {
            Some(last) if open && last.life == point.life => {
                last.merge(point);
                open = false;
            }
            _ => {
                out.push(*point);
                open = true;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(lives: &[u32]) -> Vec<Measured> {
        let point = |(at, life): (usize, &u32)| {
            Measured::one(at as i64 * 10, at as u64 + 1, &Value { value: at as f64, life: *life })
        };
        lives.iter().enumerate().map(point).collect()
    }

    #[test]
    fn points_are_packed_and_halved_within_a_life_only() {
        let all = points(&[1, 1, 1, 2, 2, 3]);
        assert_eq!(Measured::unpack(&Measured::pack(&all)), all);
        let half = halved(&all);
        assert_eq!(half.iter().map(|p| (p.life, p.samples)).collect::<Vec<_>>(), [(1, 2), (1, 1), (2, 2), (3, 1)]);
        assert_eq!((half[0].mean, half[0].min, half[0].max), (0.5, 0.0, 1.0));
        assert!(halved(&[]).is_empty());
    }

    #[test]
    fn what_is_no_number_is_not_noted() {
        let mut measures = CycleMeasures::default();
        measures.note("rss.target", f64::NAN, 1);
        measures.note("rss.daemon", 4.0, 1);
        assert_eq!(measures.values.len(), 1);
    }
}
