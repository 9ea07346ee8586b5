//! Pure statistics of series and samples: is it growing, did it change, is this build worse than that one. Nothing in here
//! reads a clock, a file or another part of soakd, and every formula names its source.

pub mod burn;
pub mod change;
pub mod compare;
pub mod corpus;
pub mod drift;
pub mod latency;
pub(crate) mod median;
pub(crate) mod quantile;
pub mod share;
pub mod trend;

/// One measured value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    pub at_ms: i64,
    pub value: f64,
    /// One life of what was measured: values of two lives are never joined by a line.
    pub epoch: u32,
}

impl Sample {
    /// Makes a sample of the first epoch.
    pub fn new(at_ms: i64, value: f64) -> Self {
        Self { at_ms, value, epoch: 0 }
    }
}
