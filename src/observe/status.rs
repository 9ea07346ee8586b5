//! What the daemon does right now, worked out from its events: what the local API, systemd and people are shown. It only
//! folds events; it asks neither the clock nor the state file.

mod board;

use std::collections::BTreeSet;

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::engine::event::RunEvent;
use crate::model::incident::ChangeKind;
use crate::model::record::{CycleRecord, Phase, RunRecord, Snapshot};
use crate::model::status::{DaemonState, RunStatus, Status};
use crate::model::verdict::Verdict;
use board::BoardBook;

pub use board::checks_of;

/// Time over which the rate of rows is smoothed.
const RATE_OVER_S: f64 = 10.0;
/// Shortest time that says something about a rate.
const RATE_EVERY_MS: i64 = 250;
/// Time between two looks at the board while steps come and go.
const BOARD_EVERY_MS: i64 = 1000;
/// Longest text that is kept of a reload.
const TEXT_CHARS_MAX: usize = 2000;

/// Folds events into a [`Status`].
#[derive(Debug, Clone)]
pub struct StatusBook {
    status: Status,
    /// Incidents that are open.
    open: BTreeSet<u64>,
    rate: Rate,
    board: BoardBook,
    /// When the board was last written down.
    board_ms: i64,
}

impl StatusBook {
    /// Begins with a daemon that has just started; `config` is its configuration file.
    pub fn new(config: &str, now_ms: i64) -> Self {
        let status = Status {
            soakd: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_ms: now_ms,
            now_ms,
            config: config.to_owned(),
            ..Status::default()
        };
        let (rate, board) = (Rate::default(), BoardBook::default());
        Self { status, open: BTreeSet::new(), rate, board, board_ms: now_ms }
    }

    /// Takes over what the state file knows from before: the run that will go on, and the open incidents.
    pub fn recall(&mut self, snapshot: Option<&Snapshot>, open_incidents: impl IntoIterator<Item = u64>) {
        self.open.extend(open_incidents);
        self.status.incidents_open = self.open.len() as u64;
        if let Some(snapshot) = snapshot {
            let mut run = begun(&snapshot.run);
            figures(&mut run, snapshot);
            self.status.run = Some(run);
            self.board.recall(&snapshot.run, &snapshot.cycles, &snapshot.findings);
            self.show_board();
        }
    }

    /// Returns what is known now.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Takes in one event; returns true if it changed what is shown.
    pub fn take(&mut self, event: &RunEvent, now_ms: i64) -> bool {
        self.status.now_ms = now_ms;
        let changed = self.fold(event, now_ms);
        let due = !(0..BOARD_EVERY_MS).contains(&now_ms.saturating_sub(self.board_ms));
        let shown = match event {
            // There are many of these, and latencies are not added up for nothing.
            RunEvent::Steps(_) | RunEvent::Progress { .. } | RunEvent::Health(_) => due,
            RunEvent::Started { .. } | RunEvent::Phase { .. } | RunEvent::Cycle(_) | RunEvent::Ended { .. } => changed,
            RunEvent::State(..) => changed,
            _ => false,
        };
        if shown {
            self.show_board();
        }
        changed || shown
    }

    fn show_board(&mut self) {
        let doing = (self.status.state, self.status.run.as_ref().map(|run| run.phase));
        self.board_ms = self.status.now_ms;
        self.board.show(&mut self.status.board, doing, self.status.now_ms);
    }

    fn fold(&mut self, event: &RunEvent, now_ms: i64) -> bool {
        match event {
            RunEvent::Started { record, resumed_at, .. } => self.started(record, *resumed_at),
            RunEvent::Phase { cycle, phase, steps } => self.phase(*cycle, *phase, *steps),
            RunEvent::Progress { steps_done, rows, errors } => {
                let rate = self.rate.take(*rows, now_ms);
                let Some(run) = &mut self.status.run else { return false };
                (run.steps_done, run.errors, run.rows_per_s) = (*steps_done, *errors, rate);
            }
            RunEvent::Incident(incident, change) => {
                match change {
                    ChangeKind::Resolved => drop(self.open.remove(&incident.id)),
                    ChangeKind::Opened | ChangeKind::Reopened => drop(self.open.insert(incident.id)),
                    ChangeKind::Renamed { .. } => {}
                }
                self.status.incidents_open = self.open.len() as u64;
            }
            RunEvent::Cycle(cycle) => {
                let Some(run) = &mut self.status.run else { return false };
                *run.cycles_by_verdict.entry(cycle.verdict).or_default() += 1;
                noted(run, cycle);
                run.verdict = run.cycles_by_verdict.keys().max().copied();
                self.board.cycle(cycle);
            }
            RunEvent::Checkpoint { snapshot, .. } => {
                let Some(run) = self.status.run.as_mut().filter(|run| run.run == snapshot.run.run) else {
                    return false;
                };
                figures(run, snapshot);
            }
            RunEvent::Ended { verdict, because } => self.ended(*verdict, because),
            RunEvent::State(state, because) => {
                self.status.state = *state;
                self.status.paused_because.clone_from(because);
            }
            RunEvent::Schedules(schedules) => self.status.schedules.clone_from(schedules),
            RunEvent::Health(health) => self.status.health = (**health).clone(),
            RunEvent::Reloaded(said) => self.status.reload = Some(said.chars().take(TEXT_CHARS_MAX).collect()),
            RunEvent::Steps(reports) => {
                self.board.steps(reports, now_ms);
                return false;
            }
            RunEvent::Finding(finding) => {
                self.board.finding(finding);
                return false;
            }
            RunEvent::Log(_) => return false,
        }
        true
    }

