//! The end of something, as people write it: a day, or an instant. Pure; it never asks what time it is.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Reads a day, which means its last second in the zone, or an instant of RFC 3339.
pub fn parse(text: &str, zone: Tz) -> Result<DateTime<Utc>, String> {
    let shown: String = text.chars().take(40).collect();
    let shown = shown.escape_debug();
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(instant.to_utc());
    }
    if text.len() != 10 {
        return Err(format!("\"{shown}\" is neither a day nor an instant with an offset"));
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| format!("there is no day \"{shown}\""))?;
    let next = day.checked_add_days(Days::new(1)).map(|next| next.and_time(NaiveTime::MIN));
    // Where clocks go forward at midnight, or a zone skips a day, the day ends when clocks first show more.
    next.and_then(|midnight| {
        let steps = (0..=2 * 24 * 4).map(|quarter| midnight + TimeDelta::minutes(15 * quarter));
        steps.into_iter().find_map(|local| zone.from_local_datetime(&local).earliest())
    })
    .map(|end| end.to_utc() - TimeDelta::seconds(1))
    .ok_or_else(|| format!("there is no end of the day \"{shown}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str, zone: Tz) -> String {
        parse(text, zone).expect("an instant").to_rfc3339()
    }

    #[test]
    fn a_day_ends_before_midnight_of_its_zone() {
        assert_eq!(end("2027-01-31", Tz::UTC), "2027-01-31T23:59:59+00:00");
        assert_eq!(end("2027-01-31", Tz::Europe__Berlin), "2027-01-31T22:59:59+00:00");
        assert_eq!(end("2027-01-31T18:00:00+01:00", Tz::Asia__Tokyo), "2027-01-31T17:00:00+00:00");
    }

    #[test]
    fn a_midnight_that_never_strikes_ends_the_day_all_the_same() {
        // Clocks in São Paulo went from 23:59:59 to 01:00; Apia had no 30th of December.
        assert_eq!(end("2018-11-03", Tz::America__Sao_Paulo), "2018-11-04T02:59:59+00:00");
        assert_eq!(end("2011-12-29", Tz::Pacific__Apia), "2011-12-30T09:59:59+00:00");
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for wrong in ["", "tomorrow", "2027-02-30", "2027-1-31", "31.01.2027", "2027-01-31T18:00:00", "２027-01-3"] {
            assert!(parse(wrong, Tz::UTC).is_err(), "{wrong}");
        }
        assert_eq!(parse("2027-02-30", Tz::UTC), Err("there is no day \"2027-02-30\"".into()));
    }
}
