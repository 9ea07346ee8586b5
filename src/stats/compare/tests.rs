//! What must be found, what must not, and laws that hold for all series.

use proptest::prelude::*;

use super::*;

/// Deviation between runs in the tests; what they are simulated with is a little less.
const BETWEEN: f64 = 0.015;

/// A source of normal values that is the same everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A run: noise with autocorrelation `rho`, a cold start, growth, and a deviation of the run as a whole.
    fn run(&mut self, cycles: u64, noise: f64, rho: f64, slower: f64) -> Vec<Point> {
        let run = self.normal() * 0.01;
        let mut state = self.normal();
        let mut point = |cycle: u64| {
            state = rho * state + (1.0 - rho * rho).sqrt() * self.normal();
            let age = cycle as f64 / cycles as f64;
            let cold = 0.5 * (-(cycle as f64)).exp();
            let value = 0.02 * slower * (run + noise * state + cold + 0.2 * age).exp();
            Point { cycle, cycles: 1, value }
        };
        (1..=cycles).map(&mut point).collect()
    }
}

fn asked() -> Asked {
    Asked { margin: 0.05, floor: 0.0, alpha: 0.05 / 20.0, between: BETWEEN, up_is_worse: true }
}

fn outcomes(seed: u64, slower: f64, cycles: u64, noise: f64) -> [usize; 4] {
    let mut dice = Dice(seed);
    let mut counts = [0; 4];
    for _ in 0..200 {
        let (a, b) = (dice.run(cycles, noise, 0.3, 1.0), dice.run(cycles, noise, 0.3, slower));
        counts[compare(&a, &b, &asked()).outcome as usize] += 1;
    }
    counts
}

#[test]
fn a_build_slower_by_a_tenth_is_worse_and_a_faster_one_better() {
    // By each of twenty metrics by itself, of which one suffices.
    let worse = outcomes(7, 1.1, 60, 0.03)[Outcome::Worse as usize];
    assert!(worse >= 180, "{worse} of 200");
    let better = outcomes(9, 1.0 / 1.1, 60, 0.03)[Outcome::Better as usize];
    assert!(better >= 180, "{better} of 200");
}

#[test]
fn two_runs_of_one_build_are_the_same() {
    for (cycles, noise) in [(20, 0.01), (60, 0.03), (200, 0.06)] {
        let counts = outcomes(11, 1.0, cycles, noise);
        assert!(counts[Outcome::Same as usize] >= 190, "{cycles} cycles: {counts:?}");
        assert!(counts[Outcome::Worse as usize] + counts[Outcome::Better as usize] <= 2, "{cycles} cycles: {counts:?}");
    }
}

#[test]
fn noise_and_too_few_cycles_cannot_tell() {
    let counts = outcomes(13, 1.0, 20, 0.3);
    assert!(counts[Outcome::CannotTell as usize] >= 190, "{counts:?}");
    let mut dice = Dice(5);
    let short = compare(&dice.run(6, 0.0, 0.0, 1.0), &dice.run(60, 0.0, 0.0, 2.0), &asked());
    assert_eq!((short.outcome, short.pairs), (Outcome::CannotTell, 5));
    assert_eq!(compare(&[], &[], &asked()).outcome, Outcome::CannotTell);
}

#[test]
fn constant_values_differ_by_what_runs_may_not() {
    let flat = |value: f64| (1..=30).map(|cycle| Point { cycle, cycles: 1, value }).collect::<Vec<_>>();
    let outcome = |a: f64, b: f64| compare(&flat(a), &flat(b), &asked()).outcome;
    assert_eq!([outcome(50.0, 50.0), outcome(50.0, 51.0)], [Outcome::Same; 2]);
    assert_eq!([outcome(50.0, 60.0), outcome(50.0, 40.0)], [Outcome::Worse, Outcome::Better]);
    assert_eq!(outcome(0.0, 0.0), Outcome::Same);
    assert_eq!(outcome(0.0, 3.0), Outcome::Worse);
}

#[test]
fn rare_errors_are_compared_by_their_mean() {
    let asked = Asked { floor: 0.05, ..asked() };
    let with = |every: u64| (1..=60).map(move |cycle| (cycle, f64::from(u8::from(every > 0 && cycle % every == 0))));
    let series = |every: u64| with(every).map(|(cycle, value)| Point { cycle, cycles: 1, value }).collect::<Vec<_>>();
    let many = compare(&series(0), &series(2), &asked);
    assert_eq!(many.outcome, Outcome::Worse, "{many:?}");
    assert!(many.shift.is_nan() && many.after > 0.4);
    assert_eq!(compare(&series(0), &series(0), &asked).outcome, Outcome::Same);
    assert_eq!(compare(&series(2), &series(2), &asked).outcome, Outcome::Same);
    assert_eq!(compare(&series(2), &series(0), &asked).outcome, Outcome::Better);
}

