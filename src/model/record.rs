//! What is kept of a run in the state file, and what reports are made from. Every record is JSON with the format number of
//! the state file; all lists are bounded by whoever fills them.

mod scale;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::ids::{DbNo, UserNo};
use super::judgement::{BaselineComparison, Changes, Judgement, LatencySummary};
use super::lane::{Lane, LaneFigures};
use super::step::StepReport;
use super::verdict::{CheckResult, Verdict};

pub use scale::ScaleRecord;

/// Lines kept from the start and from the end of each database's log.
pub const LOG_LINES_KEPT: usize = 30;
/// Slots of a finding group's time line.
pub const TIMELINE_SLOTS: usize = 64;

/// Databases, users and iterations that a finding group counts apart.
const NAMES_MAX: usize = 64;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Load,
    Settle,
    Verify,
    Checkpoint,
    /// Between two cycles.
    Pause,
    Done,
}

impl Phase {
    /// Returns the word for logs and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Settle => "settle",
            Self::Verify => "verify",
            Self::Checkpoint => "checkpoint",
            Self::Pause => "pause",
            Self::Done => "done",
        }
    }
}

/// Versions of everything that took part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    pub soakd: String,
    pub sqlite: String,
    /// Name and version of the provider: `native 1` or `cloudsync 1.1.4`.
    pub provider: String,
    /// What the target says of itself, if it does.
    pub server: String,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    pub run: String,
    pub name: String,
    /// The schedule that began it.
    #[serde(default)]
    pub schedule: Option<String>,
    pub seed: u64,
    pub started_ms: i64,
    pub ended_ms: Option<i64>,
    /// The whole configuration, secrets as references, flattened to `key -> value`: what a resume is compared with.
    pub config: BTreeMap<String, String>,
    pub scale: ScaleRecord,
    pub versions: Versions,
    /// Cycle in work, or the last one.
    pub cycle: u64,
    pub phase: Phase,
    /// Time that the daemon was up in this run, over all epochs.
    pub observed_ms: u64,
    /// SHA-256 of the criteria, fixed when the run began.
    #[serde(default)]
    pub criteria: String,
    pub verdict: Option<Verdict>,
    /// Why it ended: `cycles done`, `duration over`, `stopped by SIGTERM`, `started afresh` …
    pub ended_because: Option<String>,
}

/// One life of the daemon within a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    pub epoch: u32,
    pub pid: u32,
    pub started_ms: i64,
    /// Last sign of life; the gap to the next epoch's start was not observed.
    pub last_ms: i64,
    /// Cycle and phase that this epoch started in.
    pub cycle: u64,
    pub phase: Phase,
    /// True if it ended in good order.
    pub clean_end: bool,
    /// Steps found done in local databases that the state file had not counted yet.
    pub steps_recovered: u64,
}

/// Counters; every one is exact over restarts because it is derived from steps that are counted by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Counters {
    pub steps: u64,
    pub steps_failed: u64,
    pub steps_indeterminate: u64,
    pub steps_refused: u64,
    pub crud_ops: u64,
    pub sync_ops: u64,
    pub rows_inserted: u64,
    pub rows_updated: u64,
    pub rows_deleted: u64,
    pub changes_sent: u64,
    pub changes_received: u64,
    pub bytes: u64,
    pub retries: u64,
    pub errors: u64,
    pub busy_us: u64,
}

