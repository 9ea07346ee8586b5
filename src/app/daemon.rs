//! The life of the daemon: which run is under way, what it is asked meanwhile, and when the next one begins.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

use super::{Ended, Options};
use crate::clock::Clock;
use crate::config::{Config, Loaded};
use crate::engine::control::Control;
use crate::engine::event::{Beat, RunEvent};
use crate::engine::run::{Given, RunEnd, run};
use crate::engine::setup::Setup;
use crate::model::status::{Control as Wish, DaemonState};
use crate::observe::report;
use crate::store::Shared;

/// Name of the value that keeps an operator's pause over restarts.
const PAUSE: &str = "pause";
/// Who holds the runs back when an operator asked for it.
const OPERATOR: &str = "operator";

/// Somebody's wish, and where the answer goes.
pub(super) type Request = (Wish, oneshot::Sender<Result<String, String>>);

/// Everything that outlives a run.
pub(super) struct Daemon {
    pub(super) options: Options,
    pub(super) loaded: Loaded,
    pub(super) state_dir: PathBuf,
    pub(super) store: Shared,
    pub(super) clock: Clock,
    pub(super) beat: Beat,
    pub(super) events: broadcast::Sender<RunEvent>,
    pub(super) control: Arc<Control>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) reload: Arc<Notify>,
    pub(super) parts: watch::Sender<Vec<(String, u32)>>,
    pub(super) doing: watch::Sender<DaemonState>,
}

impl Daemon {
    /// Lives until the work is done or a stop is asked for.
    pub(super) async fn live(&mut self) -> anyhow::Result<Ended> {
        if let Some(reason) = self.store.with(|store| store.value::<String>(PAUSE))? {
            self.control.hold(OPERATOR, reason);
        }
        let fresh = std::mem::take(&mut self.options.fresh);
        let end = self.one_run(None, fresh).await?;
        Ok(Ended { verdict: end.verdict, because: end.because, snapshot: end.snapshot, scheduled: false })
    }

    /// Makes one run, or goes on with the unfinished one, and hears what is asked meanwhile.
    async fn one_run(&mut self, schedule: Option<String>, fresh: bool) -> anyhow::Result<RunEnd> {
        let setup = self.setup(&self.loaded.config, &self.loaded)?;
        let given = Given {
            store: self.store.clone(),
            schedule,
            fresh,
            events: self.events.clone(),
            control: Arc::clone(&self.control),
            parts: self.parts.clone(),
        };
        self.doing.send_replace(DaemonState::Running);
        let running = run(setup, given);
        let mut running = std::pin::pin!(running);
        let end = loop {
            tokio::select! {
                end = &mut running => break end?,
                Some((wish, answer)) = self.requests.recv() => {
                    let said = self.answer(wish);
                    // Whoever asked may be gone.
                    let _ = answer.send(said);
                }
                () = self.reload.notified() => drop(self.reload_now()),
            }
        };
        if let Some(snapshot) = &end.snapshot {
            tokio::task::block_in_place(|| report::write_files(&self.state_dir, snapshot, &end.runs))
                .with_context(|| format!("writing reports to {}", self.state_dir.join("reports").display()))?;
        }
        Ok(end)
    }

    fn setup(&self, config: &Config, loaded: &Loaded) -> anyhow::Result<Setup> {
        let mut config = config.clone();
        self.options.apply(&mut config);
        Ok(Setup {
            config,
            table: loaded.table.clone(),
            program: self.options.program.clone(),
            plants: self.options.plants.clone(),
            testing: self.options.testing,
            clock: self.clock,
            beat: self.beat.clone(),
        })
    }
}

impl Daemon {
    /// Does what somebody wishes; the answer is a sentence for them.
    fn answer(&mut self, wish: Wish) -> Result<String, String> {
        tracing::info!(?wish, "asked");
        match wish {
            Wish::Pause { reason } => {
                self.keep(PAUSE, Some(&reason))?;
                self.control.hold(OPERATOR, reason);
                Ok("paused: nothing new begins until it is resumed, also after a restart".into())
            }
            Wish::Resume => {
                self.keep(PAUSE, None)?;
                self.control.release(OPERATOR);
                match self.control.reasons() {
                    left if left.is_empty() => Ok("resumed".into()),
                    left => Ok(format!("resumed, but it still waits: {}", left.join("; "))),
                }
            }
            Wish::Trigger { schedule: Some(name) } => Err(format!("there is no schedule {name}")),
            Wish::Trigger { schedule: None } => {
                self.control.hurry();
                Ok("the next cycle begins without the rest of the pause".into())
            }
            Wish::Stop { now } => {
                let after = if now { "step" } else { "cycle" };
                if now {
                    self.control.stop.cancel();
                } else {
                    self.control.last_cycle.cancel();
                }
                Ok(format!("the daemon ends after the {after} in work"))
            }
            Wish::Reload => self.reload_now(),
        }
    }

    fn keep(&self, name: &str, value: Option<&str>) -> Result<(), String> {
        self.store.with(|store| store.put_value(name, value)).map_err(|error| error.to_string())
    }
}

impl Daemon {
    /// Reads the configuration again; what is wrong, or cannot change now, leaves the old one in force.
    fn reload_now(&mut self) -> Result<String, String> {
        let said = self.reloaded();
        let told = match &said {
            Ok(text) => text.clone(),
            Err(text) => format!("the configuration was not reloaded, the old one stays in force: {text}"),
        };
        match &said {
            Ok(_) => tracing::info!("{told}"),
            Err(_) => tracing::error!("{told}"),
        }
        // Nobody may be listening.
        let _ = self.events.send(RunEvent::Reloaded(told));
        said
    }

    fn reloaded(&mut self) -> Result<String, String> {
        let Some(file) = &self.options.file else { return Err("there is no configuration file".into()) };
        let loaded = Config::load(file).map_err(|errors| errors.to_string())?;
        self.loaded = loaded;
        Ok("the configuration was reloaded".into())
    }
}
