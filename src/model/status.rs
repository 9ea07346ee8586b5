//! What the daemon does right now, and what it may be told to do: what the local API, systemd and metrics show.

mod board;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::message::OutboxState;
use super::record::Phase;
use super::verdict::Verdict;
pub use board::{Board, CheckLine, ErrorLine, WorkerRow, WorkerState};

/// What somebody wants of the running daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Control {
    /// No new step of the load begins until it is resumed.
    Pause {
        reason: String,
    },
    Resume,
    /// A run begins now: of this schedule, or of the only one; in a pause between cycles, the next cycle begins now.
    Trigger {
        schedule: Option<String>,
    },
    /// The daemon ends after the cycle in work; with `now`, after the step in work.
    Stop {
        now: bool,
    },
    /// Reads the configuration again.
    Reload,
    /// Later runs are compared with this one; or with none.
    Baseline {
        run: Option<String>,
    },
}

/// What the daemon does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DaemonState {
    #[default]
    Starting,
    /// Waits for the next scheduled run.
    Idle,
    Running,
    Paused,
    Stopping,
}

/// The run under way, or the last one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunStatus {
    pub run: String,
    pub name: String,
    pub schedule: Option<String>,
    pub seed: u64,
    pub started_ms: i64,
    pub cycle: u64,
    pub cycles_planned: Option<u64>,
    pub phase: Phase,
    pub steps_done: u64,
    pub steps_planned: u64,
    pub rows_per_s: f64,
    /// Errors of the cycle in work.
    pub errors: u64,
    pub cycles_by_verdict: BTreeMap<Verdict, u64>,
    /// The worst of all cycles so far.
    pub verdict: Option<Verdict>,
    pub last_cycle_ms: Option<i64>,
    pub last_pass_ms: Option<i64>,
}

/// One schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleStatus {
    pub name: String,
    pub cron: String,
    pub zone: String,
    /// `None` when no run is left.
    pub next_ms: Option<i64>,
    pub last_ms: Option<i64>,
    pub runs: u64,
    /// Runs that did not take place because another one was under way, in quiet hours, or in down-time.
    pub skipped: u64,
    pub queued: bool,
}

/// What one process of soakd uses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// `daemon`, `target`, `worker-1` …
    pub part: String,
    pub pid: u32,
    pub rss_bytes: u64,
    pub pss_bytes: u64,
    pub threads: u64,
    pub descriptors: u64,
    pub descriptors_max: u64,
    pub cpu_ms: u64,
}

/// What the machine has left for soakd.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    pub at_ms: i64,
    pub parts: Vec<Usage>,
    pub disk_free_bytes: u64,
    pub state_file_bytes: u64,
    /// Everything below the state directory.
    pub state_dir_bytes: u64,
    /// What was measured last of the parts that there are, by metric; what cannot be measured is absent.
    #[serde(default)]
    pub figures: BTreeMap<String, f64>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    pub soakd: String,
    pub pid: u32,
    pub started_ms: i64,
    pub now_ms: i64,
    pub config: String,
    pub state: DaemonState,
    /// Why it is paused; it goes on when nothing is left here.
    pub paused_because: Vec<String>,
    pub run: Option<RunStatus>,
    pub schedules: Vec<ScheduleStatus>,
    pub incidents_open: u64,
    pub outbox: OutboxState,
    pub health: Health,
    /// What the last reload of the configuration said.
    pub reload: Option<String>,
    /// Workers, checks and errors of the run.
    #[serde(default)]
    pub board: Board,
}
