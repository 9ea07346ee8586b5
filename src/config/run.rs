//! `[run]`, `[timeouts]`, `[retry]`, `[verify]` and `[log]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::units::Span;
use crate::model::finding::Kind;

/// `[run]`: how long, where, and from which seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Name of the run in reports.
    pub name: String,
    /// Directory for the state file, databases, logs and reports.
    pub state_dir: PathBuf,
    /// Seed of every random choice; absent: drawn at the start and written down.
    pub seed: Option<u64>,
    /// Ends after this many cycles.
    pub cycles: Option<u64>,
    /// Ends after this much observed time. With `cycles`, whichever comes first; with neither, the run never ends.
    pub duration: Option<Span>,
    /// Day, or instant, at which the run ends: `2027-01-31` or `2027-01-31T18:00:00+01:00`.
    pub until: Option<String>,
    /// Pause between two cycles.
    pub pause: Span,
    /// Hours in which no cycle begins, such as `"22:00-06:00"` or `"Sat,Sun 00:00-24:00"`.
    pub quiet: Vec<String>,
    /// Time zone of `until` and `quiet`.
    pub zone: String,
    /// Databases per worker process; absent: one each, up to 16 processes.
    pub databases_per_worker: Option<u32>,
    /// Stops the run at the first cycle that fails.
    pub stop_on_fail: bool,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            name: "soak".into(),
            state_dir: "soakd-state".into(),
            seed: None,
            cycles: None,
            duration: None,
            until: None,
            pause: Span::from_secs(0),
            quiet: Vec::new(),
            zone: "UTC".into(),
            databases_per_worker: None,
            stop_on_fail: false,
        }
    }
}

/// `[timeouts]`: after which time something counts as stuck.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutConfig {
    /// One connection attempt to the service.
    pub connect: Span,
    /// One call to the service.
    pub request: Span,
    /// How long a statement waits for a lock on a local database.
    pub busy: Span,
    /// A worker that says nothing for this long is killed and replaced.
    pub worker_silent: Span,
    /// A step that shows no progress for this long costs its worker its life.
    pub step: Span,
    /// How long the embedded target may take to become ready.
    pub target_ready: Span,
    /// How long a stop may take before the rest is cut off.
    pub drain: Span,
    /// One liveness probe of the target.
    pub probe: Span,
}

impl Default for TimeoutConfig {
    fn default() -> Self {
        Self {
            connect: Span::from_secs(5),
            request: Span::from_secs(60),
            busy: Span::from_secs(5),
            worker_silent: Span::from_secs(120),
            step: Span::from_secs(1800),
            target_ready: Span::from_secs(20),
            drain: Span::from_secs(8),
            probe: Span::from_secs(3),
        }
    }
}

/// `[retry]`: how transient errors are retried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    pub first: Span,
    pub max: Span,
    pub multiplier: f64,
    /// Gives up on a step after this time.
    pub give_up: Span,
    /// Restarts of a worker or of the embedded target that one cycle may cost.
    pub restarts_per_cycle: u32,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            first: Span::from_millis(50),
            max: Span::from_secs(5),
            multiplier: 2.0,
            give_up: Span::from_secs(300),
            restarts_per_cycle: 25,
        }
    }
}

/// `[verify]`: what is checked after every cycle, and how hard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifyConfig {
    /// Rounds of send and receive in which everything must come to rest.
    pub settle_rounds: u32,
    /// Wait between two rounds in which nothing moved yet (a service prepares downloads in the background).
    pub settle_wait: Span,
    /// Probes every pair of users and every verb.
    pub isolation: bool,
    /// Reads the server's own content and compares it.
    pub server: bool,
    /// Kinds of errors that do not fail a cycle when a retry healed them.
    pub tolerate: Vec<Kind>,
    /// Evidence lines kept per check.
    pub evidence: u32,
}

impl Default for VerifyConfig {
    fn default() -> Self {
        Self {
            settle_rounds: 50,
            settle_wait: Span::from_millis(0),
            isolation: true,
            server: true,
            tolerate: vec![Kind::Locked, Kind::Busy, Kind::Timeout, Kind::Refused, Kind::Reset, Kind::RateLimited],
            evidence: 50,
        }
    }
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug`, or levels by module as in `info,soakd::engine=debug`.
    pub level: String,
    pub format: LogFormat,
    /// Time in which a line that repeats is only counted.
    pub repeats: Span,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, fields under systemd's journal, JSON otherwise.
    Auto,
    Text,
    Json,
    /// Entries with fields, sent to systemd's journal.
    Journal,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Auto, repeats: Span::from_secs(60) }
    }
}
