//! A run: new or taken up again, cycle after cycle until its end condition, with everything written down on the way.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use chrono::Utc;
use rand::RngExt;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::crew::{self, Crew};
use super::cycle::{CycleEnd, Stage};
use super::event::RunEvent;
use super::ledger::Ledger;
use super::service::Service;
use super::setup::{Role, Setup};
use super::worker::protocol::{Command, Reply};
use crate::config::{differing, flatten};
use crate::model::record::{EpochRecord, Phase, RunRecord, Snapshot, Versions};
use crate::model::verdict::Verdict;
use crate::store::{Shared, Store};

/// How a run, or this life of it, ended.
pub struct RunEnd {
    pub verdict: Verdict,
    pub because: String,
    /// False if the next start takes the run up again.
    pub finished: bool,
    pub snapshot: Option<Snapshot>,
    pub runs: Vec<RunRecord>,
}

/// The run cannot be started; the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{}", changed_text(.run, .keys))]
    Changed { run: String, keys: Vec<(String, String, String)> },
    #[error("{0}")]
    Unavailable(String),
}

fn changed_text(run: &str, keys: &[(String, String, String)]) -> String {
    let mut text = format!("run {run} is unfinished, and it was started with another configuration:\n");
    for (key, old, new) in keys {
        text.push_str(&format!("  {key}: was {old}, is now {new}\n"));
    }
    text.push_str("undo the change to go on with it, or start anew with --fresh");
    text
}

/// How long a stop waits until the last steps are written down.
const BARRIER_MAX: Duration = Duration::from_secs(1);
/// Name of the blob with the port of the embedded target.
const PORT_BLOB: &str = "target-port";

/// Runs or resumes until the end, a stop, or a failure of soakd itself.
pub async fn run(
    setup: Setup,
    store: Store,
    fresh: bool,
    events: broadcast::Sender<RunEvent>,
    stop: CancellationToken,
) -> anyhow::Result<RunEnd> {
    let mut store = store;
    let (mut record, resumed) = open_run(&setup, &mut store, fresh)?;
    let dir = run_dir(&setup.config.run.state_dir, &record.run);
    std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let port = store.blob(&record.run, PORT_BLOB)?.and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or(0);
    let logs = store.snapshot(&record.run)?.map(|s| s.logs).unwrap_or_default();
    let ledger = Ledger::new(record.run.clone(), Shared::new(store), logs, events);
    ledger.begin_cycle(record.cycle, resumed)?;
    let plan = setup.plan(record.seed);

    let service = Arc::new(Service::start(&setup, &dir, port, &ledger).await?);
    let closing = CancellationToken::new();
    let started = started(&setup, plan, (&record.run, &dir), &service, &ledger).await;
    let (crew, signals) = match started {
        Ok(started) => started,
        Err(error) => {
            service.stop(setup.config.timeouts.drain.get() / 2).await;
            return Err(error);
        }
    };
    tokio::spawn(crew::attend(Arc::clone(&crew), Arc::clone(&ledger), signals, closing.clone()));
    let watch = tokio::spawn(Arc::clone(&service).watch(Arc::clone(&ledger), record.run.clone(), closing.clone()));

    let stage = Stage { setup, plan, ledger, service, crew, stop, epoch: std::sync::OnceLock::new() };
    let life = Life { stage: &stage, started: Instant::now(), observed_before: record.observed_ms };
    let outcome = life.live(&mut record, resumed).await;
    closing.cancel();
    // The first half of it was for the step in work.
    let drain = stage.setup.config.timeouts.drain.get();
    if outcome.is_ok() {
        // What does not close in time is ended with the daemon; local databases survive that.
        let _ = tokio::time::timeout(drain / 8, stage.crew.close()).await;
    }
    let _ = tokio::time::timeout(drain / 8, watch).await;
    stage.service.stop(drain / 8).await;
    outcome
}

async fn started(
    setup: &Setup,
    plan: crate::workload::sync::Plan,
    (run, dir): (&str, &Path),
    service: &Arc<Service>,
    ledger: &Arc<Ledger>,
) -> anyhow::Result<(Arc<Crew>, tokio::sync::mpsc::Receiver<super::ledger::Signal>)> {
    if let (Some(port), Ok(bytes)) = (service.port(), serde_json::to_vec(&service.port())) {
        tracing::debug!(port, "the embedded target listens");
        ledger.with(|store| store.put_blob(run, PORT_BLOB, &bytes))?;
    }
    Crew::start(setup, plan, (run.to_owned(), dir.to_owned()), Arc::clone(service), Arc::clone(ledger)).await
}

/// Returns the directory of a run's databases.
pub fn run_dir(state_dir: &Path, run: &str) -> PathBuf {
    state_dir.join("runs").join(run)
}