impl Counters {
    /// Adds one finished step.
    pub fn count(&mut self, report: &StepReport) {
        use super::step::{Action, StepOutcome};
        self.steps += 1;
        match report.outcome {
            StepOutcome::Acknowledged => {}
            StepOutcome::Failed => self.steps_failed += 1,
            StepOutcome::Indeterminate => self.steps_indeterminate += 1,
            StepOutcome::Refused => self.steps_refused += 1,
        }
        self.crud_ops += report.step.crud_ops;
        self.sync_ops += u64::from(report.step.action.is_sync());
        match report.step.action {
            Action::DeleteAll | Action::DeleteRandom { .. } => self.rows_deleted += report.rows,
            Action::Insert { .. } | Action::Fill { .. } => self.rows_inserted += report.rows,
            Action::UpdateAll | Action::Contend { .. } => self.rows_updated += report.rows,
            Action::Send => self.changes_sent += report.moved,
            Action::Receive => self.changes_received += report.moved,
            Action::Wait { .. } | Action::Lane(_) => {}
        }
        self.bytes += report.bytes;
        self.retries += u64::from(report.attempts.saturating_sub(1));
        self.busy_us += report.elapsed_us;
    }

    /// Adds another set of counters.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.steps_failed += other.steps_failed;
        self.steps_indeterminate += other.steps_indeterminate;
        self.steps_refused += other.steps_refused;
        self.crud_ops += other.crud_ops;
        self.sync_ops += other.sync_ops;
        self.rows_inserted += other.rows_inserted;
        self.rows_updated += other.rows_updated;
        self.rows_deleted += other.rows_deleted;
        self.changes_sent += other.changes_sent;
        self.changes_received += other.changes_received;
        self.bytes += other.bytes;
        self.retries += other.retries;
        self.errors += other.errors;
        self.busy_us += other.busy_us;
    }
}

/// One finished cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CycleRecord {
    pub cycle: u64,
    pub started_ms: i64,
    pub ended_ms: i64,
    pub load_ms: u64,
    pub settle_ms: u64,
    pub verify_ms: u64,
    /// What the durable commits of this cycle cost.
    pub checkpoint_us: u64,
    pub settle_rounds: u32,
    pub steps: u64,
    pub steps_planned: u64,
    pub errors: u64,
    pub rows_final: u64,
    /// Short digest of all users' content at the end, in user order.
    pub content: String,
    /// The daemon's life that closed it.
    #[serde(default)]
    pub epoch: u32,
    /// What the target said of its version; empty if it says nothing.
    #[serde(default)]
    pub server: String,
    pub verdict: Verdict,
    pub checks: Vec<CheckResult>,
    /// Digest over all checks as they were when the cycle was closed; older cycles keep only those that did not pass.
    #[serde(default)]
    pub checks_digest: String,
    /// Digest of the cycle before, and of this one with that in it; empty until the cycle is closed.
    #[serde(default)]
    pub previous: String,
    #[serde(default)]
    pub digest: String,
}

/// Findings of one cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindingGroup {
    pub cause: String,
    pub count: u64,
    pub tolerated: u64,
    pub first: Finding,
    pub last_ms: i64,
    /// Count by database; databases beyond a bound are summed under 0.
    pub by_db: BTreeMap<DbNo, u64>,
    /// Count by user and by iteration, in the same way.
    #[serde(default)]
    pub by_user: BTreeMap<UserNo, u64>,
    #[serde(default)]
    pub by_iter: BTreeMap<u32, u64>,
    /// Counts in equal slots from `timeline_from_ms`; the slot width doubles whenever the line is full.
    pub timeline_from_ms: i64,
    pub timeline_slot_ms: i64,
    pub timeline: Vec<u64>,
}

impl FindingGroup {
    /// Opens a group with its first finding.
    pub fn new(first: Finding) -> Self {
        let at_ms = first.at_ms;
        let mut group = Self {
            cause: first.cause(),
            count: 0,
            tolerated: 0,
            last_ms: at_ms,
            by_db: BTreeMap::new(),
            by_user: BTreeMap::new(),
            by_iter: BTreeMap::new(),
            timeline_from_ms: at_ms,
            timeline_slot_ms: 1000,
            timeline: Vec::new(),
            first: first.clone(),
        };
        group.add(&first);
        group
    }

