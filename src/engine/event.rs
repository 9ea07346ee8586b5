//! What the engine tells its readers. A slow reader misses events and knows how many; it never slows a cycle.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::finding::Finding;
use crate::model::incident::{ChangeKind, Incident};
use crate::model::record::{CycleRecord, Phase, RunRecord, Snapshot};
use crate::model::status::{DaemonState, Health, ScheduleStatus};
use crate::model::step::StepReport;
use crate::model::verdict::Verdict;

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum RunEvent {
    Started {
        record: Box<RunRecord>,
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
    /// Steps that were counted just now.
    Steps(Arc<Vec<StepReport>>),
    Finding(Box<Finding>),
    /// An incident was opened, renamed, resolved or opened again.
    Incident(Box<Incident>, ChangeKind),
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
    /// What the daemon does now, and why it is paused if it is.
    State(DaemonState, Vec<String>),
    Schedules(Vec<ScheduleStatus>),
    /// What soakd's processes use, and what the machine has left.
    Health(Box<Health>),
    /// What a reload of the configuration came to.
    Reloaded(String),
}

/// What self-care found until a verification takes it: bounded, and with the number of looks, so that no look is no pass.
#[derive(Debug, Clone, Default)]
pub struct OwnFindings(Arc<Mutex<(u64, Vec<Finding>)>>);

impl OwnFindings {
    /// Findings that wait at most.
    const MAX: usize = 100;

    /// Notes a look and what it found.
    pub fn add(&self, looks: u64, findings: &[Finding]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0 += looks;
        let room = Self::MAX.saturating_sub(kept.1.len());
        kept.1.extend(findings.iter().take(room).cloned());
    }

    /// Takes everything; `None` when nobody looked.
    pub fn take(&self) -> Option<Vec<Finding>> {
        let (looks, findings) = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        (looks > 0).then_some(findings)
    }
}

/// A count that grows whenever something was really done: a step, rows, a retry, a phase, a look at the clock of a schedule.
/// It stands still when the engine is wedged, and that is what the watchdog looks at.
#[derive(Debug, Clone, Default)]
pub struct Beat(Arc<AtomicU64>);

impl Beat {
    /// Notes that something was done.
    pub fn on(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the count.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
