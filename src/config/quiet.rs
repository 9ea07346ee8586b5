//! Hours in which no run begins.

use chrono::{Datelike, NaiveDateTime, Timelike, Weekday};

/// Minutes of the day on some days of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietHours {
    days: Vec<Weekday>,
    from: u32,
    to: u32,
}

impl QuietHours {
    /// Reads `22:00-06:00` or `Sat,Sun 00:00-24:00`.
    pub fn parse(text: &str) -> Result<Self, String> {
        const HELP: &str = "write hours such as \"22:00-06:00\" or \"Sat,Sun 00:00-24:00\"";
        let (days, hours) = text.trim().rsplit_once(' ').unwrap_or(("", text.trim()));
        let days = days
            .split(',')
            .filter(|day| !day.is_empty())
            .map(|day| day.trim().parse().map_err(|_| HELP.to_owned()))
            .collect::<Result<_, _>>()?;
        let (from, to) = hours.split_once('-').ok_or(HELP)?;
        let minute = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
            (minute < 60 && hour * 60 + minute <= 1440).then_some(hour * 60 + minute)
        };
        Ok(Self { days, from: minute(from).ok_or(HELP)?, to: minute(to).ok_or(HELP)? })
    }

    /// Returns true if a wall time is within these hours.
    pub fn contains(&self, wall: NaiveDateTime) -> bool {
        let minute = wall.hour() * 60 + wall.minute();
        let on = |day| self.days.is_empty() || self.days.contains(&day);
        if self.from <= self.to {
            return on(wall.weekday()) && (self.from..self.to).contains(&minute);
        }
        (on(wall.weekday()) && minute >= self.from) || (on(wall.weekday().pred()) && minute < self.to)
    }
}
