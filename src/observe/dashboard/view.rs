//! What the dashboard remembers between two drawings: the newest status, the samples of its charts, and where the user is.

use std::cell::Cell;
use std::collections::VecDeque;

use crate::model::record::Phase;
use crate::model::status::{Status, WorkerRow};

use super::paint::Paint;

/// Samples that a chart keeps.
pub(super) const SAMPLES_MAX: usize = 240;
/// Time between two samples.
const SAMPLE_MS: i64 = 1000;

/// Whose dashboard it is, and so what leaving it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// That of a run in this process: to quit it is to stop.
    Run,
    /// That of a daemon in another one.
    Top,
}

/// What is on the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Page {
    #[default]
    Overview,
    Detail,
    Help,
}

/// What can be looked at in detail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pane {
    Workers,
    Memory,
    #[default]
    Checks,
    Errors,
}

impl Pane {
    const ALL: [Self; 4] = [Self::Workers, Self::Memory, Self::Checks, Self::Errors];

    /// Returns the pane after this one, or before it.
    pub(super) fn next(self, back: bool) -> Self {
        let at = Self::ALL.iter().position(|pane| *pane == self).unwrap_or(0);
        let step = if back { Self::ALL.len() - 1 } else { 1 };
        Self::ALL[(at + step) % Self::ALL.len()]
    }
}

/// The last samples of one figure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Samples(VecDeque<u64>);

impl Samples {
    fn push(&mut self, value: u64) {
        if self.0.len() >= SAMPLES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(value);
    }

    /// Returns the last one, the smallest and the largest.
    pub(super) fn spread(&self) -> Option<(u64, u64, u64)> {
        Some((*self.0.back()?, *self.0.iter().min()?, *self.0.iter().max()?))
    }

    /// Returns them from the newest to the oldest.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().rev().copied()
    }
}

/// The state of one dashboard.
#[derive(Debug, Clone)]
pub struct View {
    pub status: Status,
    pub(super) paint: Paint,
    pub(super) mode: Mode,
    pub(super) page: Page,
    pub(super) pane: Pane,
    pub(super) scroll: usize,
    /// How far the page that was drawn last can be scrolled, and the lines that it shows.
    pub(super) reach: Cell<(usize, usize)>,
    /// True once a stop was asked for here.
    pub(super) stopping: bool,
    /// What was last answered, until the next key.
    pub(super) said: Option<String>,
    pub(super) memory: Samples,
    pub(super) latency: Samples,
    pub(super) rate: Samples,
    /// When health and figures were last sampled.
    sampled_ms: (i64, Option<i64>),
}

impl View {
    /// Begins without any status.
    pub fn new(mode: Mode, paint: Paint) -> Self {
        Self {
            status: Status::default(),
            paint,
            mode,
            page: Page::default(),
            pane: Pane::default(),
            scroll: 0,
            reach: Cell::new((0, 0)),
            stopping: false,
            said: None,
            memory: Samples::default(),
            latency: Samples::default(),
            rate: Samples::default(),
            sampled_ms: (0, None),
        }
    }

    /// Takes over a newer status.
    pub fn take(&mut self, status: Status) {
        let run = |status: &Status| status.run.as_ref().map(|run| run.run.clone());
        if run(&status) != run(&self.status) {
            (self.latency, self.rate) = Default::default();
        }
        let (health_ms, figures_ms) = &mut self.sampled_ms;
        if status.health.at_ms != *health_ms && !status.health.parts.is_empty() {
            *health_ms = status.health.at_ms;
            self.memory.push(memory(&status));
        }
        // A clock that went back is no reason to wait.
        let due = figures_ms.is_none_or(|at| !(0..SAMPLE_MS).contains(&status.now_ms.saturating_sub(at)));
        if due && status.run.as_ref().is_some_and(|run| run.phase == Phase::Load) {
            *figures_ms = Some(status.now_ms);
            // Without any operation there is no latency.
            if status.board.p99_us > 0 {
                self.latency.push(status.board.p99_us);
            }
            self.rate.push(rate(&status.board.workers) as u64);
        }
        self.status = status;
    }

    /// Shows a sentence until the next key.
    pub fn say(&mut self, text: String) {
        self.said = Some(text);
    }
}

/// Returns the memory of all parts together.
pub(super) fn memory(status: &Status) -> u64 {
    status.health.parts.iter().fold(0, |sum, part| sum.saturating_add(part.rss_bytes))
}

/// Returns the operations per second of all workers together.
pub(super) fn rate(workers: &[WorkerRow]) -> f64 {
    workers.iter().map(|row| row.ops_per_s).filter(|rate| rate.is_finite()).sum()
}