    fn started(&mut self, record: &RunRecord, resumed_at: Option<(u64, Phase)>) {
        let known = self.status.run.take().filter(|run| run.run == record.run);
        self.board.started(record, known.is_some());
        let mut run = begun(record);
        if let Some(known) = known {
            run.cycles_by_verdict = known.cycles_by_verdict;
            (run.verdict, run.last_cycle_ms, run.last_pass_ms) =
                (known.verdict, known.last_cycle_ms, known.last_pass_ms);
        }
        if let Some((cycle, phase)) = resumed_at {
            (run.cycle, run.phase) = (cycle, phase);
        }
        self.rate = Rate::default();
        self.status.run = Some(run);
        if matches!(self.status.state, DaemonState::Starting | DaemonState::Idle) {
            self.status.state = DaemonState::Running;
        }
    }

    fn phase(&mut self, cycle: u64, phase: Phase, steps: Option<u64>) {
        let Some(run) = &mut self.status.run else { return };
        if run.cycle != cycle {
            (run.steps_done, run.errors) = (0, 0);
            self.rate = Rate::default();
            self.board.load_begins();
        }
        (run.cycle, run.phase) = (cycle, phase);
        run.steps_planned = steps.unwrap_or(run.steps_planned);
        if phase != Phase::Load {
            self.rate = Rate::default();
            run.rows_per_s = 0.0;
        }
    }

    fn ended(&mut self, verdict: Verdict, because: &str) {
        self.board.ended(because);
        if let Some(run) = &mut self.status.run {
            (run.phase, run.verdict, run.rows_per_s) = (Phase::Done, Some(verdict), 0.0);
        }
        if self.status.state == DaemonState::Running {
            self.status.state = DaemonState::Idle;
        }
    }
}

/// Returns the status of a run before anything else is known of it.
fn begun(record: &RunRecord) -> RunStatus {
    RunStatus {
        run: record.run.clone(),
        name: record.name.clone(),
        schedule: record.schedule.clone(),
        seed: record.seed,
        started_ms: record.started_ms,
        cycle: record.cycle,
        cycles_planned: record.scale.cycles_planned,
        phase: record.phase,
        steps_done: 0,
        steps_planned: record.scale.steps_per_cycle,
        rows_per_s: 0.0,
        errors: 0,
        cycles_by_verdict: Default::default(),
        verdict: record.verdict,
        last_cycle_ms: None,
        last_pass_ms: None,
    }
}

/// Takes over the figures of finished cycles: the state file's are exact, also when events were missed.
fn figures(run: &mut RunStatus, snapshot: &Snapshot) {
    run.cycles_by_verdict.clone_from(&snapshot.cycles_by_verdict);
    run.cycles_planned = snapshot.run.scale.cycles_planned;
    run.verdict = snapshot.run.verdict.or_else(|| run.cycles_by_verdict.keys().max().copied());
    snapshot.cycles.iter().for_each(|cycle| noted(run, cycle));
}

fn noted(run: &mut RunStatus, cycle: &CycleRecord) {
    run.last_cycle_ms = run.last_cycle_ms.max(Some(cycle.ended_ms));
    if cycle.verdict == Verdict::Pass {
        run.last_pass_ms = run.last_pass_ms.max(Some(cycle.ended_ms));
    }
}

/// Rows per second, smoothed.
#[derive(Debug, Clone, Default)]
struct Rate {
    /// Time and rows of the last sample.
    last: Option<(i64, u64)>,
    value: Option<f64>,
}

impl Rate {
    fn take(&mut self, rows: u64, now_ms: i64) -> f64 {
        match self.last {
            Some((at, before)) if rows >= before && now_ms >= at => {
                if now_ms - at < RATE_EVERY_MS {
                    return self.value.unwrap_or(0.0);
                }
                let seconds = (now_ms - at) as f64 / 1000.0;
                let now = (rows - before) as f64 / seconds;
                let weight = 1.0 - (-seconds / RATE_OVER_S).exp();
                self.value = Some(self.value.map_or(now, |value| value + weight * (now - value)));
            }
            // The first sample, a count that began anew, or a clock that went back: there is nothing to compare with.
            _ => {}
        }
        self.last = Some((now_ms, rows));
        self.value.unwrap_or(0.0)
    }
}

/// Keeps the status until the run is over, for everybody who watches it.
pub async fn keep(
    mut book: StatusBook,
    clock: Clock,
    mut events: broadcast::Receiver<RunEvent>,
    status: watch::Sender<Status>,
    over: CancellationToken,
) {
    status.send_replace(book.status().clone());
    loop {
        let event = tokio::select! {
            biased;
            event = events.recv() => event,
            () = over.cancelled() => return,
        };
        match event {
            Ok(event) if book.take(&event, clock.now_ms()) => drop(status.send_replace(book.status().clone())),
            // What was missed comes again with the next event of its kind.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
