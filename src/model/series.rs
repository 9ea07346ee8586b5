//! Measured values over time, in tiers of bounded size: every sample for minutes, one point a minute for days, one an hour
//! for years. Points lie in blocks that are written as packed bytes; which block a time belongs to follows from the time alone.

use serde::{Deserialize, Serialize};

/// Series that are kept.
pub const NAMES_MAX: usize = 256;
/// Bytes of a series' name.
pub const NAME_BYTES_MAX: usize = 100;
/// Points of one block; more samples than that in one block's time are merged into its last point.
const POINTS_MAX: usize = 240;
/// Bytes of a packed point.
const POINT_BYTES: usize = 36;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How finely and for how long points are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    Sample = 0,
    Minute = 1,
    Hour = 2,
}

impl Tier {
    pub const ALL: [Self; 3] = [Self::Sample, Self::Minute, Self::Hour];

    /// Returns the time that one block of this tier spans: one point of the next coarser tier, or ten days.
    pub fn block_ms(self) -> i64 {
        match self {
            Self::Sample => MINUTE_MS,
            Self::Minute => HOUR_MS,
            Self::Hour => 10 * DAY_MS,
        }
    }

    /// Returns how long a block is kept.
    pub fn kept_ms(self) -> i64 {
        match self {
            Self::Sample => 10 * MINUTE_MS,
            Self::Minute => 3 * DAY_MS,
            Self::Hour => 730 * DAY_MS,
        }
    }

    /// Returns the start of the block that a time belongs to.
    pub fn block_of(self, at_ms: i64) -> i64 {
        at_ms.max(0) / self.block_ms() * self.block_ms()
    }

    /// Returns the tier that full blocks of this one become points of.
    pub fn coarser(self) -> Option<Self> {
        match self {
            Self::Sample => Some(Self::Minute),
            Self::Minute => Some(Self::Hour),
            Self::Hour => None,
        }
    }
}

/// What was measured at one moment: values by the name of their series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moment {
    pub at_ms: i64,
    pub values: Vec<(String, f64)>,
}

/// Samples of some span of time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    pub at_ms: i64,
    pub mean: f64,
    pub min: f64,
    pub max: f64,
    pub samples: u32,
}

impl Point {
    /// Makes a point of one sample.
    pub fn sample(at_ms: i64, value: f64) -> Self {
        Self { at_ms, mean: value, min: value, max: value, samples: 1 }
    }

    /// Adds what another point stands for; the time stays.
    pub fn merge(&mut self, other: &Self) {
        let (mine, theirs) = (f64::from(self.samples), f64::from(other.samples));
        self.mean += (other.mean - self.mean) * theirs / (mine + theirs);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.samples = self.samples.saturating_add(other.samples);
    }
}

/// The points of one block, the oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Block(pub Vec<Point>);

impl Block {
    /// Adds a point at its end.
    pub fn push(&mut self, point: Point) {
        let full = self.0.len() >= POINTS_MAX;
        match self.0.last_mut() {
            Some(last) if full || last.at_ms >= point.at_ms => last.merge(&point),
            _ => self.0.push(point),
        }
    }

    /// Returns the one point that stands for the whole block.
    pub fn summary(&self, at_ms: i64) -> Option<Point> {
        let (first, rest) = self.0.split_first()?;
        let mut sum = *first;
        rest.iter().for_each(|point| sum.merge(point));
        Some(Point { at_ms, ..sum })
    }

    /// Packs the points.
    pub fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * POINT_BYTES);
        for point in &self.0 {
            bytes.extend_from_slice(&point.at_ms.to_le_bytes());
            for value in [point.mean, point.min, point.max] {
                bytes.extend_from_slice(&value.to_le_bytes());
            }
            bytes.extend_from_slice(&point.samples.to_le_bytes());
        }
        bytes
    }

    /// Reads packed points; a torn end, which no transaction writes, is left out.
    pub fn unpack(bytes: &[u8]) -> Self {
        let eight = |at: usize, bytes: &[u8]| <[u8; 8]>::try_from(&bytes[at..at + 8]).unwrap_or_default();
        let real = |at, bytes: &[u8]| f64::from_le_bytes(eight(at, bytes));
        let point = |bytes: &[u8]| Point {
            at_ms: i64::from_le_bytes(eight(0, bytes)),
            mean: real(8, bytes),
            min: real(16, bytes),
            max: real(24, bytes),
            samples: u32::from_le_bytes(<[u8; 4]>::try_from(&bytes[32..36]).unwrap_or_default()),
        };
        Self(bytes.chunks_exact(POINT_BYTES).map(point).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_bounded_and_keeps_its_extremes_and_its_mean() {
        let mut block = Block::default();
        for n in 0..1000 {
            block.push(Point::sample(n * 60, n as f64));
        }
        assert_eq!(block.0.len(), POINTS_MAX);
        let sum = block.summary(7).unwrap();
        assert_eq!((sum.at_ms, sum.min, sum.max, sum.samples), (7, 0.0, 999.0, 1000));
        assert!((sum.mean - 499.5).abs() < 1e-9, "{sum:?}");
        assert_eq!(Block::unpack(&block.pack()), block);
        assert_eq!(Block::default().summary(0), None);
    }

    #[test]
    fn a_time_that_does_not_go_on_adds_to_the_last_point() {
        let mut block = Block(vec![Point::sample(10, 1.0)]);
        block.push(Point::sample(10, 3.0));
        block.push(Point::sample(4, 5.0));
        assert_eq!(block.0, [Point { at_ms: 10, mean: 3.0, min: 1.0, max: 5.0, samples: 3 }]);
    }
}