/// Takes up the unfinished run of the same configuration, or begins a new one.
fn open_run(setup: &Setup, store: &mut Store, fresh: bool) -> anyhow::Result<(RunRecord, bool)> {
    let flat = flatten(&setup.config);
    if let Some(mut old) = store.unfinished()? {
        if fresh {
            old.ended_ms = Some(Utc::now().timestamp_millis());
            old.verdict = Some(Verdict::Aborted);
            old.phase = Phase::Done;
            old.ended_because = Some("another run was started with --fresh".into());
            store.end_run(&old)?;
        } else {
            let keys = differing(&old.config, &flat);
            if !keys.is_empty() {
                bail!(StartError::Changed { run: old.run, keys });
            }
            let plan = setup.plan(old.seed);
            old.scale = setup.scale(&plan);
            // A life that was killed in mid-cycle was noted by its signs of life alone.
            let lives = store.epochs(&old.run)?;
            let lived: u64 = lives.iter().map(|e| u64::try_from(e.last_ms - e.started_ms).unwrap_or(0)).sum();
            old.observed_ms = old.observed_ms.max(lived);
            return Ok((old, true));
        }
    }
    let seed = setup.config.run.seed.unwrap_or_else(|| rand::rng().random_range(1..=u64::from(u32::MAX)));
    let plan = setup.plan(seed);
    let record = RunRecord {
        run: Uuid::now_v7().to_string(),
        name: setup.config.run.name.clone(),
        schedule: None,
        seed,
        started_ms: Utc::now().timestamp_millis(),
        ended_ms: None,
        config: flat,
        scale: setup.scale(&plan),
        versions: Versions { soakd: env!("CARGO_PKG_VERSION").into(), ..Versions::default() },
        cycle: 1,
        phase: Phase::Load,
        observed_ms: 0,
        verdict: None,
        ended_because: None,
    };
    store.begin_run(&record)?;
    Ok((record, false))
}

/// One life of the daemon within a run.
struct Life<'a> {
    stage: &'a Stage,
    started: Instant,
    observed_before: u64,
}

