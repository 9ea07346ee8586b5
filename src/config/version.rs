//! `[observe.version]`: who says which version of the server is running.

use serde::{Deserialize, Serialize};

use super::units::Span;

/// `[observe.version]`: one of the four ways. Without the section the embedded target says it itself, and of others nothing is
/// known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VersionConfig {
    /// Header in the answer to the liveness probe.
    pub header: Option<String>,
    /// Address that answers with the version.
    pub endpoint: Option<String>,
    /// Where in that answer it stands, if that is JSON: `/build/commit`.
    pub pointer: Option<String>,
    /// Program and arguments; the first line that it prints is the version.
    pub command: Option<Vec<String>>,
    /// The version itself.
    pub label: Option<String>,
    /// How long it may take to find out.
    pub timeout: Span,
}

impl Default for VersionConfig {
    fn default() -> Self {
        Self { header: None, endpoint: None, pointer: None, command: None, label: None, timeout: Span::from_secs(3) }
    }
}
