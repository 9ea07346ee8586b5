//! From samples as they come to points that can be computed with: finite, in order, one per instant, few enough.

use std::ops::Range;

use super::super::Sample;
use super::super::median::median;

/// Points that the statistics take at most; longer series are thinned to the lower quartiles of equal stretches.
pub(super) const POINTS_MAX: usize = 480;
/// Points that a thinned series has at least.
const POINTS_THINNED: f64 = 240.0;
/// Points that a life of a thinned series has at least.
const LIFE_POINTS_MIN: f64 = 6.0;
/// Points on each side of one that say what is usual there.
const NEAR: usize = 3;
/// Robust standard deviations that a point may lie away from what is usual near it.
const NEAR_MAX: f64 = 4.0;
/// Turns a median of absolute deviations into a standard deviation.
const MAD_TO_SIGMA: f64 = 1.482_6;

/// A series to compute with; the lives follow each other in time.
#[derive(Debug, Clone, Default)]
pub(super) struct Points {
    /// Instant of hour zero.
    pub origin_ms: i64,
    pub at_h: Vec<f64>,
    pub value: Vec<f64>,
    /// Stretches of one life; values of two of them are not at one level.
    pub lives: Vec<Range<usize>>,
    /// Where the life of each stretch began.
    pub births: Vec<usize>,
    /// Finite samples that this is made of.
    pub samples: usize,
    pub span_ms: i64,
}

impl Points {
    /// Puts samples right; what is not finite is left out, and instants that come twice become their median.
    pub(super) fn new(samples: &[Sample]) -> Self {
        let mut sorted: Vec<Sample> = samples.iter().copied().filter(|sample| sample.value.is_finite()).collect();
        sorted.sort_by(|a, b| (a.epoch, a.at_ms).cmp(&(b.epoch, b.at_ms)).then(a.value.total_cmp(&b.value)));
        let (Some(first), Some(last)) =
            (sorted.iter().map(|sample| sample.at_ms).min(), sorted.iter().map(|sample| sample.at_ms).max())
        else {
            return Self::default();
        };
        let samples = sorted.len();
        let mut lives: Vec<Vec<(f64, f64)>> = Vec::new();
        for life in sorted.chunk_by(|a, b| a.epoch == b.epoch) {
            let hours = |at_ms: i64| (i128::from(at_ms) - i128::from(first)) as f64 / 3.6e6;
            let point = |same: &[Sample]| (hours(same[0].at_ms), middle(same));
            lives.push(life.chunk_by(|a, b| a.at_ms == b.at_ms).map(point).collect());
        }
        lives.sort_by(|a, b| a[0].0.total_cmp(&b[0].0));
        let mut points = Self { origin_ms: first, samples, span_ms: last.saturating_sub(first), ..Self::default() };
        lives.iter().for_each(|life| points.push(life));
        points
    }

    /// Adds a life.
    fn push(&mut self, life: &[(f64, f64)]) {
        let start = self.at_h.len();
        self.at_h.extend(life.iter().map(|point| point.0));
        self.value.extend(life.iter().map(|point| point.1));
        self.lives.push(start..self.at_h.len());
        self.births.push(start);
    }

    /// Returns the series with stretches that end before each of the given points.
    pub(super) fn split(&self, before: &[usize]) -> Self {
        let mut split = Self { lives: Vec::new(), births: Vec::new(), ..self.clone() };
        for (life, birth) in self.lives.iter().zip(&self.births) {
            let mut start = life.start;
            let inside = before.iter().copied().filter(|at| life.start < *at && *at < life.end);
            for until in inside.chain([life.end]) {
                split.lives.push(start..until);
                split.births.push(*birth);
                start = until;
            }
        }
        split
    }

    pub(super) fn len(&self) -> usize {
        self.at_h.len()
    }

    /// Hours between the first and the last point.
    pub(super) fn span_h(&self) -> f64 {
        let (low, high) = self.at_h.iter().fold((f64::MAX, f64::MIN), |(low, high), at| (low.min(*at), high.max(*at)));
        (high - low).max(0.0)
    }

    /// Hours that were seen, without what lies between two lives.
    pub(super) fn seen_h(&self) -> f64 {
        self.lives.iter().filter_map(|life| Some(self.at_h[life.end.checked_sub(1)?] - self.at_h[life.start])).sum()
    }

