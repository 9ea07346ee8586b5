//! Folds steps, findings and checks into the [`Board`]: rows of workers with the rate and the latency of the last seconds,
//! distinct errors, the checks of the last cycle. Every list is bounded, and a step costs next to nothing.

use std::collections::BTreeMap;

use crate::model::finding::Finding;
use crate::model::lane::{Lane, LaneFigures};
use crate::model::record::{CycleRecord, FindingGroup, Phase, RunRecord};
use crate::model::status::{Board, CheckLine, DaemonState, ErrorLine, WorkerRow, WorkerState};
use crate::model::step::{Action, StepOutcome, StepReport};
use crate::model::verdict::{CheckResult, Verdict};
use crate::stats::latency::Latencies;

/// Databases with a row of their own; all others share one.
const DATABASES_MAX: u32 = 16;
/// Checks that are shown of a cycle.
const CHECKS_MAX: usize = 24;
/// Distinct errors that are shown.
const ERRORS_MAX: usize = 10;
/// Longest text of a check or an error.
const TEXT_CHARS_MAX: usize = 300;
/// Rates and latencies are those of the last one to two spans of this length.
const SPAN_MS: i64 = 5_000;
/// A rate over less time than this says nothing.
const RATE_MS_MIN: i64 = 1_000;
/// Silence after which workers of a lane, which speak once a second, have nothing more to do.
const QUIET_MS: i64 = 3_000;
/// The share of operations that the latency shown is not exceeded by.
const SHARE: f64 = 0.99;

/// Who a row is about; the order is that of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Lane(Lane),
    Database(u32),
    Others,
}

/// Folds into a [`Board`].
#[derive(Debug, Clone, Default)]
pub(super) struct BoardBook {
    target: String,
    databases: u32,
    /// Steps of one database in a cycle.
    steps_each: u64,
    rows: BTreeMap<Who, Row>,
    checks_of: u64,
    checks: Vec<CheckLine>,
    errors: Vec<Known>,
    ended: Option<String>,
}

impl BoardBook {
    /// Begins anew, unless the run is known already.
    pub(super) fn started(&mut self, record: &RunRecord, known: bool) {
        if !known {
            *self = Self::default();
        }
        self.ended = None;
        let databases = record.scale.databases;
        self.databases = databases;
        self.steps_each = record.scale.steps_per_cycle.checked_div(u64::from(databases)).unwrap_or(0);
        self.target = cut(&record.scale.target);
    }

    /// Takes over what the state file knows of a run that will go on.
    pub(super) fn recall(&mut self, record: &RunRecord, cycles: &[CycleRecord], groups: &[FindingGroup]) {
        self.started(record, false);
        if let Some(last) = cycles.iter().max_by_key(|cycle| cycle.cycle) {
            self.cycle(last);
        }
        let mut groups: Vec<_> = groups.iter().collect();
        groups.sort_by_key(|group| group.last_ms);
        for group in groups.into_iter().rev().take(ERRORS_MAX).rev() {
            let expected = group.tolerated == group.count;
            self.error(&group.cause, &group.first.message, (expected, group.count), group.last_ms);
        }
        self.ended = record.ended_because.as_deref().map(cut);
    }

    /// A cycle's load begins.
    pub(super) fn load_begins(&mut self) {
        self.rows.values_mut().for_each(|row| row.steps = 0);
    }

    /// Takes in steps that were counted just now.
    pub(super) fn steps(&mut self, reports: &[StepReport], now_ms: i64) {
        for report in reports {
            match (report.step.action, &report.figures) {
                (Action::Lane(lane), Some(figures)) => self.lane(lane, report, figures, now_ms),
                // Without figures there is nothing to tell.
                (Action::Lane(_), None) => {}
                (action, _) => self.step(report, action, now_ms),
            }
        }
    }

    fn lane(&mut self, lane: Lane, report: &StepReport, figures: &LaneFigures, now_ms: i64) {
        let row = self.rows.entry(Who::Lane(lane)).or_default();
        row.workers = figures.workers;
        let latency = Latencies::unpack(&figures.latency);
        row.add(report, figures.total(), now_ms, |all| {
            if let Some(latency) = &latency {
                all.add(latency);
            }
        });
        row.expected += figures.expected.values().sum::<u64>();
        row.unexpected += figures.unexpected.values().sum::<u64>();
        let named = |name: &str| format!("{lane}: {name}");
        for (name, count) in &figures.expected {
            self.error(&named(name), &named(name), (true, *count), now_ms);
        }
        // Findings say more than a name, and come as events of their own.
        for (name, count) in figures.unexpected.iter().filter(|_| report.findings.is_empty()) {
            self.error(&named(name), &named(name), (false, *count), now_ms);
        }
    }

