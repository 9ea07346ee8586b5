//! One cycle: load, settle, verify, checkpoint.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::control::Control;
use super::crew::{Crew, CrewError};
use super::event::RunEvent;
use super::ledger::{Ledger, finding};
use super::measure::{self, outside::Outside};
use super::service::Service;
use super::setup::{Role, Setup};
use super::verify;
use super::version::ServerVersion;
use super::worker::protocol::{Command, Reply};
use crate::config::RunConfig;
use crate::model::finding::{Finding, Kind, Side};
use crate::model::ids::DbNo;
use crate::model::record::{CycleRecord, EpochRecord, Phase, RunRecord};
use crate::model::verdict::Verdict;
use crate::workload::sync::Plan;

/// Everything that phases work with.
pub struct Stage {
    pub setup: Setup,
    pub plan: Plan,
    pub ledger: Arc<Ledger>,
    pub service: Arc<Service>,
    pub crew: Arc<Crew>,
    pub control: Arc<Control>,
    /// When the run ends and rests, as the configuration says now.
    pub course: watch::Receiver<RunConfig>,
    /// This life of the daemon, once it is written down.
    pub epoch: OnceLock<EpochRecord>,
    /// The target as it is measured from outside.
    pub outside: Arc<tokio::sync::Mutex<Outside>>,
    /// What measuring remembers from cycle to cycle.
    pub memory: tokio::sync::Mutex<measure::Memory>,
    /// Whoever knows the version of the server.
    pub server: ServerVersion,
    /// Where the report of a load is that ended at its first unexpected error.
    pub crash: OnceLock<PathBuf>,
}

/// How a cycle ended.
pub enum CycleEnd {
    Done(Box<CycleRecord>),
    /// Stopped on request: the rest of the cycle is taken up by the next start.
    Stopped,
}

/// How often progress is told while a phase lasts.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Shortest wait between two rounds against a service that applies and prepares in the background.
const FOREIGN_WAIT_MIN: Duration = Duration::from_secs(1);
/// How often the daemon writes down that it is alive.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// What settling came to.
struct Settled {
    rounds: u32,
    /// Databases that did not come to rest, with the reason.
    unsettled: Vec<String>,
}

impl Stage {
    /// Runs one cycle, from wherever an earlier life left it.
    pub async fn cycle(&self, run: &mut RunRecord) -> anyhow::Result<CycleEnd> {
        let cycle = run.cycle;
        let started_ms = self.setup.clock.now_ms();
        let server = self.server_now(run).await;
        let commits_before = self.ledger.with(|store| Ok(store.commit_micros()))?;
        self.service.begin_cycle();
        self.crew.begin_cycle();
        self.crew.renew_old_credentials().await;
        let steps_planned = self.plan.steps_per_cycle(cycle);

        self.enter(run, Phase::Load, Some(steps_planned))?;
        let at = Instant::now();
        if self.with_progress(self.load(cycle)).await? != Some(true) {
            return Ok(CycleEnd::Stopped);
        }
        self.note_crash(self.crew.take_crash())?;
        self.crew.barrier().await?;
        let load_ms = at.elapsed().as_millis() as u64;

        self.enter(run, Phase::Settle, None)?;
        let at = Instant::now();
        let Some(Some(settled)) = self.with_progress(self.settle(cycle)).await? else { return Ok(CycleEnd::Stopped) };
        let settle_ms = at.elapsed().as_millis() as u64;

        self.enter(run, Phase::Verify, None)?;
        self.crew.renew_old_credentials().await;
        let at = Instant::now();
        let verified = self.with_progress(verify::verify(self, cycle, settled.unsettled)).await?.flatten();
        let verify_ms = at.elapsed().as_millis() as u64;
        if self.control.stop.is_cancelled() && verified.is_none() {
            return Ok(CycleEnd::Stopped);
        }
        let Some(verified) = verified else { bail!("verification ended without a result") };

        self.enter(run, Phase::Checkpoint, None)?;
        let (errors, steps) = self.ledger.cycle_counts();
        let commits = self.ledger.with(|store| Ok(store.commit_micros()))?;
        let record = CycleRecord {
            cycle,
            started_ms,
            ended_ms: self.setup.clock.now_ms(),
            load_ms,
            settle_ms,
            verify_ms,
            checkpoint_us: commits.saturating_sub(commits_before),
            settle_rounds: settled.rounds,
            steps,
            steps_planned,
            errors,
            rows_final: verified.rows.values().sum(),
            content: verified.content,
            epoch: self.epoch.get().map_or(0, |epoch| epoch.epoch),
            checks_digest: String::new(),
            server,
            previous: String::new(),
            digest: String::new(),
            verdict: Verdict::worst(verified.checks.iter().filter_map(|c| c.verdict)),
            checks: verified.checks,
        };
        let measured = self.with_progress(async { Ok(measure::gather(self, &record).await) }).await?;
        let Some(measures) = measured else { return Ok(CycleEnd::Stopped) };
        run.cycle += 1;
        run.phase = Phase::Pause;
        let logs = self.ledger.logs();
        self.ledger.with(|store| {
            store.record_logs(&run.run, &logs)?;
            store.record_measures(&run.run, &measures)?;
            store.finish_cycle(run, &record, &verified.rows)
        })?;
        self.close_cycle(cycle).await?;
        self.watch_versions(run, &record)?;
        self.ledger.tell(RunEvent::Cycle(Box::new(record.clone())));
        Ok(CycleEnd::Done(Box::new(record)))
    }

