//! The end of a schedule.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Reads the last day, or the instant, up to which runs begin.
pub fn parse(text: &str, zone: Tz) -> Result<DateTime<Utc>, String> {
    const HELP: &str = "write a day such as \"2027-01-31\", or an instant such as \"2027-01-31T18:00:00+01:00\"";
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(instant.with_timezone(&Utc));
    }
    let day: NaiveDate = text.parse().map_err(|_| HELP.to_owned())?;
    let next = day.checked_add_days(Days::new(1)).ok_or(HELP)?.and_time(NaiveTime::MIN);
    let end = zone.from_local_datetime(&next).earliest().ok_or(HELP)?;
    Ok(end.with_timezone(&Utc) - TimeDelta::seconds(1))
}
