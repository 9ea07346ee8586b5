//! One case for every policy.

use std::collections::BTreeMap;

use super::*;
use crate::config::{Missed, Overlap, ScheduleConfig, Span};
use crate::engine::schedule::entry::End;
use crate::engine::schedule::note::Note;

pub(super) const GRACE: TimeDelta = TimeDelta::seconds(90);

/// Returns a schedule of an hourly run.
pub(super) fn hourly() -> ScheduleConfig {
    ScheduleConfig {
        cron: "0 * * * *".into(),
        zone: "UTC".into(),
        overlap: Overlap::Skip,
        missed: Missed::Skip,
        quiet: Vec::new(),
        until: None,
        duration: None,
        runs: None,
    }
}

/// Returns an instant of the first days of 2026.
pub(super) fn at(day: u32, time: &str) -> DateTime<Utc> {
    format!("2026-01-{day:02}T{time}Z").parse().unwrap()
}

/// Returns a timetable that counts from the first midnight.
fn table<const N: usize>(schedules: [(&str, ScheduleConfig); N]) -> Timetable {
    let schedules = schedules.into_iter().map(|(name, config)| (name.into(), config)).collect();
    Timetable::new(&schedules, State::new(), at(1, "00:00:00"), GRACE).unwrap()
}

/// Looks, and returns what begins.
fn starts(table: &mut Timetable, day: u32, time: &str, busy: bool) -> Option<String> {
    table.due(at(day, time), busy).start
}

/// Returns runs, skipped runs, and whether one waits.
fn counts(table: &Timetable) -> (u64, u64, bool) {
    let status = &table.status()[0];
    (status.runs, status.skipped, status.queued)
}

#[test]
fn a_run_begins_once_when_it_is_due() {
    let mut table = table([("soak", hourly())]);
    assert_eq!(table.next_looks(), [("soak".into(), at(1, "01:00:00"))]);
    assert_eq!(table.due(at(1, "00:59:59"), false), Decision::default());
    assert_eq!(starts(&mut table, 1, "01:00:00", false).as_deref(), Some("soak"));
    assert_eq!(table.due(at(1, "01:00:00"), false), Decision::default());
    assert_eq!(table.due(at(1, "01:30:00"), false), Decision::default());
    // A late timer is as good.
    assert_eq!(starts(&mut table, 1, "02:01:20", false).as_deref(), Some("soak"));
    assert_eq!(counts(&table), (2, 0, false));
    assert_eq!(table.status()[0].next_ms, Some(at(1, "03:00:00").timestamp_millis()));
    assert!(!table.exhausted());
}

#[test]
fn while_a_run_is_under_way_the_next_one_is_skipped() {
    let mut table = table([("soak", hourly())]);
    let skipped = table.due(at(1, "01:00:00"), true);
    assert_eq!(skipped.start, None);
    assert_eq!(
        skipped.notes[0].to_string(),
        "schedule soak: one run does not take place because another run was under way"
    );
    assert_eq!(starts(&mut table, 1, "01:10:00", false), None);
    assert_eq!(counts(&table), (0, 1, false));
}

#[test]
fn while_a_run_is_under_way_one_waits_if_it_may() {
    let mut table = table([("soak", ScheduleConfig { overlap: Overlap::Queue, ..hourly() })]);
    assert_eq!(table.due(at(1, "01:00:00"), true).notes.len(), 1);
    assert!(table.status()[0].queued);
    assert_eq!(starts(&mut table, 1, "02:00:00", true), None);
    assert_eq!(counts(&table), (0, 1, true));
    assert_eq!(starts(&mut table, 1, "02:20:00", false).as_deref(), Some("soak"));
    assert_eq!(starts(&mut table, 1, "02:21:00", false), None);
    assert_eq!(counts(&table), (1, 1, false));
}

#[test]
fn after_down_time_runs_are_skipped_or_made_up_for_once() {
    for (missed, expected) in [(Missed::Skip, None), (Missed::Once, Some("soak"))] {
        let schedules = BTreeMap::from([("soak".into(), ScheduleConfig { missed, ..hourly() })]);
        let stored = table([("soak", hourly())]).state().clone();
        let stored = serde_json::from_str(&serde_json::to_string(&stored).unwrap()).unwrap();
        let mut table = Timetable::new(&schedules, stored, at(3, "00:30:00"), GRACE).unwrap();
        assert_eq!(starts(&mut table, 3, "00:30:00", false).as_deref(), expected);
        assert_eq!(starts(&mut table, 3, "00:31:00", false), None);
        let (runs, skipped, queued) = counts(&table);
        assert_eq!((runs + skipped, queued), (48, false));
        assert_eq!(starts(&mut table, 3, "01:00:00", false).as_deref(), Some("soak"));
    }
}