    /// Asks for the server's version; the run notes the last one that is known.
    async fn server_now(&self, run: &mut RunRecord) -> String {
        let server = self.server.now(&self.service).await;
        if !server.is_empty() {
            run.versions.server.clone_from(&server);
        }
        server
    }

    /// Lets the workers forget a cycle that is checkpointed; repeated after a restart.
    pub async fn close_cycle(&self, cycle: u64) -> anyhow::Result<()> {
        let mut closing = JoinSet::new();
        for db in self.crew.databases(|role| matches!(role, Role::Load | Role::Reader(_))) {
            let crew = Arc::clone(&self.crew);
            closing.spawn(async move { crew.ask(db, Command::CloseCycle { cycle }).await });
        }
        for closed in closing.join_all().await {
            match closed {
                // What stays behind is older than anything that is asked for later.
                Err(error @ (CrewError::Down(_) | CrewError::Failed(_))) => {
                    tracing::warn!("the cycle was not closed in a local database: {error}")
                }
                closed => drop(closed.context("closing the cycle in a local database")?),
            }
        }
        Ok(())
    }

    fn enter(&self, run: &mut RunRecord, phase: Phase, steps: Option<u64>) -> anyhow::Result<()> {
        run.phase = phase;
        self.ledger.with(|store| store.update_run(run))?;
        tracing::info!(cycle = run.cycle, phase = phase.word(), "phase");
        self.setup.beat.on();
        self.ledger.tell(RunEvent::Phase { cycle: run.cycle, phase, steps });
        Ok(())
    }

