//! The approach to a plateau after a start: an exponential whose time is found from the data. It is part of the model and,
//! where enough is left behind it, cut off as well, because no real start is exactly exponential.

use super::fit::Basis;
use super::noise::Filter;
use super::tidy::Points;

/// Times of the exponential after which 95 % of the way to the plateau is done.
const PLATEAU_TIMES: f64 = 3.0;
/// Share of what was seen that the time of the exponential has at most: beyond it nothing tells it from growth.
const TIME_MAX: f64 = 0.25;
/// Share of a life's points that must be left before its warm-up is cut off.
const LEFT_MIN: f64 = 0.5;

/// Times that are tried.
const TIMES_MAX: usize = 40;

/// Which lives warm up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    First,
    Later,
    All,
}

/// An exponential approach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct WarmUp {
    pub which: Which,
    pub time_h: f64,
}

impl WarmUp {
    /// Returns what is left of the way at each point.
    pub(super) fn column(&self, points: &Points) -> Vec<f64> {
        let mut column = vec![0.0; points.len()];
        for (life, birth) in points.lives.iter().zip(&points.births) {
            let warms = match self.which {
                Which::All => true,
                Which::First => *birth == 0,
                Which::Later => *birth > 0,
            };
            for i in life.clone().filter(|_| warms) {
                column[i] = (-(points.at_h[i] - points.at_h[*birth]) / self.time_h).exp();
            }
        }
        column
    }

    /// Returns, for each point, whether it lies in a warm-up that is to be cut off.
    pub(super) fn cut(&self, points: &Points) -> Vec<bool> {
        let column = self.column(points);
        let mut cut = vec![false; points.len()];
        for life in &points.lives {
            let still = life.clone().filter(|i| column[*i] > (-PLATEAU_TIMES).exp()).count();
            if still as f64 <= (1.0 - LEFT_MIN) * life.len() as f64 {
                cut[life.start..life.start + still].fill(true);
            }
        }
        cut
    }

    /// Hours after the start of a life at which the plateau is reached.
    pub(super) fn plateau_h(&self) -> f64 {
        PLATEAU_TIMES * self.time_h
    }
}

/// Returns the warm-up of each kind that would explain most.
pub(super) fn best(points: &Points, filter: &Filter, basis: &Basis, known: &dyn Fn(Which) -> bool) -> Vec<WarmUp> {
    let whiches: &[Which] = if points.births.last().is_some_and(|birth| *birth > 0) {
        &[Which::First, Which::Later, Which::All]
    } else {
        &[Which::All]
    };
    let longest_h =
        points.lives.iter().map(|life| points.at_h[life.end - 1] - points.at_h[life.start]).fold(0.0, f64::max);
    let best = |which: &Which| {
        let mut time_h = points.spacing_h();
        let mut best: Option<(f64, WarmUp)> = None;
        for _ in 0..TIMES_MAX {
            if time_h > TIME_MAX * longest_h {
                break;
            }
            let warm_up = WarmUp { which: *which, time_h };
            let gain = basis.gain(points, filter.apply(&warm_up.column(points)));
            if best.is_none_or(|(most, _)| gain > most) {
                best = Some((gain, warm_up));
            }
            time_h *= 1.3;
        }
        best.map(|(_, warm_up)| warm_up)
    };
    whiches.iter().filter(|which| !known(**which)).filter_map(best).collect()
}
