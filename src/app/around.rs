//! Everything around the runs: who is told, who may ask, what soakd itself uses, and what is kept of the past. All of it reads
//! events and the state file; nothing here can slow a cycle.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Refused;
use super::daemon::Request;
use crate::clock::Clock;
use crate::config::{Config, LimitsConfig, ObserveConfig, RetentionConfig};
use crate::engine::control::Control;
use crate::engine::event::{Beat, OwnFindings, RunEvent};
use crate::engine::measure::part::Scene;
use crate::engine::selfcare::{self, Listener, look, retention};
use crate::model::finding::Finding;
use crate::model::message::Policy;
use crate::model::status::Status;
use crate::observe::api::{ApiState, BindError, Server};
use crate::observe::log::{self, LogHandle};
use crate::observe::metrics::{self, Metrics};
use crate::observe::notify::{self, Channels, Notifier, Origin};
use crate::observe::status::{self, StatusBook};
use crate::observe::systemd;
use crate::probe::missing::Missing;
use crate::store::{Shared, StoreError};

/// Who holds the runs back while the disk is nearly full.
const DISK: &str = "disk";

/// What a reload changes while everything runs.
pub(super) struct Dials {
    pub(super) log: LogHandle,
    channels: watch::Sender<Arc<Channels>>,
    limits: watch::Sender<LimitsConfig>,
    keep: watch::Sender<RetentionConfig>,
    pub(super) observe: watch::Sender<ObserveConfig>,
    /// Told when a run has ended.
    pub(super) ended: Arc<Notify>,
}

/// What everything around the runs works on.
pub(super) struct Ground {
    pub(super) store: Shared,
    pub(super) clock: Clock,
    pub(super) beat: Beat,
    pub(super) own: OwnFindings,
    pub(super) events: broadcast::Sender<RunEvent>,
    pub(super) control: Arc<Control>,
    pub(super) scene: watch::Receiver<Scene>,
    /// The configuration file, for people.
    pub(super) file: String,
    pub(super) over: CancellationToken,
}

/// Settings with their secrets looked up.
pub(super) struct Opened {
    channels: Channels,
    pub(super) policy: Policy,
    server: Option<Server>,
}

