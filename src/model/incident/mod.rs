//! Findings with one cause are one incident: opened once, counted, told once, resolved once. The data is here; `rules` says
//! which cause something has, `book` which incident it belongs to, and `closing` what the end of a cycle makes of them.

mod amend;
pub mod book;
pub mod case;
mod closing;
pub mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::finding::Finding;

/// Causes that one incident names.
pub const CAUSES_MAX: usize = 32;
/// Evidence lines that one incident keeps.
pub const EVIDENCE_MAX: usize = 20;
/// Changes that one incident's history keeps.
pub const HISTORY_MAX: usize = 20;
/// Characters of a title and of a cause.
pub const TITLE_CHARS_MAX: usize = 200;
/// Open incidents; further causes are one incident together.
pub const OPEN_MAX: usize = 200;
/// Resolved incidents that are kept.
pub const RESOLVED_MAX: usize = 500;

/// How much an incident matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something could not be proven, or soakd itself is short of something.
    Warning,
    /// Something does not hold.
    Failure,
}

/// Whether an incident lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    Open,
    Resolved,
}

/// What happened to an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ChangeKind {
    Opened,
    /// An earlier or deeper cause was found, and is the title now.
    Renamed {
        before: String,
    },
    Resolved,
    Reopened,
}

/// One line of an incident's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub at_ms: i64,
    pub cycle: u64,
    pub what: ChangeKind,
}

/// Findings with one cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// Counts up within the state file.
    pub id: u64,
    /// The run that it was last seen in; the cycles below are of this run.
    pub run: String,
    /// The first cause, in words.
    pub title: String,
    /// The cause that the title stands for; see [`Finding::cause`].
    pub cause: String,
    /// All causes that were joined, the first ones, with their counts.
    pub causes: BTreeMap<String, u64>,
    pub severity: Severity,
    pub state: IncidentState,
    /// What was seen first of the cause that the title stands for, since it was last opened.
    pub first: Finding,
    /// When it was opened for the first time; the history tells of later times.
    pub opened_ms: i64,
    pub last_ms: i64,
    pub resolved_ms: Option<i64>,
    pub count: u64,
    pub cycle_first: u64,
    pub cycle_last: u64,
    /// Clean cycles since it was last seen.
    pub clean_cycles: u32,
    /// Lines that name rows, users and databases.
    pub evidence: Vec<String>,
    pub history: Vec<Change>,
    /// When a message about it was last queued.
    pub told_ms: Option<i64>,
    /// Its count when it was last told, for the digest.
    pub told_count: u64,
}
