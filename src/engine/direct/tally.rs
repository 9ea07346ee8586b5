//! What workers count while they work: figures by lane, and the errors that somebody has to know of. An error of a database that
//! does not answer is held back until the database answers again or has not done so for too long.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::course::{CACHE_HIT, NOTHING_TO_DO, Turn};
use crate::model::finding::{Finding, Kind, cut};
use crate::model::lane::{End, Lane, LaneFigures, count};
use crate::stats::latency::Latencies;
use crate::target::sql::SqlError;

/// Findings of one second and lane; all further errors are only counted.
pub(super) const FINDINGS_MAX: usize = 16;

/// Decides which errors the configuration expects: by kind, by code, or by both as tables name them.
#[derive(Debug, Clone, Default)]
pub struct Expected(Vec<String>);

impl Expected {
    /// Takes the names of the configuration.
    pub fn new(names: &[String]) -> Self {
        Self(names.to_vec())
    }

    /// Returns true if the error is in order.
    pub fn covers(&self, error: &SqlError) -> bool {
        let name = error.name();
        let kind = name.split(' ').next().unwrap_or_default();
        self.0.iter().any(|known| known == kind || Some(known) == error.code.as_ref() || *known == name)
    }
}

/// Returns true if the error says that the database does not answer, which a restart of it or of the network may cure.
fn is_outage(error: &SqlError) -> bool {
    matches!(error.kind, Kind::Refused | Kind::Reset | Kind::Resolve | Kind::Timeout | Kind::Busy)
}

/// The first error that nobody expects, for whoever is to stop at it.
#[derive(Debug, Clone)]
pub struct First {
    pub lane: Lane,
    pub worker: u32,
    pub at_ms: i64,
    pub error: SqlError,
}

/// The counts of a load.
pub struct Tally {
    cycle: u64,
    expected: Expected,
    /// How long a database may be away before it counts as an error.
    patience: Duration,
    lanes: BTreeMap<Lane, Mutex<Count>>,
    held: Mutex<Held>,
    first: Mutex<Option<First>>,
}

#[derive(Default)]
struct Count {
    figures: LaneFigures,
    latency: Latencies,
    /// Findings that were told since the counts were taken.
    told: usize,
    /// Those of outages.
    findings: Vec<Finding>,
}

/// An error that nobody expects, as the next step of its lane is to tell of it.
#[derive(Debug)]
pub struct Met {
    pub name: String,
    /// None of an outage, which is told as a whole, and where there are too many.
    pub finding: Option<Finding>,
}

/// A time in which the database does not answer: one finding, however many operations met it.
#[derive(Default)]
struct Held {
    outage: Option<Outage>,
    acknowledged: Option<Instant>,
}

struct Outage {
    since: Instant,
    last: Instant,
    lane: Lane,
    first: Finding,
    /// Operations that met it, by the name of their error.
    met: BTreeMap<String, u64>,
}