impl Life<'_> {
    async fn live(&self, record: &mut RunRecord, resumed: bool) -> anyhow::Result<RunEnd> {
        let stage = self.stage;
        record.versions.server.clone_from(&stage.service.version);
        record.versions.sqlite = stage.crew.sqlite.get().cloned().unwrap_or_default();
        record.versions.provider = stage.crew.provider.get().cloned().unwrap_or_default();
        let recovered = self.recover(record).await?;
        let mut epoch = self.begin_epoch(record, recovered)?;
        let _ = stage.epoch.set(epoch.clone());
        let resumed_at = resumed.then_some((record.cycle, record.phase));
        stage.ledger.tell(RunEvent::Started {
            record: Box::new(record.clone()),
            resumed_at,
            steps_recovered: recovered,
        });
        tracing::info!(run = record.run, seed = record.seed, resumed, cycle = record.cycle, recovered, "run");
        if record.cycle > 1 {
            stage.close_cycle(record.cycle - 1).await?;
        }
        let because = self.cycles(record, &mut epoch).await?;
        if because.is_none() {
            // Steps that cannot be written down in time are found in the local databases by the next start.
            let _ = tokio::time::timeout(BARRIER_MAX, stage.crew.barrier()).await;
        }
        self.note_time(record, &mut epoch, true)?;
        let finished = because.is_some();
        let because = because.unwrap_or_else(|| "stopped; the next `soakd run` goes on from here".to_owned());
        let verdict = self.verdict(record, finished)?;
        if finished {
            record.ended_ms = Some(Utc::now().timestamp_millis());
            record.phase = Phase::Done;
            record.verdict = Some(verdict);
            record.ended_because = Some(because.clone());
            // A run that has ended shows the last cycle that it did.
            record.cycle = record.cycle.saturating_sub(1);
            stage.ledger.with(|store| store.end_run(record))?;
        }
        stage.ledger.tell(RunEvent::Ended { verdict, because: because.clone() });
        let (snapshot, runs) = stage.ledger.with(|store| Ok((store.snapshot(&record.run)?, store.runs()?)))?;
        Ok(RunEnd { verdict, because, finished, snapshot, runs })
    }

    /// Counts steps that local databases know as done and the state file does not.
    async fn recover(&self, record: &RunRecord) -> anyhow::Result<u64> {
        let mut recovered = 0;
        for db in self.stage.crew.databases(|role| role == Role::Load) {
            match self.stage.crew.ask(db, Command::Progress { cycle: record.cycle }).await {
                // The steps that are not counted for it fail the cycle.
                Err(crew::CrewError::Down(_)) => {}
                Err(error) => return Err(error.into()),
                Ok(Reply::Progress(reports)) => {
                    for batch in reports.chunks(256) {
                        recovered += self.stage.ledger.record_steps(batch)?;
                    }
                }
                Ok(other) => bail!("database {db} answered {other:?} to a request for its progress"),
            }
        }
        Ok(recovered)
    }

    fn begin_epoch(&self, record: &RunRecord, steps_recovered: u64) -> anyhow::Result<EpochRecord> {
        let now = Utc::now().timestamp_millis();
        let epochs = self.stage.ledger.with(|store| store.epochs(&record.run))?;
        let epoch = EpochRecord {
            epoch: epochs.last().map_or(1, |e| e.epoch + 1),
            pid: std::process::id(),
            started_ms: now,
            last_ms: now,
            cycle: record.cycle,
            phase: record.phase,
            clean_end: false,
            steps_recovered,
        };
        self.stage.ledger.with(|store| {
            store.update_run(record)?;
            store.begin_epoch(&record.run, &epoch)
        })?;
        Ok(epoch)
    }

    /// Runs cycles until the end; `None` when it was stopped.
    async fn cycles(&self, record: &mut RunRecord, epoch: &mut EpochRecord) -> anyhow::Result<Option<String>> {
        let run = self.stage.setup.config.run.clone();
        let mut first = true;
        loop {
            if let Some(because) = self.end_reached(record, first)? {
                return Ok(Some(because));
            }
            if self.stage.stop.is_cancelled() {
                return Ok(None);
            }
            if !first {
                self.stage.ledger.begin_cycle(record.cycle, false)?;
            }
            first = false;
            let CycleEnd::Done(cycle) = self.stage.cycle(record).await? else { return Ok(None) };
            self.note_time(record, epoch, false)?;
            self.write_reports(record)?;
            if cycle.verdict == Verdict::Fail && run.stop_on_fail {
                return Ok(Some(format!("cycle {} failed (run.stop_on_fail)", cycle.cycle)));
            }
            if !run.pause.get().is_zero() && self.end_reached(record, false)?.is_none() {
                tokio::select! {
                    () = tokio::time::sleep(run.pause.get()) => {}
                    () = self.stage.stop.cancelled() => return Ok(None),
                }
            }
        }
    }

    /// Returns why the run is over, if it is; a cycle that was begun is finished first.
    fn end_reached(&self, record: &RunRecord, first: bool) -> anyhow::Result<Option<String>> {
        let run = &self.stage.setup.config.run;
        let done = record.cycle - 1;
        if run.cycles.is_some_and(|cycles| done >= cycles) {
            return Ok(Some(format!("{done} cycles done")));
        }
        let in_cycle = first && record.phase != Phase::Pause;
        let over = run.duration.is_some_and(|d| self.observed_ms() >= d.get().as_millis() as u64);
        Ok((over && !in_cycle).then(|| "the planned duration is over".to_owned()))
    }

    fn observed_ms(&self) -> u64 {
        self.observed_before + self.started.elapsed().as_millis() as u64
    }

    fn note_time(&self, record: &mut RunRecord, epoch: &mut EpochRecord, clean_end: bool) -> anyhow::Result<()> {
        record.observed_ms = self.observed_ms();
        epoch.last_ms = Utc::now().timestamp_millis();
        epoch.clean_end = clean_end;
        Ok(self.stage.ledger.with(|store| {
            store.update_run(record)?;
            store.touch_epoch(&record.run, epoch)
        })?)
    }

    fn write_reports(&self, record: &RunRecord) -> anyhow::Result<()> {
        let state_dir = &self.stage.setup.config.run.state_dir;
        let (snapshot, runs) = self.stage.ledger.with(|store| Ok((store.snapshot(&record.run)?, store.runs()?)))?;
        if let Some(snapshot) = snapshot {
            self.stage.ledger.tell(RunEvent::Checkpoint {
                state_dir: state_dir.clone(),
                snapshot: Box::new(snapshot),
                runs,
            });
        }
        Ok(())
    }

    /// Returns the worst verdict of all cycles; a run without a cycle has proven nothing.
    fn verdict(&self, record: &RunRecord, finished: bool) -> anyhow::Result<Verdict> {
        let snapshot = self.stage.ledger.with(|store| store.snapshot(&record.run))?;
        let cycles = snapshot.map(|s| s.cycles_by_verdict).unwrap_or_default();
        let worst = Verdict::worst(cycles.into_iter().filter(|(_, n)| *n > 0).map(|(verdict, _)| verdict));
        Ok(if finished || worst == Verdict::Fail { worst } else { Verdict::Aborted })
    }
}
