//! What people ask of the running daemon: pause, resume, trigger, stop, reload. Every answer is a sentence for them.

use super::baseline::choose_baseline;
use super::daemon::{Daemon, OPERATOR, PAUSE};
use super::planner::Planner;
use crate::config::Config;
use crate::config::reload::{UnderWay, reload_refusals};
use crate::engine::event::RunEvent;
use crate::model::status::{Control as Wish, DaemonState};

impl Daemon {
    /// Does what somebody wishes; the answer is a sentence for them.
    pub(super) fn answer(&mut self, wish: Wish, planner: &mut Planner) -> Result<String, String> {
        match wish {
            Wish::Pause { reason } => {
                self.keep(PAUSE, Some(&reason))?;
                self.ground.control.hold(OPERATOR, reason);
                Ok("paused: nothing new begins until it is resumed, also after a restart".into())
            }
            Wish::Resume => {
                self.keep(PAUSE, None)?;
                self.ground.control.release(OPERATOR);
                match self.ground.control.reasons() {
                    left if left.is_empty() => Ok("resumed".into()),
                    left => Ok(format!("resumed, but it still waits: {}", left.join("; "))),
                }
            }
            Wish::Trigger { schedule: None } if planner.is_empty() => {
                self.ground.control.hurry();
                Ok(format!("the next cycle begins without the rest of the pause{}", self.once_resumed()))
            }
            Wish::Trigger { schedule } => {
                let name = planner.table.trigger(schedule.as_deref(), self.ground.clock.now())?;
                Ok(format!("a run of schedule {name} begins as soon as no other is under way{}", self.once_resumed()))
            }
            Wish::Stop { now } => {
                let after = if now { "step" } else { "cycle" };
                if now {
                    self.ground.control.stop.cancel();
                } else {
                    self.ground.control.last_cycle.cancel();
                }
                let idle = *self.doing.borrow() == DaemonState::Idle;
                Ok(match self.ground.control.reasons() {
                    _ if idle => "the daemon ends; no run is under way".into(),
                    held if held.is_empty() || now => format!("the daemon ends after the {after} in work"),
                    held => format!(
                        "the daemon ends after the cycle in work, which is paused ({}); resume it, or stop with --now",
                        held.join("; ")
                    ),
                })
            }
            Wish::Reload => self.reload_now(planner),
            Wish::Baseline { run } => self
                .ground
                .store
                .with(|store| Ok(choose_baseline(store, run.as_deref())))
                .map_err(|error| error.to_string())?,
        }
    }

    /// Returns what to add to an answer while nothing new begins.
    fn once_resumed(&self) -> String {
        match self.ground.control.reasons() {
            held if held.is_empty() => String::new(),
            held => format!(", but not before this is over: {}", held.join("; ")),
        }
    }

    fn keep(&self, name: &str, value: Option<&str>) -> Result<(), String> {
        self.ground.store.with(|store| store.put_value(name, value)).map_err(|error| error.to_string())
    }
}

impl Daemon {
    /// Reads the configuration again; what is wrong, or cannot change now, leaves the old one in force.
    pub(super) fn reload_now(&mut self, planner: &mut Planner) -> Result<String, String> {
        let said = self.reloaded(planner);
        let told = match &said {
            Ok(text) => text.clone(),
            Err(text) => format!("the configuration was not reloaded, the old one stays in force: {text}"),
        };
        match &said {
            Ok(_) => tracing::info!("{told}"),
            Err(_) => tracing::error!("{told}"),
        }
        // Nobody may be listening.
        let _ = self.ground.events.send(RunEvent::Reloaded(told));
        said
    }

    fn reloaded(&mut self, planner: &mut Planner) -> Result<String, String> {
        let Some(file) = &self.options.file else { return Err("there is no configuration file".into()) };
        let loaded = Config::load(file).map_err(|errors| errors.to_string())?;
        let unfinished = self.ground.store.with(|store| store.unfinished()).map_err(|error| error.to_string())?;
        let under_way = match unfinished.as_ref().map(|run| run.schedule.as_deref()) {
            None => UnderWay::Nothing,
            Some(None) => UnderWay::File,
            Some(Some(name)) => UnderWay::Schedule(name),
        };
        let refused = reload_refusals(&self.loaded, &loaded, under_way);
        if !refused.is_empty() {
            return Err(refused.join("; "));
        }
        if planner.is_empty() != loaded.config.schedule.is_empty() {
            return Err("a continuous run cannot become scheduled runs, or the other way round; restart soakd".into());
        }
        self.dials.turn(&loaded.config, &self.ground.store)?;
        planner.table.reload(&loaded.config.schedule, self.ground.clock.now())?;
        self.loaded = loaded;
        if let Some(run) = &unfinished
            && let Ok(loaded) = self.loaded_for(run.schedule.as_deref())
        {
            self.course.send_replace(loaded.config.run);
        }
        Ok("the configuration was reloaded".into())
    }
}
