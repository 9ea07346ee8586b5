//! When the state of affairs is told without anything having happened: `notify.summary_cron`.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;

use crate::config::cron::parse;

/// The times of summaries.
#[derive(Debug, Clone)]
pub(super) struct Summary {
    cron: Cron,
    zone: Tz,
}

impl Summary {
    /// Reads the times.
    pub(super) fn parse(text: &str, zone: Tz) -> Result<Self, String> {
        let cron = parse(text).map_err(|why| format!("notify.summary_cron: {why}"))?;
        Ok(Self { cron, zone })
    }

    /// Returns the first time after a moment, if there is one.
    pub(super) fn after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.cron.find_next_occurrence(&moment.with_timezone(&self.zone), false).ok()?;
        Some(next.with_timezone(&Utc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn times_are_those_of_the_zone() {
        let summary = Summary::parse("0 8 * * *", chrono_tz::Europe::Rome).expect("a cron expression");
        assert_eq!(summary.after(at("2026-01-10T12:00:00Z")), Some(at("2026-01-11T07:00:00Z")));
        assert_eq!(summary.after(at("2026-07-10T06:00:00Z")), Some(at("2026-07-11T06:00:00Z")));
    }

    #[test]
    fn what_is_wrong_names_its_key() {
        let error = Summary::parse("8 o'clock", Tz::UTC).expect_err("no cron expression");
        assert!(error.starts_with("notify.summary_cron: "), "{error}");
    }
}
