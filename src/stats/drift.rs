//! Whether the end of a run is slower than its beginning: the relative shift between two stretches of values, one per cycle,
//! by ranks and with confidence. A warm-up is left out, and so is the middle, in which a drift is on its way.

use super::median::median_of;
use super::quantile::{normal_above, student_above};

/// Values below which nothing is said.
pub const VALUES_MIN: usize = 30;
/// Share of the values that counts as warm-up, and the least number.
const WARM_UP: f64 = 0.1;
const WARM_UP_MIN: usize = 3;
/// Share of the rest that each of the two stretches has.
const STRETCH: f64 = 0.4;
/// Share of drifts of the detectable size that are missed.
const MISSED: f64 = 0.1;

/// A relative shift: 0.1 is 10 % more at the end than at the beginning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    pub shift: f64,
    /// Bounds that the true shift is above, and below, each with the confidence.
    pub low: f64,
    pub high: f64,
    /// Typical value of the beginning and of the end.
    pub before: f64,
    pub after: f64,
    /// Values that were compared, and the independent ones that those are worth.
    pub samples: usize,
    pub effective: f64,
    /// Standard error of the logarithm of the ratio.
    pub error: f64,
}

impl Drift {
    /// Returns the smallest shift that would have been told from half a limit, and be above it, nine times out of ten.
    pub fn detectable(&self, limit: f64, confidence: f64) -> f64 {
        let told = limit / 2.0 + normal_above(1.0 - confidence) * self.error;
        limit.max(told) + normal_above(MISSED) * self.error
    }
}

/// Compares the end of a series with its beginning; `None` where there is too little, or a value that is no positive number.
///
/// The shift is the median of all ratios between the two stretches (Hodges & Lehmann 1963), on logarithms. Its interval is that
/// of the test of Mann and Whitney, with the variance enlarged by as much as neighbouring cycles are alike (the sum of the
/// autocorrelations up to the first that is not positive, Geyer 1992, or of a series with the first one and no memory else, with
/// most of its bias in few values taken out, Kendall 1954, whichever is more).
pub fn drift(values: &[f64], confidence: f64) -> Option<Drift> {
    if values.len() < VALUES_MIN || values.iter().any(|value| !value.is_finite() || *value <= 0.0) {
        return None;
    }
    let warm_up = WARM_UP_MIN.max((values.len() as f64 * WARM_UP) as usize);
    let logs: Vec<f64> = values[warm_up..].iter().map(|value| value.ln()).collect();
    let n = (logs.len() as f64 * STRETCH) as usize;
    let (early, late) = (&logs[..n], &logs[logs.len() - n..]);
    let mut pairs: Vec<f64> = late.iter().flat_map(|b| early.iter().map(move |a| b - a)).collect();
    pairs.sort_unstable_by(f64::total_cmp);
    let inflation = inflation(early, late);
    let size = n as f64;
    // With few independent values the spread itself is known badly.
    let z = student_above(1.0 - confidence, (2.0 * size / inflation - 2.0).max(2.5));
    let spread = (size * size * (2.0 * size + 1.0) / 12.0 * inflation).sqrt();
    let rank = (size * size / 2.0 - z * spread).floor();
    // With so little that any order would be by chance, the shift is not known at all.
    let (low, high) = match rank >= 1.0 {
        true => (pairs[rank as usize - 1], pairs[pairs.len() - rank as usize]),
        false => (f64::NEG_INFINITY, f64::INFINITY),
    };
    let share = |log: f64| log.exp() - 1.0;
    Some(Drift {
        shift: share(median_of(&pairs)),
        low: share(low),
        high: share(high),
        before: median_of(early).exp(),
        after: median_of(late).exp(),
        samples: 2 * n,
        effective: 2.0 * size / inflation,
        error: (high - low) / (2.0 * z),
    })
}

