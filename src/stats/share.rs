//! Shares of counts: how well a share is known, and how likely a count is by chance.

use super::quantile::{normal_above, normal_below};

/// Returns the interval in which a share lies with a confidence (Wilson 1927); `None` without a count.
pub fn wilson(hits: u64, all: u64, confidence: f64) -> Option<(f64, f64)> {
    if all == 0 {
        return None;
    }
    let (n, share) = (all as f64, hits.min(all) as f64 / all as f64);
    let z = normal_above((1.0 - confidence) / 2.0);
    let middle = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    Some(((middle - half).max(0.0), (middle + half).min(1.0)))
}

/// Returns the probability of at least `hits` in `all` independent trials that each hit with probability `share`.
pub fn at_least(hits: u64, all: u64, share: f64) -> f64 {
    let share = share.clamp(0.0, 1.0);
    if hits == 0 {
        return 1.0;
    }
    if hits > all || share == 0.0 {
        return 0.0;
    }
    if share == 1.0 {
        return 1.0;
    }
    if all > 2_000 {
        // De Moivre and Laplace, with the correction for continuity.
        let (mean, spread) = (all as f64 * share, (all as f64 * share * (1.0 - share)).sqrt());
        return 1.0 - normal_below((hits as f64 - 0.5 - mean) / spread.max(1e-9));
    }
    let (hit, miss) = (share.ln(), (1.0 - share).ln());
    let mut ways = 0.0;
    let mut sum = 0.0;
    for k in 0..=all {
        if k > 0 {
            ways += ((all - k + 1) as f64 / k as f64).ln();
        }
        if k >= hits {
            sum += (ways + k as f64 * hit + (all - k) as f64 * miss).exp();
        }
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_known_as_well_as_their_counts_allow() {
        assert_eq!(wilson(0, 0, 0.99), None);
        let (low, high) = wilson(10, 100, 0.95).unwrap();
        assert!((low - 0.0552).abs() < 5e-4 && (high - 0.1744).abs() < 5e-4, "{low} {high}");
        let (low, high) = wilson(500, 500, 0.99).unwrap();
        assert!(low > 0.98 && low < 0.99 && high > 0.999_999, "{low} {high}");
        assert_eq!(wilson(9, 5, 0.99).unwrap().1, 1.0);
    }

    #[test]
    fn chance_is_added_up_over_all_that_is_as_odd() {
        assert!((at_least(1, 1, 0.25) - 0.25).abs() < 1e-12);
        assert!((at_least(8, 10, 0.5) - 56.0 / 1024.0).abs() < 1e-9);
        assert!(at_least(31, 38, 2.0 / 38.0) < 1e-9);
        assert!((at_least(1_050, 10_000, 0.1) - 0.0495).abs() < 3e-3);
        for odd in [at_least(0, 0, 0.5), at_least(0, 5, 0.0), at_least(5, 5, 1.0)] {
            assert_eq!(odd, 1.0);
        }
        assert_eq!((at_least(6, 5, 0.5), at_least(1, 5, 0.0)), (0.0, 0.0));
    }
}