    /// The usual distance of two points in hours.
    pub(super) fn spacing_h(&self) -> f64 {
        let mut apart: Vec<f64> = self
            .lives
            .iter()
            .flat_map(|life| self.at_h[life.clone()].windows(2).map(|pair| pair[1] - pair[0]))
            .collect();
        median(&mut apart).unwrap_or(1.0).max(1e-9)
    }

    /// Returns the series with at most [`POINTS_MAX`] points; `value` takes the place of its values.
    pub(super) fn thinned(&self, value: &[f64]) -> Self {
        let mut thin =
            Self { origin_ms: self.origin_ms, samples: self.samples, span_ms: self.span_ms, ..Self::default() };
        let few = self.len() <= POINTS_MAX;
        let per_hour = POINTS_THINNED / self.seen_h();
        // Lives of a single block know nothing of growth, and there may be very many.
        for life in self.lives.iter().filter(|life| few || life.len() > 1) {
            let (start_h, end_h) = (self.at_h[life.start], self.at_h[life.end - 1]);
            let block_h = (end_h - start_h) / (per_hour * (end_h - start_h)).max(LIFE_POINTS_MIN);
            let points: Vec<(f64, f64)> = life.clone().map(|i| (self.at_h[i], value[i])).collect();
            let block = |point: &(f64, f64)| if few { point.0 } else { ((point.0 - start_h) / block_h).floor() };
            let blocks: Vec<(f64, f64)> = points.chunk_by(|a, b| block(a) == block(b)).map(floor).collect();
            if few || blocks.len() > 1 {
                thin.push(&blocks);
            }
        }
        thin.longest_lives()
    }

    /// Keeps the longest lives, as many as there is room for.
    fn longest_lives(mut self) -> Self {
        if self.len() <= POINTS_MAX {
            return self;
        }
        let mut order: Vec<Range<usize>> = self.lives.clone();
        let hours = |life: &Range<usize>| self.at_h[life.end - 1] - self.at_h[life.start];
        order.sort_by(|a, b| hours(b).total_cmp(&hours(a)));
        let mut room = POINTS_MAX;
        order.retain(|life| {
            let fits = life.len() <= room;
            room -= if fits { life.len() } else { 0 };
            fits
        });
        order.sort_by_key(|life| life.start);
        let whole = std::mem::take(&mut self);
        self = Self { origin_ms: whole.origin_ms, samples: whole.samples, span_ms: whole.span_ms, ..Self::default() };
        for life in order {
            let points: Vec<(f64, f64)> = life.map(|i| (whole.at_h[i], whole.value[i])).collect();
            self.push(&points);
        }
        self
    }

    /// Returns the values with lone outliers brought back to what is usual near them (Hampel 1974).
    pub(super) fn calmed(&self) -> Vec<f64> {
        let mut usual = self.value.clone();
        for life in &self.lives {
            for i in life.clone() {
                let from = i.saturating_sub(NEAR).max(life.start);
                let mut near = self.value[from..(i + NEAR + 1).min(life.end)].to_vec();
                usual[i] = median(&mut near).unwrap_or(self.value[i]);
            }
        }
        let mut off: Vec<f64> = self.value.iter().zip(&usual).map(|(value, usual)| (value - usual).abs()).collect();
        let far = NEAR_MAX * MAD_TO_SIGMA * median(&mut off).unwrap_or(0.0);
        let calm =
            |(value, usual): (&f64, &f64)| if far > 0.0 { value.clamp(usual - far, usual + far) } else { *value };
        self.value.iter().zip(&usual).map(calm).collect()
    }
}

/// Returns the middle one of sorted samples.
fn middle(same: &[Sample]) -> f64 {
    let upper = same.len() / 2;
    if same.len() % 2 == 1 { same[upper].value } else { same[upper - 1].value / 2.0 + same[upper].value / 2.0 }
}

/// Returns the mean instant and the lower quartile of a stretch: what is there also when nothing is going on.
fn floor(stretch: &[(f64, f64)]) -> (f64, f64) {
    let at_h = stretch.iter().map(|point| point.0).sum::<f64>() / stretch.len() as f64;
    let mut values: Vec<f64> = stretch.iter().map(|point| point.1).collect();
    let quarter = (values.len() - 1) / 4;
    let (_, value, _) = values.select_nth_unstable_by(quarter, f64::total_cmp);
    (at_h, *value)
}
