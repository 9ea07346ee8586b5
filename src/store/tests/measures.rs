//! Measures of cycles: once each, bounded, merged within a life only.

use super::*;
use crate::model::measure::{CycleMeasures, METRICS_MAX, POINTS_MAX};

fn measures(cycle: u64, life: u32) -> CycleMeasures {
    let mut measures = CycleMeasures { cycle, at_ms: cycle as i64 * 1000, ..CycleMeasures::default() };
    measures.note("rss.target", cycle as f64, life);
    measures.note("rss.target2", -(cycle as f64), 1);
    measures
}

#[test]
fn a_cycle_is_measured_once_and_metrics_are_kept_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.begin_run(&a_run(RUN, 1)).unwrap();
    for cycle in [1, 2, 2, 1, 3] {
        store.record_measures(RUN, &measures(cycle, 1)).unwrap();
    }
    let all = store.measures(RUN).unwrap();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["rss.target", "rss.target2"]);
    assert_eq!(all["rss.target"].iter().map(|p| p.mean).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
    assert_eq!(all["rss.target2"].iter().map(|p| p.mean).collect::<Vec<_>>(), [-1.0, -2.0, -3.0]);
    assert!(store.record_measures("nobody", &measures(1, 1)).is_err());
    store.forget_measures(RUN).unwrap();
    assert!(store.measures(RUN).unwrap().is_empty());
}

#[test]
fn points_are_bounded_and_stand_for_every_cycle() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.durability = redb::Durability::None;
    store.begin_run(&a_run(RUN, 1)).unwrap();
    let cycles = 3 * POINTS_MAX as u64 + 7;
    for cycle in 1..=cycles {
        store.record_measures(RUN, &measures(cycle, 1 + (cycle / 1000) as u32)).unwrap();
    }
    let all = store.measures(RUN).unwrap();
    for (name, points) in &all {
        assert!(points.len() <= POINTS_MAX && points.len() > POINTS_MAX / 4, "{name}: {}", points.len());
        assert_eq!(points.iter().map(|p| u64::from(p.samples)).sum::<u64>(), cycles, "{name}");
        assert!(points.windows(2).all(|two| two[0].cycle < two[1].cycle && two[0].at_ms < two[1].at_ms));
    }
    for point in &all["rss.target"] {
        let last = point.cycle + u64::from(point.samples) - 1;
        assert_eq!((point.cycle / 1000, point.min, point.max), (last / 1000, point.cycle as f64, last as f64));
    }
}

#[test]
fn too_many_metrics_are_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.begin_run(&a_run(RUN, 1)).unwrap();
    let mut many = CycleMeasures { cycle: 1, ..CycleMeasures::default() };
    (0..METRICS_MAX + 3).for_each(|n| many.note(format!("rss.worker-{n}"), 1.0, 1));
    store.record_measures(RUN, &many).unwrap();
    assert_eq!(store.measures(RUN).unwrap().len(), METRICS_MAX);
    assert_eq!(store.measures_left_out(RUN).unwrap(), 3);
}
