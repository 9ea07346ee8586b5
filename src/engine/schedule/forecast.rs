//! The next runs over all schedules, as far as the clock decides: it knows neither how long runs take nor which were skipped.

use chrono::{DateTime, Utc};

use super::entry::{Entry, History, Planned};
use super::timetable::State;
use crate::config::Schedules;

/// A run to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upcoming {
    pub schedule: String,
    pub planned: Planned,
}

/// Returns the first `n` runs after an instant, in order; a schedule with a history goes on from it.
pub fn upcoming(schedules: &Schedules, state: &State, from: DateTime<Utc>, n: usize) -> Result<Vec<Upcoming>, String> {
    let mut runs = Vec::new();
    for (name, config) in schedules {
        let entry = Entry::new(config).map_err(|why| format!("schedule.{name}: {why}"))?;
        let mut history = state.get(name).cloned().unwrap_or_else(|| History::new(entry.rule(), from));
        let mut after = from;
        for _ in 0..n {
            let Some(planned) = entry.planned_after(&history, after) else { break };
            after = planned.at;
            history.runs = history.runs.saturating_add(1);
            history.first_ms.get_or_insert(after.timestamp_millis());
            runs.push(Upcoming { schedule: name.clone(), planned });
        }
    }
    runs.sort_by(|a, b| (a.planned.at, &a.schedule).cmp(&(b.planned.at, &b.schedule)));
    runs.truncate(n);
    Ok(runs)
}
