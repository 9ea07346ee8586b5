//! A run: new or taken up again, cycle after cycle until its end condition, with everything written down on the way.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use rand::RngExt;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::control::Control;
use super::crew::{self, Crew};
use super::criteria;
use super::cycle::Stage;
use super::event::RunEvent;
use super::ledger::Ledger;
use super::life::Life;
use super::measure::outside::Outside;
use super::measure::part::{self, Scene};
use super::service::Service;
use super::setup::Setup;
use super::version::ServerVersion;
use crate::config::{ObserveConfig, RunConfig, differing};
use crate::model::record::{Phase, RunRecord, Snapshot, Versions};
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

/// Why a run that goes on with the next start ended.
pub(super) const STOPPED: &str = "stopped; the next `soakd run` goes on from here";
/// Name of the blob with the port of the embedded target.
const PORT_BLOB: &str = "target-port";

/// What a run is made with, beside its settings.
pub struct Given {
    pub store: Shared,
    /// The schedule that begins it.
    pub schedule: Option<String>,
    /// Gives up an unfinished run first.
    pub fresh: bool,
    pub events: broadcast::Sender<RunEvent>,
    pub control: Arc<Control>,
    /// When it ends and when it rests, which may change while it is under way.
    pub course: watch::Receiver<RunConfig>,
    /// How and where the target is measured, which may change too.
    pub observe: watch::Receiver<ObserveConfig>,
    /// The parts of the run, for whoever samples what they use.
    pub scene: watch::Sender<Scene>,
}

/// Runs or resumes until the end, a stop, or a failure of soakd itself.
pub async fn run(setup: Setup, given: Given) -> anyhow::Result<RunEnd> {
    let Given { store, schedule, fresh, events, control, course, observe, scene } = given;
    let (mut record, resumed) = store.with(|store| Ok(open_run(&setup, store, schedule, fresh)))??;
    let dir = run_dir(&setup.config.run.state_dir, &record.run);
    std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let (port, logs) =
        store.with(|store| Ok((store.blob(&record.run, PORT_BLOB)?, store.snapshot(&record.run)?.map(|s| s.logs))))?;
    let port = port.and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or(0);
    let ledger = Ledger::new(record.run.clone(), store, logs.unwrap_or_default(), events);
    ledger.begin_cycle(record.cycle, resumed)?;
    let plan = setup.plan(record.seed);

    let starting = async {
        let service = Arc::new(Service::start(&setup, &dir, port, &ledger).await?);
        match started(&setup, plan, (&record.run, &dir), &service, &ledger).await {
            Ok((crew, signals)) => Ok((service, crew, signals)),
            Err(error) => {
                service.stop(setup.config.timeouts.drain.get() / 2).await;
                Err(error)
            }
        }
    };
    let (service, crew, signals) = tokio::select! {
        started = starting => started?,
        // What was started so far ends with its handles.
        () = control.stop.cancelled() => return stopped_early(&ledger, &record),
    };
    let closing = CancellationToken::new();
    tokio::spawn(crew::attend(Arc::clone(&crew), Arc::clone(&ledger), signals, closing.clone()));
    let watch = tokio::spawn(Arc::clone(&service).watch(Arc::clone(&ledger), record.run.clone(), closing.clone()));
    let server = ServerVersion::new(observe.clone());
    let outside = Arc::new(tokio::sync::Mutex::new(Outside::new(observe, setup.store_secret())));
    let (shown, over) = (Arc::clone(&outside), closing.clone());
    tokio::spawn(part::show(Arc::clone(&crew), Arc::clone(&service), shown, scene, over));

    let (epoch, memory) = (std::sync::OnceLock::new(), tokio::sync::Mutex::default());
    let crash = std::sync::OnceLock::new();
    let stage = Stage { setup, plan, ledger, service, crew, control, course, epoch, outside, memory, server, crash };
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

/// Ends a life that was stopped before its run was under way.
fn stopped_early(ledger: &Ledger, record: &RunRecord) -> anyhow::Result<RunEnd> {
    let because = STOPPED.to_owned();
    ledger.tell(RunEvent::Ended { verdict: Verdict::Aborted, because: because.clone() });
    let (snapshot, runs) = ledger.with(|store| Ok((store.snapshot(&record.run)?, store.runs()?)))?;
    Ok(RunEnd { verdict: Verdict::Aborted, because, finished: false, snapshot, runs })
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
fn open_run(
    setup: &Setup,
    store: &mut Store,
    schedule: Option<String>,
    fresh: bool,
) -> anyhow::Result<(RunRecord, bool)> {
    let now_ms = setup.clock.now_ms();
    let flat = setup.identity()?;
    if let Some(mut old) = store.unfinished()? {
        if fresh {
            old.ended_ms = Some(now_ms);
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
    let fixed = criteria::fix(setup, now_ms);
    let record = RunRecord {
        run: Uuid::now_v7().to_string(),
        name: setup.config.run.name.clone(),
        schedule,
        seed,
        started_ms: now_ms,
        ended_ms: None,
        config: flat,
        scale: setup.scale(&plan),
        versions: Versions { soakd: env!("CARGO_PKG_VERSION").into(), ..Versions::default() },
        cycle: 1,
        phase: Phase::Load,
        observed_ms: 0,
        criteria: fixed.hash(),
        verdict: None,
        ended_because: None,
    };
    store.begin_run(&record)?;
    criteria::keep(store, &record.run, &fixed)?;
    Ok((record, false))
}

#[cfg(test)]
mod tests;
