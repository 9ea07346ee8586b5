//! What is known of the acknowledged operations of a catalog, in bounded memory: a fold over the journal.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::versions::{Distinct, Told, Versions};
use crate::checker::catalog::{Cleanup, Dataset, Settled, State, Watched};
use crate::engine::direct::course::{Ledger, Op};
use crate::model::lane::{End, Lane};
use crate::workload::catalog::{dataset_name, first_content, next_content};

/// Writes of a dataset that are kept with what they replaced.
const RECENT: usize = 16;

/// What an operation is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Begin {
    /// Replaces what was read: the version and the content that it had.
    #[serde(rename = "w")]
    Write(u32, i64, String),
    /// Reads one dataset, or 0 for all of them.
    #[serde(rename = "r")]
    Read(u32),
    /// Nothing: what was measured around a block is written down.
    #[serde(rename = "m")]
    Measure,
}

/// What it came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Done {
    /// Version that was read through the cache.
    #[serde(rename = "v", skip_serializing_if = "Option::is_none")]
    pub cached: Option<i64>,
    /// What kept it from happening.
    #[serde(rename = "m", skip_serializing_if = "Option::is_none")]
    pub met: Option<Met>,
    /// Reads held against the rules of monotonic reads, own writes and staleness.
    #[serde(rename = "l", skip_serializing_if = "none")]
    pub looked: [u32; 3],
    #[serde(rename = "x", skip_serializing_if = "Vec::is_empty")]
    pub breaches: Vec<Breach>,
    /// It was ended by a look at the database.
    #[serde(rename = "s", skip_serializing_if = "no")]
    pub settled: bool,
    /// The client of the lock resolution gives up.
    #[serde(rename = "g", skip_serializing_if = "no")]
    pub gave_up: bool,
    #[serde(rename = "d", skip_serializing_if = "Option::is_none")]
    pub measured: Option<Box<Measured>>,
}

/// What is measured around a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// What was open before and after the connection cleanup.
    Cleanup(Cleanup),
    /// Reads of the read-heavy scenario, and their milliseconds.
    Reads(u64, u64),
}

/// What keeps an operation from happening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Met {
    /// Somebody else was first.
    Conflict,
    /// Somebody else held a lock for too long.
    Locked,
    Error,
}

/// Rules that a client holds its reads against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    Monotonic,
    OwnWrites,
    Staleness,
}

/// A read that broke one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breach {
    pub rule: Rule,
    pub dataset: u32,
    pub version: i64,
    /// The lowest version that it should have shown.
    pub least: i64,
    pub cached: bool,
}

/// What a lane came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counts {
    pub(super) writes: u64,
    pub(super) reads: u64,
    pub(super) conflicts: u64,
    pub(super) locked: u64,
    pub(super) errors: u64,
    pub(super) operations: u64,
}

/// One client of the lock resolution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    /// Attempts that met the others, the successful one included.
    pub(super) attempts: u32,
    /// Attempts that met something else.
    pub(super) interruptions: u32,
    pub(super) succeeded: bool,
    pub(super) gave_up: bool,
}

/// An acknowledged write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: i64,
    by: Op,
    before: String,
}

/// One dataset.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    versions: Versions,
    acknowledged: u64,
    last: State,
    recent: VecDeque<Written>,
    seen: Distinct,
}

/// The ledger of a cycle.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogLedger {
    datasets: Vec<Known>,
    pub(super) lanes: BTreeMap<Lane, Counts>,
    pub(super) clients: BTreeMap<u32, Client>,
    pub(super) twice: Watched,
    /// By rule: monotonic reads, own writes, staleness.
    pub(super) watched: [Watched; 3],
    pub(super) settled: [u64; 2],
    pub(super) untold: u64,
    /// Writes of datasets that there are not; no journal of ours has any.
    strange: u64,
    pub(super) cleanup: Option<Cleanup>,
    /// Timed reads of the read-heavy scenario, and their milliseconds.
    pub(super) timed: Option<(u64, u64)>,
}

