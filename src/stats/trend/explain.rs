//! Growth that a known cause explains, taken out of a series before it is judged.

use super::super::Sample;
use super::super::median::median;
use super::tidy::Points;

/// Returns a series less what a cumulative cause explains (tombstones per delete, say), and how much a unit of the cause
/// makes: at most `per_unit_max` and never less than nothing, so that a leak beside the cause is not explained away.
///
/// The coefficient is the median over pairs, far apart and of one life, of growth per unit of the cause (Theil 1950 with
/// the cause in the place of time). Between two samples the cause is read off a straight line; before its first sample and
/// behind its last one it stands still.
pub fn explained(samples: &[Sample], cause: &[Sample], per_unit_max: f64) -> (Vec<Sample>, f64) {
    let mut known: Vec<Sample> = cause.iter().copied().filter(|sample| sample.value.is_finite()).collect();
    known.sort_by_key(|sample| sample.at_ms);
    let read = |at_ms: i64| -> f64 {
        let after = known.partition_point(|sample| sample.at_ms <= at_ms);
        match (after.checked_sub(1).and_then(|before| known.get(before)), known.get(after)) {
            (Some(a), Some(b)) => {
                let share = (i128::from(at_ms) - i128::from(a.at_ms)) as f64
                    / (i128::from(b.at_ms) - i128::from(a.at_ms)) as f64;
                a.value + share * (b.value - a.value)
            }
            (Some(only), None) | (None, Some(only)) => only.value,
            (None, None) => 0.0,
        }
    };
    let points = Points::new(samples);
    let points = points.thinned(&points.value);
    let caused: Vec<f64> =
        points.at_h.iter().map(|at_h| read(points.origin_ms.saturating_add((at_h * 3.6e6).round() as i64))).collect();
    let mut rates = Vec::new();
    for life in &points.lives {
        let apart = (life.len() / 2).max(1);
        for i in life.start..life.end.saturating_sub(apart) {
            let rate = (points.value[i + apart] - points.value[i]) / (caused[i + apart] - caused[i]);
            rates.extend(Some(rate).filter(|rate| rate.is_finite()));
        }
    }
    let most = if per_unit_max.is_finite() { per_unit_max.max(0.0) } else { f64::MAX };
    let coefficient = median(&mut rates).unwrap_or(0.0).clamp(0.0, most);
    let rest =
        samples.iter().map(|sample| Sample { value: sample.value - coefficient * read(sample.at_ms), ..*sample });
    (rest.collect(), coefficient)
}
