//! What the engine tells its readers. A slow reader misses events and knows how many; it never slows a cycle.

use std::path::PathBuf;

use crate::model::finding::Finding;
use crate::model::record::{CycleRecord, Phase, RunRecord, Snapshot};
use crate::model::verdict::Verdict;

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum RunEvent {
    Started {
        run: String,
        seed: u64,
        resumed_at: Option<(u64, Phase)>,
        steps_recovered: u64,
    },
    Phase {
        cycle: u64,
        phase: Phase,
        /// Steps that the phase will take, where that is known.
        steps: Option<u64>,
    },
    /// Progress within a phase.
    Progress {
        steps_done: u64,
        rows: u64,
        errors: u64,
    },
    Finding(Box<Finding>),
    /// A log line of a worker or of the target.
    Log(String),
    Cycle(Box<CycleRecord>),
    /// A cycle is checkpointed: what reports are made from.
    Checkpoint {
        state_dir: PathBuf,
        snapshot: Box<Snapshot>,
        runs: Vec<RunRecord>,
    },
    Ended {
        verdict: Verdict,
        because: String,
    },
}