#[test]
fn a_known_deviation_between_runs_keeps_small_shifts_from_counting() {
    let mut dice = Dice(3);
    let (a, b) = (dice.run(200, 0.01, 0.0, 1.0), dice.run(200, 0.01, 0.0, 1.1));
    let with = |between| compare(&a, &b, &Asked { between, ..asked() });
    assert_eq!(with(0.005).outcome, Outcome::Worse);
    assert_eq!(with(0.06).outcome, Outcome::CannotTell);
    assert!(with(0.06).detectable > 0.2);
}

#[test]
fn runs_whose_cycles_were_merged_are_compared_on_common_stretches() {
    let mut dice = Dice(21);
    let a = dice.run(800, 0.03, 0.3, 1.0);
    let b: Vec<Point> = dice
        .run(800, 0.03, 0.3, 1.1)
        .chunks(4)
        .map(|four| Point { cycles: 4, value: four.iter().map(|p| p.value).sum::<f64>() / 4.0, ..four[0] })
        .collect();
    let merged = compare(&a, &b, &asked());
    assert_eq!(merged.outcome, Outcome::Worse);
    assert!(merged.pairs > 150 && (merged.shift - 0.1).abs() < 0.05, "{merged:?}");
}

#[test]
fn what_grows_in_one_run_only_is_found_whatever_its_level() {
    let mut dice = Dice(31);
    let leak = |points: Vec<Point>, whole: f64| {
        points
            .into_iter()
            .map(|p| Point { value: p.value * (1.0 + whole * p.cycle as f64 / 80.0), ..p })
            .collect::<Vec<_>>()
    };
    let mut run = |whole: f64| leak(dice.run(80, 0.01, 0.3, 1.0), whole);
    let outcomes: Vec<Outcome> = (0..20).map(|_| growth(&run(0.0), &run(0.5), &asked()).outcome).collect();
    assert!(outcomes.iter().filter(|outcome| **outcome == Outcome::Worse).count() >= 19, "{outcomes:?}");
    let healthy: Vec<Outcome> = (0..20).map(|_| growth(&run(0.5), &run(0.5), &asked()).outcome).collect();
    assert!(healthy.iter().filter(|outcome| **outcome == Outcome::Same).count() >= 19, "{healthy:?}");
}

#[test]
fn correlated_values_are_worth_fewer() {
    let mut dice = Dice(77);
    let worth = |rho: f64, dice: &mut Dice| {
        let values: Vec<f64> = dice.run(200, 0.1, rho, 1.0).iter().map(|p| p.value.ln()).collect();
        effective(&values[20..])
    };
    assert!(worth(0.9, &mut dice) < 30.0);
    assert!(worth(0.0, &mut dice) < 181.0);
}

proptest! {
    #[test]
    fn nothing_panics_and_figures_stay_in_their_bounds(
        before in prop::collection::vec((0u64..300, 0u32..40, prop::num::f64::ANY), 0..80),
        after in prop::collection::vec((0u64..300, 0u32..40, -1e9f64..1e9), 0..80),
    ) {
        let points = |all: Vec<(u64, u32, f64)>| {
            all.into_iter().map(|(cycle, cycles, value)| Point { cycle, cycles, value }).collect::<Vec<_>>()
        };
        let found = compare(&points(before), &points(after), &asked());
        prop_assert!(found.effect.is_nan() || found.effect.abs() <= 1.0);
        prop_assert!(found.p.is_nan() || (0.0..=1.0).contains(&found.p));
        prop_assert!(found.effective <= found.pairs as f64);
        prop_assert!(found.low.is_nan() || found.low <= found.high);
    }

    #[test]
    fn what_is_worse_one_way_is_better_the_other_way(seed in 1u64..u64::MAX, slower in 0.7f64..1.4) {
        let mut dice = Dice(seed);
        let (a, b) = (dice.run(40, 0.03, 0.3, 1.0), dice.run(40, 0.03, 0.3, slower));
        let (there, back) = (compare(&a, &b, &asked()), compare(&b, &a, &asked()));
        let turned = match back.outcome {
            Outcome::Better => Outcome::Worse,
            Outcome::Worse => Outcome::Better,
            other => other,
        };
        prop_assert_eq!(there.outcome, turned);
        prop_assert!(((1.0 + there.shift) * (1.0 + back.shift) - 1.0).abs() < 1e-9);
        prop_assert!((there.effect + back.effect).abs() < 1e-9);
    }

    #[test]
    fn neither_unit_nor_order_matter(seed in 1u64..u64::MAX, unit in 1e-6f64..1e9) {
        let mut dice = Dice(seed);
        let (a, b) = (dice.run(30, 0.05, 0.3, 1.0), dice.run(30, 0.05, 0.3, 1.07));
        let scaled = |points: &[Point]| {
            let scaled = points.iter().map(|p| Point { value: p.value * unit, ..*p });
            scaled.rev().collect::<Vec<_>>()
        };
        let (one, other) = (compare(&a, &b, &asked()), compare(&scaled(&a), &scaled(&b), &asked()));
        prop_assert_eq!(one.outcome, other.outcome);
        prop_assert!((one.shift - other.shift).abs() < 1e-9 && (one.low - other.low).abs() < 1e-9);
    }
}
