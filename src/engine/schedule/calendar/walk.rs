//! The calendar against a slow walk through every minute around every change of offset.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::tests::{calendar, utc};

const MINUTE: TimeDelta = TimeDelta::minutes(1);

const ZONES: [Tz; 14] = [
    Tz::UTC,
    Tz::Europe__Berlin,
    Tz::Europe__Lisbon,
    Tz::America__New_York,
    Tz::America__Sao_Paulo,
    Tz::America__St_Johns,
    Tz::Australia__Lord_Howe,
    Tz::Pacific__Apia,
    Tz::Pacific__Chatham,
    Tz::Asia__Kathmandu,
    Tz::Asia__Tehran,
    Tz::Africa__Casablanca,
    Tz::Africa__Juba,
    Tz::Antarctica__Troll,
];

/// An expression as sets, so that the walk needs no parser.
#[derive(Debug, Clone)]
struct Spec {
    minutes: (String, BTreeSet<u32>),
    hours: (String, BTreeSet<u32>),
    days: Option<u32>,
    weekday: Option<u32>,
}

impl Spec {
    fn text(&self) -> String {
        let or_star = |value: Option<u32>| value.map_or("*".into(), |value| value.to_string());
        format!("{} {} {} * {}", self.minutes.0, self.hours.0, or_star(self.days), or_star(self.weekday))
    }

    fn rhythm(&self) -> bool {
        self.hours.0.contains(['*', '/'])
    }

    fn matches(&self, wall: NaiveDateTime) -> bool {
        let day = self.days.map(|day| day == wall.day());
        let weekday = self.weekday.map(|day| day == wall.weekday().num_days_from_sunday());
        self.minutes.1.contains(&wall.minute())
            && self.hours.1.contains(&wall.hour())
            && match (day, weekday) {
                (Some(day), Some(weekday)) => day || weekday,
                (one, other) => one.or(other).unwrap_or(true),
            }
    }
}

/// Draws one field: `*`, a step, a stepped range, a range or a list.
fn field(rng: &mut ChaCha8Rng, max: u32, near: u32) -> (String, BTreeSet<u32>) {
    let step = rng.random_range(2..=max / 2);
    let low = near.saturating_sub(rng.random_range(0..3));
    let high = (near + rng.random_range(0..4)).min(max);
    match rng.random_range(0..8) {
        0 => ("*".into(), (0..=max).collect()),
        1 => (format!("*/{step}"), (0..=max).step_by(step as usize).collect()),
        2 => (format!("{low}-{max}/{step}"), (low..=max).step_by(step as usize).collect()),
        3 => (format!("{low}-{high}"), (low..=high).collect()),
        4 => (format!("{low},{high}"), [low, high].into()),
        5 => {
            let any = rng.random_range(0..=max);
            (any.to_string(), [any].into())
        }
        _ => (near.to_string(), [near].into()),
    }
}

fn spec(rng: &mut ChaCha8Rng, wall: NaiveDateTime) -> Spec {
    let near_minute = rng.random_range(0..60);
    // Around a change of half an hour or two hours, all of these hours matter.
    let near_hour = (wall.hour() + 24 + rng.random_range(0..5) - 2) % 24;
    Spec {
        minutes: field(rng, 59, near_minute),
        hours: field(rng, 23, near_hour),
        days: rng.random_bool(0.2).then_some(wall.day()),
        weekday: rng.random_bool(0.2).then_some(wall.weekday().num_days_from_sunday()),
    }
}

/// The first minutes of new offsets from 2020 through 2037.
fn transitions(zone: Tz) -> Vec<DateTime<Utc>> {
    let wall = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local() - at.naive_utc();
    let (mut at, end) = (utc("2020-01-01T00:00:00Z"), utc("2038-01-01T00:00:00Z"));
    let mut found = Vec::new();
    while at < end {
        let hour = at + TimeDelta::hours(1);
        if wall(at) != wall(hour) {
            let first = (1..=60).map(|minute| at + TimeDelta::minutes(minute)).find(|next| wall(*next) != wall(at));
            found.extend(first);
        }
        at = hour;
    }
    found
}

/// Walks every real minute from one instant to another and returns those in which a run begins.
fn walked(spec: &Spec, zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let wall_at = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local();
    let mut seen = BTreeSet::new();
    // The clock that nobody put forward, for as long as the other one is ahead of where it jumped to.
    let mut kept: Option<(TimeDelta, DateTime<Utc>)> = None;
    let mut found = Vec::new();
    let mut before = wall_at(from - MINUTE);
    let mut at = from;
    while at < to {
        let wall = wall_at(at);
        let skipped = wall - before - MINUTE;
        if skipped > TimeDelta::zero() {
            kept = Some((before + MINUTE - at.naive_utc(), at + skipped));
        }
        let fires = if spec.rhythm() {
            let old = kept.filter(|(_, end)| at < *end).map(|(offset, _)| at.naive_utc() + offset);
            spec.matches(wall) || old.is_some_and(|wall| spec.matches(wall))
        } else {
            let lost = (0..skipped.num_minutes()).any(|n| spec.matches(before + MINUTE + TimeDelta::minutes(n)));
            lost || (spec.matches(wall) && !seen.contains(&wall))
        };
        if fires {
            found.push(at);
        }
        seen.insert(wall);
        before = wall;
        at += MINUTE;
    }
    found
}

