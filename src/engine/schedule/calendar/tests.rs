//! Single cases with dates that people can look up.

use chrono::{DateTime, TimeDelta, Utc};

use super::Calendar;
use crate::config::ScheduleConfig;

/// Returns a schedule with nothing but an expression and a zone.
pub(super) fn config(cron: &str, zone: &str) -> ScheduleConfig {
    ScheduleConfig {
        cron: cron.into(),
        zone: zone.into(),
        overlap: Default::default(),
        missed: Default::default(),
        quiet: Vec::new(),
        until: None,
        duration: None,
        runs: None,
    }
}

pub(super) fn calendar(cron: &str, zone: &str) -> Calendar {
    Calendar::new(&config(cron, zone)).unwrap()
}

pub(super) fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Returns the next instants, in UTC.
fn next(cron: &str, zone: &str, from: &str, n: usize) -> Vec<String> {
    let calendar = calendar(cron, zone);
    let mut at = utc(from);
    let step = || {
        at = calendar.next_after(at)?;
        Some(at.format("%m-%dT%H:%M:%S").to_string())
    };
    std::iter::from_fn(step).take(n).collect()
}

#[test]
fn a_fixed_time_in_a_gap_comes_right_after_it() {
    let from = "2026-03-28T00:00:00Z";
    assert_eq!(next("30 2 * * *", "Europe/Berlin", from, 3), ["03-28T01:30:00", "03-29T01:00:00", "03-30T00:30:00"]);
    // Several times in the gap are one run.
    assert_eq!(next("10,40 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2), ["03-29T01:00:00", "03-30T00:10:00"]);
    // Asked in the last second before the gap, and in the first one after it.
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-03-29T00:59:59Z", 1), ["03-29T01:00:00"]);
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", 1), ["03-30T00:30:00"]);
}

#[test]
fn a_fixed_time_that_comes_twice_counts_once() {
    let expected = ["10-25T00:30:00", "10-26T01:30:00"];
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2), expected);
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1), expected[1..]);
    let minutes = next("*/20 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 4);
    assert_eq!(minutes, ["10-25T00:00:00", "10-25T00:20:00", "10-25T00:40:00", "10-26T01:00:00"]);
}

#[test]
fn hours_with_a_step_keep_their_rhythm() {
    let hourly = next("30 * * * *", "Europe/Berlin", "2026-10-24T23:00:00Z", 4);
    assert_eq!(hourly, ["10-24T23:30:00", "10-25T00:30:00", "10-25T01:30:00", "10-25T02:30:00"]);
    let hourly = next("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3);
    assert_eq!(hourly, ["03-29T00:30:00", "03-29T01:30:00", "03-29T02:30:00"]);
    // 02:00 does not exist: it comes when it would have come.
    let second = next("0 */2 * * *", "Europe/Berlin", "2026-03-28T22:00:00Z", 3);
    assert_eq!(second, ["03-28T23:00:00", "03-29T01:00:00", "03-29T02:00:00"]);
}

#[test]
fn seconds_come_first_if_there_are_six_fields() {
    assert_eq!(
        next("*/20 59 23 * * *", "UTC", "2026-12-31T23:59:10Z", 3),
        ["12-31T23:59:20", "12-31T23:59:40", "01-01T23:59:00"]
    );
    assert_eq!(next("@daily", "Asia/Kathmandu", "2026-01-01T00:00:00.999Z", 1), ["01-01T18:15:00"]);
}

#[test]
fn a_schedule_without_a_next_run_says_so() {
    assert!(Calendar::new(&config("0 0 31 2 *", "UTC")).is_err_and(|why| why.contains("never")));
    assert_eq!(next("0 0 29 2 *", "UTC", "2097-01-01T00:00:00Z", 1), ["02-29T00:00:00"]);
    let ends = ScheduleConfig { until: Some("2026-01-02".into()), ..config("0 12 * * *", "Asia/Tokyo") };
    let calendar = Calendar::new(&ends).unwrap();
    assert_eq!(calendar.next_after(utc("2026-01-01T12:00:00Z")), Some(utc("2026-01-02T03:00:00Z")));
    assert_eq!(calendar.next_after(utc("2026-01-02T03:00:00Z")), None);
}

#[test]
fn quiet_hours_are_those_of_the_zone() {
    let quiet = ScheduleConfig { quiet: vec!["22:00-06:00".into()], ..config("0 * * * *", "Europe/Berlin") };
    let calendar = Calendar::new(&quiet).unwrap();
    assert!(!calendar.is_quiet(utc("2026-07-01T19:59:59Z")) && calendar.is_quiet(utc("2026-07-01T20:00:00Z")));
    // The night in which the clock is put forward is an hour shorter.
    assert_eq!(calendar.quiet_end(utc("2026-03-28T22:10:30Z")), Some(utc("2026-03-29T04:00:00Z")));
    let noon = utc("2026-07-01T10:00:07Z");
    assert_eq!(calendar.quiet_end(noon), Some(noon));
    let always = ScheduleConfig { quiet: vec!["00:00-24:00".into()], ..quiet };
    assert_eq!(Calendar::new(&always).unwrap().quiet_end(noon), None);
    let never = Calendar::new(&config("0 * * * *", "UTC")).unwrap();
    assert_eq!(never.quiet_end(noon + TimeDelta::days(1)), Some(noon + TimeDelta::days(1)));
}

#[test]
fn wrong_settings_are_refused_with_what_is_wrong() {
    let error = |config| Calendar::new(&config).unwrap_err();
    assert!(error(config("0 0 * * *", "Europe/Berlim")).contains("\"Europe/Berlim\" is not known"));
    assert!(error(config("0 0 * *", "UTC")).contains("0 0 * *"));
    assert!(!error(ScheduleConfig { until: Some("soon".into()), ..config("@daily", "UTC") }).is_empty());
}
