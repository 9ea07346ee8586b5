//! The loop of one database: one thread that owns the session and answers the daemon's commands in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use chrono::Utc;

use super::journal;
use super::probe;
use super::protocol::{Command, DatabaseSpec, Event, Reply, Request, RetrySpec, Secret};
use super::scan;
use super::sync_step::{self, Caller, Exchange};
use super::tempo::Tempo;
use super::write_step::Writer;
use crate::engine::retry::Retry;
use crate::model::classify;
use crate::model::finding::{Classified, Finding, Follow, Kind, Side};
use crate::model::step::{Action, Step, StepOutcome, StepReport};
use crate::target::sync_sql::{Credential, SyncError, SyncSession};
use crate::workload::sync::{Plan, branch};

/// What all databases of a worker share.
pub struct Shared {
    pub plan: Plan,
    /// Steps per second, as in [`Tempo`].
    pub rate: Option<f64>,
    pub retry: RetrySpec,
    pub events: SyncSender<Event>,
    /// Set when the run is to stop after the step in work.
    pub stop: Arc<AtomicBool>,
    /// Rows written and moved, for the pulse.
    pub rows: AtomicU64,
}

/// One database and its session.
pub struct Database {
    pub spec: DatabaseSpec,
    pub shared: Arc<Shared>,
    pub commands: Receiver<Request>,
    pub session: Option<SyncSession>,
    /// Requests that arrived while a credential was awaited.
    pub waiting: Vec<Request>,
}

/// How long a database waits for a fresh credential.
const CREDENTIAL_WAIT: Duration = Duration::from_secs(30);

/// A command failed.
pub type Failed = Box<Classified>;

impl Database {
    /// Answers commands until the session is closed or the daemon is gone.
    pub fn run(mut self) {
        loop {
            let next = if self.waiting.is_empty() { self.commands.recv().ok() } else { Some(self.waiting.remove(0)) };
            let Some(request) = next else { break };
            let last = matches!(request.command, Command::Close);
            let result = self.answer(request.command).map_err(|failed| *failed);
            if let Err(error) = &result {
                tracing::error!("[DB{}] {}", self.spec.db, error.message);
            }
            if self.shared.events.send(Event::Reply { id: request.id, result }).is_err() || last {
                break;
            }
        }
        if let Some(session) = self.session.take()
            && let Err(error) = session.close()
        {
            tracing::warn!("[DB{}] close: {error}", self.spec.db);
        }
    }

    fn answer(&mut self, command: Command) -> Result<Reply, Failed> {
        match command {
            Command::Open { credential, fresh } => self.open(&credential, fresh),
            Command::Credential(secret) => self.set_credential(&secret),
            Command::Load { cycle, upto } => self.load(cycle, upto),
            Command::Progress { cycle } => {
                Ok(Reply::Progress(journal::progress(self.session()?.conn(), cycle).map_err(local)?))
            }
            Command::Exchange { cycle } => self.exchange(cycle),
            Command::Scan => {
                let (table, owner) = (self.spec.session.table.clone(), self.owner_checked());
                let seed = self.shared.plan.seed;
                let found = scan::full(self.session()?.conn(), &table, seed, owner.as_deref()).map_err(local)?;
                Ok(Reply::Scan(found))
            }
            Command::Holdings => {
                Ok(Reply::Holdings { metadata: scan::metadata(self.session()?.conn()).map_err(local)? })
            }
            Command::Journal { cycle } => {
                let db = self.spec.db;
                Ok(Reply::Journal(journal::cycle(self.session()?.conn(), db, cycle).map_err(local)?))
            }
            Command::CloseCycle { cycle } => {
                journal::close_cycle(self.session()?.conn(), cycle).map_err(local)?;
                Ok(Reply::Done)
            }
            Command::Write { upsert, delete, patient } => probe::write(self, &upsert, &delete, patient),
            Command::Inspect { receive } => probe::inspect(self, receive),
            Command::Trial { credential } => probe::trial(self, &credential),
            Command::Verify { .. } => Err(own_fault("a local database is verified by its content")),
            Command::Close | Command::Stop | Command::Go => Ok(Reply::Done),
        }
    }

    /// Returns the session, which only [`Command::Open`] makes.
    pub fn session(&mut self) -> Result<&mut SyncSession, Failed> {
        self.session.as_mut().ok_or_else(|| own_fault("the database was not opened before this command"))
    }

    /// Returns the owner that every row must have; `None` where all users share one content.
    pub fn owner_checked(&self) -> Option<String> {
        self.spec.exclusive.then(|| self.spec.owner.clone())
    }

    fn open(&mut self, credential: &Secret, fresh: bool) -> Result<Reply, Failed> {
        if let Some(session) = self.session.take() {
            session.close().map_err(refused)?;
        }
        if fresh {
            remove_files(&self.spec.session.path)?;
        }
        let mut session = SyncSession::open(&self.spec.session).map_err(refused)?;
        journal::create(session.conn()).map_err(local)?;
        session.set_credential(&credential_of(credential)).map_err(refused)?;
        let provider = session.provider_version().to_owned();
        self.session = Some(session);
        Ok(Reply::Opened { provider })
    }

