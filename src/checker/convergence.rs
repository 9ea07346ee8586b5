//! Judges whether all replicas of a user and the server hold the same content, and the content that the model admits; names
//! and classes every row that differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::content::{self, Reading};
use crate::model::digest::{TableDigest, bucket_of};
use crate::model::ids::{DbNo, RowKey};
use crate::model::journal::{CycleJournal, StateRun, Version};
use crate::model::schema::TableSpec;
use crate::model::value::{Cell, Value};
use crate::model::verdict::{CheckResult, Verdict};

use self::class::{show, show_state};
use self::originals::originals;
use self::states::{all_keys, differences, state_in};
use super::admissible::{Mismatch, Model, admits};
use super::strange::StrangeRow;

mod class;
mod foreign;
mod originals;
mod server;
mod states;
mod strangers;

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// An acknowledged write is not on the server.
    Lost,
    /// A replica holds an older state than the server, or misses a row that the server has.
    Stale,
    /// A row is back, or still there, although its deletion was acknowledged.
    Resurrected,
    /// A row, or a state of it, that nobody wrote.
    Phantom,
    /// A copy of another row under a key of its own.
    Duplicated,
    /// A row of another user.
    Foreign,
    /// Two places hold different states, each of which would be admissible.
    Diverged,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Stale => "stale",
            Self::Resurrected => "resurrected",
            Self::Phantom => "phantom",
            Self::Duplicated => "duplicated",
            Self::Foreign => "foreign",
            Self::Diverged => "diverged",
        })
    }
}

/// One replica as it was read.
#[derive(Debug, Clone)]
pub struct Replica {
    pub name: String,
    /// Number of the database; `None` for the reader probe, which writes nothing.
    pub db: Option<DbNo>,
    pub digest: TableDigest,
    pub states: Vec<StateRun>,
    pub strange: Vec<StrangeRow>,
    pub strange_total: u64,
}

/// The server's side.
#[derive(Debug, Clone)]
pub enum Server {
    /// Its digest, and the rows of those buckets in which it differs from the first replica.
    Read {
        digest: TableDigest,
        rows: Vec<Vec<Value>>,
        truncated: bool,
    },
    NotExercised(String),
    Failed(String),
}

/// All that is known of one user's content (or of all content, without row-level security).
#[derive(Debug)]
pub struct Group<'a> {
    pub name: String,
    pub owner: Option<String>,
    pub table: &'a TableSpec,
    pub seed: u64,
    pub merge_columns: bool,
    /// Databases of the workload that belong to the group.
    pub members: BTreeSet<DbNo>,
    /// Databases that could not be read, with the reason: without their journals nobody knows what must be there.
    pub missing: Vec<String>,
    pub journals: Vec<CycleJournal>,
    pub replicas: Vec<Replica>,
    pub server: Server,
}

