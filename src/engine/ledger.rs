//! The engine's hand on the state file: commits steps and findings as they come, and keeps what the current cycle's health
//! is judged from. A commit that fails is the end of the run: nothing may go on that is not written down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::event::RunEvent;
use super::fleet::{Death, News};
use crate::clock::Clock;
use crate::model::finding::{Finding, Kind, Side};
use crate::model::ids::DbNo;
use crate::model::incident::{ChangeKind, Incident};
use crate::model::record::LogTail;
use crate::model::step::StepReport;
use crate::store::{Shared, Store, StoreError};

/// Findings of one cycle that are kept to be judged.
const CYCLE_FINDINGS_MAX: usize = 1000;
/// Steps that are committed together at most.
const BATCH_MAX: usize = 256;
/// How long a step may wait for others before it is committed.
const COMMIT_EVERY: std::time::Duration = std::time::Duration::from_secs(1);
/// Name of the blob with the findings of the cycle in work that belong to no step.
const BLOB: &str = "cycle-findings";

/// What the ledger knows of the cycle in work.
#[derive(Debug, Default)]
struct Current {
    cycle: u64,
    findings: Vec<Finding>,
    findings_total: u64,
    /// Findings that no step carries: they must survive a restart by themselves.
    loose: Vec<Finding>,
    steps: BTreeMap<DbNo, Seen>,
    /// Rows written and moved, and attempts beyond the first.
    rows: u64,
    retries: u64,
}

/// Which steps of one database were reported in the cycle in work: one bit each, so that a report that comes again counts once.
#[derive(Debug, Default)]
struct Seen {
    bits: Vec<u64>,
    count: u64,
}