    fn set_credential(&mut self, secret: &Secret) -> Result<Reply, Failed> {
        self.session()?.set_credential(&credential_of(secret)).map_err(refused)?;
        Ok(Reply::Done)
    }

    fn load(&mut self, cycle: u64, upto: u32) -> Result<Reply, Failed> {
        let (table, seed) = (self.spec.session.table.clone(), self.shared.plan.seed);
        let conn = self.session()?.conn();
        if !journal::has_baseline(conn, cycle).map_err(local)? {
            let states = scan::states(conn, &table, seed).map_err(local)?;
            journal::set_baseline(conn, cycle, &states).map_err(local)?;
        }
        let done = journal::last_step(conn, cycle).map_err(local)?;
        let mut tempo = Tempo::begin(self.shared.rate);
        for step in self.shared.plan.steps(cycle, self.spec.db) {
            if step.no <= done || step.no > upto {
                continue;
            }
            let late = tempo.start(step.action, &self.shared.stop);
            if !late.map_or(Ok(false), |late| self.step(cycle, step, late))? {
                return Ok(Reply::Loaded { stopped: true, crash: None });
            }
        }
        Ok(Reply::Loaded { stopped: false, crash: None })
    }

    /// Takes one step, records it and reports it; false when it was interrupted before it ended.
    fn step(&mut self, cycle: u64, step: Step, late: Duration) -> Result<bool, Failed> {
        let started = Instant::now();
        let mut report = StepReport {
            db: self.spec.db,
            cycle,
            step,
            outcome: StepOutcome::Acknowledged,
            rows: 0,
            moved: 0,
            bytes: 0,
            attempts: 1,
            started_ms: Utc::now().timestamp_millis(),
            late_us: late.as_micros() as u64,
            elapsed_us: 0,
            seq: None,
            findings: Vec::new(),
            figures: None,
        };
        match step.action {
            Action::Send | Action::Receive => {
                let done = self.call(cycle, step)?;
                if done.interrupted {
                    return Ok(false);
                }
                report.outcome = done.outcome();
                (report.moved, report.bytes, report.attempts, report.seq) =
                    (done.moved, done.bytes, done.attempts, done.seq);
                report.findings = done.findings;
                report.findings.extend(done.refused.iter().take(8).map(|row| self.refused_finding(cycle, &step, row)));
                report.elapsed_us = started.elapsed().as_micros() as u64;
                journal::record_step(self.session()?.conn(), &report).map_err(local)?;
            }
            Action::Wait { ms } => {
                sync_step::pause(Duration::from_millis(ms), &self.shared.stop);
                if self.shared.stop.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                report.elapsed_us = started.elapsed().as_micros() as u64;
                journal::record_step(self.session()?.conn(), &report).map_err(local)?;
            }
            _ => self.write(cycle, step, started, &mut report)?,
        }
        let count = if step.action.is_sync() { report.moved } else { report.rows };
        self.shared.rows.fetch_add(count, Ordering::Relaxed);
        tracing::info!("[DB{}][iter {}] {}, count={count}", self.spec.db, step.iter, step.action.verb());
        self.shared.events.send(Event::Step(report)).map_err(|_| own_fault("the daemon is gone"))?;
        Ok(true)
    }

    fn write(&mut self, cycle: u64, step: Step, started: Instant, report: &mut StepReport) -> Result<(), Failed> {
        let spec = self.spec.clone();
        let plan = self.shared.plan;
        let writer = Writer { table: &spec.session.table, plan: &plan, owner: &spec.owner, db: spec.db, cycle };
        let conn = self.session()?.conn_mut();
        let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(local)?;
        let written = writer.execute(&tx, &step).map_err(local)?;
        report.rows = written.rows;
        report.elapsed_us = started.elapsed().as_micros() as u64;
        journal::record_write(&tx, report, &written.runs).map_err(local)?;
        tx.commit().map_err(local)
    }

    /// Calls the service for a step, with retries.
    fn call(&mut self, cycle: u64, step: Step) -> Result<Exchange, Failed> {
        let sending = step.action == Action::Send;
        self.with_caller(cycle, "load", Some(&step), step.no, |session, retry, caller| {
            if sending { sync_step::send(session, retry, caller) } else { sync_step::receive(session, retry, caller) }
        })
    }

    fn exchange(&mut self, cycle: u64) -> Result<Reply, Failed> {
        let after = journal::last_step(self.session()?.conn(), cycle).map_err(local)?;
        let sent = self.with_caller(cycle, "settle", None, after, sync_step::send)?;
        let received = self.with_caller(cycle, "settle", None, after, sync_step::receive)?;
        for done in [&sent, &received] {
            ended_well(done)?;
        }
        Ok(Reply::Exchanged {
            sent: sent.moved,
            received: received.moved,
            resting: sent.resting,
            refused: sent.refused,
            findings: sent.findings.into_iter().chain(received.findings).collect(),
        })
    }

