//! Quiet hours: spans of the week in which nothing begins. Pure, in local time; whoever asks knows the zone.

use chrono::{Datelike, Days, NaiveDateTime, NaiveTime, TimeDelta, Timelike};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// One span that recurs on some days of the week; a span across midnight belongs to the day on which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    /// Whether it begins on each day, from Monday.
    days: [bool; 7],
    /// Minutes after midnight.
    from: u32,
    to: u32,
}

impl QuietHours {
    /// Reads a span such as `22:00-06:00`, `Sat,Sun 00:00-24:00` or `Mon-Fri 08:00-18:00`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(40).collect();
        let wrong = |why: String| format!("\"{}\" is no span of hours: {why}", shown.escape_debug());
        let mut parts = text.split_ascii_whitespace();
        let (days, hours) = match (parts.next(), parts.next(), parts.next()) {
            (Some(hours), None, _) => ([true; 7], hours),
            (Some(days), Some(hours), None) => (read_days(days).map_err(wrong)?, hours),
            _ => return Err(wrong("write days, if need be, and then hours".into())),
        };
        let (from, to) = hours.split_once('-').ok_or_else(|| wrong("write hours such as 22:00-06:00".into()))?;
        let (from, to) = (read_time(from).map_err(wrong)?, read_time(to).map_err(wrong)?);
        if from == to || from == DAY {
            return Err(wrong("it has no length; a whole day is 00:00-24:00".into()));
        }
        Ok(Self { days, from, to })
    }

    /// Returns whether the span holds this local time.
    pub fn contains(&self, at: NaiveDateTime) -> bool {
        self.end(at).is_some()
    }

    /// Returns the end of the span that holds this local time.
    pub fn end(&self, at: NaiveDateTime) -> Option<NaiveDateTime> {
        let minute = at.hour() * 60 + at.minute();
        let day = at.weekday().num_days_from_monday() as usize;
        let midnight = at.date().and_time(NaiveTime::MIN);
        let wraps = self.to < self.from;
        if wraps && self.days[(day + 6) % 7] && minute < self.to {
            return Some(midnight + TimeDelta::minutes(self.to.into()));
        }
        if !self.days[day] || minute < self.from || (!wraps && minute >= self.to) {
            return None;
        }
        let midnight = if wraps { midnight.checked_add_days(Days::new(1))? } else { midnight };
        midnight.checked_add_signed(TimeDelta::minutes(self.to.into()))
    }
}

/// Returns the first local time, from this one on, that no span holds; `None` if they cover the whole week.
pub fn next_loud(hours: &[QuietHours], at: NaiveDateTime) -> Option<NaiveDateTime> {
    let limit = at.checked_add_days(Days::new(8))?;
    let mut free = at;
    while let Some(end) = hours.iter().filter_map(|span| span.end(free)).max() {
        free = end;
        if free > limit {
            return None;
        }
    }
    Some(free)
}

/// Reads minutes after midnight from `HH:MM`.
fn read_time(text: &str) -> Result<u32, String> {
    let wrong = || format!("\"{}\" is no time of day from 00:00 to 24:00", text.escape_debug());
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| {
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u32>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours).ok_or_else(wrong)?, number(minutes).ok_or_else(wrong)?);
    let time = hours * 60 + minutes;
    if minutes < 60 && time <= DAY { Ok(time) } else { Err(wrong()) }
}

/// Reads days such as `Sat,Sun` or `Mon-Fri`.
fn read_days(text: &str) -> Result<[bool; 7], String> {
    let number = |name: &str| {
        DAYS.iter()
            .position(|day| day.eq_ignore_ascii_case(name))
            .ok_or_else(|| format!("\"{}\" is none of {}", name.escape_debug(), DAYS.join(", ")))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        for step in 0..=(last + 7 - first) % 7 {
            days[(first + step) % 7] = true;
        }
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    /// A time in a week whose Monday is 4 January 2027.
    fn at(day: u32, hour: u32, minute: u32) -> NaiveDateTime {
        NaiveDate::from_ymd_opt(2027, 1, 4 + day).and_then(|day| day.and_hms_opt(hour, minute, 30)).expect("a time")
    }

    fn quiet(text: &str) -> QuietHours {
        QuietHours::parse(text).expect("quiet hours")
    }

    #[test]
    fn a_night_is_quiet_on_both_sides_of_midnight() {
        let night = quiet("22:00-06:00");
        for (hour, minute, expected) in [(21, 59, false), (22, 0, true), (0, 0, true), (5, 59, true), (6, 0, false)] {
            assert_eq!(night.contains(at(0, hour, minute)), expected, "{hour}:{minute}");
        }
        assert_eq!(night.end(at(0, 23, 0)).map(|end| end.to_string()), Some("2027-01-05 06:00:00".into()));
        assert_eq!(night.end(at(0, 3, 0)).map(|end| end.to_string()), Some("2027-01-04 06:00:00".into()));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let friday = quiet("Fri 22:00-06:00");
        assert!(friday.contains(at(4, 23, 0)) && friday.contains(at(5, 5, 0)));
        assert!(!friday.contains(at(4, 5, 0)) && !friday.contains(at(5, 23, 0)));
    }

    #[test]
    fn days_are_lists_and_ranges() {
        let office = quiet("mon-fri 08:00-18:00");
        assert!(office.contains(at(0, 8, 0)) && office.contains(at(4, 17, 59)) && !office.contains(at(5, 9, 0)));
        let across = quiet("Sat-Mon,Wed 00:00-24:00");
        let days: Vec<bool> = (0..7).map(|day| across.contains(at(day, 12, 0))).collect();
        assert_eq!(days, [true, false, true, false, false, true, true]);
    }

    #[test]
    fn quiet_spans_that_touch_end_together() {
        let hours = [quiet("Sat,Sun 00:00-24:00"), quiet("Mon 00:00-07:30")];
        assert_eq!(next_loud(&hours, at(5, 10, 0)).map(|end| end.to_string()), Some("2027-01-11 07:30:00".into()));
        assert_eq!(next_loud(&hours, at(2, 10, 0)), Some(at(2, 10, 0)));
        assert_eq!(next_loud(&[quiet("00:00-24:00")], at(2, 10, 0)), None);
        assert_eq!(next_loud(&[quiet("22:00-06:00"), quiet("06:00-22:00")], at(2, 10, 0)), None);
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for wrong in
            ["", "22:00", "22-06", "25:00-26:00", "22:00-22:00", "24:00-06:00", "Foo 08:00-09:00", "08:60-09:00"]
        {
            assert!(QuietHours::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["Mon, Tue 08:00-09:00", "Mon- 08:00-09:00", "+8:00-09:00", "Mon 08:00 - 09:00"] {
            assert!(QuietHours::parse(wrong).is_err(), "{wrong}");
        }
    }
}
