//! What a series does when nothing happens: independent noise on top of a slow wander that forgets itself. The wander is an
//! Ornstein–Uhlenbeck process (an AR(1) that knows uneven distances and gaps); both together are made independent by a
//! Kalman filter in linear time.

use super::tidy::Points;

/// A kind of noise of variance one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Noise {
    /// Share of the variance that wanders.
    pub share: f64,
    /// Hours in which the wander forgets all but 1/e of itself.
    pub memory_h: f64,
}

/// Independent noise.
pub(super) const WHITE: Noise = Noise { share: 0.0, memory_h: 1.0 };

/// Shares of wander that are tried.
const SHARES: [f64; 6] = [0.08, 0.2, 0.4, 0.6, 0.8, 0.95];

/// Kinds of noise that are tried at most.
const KINDS_MAX: usize = 90;

/// Returns the kinds of noise to choose from: few to find a structure, more to judge by.
pub(super) fn kinds(points: &Points, few: bool) -> Vec<Noise> {
    let mut kinds = vec![WHITE];
    let spacing_h = points.spacing_h();
    let mut memory_h = spacing_h * if few { 3.0 } else { 1.0 };
    while memory_h <= (points.seen_h() / 4.0).max(spacing_h) && kinds.len() < KINDS_MAX {
        let shares = if few { &SHARES[1..] } else { &SHARES[..] };
        let chosen = shares.iter().step_by(if few { 2 } else { 1 });
        kinds.extend(chosen.map(|share| Noise { share: *share, memory_h }));
        memory_h *= if few { 4.0 } else { 2.0 };
    }
    kinds
}

/// Makes series with one kind of noise independent; linear, so that it may be applied to each column of a model.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    gain: Vec<f64>,
    decay: Vec<f64>,
    scale: Vec<f64>,
    /// Logarithm of the determinant of the covariance.
    pub log_det: f64,
}

impl Filter {
    pub(super) fn new(points: &Points, noise: Noise) -> Self {
        let n = points.len();
        let mut filter = Self { gain: vec![0.0; n], decay: vec![0.0; n], scale: vec![1.0; n], log_det: 0.0 };
        if noise.share <= 0.0 {
            return filter;
        }
        for life in &points.lives {
            let mut ahead = noise.share;
            for i in life.clone() {
                if i > life.start {
                    let keep = (-(points.at_h[i] - points.at_h[i - 1]) / noise.memory_h).exp();
                    filter.decay[i] = keep;
                    ahead = keep * keep * ahead + noise.share * (1.0 - keep * keep);
                }
                let spread = ahead + 1.0 - noise.share;
                filter.gain[i] = ahead / spread;
                filter.scale[i] = 1.0 / spread.sqrt();
                filter.log_det += spread.ln();
                ahead *= 1.0 - filter.gain[i];
            }
        }
        filter
    }

    /// Returns a change of level from point `from` to `until`, the end of its life, made independent.
    pub(super) fn step(&self, from: usize, until: usize) -> Vec<f64> {
        let mut guess = 0.0;
        let step = |i: usize| {
            guess *= self.decay[i];
            let surprise = 1.0 - guess;
            guess += self.gain[i] * surprise;
            surprise * self.scale[i]
        };
        (from..until).map(step).collect()
    }

    /// Returns a column made independent.
    pub(super) fn apply(&self, column: &[f64]) -> Vec<f64> {
        let mut guess = 0.0;
        let step = |(i, value): (usize, &f64)| {
            guess *= self.decay[i];
            let surprise = value - guess;
            guess += self.gain[i] * surprise;
            surprise * self.scale[i]
        };
        column.iter().enumerate().map(step).collect()
    }
}

/// Returns the variance of the weighted sum of a series with this noise.
pub(super) fn variance_of_sum(points: &Points, weights: &[f64], noise: Noise) -> f64 {
    let own: f64 = weights.iter().map(|weight| weight * weight).sum();
    let mut shared = 0.0;
    for life in points.lives.iter().filter(|_| noise.share > 0.0) {
        let mut tail = 0.0;
        for i in life.clone().skip(1) {
            let keep = (-(points.at_h[i] - points.at_h[i - 1]) / noise.memory_h).exp();
            tail = keep * (tail + weights[i - 1]);
            shared += weights[i] * tail;
        }
    }
    own + 2.0 * noise.share * shared
}
