//! What is shown of the run under way beyond its figures: who works and how fast, what the last checks said, and which errors
//! were met. All lists are bounded by whoever fills them.

use serde::{Deserialize, Serialize};

use crate::model::verdict::Verdict;

/// What a group of workers does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    Running,
    /// It has nothing to do in this phase, or the run is paused.
    #[default]
    Waiting,
    /// Its part of the cycle, or the run, is over.
    Done,
    /// Its last step failed after every retry.
    Down,
}

impl WorkerState {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Down => "down",
        }
    }
}

/// The workers of one role, or of one database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerRow {
    /// A role or scenario, `DB3`, or `others` for all that have no row of their own.
    pub name: String,
    pub state: WorkerState,
    pub workers: u32,
    /// Operations, or steps, that ended since the daemon started with this run.
    pub ops: u64,
    /// Over the last seconds, as is the latency.
    pub ops_per_s: f64,
    pub p99_us: u64,
    pub expected: u64,
    pub unexpected: u64,
}

/// What one check of the last cycle said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckLine {
    pub check: String,
    /// `None` when it was not exercised.
    pub verdict: Option<Verdict>,
    pub summary: String,
}

/// Errors of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorLine {
    /// When it was met last.
    pub at_ms: i64,
    /// True if the configuration expects it, or a retry healed it.
    pub expected: bool,
    pub text: String,
    pub count: u64,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Board {
    /// What is driven: `embedded`, `cloudsync`, `sqlite` …
    pub target: String,
    pub workers: Vec<WorkerRow>,
    /// Latency of all workers together over the last seconds.
    pub p99_us: u64,
    /// The cycle that the checks are of; 0 before the first one.
    pub checks_of: u64,
    pub checks: Vec<CheckLine>,
    /// The last ones first.
    pub errors: Vec<ErrorLine>,
    /// Faults that are injected on purpose at this moment.
    pub faults: Vec<String>,
    /// Why the run ended.
    pub ended: Option<String>,
}
