//! Judges whether users can reach each other's rows: every ordered pair of users, every verb, and credentials that must not
//! be accepted. What decides is what the server and the victim hold afterwards, not what the server answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::finding::{Classified, Kind};
use crate::model::ids::{PROBE_PREFIX, UserNo, user_id};
use crate::model::schema::TableSpec;
use crate::model::value::{Cell, Value};
use crate::model::verdict::{CheckResult, Verdict};

/// What one user tries on another's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    Select,
    /// A new row in the victim's name.
    Insert,
    /// New content for a row of the victim.
    Update,
    Delete,
    /// Makes a row of the victim one's own.
    Take,
    /// Makes a row of one's own the victim's.
    Give,
}

impl Verb {
    /// Verbs that write.
    pub const WRITES: [Self; 5] = [Self::Insert, Self::Update, Self::Delete, Self::Take, Self::Give];

    /// Returns the word in keys and evidence.
    pub fn word(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Take => "take",
            Self::Give => "give",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Take => "update (owner change: take)",
            Self::Give => "update (owner change: give)",
            other => other.word(),
        })
    }
}

/// One cell of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    pub attacker: UserNo,
    pub victim: UserNo,
    pub verb: Verb,
}

impl Attempt {
    /// Returns the key of the row that the attempt is about.
    pub fn key(&self) -> String {
        format!("{PROBE_PREFIX}{}_{}_{}", self.victim, self.attacker, self.verb.word())
    }

    /// Returns who owns the row before the attempt; `None` when it does not exist.
    pub fn owner_before(&self) -> Option<UserNo> {
        match self.verb {
            Verb::Insert | Verb::Select => None,
            Verb::Update | Verb::Delete | Verb::Take => Some(self.victim),
            Verb::Give => Some(self.attacker),
        }
    }

    /// Returns the owner that the forged row claims; `None` for a deletion.
    pub fn owner_claimed(&self) -> Option<UserNo> {
        match self.verb {
            Verb::Insert | Verb::Update | Verb::Give => Some(self.victim),
            Verb::Take => Some(self.attacker),
            Verb::Delete | Verb::Select => None,
        }
    }
}

/// Returns every attempt that writes, for this many users.
pub fn attempts(users: u32) -> Vec<Attempt> {
    let mut all = Vec::new();
    for attacker in 1..=users {
        for victim in (1..=users).filter(|victim| *victim != attacker) {
            all.extend(Verb::WRITES.map(|verb| Attempt { attacker, victim, verb }));
        }
    }
    all
}

/// Text in the stamp column of a canary, and of a forged row.
pub fn mark(cycle: u64, forged: bool) -> String {
    format!("{}.{cycle}", if forged { "forged" } else { "canary" })
}

/// Returns a probe row as it is written.
pub fn row(table: &TableSpec, key: &str, owner: UserNo, cycle: u64, forged: bool) -> Vec<Value> {
    crate::model::content::row(table, cycle, key, &user_id(owner), &mark(cycle, forged), 0)
}

/// Probe rows as one place holds them: key to (owner, mark).
pub type ProbeRows = BTreeMap<String, (String, String)>;

/// Reads probe rows; rows that are not a probe's are left out.
pub fn probe_rows(table: &TableSpec, rows: &[Vec<Value>]) -> ProbeRows {
    let text = |v: &Value| match v.cell() {
        Cell::Text(text) => text.to_owned(),
        _ => v.to_string(),
    };
    rows.iter()
        .filter(|row| row.len() == table.columns.len())
        .map(|row| (text(&row[table.key]), (text(&row[table.owner]), text(&row[table.stamp]))))
        .filter(|(key, _)| key.starts_with(PROBE_PREFIX))
        .collect()
}

/// Everything that was seen after all attempts.
#[derive(Debug, Default)]
pub struct Evidence {
    pub users: u32,
    pub cycle: u64,
    /// Probe rows in each user's reader database.
    pub readers: BTreeMap<UserNo, ProbeRows>,
    /// Rows of other users in each user's databases: (where, key, owner).
    pub foreign: Vec<(UserNo, String, String, String)>,
    /// Probe rows on the server; `None` when its side is not exercised.
    pub server: Option<ProbeRows>,
    /// Attempts that could not be made, with the reason.
    pub broken: Vec<(Attempt, String)>,
    /// Something that kept the whole matrix from being exercised.
    pub failed: Option<String>,
}

impl Evidence {
    /// Takes note of a row of another user that was found somewhere.
    ///
    /// A probe row in the reader of its attacker or its victim is left to the judgement of the attempt; anywhere else it
    /// shows that somebody sees what is not theirs.
    pub fn see_foreign(&mut self, user: UserNo, (place, in_reader): (&str, bool), key: String, owner: String) {
        if !(in_reader && parties(&key).is_some_and(|(victim, attacker)| user == victim || user == attacker)) {
            self.foreign.push((user, place.to_owned(), key, owner));
        }
    }
}

