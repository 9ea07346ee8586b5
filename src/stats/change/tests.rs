//! Changes that must be found, series that have none, and laws that hold for all.

use proptest::prelude::*;

use super::super::compare::tests::Dice;
use super::*;

const ASKED: Asked = Asked { alpha: 0.01, relative: 0.05, absolute: 0.0 };

/// A series of logarithms of levels, with noise of autocorrelation `rho`.
fn series(dice: &mut Dice, rho: f64, noise: f64, levels: impl Iterator<Item = f64>) -> Vec<Point> {
    let mut state = dice.normal();
    let mut point = |(no, level): (usize, f64)| {
        state = rho * state + (1.0 - rho * rho).sqrt() * dice.normal();
        let value = 0.01 * (level + noise * state).exp();
        Point { at_ms: no as i64 * 1000, cycle: no as u64 + 1, value }
    };
    levels.enumerate().map(&mut point).collect()
}

fn step(n: usize, at: usize, size: f64) -> impl Iterator<Item = f64> {
    (0..n).map(move |no| if no < at { 0.0 } else { size })
}

#[test]
fn a_step_is_found_where_it_is() {
    let mut dice = Dice::new(42);
    let found = |(cycle, wanted): (u64, i64)| (cycle as i64 - wanted).abs() <= 3;
    let hits = (0..100)
        .filter(|_| {
            let points = series(&mut dice, 0.2, 0.03, step(100, 60, 0.12));
            let shifts = find(&points, &ASKED);
            shifts.len() == 1 && found((shifts[0].cycle, 61)) && (shifts[0].relative - 0.127).abs() < 0.06
        })
        .count();
    assert!(hits >= 95, "{hits} of 100");
    // Of a rise and its repair each is found where it is known to be looked for.
    let repaired = (0..90).map(|no| if (30..60).contains(&no) { 0.2 } else { 0.0 });
    let points = series(&mut dice, 0.2, 0.03, repaired);
    let up = at(&points, (1, 31, 61), &ASKED).unwrap();
    let down = at(&points, (31, 61, 1000), &ASKED).unwrap();
    assert!(up.relative > 0.1 && down.relative < -0.1 && down.cycle == 61, "{up:?} {down:?}");
}

#[test]
fn level_growing_and_swinging_series_have_no_step() {
    let mut dice = Dice::new(43);
    let mut alarms = |rho: f64, level: fn(f64) -> f64| {
        let told =
            |_: &i32| !find(&series(&mut dice, rho, 0.04, (0..100).map(|no| level(no as f64))), &ASKED).is_empty();
        (0..200).filter(told).count()
    };
    assert!(alarms(0.0, |_| 0.0) <= 2, "level");
    assert!(alarms(0.6, |_| 0.0) <= 4, "autocorrelated");
    assert!(alarms(0.2, |no| no * 0.004) <= 2, "growing");
    assert!(alarms(0.2, |no| 0.15 * (no / 12.0).sin()) <= 2, "swinging");
}

#[test]
fn outliers_and_short_series_have_no_step() {
    let mut dice = Dice::new(44);
    let spikes = (0..60).map(|no| if no % 17 == 3 { 2.0 } else { 0.0 });
    assert_eq!(find(&series(&mut dice, 0.0, 0.02, spikes), &ASKED), []);
    assert_eq!(find(&series(&mut dice, 0.0, 0.0, step(11, 6, 1.0)), &ASKED), []);
    let exact = find(&series(&mut dice, 0.0, 0.0, step(40, 20, 0.5)), &ASKED);
    assert_eq!(exact.iter().map(|shift| shift.cycle).collect::<Vec<_>>(), [21]);
    assert_eq!(find(&series(&mut dice, 0.0, 0.0, step(40, 20, 0.02)), &ASKED), [], "too small to matter");
    assert_eq!(find(&[], &ASKED), []);
}

#[test]
fn a_known_place_needs_fewer_values() {
    let mut dice = Dice::new(45);
    let mut told = |size: f64, at_cycle: u64| {
        let told =
            |_: &i32| at(&series(&mut dice, 0.2, 0.03, step(28, 18, size)), (1, at_cycle, 100), &ASKED).is_some();
        (0..100).filter(told).count()
    };
    assert!(told(0.2, 19) >= 90);
    assert!(told(0.0, 19) <= 2);
    assert_eq!(told(0.2, 25), 0, "only four values behind it");
    assert_eq!(told(0.2, 90), 0);
}

proptest! {
    #[test]
    fn nothing_panics_and_changes_stand_in_order(
        values in prop::collection::vec(prop_oneof![prop::num::f64::ANY, 0.0f64..3.0, Just(1.0)], 0..120),
        cycle in 0u64..130,
    ) {
        let point = |(no, value): (usize, &f64)| Point { at_ms: no as i64, cycle: no as u64, value: *value };
        let points: Vec<Point> = values.iter().enumerate().map(point).collect();
        let shifts = find(&points, &ASKED);
        prop_assert!(shifts.windows(2).all(|two| two[0].cycle < two[1].cycle));
        prop_assert!(shifts.iter().all(|shift| (0.0..=ASKED.alpha).contains(&shift.p)));
        let _ = at(&points, (0, cycle, 200), &ASKED);
    }

    #[test]
    fn the_unit_does_not_matter(seed in 1u64..u64::MAX, unit in 1e-6f64..1e6) {
        let points = series(&mut Dice::new(seed), 0.2, 0.03, step(80, 40, 0.2));
        let scaled: Vec<Point> = points.iter().map(|point| Point { value: point.value * unit, ..*point }).collect();
        let places = |points: &[Point]| find(points, &ASKED).iter().map(|shift| shift.cycle).collect::<Vec<_>>();
        prop_assert_eq!(places(&points), places(&scaled));
    }
}
