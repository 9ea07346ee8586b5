//! What the criteria of a run came to: fixed and hashed before it starts, judged over all of its cycles.

use serde::{Deserialize, Serialize};

use super::verdict::Verdict;

/// All criteria of a run, judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    pub at_ms: i64,
    /// Last cycle that was looked at.
    pub cycle: u64,
    /// SHA-256 of the criteria as they were fixed before the run.
    pub hash: String,
    pub results: Vec<CriterionResult>,
}

impl Judgement {
    /// Returns the worst verdict of all criteria that are judged; `None` when none is.
    pub fn verdict(&self) -> Option<Verdict> {
        self.results.iter().filter_map(|result| result.verdict).max()
    }
}

/// One criterion of one metric. Figures are in the unit of the metric (see [`super::metric`]), slopes per hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriterionResult {
    /// Name as in the configuration: `memory_slope`.
    pub criterion: String,
    /// What it was judged of, as in `rss.target`; empty for the run as a whole.
    pub metric: String,
    /// `None` when the criterion is not judged in this run: shown with the reason, and never counted as a pass.
    pub verdict: Option<Verdict>,
    /// One sentence: what was proven, what failed, or why nothing could be said.
    pub summary: String,
    pub limit: Option<f64>,
    pub value: Option<f64>,
    /// Confidence interval of the value, and its level.
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub confidence: Option<f64>,
    pub samples: u64,
    /// The smallest effect that would have been seen.
    pub detectable: Option<f64>,
    /// When a limit is reached if it goes on like this.
    pub reaches_ms: Option<i64>,
    /// Bounded lines with places and times.
    pub evidence: Vec<String>,
}

/// Latency of one action over the whole run, in microseconds, from the intended start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencySummary {
    /// Verb of the action: `sent`.
    pub action: String,
    pub count: u64,
    pub p50_us: u64,
    pub p90_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
}

/// Which metrics of a run are better, the same or worse than those of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Better,
    Same,
    Worse,
    /// Too little is known, or it is too noisy.
    CannotTell,
}

/// One metric of a run against a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricChange {
    pub metric: String,
    pub change: Change,
    pub before: Option<f64>,
    pub after: Option<f64>,
    /// Relative shift with its confidence interval: 0.1 is 10 % more.
    pub shift: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Cliff's delta: the share of pairs in which the later value is larger, less those in which it is smaller.
    pub effect: Option<f64>,
    pub p: Option<f64>,
    pub samples: (u64, u64),
    /// The smallest relative shift that would have been found.
    pub detectable: Option<f64>,
    pub summary: String,
}

/// A run against a baseline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineComparison {
    /// Id of the run that it is compared with, and its server's version.
    pub baseline: String,
    pub baseline_server: String,
    pub server: String,
    pub at_ms: i64,
    pub changes: Vec<MetricChange>,
    /// Why the two cannot be compared, if they cannot.
    pub refused: Vec<String>,
}
