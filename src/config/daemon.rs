//! `[api]`, `[limits]` and `[retention]`: what the daemon owes the machine that it lives on.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::secret::SecretRef;
use super::units::{Bytes, Span};

/// `[api]`: how the running daemon is asked and told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// Unix socket; absent: `soakd.sock` in the runtime directory that systemd gives, or else in the state directory.
    pub socket: Option<PathBuf>,
    /// TCP address to listen on as well.
    pub listen: Option<std::net::SocketAddr>,
    /// Bearer token for TCP; required unless the address is a loopback one.
    pub token: Option<SecretRef>,
}

/// `[limits]`: what soakd itself may use before it says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Memory of the daemon.
    pub daemon_memory: Bytes,
    /// Memory of one worker.
    pub worker_memory: Bytes,
    /// Threads of the daemon.
    pub threads: u32,
    /// Share of the permitted file descriptors that the daemon or a worker may hold.
    pub descriptors: f64,
    /// Free space below which it is said.
    pub disk_warn: Bytes,
    /// Free space below which cycles wait.
    pub disk_pause: Bytes,
    /// Size of the state file.
    pub state_file: Bytes,
    /// Jump of the system's clock that is worth a word.
    pub clock_jump: Span,
    /// Time between two looks.
    pub every: Span,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            daemon_memory: Bytes::mib(256),
            worker_memory: Bytes::mib(1024),
            threads: 128,
            descriptors: 0.8,
            disk_warn: Bytes::mib(2048),
            disk_pause: Bytes::mib(512),
            state_file: Bytes::mib(512),
            clock_jump: Span::from_secs(5),
            every: Span::from_secs(10),
        }
    }
}

/// `[retention]`: what is kept of the past. The run under way and the newest one that ended are always kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Runs that are kept, with their reports.
    pub runs: u32,
    /// Age after which a run that ended is forgotten.
    pub age: Span,
    /// Runs whose local databases are kept, for a look at them after a failure.
    pub databases: u32,
    /// Size of everything in the state directory that retention may bring down.
    pub size: Bytes,
    /// Size of the workers' logs.
    pub logs: Bytes,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            runs: 100,
            age: Span::from_secs(180 * 24 * 3600),
            databases: 3,
            size: Bytes::mib(20 * 1024),
            logs: Bytes::mib(64),
        }
    }
}
