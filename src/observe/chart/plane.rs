//! Where times and values lie in a picture.

use std::collections::BTreeMap;

use super::axis::Values;
use super::{Look, Series, Spec};

/// Room beside the plot: for the labels of the axes.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 14.0;
const RIGHT_OF_TWO: f64 = 46.0;
const BELOW: f64 = 32.0;
/// From the legend to the plot: for units and labels of marks.
const ABOVE: f64 = 28.0;

/// The edges of the plot and what they stand for.
pub(super) struct Plane {
    pub(super) from_ms: i64,
    pub(super) until_ms: i64,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) left_axis: Values,
    pub(super) right_axis: Option<Values>,
}

impl Plane {
    /// Lays out a plot below a legend of some height.
    pub(super) fn new(spec: &Spec, legend: f64) -> Self {
        let times = || spec.series.iter().flat_map(|one| one.points.iter().filter(|p| p.1.is_finite()).map(|p| p.0));
        let (from_ms, until_ms) = spec.span.unwrap_or_else(|| (times().min().unwrap_or(0), times().max().unwrap_or(1)));
        let until_ms = until_ms.max(from_ms.saturating_add(1));
        let two = spec.series.iter().any(|one| one.right && one.points.iter().any(|p| p.1.is_finite()));
        let (least, most) = extent(spec, false);
        let right_axis = two.then(|| Values::up_to(extent(spec, true).1, spec.right));
        // Bars stand around their time: half of one would leave the plot at either end.
        let bars = spec.span.is_none() && spec.series.iter().any(|one| one.look == Look::Bars);
        let margin = if bars { until_ms.saturating_sub(from_ms) / 40 } else { 0 };
        Self {
            from_ms: from_ms.saturating_sub(margin),
            until_ms: until_ms.saturating_add(margin),
            left: LEFT,
            right: spec.size.width - if two { RIGHT_OF_TWO } else { RIGHT },
            top: legend + ABOVE,
            bottom: spec.size.height - BELOW,
            left_axis: Values::laid_out(least, most, spec.left, spec.scale),
            right_axis,
        }
    }

    pub(super) fn x(&self, ms: i64) -> f64 {
        let span = self.until_ms.saturating_sub(self.from_ms).max(1) as f64;
        let part = ms.saturating_sub(self.from_ms) as f64 / span;
        self.left + part.clamp(0.0, 1.0) * (self.right - self.left)
    }

    pub(super) fn y(&self, value: f64, on_right: bool) -> f64 {
        let axis = self.right_axis.as_ref().filter(|_| on_right).unwrap_or(&self.left_axis);
        self.bottom - axis.place(value) * (self.bottom - self.top)
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    /// Returns true if a moment is shown.
    pub(super) fn shows(&self, ms: i64) -> bool {
        (self.from_ms..=self.until_ms).contains(&ms)
    }
}

/// Returns the least and the largest value that is read on one of the axes.
fn extent(spec: &Spec, right: bool) -> (f64, f64) {
    let mut stacks: BTreeMap<i64, f64> = BTreeMap::new();
    let (mut least, mut most) = (f64::INFINITY, 0.0f64);
    let mut take = |low: f64, high: f64| {
        if low.is_finite() && high.is_finite() {
            least = least.min(low);
            most = most.max(high);
        }
    };
    for one in spec.series.iter().filter(|one| one.right == right) {
        for (at, value) in one.points.iter().filter(|(_, value)| value.is_finite()) {
            if one.look == Look::Stacked {
                *stacks.entry(*at).or_default() += value.max(0.0);
            } else {
                take(*value, *value);
            }
        }
        one.range.iter().for_each(|(_, low, high)| take(*low, *high));
    }
    for sum in stacks.values() {
        take(0.0, *sum);
    }
    if !right {
        spec.fits.iter().for_each(|fit| take(fit.from.1.min(fit.until.1), fit.from.1.max(fit.until.1)));
    }
    (least, most)
}

/// Returns a series that can be seen, or nothing.
pub(super) fn seen(series: &Series) -> bool {
    series.points.iter().any(|(_, value)| value.is_finite())
}

/// Returns a length in as few digits as the eye needs.
pub(super) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_owned(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}
