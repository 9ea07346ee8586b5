//! When the offset of a zone from UTC changes; what follows from it for schedules is the calendar's.

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// More than a wall clock was ever moved by in one step: two zones changed sides of the date line.
pub(super) const LARGEST_SHIFT: TimeDelta = TimeDelta::hours(26);

/// A change of a zone's offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// The first instant with the new offset.
    pub(super) at: DateTime<Utc>,
    pub(super) before: TimeDelta,
    pub(super) after: TimeDelta,
}

impl Change {
    /// Returns by how much the wall clock is put forward; negative when it is put back.
    pub(super) fn shift(self) -> TimeDelta {
        self.after - self.before
    }

    /// Returns true if the wall clock never shows `wall` because of this change.
    fn skips(self, wall: NaiveDateTime) -> bool {
        let at = self.at.naive_utc();
        at + self.before <= wall && wall < at + self.after
    }
}

/// Returns the offset of a zone at an instant.
pub(super) fn offset(zone: Tz, at: DateTime<Utc>) -> TimeDelta {
    TimeDelta::seconds(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc().into())
}

/// Returns the changes after `from` up to `to`, in order.
pub(super) fn changes(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Change> {
    /// No zone changed twice within this time.
    const STEP: TimeDelta = TimeDelta::hours(2);
    let mut found = Vec::new();
    let (mut low, mut before) = (from, offset(zone, from));
    while low < to {
        let high = (low + STEP).min(to);
        let after = offset(zone, high);
        if after != before {
            found.push(Change { at: first_with(zone, after, low, high), before, after });
        }
        (low, before) = (high, after);
    }
    found
}

/// Returns the change that skips a wall time.
pub(super) fn gap(zone: Tz, wall: NaiveDateTime) -> Option<Change> {
    let near = wall.and_utc();
    changes(zone, near - LARGEST_SHIFT * 2, near + LARGEST_SHIFT * 2).into_iter().find(|change| change.skips(wall))
}

/// Returns the first second after `low`, at most `high`, that has the offset which `high` has.
fn first_with(zone: Tz, wanted: TimeDelta, low: DateTime<Utc>, high: DateTime<Utc>) -> DateTime<Utc> {
    let (mut low, mut high) = (low.timestamp(), high.timestamp());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let at = DateTime::from_timestamp(middle, 0).unwrap_or_default();
        if offset(zone, at) == wanted { high = middle } else { low = middle }
    }
    DateTime::from_timestamp(high, 0).unwrap_or_default()
}