/// Returns the victim and the attacker that a probe row's key names.
fn parties(key: &str) -> Option<(UserNo, UserNo)> {
    let mut parts = key.strip_prefix(PROBE_PREFIX)?.splitn(3, '_');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Judges the matrix.
pub fn judge_matrix(evidence: &Evidence, evidence_max: usize) -> CheckResult {
    let mut accepted: Vec<String> = Vec::new();
    let mut unclear: Vec<String> = Vec::new();
    for attempt in attempts(evidence.users) {
        if let Some((_, reason)) = evidence.broken.iter().find(|(a, _)| *a == attempt) {
            unclear.push(format!("{}: could not be tried: {reason}", title(&attempt)));
            continue;
        }
        if let Some(seen) = success(&attempt, evidence) {
            accepted.push(format!("{}: ACCEPTED: {seen}", title(&attempt)));
        }
    }
    let mut selected: BTreeSet<(UserNo, &str, &str)> = BTreeSet::new();
    for (user, place, key, owner) in &evidence.foreign {
        if !selected.insert((*user, place, key)) {
            continue;
        }
        accepted.push(format!("select: user {user} sees row {key} of {owner} in {place}"));
    }
    let cells = attempts(evidence.users).len() + (evidence.users * evidence.users.saturating_sub(1)) as usize;
    let (verdict, summary) = if let Some(first) = accepted.first() {
        (Verdict::Fail, format!("{} breaches in {cells} attempts that must be refused; first: {first}", accepted.len()))
    } else if let Some(reason) = &evidence.failed {
        (Verdict::Inconclusive, format!("the matrix could not be exercised: {reason}"))
    } else if !unclear.is_empty() {
        (
            Verdict::Inconclusive,
            format!("{} of {cells} attempts could not be judged; first: {}", unclear.len(), unclear[0]),
        )
    } else {
        let by = if evidence.server.is_some() { "server and readers" } else { "readers" };
        (Verdict::Pass, format!("{cells} attempts between {} users refused ({by} looked at)", evidence.users))
    };
    accepted.extend(unclear);
    let evidence_total = accepted.len() as u64;
    accepted.truncate(evidence_max);
    CheckResult {
        check: "isolation.matrix".into(),
        verdict: Some(verdict),
        summary,
        evidence: accepted,
        evidence_total,
    }
}

fn title(attempt: &Attempt) -> String {
    format!("{}: user {} on row {} of user {}", attempt.verb, attempt.attacker, attempt.key(), attempt.victim)
}

/// Returns what shows that an attempt was accepted; `None` if it left no trace.
fn success(attempt: &Attempt, evidence: &Evidence) -> Option<String> {
    let key = attempt.key();
    let intact = attempt.owner_before().map(|owner| (user_id(owner), mark(evidence.cycle, false)));
    let holder = if attempt.verb == Verb::Give { attempt.attacker } else { attempt.victim };
    let mut places: Vec<(String, Option<&(String, String)>)> = Vec::new();
    if let Some(server) = &evidence.server {
        places.push(("the server".into(), server.get(&key)));
    }
    if let Some(reader) = evidence.readers.get(&holder) {
        places.push((format!("a database of user {holder}"), reader.get(&key)));
    }
    for (place, found) in places {
        match (found, &intact) {
            (None, Some(_)) => return Some(format!("the row is gone from {place}")),
            (Some((owner, mark)), None) => return Some(format!("{place} holds it ({owner}, {mark})")),
            (Some(row), Some(before)) if row != before => {
                return Some(format!("{place} holds owner {} and {:?} instead of {:?}", row.0, row.1, before.1));
            }
            _ => {}
        }
    }
    // Whoever else sees the row shows that it changed hands.
    let other = if holder == attempt.attacker { attempt.victim } else { attempt.attacker };
    let seen = evidence.readers.get(&other).and_then(|rows| rows.get(&key));
    seen.map(|(owner, _)| format!("a database of user {other} holds it (owner {owner})"))
}

/// One credential that must be refused, and what came of it.
#[derive(Debug)]
pub struct Trial {
    pub name: &'static str,
    pub outcome: TrialOutcome,
}

/// What came of a trial.
#[derive(Debug)]
pub enum TrialOutcome {
    Refused(Classified),
    Accepted {
        rows: u64,
    },
    /// The reason why it is not tried here.
    NotExercised(String),
    /// What kept it from being tried.
    Broken(String),
}

/// Judges the credentials.
pub fn judge_tokens(trials: &[Trial]) -> CheckResult {
    let mut verdicts = Vec::new();
    let mut evidence = Vec::new();
    for trial in trials {
        let (verdict, line) = match &trial.outcome {
            TrialOutcome::Accepted { rows } => (Some(Verdict::Fail), format!("ACCEPTED ({rows} changes were served)")),
            TrialOutcome::Refused(e) if matches!(e.kind, Kind::Auth | Kind::Denied | Kind::Http4xx | Kind::Config) => {
                (Some(Verdict::Pass), format!("refused ({})", e.message))
            }
            TrialOutcome::Refused(e) => {
                (Some(Verdict::Inconclusive), format!("failed for another reason than the credential: {}", e.message))
            }
            TrialOutcome::Broken(reason) => (Some(Verdict::Inconclusive), format!("could not be tried: {reason}")),
            TrialOutcome::NotExercised(reason) => (None, format!("not exercised: {reason}")),
        };
        verdicts.extend(verdict);
        evidence.push(format!("{}: {line}", trial.name));
    }
    let verdict = (!verdicts.is_empty()).then(|| Verdict::worst(verdicts));
    let summary = match verdict {
        Some(Verdict::Pass) => {
            let open = |t: &&Trial| matches!(t.outcome, TrialOutcome::NotExercised(_));
            let open: Vec<&str> = trials.iter().filter(open).map(|t| t.name).collect();
            let refused = trials.len() - open.len();
            let rest = if open.is_empty() { String::new() } else { format!("; not exercised: {}", open.join(", ")) };
            format!("{refused} credentials that must be refused were refused{rest}")
        }
        None => "no credential could be tried".into(),
        _ => evidence.iter().find(|l| !l.contains(": refused")).cloned().unwrap_or_default(),
    };
    let evidence_total = evidence.len() as u64;
    CheckResult { check: "isolation.credentials".into(), verdict, summary, evidence, evidence_total }
}

#[cfg(test)]
mod tests;
