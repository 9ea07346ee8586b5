//! Whether a series grows: slope with confidence, steps, warm-up, saw-tooth, and how much data that is based on.
//!
//! First the parts of the series are found that are no growth ([`structure`]), then what kind of noise is left ([`noise`]), then
//! the growth of what remains is measured and tested by ranks within stretches that nothing interrupts ([`rank`]).

mod explain;
mod fit;
mod noise;
pub mod rank;
mod saw_tooth;
mod step;
mod structure;
mod tidy;
mod verdict;
mod warm_up;
mod words;

pub use explain::explained;

use super::Sample;

/// What is asked of a series, in its own unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Growth per hour that is still healthy.
    pub slope_per_h: f64,
    /// A lasting rise at once that is still healthy; infinite to ignore steps.
    pub step: f64,
    /// The value at which something breaks, for the forecast.
    pub ceiling: Option<f64>,
    /// Share of healthy series that may be called growing.
    pub alpha: f64,
}

/// What a series does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It does not grow faster than the limit, and enough was seen to say so.
    Steady,
    /// It grows faster than the limit.
    Growing,
    /// It does not grow, but rose at once by more than the limit.
    Stepped,
    /// Too little was seen to tell.
    TooLittle,
}

/// A lasting change of level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub at_ms: i64,
    /// Level behind it less level before it.
    pub size: f64,
}

/// A straight piece of the fitted line, within one epoch and between two steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    pub from_ms: i64,
    pub until_ms: i64,
    pub from: f64,
    pub until: f64,
}

/// What is known of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Trend {
    pub outcome: Outcome,
    /// Growth per hour, with its confidence interval at level `1 - alpha`; not a number when there is none.
    pub slope_per_h: f64,
    pub slope_low: f64,
    pub slope_high: f64,
    /// Probability of so much growth in a series that does not grow, corrected for autocorrelation.
    pub p: f64,
    /// Finite samples given, and those used after warm-up and troughs.
    pub samples: usize,
    pub samples_used: usize,
    /// Independent samples that those are worth.
    pub effective: f64,
    pub span_ms: i64,
    pub epochs: usize,
    /// Where the warm-up ends, if there is one.
    pub warm_up_until_ms: Option<i64>,
    pub steps: Vec<Step>,
    /// Samples from one trough to the next, if it is a saw-tooth.
    pub saw_tooth: Option<f64>,
    /// The smallest growth per hour that would have been found nine times out of ten.
    pub detectable_per_h: f64,
    /// When the ceiling is reached if it goes on like this.
    pub reaches_ms: Option<i64>,
    pub line: Vec<Segment>,
    /// One sentence: what it does, and what that is based on, or why nothing can be said.
    pub why: String,
}

/// Examines a series; unsorted, duplicate and not finite values are put right or left out.
pub fn examine(samples: &[Sample], limits: &Limits) -> Trend {
    verdict::examine(samples, limits)
}

#[cfg(test)]
mod tests;