impl Outage {
    /// Returns its finding: the first error, how long it lasted, and what else met it.
    fn finding(self, healed: bool) -> Finding {
        let met: Vec<String> = self.met.iter().map(|(name, n)| format!("{name} {n}")).collect();
        let seconds = (self.last - self.since).as_secs_f64();
        let now = if healed { "it answers again" } else { "it has not answered since" };
        let message = format!(
            "the database did not answer for {seconds:.1} s, {now}; operations that met it: {}; the first: {}",
            met.join(", "),
            self.first.message
        );
        Finding { message: cut(&message), tolerated: healed, ..self.first }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Counts stay valid even if a holder panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tally {
    /// Returns empty counts for these lanes.
    pub fn new(cycle: u64, expected: Expected, patience: Duration, lanes: impl IntoIterator<Item = Lane>) -> Self {
        let lanes = lanes.into_iter().map(|lane| (lane, Mutex::default())).collect();
        Self { cycle, expected, patience, lanes, held: Mutex::default(), first: Mutex::default() }
    }

    /// Counts an operation; returns its error if that is one that nobody expects. Its latency counts however it ended: who only
    /// waited and was refused was served worst of all.
    pub fn note(&self, (lane, worker): (Lane, u32), turn: &Turn, latency: Duration) -> Option<Met> {
        let mut counts = lock(self.lanes.get(&lane)?);
        if !turn.notes.iter().any(|(name, _)| *name == NOTHING_TO_DO) {
            counts.latency.record(latency.as_micros() as u64);
        }
        turn.notes.iter().for_each(|(name, n)| count(&mut counts.figures.notes, name, *n));
        let Some(error) = &turn.error else {
            drop(counts);
            self.noted_answer(turn);
            return None;
        };
        if self.expected.covers(error) {
            count(&mut counts.figures.expected, &error.name(), 1);
            return None;
        }
        let name = error.name();
        let finding = self.finding(lane, worker, error);
        lock(&self.first).get_or_insert_with(|| First { lane, worker, at_ms: finding.at_ms, error: error.clone() });
        if is_outage(error) {
            drop(counts);
            let (mut held, now, met) = (lock(&self.held), Instant::now(), BTreeMap::new());
            // It was away since the first operation that met it began to wait.
            let since = now.checked_sub(latency).unwrap_or(now);
            let outage = held.outage.get_or_insert(Outage { since, last: now, lane, first: finding, met });
            outage.last = now;
            count(&mut outage.met, &name, 1);
            return Some(Met { name, finding: None });
        }
        counts.told += 1;
        let finding = (counts.told <= FINDINGS_MAX).then_some(finding);
        Some(Met { name, finding })
    }

    /// Takes note that an operation was answered, if the database was asked for it.
    fn noted_answer(&self, turn: &Turn) {
        let asked = !turn.notes.iter().any(|(name, _)| *name == CACHE_HIT);
        let mut held = lock(&self.held);
        if turn.end == End::Acknowledged && asked && held.outage.is_some() {
            held.acknowledged = Some(Instant::now());
        }
    }

    fn finding(&self, lane: Lane, worker: u32, error: &SqlError) -> Finding {
        let now = chrono::Utc::now().timestamp_millis();
        let message = format!("{lane} {worker}: {error}");
        let code = error.code.clone();
        Finding { db: Some(1), code, ..Finding::new(now, self.cycle, "load", (error.side, error.kind), &message) }
    }

    /// Returns the first error that nobody expected.
    pub fn first(&self) -> Option<First> {
        lock(&self.first).clone()
    }

    /// Returns true while nobody knows whether an outage has ended.
    pub fn is_waiting(&self) -> bool {
        lock(&self.held).outage.is_some()
    }

    /// Decides on an outage: healed if the database has answered since its last error, lasting if it has not for too long or
    /// nothing more can come.
    pub fn decide(&self, last: bool) {
        let mut held = lock(&self.held);
        let acknowledged = held.acknowledged;
        let Some(outage) = held.outage.take() else { return };
        let healed = acknowledged.is_some_and(|answered| answered > outage.last);
        if !healed && !last && outage.since.elapsed() < self.patience {
            held.outage = Some(outage);
        } else if let Some(counts) = self.lanes.get(&outage.lane) {
            lock(counts).findings.push(outage.finding(healed));
        }
    }

    /// Notes that the database answers again.
    pub fn answered(&self) {
        lock(&self.held).acknowledged = Some(Instant::now());
    }

    /// Takes what a lane counted since the last time.
    pub fn take(&self, lane: Lane) -> (LaneFigures, Vec<Finding>) {
        let Some(counts) = self.lanes.get(&lane) else { return Default::default() };
        let Count { mut figures, latency, findings, .. } = std::mem::take(&mut *lock(counts));
        figures.latency = latency.pack();
        (figures, findings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Side;

    fn error(kind: Kind, code: Option<&str>) -> SqlError {
        SqlError { code: code.map(str::to_owned), ..SqlError::of_workload(kind, "it went wrong") }
    }

    fn tally(expected: &[&str]) -> Tally {
        let names: Vec<String> = expected.iter().map(|name| (*name).to_owned()).collect();
        Tally::new(1, Expected::new(&names), Duration::from_secs(3600), [Lane::Reader])
    }

    #[test]
    fn expected_is_what_the_configuration_names_by_kind_or_code() {
        let expected = Expected::new(&["deadlock".into(), "SQLITE_BUSY".into(), "constraint (23505)".into()]);
        for (kind, code, wanted) in [
            (Kind::Deadlock, Some("40P01"), true),
            (Kind::Locked, Some("SQLITE_BUSY"), true),
            (Kind::Locked, Some("SQLITE_BUSY_SNAPSHOT"), false),
            (Kind::Constraint, Some("23505"), true),
            (Kind::Constraint, Some("23503"), false),
            (Kind::InsufficientFunds, None, false),
        ] {
            assert_eq!(expected.covers(&error(kind, code)), wanted, "{kind:?} {code:?}");
        }
    }

    #[test]
    fn expected_errors_are_counted_and_all_others_are_told() {
        let tally = tally(&["deadlock"]);
        let (worker, time) = ((Lane::Reader, 2), Duration::from_micros(70));
        assert!(tally.note(worker, &Turn::acknowledged(), time).is_none());
        assert!(tally.note(worker, &Turn::met(error(Kind::Deadlock, Some("40P01"))), time).is_none());
        assert!(tally.first().is_none());
        let wrong = || Turn::met(error(Kind::Constraint, Some("23505")));
        let met = tally.note(worker, &wrong(), time).unwrap();
        assert_eq!(tally.first().map(|first| (first.worker, first.error.kind)), Some((2, Kind::Constraint)));
        let finding = met.finding.unwrap();
        assert!(!finding.tolerated && finding.message.starts_with("reader 2: "));
        assert_eq!(met.name, "constraint (23505)");
        let told = (1..FINDINGS_MAX + 9).filter(|_| tally.note(worker, &wrong(), time).unwrap().finding.is_some());
        assert_eq!(told.count(), FINDINGS_MAX - 1);
        let idle = Turn { notes: vec![(NOTHING_TO_DO, 1)], ..Turn::acknowledged() };
        tally.note(worker, &idle, time);
        let (figures, findings) = tally.take(Lane::Reader);
        assert_eq!((figures.expected["deadlock (40P01)"], findings.len()), (1, 0));
        // However they ended, and without the one that had nothing to do.
        let counted = Latencies::unpack(&figures.latency).map(|all| all.count());
        assert_eq!(counted, Some(2 + FINDINGS_MAX as u64 + 9));
        assert_eq!(tally.take(Lane::Reader).0.expected.len(), 0, "what was taken is not counted again");
        assert!(tally.note(worker, &wrong(), time).unwrap().finding.is_some(), "the next second has room");
    }

    #[test]
    fn an_outage_is_an_error_only_if_the_database_stays_away() {
        let (worker, gone) =
            ((Lane::Reader, 1), || Turn::met(SqlError { side: Side::Network, ..error(Kind::Reset, None) }));
        let healed = tally(&[]);
        let met = healed.note(worker, &gone(), Duration::from_secs(2)).unwrap();
        assert!(met.finding.is_none() && met.name == "reset");
        healed.note(worker, &gone(), Duration::ZERO);
        healed.decide(false);
        assert!(healed.is_waiting() && healed.take(Lane::Reader).1.is_empty());
        // A cache says nothing about the database.
        let cached = Turn { notes: vec![(CACHE_HIT, 1)], ..Turn::acknowledged() };
        healed.note(worker, &cached, Duration::ZERO);
        healed.decide(false);
        assert!(healed.is_waiting());
        healed.note(worker, &Turn::acknowledged(), Duration::ZERO);
        healed.decide(false);
        assert!(!healed.is_waiting());
        let findings = healed.take(Lane::Reader).1;
        assert!(findings.len() == 1 && findings[0].tolerated, "{findings:?}");
        assert!(findings[0].message.contains("reset 2"), "{findings:?}");
        assert!(!findings[0].message.contains("for 0.") && !findings[0].message.contains("for 1."), "{findings:?}");
        let lasting = tally(&[]);
        lasting.note(worker, &gone(), Duration::ZERO);
        lasting.decide(true);
        assert!(!lasting.take(Lane::Reader).1[0].tolerated);
    }
}