    /// Runs a sync call with everything that a retry needs.
    pub fn with_caller(
        &mut self,
        cycle: u64,
        phase: &'static str,
        step: Option<&Step>,
        after_step: u32,
        call: impl FnOnce(&mut SyncSession, Retry, &mut Caller<'_>) -> rusqlite::Result<Exchange>,
    ) -> Result<Exchange, Failed> {
        let retry = Retry::new(
            &self.shared.retry,
            branch(self.shared.plan.seed, cycle, self.spec.db, after_step ^ 0x8000_0000),
        );
        let (db, user) = (self.spec.db, self.spec.user);
        let (iter, no) = (step.map(|s| s.iter), step.map(|s| s.no));
        let finding = move |error: &Classified| finding_of(error, cycle, phase, (db, user), (iter, no));
        let shared = Arc::clone(&self.shared);
        let (commands, waiting) = (&self.commands, &mut self.waiting);
        let mut refresh = || await_credential(&shared, db, commands, waiting);
        let mut caller = Caller { finding: &finding, refresh: &mut refresh, stop: &shared.stop, cycle, after_step };
        let session =
            self.session.as_mut().ok_or_else(|| own_fault("the database was not opened before this command"))?;
        call(session, retry, &mut caller).map_err(local)
    }

    fn refused_finding(&self, cycle: u64, step: &Step, row: &super::protocol::Refused) -> Finding {
        let error = Classified {
            side: Side::Server,
            kind: Kind::Denied,
            follow: Follow::Fail,
            code: None,
            message: format!("the server refused to {} row {}: {}", row.verb, row.key, row.reason),
        };
        finding_of(&error, cycle, "load", (self.spec.db, self.spec.user), (Some(step.iter), Some(step.no)))
    }
}

fn finding_of(
    error: &Classified,
    cycle: u64,
    phase: &str,
    (db, user): (u32, u32),
    (iter, step): (Option<u32>, Option<u32>),
) -> Finding {
    Finding {
        at_ms: Utc::now().timestamp_millis(),
        cycle,
        phase: phase.into(),
        db: Some(db),
        user: Some(user),
        iter,
        step,
        side: error.side,
        kind: error.kind,
        code: error.code.clone(),
        message: error.message.clone(),
        tolerated: false,
    }
}

/// Turns a call that was given up into its last error.
pub fn ended_well(done: &Exchange) -> Result<(), Failed> {
    if !matches!(done.outcome(), StepOutcome::Failed | StepOutcome::Indeterminate) {
        return Ok(());
    }
    let finding = done.findings.last();
    Err(Box::new(Classified {
        side: finding.map_or(Side::Soakd, |f| f.side),
        kind: finding.map_or(Kind::Other, |f| f.kind),
        follow: Follow::Fail,
        code: finding.and_then(|f| f.code.clone()),
        message: finding.map_or_else(|| "stopped".into(), |f| f.message.clone()),
    }))
}

/// Asks the daemon for a new credential; other commands that arrive meanwhile are kept for later.
fn await_credential(
    shared: &Shared,
    db: u32,
    commands: &Receiver<Request>,
    waiting: &mut Vec<Request>,
) -> Option<Credential> {
    shared.events.send(Event::NeedCredential { db }).ok()?;
    let until = Instant::now() + CREDENTIAL_WAIT;
    loop {
        match commands.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Request { id, command: Command::Credential(secret), .. }) => {
                shared.events.send(Event::Reply { id, result: Ok(Reply::Done) }).ok()?;
                return Some(credential_of(&secret));
            }
            Ok(other) => waiting.push(other),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// Returns the driver's form of a credential.
pub fn credential_of(secret: &Secret) -> Credential {
    match secret {
        Secret::None => Credential::None,
        Secret::Token(text) => Credential::Token(text.clone().into()),
        Secret::ApiKey(text) => Credential::ApiKey(text.clone().into()),
    }
}

/// Removes a database with the files that SQLite keeps beside it.
fn remove_files(path: &std::path::Path) -> Result<(), Failed> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(own_fault(&format!("{} cannot be removed: {error}", name.to_string_lossy())));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Classifies an error of the local database.
pub fn local(error: rusqlite::Error) -> Failed {
    let code = match &error {
        rusqlite::Error::SqliteFailure(e, _) => Some(e.extended_code),
        _ => None,
    };
    Box::new(classify::classify(code, &error.to_string()))
}

fn refused(error: SyncError) -> Failed {
    let mut classified = error.classified.clone();
    classified.message = crate::model::finding::cut(&error.to_string());
    Box::new(classified)
}

fn own_fault(message: &str) -> Failed {
    Box::new(Classified {
        side: Side::Soakd,
        kind: Kind::Other,
        follow: Follow::Fail,
        code: None,
        message: message.into(),
    })
}
