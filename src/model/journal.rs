//! The journal of writes: which rows a write step touched, in which state it saw them, and in which state it left them.
//!
//! Rows are kept as runs of neighbours in one state, so a step over 100,000 rows is a handful of runs. The journal is
//! what the set of admissible states of a row is computed from; it says nothing about what the server did.

use serde::{Deserialize, Serialize};

use super::content::Stamp;
use super::ids::{DbNo, RowClass};

/// One state of a row that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    pub stamp: Stamp,
    /// Number of updates since the row was inserted.
    pub depth: i64,
}

/// Neighbouring rows of one class that are in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRun {
    pub class: RowClass,
    pub first: u32,
    pub last: u32,
    pub version: Version,
}

/// Neighbouring rows of one class that one write step found alike and left alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteRun {
    pub class: RowClass,
    pub first: u32,
    pub last: u32,
    /// What was there before; `None` when the row was absent.
    pub seen: Option<Version>,
    /// What is there now; `None` when the row was deleted.
    pub wrote: Option<Version>,
}

/// One write step in the journal of one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteEntry {
    pub db: DbNo,
    /// The step's number in its cycle.
    pub step: u32,
    pub runs: Vec<WriteRun>,
    /// True once a later send was acknowledged: the server has it.
    pub acknowledged: bool,
    /// Server sequence numbers of that send, where the provider tells: (lowest possible, highest).
    pub seq: Option<(u64, u64)>,
}

/// All that one database wrote in one cycle, and what it held when the cycle began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CycleJournal {
    pub db: DbNo,
    pub cycle: u64,
    pub baseline: Vec<StateRun>,
    pub writes: Vec<WriteEntry>,
    /// True if the sync position was reset in this cycle: old changes may legitimately have been sent again.
    pub resent: bool,
}