/// Returns who stands in a row that an operation wrote.
pub(super) fn writer(op: Op) -> String {
    format!("{}/{}", op.lane, op.worker)
}

/// Returns what a write leaves.
pub(super) fn left(op: Op, from: i64, before: &str) -> State {
    let (writer, operation) = (writer(op), op.no);
    let content = next_content(before, &writer, operation);
    State { version: from + 1, content, writer, operation: operation as i64 }
}

impl CatalogLedger {
    /// Returns the ledger of a cycle that begins with this many datasets.
    pub fn new(datasets: u32, seed: u64) -> Self {
        let known = |dataset| Known {
            versions: Versions::default(),
            acknowledged: 0,
            last: State { version: 1, content: first_content(seed, dataset), writer: "seed".into(), operation: 0 },
            recent: VecDeque::new(),
            seen: Distinct::default(),
        };
        Self {
            datasets: (1..=datasets).map(known).collect(),
            lanes: BTreeMap::new(),
            clients: BTreeMap::new(),
            twice: Watched::default(),
            watched: Default::default(),
            settled: [0; 2],
            untold: 0,
            strange: 0,
            cleanup: None,
            timed: None,
        }
    }

    fn known(&self, dataset: u32) -> Option<&Known> {
        self.datasets.get(dataset.checked_sub(1)? as usize)
    }

    /// Returns the highest acknowledged version of each dataset.
    pub(super) fn tops(&self) -> Vec<i64> {
        self.datasets.iter().map(|known| known.versions.top()).collect()
    }

    /// Returns what a lane came to.
    pub(super) fn counts(&self, lane: Lane) -> Counts {
        self.lanes.get(&lane).copied().unwrap_or_default()
    }

    /// Returns how many versions readers saw through the cache: of all datasets, and of the one with the most.
    pub(super) fn distinct(&self) -> (u64, u64) {
        let counts = || self.datasets.iter().map(|known| known.seen.count);
        (counts().sum(), counts().max().unwrap_or(0))
    }

    /// Returns the datasets as a check needs them, without their rows and open writes.
    pub(super) fn evidence(&self) -> Vec<Dataset> {
        let one = |(known, no): (&Known, u32)| Dataset {
            name: dataset_name(no),
            acknowledged: known.acknowledged,
            last: known.last.clone(),
            ..Dataset::default()
        };
        self.datasets.iter().zip(1..).map(one).collect()
    }

    /// Returns how operations with an unknown end were settled, as far as the ledger knows.
    pub(super) fn journal(&self) -> Settled {
        let [acknowledged, refused] = self.settled;
        let operations = self.lanes.values().map(|counts| counts.operations).sum();
        Settled { operations, acknowledged, refused, untold: self.untold + self.strange, ..Settled::default() }
    }

    /// Returns whether somebody was told of a version of a dataset; `None` if that cannot be told any more.
    pub(super) fn holds(&self, dataset: u32, version: i64) -> Option<bool> {
        self.known(dataset)?.versions.holds(version)
    }

    /// Returns the content that a version had, if the write that replaced it is still kept.
    pub(super) fn content_of(&self, dataset: u32, version: i64) -> Option<&str> {
        let recent = &self.known(dataset)?.recent;
        recent.iter().find(|written| written.version == version + 1).map(|written| written.before.as_str())
    }

    /// Takes in an acknowledged write.
    fn wrote(&mut self, op: Op, dataset: u32, from: i64, before: &str) {
        let Some(known) = dataset.checked_sub(1).and_then(|at| self.datasets.get_mut(at as usize)) else {
            self.strange += 1;
            return;
        };
        known.acknowledged += 1;
        let state = left(op, from, before);
        match known.versions.acknowledge(state.version) {
            Told::Top => known.last = state.clone(),
            Told::Late => {}
            Told::Unknown => self.untold += 1,
            Told::Twice => self.twice.found(|| {
                let other = known.recent.iter().find(|written| written.version == state.version);
                let other = other
                    .map_or("another write".into(), |other| format!("{}, operation {}", writer(other.by), other.by.no));
                format!(
                    "{}: version {} was acknowledged to {}, operation {}, and to {other}: one of the updates is lost",
                    dataset_name(dataset),
                    state.version,
                    state.writer,
                    state.operation,
                )
            }),
        }
        if known.recent.len() == RECENT {
            known.recent.pop_front();
        }
        known.recent.push_back(Written { version: state.version, by: op, before: before.into() });
    }

