//! The one line about the daemon that `systemctl status` shows, made from events. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;

use crate::engine::event::RunEvent;
use crate::model::incident::{ChangeKind, Incident};
use crate::model::record::{Phase, RunRecord};
use crate::model::status::{DaemonState, ScheduleStatus};
use crate::model::verdict::Verdict;

/// Characters that the line has at most.
const CHARS_MAX: usize = 400;
/// Open incidents that are told apart; more are "more than".
const OPEN_MAX: usize = 1000;

/// What is known of the daemon.
#[derive(Default)]
pub(super) struct Board {
    state: DaemonState,
    paused_because: Vec<String>,
    run: Option<Run>,
    open: BTreeSet<u64>,
    next: Option<(i64, String)>,
    /// What the last reload said, until a cycle has shown it.
    reload: Option<String>,
}

/// The run under way, or the last one.
struct Run {
    run: String,
    cycle: u64,
    planned: Option<u64>,
    phase: Phase,
    steps: u64,
    steps_done: u64,
    verdict: Option<Verdict>,
    ended: Option<String>,
}

impl Board {
    /// Takes in what an event changes.
    pub(super) fn note(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Started { record, .. } => self.begin(record),
            RunEvent::State(state, why) => {
                self.state = *state;
                self.paused_because.clone_from(why);
            }
            RunEvent::Incident(incident, change) => self.incident(incident, change),
            RunEvent::Schedules(schedules) => self.next = next(schedules),
            RunEvent::Reloaded(said) => self.reload = Some(said.clone()),
            other => {
                if let Some(run) = &mut self.run {
                    run.note(other);
                }
                if matches!(other, RunEvent::Cycle(_)) {
                    self.reload = None;
                }
            }
        }
    }

    fn begin(&mut self, record: &RunRecord) {
        if self.state == DaemonState::Starting || self.state == DaemonState::Idle {
            self.state = DaemonState::Running;
        }
        self.run = Some(Run {
            run: record.run.chars().take(13).collect(),
            cycle: record.cycle,
            planned: record.scale.cycles_planned,
            phase: record.phase,
            steps: record.scale.steps_per_cycle,
            steps_done: 0,
            verdict: None,
            ended: None,
        });
    }

    fn incident(&mut self, incident: &Incident, change: &ChangeKind) {
        match change {
            ChangeKind::Resolved => drop(self.open.remove(&incident.id)),
            ChangeKind::Opened | ChangeKind::Renamed { .. } | ChangeKind::Reopened if self.open.len() < OPEN_MAX => {
                self.open.insert(incident.id);
            }
            ChangeKind::Opened | ChangeKind::Renamed { .. } | ChangeKind::Reopened => {}
        }
    }

    /// Returns the line.
    pub(super) fn line(&self) -> String {
        let mut parts = vec![self.state()];
        parts.extend(self.run.as_ref().map(Run::words));
        if self.open.len() == OPEN_MAX {
            parts.push(format!("{OPEN_MAX} or more incidents open"));
        } else if !self.open.is_empty() {
            let n = self.open.len();
            parts.push(format!("{n} {} open", if n == 1 { "incident" } else { "incidents" }));
        }
        let next = self.next.as_ref().and_then(|(at, name)| Some((DateTime::from_timestamp_millis(*at)?, name)));
        parts.extend(next.map(|(at, name)| format!("next run {name} at {}", at.format("%Y-%m-%d %H:%M UTC"))));
        parts.extend(self.reload.as_ref().map(|said| format!("reload: {said}")));
        // The line must stay one line, whatever is in a name or a reason.
        parts.join("; ").chars().map(|c| if c.is_control() { ' ' } else { c }).take(CHARS_MAX).collect()
    }

    fn state(&self) -> String {
        match self.state {
            DaemonState::Starting => "starting".into(),
            DaemonState::Idle => "idle".into(),
            DaemonState::Running => "running".into(),
            DaemonState::Paused if self.paused_because.is_empty() => "paused".into(),
            DaemonState::Paused => format!("paused: {}", self.paused_because.join(", ")),
            DaemonState::Stopping => "stopping".into(),
        }
    }
}