/// A row that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    pub fault: Fault,
    pub place: String,
    pub key: String,
    /// Neighbouring rows with the same fault.
    pub rows: u32,
    pub detail: String,
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} in {}", self.fault, self.key, self.place)?;
        if self.rows > 1 {
            write!(f, " and the {} rows after it", self.rows - 1)?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// What the judge found.
#[derive(Debug)]
pub struct Judgement {
    pub faults: Vec<RowFault>,
    pub faults_total: u64,
    /// Content digest of the group, when all places agree.
    pub content: Option<TableDigest>,
    pub inconclusive: Option<String>,
    pub rows: u64,
    /// True if the model says exactly how many rows there must be.
    pub exact: bool,
}

/// Faults that are listed one by one, by group.
const FAULTS_MAX: usize = 200;

/// Name of the server's side in evidence.
const SERVER: &str = "the server";

/// Compares everything with everything.
pub fn judge(group: &Group<'_>) -> Judgement {
    let (journals, sightings) = foreign::split(group);
    let model = Model::build(&journals);
    let mut court = Court::new(group, &model);
    if group.missing.is_empty() {
        court.read_server();
        for replica in &group.replicas {
            court.strangers(&replica.name, &replica.strange, replica.strange_total);
            court.replica(replica);
        }
        court.server_rows();
        court.regressions();
        court.unwritten();
        court.disagreements();
        court.server_beyond_reach();
    } else {
        court.foreigners();
    }
    court.sightings(&sightings);
    let reference = group.replicas.first();
    let same = |digest: &TableDigest| reference.is_some_and(|r| r.digest == *digest);
    let agree = group.replicas.iter().all(|r| same(&r.digest))
        && match &group.server {
            Server::Read { digest, .. } => same(digest),
            Server::NotExercised(_) | Server::Failed(_) => true,
        };
    let inconclusive = match (&group.server, reference) {
        _ if !group.missing.is_empty() => Some(group.missing.join("; ")),
        (_, None) => Some("no replica could be read".to_owned()),
        (Server::Failed(reason), _) => Some(format!("the server's content could not be read: {reason}")),
        _ if !agree && court.total == 0 => {
            Some("digests differ, but no differing row was found; this is a fault of soakd itself".to_owned())
        }
        _ => None,
    };
    let (least, most) = model.row_bounds();
    Judgement {
        content: reference.filter(|_| agree && court.total == 0 && inconclusive.is_none()).map(|r| r.digest.clone()),
        rows: reference.map_or(0, |r| r.digest.rows),
        faults_total: court.total,
        faults: court.faults,
        inconclusive,
        exact: least == most,
    }
}

/// The judge at work on one group.
struct Court<'a> {
    group: &'a Group<'a>,
    model: &'a Model,
    /// What the server holds in the buckets that were fetched: valid rows by key.
    server: BTreeMap<RowKey, Version>,
    /// Rows that were named as strangers, by place: nothing else is said of them there.
    strange: BTreeMap<String, BTreeSet<String>>,
    /// The row whose content a strange row carries, by the strange row's key.
    originals: BTreeMap<String, RowKey>,
    faults: Vec<RowFault>,
    total: u64,
}

impl<'a> Court<'a> {
    fn new(group: &'a Group<'a>, model: &'a Model) -> Self {
        Self {
            group,
            model,
            server: BTreeMap::new(),
            strange: BTreeMap::new(),
            originals: BTreeMap::new(),
            faults: Vec::new(),
            total: 0,
        }
    }