impl Seen {
    /// Notes a step; false if it was noted before.
    fn note(&mut self, no: u32) -> bool {
        let (word, bit) = (no as usize / 64, 1u64 << (no % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        self.count += u64::from(new);
        new
    }
}

/// The state file of one run, shared by everything that has something to write down.
pub struct Ledger {
    run: String,
    store: Shared,
    clock: Clock,
    current: Mutex<Current>,
    logs: Mutex<BTreeMap<DbNo, LogTail>>,
    fatal: Mutex<Option<String>>,
    events: broadcast::Sender<RunEvent>,
    /// Cancelled when the run must end at once because nothing can be written down.
    pub broken: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    /// Writes down what happens in a run; others may work on the state file at the same time.
    pub fn new(
        run: String,
        store: Shared,
        logs: BTreeMap<DbNo, LogTail>,
        events: broadcast::Sender<RunEvent>,
    ) -> Arc<Self> {
        let clock = store.with(|store| Ok(store.clock())).unwrap_or_default();
        Arc::new(Self {
            run,
            store,
            clock,
            current: Mutex::default(),
            logs: Mutex::new(logs),
            fatal: Mutex::default(),
            events,
            broken: CancellationToken::new(),
        })
    }

    /// Returns the id of the run.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Works on the state file, and tells what that meant for incidents; the caller's thread waits for the disk.
    pub fn with<T>(&self, work: impl FnOnce(&mut Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let result = self.store.with(|store| {
            let out = work(store)?;
            let changes = store.take_changes();
            let begun = |what: &ChangeKind| matches!(what, ChangeKind::Opened | ChangeKind::Reopened);
            if changes.iter().any(|(_, what)| begun(what)) {
                // Whoever is told of it is to see what the log said at that time.
                store.record_logs(&self.run, &self.logs())?;
            }
            Ok((out, changes))
        });
        match result {
            Ok((out, changes)) => {
                changes.into_iter().for_each(|(incident, what)| self.tell_change(incident, what));
                Ok(out)
            }
            Err(error) => {
                lock(&self.fatal).get_or_insert_with(|| error.to_string());
                self.broken.cancel();
                Err(error)
            }
        }
    }

    fn tell_change(&self, incident: Incident, what: ChangeKind) {
        let (id, title) = (incident.id, &incident.title);
        match &what {
            ChangeKind::Opened => tracing::error!(incident = id, "incident opened: {title}"),
            ChangeKind::Reopened => tracing::error!(incident = id, "incident opened again: {title}"),
            ChangeKind::Renamed { before } => tracing::warn!(incident = id, before, "incident renamed: {title}"),
            ChangeKind::Resolved => tracing::info!(incident = id, "incident resolved: {title}"),
        }
        self.tell(RunEvent::Incident(Box::new(incident), what));
    }

    /// Returns why the run must end, if it must.
    pub fn fatal(&self) -> Option<String> {
        lock(&self.fatal).clone()
    }

    /// Tells readers; nobody may be listening.
    pub fn tell(&self, event: RunEvent) {
        let _ = self.events.send(event);
    }

    /// Starts collecting for a cycle; after a restart, with what the cycle had before.
    pub fn begin_cycle(&self, cycle: u64, resumed: bool) -> Result<(), StoreError> {
        let loose: Vec<Finding> = if resumed {
            let blob = self.with(|store| store.blob(&self.run, BLOB))?;
            blob.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
        } else {
            Vec::new()
        };
        let loose: Vec<Finding> = loose.into_iter().filter(|f| f.cycle == cycle).collect();
        let mut current = lock(&self.current);
        *current =
            Current { cycle, findings_total: loose.len() as u64, findings: loose.clone(), loose, ..Current::default() };
        Ok(())
    }

    /// Writes steps down; each counts once, however often it is reported.
    pub fn record_steps(&self, reports: &[StepReport]) -> Result<u64, StoreError> {
        let mut reports: Vec<StepReport> = reports.to_vec();
        for finding in reports.iter_mut().flat_map(|report| &mut report.findings) {
            finding.at_ms = self.clock.of_system(finding.at_ms);
        }
        let counted: Vec<StepReport> =
            self.with(|store| Ok(store.count_steps(&self.run, &reports)?.into_iter().cloned().collect()))?;
        let total = counted.len() as u64;
        if total > 0 {
            self.tell(RunEvent::Steps(Arc::new(counted)));
        }
        let mut current = lock(&self.current);
        for report in &reports {
            if report.cycle != current.cycle || !current.steps.entry(report.db).or_default().note(report.step.no) {
                continue;
            }
            current.rows += if report.step.action.is_sync() { report.moved } else { report.rows };
            current.retries += u64::from(report.attempts.saturating_sub(1));
            for finding in &report.findings {
                current.findings_total += 1;
                if current.findings.len() < CYCLE_FINDINGS_MAX {
                    current.findings.push(finding.clone());
                }
                self.tell(RunEvent::Finding(Box::new(finding.clone())));
            }
        }
        Ok(total)
    }

    /// Writes down findings that belong to no step.
    pub fn record_findings(&self, mut findings: Vec<Finding>) -> Result<(), StoreError> {
        if findings.is_empty() {
            return Ok(());
        }
        for finding in &mut findings {
            finding.at_ms = self.clock.of_system(finding.at_ms);
        }
        let blob = {
            let mut current = lock(&self.current);
            for finding in &findings {
                current.findings_total += 1;
                if current.findings.len() < CYCLE_FINDINGS_MAX {
                    current.findings.push(finding.clone());
                    current.loose.push(finding.clone());
                }
                tracing::error!(side = ?finding.side, kind = ?finding.kind, phase = finding.phase, "{}", finding.message);
                self.tell(RunEvent::Finding(Box::new(finding.clone())));
            }
            serde_json::to_vec(&current.loose).unwrap_or_default()
        };
        self.with(|store| {
            store.record_findings(&self.run, &findings)?;
            store.put_blob(&self.run, BLOB, &blob)
        })
    }

    /// Returns the findings of the cycle in work, their total, and the steps done by database.
    pub fn cycle_health(&self) -> (Vec<Finding>, u64, BTreeMap<DbNo, u64>) {
        let current = lock(&self.current);
        let steps = current.steps.iter().map(|(db, seen)| (*db, seen.count)).collect();
        (current.findings.clone(), current.findings_total, steps)
    }

    /// Returns how many findings and steps the cycle in work has so far.
    pub fn cycle_counts(&self) -> (u64, u64) {
        let current = lock(&self.current);
        (current.findings_total, current.steps.values().map(|seen| seen.count).sum())
    }

    /// Returns the rows written and moved in the cycle in work, and the retries that it took.
    pub fn cycle_work(&self) -> (u64, u64) {
        let current = lock(&self.current);
        (current.rows, current.retries)
    }

    /// Returns the cycle in work.
    pub fn cycle(&self) -> u64 {
        lock(&self.current).cycle
    }

    /// Returns the log tails of all databases.
    pub fn logs(&self) -> BTreeMap<DbNo, LogTail> {
        lock(&self.logs).clone()
    }

    fn log(&self, db: Option<DbNo>, line: String) {
        if let Some(db) = db {
            let mut logs = lock(&self.logs);
            if logs.contains_key(&db) || logs.len() < 4096 {
                logs.entry(db).or_default().push(line.clone());
            }
        }
        self.tell(RunEvent::Log(line));
    }
}

/// What the pump hands on to the engine.
#[derive(Debug)]
pub enum Signal {
    NeedCredential(DbNo),
    Gone(Death),
    /// Everything before this was handed on.
    Barrier(oneshot::Sender<()>),
}

/// Takes in the workers' news until the channel closes: steps are committed in batches, logs are kept, the rest is handed on.
pub async fn pump(ledger: Arc<Ledger>, mut news: mpsc::Receiver<News>, signals: mpsc::Sender<Signal>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while news.recv_many(&mut batch, BATCH_MAX).await > 0 {
        gather(&mut news, &mut batch).await;
        let mut steps: Vec<StepReport> = Vec::new();
        let mut barriers: Vec<oneshot::Sender<()>> = Vec::new();
        for item in batch.drain(..) {
            match item {
                News::Step(report) => steps.push(*report),
                News::Log { db, line } => ledger.log(db, line),
                News::Barrier(done) => barriers.push(done),
                // A closed channel means that the engine is on its way out.
                News::NeedCredential { db } => drop(signals.send(Signal::NeedCredential(db)).await),
                News::Gone(death) => drop(signals.send(Signal::Gone(death)).await),
            }
        }
        if !steps.is_empty() && ledger.record_steps(&steps).is_err() {
            // The ledger has said that it is broken; barriers are dropped unanswered.
            continue;
        }
        for done in barriers {
            // How workers died is written down by whoever hears the signals; a barrier is only through behind them.
            drop(signals.send(Signal::Barrier(done)).await);
        }
    }
}

/// Waits a moment for more steps, so that many small ones share a commit: a step is safe in its local database already.
async fn gather(news: &mut mpsc::Receiver<News>, batch: &mut Vec<News>) {
    let until = tokio::time::Instant::now() + COMMIT_EVERY;
    while batch.len() < BATCH_MAX && batch.iter().all(|item| matches!(item, News::Step(_) | News::Log { .. })) {
        match tokio::time::timeout_at(until, news.recv()).await {
            Ok(Some(item)) => batch.push(item),
            Ok(None) | Err(_) => return,
        }
    }
}

/// Returns a finding of the daemon's own, outside any step.
pub fn finding(cycle: u64, phase: &str, (side, kind): (Side, Kind), message: &str) -> Finding {
    Finding::new(chrono::Utc::now().timestamp_millis(), cycle, phase, (side, kind), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_is_reported_again_is_seen_once() {
        let mut seen = Seen::default();
        assert!(seen.note(1) && seen.note(64) && seen.note(200));
        assert!(!seen.note(64) && !seen.note(1));
        assert_eq!(seen.count, 3);
    }

    #[test]
    fn readers_hear_of_counted_steps_and_of_incidents_with_their_logs() {
        use crate::store::tests::{RUN, a_run, a_step};
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        store.begin_run(&a_run(RUN, 1)).unwrap();
        let shared = Shared::new(store);
        let (events, mut heard) = broadcast::channel(64);
        let ledger = Ledger::new(RUN.into(), shared.clone(), BTreeMap::new(), events);
        ledger.begin_cycle(1, false).unwrap();
        ledger.log(Some(1), "[DB1] inserted".into());
        let mut step = a_step(1, 1, 2);
        assert_eq!(ledger.record_steps(&[step.clone(), step.clone()]).unwrap(), 1);
        assert_eq!(ledger.record_steps(std::slice::from_ref(&step)).unwrap(), 0);
        assert_eq!(ledger.cycle_counts(), (step.findings.len() as u64, 1));
        assert!(shared.with(|store| Ok(store.snapshot(RUN)?.unwrap().logs)).unwrap().is_empty());
        step.step.no = 3;
        step.findings = vec![finding(1, "load", (Side::Server, Kind::Crash), "the target ended")];
        ledger.record_steps(&[step.clone()]).unwrap();
        ledger.record_findings(vec![finding(1, "-", (Side::Network, Kind::Reset), "reset")]).unwrap();
        let (mut counted, mut changes) = (Vec::new(), Vec::new());
        while let Ok(event) = heard.try_recv() {
            match event {
                RunEvent::Steps(reports) => counted.extend(reports.iter().map(|report| report.step.no)),
                RunEvent::Incident(incident, what) => changes.push((incident.title, what)),
                _ => {}
            }
        }
        assert_eq!(counted, [2, 3]);
        assert_eq!(changes, [("the target ended".to_owned(), ChangeKind::Opened)]);
        let logs = shared.with(|store| Ok(store.snapshot(RUN)?.unwrap().logs)).unwrap();
        assert_eq!(logs[&1].first, ["[DB1] inserted"]);
        assert_eq!(ledger.fatal(), None);
    }
}
