//! Steps: the smallest units that are counted and checkpointed.

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::ids::DbNo;
use super::lane::{Lane, LaneFigures};

/// What a step does. A workload plans steps; a worker executes them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Deletes every row that the database holds.
    DeleteAll,
    /// Inserts `rows` rows of iteration `iter` in one transaction.
    Insert { rows: u32 },
    /// Inserts those rows of the shared or own class that are missing, up to `rows`.
    Fill { rows: u32 },
    /// Updates every row that the database holds (`value = value + 1`).
    UpdateAll,
    /// Deletes `count` random rows.
    DeleteRandom { count: u32 },
    /// Writes about `per_mille` of 1000 of the shared rows at random: updates, deletes and inserts.
    Contend { per_mille: u32 },
    /// Sends local changes.
    Send,
    /// Receives remote changes until the server says that there are no more.
    Receive,
    /// Waits, outside the database.
    Wait { ms: u64 },
    /// One second of a lane, or all of it where it has no length.
    Lane(Lane),
}

impl Action {
    /// Returns true if the step writes rows locally.
    pub fn is_write(self) -> bool {
        !matches!(self, Self::Send | Self::Receive | Self::Wait { .. } | Self::Lane(_))
    }

    /// Returns true if the step calls the sync service.
    pub fn is_sync(self) -> bool {
        matches!(self, Self::Send | Self::Receive)
    }

    /// Returns the word that log lines use for it, as people know it from the hand-made test.
    pub fn verb(self) -> &'static str {
        match self {
            Self::DeleteAll | Self::DeleteRandom { .. } => "deleted",
            Self::Insert { .. } | Self::Fill { .. } => "inserted",
            Self::UpdateAll => "updated",
            Self::Contend { .. } => "contended",
            Self::Send => "sent",
            Self::Receive => "received",
            Self::Wait { .. } => "waited",
            Self::Lane(lane) => lane.word(),
        }
    }
}

/// One planned step of one database in one cycle.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Position in the cycle's plan, counted from 1.
    pub no: u32,
    /// Iteration, counted from 1 in every cycle.
    pub iter: u32,
    pub action: Action,
    /// Operations that this step counts for, as the hand-made test counted them.
    pub crud_ops: u64,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    Acknowledged,
    /// The server refused part of it (row-level security); the rest was accepted.
    Refused,
    /// It may or may not have happened; the next check accepts both.
    Indeterminate,
    /// It did not happen, and every retry was spent.
    Failed,
}

/// What a worker says of a finished step; kept in its local database until the cycle is closed, and counted exactly once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepReport {
    pub db: DbNo,
    pub cycle: u64,
    pub step: Step,
    pub outcome: StepOutcome,
    /// Rows that the step really touched locally (received rows included).
    pub rows: u64,
    /// Rows or changes that crossed to or from the server, and their bytes, as far as the provider tells.
    pub moved: u64,
    pub bytes: u64,
    pub attempts: u32,
    pub started_ms: i64,
    /// Time from the intended start to the real one; 0 where the database takes its steps as fast as it can.
    #[serde(default)]
    pub late_us: u64,
    pub elapsed_us: u64,
    /// Server sequence numbers that a send was given, where the provider tells: (lowest possible, highest).
    pub seq: Option<(u64, u64)>,
    /// Errors met on the way, bounded.
    pub findings: Vec<Finding>,
    /// What a lane did; none of other steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Box<LaneFigures>>,
}

impl StepReport {
    /// Returns the latency from the intended start: one who waits for a step waits that long, whatever held it up.
    pub fn latency_us(&self) -> u64 {
        self.late_us.saturating_add(self.elapsed_us)
    }
}
