//! Which run begins when, over all schedules: overlap, down-time, quiet hours, ends, and what is remembered of all this.
//!
//! It decides by time alone and does nothing itself: no timer, no log, no task. Whoever asks it stores [`Timetable::state`]
//! before the run begins; a crash after that costs the run, never begins it twice.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::entry::{Because, Entry, History, Waiting};
use crate::config::Schedules;
use crate::model::status::ScheduleStatus;

mod due;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

pub use due::Decision;

/// What survives a restart, by the schedules' names.
pub type State = BTreeMap<String, History>;

/// All schedules with their histories.
#[derive(Debug, Clone)]
pub struct Timetable {
    entries: BTreeMap<String, Entry>,
    state: State,
    /// A run that is later than this was missed: nobody was there when it was due.
    grace: TimeDelta,
}

impl Timetable {
    /// Reads the schedules and goes on from a stored state; `grace` is what [`super::grace`] says.
    pub fn new(schedules: &Schedules, state: State, now: DateTime<Utc>, grace: TimeDelta) -> Result<Self, String> {
        let mut table = Self { entries: BTreeMap::new(), state, grace };
        table.reload(schedules, now)?;
        Ok(table)
    }

    /// Takes over changed settings; on an error, everything stays as it was.
    ///
    /// A schedule keeps its history under its name. One with another expression or zone counts from now: what the new
    /// expression says about the past was never promised.
    pub fn reload(&mut self, schedules: &Schedules, now: DateTime<Utc>) -> Result<(), String> {
        let read = |(name, config)| match Entry::new(config) {
            Ok(entry) => Ok((String::clone(name), entry)),
            Err(why) => Err(format!("schedule.{name}: {why}")),
        };
        let entries: BTreeMap<_, _> = schedules.iter().map(read).collect::<Result<_, _>>()?;
        self.state.retain(|name, _| entries.contains_key(name));
        for (name, entry) in &entries {
            let rule = entry.rule();
            let history = self.state.entry(name.clone()).or_insert_with(|| History::new(entry.rule(), now));
            if history.rule != rule {
                (history.rule, history.seen_ms) = (rule, now.timestamp_millis());
            }
            history.ended = None;
        }
        self.entries = entries;
        Ok(())
    }

    /// Returns what must be stored before the run of a decision begins.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns true if there are no schedules.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns true if there are schedules, and none of them will ever fire again.
    pub fn exhausted(&self) -> bool {
        let done = |(entry, history): (&Entry, &History)| {
            history.waiting.is_none() && entry.end_after(history, history.seen()).is_some()
        };
        !self.is_empty() && self.each().all(|(_, entry, history)| done((entry, history)))
    }

    /// Asks for a run now, of a named schedule or of the only one, and returns its name; the next look begins it.
    pub fn trigger(&mut self, name: Option<&str>, now: DateTime<Utc>) -> Result<String, String> {
        let names = || self.entries.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let name = match name {
            Some(name) => name.to_owned(),
            None if self.entries.len() == 1 => names(),
            None if self.is_empty() => return Err("there is no schedule; the run is a continuous one".into()),
            None => return Err(format!("there are several schedules; name one of {}", names())),
        };
        let (Some(entry), Some(history)) = (self.entries.get(&name), self.state.get_mut(&name)) else {
            return Err(format!("there is no schedule {name:?}; there are {}", names()));
        };
        if let Some(end) = entry.end_at(history, now) {
            return Err(format!("schedule {name} has ended: {end}; change the setting and reload"));
        }
        // A run that waits anyway is the one that begins.
        let since_ms = history.waiting.map_or(now.timestamp_millis(), |waiting| waiting.since_ms);
        history.waiting = Some(Waiting { since_ms, because: Because::Asked });
        Ok(name)
    }

    /// Returns the instants at which the timetable must be asked again, at most one per schedule.
    pub fn next_looks(&self) -> Vec<(String, DateTime<Utc>)> {
        let look = |entry: &Entry, history: &History| {
            let seen = history.seen();
            let due = entry.next(history, seen);
            // What waits for the end of another run is looked at when that ends.
            let waits = history.waiting.filter(|_| entry.calendar.is_quiet(seen));
            let quiet_ends = waits.and_then(|_| entry.calendar.quiet_end(seen));
            due.into_iter().chain(quiet_ends).min()
        };
        self.each().filter_map(|(name, entry, history)| Some((name.to_owned(), look(entry, history)?))).collect()
    }

    /// Returns what people see of the schedules.
    pub fn status(&self) -> Vec<ScheduleStatus> {
        let next = |entry: &Entry, history: &History| {
            let seen = history.seen();
            match history.waiting {
                Some(waiting) if waiting.because == Because::Asked => Some(seen),
                Some(_) => entry.calendar.quiet_end(seen),
                None => entry.planned_after(history, seen).map(|planned| planned.at),
            }
        };
        self.each()
            .map(|(name, entry, history)| ScheduleStatus {
                name: name.to_owned(),
                cron: entry.config.cron.clone(),
                zone: entry.config.zone.clone(),
                next_ms: next(entry, history).map(|at| at.timestamp_millis()),
                last_ms: history.last_ms,
                runs: history.runs,
                skipped: history.skipped,
                queued: history.waiting.is_some(),
            })
            .collect()
    }

    /// Yields the schedules with their histories, in the order of their names.
    fn each(&self) -> impl Iterator<Item = (&str, &Entry, &History)> {
        // Both maps have the same keys.
        self.entries.iter().zip(self.state.values()).map(|((name, entry), history)| (name.as_str(), entry, history))
    }
}