/// Looks secrets up and begins to listen; all that is wrong is said at once.
pub(super) fn open(config: &Config, state_dir: &Path) -> anyhow::Result<Opened> {
    let channels = channels(config)?;
    let token = config.api.token.as_ref().map(|token| token.resolve()).transpose();
    let token = token.map_err(|why| Refused(vec![format!("api.token: {why}")]))?;
    let server = match Server::bind(&config.api, state_dir, token.as_ref()) {
        Ok(server) => Some(server),
        // Nobody asked for a socket there.
        Err(error @ BindError::TooLong { .. }) if config.api.socket.is_none() && config.api.listen.is_none() => {
            tracing::warn!("{error}; until then there is no local API");
            None
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Opened { channels, policy: notify::policy(&config.notify), server })
}

/// Makes the channels, and sees to it that no secret of the configuration is ever shown.
fn channels(config: &Config) -> anyhow::Result<Channels> {
    for (_, secret) in config.secrets() {
        if let Ok(secret) = secret.resolve() {
            log::never_show(&secret);
        }
    }
    Ok(Channels::resolve(&config.notify).map_err(Refused)?)
}

impl Dials {
    /// Puts changed settings in force; nothing changes if a secret cannot be had.
    pub(super) fn turn(&self, config: &Config, store: &Shared) -> Result<(), String> {
        let channels = channels(config).map_err(|error| error.to_string())?;
        self.log.reload(&config.log).map_err(|error| error.to_string())?;
        store
            .with(|store| {
                store.set_policy(notify::policy(&config.notify));
                Ok(())
            })
            .map_err(|error: StoreError| error.to_string())?;
        self.channels.send_replace(Arc::new(channels));
        self.limits.send_replace(config.limits.clone());
        self.keep.send_replace(config.retention.clone());
        self.observe.send_replace(config.observe.clone());
        Ok(())
    }
}

/// Starts everything around the runs; the tasks that are returned are waited for at the end.
pub(super) fn start(
    opened: Opened,
    ground: &Ground,
    (config, state_dir): (&Config, &Path),
    log: LogHandle,
    ask: mpsc::Sender<Request>,
) -> anyhow::Result<(Dials, Vec<JoinHandle<()>>, watch::Receiver<Status>)> {
    let (channels, limits, keep, observe) = (
        watch::channel(Arc::new(opened.channels)).0,
        watch::channel(config.limits.clone()).0,
        watch::channel(config.retention.clone()).0,
        watch::channel(config.observe.clone()).0,
    );
    let ended = Arc::new(Notify::new());
    let mut tasks = vec![
        tokio::spawn(
            Notifier::new(channels.subscribe(), ground.store.clone(), ground.clock, Origin::here(&ground.file))
                .run(ground.events.subscribe(), ground.over.clone()),
        ),
        tokio::spawn(look_after(ground, (limits.subscribe(), observe.subscribe()), state_dir)),
        tokio::spawn(retention::keep_up(
            retention::Wires {
                state_dir: state_dir.to_owned(),
                clock: ground.clock,
                keep: keep.subscribe(),
                rows: Arc::new(ground.store.clone()),
                ended: Arc::clone(&ended),
                listener: listener(ground),
            },
            ground.over.clone(),
        )),
    ];
    if let Some(service) = systemd::Service::from_env() {
        let service = service.with_timeouts(config.timeouts.step.get(), config.timeouts.drain.get());
        let (events, beat) = (ground.events.subscribe(), ground.beat.clone());
        let (stop, over) = (ground.control.stop.clone(), ground.over.clone());
        tasks.push(tokio::spawn(service.run(systemd::Feed { events, beat, stop, over })));
    }
    let (serving, status) = serve(opened.server, ground, ask)?;
    tasks.extend(serving);
    Ok((Dials { log, channels, limits, keep, observe, ended }, tasks, status))
}

/// Keeps status and metrics, and answers on the socket.
fn serve(
    server: Option<Server>,
    ground: &Ground,
    control: mpsc::Sender<Request>,
) -> anyhow::Result<(Vec<JoinHandle<()>>, watch::Receiver<Status>)> {
    let Ground { store, clock, events, over, file, .. } = ground;
    let mut book = StatusBook::new(file, clock.now_ms());
    let (snapshot, open) = store.with(|store| {
        let snapshot = store.latest()?.map(|run| store.snapshot(&run.run)).transpose()?.flatten();
        Ok((snapshot, store.incidents(true, usize::MAX)?))
    })?;
    book.recall(snapshot.as_ref(), open.iter().map(|incident| incident.id));
    let (tell, status) = watch::channel(book.status().clone());
    let metrics = Arc::new(Metrics::new());
    let mut tasks = vec![
        tokio::spawn(status::keep(book, *clock, events.subscribe(), tell, over.clone())),
        tokio::spawn(metrics::keep(Arc::clone(&metrics), events.subscribe(), over.clone())),
    ];
    let shown = status.clone();
    if let Some(server) = server {
        let state = ApiState { store: store.clone(), clock: *clock, status, events: events.clone(), control, metrics };
        let over = over.clone();
        tasks.push(tokio::spawn(async move {
            if let Err(error) = server.serve(state, over).await {
                tracing::error!("the local API has ended: {error}");
            }
        }));
    }
    Ok((tasks, shown))
}

/// Watches what soakd uses and what the machine has left; cycles wait while the disk is nearly full.
fn look_after(
    ground: &Ground,
    (limits, observe): (watch::Receiver<LimitsConfig>, watch::Receiver<ObserveConfig>),
    state_dir: &Path,
) -> impl Future<Output = ()> + Send + use<> {
    let (pause, mut paused) = watch::channel(None);
    let (scene, store, own) = (ground.scene.clone(), ground.store.clone(), ground.own.clone());
    let missing = Mutex::new(Missing::default());
    let wires = selfcare::Wires {
        state_dir: state_dir.to_owned(),
        clock: ground.clock,
        limits,
        observe,
        scene: Box::new(move || scene.borrow().clone()),
        series: Arc::new(move |moments| {
            // More names than the file takes are no reason to end a run; anything else shows at the next commit.
            let written = store.with(|store| store.record_moments(&moments));
            missing.lock().unwrap_or_else(PoisonError::into_inner).take("some measured values", written);
        }),
        judged: Box::new(move || own.add(1, &[])),
        listener: listener(ground),
        events: ground.events.clone(),
        pause,
    };
    let (control, over) = (Arc::clone(&ground.control), ground.over.clone());
    let host = look::Host::new(state_dir.to_owned());
    async move {
        let obey = async {
            while paused.changed().await.is_ok() {
                match paused.borrow_and_update().clone() {
                    Some(reason) => control.hold(DISK, reason),
                    None => control.release(DISK),
                }
            }
        };
        tokio::join!(selfcare::watch(wires, host, over), obey);
    }
}

/// Returns who hears of findings about soakd itself: the newest run's record, with its incidents.
fn listener(ground: &Ground) -> Listener {
    let (store, events, own) = (ground.store.clone(), ground.events.clone(), ground.own.clone());
    let (latest, control) = (ground.store.clone(), Arc::clone(&ground.control));
    let record = move |findings: Vec<Finding>| {
        own.add(0, &findings);
        let written = store.with(|store| {
            let Some(run) = store.latest()? else { return Ok(Vec::new()) };
            store.record_findings(&run.run, &findings)?;
            Ok(store.take_changes())
        });
        match written {
            Ok(changes) => {
                for finding in findings {
                    tracing::warn!("{}", finding.message);
                    let _ = events.send(RunEvent::Finding(Box::new(finding)));
                }
                for (incident, what) in changes {
                    // Nobody may be listening.
                    let _ = events.send(RunEvent::Incident(Box::new(incident), what));
                }
            }
            Err(error) => {
                tracing::error!("what was found about soakd itself cannot be written down: {error}; stopping");
                control.stop.cancel();
            }
        }
    };
    let cycle = move || latest.with(|store| Ok(store.latest()?.map_or(0, |run| run.cycle))).unwrap_or(0);
    Listener { findings: Arc::new(record), cycle: Arc::new(cycle) }
}