    fn add(&mut self, fault: Fault, place: &str, key: String, rows: u32, detail: String) {
        self.total += u64::from(rows);
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(RowFault { fault, place: place.to_owned(), key, rows, detail });
        }
    }

    fn reference(&self) -> Option<&Replica> {
        self.group.replicas.first()
    }

    /// Sorts the server's fetched rows into valid ones and strangers.
    fn read_server(&mut self) {
        let mut strange = Vec::new();
        let rows = match &self.group.server {
            Server::Read { rows, .. } => rows.as_slice(),
            Server::NotExercised(_) | Server::Failed(_) => &[],
        };
        for row in rows {
            let cells: Vec<Cell<'_>> = row.iter().map(Value::cell).collect();
            if cells.len() != self.group.table.columns.len() {
                continue;
            }
            let foreign = self.group.owner.as_deref().is_some_and(|o| cells[self.group.table.owner] != Cell::Text(o));
            match content::read(self.group.table, self.group.seed, &cells) {
                Reading::Probe => {}
                Reading::Valid { key, stamp, depth } if !foreign => {
                    self.server.insert(key, Version { stamp, depth });
                }
                _ => strange.push(StrangeRow::from_cells(self.group.table, &cells, foreign)),
            }
        }
        let all = self.group.replicas.iter().flat_map(|replica| &replica.strange).chain(&strange);
        self.originals = originals(self.model, self.group.seed, all);
        let total = strange.len() as u64;
        self.strangers("the server", &strange, total);
    }

    /// Returns what the server holds under a key: `None` when it is not known.
    fn on_server(&self, key: RowKey) -> Option<Option<Version>> {
        let Server::Read { digest, truncated, .. } = &self.group.server else { return None };
        let reference = self.reference()?;
        let bucket = bucket_of(&key.to_string());
        let differs = digest.differing_buckets(&reference.digest).contains(&bucket);
        if !differs {
            return Some(state_in(&reference.states, key));
        }
        match self.server.get(&key) {
            Some(version) => Some(Some(*version)),
            None if *truncated => None,
            None => Some(None),
        }
    }

    fn replica(&mut self, replica: &Replica) {
        for found in self.model.compare(&replica.states, self.group.merge_columns) {
            for found in self.without_strangers(&replica.name, found) {
                self.mismatch(replica, &found);
            }
        }
    }

    fn mismatch(&mut self, replica: &Replica, found: &Mismatch) {
        let key = found.class.key(found.first);
        let (fault, detail) = self.class(key, found.actual, &found.admissible, replica.db);
        self.add(fault, &replica.name, key.to_string(), found.last - found.first + 1, detail);
    }

    fn server_rows(&mut self) {
        let Server::Read { digest, truncated, .. } = &self.group.server else { return };
        let Some(reference) = self.reference() else { return };
        let buckets = digest.differing_buckets(&reference.digest);
        if buckets.is_empty() {
            return;
        }
        let here = |key: &RowKey| buckets.binary_search(&bucket_of(&key.to_string())).is_ok();
        let mut keys: BTreeSet<RowKey> = self.server.keys().copied().collect();
        if !truncated {
            keys.extend(self.model.live_keys().filter(here));
            keys.extend(all_keys(&reference.states).filter(here));
        }
        for key in keys {
            let actual = self.server.get(&key).copied();
            let admissible = self.model.segment(key).map_or_else(Vec::new, |s| s.admissible.clone());
            if self.is_strange("the server", key) || admits(&admissible, actual, self.group.merge_columns) {
                continue;
            }
            let (fault, detail) = self.class_on_server(key, actual, &admissible);
            self.add(fault, "the server", key.to_string(), 1, detail);
        }
    }

    fn regressions(&mut self) {
        for found in &self.model.regressions {
            let fault = if found.was_deleted { Fault::Resurrected } else { Fault::Stale };
            let what = if found.was_deleted { "deleted" } else { "overwritten" };
            let detail = format!(
                "{} was {what} by step {} and was there again at step {}",
                show(&found.version),
                found.replaced_by,
                found.seen_again_by
            );
            let place = format!("DB{}", found.db);
            self.add(fault, &place, found.key.to_string(), found.rows, detail);
        }
        let listed = self.model.regressions.len() as u64;
        self.total += self.model.regressions_total.saturating_sub(listed);
    }

    /// Names rows in which two replicas, or a replica and the server, differ although both states would be admissible.
    fn disagreements(&mut self) {
        let Some(reference) = self.group.replicas.first() else { return };
        let server_name = match &self.group.server {
            Server::Read { digest, .. } if *digest != reference.digest => Some("the server"),
            _ => None,
        };
        let mut found: Vec<(String, RowKey, Option<Version>, Option<Version>)> = Vec::new();
        for other in &self.group.replicas[1..] {
            if other.digest != reference.digest {
                differences(&reference.states, &other.states, |key, a, b| found.push((other.name.clone(), key, a, b)));
            }
        }
        if let Some(name) = server_name {
            for key in self.keys_of_both(reference) {
                let (a, b) = (state_in(&reference.states, key), self.server.get(&key).copied());
                if a != b {
                    found.push((name.to_owned(), key, a, b));
                }
            }
        }
        for (place, key, a, b) in found {
            let admissible = self.model.segment(key).map_or_else(Vec::new, |s| s.admissible.clone());
            let merge = self.group.merge_columns;
            if admits(&admissible, a, merge) && admits(&admissible, b, merge) {
                let detail = format!("holds {}; {} holds {}", show_state(b), reference.name, show_state(a));
                self.add(Fault::Diverged, &place, key.to_string(), 1, detail);
            }
        }
    }
}

/// Turns a group's judgement into a result of the check.
pub fn result(name: &str, judgement: &Judgement, group: &Group<'_>, evidence_max: usize) -> CheckResult {
    let places = group.replicas.len();
    let server = match &group.server {
        Server::Read { .. } => "and the server hold",
        _ => "hold",
    };
    let (verdict, summary) = if judgement.faults_total > 0 {
        let first = judgement.faults.first().map_or_else(String::new, ToString::to_string);
        (Verdict::Fail, format!("{} rows are not as they must be; first: {first}", judgement.faults_total))
    } else if let Some(reason) = &judgement.inconclusive {
        (Verdict::Inconclusive, reason.clone())
    } else {
        let digest = judgement.content.as_ref().map_or_else(String::new, TableDigest::short);
        (Verdict::Pass, format!("{places} replicas {server} the same {} rows as the model ({digest})", judgement.rows))
    };
    CheckResult {
        check: name.to_owned(),
        verdict: Some(verdict),
        summary,
        evidence: judgement.faults.iter().take(evidence_max).map(ToString::to_string).collect(),
        evidence_total: judgement.faults_total,
    }
}

#[cfg(test)]
mod tests;
