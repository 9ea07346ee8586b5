//! Judges a cycle of the catalog: what the database holds against what was acknowledged, what clients saw while they worked,
//! and what the scenarios promise. It asks nobody; whoever gathers the evidence bounds it.

mod reads;
mod rows;
pub mod scenarios;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::verdict::{CheckResult, Verdict};

/// Lines of evidence that a check shows.
pub const EVIDENCE_MAX: usize = 20;

/// All that is known of a cycle.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    pub datasets: Vec<Dataset>,
    /// Rows that are no dataset of the catalog, bounded.
    pub strangers: Vec<String>,
    /// The version of the catalog as a whole, if it is there.
    pub meta: Option<i64>,
    /// What stands there instead of it.
    pub odd_meta: Option<String>,
    /// Versions that two writes were told to have made.
    pub twice: Watched,
    pub monotonic: Watched,
    pub own_writes: Watched,
    pub staleness: Watched,
    /// How old a read through the cache may be.
    pub staleness_ms: u64,
    pub resolution: Resolution,
    /// Clients of the connection cleanup.
    pub cleanup_clients: u32,
    pub cleanup: Option<Cleanup>,
    pub activity: Activity,
    pub journal: Settled,
}

/// One dataset: what was acknowledged, and what stands there.
#[derive(Debug, Clone, Default)]
pub struct Dataset {
    pub name: String,
    pub acknowledged: u64,
    /// Writes of which nobody knows whether they happened.
    pub open: u64,
    /// What the acknowledged write of the highest version left, or what the dataset began with.
    pub last: State,
    pub row: Option<Row>,
    pub odd: Odd,
}

/// Values of a row that are of another type than what is written there; each stands for nothing in the row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Odd {
    /// What the version is.
    pub version: Option<String>,
    /// What others are, as `content is NULL, no text`.
    pub others: Vec<String>,
}

/// What a write leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub version: i64,
    pub content: String,
    pub writer: String,
    pub operation: i64,
}

/// A row of the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    pub state: State,
    pub total: i64,
}

/// What was held against a rule while clients worked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    pub looked: u64,
    pub broken: u64,
    /// The first that broke it.
    pub first: Vec<String>,
}

impl Watched {
    /// Takes in something that broke the rule.
    pub fn found(&mut self, line: impl FnOnce() -> String) {
        self.broken += 1;
        if self.first.len() < EVIDENCE_MAX {
            self.first.push(line());
        }
    }
}

/// What the clients of the lock resolution came to.
#[derive(Debug, Clone, Default)]
pub struct Resolution {
    pub clients: u32,
    pub attempts_max: u32,
    /// Clients by the attempts that their write took.
    pub attempts: BTreeMap<u32, u32>,
    /// Those that spent all attempts.
    pub unresolved: Vec<u32>,
    /// Those that something else ended.
    pub interrupted: Vec<u32>,
}

/// What is open at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Of the whole process.
    pub descriptors: u64,
    pub threads: u64,
    /// Those descriptors that lead to the database.
    pub database_descriptors: u64,
    /// Those that are sockets to the server, but for those of other applications.
    #[serde(default)]
    pub sockets: u64,
    /// Those threads that sessions have of their own, and those of workers.
    #[serde(default)]
    pub session_threads: u64,
    #[serde(default)]
    pub worker_threads: u64,
    /// Sessions that the pool still holds.
    pub sessions: u64,
    /// Connections that the server counts, where there is one.
    pub connections: Option<u64>,
}

/// What the connection cleanup left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cleanup {
    pub before: Figures,
    pub after: Figures,
    /// Datasets that could be read afterwards.
    pub readable: u32,
    pub datasets: u32,
}

/// What the scenarios did, so that nothing idle is taken for proven.
#[derive(Debug, Clone, Default)]
pub struct Activity {
    pub clients: u32,
    pub successful_writes: u64,
    pub reads: u64,
    /// Reads of the read-heavy scenario that were timed, and their time.
    pub timed: Option<(u64, u64)>,
    /// The most versions of one dataset that readers saw through the cache.
    pub versions: u64,
}

/// How operations with an unknown end were settled.
#[derive(Debug, Clone, Default)]
pub struct Settled {
    pub operations: u64,
    pub acknowledged: u64,
    pub refused: u64,
    /// Those that are still open, bounded.
    pub open: Vec<String>,
    pub open_total: u64,
    /// Those that were too many to keep.
    pub dropped: u64,
    /// Acknowledged writes whose version could not be told from others.
    pub untold: u64,
}

/// Judges all of it.
pub fn judge(evidence: &Evidence) -> Vec<CheckResult> {
    vec![
        rows::versions(evidence),
        rows::lost_updates(evidence),
        reads::monotonic(evidence),
        reads::own_writes(evidence),
        reads::staleness(evidence),
        scenarios::resolution(&evidence.resolution),
        scenarios::cleanup(evidence.cleanup_clients, evidence.cleanup.as_ref()),
        scenarios::activity(&evidence.activity),
        scenarios::journal(&evidence.journal),
    ]
}

/// Returns a check without evidence.
fn said(check: &str, verdict: Verdict, summary: String) -> CheckResult {
    shown(check, verdict, summary, Vec::new(), 0)
}

/// Returns a check that did not apply.
fn not_exercised(check: &str, why: &str) -> CheckResult {
    CheckResult { verdict: None, ..said(check, Verdict::Inconclusive, why.into()) }
}

/// Returns a check with its evidence, cut to what is shown.
fn shown(check: &str, verdict: Verdict, summary: String, mut evidence: Vec<String>, total: u64) -> CheckResult {
    evidence.truncate(EVIDENCE_MAX);
    CheckResult { check: format!("catalog.{check}"), verdict: Some(verdict), summary, evidence, evidence_total: total }
}

/// Returns a number with its noun.
fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
