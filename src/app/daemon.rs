//! The life of the daemon: which run is under way, what it is asked meanwhile, and when the next one begins.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::around::{Dials, Ground};
use super::planner::Planner;
use super::reports::Reports;
use super::{Ended, Options};
use crate::config::{Loaded, RunConfig};
use crate::engine::measure::part::Scene;
use crate::engine::run::{Given, RunEnd, run};
use crate::engine::setup::Setup;
use crate::model::record::{Phase, RunRecord};
use crate::model::status::{Control as Wish, DaemonState};
use crate::model::verdict::Verdict;

/// How long messages that are on their way are waited for when the work is done, and how often they are looked for.
const OUTBOX_MAX: Duration = Duration::from_secs(30);
const OUTBOX_LOOK: Duration = Duration::from_millis(200);
/// How often the wait for the next run tells that it still works.
const IDLE_BEAT: Duration = Duration::from_secs(5);
/// Name of the value that keeps an operator's pause over restarts.
pub(super) const PAUSE: &str = "pause";
/// Who holds the runs back when an operator asked for it.
pub(super) const OPERATOR: &str = "operator";

/// Somebody's wish, and where the answer goes.
pub(super) type Request = (Wish, oneshot::Sender<Result<String, String>>);

/// Everything that outlives a run.
pub(super) struct Daemon {
    pub(super) options: Options,
    pub(super) loaded: Loaded,
    pub(super) state_dir: PathBuf,
    pub(super) ground: Ground,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) reload: Arc<Notify>,
    pub(super) scene: watch::Sender<Scene>,
    pub(super) doing: watch::Sender<DaemonState>,
    pub(super) dials: Dials,
    pub(super) reports: Reports,
    /// What the run under way is told of its end and its rests.
    pub(super) course: watch::Sender<RunConfig>,
}

impl Daemon {
    /// Lives until the work is done or a stop is asked for.
    pub(super) async fn live(&mut self) -> anyhow::Result<Ended> {
        if let Some(reason) = self.ground.store.with(|store| store.value::<String>(PAUSE))? {
            self.ground.control.hold(OPERATOR, reason);
        }
        let mut planner = Planner::start(&self.loaded.config.schedule, &self.ground.store, self.ground.clock).await?;
        if planner.is_empty() {
            let end = self.one_run(None, &mut planner).await?;
            let RunEnd { verdict, because, snapshot, .. } = end;
            return Ok(Ended { verdict, because, snapshot, scheduled: false, shown: None });
        }
        let ended = self.by_schedule(&mut planner).await;
        planner.close().await;
        ended
    }

    /// Waits a while for messages that are on their way, when the work is done: the summary is one of them. A stop does not
    /// wait, and what stays is delivered after the next start.
    pub(super) async fn let_messages_go(&self) {
        let gone = async {
            while let Ok(outbox) = self.ground.store.with(|store| store.outbox_state())
                && outbox.waiting.values().any(|waiting| *waiting > 0)
            {
                tokio::time::sleep(OUTBOX_LOOK).await;
            }
        };
        tokio::select! {
            () = self.ground.control.ending() => {}
            over = tokio::time::timeout(OUTBOX_MAX, gone) => if over.is_err() {
                tracing::warn!("messages wait in the outbox; they are delivered when soakd runs again");
            }
        }
    }

    /// Makes the runs that the schedules begin, and first goes on with an unfinished one.
    async fn by_schedule(&mut self, planner: &mut Planner) -> anyhow::Result<Ended> {
        let mut ends = Ends::default();
        if let Some(record) = self.ground.store.with(|store| store.unfinished())? {
            match &record.schedule {
                Some(name) if !self.loaded.config.schedule.contains_key(name) => {
                    self.give_up(record.clone(), format!("its schedule {name} is not in the configuration any more"))?;
                }
                name => ends.add(self.one_run(name.clone(), planner).await?),
            }
        }
        loop {
            if self.ground.control.is_ending() {
                return Ok(ends.ended("stopped; the next `soakd run` goes on from here"));
            }
            let busy = self.ground.control.is_held();
            if let Some(name) = planner.look(&self.ground.store, &self.ground.events, busy)? {
                ends.add(self.one_run(Some(name), planner).await?);
                continue;
            }
            if planner.exhausted() {
                return Ok(ends.ended("no schedule begins another run"));
            }
            self.doing.send_replace(DaemonState::Idle);
            self.idle(planner).await;
        }
    }