impl Run {
    fn note(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Phase { cycle, phase, steps } => {
                (self.cycle, self.phase, self.steps_done) = (*cycle, *phase, 0);
                self.steps = steps.unwrap_or(self.steps);
            }
            RunEvent::Progress { steps_done, .. } => self.steps_done = *steps_done,
            RunEvent::Cycle(cycle) => self.verdict = self.verdict.max(Some(cycle.verdict)),
            // Knows of cycles that an earlier life of the daemon did.
            RunEvent::Checkpoint { snapshot, .. } if snapshot.run.run.starts_with(&self.run) => {
                self.verdict = worst(&snapshot.cycles_by_verdict).or(self.verdict);
            }
            RunEvent::Ended { verdict, because } => self.ended = Some(format!("ended {verdict}: {because}")),
            _ => {}
        }
    }

    fn words(&self) -> String {
        if let Some(ended) = &self.ended {
            return format!("run {} {ended}", self.run);
        }
        let of = self.planned.map(|n| format!(" of {n}")).unwrap_or_default();
        let share = match self.phase {
            Phase::Load if self.steps > 0 => format!(" {}%", (self.steps_done * 100 / self.steps).min(100)),
            _ => String::new(),
        };
        let verdict = self.verdict.map_or_else(|| "no verdict yet".into(), |verdict| format!("{verdict} so far"));
        format!("run {}, cycle {}{of}, {}{share}, {verdict}", self.run, self.cycle, self.phase.word())
    }
}

fn worst(cycles: &BTreeMap<Verdict, u64>) -> Option<Verdict> {
    cycles.iter().filter(|(_, n)| **n > 0).map(|(verdict, _)| *verdict).max()
}

/// Returns when the next run begins, and of which schedule.
fn next(schedules: &[ScheduleStatus]) -> Option<(i64, String)> {
    schedules.iter().filter_map(|schedule| Some((schedule.next_ms?, schedule.name.clone()))).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::report::sample;

    fn started() -> RunEvent {
        let mut record = sample::passing().run;
        (record.cycle, record.phase, record.scale.cycles_planned) = (3, Phase::Load, Some(20));
        RunEvent::Started { record: Box::new(record), resumed_at: None, steps_recovered: 0 }
    }

    fn after(events: &[RunEvent]) -> String {
        let mut board = Board::default();
        events.iter().for_each(|event| board.note(event));
        board.line()
    }

    fn schedule(name: &str, next_ms: Option<i64>) -> ScheduleStatus {
        let (name, cron, zone) = (name.to_owned(), "0 3 * * *".to_owned(), "UTC".to_owned());
        ScheduleStatus { name, cron, zone, next_ms, last_ms: None, runs: 0, skipped: 0, queued: false }
    }

    #[test]
    fn a_run_is_told_with_its_verdict_so_far() {
        let short: String = sample::passing().run.run.chars().take(13).collect();
        assert_eq!(after(&[]), "starting");
        let mut events = vec![started()];
        assert_eq!(after(&events), format!("running; run {short}, cycle 3 of 20, load 0%, no verdict yet"));
        events.push(RunEvent::Phase { cycle: 4, phase: Phase::Load, steps: Some(60) });
        events.push(RunEvent::Progress { steps_done: 15, rows: 9, errors: 0 });
        let mut cycle = sample::passing().cycles[0].clone();
        for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Pass] {
            cycle.verdict = verdict;
            events.push(RunEvent::Cycle(Box::new(cycle.clone())));
        }
        assert_eq!(after(&events), format!("running; run {short}, cycle 4 of 20, load 25%, FAIL so far"));
        events.push(RunEvent::Ended { verdict: Verdict::Fail, because: "20 cycles done".into() });
        events.push(RunEvent::State(DaemonState::Idle, Vec::new()));
        events.push(RunEvent::Schedules(vec![
            schedule("weekly", Some(1_795_256_295_000)),
            schedule("nightly", Some(1_795_230_000_000)),
            schedule("over", None),
        ]));
        let line = after(&events);
        assert_eq!(
            line,
            format!("idle; run {short} ended FAIL: 20 cycles done; next run nightly at 2026-11-21 03:00 UTC")
        );
    }

    #[test]
    fn what_an_earlier_life_has_found_is_not_forgotten() {
        let snapshot = Box::new(sample::failing());
        let mut record = snapshot.run.clone();
        record.ended_ms = None;
        let resumed_at = Some((record.cycle, Phase::Load));
        let begun = RunEvent::Started { record: Box::new(record), resumed_at, steps_recovered: 0 };
        let checkpoint = RunEvent::Checkpoint { state_dir: "x".into(), snapshot, runs: Vec::new() };
        assert!(after(&[begun, checkpoint]).contains("FAIL so far"));
    }

    #[test]
    fn a_pause_says_why_on_one_line() {
        let paused = RunEvent::State(DaemonState::Paused, vec!["low disk\nspace".into(), "x".repeat(1000)]);
        let line = after(&[started(), paused]);
        assert!(line.starts_with("paused: low disk space, xxx") && line.chars().count() == CHARS_MAX, "{line}");
    }

    #[test]
    fn a_reload_is_told_until_a_cycle_has_shown_it() {
        let cycle = RunEvent::Cycle(Box::new(sample::passing().cycles[0].clone()));
        let mut events = vec![started(), RunEvent::Reloaded("refused: line 3".into())];
        assert!(after(&events).ends_with("reload: refused: line 3"));
        events.push(cycle);
        assert!(!after(&events).contains("reload"));
    }
}
