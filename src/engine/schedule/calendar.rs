//! The instants of one schedule, computed in its zone; it keeps no state and never looks at a clock.
//!
//! The cron crate only says which wall times match; what they mean where the wall clock is put forward or back is decided
//! here, because the crate answers such questions with instants before the one asked for, and loses some:
//!
//! - **Fixed hours** (`30 2 * * *`, `0 8-18 * * *`, `0 6,18 * * *`): a run whose time is skipped begins right after the gap,
//!   several of them as one; a time that occurs twice counts the first time only.
//! - **Hours with `*` or a step** (`*/15 * * * *`, `0 */2 * * *`) keep their rhythm in real time: a time that occurs twice
//!   counts twice, and in a gap the clock as it was before the change counts on, so that no pause is longer than usual.

use chrono::{DateTime, Datelike, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;

use super::zone::{self, LARGEST_SHIFT};
use crate::config::quiet::QuietHours;
use crate::config::{ScheduleConfig, cron, until};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;

const SECOND: TimeDelta = TimeDelta::seconds(1);

/// When the runs of one schedule are due.
#[derive(Debug, Clone)]
pub struct Calendar {
    cron: Cron,
    zone: Tz,
    /// The hours are `*` or have a step.
    rhythm: bool,
    quiet: Vec<QuietHours>,
    until: Option<DateTime<Utc>>,
}

impl Calendar {
    /// Reads what a schedule's settings say about time.
    pub fn new(config: &ScheduleConfig) -> Result<Self, String> {
        let zone: Tz = config.zone.parse().map_err(|_| {
            format!("zone {:?} is not known; write a name such as \"Europe/Berlin\" or \"UTC\"", config.zone)
        })?;
        let cron = cron::parse(&config.cron)?;
        let hours = &cron.pattern.hours;
        Ok(Self {
            rhythm: hours.from_wildcard || hours.step > 1,
            quiet: config.quiet.iter().map(|text| QuietHours::parse(text)).collect::<Result<_, _>>()?,
            until: config.until.as_deref().map(|text| until::parse(text, zone)).transpose()?,
            cron,
            zone,
        })
    }

    /// Returns the zone in which the expression is meant.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// Returns the instant up to which runs begin.
    pub fn until(&self) -> Option<DateTime<Utc>> {
        self.until
    }

    /// Returns the first instant after another one at which a run is due, quiet hours or not; `None` when there is none.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // What lies outside is a clock that was never set; the arithmetic below stays far from the limits of its types.
        if !(1900..3000).contains(&after.year()) {
            return None;
        }
        let after = DateTime::from_timestamp(after.timestamp(), 0)?;
        let next = if self.rhythm { self.rhythm_after(after) } else { self.fixed_after(after) }?;
        self.until.is_none_or(|until| next <= until).then_some(next)
    }

    /// Returns true if no run begins at an instant because of quiet hours.
    pub fn is_quiet(&self, at: DateTime<Utc>) -> bool {
        if self.quiet.is_empty() {
            return false;
        }
        let wall = at.naive_utc().checked_add_signed(zone::offset(self.zone, at));
        wall.is_some_and(|wall| self.quiet.iter().any(|quiet| quiet.contains(wall)))
    }

    /// Returns the first minute from an instant on that is not quiet; `None` if all are.
    pub fn quiet_end(&self, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        /// Quiet hours repeat every week, and a change of the wall clock can move them by a day.
        const MINUTES: i64 = 9 * 24 * 60;
        if !self.is_quiet(from) {
            return Some(from);
        }
        let whole = DateTime::from_timestamp(from.timestamp().div_euclid(60) * 60, 0)?;
        (1..=MINUTES).map(|minute| whole + TimeDelta::minutes(minute)).find(|at| !self.is_quiet(*at))
    }

    /// Returns the next instant of an expression whose hours are fixed.
    fn fixed_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // One second on by the clock as it was at `after`: at the last second before a gap, this is the gap's beginning.
        let mut wall = self.wall(after) + SECOND;
        loop {
            wall = self.matching(wall)?;
            let at = match self.zone.from_local_datetime(&wall) {
                LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.with_timezone(&Utc),
                LocalResult::None => zone::gap(self.zone, wall)?.at,
            };
            if at > after {
                return Some(at);
            }
            wall += SECOND;
        }
    }

    /// Returns the next instant of an expression that keeps its rhythm.
    fn rhythm_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let ahead = self.matching(self.wall(after) + SECOND).and_then(|wall| self.rhythm_at(wall, after));
        self.shifted_after(after).chain(ahead).min()
    }

    /// Returns the instant that a wall time not yet reached at `after` means.
    fn rhythm_at(&self, wall: NaiveDateTime, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.zone.from_local_datetime(&wall) {
            LocalResult::Single(at) => Some(at.with_timezone(&Utc)),
            LocalResult::Ambiguous(first, second) => {
                let first = first.with_timezone(&Utc);
                Some(if first > after { first } else { second.with_timezone(&Utc) })
            }
            LocalResult::None => {
                let gap = zone::gap(self.zone, wall)?;
                let kept = (wall - gap.before).and_utc();
                let new = self.matching(gap.at.naive_utc() + gap.after).map(|wall| (wall - gap.after).and_utc());
                Some(new.map_or(kept, |new| new.min(kept)))
            }
        }
    }

    /// Yields the instants near a change of the offset which no search along the wall clock finds: those of the second pass
    /// through an hour, and those that the clock as it was before a gap would have shown.
    fn shifted_after(&self, after: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        zone::changes(self.zone, after - LARGEST_SHIFT, after + LARGEST_SHIFT).into_iter().filter_map(move |change| {
            let offset = if change.shift() > TimeDelta::zero() { change.before } else { change.after };
            let end = change.at + change.shift().abs();
            let start = change.at.max(after + SECOND);
            let at = (self.matching(start.naive_utc() + offset)? - offset).and_utc();
            (at < end).then_some(at)
        })
    }

    /// Returns what the wall clock shows.
    fn wall(&self, at: DateTime<Utc>) -> NaiveDateTime {
        at.naive_utc() + zone::offset(self.zone, at)
    }

    /// Returns the first wall time at or after another one that matches the expression.
    fn matching(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        // In UTC, every wall time exists once.
        self.cron.find_next_occurrence(&wall.and_utc(), true).ok().map(|at| at.naive_utc())
    }
}
