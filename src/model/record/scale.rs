//! The size of a run.

use serde::{Deserialize, Serialize};

/// The size of a run, for the seed's table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleRecord {
    pub scale: String,
    pub mode: String,
    pub provider: String,
    pub target: String,
    pub rls: bool,
    pub rows: u32,
    pub iterations: u32,
    pub databases: u32,
    pub users: u32,
    /// `None` when the run has no such limit.
    pub cycles_planned: Option<u64>,
    pub duration_planned_ms: Option<u64>,
    /// Steps of all databases in one cycle.
    pub steps_per_cycle: u64,
}

impl ScaleRecord {
    /// Returns true for a database that workers drive themselves.
    pub fn is_direct(&self) -> bool {
        matches!(self.target.as_str(), "sqlite" | "postgres")
    }
}
