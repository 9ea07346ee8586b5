//! What holds for every series.

use proptest::prelude::*;

use super::super::*;
use super::{limits, noise};

/// Series with a little of everything: gaps, two instants alike, several lives.
fn some_series() -> impl Strategy<Value = Vec<Sample>> {
    let sample = (0i64..2_000, -50.0f64..50.0, 0u32..3).prop_map(|(minute, value, epoch)| Sample {
        at_ms: minute * 60_000,
        value,
        epoch,
    });
    proptest::collection::vec(sample, 0..120)
}

/// Series with every oddity that numbers can have.
fn odd_series() -> impl Strategy<Value = Vec<Sample>> {
    let at_ms = prop_oneof![any::<i64>(), 0i64..1000, Just(i64::MIN), Just(i64::MAX)];
    let value = prop_oneof![any::<f64>(), -1.0f64..1.0, Just(f64::NAN), Just(f64::INFINITY), Just(0.0), Just(1e300)];
    let sample =
        (at_ms, value, any::<u32>()).prop_map(|(at_ms, value, epoch)| Sample { at_ms, value, epoch: epoch % 4 });
    proptest::collection::vec(sample, 0..80)
}

fn near(a: f64, b: f64, scale: f64) -> bool {
    (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6 * scale.abs().max(1e-9)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_it_panic(samples in odd_series(), limit in any::<f64>(), alpha in any::<f64>()) {
        let limits = Limits { slope_per_h: limit, step: limit, ceiling: Some(limit), alpha };
        let trend = examine(&samples, &limits);
        prop_assert!(!trend.why.is_empty());
        prop_assert!(trend.p.is_nan() || (0.0..=1.0).contains(&trend.p));
        let (rest, coefficient) = explained(&samples, &samples, limit);
        prop_assert!(rest.len() == samples.len() && coefficient >= 0.0);
    }

    #[test]
    fn intervals_hold_their_slope(samples in some_series()) {
        let trend = examine(&samples, &limits());
        if trend.slope_per_h.is_finite() {
            prop_assert!(trend.slope_low <= trend.slope_per_h && trend.slope_per_h <= trend.slope_high);
            prop_assert!((0.0..=1.0).contains(&trend.p) && trend.effective >= 0.0);
            prop_assert!(trend.detectable_per_h >= limits().slope_per_h);
        }
        prop_assert!(trend.samples_used <= trend.samples && trend.samples <= samples.len());
        prop_assert!(trend.line.iter().all(|part| part.from_ms <= part.until_ms));
    }

    #[test]
    fn the_order_of_samples_is_of_no_importance(samples in some_series()) {
        let mut turned = samples.clone();
        turned.reverse();
        let (a, b) = (examine(&samples, &limits()), examine(&turned, &limits()));
        prop_assert_eq!(a.why, b.why);
        prop_assert_eq!(a.outcome, b.outcome);
    }

    #[test]
    fn a_shift_changes_no_slope(samples in some_series(), up in -100.0f64..100.0, later in 0i64..1_000_000_000) {
        let moved: Vec<Sample> = samples
            .iter()
            .map(|sample| Sample { at_ms: sample.at_ms + later, value: sample.value + up, ..*sample })
            .collect();
        let (a, b) = (examine(&samples, &limits()), examine(&moved, &limits()));
        prop_assert!(near(a.slope_per_h, b.slope_per_h, a.slope_high - a.slope_low), "{} {}", a.why, b.why);
    }

    #[test]
    fn ranks_turn_with_the_sign_and_with_time(values in proptest::collection::vec(-9.0f64..9.0, 2..60), factor in 0.1f64..10.0) {
        let at: Vec<f64> = (0..values.len()).map(|i| i as f64).collect();
        let whole = std::slice::from_ref(&(0..values.len())).to_vec();
        let slope = rank::theil_sen(&at, &values, &whole).expect("a slope");
        let changed = |f: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..values.len()).map(f).collect() };
        let last = values.len() - 1;
        let both = changed(&|i| -values[last - i]);
        prop_assert!((rank::theil_sen(&at, &both, &whole).expect("a slope") - slope).abs() < 1e-9);
        let scaled = changed(&|i| factor * values[i] + 3.0);
        prop_assert!((rank::theil_sen(&at, &scaled, &whole).expect("a slope") - factor * slope).abs() < 1e-9 * factor.max(1.0));
        let (s, reversed) = (rank::mann_kendall(&values, &whole), rank::mann_kendall(&changed(&|i| values[last - i]), &whole));
        prop_assert!((s.s + reversed.s).abs() < 1e-9 && (s.variance - reversed.variance).abs() < 1e-9);
        prop_assert!((0.0..=1.0).contains(&s.p(1.0)) && s.p(4.0) <= 1.0);
    }

    #[test]
    fn twice_the_values_grow_twice_as_fast(leak in -2.0f64..2.0, factor in 0.01f64..100.0) {
        let with = |factor: f64| -> Vec<Sample> {
            (0..72).map(|i| Sample::new(i * 600_000, factor * (60.0 + leak * i as f64 / 6.0 + noise(i)))).collect()
        };
        let scaled = Limits { slope_per_h: 0.1 * factor, ..limits() };
        let (a, b) = (examine(&with(1.0), &limits()), examine(&with(factor), &scaled));
        prop_assert!(near(a.slope_per_h * factor, b.slope_per_h, factor), "{} {}", a.why, b.why);
        prop_assert_eq!(a.outcome, b.outcome);
    }
}