    fn held(&mut self, op: Op, done: &Done) {
        for (watched, looked) in self.watched.iter_mut().zip(done.looked) {
            watched.looked += u64::from(looked);
        }
        for breach in &done.breaches {
            self.watched[breach.rule as usize].found(|| breach.line(op));
        }
    }

    /// Takes in what an attempt of the lock resolution came to.
    fn attempted(&mut self, op: Op, begin: &Begin, end: End, done: &Done) {
        let client = self.clients.entry(op.worker).or_default();
        client.gave_up |= done.gave_up;
        let counts = match (begin, end) {
            (Begin::Write(..), End::Acknowledged) => {
                client.succeeded = true;
                true
            }
            // It counts when somebody has looked.
            (_, End::Indeterminate | End::Acknowledged) => return,
            (_, End::Refused) => matches!(done.met, Some(Met::Conflict | Met::Locked)),
        };
        *if counts { &mut client.attempts } else { &mut client.interruptions } += 1;
    }
}

impl Ledger for CatalogLedger {
    type Begin = Begin;
    type Done = Done;

    fn is_harmless(begin: &Begin) -> bool {
        matches!(begin, Begin::Read(_))
    }

    fn begun(&mut self, op: Op, begin: &Begin) {
        self.lanes.entry(op.lane).or_default().operations += u64::from(*begin != Begin::Measure);
    }

    fn ended(&mut self, op: Op, begin: &Begin, end: End, done: &Done) {
        match done.measured.as_deref() {
            Some(Measured::Cleanup(cleanup)) => self.cleanup = Some(cleanup.clone()),
            Some(Measured::Reads(reads, ms)) => self.timed = Some((*reads, *ms)),
            None => {}
        }
        let counts = self.lanes.entry(op.lane).or_default();
        match (end, begin) {
            (End::Acknowledged, Begin::Write(..)) => counts.writes += 1,
            (End::Acknowledged, Begin::Read(_)) => counts.reads += 1,
            _ => {}
        }
        match done.met {
            Some(Met::Conflict) => counts.conflicts += 1,
            Some(Met::Locked) => counts.locked += 1,
            Some(Met::Error) => counts.errors += 1,
            None => {}
        }
        if done.settled && end != End::Indeterminate {
            self.settled[usize::from(end == End::Refused)] += 1;
        }
        if let (End::Acknowledged, Begin::Write(dataset, from, before)) = (end, begin) {
            self.wrote(op, *dataset, *from, before);
        }
        if let (Begin::Read(dataset), Some(version)) = (begin, done.cached)
            && let Some(known) = dataset.checked_sub(1).and_then(|at| self.datasets.get_mut(at as usize))
        {
            known.seen.see(version);
        }
        self.held(op, done);
        if op.lane == Lane::LockResolution {
            self.attempted(op, begin, end, done);
        }
    }
}

impl Breach {
    /// Returns it as evidence.
    fn line(&self, op: Op) -> String {
        let (name, who) = (dataset_name(self.dataset), format!("{}, operation {}", writer(op), op.no));
        let read = if self.cached { "read through the cache" } else { "read" };
        let (version, least) = (self.version, self.least);
        match self.rule {
            Rule::Monotonic => format!("{name}: {who} {read} version {version} after it had seen {least}"),
            Rule::OwnWrites => format!("{name}: {who} {read} version {version} after its own write of {least}"),
            Rule::Staleness => {
                let when = if self.cached { "longer than is allowed after" } else { "after" };
                format!("{name}: {who} {read} version {version}, {when} {least} was acknowledged")
            }
        }
    }
}

fn none(looked: &[u32; 3]) -> bool {
    *looked == [0; 3]
}

fn no(truth: &bool) -> bool {
    !truth
}