    /// Waits for anything that may begin or end something.
    async fn idle(&mut self, planner: &mut Planner) {
        let mut held = self.ground.control.watch();
        held.mark_unchanged();
        self.ground.beat.on();
        tokio::select! {
            () = planner.wake() => {}
            Some((wish, answer)) = self.requests.recv() => {
                let said = self.answer(wish, planner);
                // Whoever asked may be gone.
                let _ = answer.send(said);
            }
            () = self.reload.notified() => drop(self.reload_now(planner)),
            _ = held.changed() => {}
            () = self.ground.control.ending() => {}
            () = tokio::time::sleep(IDLE_BEAT) => {}
        }
    }

    /// Makes one run, or goes on with the unfinished one, and hears what is asked meanwhile.
    async fn one_run(&mut self, schedule: Option<String>, planner: &mut Planner) -> anyhow::Result<RunEnd> {
        let setup = self.setup(schedule.as_deref())?;
        self.course.send_replace(setup.config.run.clone());
        let given = Given {
            store: self.ground.store.clone(),
            schedule: schedule.clone(),
            fresh: std::mem::take(&mut self.options.fresh),
            events: self.ground.events.clone(),
            control: Arc::clone(&self.ground.control),
            course: self.course.subscribe(),
            observe: self.dials.observe.subscribe(),
            scene: self.scene.clone(),
        };
        self.doing.send_replace(DaemonState::Running);
        let running = run(setup, given);
        let mut running = std::pin::pin!(running);
        let end = loop {
            tokio::select! {
                end = &mut running => break end?,
                () = planner.wake() => {
                    // What is due meanwhile is skipped or waits, as its schedule says.
                    planner.look(&self.ground.store, &self.ground.events, true)?;
                }
                Some((wish, answer)) = self.requests.recv() => {
                    let said = self.answer(wish, planner);
                    let _ = answer.send(said);
                    // Whoever asked sees it in the status at once.
                    planner.look(&self.ground.store, &self.ground.events, true)?;
                }
                () = self.reload.notified() => {
                    drop(self.reload_now(planner));
                    planner.look(&self.ground.store, &self.ground.events, true)?;
                }
            }
        };
        if let Some(snapshot) = &end.snapshot {
            self.reports
                .write_last(&self.state_dir, snapshot, &end.runs)
                .with_context(|| format!("writing reports to {}", self.state_dir.join("reports").display()))?;
        }
        self.dials.ended.notify_one();
        Ok(end)
    }

    /// Returns what a run of this schedule is made of, or the continuous one.
    fn setup(&self, schedule: Option<&str>) -> anyhow::Result<Setup> {
        let loaded = self.loaded_for(schedule)?;
        Ok(Setup {
            config: loaded.config,
            table: loaded.table,
            program: self.options.program.clone(),
            plants: self.options.plants.clone(),
            testing: self.options.testing,
            clock: self.ground.clock,
            beat: self.ground.beat.clone(),
            own: self.ground.own.clone(),
        })
    }

    /// Returns the settings of a run of this schedule, or of the continuous one, with what was said on the command line.
    pub(super) fn loaded_for(&self, schedule: Option<&str>) -> anyhow::Result<Loaded> {
        let mut loaded = match schedule {
            None => self.loaded.clone(),
            Some(name) => self.loaded.for_schedule(name).with_context(|| format!("there is no schedule {name}"))?,
        };
        self.options.apply(&mut loaded.config);
        Ok(loaded)
    }

    fn give_up(&self, mut record: RunRecord, because: String) -> anyhow::Result<()> {
        tracing::warn!(run = record.run, "an unfinished run is given up: {because}");
        record.ended_ms = Some(self.ground.clock.now_ms());
        record.verdict = Some(Verdict::Aborted);
        record.phase = Phase::Done;
        record.ended_because = Some(because);
        Ok(self.ground.store.with(|store| store.end_run(&record))?)
    }
}

/// How the runs of this life ended.
#[derive(Default)]
struct Ends {
    verdicts: Vec<Verdict>,
    last: Option<RunEnd>,
}

impl Ends {
    fn add(&mut self, end: RunEnd) {
        // The worst one counts, so that the list does not grow with the runs.
        self.verdicts = vec![Verdict::worst(self.verdicts.iter().copied().chain([end.verdict]))];
        self.last = Some(end);
    }

    fn ended(self, because: &str) -> Ended {
        Ended {
            verdict: Verdict::worst(self.verdicts),
            because: because.to_owned(),
            snapshot: self.last.and_then(|end| end.snapshot),
            scheduled: true,
            shown: None,
        }
    }
}
