//! Wires settings, state file, engine and observers into the daemon; ends on a signal in good order, and on a second one at once.

mod announce;
mod around;
mod baseline;
mod daemon;
mod dashboard;
mod planner;
mod readers;
mod reports;
mod signals;
mod wishes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Config, Loaded};
use crate::engine::control::Control;
use crate::engine::event::{Beat, OwnFindings};
use crate::engine::measure::part::Scene;
use crate::model::record::Snapshot;
use crate::model::status::{DaemonState, Status};
use crate::model::verdict::Verdict;
use crate::observe::log::LogHandle;
use crate::observe::log_file::LogFile;
use crate::store::{Shared, Store};
use around::Ground;
pub use baseline::choose_baseline;
use daemon::Daemon;
use dashboard::Dashboard;
use readers::Feed;
use reports::Reports;

/// Events that a reader may lag behind before it misses some.
const EVENTS_MAX: usize = 4096;
/// Wishes that may wait for the daemon.
const REQUESTS_MAX: usize = 16;
/// How long readers may take for their last events, and the notifier for a delivery in work; who has nothing to do ends at once.
const READERS_MAX: Duration = Duration::from_secs(8);
/// How long an idle thread is kept: longer than any run.
const THREADS_STAY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// Name of the value that keeps a faster clock over restarts.
const CLOCK: &str = "clock";

/// How the daemon was started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The configuration file; `None` where there is none, as in the demonstration.
    pub file: Option<PathBuf>,
    /// In place of `run.cycles`.
    pub cycles: Option<u64>,
    /// In place of `run.state_dir`.
    pub state_dir: Option<PathBuf>,
    /// Gives up an unfinished run and starts anew.
    pub fresh: bool,
    /// Progress in plain lines even on a terminal, and also where the log is for machines.
    pub plain: bool,
    /// A dashboard on the terminal, in place of lines; the log must not go there.
    pub ui: bool,
    /// The soakd program itself.
    pub program: PathBuf,
    pub plants: Vec<String>,
    pub testing: bool,
    /// How many times faster than the system's the daemon's clock runs.
    pub time_scale: u32,
}

impl Options {
    /// Puts what was said on the command line in place of what the file says.
    pub fn apply(&self, config: &mut Config) {
        if self.cycles.is_some() {
            config.run.cycles = self.cycles;
        }
        if let Some(dir) = &self.state_dir {
            config.run.state_dir.clone_from(dir);
        }
    }
}

/// How the daemon ended.
#[derive(Debug)]
pub struct Ended {
    pub verdict: Verdict,
    pub because: String,
    /// What is known of the last run.
    pub snapshot: Option<Snapshot>,
    /// True if schedules began its runs.
    pub scheduled: bool,
    /// What the dashboard showed last, if there was one.
    pub shown: Option<Status>,
}

/// The settings cannot be put in force; every line says which key it is about.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Refused(pub Vec<String>);

/// Runs the daemon until its work is done or it is stopped.
pub fn daemon(options: Options, loaded: Loaded, log: LogHandle) -> anyhow::Result<Ended> {
    let mut config = loaded.config.clone();
    options.apply(&mut config);
    let state_dir = config.run.state_dir.clone();
    let mut store = Store::open(&state_dir)?;
    let clock = clock(&mut store, options.time_scale)?;
    store.set_clock(clock);
    let control = Arc::new(Control::default());
    let reload = Arc::new(Notify::new());
    signals::watch(Arc::clone(&control), Arc::clone(&reload), options.ui)?;
    let workers_log = LogFile::open(state_dir.join("logs/workers.log"))
        .with_context(|| format!("opening the log in {}", state_dir.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Workers and target are to die with the daemon, and for the kernel that is the thread which started them: a thread
        // that has nothing to do for a while must not end.
        .thread_keep_alive(THREADS_STAY)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let ended = runtime.block_on(async {
        let opened = around::open(&config, &state_dir)?;
        store.set_policy(opened.policy.clone());
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let over = CancellationToken::new();
        let store = Shared::new(store);
        let reports = Reports::new(store.clone());
        let feed = || Feed { events: events.subscribe(), over: over.clone() };
        let readers = [
            tokio::spawn(readers::write_log(feed(), workers_log)),
            tokio::spawn(readers::write_reports(feed(), reports.clone())),
        ];
        // Lines for people do not belong among those for machines, unless somebody wants them there.
        let shown = !options.ui && (options.plain || !log.is_for_machines());
        let show = shown.then(|| tokio::spawn(readers::show(feed(), options.plain)));
        let (ask, requests) = mpsc::channel(REQUESTS_MAX);
        let doing = watch::channel(DaemonState::Starting).0;
        let scene = watch::channel(Scene::default()).0;
        let ground = Ground {
            store,
            clock,
            beat: Beat::default(),
            own: OwnFindings::default(),
            events: events.clone(),
            control: Arc::clone(&control),
            scene: scene.subscribe(),
            file: options.file.as_ref().map_or_else(|| loaded.origin.clone(), |file| file.display().to_string()),
            over: over.clone(),
        };
        let (dials, around, status) = around::start(opened, &ground, (&config, &state_dir), log, ask.clone())?;
        let dashboard = options.ui.then(|| Dashboard::start(status, ask, Arc::clone(&control))).transpose()?;
        tokio::spawn(announce::announce(doing.subscribe(), control, events, over.clone()));
        let course = watch::channel(config.run.clone()).0;
        let mut daemon =
            Daemon { options, loaded, state_dir, ground, requests, reload, scene, doing, dials, reports, course };
        let ended = daemon.live().await;
        daemon.let_messages_go().await;
        over.cancel();
        let shown = dashboard.map(Dashboard::end);
        read_out(readers.into_iter().chain(show).chain(around)).await;
        ended.map(|ended| Ended { shown: shown.map(|status| status.borrow().clone()), ..ended })
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// Waits until everything was read. A reader that panicked has said so, and one that waits for a part which hangs has nothing
/// more to read.
async fn read_out(readers: impl Iterator<Item = JoinHandle<()>>) {
    let all = async {
        for reader in readers {
            let _ = reader.await;
        }
    };
    let _ = tokio::time::timeout(READERS_MAX, all).await;
}

/// Returns the daemon's clock; a faster one goes on from where an earlier life of the daemon began it.
fn clock(store: &mut Store, scale: u32) -> anyhow::Result<Clock> {
    if scale <= 1 {
        return Ok(Clock::default());
    }
    let known: Option<Clock> = store.value(CLOCK)?;
    if let Some(clock) = known.filter(|clock| clock.scale() == scale) {
        return Ok(clock);
    }
    let clock = Clock::fast(chrono::Utc::now().timestamp_millis(), scale);
    store.put_value(CLOCK, Some(clock))?;
    Ok(clock)
}
