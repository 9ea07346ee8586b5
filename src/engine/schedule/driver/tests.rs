//! Real timers in real time.

use std::collections::BTreeMap;

use super::*;
use crate::config::ScheduleConfig;
use crate::engine::schedule::{State, Timetable};

fn schedule(cron: &str) -> ScheduleConfig {
    ScheduleConfig {
        cron: cron.into(),
        zone: "UTC".into(),
        overlap: Default::default(),
        missed: Default::default(),
        quiet: Vec::new(),
        until: None,
        duration: None,
        runs: None,
    }
}

/// Does what a daemon does until so many runs have begun; each ends at once. Returns when it began itself, when they did, and
/// the names that timers, not looks, brought.
async fn live(clock: Clock, cron: &str, wanted: usize) -> (Timetable, DateTime<Utc>, Vec<DateTime<Utc>>, usize) {
    let schedules = BTreeMap::from([("soak".into(), schedule(cron))]);
    let from = clock.now();
    let mut table = Timetable::new(&schedules, State::new(), from, grace(clock)).unwrap();
    let mut driver = Driver::start(clock).await.unwrap();
    let (mut begun, mut named) = (Vec::new(), 0);
    while begun.len() < wanted {
        driver.arm(&table.next_looks()).await.unwrap();
        if let Wake::Due(name) = driver.fired().await {
            assert_eq!(name, "soak");
            named += 1;
        }
        let now = clock.now();
        if table.due(now, false).start.is_some() {
            begun.push(now);
        }
    }
    driver.close().await.unwrap();
    (table, from, begun, named)
}

#[tokio::test]
async fn timers_begin_every_run_once() {
    let (table, _, begun, named) = live(Clock::default(), "* * * * * *", 4).await;
    // In this time there was one look, at the beginning.
    assert!(named >= 3, "{named} of {begun:?}");
    let seconds: Vec<_> = begun.iter().map(DateTime::timestamp).collect();
    assert!(seconds.is_sorted_by(|a, b| a < b), "{seconds:?}");
    assert_eq!(table.status()[0].runs, 4);
}

#[tokio::test]
async fn in_faster_time_no_minute_is_lost_and_none_begins_twice() {
    let clock = Clock::fast(Utc::now().timestamp_millis(), 60);
    let (table, from, begun, _) = live(clock, "0 * * * * *", 5).await;
    let minutes: Vec<_> = begun.iter().map(|at| at.timestamp() / 60).collect();
    assert!(minutes.is_sorted_by(|a, b| a < b), "{minutes:?}");
    let status = &table.status()[0];
    let due = minutes[4] - from.timestamp() / 60;
    assert_eq!(status.runs + status.skipped, due.unsigned_abs());
}

#[tokio::test]
async fn an_instant_can_be_moved_and_taken_away() {
    let clock = Clock::default();
    let mut driver = Driver::start(clock).await.unwrap();
    assert_eq!(driver.fired().await, Wake::Look);
    let now = clock.now();
    let (later, far) = (now + TimeDelta::hours(1), now + TimeDelta::days(30));
    driver.arm(&[("a".into(), far), ("b".into(), later), ("c".into(), later)]).await.unwrap();
    let id = driver.armed["a"].1;
    driver.arm(&[("a".into(), far), ("c".into(), now)]).await.unwrap();
    assert_eq!(driver.armed["a"].1, id);
    assert_eq!(driver.fired().await, Wake::Due("c".into()));
    assert_eq!(driver.armed.keys().collect::<Vec<_>>(), ["a"]);
    driver.close().await.unwrap();
}

#[tokio::test]
async fn a_timer_that_fires_too_early_is_a_look_only() {
    let clock = Clock::default();
    let mut driver = Driver::start(clock).await.unwrap();
    assert_eq!(driver.fired().await, Wake::Look);
    let later = clock.now() + TimeDelta::hours(1);
    driver.arm(&[("soak".into(), later)]).await.unwrap();
    driver.tx.send(("soak".into(), later)).await.unwrap();
    assert_eq!(driver.fired().await, Wake::Look);
    // It is set again.
    driver.arm(&[("soak".into(), later)]).await.unwrap();
    assert!(driver.armed.contains_key("soak"));
    driver.close().await.unwrap();
}

#[tokio::test]
async fn a_timer_that_is_lost_is_noticed_and_set_anew() {
    let clock = Clock::default();
    let mut driver = Driver::start(clock).await.unwrap();
    assert_eq!(driver.fired().await, Wake::Look);
    let long_ago = clock.now() - TimeDelta::minutes(1);
    driver.arm(&[("soak".into(), long_ago)]).await.unwrap();
    // Its scheduler ends with everything in it.
    driver.timer.runtime.take().unwrap().shutdown_background();
    driver.arm(&[("soak".into(), long_ago)]).await.unwrap();
    assert_eq!(driver.fired().await, Wake::Due("soak".into()));
    // One that ends later is noticed when the next instant is to be set.
    driver.timer.runtime.take().unwrap().shutdown_background();
    driver.arm(&[("soak".into(), clock.now())]).await.unwrap();
    assert_eq!(driver.fired().await, Wake::Due("soak".into()));
    driver.close().await.unwrap();
}

#[test]
fn what_is_late_depends_on_how_fast_time_is() {
    assert_eq!(grace(Clock::default()), TimeDelta::seconds(123));
    let fast = grace(Clock::fast(0, 1008));
    assert!(fast > TimeDelta::minutes(30) && fast < TimeDelta::hours(2), "{fast}");
    let _ = grace(Clock::fast(0, u32::MAX));
}
