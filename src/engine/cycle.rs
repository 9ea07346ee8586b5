//! One cycle: load, settle, verify, checkpoint.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use chrono::Utc;
use rand::seq::SliceRandom;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::crew::{Crew, CrewError};
use super::event::RunEvent;
use super::ledger::{Ledger, finding};
use super::service::Service;
use super::setup::{Role, Setup};
use super::verify;
use super::worker::protocol::{Command, Reply};
use crate::model::finding::{Finding, Kind, Side};
use crate::model::ids::DbNo;
use crate::model::record::{CycleRecord, EpochRecord, Phase, RunRecord};
use crate::model::verdict::Verdict;
use crate::workload::sync::{Plan, branch};

/// Everything that phases work with.
pub struct Stage {
    pub setup: Setup,
    pub plan: Plan,
    pub ledger: Arc<Ledger>,
    pub service: Arc<Service>,
    pub crew: Arc<Crew>,
    /// Cancelled when the run is to stop after the step in work.
    pub stop: CancellationToken,
    /// This life of the daemon, once it is written down.
    pub epoch: OnceLock<EpochRecord>,
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
        let started_ms = Utc::now().timestamp_millis();
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
        if self.stop.is_cancelled() && verified.is_none() {
            return Ok(CycleEnd::Stopped);
        }
        let Some(verified) = verified else { bail!("verification ended without a result") };

        self.enter(run, Phase::Checkpoint, None)?;
        let (errors, steps) = self.ledger.cycle_counts();
        let commits = self.ledger.with(|store| Ok(store.commit_micros()))?;
        let record = CycleRecord {
            cycle,
            started_ms,
            ended_ms: Utc::now().timestamp_millis(),
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
            verdict: Verdict::worst(verified.checks.iter().filter_map(|c| c.verdict)),
            checks: verified.checks,
        };
        run.cycle += 1;
        run.phase = Phase::Pause;
        let logs = self.ledger.logs();
        self.ledger.with(|store| {
            store.record_logs(&run.run, &logs)?;
            store.finish_cycle(run, &record, &verified.rows)
        })?;
        self.close_cycle(cycle).await?;
        self.ledger.tell(RunEvent::Cycle(Box::new(record.clone())));
        Ok(CycleEnd::Done(Box::new(record)))
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
        self.ledger.tell(RunEvent::Phase { cycle: run.cycle, phase, steps });
        Ok(())
    }

    /// Waits for a phase, and tells readers every moment how far it is; `None` when it was cut off, because a stop was asked
    /// for and the step in work did not end.
    async fn with_progress<T>(&self, phase: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<Option<T>> {
        let patience = self.setup.config.timeouts.drain.get() / 2;
        let cut_off = async {
            self.stop.cancelled().await;
            tokio::time::sleep(patience).await;
        };
        let mut cut_off = std::pin::pin!(cut_off);
        let mut phase = std::pin::pin!(phase);
        let mut tick = tokio::time::interval(PROGRESS_EVERY);
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
                    self.ledger.tell(RunEvent::Progress { steps_done, rows, errors });
                }
            }
        }
    }

    /// Writes down that this life of the daemon lasts, so that a kill in a long cycle does not make hours unobserved.
    fn note_alive(&self) -> anyhow::Result<()> {
        let Some(epoch) = self.epoch.get() else { return Ok(()) };
        let epoch = EpochRecord { last_ms: Utc::now().timestamp_millis(), ..epoch.clone() };
        Ok(self.ledger.with(|store| store.touch_epoch(self.ledger.run(), &epoch))?)
    }

    /// Takes all steps of all databases; false when it was stopped before the end.
    async fn load(&self, cycle: u64) -> anyhow::Result<bool> {
        let loading = async {
            if self.setup.lockstep() { self.load_lockstep(cycle).await } else { self.load_concurrently(cycle).await }
        };
        let mut loading = std::pin::pin!(loading);
        tokio::select! {
            done = &mut loading => return done,
            () = self.stop.cancelled() => self.crew.stop_loading().await,
        }
        loading.await?;
        Ok(false)
    }

    async fn load_concurrently(&self, cycle: u64) -> anyhow::Result<bool> {
        let mut loading = JoinSet::new();
        for db in self.crew.databases(|role| role == Role::Load) {
            let (crew, ledger) = (Arc::clone(&self.crew), Arc::clone(&self.ledger));
            loading.spawn(async move { load_to(&crew, &ledger, db, cycle, u32::MAX).await });
        }
        let mut done = true;
        while let Some(joined) = loading.join_next().await {
            done &= joined.context("a load task ended")??;
        }
        Ok(done)
    }

    /// Takes one step at a time: in every round each database takes its next step, in an order drawn from the seed.
    async fn load_lockstep(&self, cycle: u64) -> anyhow::Result<bool> {
        let lengths: BTreeMap<DbNo, u32> = self
            .crew
            .databases(|role| role == Role::Load)
            .into_iter()
            .map(|db| (db, self.plan.steps(cycle, db).len() as u32))
            .collect();
        let rounds = lengths.values().copied().max().unwrap_or(0);
        for round in 1..=rounds {
            let mut order: Vec<DbNo> = lengths.iter().filter(|(_, len)| **len >= round).map(|(db, _)| *db).collect();
            order.shuffle(&mut branch(self.plan.seed, cycle, 0, round));
            for db in order {
                if self.stop.is_cancelled() || !load_to(&self.crew, &self.ledger, db, cycle, round).await? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Syncs every database until nothing moves any more; `None` when it was stopped.
    async fn settle(&self, cycle: u64) -> anyhow::Result<Option<Settled>> {
        let mut databases = self.crew.databases(|role| matches!(role, Role::Load | Role::Reader(_)));
        // A service that prepares downloads in the background may be quiet once while it still has something.
        let quiet_needed = if self.service.is_embedded() { 1 } else { 2 };
        let wait = self.setup.config.verify.settle_wait.get().max(FOREIGN_WAIT_MIN);
        let mut quiet = 0;
        let mut settled = Settled { rounds: 0, unsettled: Vec::new() };
        while quiet < quiet_needed {
            if self.stop.is_cancelled() {
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
            if !self.service.is_embedded() {
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

/// Lets a database take its steps up to a number; false when it was stopped before.
async fn load_to(crew: &Crew, ledger: &Ledger, db: DbNo, cycle: u64, upto: u32) -> anyhow::Result<bool> {
    match crew.ask(db, Command::Load { cycle, upto }).await {
        Ok(Reply::Loaded { stopped }) => Ok(!stopped),
        Ok(other) => bail!("database {db} answered {other:?} to a load"),
        Err(CrewError::Failed(error)) => {
            // The steps that are missing now fail the cycle by themselves.
            let mut failed = of_database(cycle, "load", db, (error.side, error.kind), &error.message);
            failed.code = error.code;
            ledger.record_findings(vec![failed])?;
            Ok(true)
        }
        // That it is down was written down; its missing steps fail the cycle.
        Err(CrewError::Down(_)) => Ok(true),
        Err(CrewError::Lost(error)) => Err(error),
    }
}

/// Returns a finding about a database.
pub fn of_database(cycle: u64, phase: &str, db: DbNo, what: (Side, Kind), message: &str) -> Finding {
    Finding { db: Some(db), ..finding(cycle, phase, what, message) }
}
