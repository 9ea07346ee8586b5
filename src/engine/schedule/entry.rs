//! One schedule with what is remembered of it: when it is due next, and whether it has ended.

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use crate::config::{Missed, ScheduleConfig};

/// Most instants in quiet hours that are counted in one look.
const COUNTED_MAX: u64 = 10_000;

/// Why a run that was due did not begin then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// Another run was under way.
    Overlap,
    /// The daemon was down or paused.
    DownTime,
    QuietHours,
    /// Somebody asked for it, and another run was under way.
    Asked,
    /// The schedule ended before its turn came.
    Ended,
}

/// Why a schedule has no run left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Until,
    Duration,
    Runs,
    /// The expression matches no later time.
    Never,
}

/// A run that waits for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    pub since_ms: i64,
    pub because: Because,
}

/// What is remembered of one schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Expression and zone that `seen_ms` belongs to.
    pub rule: String,
    /// Up to here every due run has been decided on.
    pub seen_ms: i64,
    pub first_ms: Option<i64>,
    pub last_ms: Option<i64>,
    pub runs: u64,
    pub skipped: u64,
    pub waiting: Option<Waiting>,
    /// The end that was reported.
    pub ended: Option<End>,
}

impl History {
    /// Returns the history of a schedule that begins to count now.
    pub fn new(rule: String, now: DateTime<Utc>) -> Self {
        let seen_ms = now.timestamp_millis();
        Self { rule, seen_ms, first_ms: None, last_ms: None, runs: 0, skipped: 0, waiting: None, ended: None }
    }

    /// Returns the instant up to which every due run has been decided on.
    pub fn seen(&self) -> DateTime<Utc> {
        instant(self.seen_ms)
    }
}

/// Returns the instant of a stored time; one that no clock showed is the beginning of time, far from where sums overflow.
fn instant(ms: i64) -> DateTime<Utc> {
    let instant = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    if (1970..3000).contains(&instant.year()) { instant } else { DateTime::default() }
}

/// A run that will begin if nothing else is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    pub at: DateTime<Utc>,
    /// It is due in quiet hours and begins when they end.
    pub deferred: bool,
    /// Runs due before it that do not take place because of quiet hours.
    pub quiet: u64,
}

/// One schedule as configured.
#[derive(Debug, Clone)]
pub struct Entry {
    pub config: ScheduleConfig,
    pub calendar: Calendar,
}

impl Entry {
    /// Reads the settings of a schedule.
    pub fn new(config: &ScheduleConfig) -> Result<Self, String> {
        Ok(Self { calendar: Calendar::new(config)?, config: config.clone() })
    }

    /// Returns what makes a history useless when it changes.
    pub(super) fn rule(&self) -> String {
        format!("{} {}", self.config.cron, self.config.zone)
    }

    /// Returns why no run may begin at an instant any more.
    pub(super) fn end_at(&self, history: &History, at: DateTime<Utc>) -> Option<End> {
        if self.config.runs.is_some_and(|limit| history.runs >= limit) {
            return Some(End::Runs);
        }
        if self.calendar.until().is_some_and(|until| at > until) {
            return Some(End::Until);
        }
        let first = history.first_ms?;
        let lasts = i64::try_from(self.config.duration?.get().as_millis()).unwrap_or(i64::MAX);
        (at.timestamp_millis() >= first.saturating_add(lasts)).then_some(End::Duration)
    }

    /// Returns the first instant after another one at which a run is due, in quiet hours or not.
    pub(super) fn next(&self, history: &History, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.calendar.next_after(after).filter(|at| self.end_at(history, *at).is_none())
    }

    /// Returns why nothing is left after an instant, or `None` if something is.
    pub(super) fn end_after(&self, history: &History, after: DateTime<Utc>) -> Option<End> {
        if self.next(history, after).is_some() {
            return None;
        }
        // Which limit it was is known at the first instant that none of them allows.
        let later = self.calendar.next_after(after).unwrap_or(after + TimeDelta::seconds(1));
        let ends = self.end_at(history, later);
        Some(ends.or(self.calendar.until().map(|_| End::Until)).unwrap_or(End::Never))
    }

    /// Returns the first run after an instant that takes place, as far as quiet hours and the schedule's end decide.
    pub fn planned_after(&self, history: &History, after: DateTime<Utc>) -> Option<Planned> {
        /// So many quiet hours in a row without a single run between them are a schedule that never fires.
        const QUIET_MAX: usize = 1000;
        let (mut after, mut quiet) = (after, 0);
        for _ in 0..QUIET_MAX {
            let due = self.next(history, after)?;
            if !self.calendar.is_quiet(due) {
                return Some(Planned { at: due, deferred: false, quiet });
            }
            let end = self.calendar.quiet_end(due)?;
            let (lost, _) = self.count(history, after, end - TimeDelta::milliseconds(1));
            if self.config.missed == Missed::Once {
                let left = self.end_at(history, end).is_none();
                return left.then_some(Planned { at: end, deferred: true, quiet: quiet + lost.saturating_sub(1) });
            }
            quiet = (quiet + lost).min(COUNTED_MAX);
            after = end - TimeDelta::seconds(1);
        }
        None
    }

    /// Counts the instants after one and up to another; true says that there are more.
    pub(super) fn count(&self, history: &History, after: DateTime<Utc>, to: DateTime<Utc>) -> (u64, bool) {
        let (mut at, mut counted) = (after, 0);
        while let Some(next) = self.next(history, at).filter(|next| *next <= to) {
            if counted == COUNTED_MAX {
                return (counted, true);
            }
            counted += 1;
            at = next;
        }
        (counted, false)
    }
}