#[test]
fn a_run_that_is_due_when_soakd_comes_back_is_the_only_one() {
    for missed in [Missed::Skip, Missed::Once] {
        let config = ScheduleConfig { missed, overlap: Overlap::Queue, ..hourly() };
        let mut table = table([("soak", config)]);
        let decision = table.due(at(2, "00:00:10"), false);
        assert_eq!(decision.start.as_deref(), Some("soak"));
        assert!(!decision.notes.iter().any(|note| matches!(note, Note::Waits { .. })), "{decision:?}");
        assert_eq!(counts(&table), (1, 23, false));
    }
}

#[test]
fn runs_in_quiet_hours_are_skipped_or_begin_when_they_end() {
    let quiet = || ScheduleConfig { quiet: vec!["01:30-04:15".into()], ..hourly() };
    let mut skips = table([("soak", quiet())]);
    for time in ["02:00:00", "03:00:00", "04:00:00", "04:15:00"] {
        assert_eq!(starts(&mut skips, 1, time, false), (time == "01:00:00").then(|| "soak".into()));
    }
    let mut waits = table([("soak", ScheduleConfig { missed: Missed::Once, ..quiet() })]);
    assert_eq!(starts(&mut waits, 1, "01:00:00", false).as_deref(), Some("soak"));
    assert_eq!(waits.status()[0].next_ms, Some(at(1, "04:15:00").timestamp_millis()));
    assert_eq!(starts(&mut waits, 1, "02:00:00", false), None);
    assert_eq!(waits.next_looks()[0].1, at(1, "03:00:00"));
    assert_eq!(starts(&mut waits, 1, "03:00:00", false), None);
    assert_eq!(starts(&mut waits, 1, "04:00:00", false), None);
    assert_eq!(waits.next_looks()[0].1, at(1, "04:15:00"));
    assert_eq!(starts(&mut waits, 1, "04:15:00", false).as_deref(), Some("soak"));
    assert_eq!(counts(&waits), (2, 2, false));
    // One that waited for another run until the quiet hours began.
    let mut late = table([("soak", ScheduleConfig { overlap: Overlap::Queue, ..quiet() })]);
    assert_eq!(starts(&mut late, 1, "01:00:00", true), None);
    assert_eq!(starts(&mut late, 1, "01:31:00", false), None);
    assert_eq!(counts(&late), (0, 1, false));
}

#[test]
fn a_schedule_ends_by_date_by_time_and_by_count() {
    let config = |until: Option<&str>, duration: Option<&str>, runs| ScheduleConfig {
        until: until.map(str::to_owned),
        duration: duration.map(|text| Span::parse(text).unwrap()),
        runs,
        ..hourly()
    };
    for (config, begun, end) in [
        (config(None, None, Some(3)), 3, End::Runs),
        (config(None, Some("1d"), None), 24, End::Duration),
        (config(Some("2026-01-01T05:00:00Z"), None, None), 5, End::Until),
        (config(Some("2026-01-01"), None, None), 23, End::Until),
        (config(Some("2026-01-01"), Some("12h"), Some(20)), 12, End::Duration),
    ] {
        let mut table = table([("soak", config)]);
        let hours = (0..60).map(|hour| table.due(at(1, "00:00:00") + TimeDelta::hours(hour), false));
        let decisions: Vec<_> = hours.collect();
        assert_eq!(decisions.iter().filter(|decision| decision.start.is_some()).count(), begun, "{end:?}");
        let notes: Vec<_> = decisions.into_iter().flat_map(|decision| decision.notes).collect();
        assert_eq!(notes, [Note::Ended { schedule: "soak".into(), end }]);
        assert!(table.exhausted() && table.next_looks().is_empty());
        assert_eq!(table.status()[0].next_ms, None);
        assert!(table.trigger(None, at(3, "12:00:00")).unwrap_err().contains("has ended"));
    }
}

#[test]
fn schedules_that_are_due_together_begin_in_order() {
    let queue = || ScheduleConfig { overlap: Overlap::Queue, ..hourly() };
    let mut table = table([("a", queue()), ("b", hourly()), ("c", queue())]);
    assert_eq!(starts(&mut table, 1, "01:00:00", false).as_deref(), Some("a"));
    assert_eq!(starts(&mut table, 1, "01:20:00", false).as_deref(), Some("c"));
    assert_eq!(starts(&mut table, 1, "01:40:00", false), None);
    let skipped: Vec<_> = table.status().iter().map(|status| status.skipped).collect();
    assert_eq!(skipped, [0, 1, 0]);
    // What waited goes before what is due now.
    assert_eq!(starts(&mut table, 1, "02:00:00", true), None);
    assert_eq!(starts(&mut table, 1, "03:00:00", false).as_deref(), Some("a"));
    assert_eq!(starts(&mut table, 1, "03:10:00", false).as_deref(), Some("c"));
    assert_eq!(starts(&mut table, 1, "03:20:00", false).as_deref(), Some("a"));
}

