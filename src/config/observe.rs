//! `[observe]`: how often soakd measures, and where a target that it does not run itself can be measured.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::secret::SecretRef;
use super::units::Span;
use super::version::VersionConfig;

/// `[observe]`. The embedded target's process, files and PostgreSQL are known; `target_…` is for all others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObserveConfig {
    /// Time between two samples of what processes use.
    pub every: Span,
    /// The target's process on this machine.
    pub target_pid: Option<u32>,
    /// The target's systemd unit on this machine.
    pub target_unit: Option<String>,
    /// Address of the target's metrics in Prometheus' format.
    pub target_metrics: Option<String>,
    /// Further metrics that are taken from there.
    pub target_figures: Vec<String>,
    /// The target's SQLite databases on this machine.
    pub target_files: Vec<PathBuf>,
    /// The PostgreSQL that the target keeps its rows in.
    pub target_postgres: Option<SecretRef>,
    /// Who says which version of the server is running.
    pub version: Option<VersionConfig>,
}

impl Default for ObserveConfig {
    fn default() -> Self {
        Self {
            every: Span::from_secs(1),
            target_pid: None,
            target_unit: None,
            target_metrics: None,
            target_figures: Vec::new(),
            target_files: Vec::new(),
            target_postgres: None,
            version: None,
        }
    }
}
