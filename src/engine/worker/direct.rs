//! The thread of a direct workload in a worker process: answers the daemon's commands with a runner instead of a session.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use super::database::{Failed, Shared};
use super::protocol::{Command, Event, Reply, Request};
use crate::engine::direct::runner::{Drive, Loaded, RunnerError};
use crate::engine::direct::spec::{DirectSpec, Handles};
use crate::model::finding::{Classified, Follow, Kind, Side, cut};

/// One direct workload.
pub struct DirectDatabase {
    pub spec: DirectSpec,
    pub shared: Arc<Shared>,
    pub commands: Receiver<Request>,
    pub runner: Option<Box<dyn Drive>>,
    /// What could not be settled, until it is verified.
    pub unsettled: Vec<String>,
}

impl DirectDatabase {
    /// Answers commands until it is closed or the daemon is gone.
    pub fn run(mut self) {
        while let Ok(request) = self.commands.recv() {
            let last = matches!(request.command, Command::Close);
            let result = self.answer(request.command).map_err(|failed| *failed);
            if let Err(error) = &result {
                tracing::error!("[DB1] {}", error.message);
            }
            if self.shared.events.send(Event::Reply { id: request.id, result }).is_err() || last {
                break;
            }
        }
        if let Some(mut runner) = self.runner.take() {
            runner.close();
        }
    }

    fn runner(&mut self) -> Result<&mut Box<dyn Drive>, Failed> {
        self.runner.as_mut().ok_or_else(|| odd("the workload was not opened before this command"))
    }

    fn answer(&mut self, command: Command) -> Result<Reply, Failed> {
        match command {
            Command::Open { .. } => {
                let handles = Handles { stop: Arc::clone(&self.shared.stop), ..Handles::default() };
                let runner = self.spec.clone().open(handles).map_err(|error| odd(&format!("{error:#}")))?;
                let runner = self.runner.insert(runner);
                Ok(Reply::Opened { provider: runner.version().map_err(failed)? })
            }
            Command::Load { cycle, .. } => self.load(cycle),
            Command::Progress { cycle } => Ok(Reply::Progress(self.runner()?.reports(cycle).map_err(failed)?)),
            Command::Exchange { cycle } => {
                self.unsettled = self.runner()?.settle(cycle).map_err(failed)?;
                Ok(Reply::Exchanged { sent: 0, received: 0, refused: Vec::new(), findings: Vec::new(), resting: true })
            }
            Command::Verify { cycle } => {
                let runner = self.runner()?;
                let verified = runner.verify(cycle).map_err(failed)?;
                let lines = runner.lines();
                lines.iter().for_each(|line| tracing::info!("[DB1] {line}"));
                let unsettled = std::mem::take(&mut self.unsettled);
                let (checks, rows, content) = (verified.checks, verified.rows, verified.content);
                let crash = self.runner()?.crash_of(&checks).map(Box::new);
                Ok(Reply::Verified { checks, rows, content, unsettled, lines, crash })
            }
            Command::Credential(_) | Command::CloseCycle { .. } | Command::Close | Command::Stop | Command::Go => {
                Ok(Reply::Done)
            }
            other => Err(odd(&format!("a database that is driven directly knows no {other:?}"))),
        }
    }

    fn load(&mut self, cycle: u64) -> Result<Reply, Failed> {
        let (events, shared) = (self.shared.events.clone(), Arc::clone(&self.shared));
        let tell = move |report: crate::model::step::StepReport| {
            shared.rows.fetch_add(report.rows, Ordering::Relaxed);
            log(&report);
            // A closed channel means that the process is about to end.
            let _ = events.send(Event::Step(report));
        };
        let loaded = self.runner()?.load(cycle, &tell).map_err(failed)?;
        Ok(match loaded {
            Loaded::Done => Reply::Loaded { stopped: false, crash: None },
            Loaded::Stopped => Reply::Loaded { stopped: true, crash: None },
            Loaded::Failed(crash) => Reply::Loaded { stopped: false, crash: Some(crash) },
        })
    }
}

/// Says in the log what a lane did in a second.
fn log(report: &crate::model::step::StepReport) {
    let Some(figures) = &report.figures else { return };
    tracing::debug!(
        "[DB1][iter {}] {}, count={} refused={} indeterminate={}",
        report.step.iter,
        report.step.action.verb(),
        figures.acknowledged,
        figures.refused,
        figures.indeterminate
    );
}

fn failed(error: RunnerError) -> Failed {
    let message = cut(&error.to_string());
    let (side, kind, code) = match error {
        RunnerError::Database { cause, .. } => (cause.side, cause.kind, cause.code),
        RunnerError::Journal(_) | RunnerError::Machine { .. } => (Side::Soakd, Kind::Other, None),
        RunnerError::Panicked(_) => (Side::Soakd, Kind::Crash, None),
    };
    Box::new(Classified { side, kind, follow: Follow::Fail, code, message })
}

fn odd(message: &str) -> Failed {
    let (side, kind, follow) = (Side::Soakd, Kind::Other, Follow::Fail);
    Box::new(Classified { side, kind, follow, code: None, message: cut(message) })
}
