//! Rank statistics over segments: the slope of Theil and Sen and the test of Mann and Kendall. No pair of values is ever
//! taken from two segments, so that neither a restart nor a step is read as growth.

use std::ops::Range;

use super::super::quantile::normal_below;

/// Returns the median of the slopes of all pairs within a segment, each weighted by its distance in time; none without pairs.
///
/// Theil 1950 and Sen 1968; the weights are those of Jaeckel 1972, which let long pairs, and with them long segments,
/// count for as much as they know.
pub fn theil_sen(at: &[f64], value: &[f64], segments: &[Range<usize>]) -> Option<f64> {
    let mut slopes: Vec<(f64, f64)> = Vec::new();
    for segment in segments {
        for i in segment.clone() {
            for j in i + 1..segment.end {
                let apart = at[j] - at[i];
                let slope = (value[j] - value[i]) / apart;
                if apart > 0.0 && slope.is_finite() {
                    slopes.push((slope, apart));
                }
            }
        }
    }
    weighted_median(&mut slopes)
}

/// Returns the value below and above which the weights are equal.
fn weighted_median(pairs: &mut [(f64, f64)]) -> Option<f64> {
    let half: f64 = pairs.iter().map(|pair| pair.1).sum::<f64>() / 2.0;
    let (mut rest, mut below) = (pairs, 0.0);
    loop {
        if rest.len() <= 32 {
            rest.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            for pair in rest.iter() {
                below += pair.1;
                if below >= half {
                    return Some(pair.0);
                }
            }
            // Only rounding leads here.
            return rest.last().map(|pair| pair.0);
        }
        let middle = rest.len() / 2;
        rest.select_nth_unstable_by(middle, |a, b| a.0.total_cmp(&b.0));
        let left: f64 = rest[..middle].iter().map(|pair| pair.1).sum();
        if below + left >= half {
            rest = &mut rest[..middle];
        } else {
            below += left;
            rest = &mut rest[middle..];
        }
    }
}

/// The sum of signs of Mann 1945 and Kendall, and its variance in independent values.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MannKendall {
    pub s: f64,
    pub variance: f64,
}

/// Adds up the test over segments, with the correction for ties.
pub fn mann_kendall(value: &[f64], segments: &[Range<usize>]) -> MannKendall {
    let mut sum = MannKendall::default();
    for segment in segments {
        let part = &value[segment.clone()];
        for (i, a) in part.iter().enumerate() {
            let signs: i64 = part[i + 1..].iter().map(|b| i64::from(b > a) - i64::from(b < a)).sum();
            sum.s += signs as f64;
        }
        let mut sorted = part.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let term = |n: usize| (n as f64) * (n as f64 - 1.0) * (2.0 * n as f64 + 5.0);
        let ties: f64 =
            sorted.chunk_by(|a, b| a == b).map(|tie| if tie.len() > 1 { term(tie.len()) } else { 0.0 }).sum();
        sum.variance += (term(part.len()) - ties) / 18.0;
    }
    sum
}

impl MannKendall {
    /// Returns the probability of so much growth by chance, if values are worth `inflation` times less than independent ones.
    pub fn p(&self, inflation: f64) -> f64 {
        let spread = (self.variance * inflation).sqrt();
        // The sum changes by two at a time: the correction for continuity.
        let z = if self.s > 0.0 {
            (self.s - 1.0) / spread
        } else if self.s < 0.0 {
            (self.s + 1.0) / spread
        } else {
            0.0
        };
        if z.is_finite() { (1.0 - normal_below(z)).clamp(0.0, 1.0) } else { 1.0 }
    }
}