    /// Adds a finding of the same cause; the group's size does not grow with the count.
    pub fn add(&mut self, finding: &Finding) {
        self.count += 1;
        self.tolerated += u64::from(finding.tolerated);
        self.last_ms = self.last_ms.max(finding.at_ms);
        count_by(&mut self.by_db, finding.db);
        count_by(&mut self.by_user, finding.user);
        count_by(&mut self.by_iter, finding.iter);
        while (finding.at_ms - self.timeline_from_ms) / self.timeline_slot_ms >= TIMELINE_SLOTS as i64 {
            self.timeline_slot_ms *= 2;
            self.timeline = self.timeline.chunks(2).map(|pair| pair.iter().sum()).collect();
        }
        let slot = ((finding.at_ms - self.timeline_from_ms).max(0) / self.timeline_slot_ms) as usize;
        if self.timeline.len() <= slot {
            self.timeline.resize(slot + 1, 0);
        }
        self.timeline[slot] += 1;
    }
}

/// Counts a finding by what it names; what it does not name, and what is beyond the bound, goes under 0.
fn count_by(counts: &mut BTreeMap<u32, u64>, name: Option<u32>) {
    let name = name.filter(|name| counts.contains_key(name) || counts.len() < NAMES_MAX).unwrap_or(0);
    *counts.entry(name).or_default() += 1;
}

/// An interval in which the target did not answer the liveness probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    pub from_ms: i64,
    /// `None` while it lasts.
    pub until_ms: Option<i64>,
    pub reason: String,
}

/// First and last log lines of one database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogTail {
    pub first: Vec<String>,
    pub last: Vec<String>,
    /// Lines in between that were not kept.
    pub dropped: u64,
}

impl LogTail {
    /// Adds a line, keeping the first and the last [`LOG_LINES_KEPT`].
    pub fn push(&mut self, line: String) {
        if self.first.len() < LOG_LINES_KEPT {
            self.first.push(line);
            return;
        }
        if self.last.len() == LOG_LINES_KEPT {
            self.last.remove(0);
            self.dropped += 1;
        }
        self.last.push(line);
    }
}

/// What one database did over the whole run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DbSummary {
    pub db: DbNo,
    pub user: UserNo,
    pub counters: Counters,
    pub rows_final: u64,
    /// Slowest step by kind of action, in microseconds.
    pub slowest_us: BTreeMap<String, u64>,
}

/// All that is known of a run: what every report is rendered from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    pub format: u32,
    pub made_ms: i64,
    pub run: RunRecord,
    pub epochs: Vec<EpochRecord>,
    pub totals: Counters,
    pub databases: Vec<DbSummary>,
    pub cycles_done: u64,
    pub cycles_by_verdict: BTreeMap<Verdict, u64>,
    /// The last cycles, and the first failing ones, bounded.
    pub cycles: Vec<CycleRecord>,
    pub findings: Vec<FindingGroup>,
    /// Causes beyond the bound on groups.
    pub findings_ungrouped: u64,
    pub outages: Vec<Outage>,
    /// Older outages that were dropped because the list is bounded.
    #[serde(default)]
    pub outages_dropped: u64,
    pub logs: BTreeMap<DbNo, LogTail>,
    /// What the criteria came to when they were last judged.
    #[serde(default)]
    pub judgement: Option<Judgement>,
    /// Latency by action, over all cycles.
    #[serde(default)]
    pub latency: Vec<LatencySummary>,
    /// What the lanes of a direct workload did; their latencies stand under the names of the lanes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lanes: BTreeMap<Lane, LaneFigures>,
    /// What people know of the last cycle of a direct workload, such as `Successful writes: 812`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// How the run compares with the baseline, if there is one.
    #[serde(default)]
    pub baseline: Option<BaselineComparison>,
    /// Digest of the last line of the run's receipt; empty for a run of an older soakd.
    #[serde(default)]
    pub receipt: String,
    /// Versions of the server, and what changed within the run.
    #[serde(default)]
    pub changes: Changes,
}

/// Format number of the state file's records and of the JSON report.
pub const FORMAT: u32 = 3;