/// Holds the calendar against the walk around one change.
fn compare(spec: &Spec, zone: Tz, change: DateTime<Utc>, hours: i64) {
    let (from, to) = (change - TimeDelta::hours(hours), change + TimeDelta::hours(hours));
    let calendar = calendar(&spec.text(), zone.name());
    let mut found = Vec::new();
    let mut at = from - MINUTE;
    while let Some(next) = calendar.next_after(at) {
        assert!(next > at, "{} in {zone}: {next} is not after {at}", spec.text());
        if next >= to {
            break;
        }
        found.push(next);
        at = next;
    }
    assert_eq!(found, walked(spec, zone, from, to), "{} in {zone} around {change}", spec.text());
    // From any second, the next instant is the next one of the walk.
    for shift in [-1801, -61, -1, 0, 1, 899, 1800, 3601] {
        let after = change + TimeDelta::seconds(shift);
        let expected = found.iter().find(|next| **next > after);
        let next = calendar.next_after(after).filter(|next| *next < to);
        assert_eq!(next.as_ref(), expected, "{} in {zone} after {after}", spec.text());
    }
}

#[test]
fn around_every_change_of_offset_no_run_is_lost_and_none_begins_twice() {
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    let mut changes = 0;
    for zone in ZONES {
        for change in transitions(zone) {
            changes += 1;
            let wall = (change - MINUTE).with_timezone(&zone).naive_local();
            for _ in 0..4 {
                compare(&spec(&mut rng, wall), zone, change, 8);
            }
            compare(&spec(&mut rng, wall), zone, change, 30);
        }
    }
    assert!(changes > 250, "only {changes} changes were found");
}

#[test]
fn a_daily_run_takes_place_once_on_every_day_of_every_zone() {
    for zone in ZONES {
        for text in ["30 2 * * *", "0 0 * * *", "15 1 * * *", "59 23 * * *"] {
            let calendar = calendar(text, zone.name());
            let (mut at, end) = (utc("2020-01-01T12:00:00Z"), utc("2038-01-01T00:00:00Z"));
            let mut day = at.with_timezone(&zone).date_naive();
            while at < end {
                let next = calendar.next_after(at).unwrap();
                let next_day = next.with_timezone(&zone).date_naive();
                let due = if at == utc("2020-01-01T12:00:00Z") { next_day } else { day.succ_opt().unwrap() };
                assert_eq!(next_day, due, "{text} in {zone}");
                (at, day) = (next, next_day);
            }
        }
    }
}

#[test]
fn an_hourly_run_takes_place_every_hour() {
    for zone in ZONES {
        // There, half an hour is skipped: one of the pauses is shorter.
        let least = if zone == Tz::Australia__Lord_Howe { 1800 } else { 3600 };
        let calendar = calendar("30 * * * *", zone.name());
        let mut at = calendar.next_after(utc("2020-01-01T12:00:00Z")).unwrap();
        while at < utc("2038-01-01T00:00:00Z") {
            let next = calendar.next_after(at).unwrap();
            assert!((least..=3600).contains(&(next - at).num_seconds()), "{at} then {next} in {zone}");
            at = next;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_expression_at_any_change_agrees_with_the_walk(seed: u64, zone in 0..ZONES.len(), pick: prop::sample::Index) {
        let zone = ZONES[zone];
        let changes = transitions(zone);
        let change = if changes.is_empty() { utc("2026-03-29T01:00:00Z") } else { changes[pick.index(changes.len())] };
        let wall = (change - MINUTE).with_timezone(&zone).naive_local();
        compare(&spec(&mut ChaCha8Rng::seed_from_u64(seed), wall), zone, change, 27);
    }

    #[test]
    fn no_expression_and_no_instant_makes_it_panic(text in "[0-9*/,LW#-]{1,4}( [0-9*/,LW#?-]{1,4}){4,5}", at: i64) {
        let Some(at) = DateTime::from_timestamp_millis(at >> 16) else { return Ok(()) };
        let config = super::tests::config(&text, "America/New_York");
        if let Ok(calendar) = super::Calendar::new(&config) {
            prop_assert!(calendar.next_after(at).is_none_or(|next| next > at));
            prop_assert!(calendar.next_after(DateTime::<Utc>::MAX_UTC).is_none());
            prop_assert!(calendar.next_after(DateTime::<Utc>::MIN_UTC).is_none());
        }
    }
}