#[test]
fn a_run_begins_when_somebody_asks_for_it() {
    let quiet = ScheduleConfig { quiet: vec!["00:00-24:00".into()], ..hourly() };
    let mut table = table([("a", hourly()), ("z", quiet)]);
    let now = at(1, "00:10:00");
    assert!(table.trigger(None, now).unwrap_err().contains("name one of a, z"));
    assert!(table.trigger(Some("nightly"), now).unwrap_err().contains("there are a, z"));
    assert_eq!(table.trigger(Some("z"), now).as_deref(), Ok("z"));
    assert_eq!(table.trigger(Some("z"), now).as_deref(), Ok("z"));
    assert_eq!(starts(&mut table, 1, "00:10:01", true), None);
    assert_eq!(starts(&mut table, 1, "01:00:00", false).as_deref(), Some("z"));
    assert_eq!(starts(&mut table, 1, "01:00:01", false), None);
    let mut none = Timetable::new(&Schedules::new(), State::new(), now, GRACE).unwrap();
    assert!(none.trigger(None, now).unwrap_err().contains("continuous"));
    assert!(none.is_empty() && !none.exhausted());
}

#[test]
fn a_reload_keeps_the_history_of_what_stays() {
    let mut table = table([("a", hourly()), ("b", hourly())]);
    table.due(at(1, "01:00:00"), false);
    let now = at(1, "01:30:00");
    let wrong = BTreeMap::from([("a".into(), ScheduleConfig { cron: "0 99 * * *".into(), ..hourly() })]);
    assert!(table.reload(&wrong, now).unwrap_err().starts_with("schedule.a: "));
    assert_eq!(table.status().len(), 2);
    let daily = ScheduleConfig { cron: "15 1 * * *".into(), runs: Some(1), ..hourly() };
    let with = |a: ScheduleConfig| BTreeMap::from([("a".into(), a), ("c".into(), hourly())]);
    table.reload(&with(daily.clone()), now).unwrap();
    assert_eq!(table.status()[0].runs, 1);
    assert_eq!(table.status()[1].runs, 0);
    // The new expression matched a quarter of an hour ago: that is no missed run.
    assert_eq!(table.due(now, false).notes, [Note::Ended { schedule: "a".into(), end: End::Runs }]);
    table.reload(&with(ScheduleConfig { runs: Some(2), ..daily }), now).unwrap();
    assert_eq!(starts(&mut table, 1, "02:00:00", false).as_deref(), Some("c"));
    assert_eq!(starts(&mut table, 2, "01:15:00", false).as_deref(), Some("a"));
}

#[test]
fn a_clock_that_is_set_back_begins_nothing_twice() {
    let mut table = table([("soak", hourly())]);
    assert!(starts(&mut table, 5, "01:00:00", false).is_some());
    assert_eq!(table.due(at(5, "00:00:01"), false), Decision::default());
    assert_eq!(table.due(at(5, "01:00:00"), false), Decision::default());
    assert!(starts(&mut table, 5, "02:00:00", false).is_some());
    // Days ahead, the clock was wrong.
    let back = table.due(at(2, "02:30:00"), false);
    assert!(matches!(back.notes[..], [Note::ClockBack { .. }]), "{back:?}");
    assert!(starts(&mut table, 2, "03:00:00", false).is_some());
}

#[test]
fn years_of_missed_seconds_are_counted_to_a_bound() {
    let mut table = table([("soak", ScheduleConfig { cron: "* * * * * *".into(), missed: Missed::Once, ..hourly() })]);
    let decision = table.due("2029-01-01T00:00:00Z".parse().unwrap(), false);
    assert_eq!(decision.start.as_deref(), Some("soak"));
    assert!(decision.notes[0].to_string().contains("at least 9999 runs"), "{:?}", decision.notes);
}

#[test]
fn a_state_that_no_clock_wrote_does_no_harm() {
    let config = || ScheduleConfig { missed: Missed::Once, quiet: vec!["02:00-03:00".into()], ..hourly() };
    for ms in [i64::MIN, -1, 0, i64::MAX / 1_000_000, i64::MAX] {
        let mut table = table([("soak", config())]);
        let mut stored = table.state().clone();
        let history = stored.get_mut("soak").unwrap();
        (history.seen_ms, history.first_ms, history.last_ms) = (ms, Some(ms), Some(ms));
        (history.runs, history.skipped) = (u64::MAX, u64::MAX);
        history.waiting = Some(Waiting { since_ms: ms, because: Because::Overlap });
        table = Timetable { state: stored, ..table };
        assert_eq!(starts(&mut table, 1, "00:10:00", false).as_deref(), Some("soak"), "{ms}");
        assert_eq!(starts(&mut table, 1, "00:11:00", false), None, "{ms}");
        // A jump ahead is down-time, however long: one run makes up for it.
        assert_eq!(table.due(DateTime::<Utc>::MAX_UTC, false).start.as_deref(), Some("soak"), "{ms}");
        table.status();
        table.next_looks();
    }
}