    fn step(&mut self, report: &StepReport, action: Action, now_ms: i64) {
        let (who, workers) = match report.db {
            db if db <= DATABASES_MAX => (Who::Database(db), 1),
            _ => (Who::Others, self.databases.saturating_sub(DATABASES_MAX).max(1)),
        };
        let row = self.rows.entry(who).or_default();
        row.workers = workers;
        row.add(report, 1, now_ms, |all| {
            if !matches!(action, Action::Wait { .. }) {
                all.record(report.latency_us());
            }
        });
        let healed = report.findings.iter().filter(|finding| finding.tolerated).count();
        row.expected += healed as u64;
        row.unexpected += (report.findings.len() - healed) as u64;
    }

    /// Takes in a finding.
    pub(super) fn finding(&mut self, finding: &Finding) {
        let text = match finding.db {
            Some(db) => format!("DB{db}: {}", finding.message),
            None => finding.message.clone(),
        };
        self.error(&finding.cause(), &text, (finding.tolerated, 1), finding.at_ms);
    }

    fn error(&mut self, cause: &str, text: &str, (expected, count): (bool, u64), at_ms: i64) {
        let cause = cut(cause);
        if let Some(known) =
            self.errors.iter_mut().find(|known| known.line.expected == expected && known.cause == cause)
        {
            known.line.count += count;
            known.line.at_ms = known.line.at_ms.max(at_ms);
            return;
        }
        if self.errors.len() >= ERRORS_MAX {
            // What nobody expected stays longer.
            let gone = |(_, known): &(usize, &Known)| (!known.line.expected, known.line.at_ms);
            let oldest = self.errors.iter().enumerate().min_by_key(gone).map(|(at, _)| at);
            oldest.map(|at| self.errors.swap_remove(at));
        }
        self.errors.push(Known { cause, line: ErrorLine { at_ms, expected, text: cut(text), count } });
    }

    /// Takes over the checks of a finished cycle.
    pub(super) fn cycle(&mut self, cycle: &CycleRecord) {
        self.checks_of = cycle.cycle;
        self.checks = checks_of(cycle);
    }

    /// The run is over.
    pub(super) fn ended(&mut self, because: &str) {
        self.ended = Some(cut(because));
        self.rows.values_mut().for_each(|row| row.recent = Recent::default());
    }

    /// Writes down what is known now.
    pub(super) fn show(&mut self, board: &mut Board, doing: (DaemonState, Option<Phase>), now_ms: i64) {
        let mut together = Latencies::default();
        board.workers.clear();
        for (who, row) in &mut self.rows {
            row.recent.turn(now_ms);
            let latency = row.recent.latency();
            together.add(&latency);
            board.workers.push(WorkerRow {
                name: match who {
                    Who::Lane(lane) => lane.to_string(),
                    Who::Database(db) => format!("DB{db}"),
                    Who::Others => "others".to_owned(),
                },
                state: row.state(*who, doing, self.steps_each, now_ms),
                workers: row.workers,
                ops: row.ops,
                ops_per_s: row.recent.rate(now_ms),
                p99_us: latency.quantile(SHARE),
                expected: row.expected,
                unexpected: row.unexpected,
            });
        }
        board.p99_us = together.quantile(SHARE);
        board.target.clone_from(&self.target);
        board.checks_of = self.checks_of;
        board.checks.clone_from(&self.checks);
        self.errors.sort_by_key(|known| std::cmp::Reverse(known.line.at_ms));
        board.errors = self.errors.iter().map(|known| known.line.clone()).collect();
        board.ended.clone_from(&self.ended);
    }
}

/// Returns what the checks of a finished cycle said, the worst first.
pub fn checks_of(cycle: &CycleRecord) -> Vec<CheckLine> {
    let mut checks: Vec<&CheckResult> = cycle.checks.iter().collect();
    checks.sort_by_key(|check| rank(check.verdict));
    checks.into_iter().take(CHECKS_MAX).map(line).collect()
}

