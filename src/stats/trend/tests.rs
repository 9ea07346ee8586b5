//! Planted series: what must be found and what must not, and what holds for every series.

mod bounds;
mod properties;

use super::super::corpus::{Recipe, Sampling, Shape, series};
use super::*;

const HOUR_MS: i64 = 3_600_000;

pub(super) fn limits() -> Limits {
    Limits { slope_per_h: 0.1, step: f64::INFINITY, ceiling: None, alpha: 0.01 }
}

/// Returns the noise of a sample, from -1 to 1: the same in every run of a test, and without any pattern (the finaliser of
/// SplitMix64, Steele et al. 2014).
pub(super) fn noise(i: i64) -> f64 {
    let mixed = (i as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64 * 2.0 - 1.0
}

/// A series every ten minutes, with noise.
fn every_ten_minutes(n: i64, f: impl Fn(f64) -> f64) -> Vec<Sample> {
    (0..n).map(|i| Sample::new(i * HOUR_MS / 6, f(i as f64 / 6.0) + noise(i))).collect()
}

#[test]
fn growth_is_found_and_none_is_not() {
    let grows = examine(&every_ten_minutes(144, |h| 60.0 + 0.5 * h), &limits());
    assert_eq!(grows.outcome, Outcome::Growing, "{}", grows.why);
    assert!((grows.slope_per_h - 0.5).abs() < 0.05 && grows.slope_low > 0.4 && grows.slope_high < 0.6, "{grows:?}");
    assert!(grows.p < 0.001 && grows.samples == 144 && grows.epochs == 1, "{grows:?}");
    let flat = examine(&every_ten_minutes(144, |_| 60.0), &limits());
    assert_eq!(flat.outcome, Outcome::Steady, "{}", flat.why);
    assert!(flat.detectable_per_h < 0.5 && flat.slope_low < 0.0 && flat.slope_high > 0.0);
    let falls = examine(&every_ten_minutes(144, |h| 60.0 - 2.0 * h), &limits());
    assert_eq!(falls.outcome, Outcome::Steady, "{}", falls.why);
}

#[test]
fn the_limit_is_tested_and_not_zero() {
    let samples = every_ten_minutes(144, |h| 60.0 + 0.5 * h);
    let lax = examine(&samples, &Limits { slope_per_h: 1.0, ..limits() });
    assert_eq!(lax.outcome, Outcome::Steady, "{}", lax.why);
    assert!(lax.p < 0.001, "it does grow, only slowly enough: {}", lax.p);
}

#[test]
fn too_little_is_never_steady() {
    let nothing = examine(&[], &limits());
    assert_eq!((nothing.outcome, nothing.why.as_str()), (Outcome::TooLittle, "there is no sample with a finite value"));
    for n in [1, 2, 3, 5, 10, 29] {
        let trend = examine(&every_ten_minutes(n, |_| 60.0), &limits());
        assert_eq!(trend.outcome, Outcome::TooLittle, "{n}: {}", trend.why);
    }
    // Many samples of ten minutes say nothing about hours.
    let short: Vec<Sample> = (0..600).map(|i| Sample::new(i * 1000, 60.0 + 4.0 * noise(i))).collect();
    let short = examine(&short, &limits());
    assert_eq!(short.outcome, Outcome::TooLittle, "{}", short.why);
    assert!(short.detectable_per_h > 0.5);
}

#[test]
fn a_constant_and_a_line_without_noise_are_told_apart() {
    let constant: Vec<Sample> = (0..200).map(|i| Sample::new(i * 60_000, 17.0)).collect();
    let constant = examine(&constant, &limits());
    assert_eq!((constant.outcome, constant.slope_per_h), (Outcome::Steady, 0.0), "{}", constant.why);
    let line: Vec<Sample> = (0..200).map(|i| Sample::new(i * 60_000, 17.0 + i as f64)).collect();
    let line = examine(&line, &limits());
    assert_eq!(line.outcome, Outcome::Growing, "{}", line.why);
    assert!((line.slope_per_h - 60.0).abs() < 1e-6);
}

#[test]
fn a_step_is_no_leak_and_a_leak_is_found_beside_it() {
    let step = |h: f64| if h >= 10.0 { 12.0 } else { 0.0 };
    let only = examine(&every_ten_minutes(144, |h| 60.0 + step(h)), &limits());
    assert_eq!(only.outcome, Outcome::Steady, "{}", only.why);
    assert_eq!(only.steps.len(), 1);
    assert!((only.steps[0].at_ms - 10 * HOUR_MS).abs() <= HOUR_MS / 6 && (only.steps[0].size - 12.0).abs() < 1.0);
    let judged = examine(&every_ten_minutes(144, |h| 60.0 + step(h)), &Limits { step: 8.0, ..limits() });
    assert_eq!(judged.outcome, Outcome::Stepped, "{}", judged.why);
    let both = examine(&every_ten_minutes(144, |h| 60.0 + step(h) + 0.5 * h), &Limits { step: 8.0, ..limits() });
    assert_eq!(both.outcome, Outcome::Growing, "{}", both.why);
    assert!((both.slope_per_h - 0.5).abs() < 0.1 && both.line.len() == 2);
    // A rise that went back is not lasting.
    let bump = |h: f64| if (10.0..14.0).contains(&h) { 12.0 } else { 0.0 };
    let back = examine(&every_ten_minutes(144, |h| 60.0 + bump(h)), &Limits { step: 8.0, ..limits() });
    assert_eq!(back.outcome, Outcome::Steady, "{}", back.why);
}

#[test]
fn a_leak_in_lumps_is_a_leak() {
    let lumps = examine(&every_ten_minutes(432, |h| 60.0 + 6.0 * (h / 6.0).floor()), &limits());
    assert_eq!(lumps.outcome, Outcome::Growing, "{} {:?}", lumps.why, lumps.steps);
    assert!((lumps.slope_per_h - 1.0).abs() < 0.2, "{}", lumps.why);
}

#[test]
fn a_warm_up_is_cut_off() {
    let warm = |h: f64| 60.0 - 20.0 * (-h / 2.5).exp();
    let healthy = examine(&every_ten_minutes(144, warm), &limits());
    assert_eq!(healthy.outcome, Outcome::Steady, "{}", healthy.why);
    let until_h = healthy.warm_up_until_ms.expect("a warm-up") as f64 / 3.6e6;
    assert!((5.0..10.0).contains(&until_h), "{until_h}");
    assert!(healthy.samples_used < 120);
    let leak = examine(&every_ten_minutes(144, |h| warm(h) + 0.5 * h), &limits());
    assert_eq!(leak.outcome, Outcome::Growing, "{}", leak.why);
}

#[test]
fn lives_are_never_joined() {
    let lives = |leak: f64, apart: f64| -> Vec<Sample> {
        let mut samples = every_ten_minutes(432, |_| 60.0);
        for (i, sample) in samples.iter_mut().enumerate() {
            let life = i / 144;
            sample.epoch = life as u32 + 7;
            sample.value += apart * life as f64 + leak * (i % 144) as f64 / 6.0;
        }
        samples
    };
    let rising = examine(&lives(0.0, 30.0), &limits());
    assert_eq!((rising.outcome, rising.epochs), (Outcome::Steady, 3), "{}", rising.why);
    assert!(rising.line.iter().all(|part| part.until_ms - part.from_ms <= 24 * HOUR_MS));
    let leaking = examine(&lives(0.5, -12.0), &limits());
    assert_eq!(leaking.outcome, Outcome::Growing, "{}", leaking.why);
    assert!((leaking.slope_per_h - 0.5).abs() < 0.05);
}

#[test]
fn a_saw_tooth_is_judged_by_its_troughs() {
    let tooth = |h: f64| 8.0 * (h / 3.3).fract();
    let healthy = examine(&every_ten_minutes(144, |h| 60.0 + tooth(h)), &limits());
    assert_eq!(healthy.outcome, Outcome::Steady, "{}", healthy.why);
    let length = healthy.saw_tooth.expect("a saw-tooth");
    assert!((length - 19.8).abs() < 1.5, "{length}");
    let leak = examine(&every_ten_minutes(144, |h| 60.0 + tooth(h) + 0.5 * h), &limits());
    assert_eq!(leak.outcome, Outcome::Growing, "{}", leak.why);
    assert!((leak.slope_per_h - 0.5).abs() < 0.15, "{}", leak.why);
}

#[test]
fn a_forecast_says_when_the_ceiling_is_reached() {
    let with = |leak: f64, ceiling: f64| {
        examine(&every_ten_minutes(144, |h| 60.0 + leak * h), &Limits { ceiling: Some(ceiling), ..limits() }).reaches_ms
    };
    let reaches_h = with(0.5, 180.0).expect("a forecast") as f64 / 3.6e6;
    assert!((reaches_h - 240.0).abs() < 12.0, "{reaches_h}");
    assert_eq!(with(0.5, 50.0), Some(143 * HOUR_MS / 6), "it is above already");
    assert_eq!(with(0.0, 180.0), None);
    assert_eq!(with(0.5, f64::INFINITY), None);
}

#[test]
fn what_a_cause_explains_is_taken_out_but_no_leak_beside_it() {
    let deletes = |h: f64| 1000.0 * h + 300.0 * (h / 3.0).sin();
    let cause: Vec<Sample> = (0..150).map(|i| Sample::new(i * HOUR_MS / 6, deletes(i as f64 / 6.0))).collect();
    let grown = every_ten_minutes(144, |h| 60.0 + 0.001 * deletes(h));
    assert_eq!(examine(&grown, &limits()).outcome, Outcome::Growing);
    let (rest, coefficient) = explained(&grown, &cause, 0.0012);
    assert!((coefficient - 0.001).abs() < 0.0001, "{coefficient}");
    assert_eq!(examine(&rest, &limits()).outcome, Outcome::Steady);
    let leaking = every_ten_minutes(144, |h| 60.0 + 0.001 * deletes(h) + 0.8 * h);
    let (rest, coefficient) = explained(&leaking, &cause, 0.0012);
    assert!((coefficient - 0.0012).abs() < 1e-9, "{coefficient}");
    assert_eq!(examine(&rest, &limits()).outcome, Outcome::Growing);
    // What shrinks is not explained by what only grows, and without a cause nothing is.
    assert!(explained(&every_ten_minutes(144, |h| 60.0 - h), &cause, 1.0).1 == 0.0);
    let (same, coefficient) = explained(&grown, &[], 1.0);
    assert!(coefficient == 0.0 && same == grown);
}

/// Shares of series of the corpus that are called growing must keep near what the table in the documentation says.
fn growing(shape: Shape, leak: f64, hours: f64, n: u64) -> u64 {
    let judge = |seed: u64| examine(&series(&Recipe::quiet(shape, leak, hours, seed)), &limits()).outcome;
    (1000..1000 + n).filter(|seed| judge(*seed) == Outcome::Growing).count() as u64
}

#[test]
fn leaks_are_found_in_every_shape() {
    for shape in Shape::ALL {
        let found = growing(shape, 0.5, 24.0, 20);
        assert!(found >= 17, "{}: {found} of 20", shape.name());
    }
    for shape in [Shape::Flat, Shape::SawTooth, Shape::Wander] {
        let found = growing(shape, 0.25, 72.0, 6);
        assert!(found >= 5, "{}: {found} of 6", shape.name());
    }
}

#[test]
fn healthy_shapes_raise_no_alarm() {
    for shape in Shape::ALL {
        let false_alarms = growing(shape, 0.0, 24.0, 20);
        // Once in a hundred is the goal; an allocator that never gives back is worse (the table says how much).
        let most = if shape == Shape::Ratchet { 3 } else { 1 };
        assert!(false_alarms <= most, "{}: {false_alarms} of 20", shape.name());
    }
}

#[test]
fn free_running_samples_are_thinned_and_judged() {
    let free = |leak: f64| Recipe { sampling: Sampling::Free, ..Recipe::quiet(Shape::Flat, leak, 48.0, 3) };
    let healthy = examine(&series(&free(0.0)), &limits());
    assert_eq!((healthy.outcome, healthy.samples), (Outcome::Steady, 2880), "{}", healthy.why);
    let leaking = examine(&series(&free(0.5)), &limits());
    assert_eq!(leaking.outcome, Outcome::Growing, "{}", leaking.why);
}