    /// Waits for a phase, and tells readers every moment how far it is; `None` when it was cut off, because a stop was asked
    /// for and the step in work did not end.
    async fn with_progress<T>(&self, phase: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<Option<T>> {
        let patience = self.setup.config.timeouts.drain.get() / 2;
        let cut_off = async {
            self.control.stop.cancelled().await;
            tokio::time::sleep(patience).await;
        };
        let mut cut_off = std::pin::pin!(cut_off);
        let mut phase = std::pin::pin!(phase);
        let mut tick = tokio::time::interval(PROGRESS_EVERY);
        let mut told = (0, 0, 0);
        let mut sign_of_life = tokio::time::interval(ALIVE_EVERY);
        loop {
            tokio::select! {
                result = &mut phase => return result.map(Some),
                () = &mut cut_off => {
                    tracing::warn!("the step in work did not end within {patience:?}; the next start takes it again");
                    return Ok(None);
                }
                () = self.ledger.broken.cancelled() => {
                    bail!("{}", self.ledger.fatal().unwrap_or_else(|| "the state file broke".into()));
                }
                _ = sign_of_life.tick() => self.note_alive()?,
                _ = tick.tick() => {
                    let (errors, steps_done) = self.ledger.cycle_counts();
                    let rows = self.crew.rows().await;
                    if told != (steps_done, rows, errors) || self.control.is_held() {
                        self.setup.beat.on();
                    }
                    told = (steps_done, rows, errors);
                    self.ledger.tell(RunEvent::Progress { steps_done, rows, errors });
                }
            }
        }
    }

    /// Writes down that this life of the daemon lasts, so that a kill in a long cycle does not make hours unobserved.
    fn note_alive(&self) -> anyhow::Result<()> {
        let Some(epoch) = self.epoch.get() else { return Ok(()) };
        let epoch = EpochRecord { last_ms: self.setup.clock.now_ms(), ..epoch.clone() };
        Ok(self.ledger.with(|store| store.touch_epoch(self.ledger.run(), &epoch))?)
    }

    /// Syncs every database until nothing moves any more; `None` when it was stopped.
    async fn settle(&self, cycle: u64) -> anyhow::Result<Option<Settled>> {
        let mut databases = self.crew.databases(|role| matches!(role, Role::Load | Role::Reader(_)));
        // A service that prepares downloads in the background may be quiet once while it still has something.
        let at_once = self.service.is_embedded() || self.setup.is_direct();
        let quiet_needed = if at_once { 1 } else { 2 };
        let wait = self.setup.config.verify.settle_wait.get().max(FOREIGN_WAIT_MIN);
        let mut quiet = 0;
        let mut settled = Settled { rounds: 0, unsettled: Vec::new() };
        while quiet < quiet_needed {
            if !self.control.free().await {
                return Ok(None);
            }
            if settled.rounds == self.setup.config.verify.settle_rounds {
                settled.unsettled.push(format!(
                    "changes still move after {} rounds (verify.settle_rounds)",
                    self.setup.config.verify.settle_rounds
                ));
                return Ok(Some(settled));
            }
            settled.rounds += 1;
            let restarts = self.crew.restarts();
            let (moved, failed) = self.exchange_all(cycle, &databases).await?;
            // The others come to rest all the same, so that what is found there is theirs.
            databases.retain(|db| !failed.contains_key(db));
            settled.unsettled.extend(failed.into_values());
            if databases.is_empty() {
                return Ok(Some(settled));
            }
            // What a dead worker moved in this round, its successor knows nothing of.
            let still = moved == 0 && restarts == self.crew.restarts();
            quiet = if still { quiet + 1 } else { 0 };
            if !at_once {
                tokio::time::sleep(wait).await;
            }
        }
        Ok(Some(settled))
    }

    /// One send and one receive of each database, all at once; returns what moved, and which could not.
    pub async fn exchange_all(&self, cycle: u64, databases: &[DbNo]) -> anyhow::Result<(u64, BTreeMap<DbNo, String>)> {
        let mut exchanging = JoinSet::new();
        for db in databases.iter().copied() {
            let crew = Arc::clone(&self.crew);
            exchanging.spawn(async move { (db, crew.ask(db, Command::Exchange { cycle }).await) });
        }
        let (mut moved, mut failed, mut findings) = (0, BTreeMap::new(), Vec::new());
        while let Some(joined) = exchanging.join_next().await {
            let (db, result) = joined.context("a settle task ended")?;
            match result {
                Ok(Reply::Exchanged { sent, received, refused, findings: met, resting }) => {
                    moved += sent + received + u64::from(!resting);
                    findings.extend(met);
                    for row in refused.iter().take(8) {
                        let message = format!("the server refused to {} row {}: {}", row.verb, row.key, row.reason);
                        findings.push(of_database(cycle, "settle", db, (Side::Server, Kind::Denied), &message));
                    }
                }
                Ok(other) => bail!("database {db} answered {other:?} to an exchange"),
                Err(CrewError::Failed(error)) => {
                    let mut met = of_database(cycle, "settle", db, (error.side, error.kind), &error.message);
                    met.code = error.code;
                    findings.push(met);
                    failed.insert(db, format!("DB{db} could not be brought to rest: {}", error.message));
                }
                Err(CrewError::Down(reason)) => {
                    failed.insert(db, format!("DB{db} could not be brought to rest: {reason}"));
                }
                Err(CrewError::Lost(error)) => return Err(error),
            }
        }
        self.ledger.record_findings(findings)?;
        Ok((moved, failed))
    }
}

/// Returns a finding about a database.
pub fn of_database(cycle: u64, phase: &str, db: DbNo, what: (Side, Kind), message: &str) -> Finding {
    Finding { db: Some(db), ..finding(cycle, phase, what, message) }
}