/// Returns how many times less values are worth than independent ones, by how alike neighbours are within each stretch.
fn inflation(early: &[f64], late: &[f64]) -> f64 {
    let centred = |part: &[f64]| -> Vec<f64> {
        let level = median_of(part);
        // Lone outliers would hide what the others do.
        let mut off: Vec<f64> = part.iter().map(|value| (value - level).abs()).collect();
        off.sort_unstable_by(f64::total_cmp);
        let far = 4.5 * median_of(&off);
        part.iter().map(|value| if far > 0.0 { (value - level).clamp(-far, far) } else { value - level }).collect()
    };
    let mut parts = [centred(early), centred(late)];
    // A steady drift within the stretches is no likeness of neighbours.
    let middle = (early.len() as f64 - 1.0) / 2.0;
    let off = |i: usize| i as f64 - middle;
    let moment: f64 = parts.iter().flat_map(|part| part.iter().enumerate()).map(|(i, value)| off(i) * value).sum();
    let spread: f64 = parts.iter().flat_map(|part| 0..part.len()).map(|i| off(i).powi(2)).sum();
    let slope = moment / spread.max(1e-9);
    parts.iter_mut().for_each(|part| part.iter_mut().enumerate().for_each(|(i, value)| *value -= slope * off(i)));
    let at = |lag: usize| -> f64 {
        parts.iter().flat_map(|part| part.iter().zip(&part[lag..])).map(|(a, b)| a * b).sum::<f64>()
    };
    let own = at(0);
    if own <= 0.0 {
        return 1.0;
    }
    let sum: f64 = (1..=early.len() / 3).map(|lag| at(lag) / own).take_while(|alike| *alike > 0.0).sum();
    let first = at(1) / own;
    let first = (first + (1.0 + first) / early.len() as f64).clamp(0.0, 0.9);
    (1.0 + 2.0 * sum).max((1.0 + first) / (1.0 - first))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Returns latencies of cycles with a noise of this share, alike from cycle to cycle by `memory`.
    fn latencies(n: usize, (noise, memory): (f64, f64), seed: u64) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = move || {
            let (a, b): (f64, f64) = (random.random(), random.random());
            (-2.0 * (1.0 - a).ln()).sqrt() * (2.0 * std::f64::consts::PI * b).cos()
        };
        let mut wander = normal();
        let mut next = || {
            wander = memory * wander + (1.0_f64 - memory * memory).sqrt() * normal();
            0.05 * (noise * wander).exp()
        };
        (0..n).map(|_| next()).collect()
    }

    /// Returns in how many of 200 runs a drift is called by the rule of the criteria.
    fn called(n: usize, noise: (f64, f64), shape: impl Fn(f64) -> f64) -> usize {
        let calls = |seed: u64| {
            let mut values = latencies(n, noise, seed);
            values.iter_mut().enumerate().for_each(|(i, value)| *value *= shape(i as f64 / n as f64));
            let drift = drift(&values, 0.99).unwrap();
            drift.shift > 0.05 && drift.low > 0.025
        };
        (0..200).filter(|seed| calls(*seed)).count()
    }

    #[test]
    fn a_step_of_a_tenth_in_the_middle_of_fifty_cycles_is_found() {
        let step = |at: f64| if at < 0.5 { 1.0 } else { 1.1 };
        assert!(called(50, (0.03, 0.0), step) >= 198);
        assert!(called(50, (0.05, 0.0), step) >= 150, "{}", called(50, (0.05, 0.0), step));
        assert!(called(400, (0.12, 0.3), step) >= 150, "{}", called(400, (0.12, 0.3), step));
    }

    #[test]
    fn healthy_runs_are_not_called_slower() {
        for noise in [(0.02, 0.0), (0.06, 0.0), (0.3, 0.0), (0.1, 0.5), (0.3, 0.8)] {
            for n in [30, 50, 200] {
                let wrong = called(n, noise, |_| 1.0);
                assert!(wrong <= 5, "{wrong} of 200 with {noise:?} and {n} cycles");
            }
        }
        // The first cycles warm up.
        assert!(called(50, (0.03, 0.0), |at| if at < 0.06 { 0.4 } else { 1.0 }) <= 2);
        assert!(called(50, (0.03, 0.0), |at| if at < 0.06 { 3.0 } else { 1.0 }) <= 2);
    }

    #[test]
    fn what_could_have_been_seen_is_said() {
        let quiet = drift(&latencies(50, (0.03, 0.0), 3), 0.99).unwrap();
        let loud = drift(&latencies(50, (0.3, 0.0), 3), 0.99).unwrap();
        assert!(quiet.detectable(0.05, 0.99) < 0.1, "{quiet:?}");
        assert!(loud.detectable(0.05, 0.99) > 0.2, "{loud:?}");
        assert!(quiet.low < quiet.shift && quiet.shift < quiet.high && quiet.samples == 36);
    }

    #[test]
    fn too_little_and_odd_values_say_nothing() {
        assert_eq!(drift(&[1.0; 29], 0.99), None);
        assert_eq!(drift(&[0.0; 60], 0.99), None);
        let mut hole = vec![1.0; 60];
        hole[7] = f64::NAN;
        assert_eq!(drift(&hole, 0.99), None);
        let same = drift(&[1.0; 60], 0.99).unwrap();
        assert_eq!((same.shift, same.low, same.error), (0.0, 0.0, 0.0));
    }
}