/// One kind of error.
#[derive(Debug, Clone)]
struct Known {
    cause: String,
    line: ErrorLine,
}

/// What is known of one row.
#[derive(Debug, Clone, Default)]
struct Row {
    workers: u32,
    ops: u64,
    expected: u64,
    unexpected: u64,
    /// Steps of the cycle in work.
    steps: u64,
    last_ms: i64,
    failed: bool,
    recent: Recent,
}

impl Row {
    fn add(&mut self, report: &StepReport, ops: u64, now_ms: i64, latency: impl FnOnce(&mut Latencies)) {
        self.ops += ops;
        self.steps += 1;
        self.last_ms = now_ms;
        self.failed = report.outcome == StepOutcome::Failed;
        self.recent.add(report.started_ms, now_ms, ops, latency);
    }

    fn state(
        &self,
        who: Who,
        (daemon, phase): (DaemonState, Option<Phase>),
        steps_each: u64,
        now_ms: i64,
    ) -> WorkerState {
        let quiet = now_ms.saturating_sub(self.last_ms) > QUIET_MS;
        match (daemon, phase) {
            (_, None | Some(Phase::Done)) => WorkerState::Done,
            _ if self.failed => WorkerState::Down,
            (DaemonState::Paused, _) => WorkerState::Waiting,
            (_, Some(Phase::Load)) if self.steps == 0 => WorkerState::Waiting,
            (_, Some(Phase::Load)) => match who {
                Who::Lane(_) if quiet => WorkerState::Done,
                Who::Database(_) if self.steps >= steps_each => WorkerState::Done,
                _ => WorkerState::Running,
            },
            _ => WorkerState::Waiting,
        }
    }
}

/// What happened in the last seconds: in the span under way, and in the one before it.
#[derive(Debug, Clone, Default)]
struct Recent {
    /// Beginning of the earlier one, and of the one under way.
    since_ms: Option<(i64, i64)>,
    /// When something was last added.
    last_ms: i64,
    ops: (u64, u64),
    latency: (Latencies, Latencies),
}

impl Recent {
    /// Adds what ended now and began at some time, which the clock of a worker says.
    fn add(&mut self, started_ms: i64, now_ms: i64, ops: u64, latency: impl FnOnce(&mut Latencies)) {
        self.turn(now_ms);
        if self.since_ms.is_none() {
            let since = started_ms.clamp(now_ms.saturating_sub(SPAN_MS), now_ms);
            self.since_ms = Some((since, since));
        }
        self.last_ms = now_ms;
        self.ops.1 += ops;
        latency(&mut self.latency.1);
    }

    /// Forgets what is too old; a clock that went back begins anew.
    fn turn(&mut self, now_ms: i64) {
        let Some((_, since)) = self.since_ms else { return };
        let age = now_ms.saturating_sub(since);
        if !(0..2 * SPAN_MS).contains(&age) {
            *self = Self::default();
        } else if age >= SPAN_MS && self.last_ms > since {
            // What comes next has happened since the last one came.
            self.since_ms = Some((since, self.last_ms));
            self.ops = (self.ops.1, 0);
            self.latency.0 = std::mem::take(&mut self.latency.1);
        }
    }

    fn rate(&self, now_ms: i64) -> f64 {
        let Some((since, _)) = self.since_ms else { return 0.0 };
        let ms = now_ms.saturating_sub(since).max(RATE_MS_MIN);
        (self.ops.0 + self.ops.1) as f64 * 1000.0 / ms as f64
    }

    fn latency(&self) -> Latencies {
        let mut all = self.latency.0.clone();
        all.add(&self.latency.1);
        all
    }
}

/// Returns how early a verdict is shown.
fn rank(verdict: Option<Verdict>) -> u8 {
    match verdict {
        Some(Verdict::Fail) => 0,
        Some(Verdict::Aborted) => 1,
        Some(Verdict::Inconclusive) => 2,
        None => 3,
        Some(Verdict::Pass) => 4,
    }
}

fn line(check: &CheckResult) -> CheckLine {
    CheckLine { check: cut(&check.check), verdict: check.verdict, summary: cut(&check.summary) }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
