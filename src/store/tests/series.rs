//! Series keep what is recent finely and what is old coarsely, in a file of bounded size.

use super::telling::{a_store, policy};
use super::*;
use crate::model::series::{Moment, NAMES_MAX};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// A full hour.
const START: i64 = 1_760_400_000_000;

#[test]
fn old_points_become_coarser_and_keep_their_extremes() {
    let (dir, mut store) = a_store(policy(&[]));
    store.durability = Durability::None;
    let end = START + 5 * DAY;
    // One sample in 20 s for five days; 7 once, everything else 1.
    for at_ms in (START..end).step_by(20_000) {
        let value = if at_ms == START + 30 * MINUTE { 7.0 } else { 1.0 };
        store.record_series(at_ms, &[("daemon.rss", value), ("disk.free", 5.0)]).unwrap();
    }
    assert_eq!(store.series_names().unwrap(), ["daemon.rss", "disk.free"]);
    let all = store.series("daemon.rss", 0, i64::MAX).unwrap();
    assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0), "each time is there once, in order");
    assert_eq!((all[0].0, all[0].2, all[0].3), (START, 1.0, 7.0));
    assert!((all[0].1 - (179.0 + 7.0) / 180.0).abs() < 1e-9, "{:?}", all[0]);
    let steps = |from_ms, until_ms, step_ms: i64| {
        let some = store.series("daemon.rss", from_ms, until_ms).unwrap();
        assert!(!some.is_empty() && some.windows(2).all(|pair| pair[1].0 - pair[0].0 == step_ms), "{from_ms}");
        some.len() as i64
    };
    assert_eq!(steps(START, START + DAY, 60 * MINUTE), 24);
    assert_eq!(steps(end - 2 * DAY, end - DAY, MINUTE), 24 * 60);
    assert_eq!(steps(end - 5 * MINUTE, end, 20_000), 15);
    assert_eq!(store.series("nobody", 0, i64::MAX).unwrap(), []);
    // What is kept does not grow: a day more adds 24 points.
    let before = all.len();
    for at_ms in (end..end + DAY).step_by(20_000) {
        store.record_series(at_ms, &[("daemon.rss", 1.0)]).unwrap();
    }
    assert_eq!(store.series("daemon.rss", 0, i64::MAX).unwrap().len(), before + 24);
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.series("daemon.rss", 0, i64::MAX).unwrap().len(), before + 24);
}

#[test]
fn names_are_bounded_and_bad_values_left_out() {
    let (_dir, mut store) = a_store(policy(&[]));
    for n in 0..NAMES_MAX {
        store.record_series(START, &[(&format!("name{n}"), 1.0)]).unwrap();
    }
    let error = store.record_series(START, &[("name1", 2.0), ("one-more", 1.0)]).unwrap_err();
    assert!(!error.is_fatal() && error.to_string().contains("256 are kept"), "{error}");
    assert_eq!(store.series("name1", 0, i64::MAX).unwrap()[0].3, 2.0, "what fits is kept all the same");
    assert_eq!(store.series("one-more", 0, i64::MAX).unwrap(), []);
    assert!(matches!(store.record_series(START, &[("a\0b", 1.0)]), Err(StoreError::BadName { .. })));
    assert!(matches!(store.record_series(START, &[(&"n".repeat(101), 1.0)]), Err(StoreError::BadName { .. })));
    store.record_series(START + 1, &[("name1", f64::NAN), ("name2", f64::INFINITY)]).unwrap();
    assert_eq!(store.series("name1", 0, i64::MAX).unwrap(), [(START, 1.5, 1.0, 2.0)]);
}

#[test]
fn a_clock_that_is_set_back_leaves_no_wrong_future() {
    let (_dir, mut store) = a_store(policy(&[]));
    store.record_series(START, &[("a", 1.0)]).unwrap();
    store.record_series(START + 400 * DAY, &[("a", 2.0)]).unwrap();
    store.record_series(START + MINUTE, &[("a", 3.0)]).unwrap();
    store.record_series(START + MINUTE - 5_000, &[("a", 4.0)]).unwrap();
    let points: Vec<_> = store.series("a", 0, i64::MAX).unwrap().iter().map(|p| (p.0, p.1)).collect();
    // A small step back adds to the last point.
    assert_eq!(points.last(), Some(&(START + MINUTE, 3.5)));
    assert!(points.iter().all(|(at_ms, _)| *at_ms <= START + MINUTE), "{points:?}");
}

#[test]
fn many_moments_in_one_commit_are_kept_as_if_each_had_its_own() {
    let (_one, mut single) = a_store(policy(&[]));
    let (_two, mut batched) = a_store(policy(&[]));
    (single.durability, batched.durability) = (Durability::None, Durability::None);
    let moments: Vec<Moment> = (0..900)
        .map(|n| Moment { at_ms: START + n * 1_000, values: vec![("a".into(), n as f64), ("b".into(), -(n as f64))] })
        .collect();
    for moment in &moments {
        single.record_series(moment.at_ms, &[("a", moment.values[0].1), ("b", moment.values[1].1)]).unwrap();
    }
    for some in moments.chunks(37) {
        batched.record_moments(some).unwrap();
    }
    for name in ["a", "b"] {
        let points = batched.series(name, 0, i64::MAX).unwrap();
        assert_eq!(points, single.series(name, 0, i64::MAX).unwrap());
        assert!(points.len() > 600 && points.last().unwrap().0 == START + 899_000);
    }
    batched.record_moments(&[]).unwrap();
}
