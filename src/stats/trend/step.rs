//! Lasting changes of level: where one is most likely, given everything else that is known of a series. Growth is part of
//! that, so that a leak is not cut into a staircase.

use super::fit::Basis;
use super::noise::Filter;
use super::tidy::Points;

/// Points that a level has at least.
const LEVEL_MIN: usize = 4;

/// Returns the column of a change of level from point `at` to the end of its life.
pub(super) fn column(points: &Points, at: usize) -> Vec<f64> {
    let until = points.lives.iter().find(|life| life.contains(&at)).map_or(at, |life| life.end);
    (0..points.len()).map(|i| if (at..until).contains(&i) { 1.0 } else { 0.0 }).collect()
}

/// Returns the point from which on a change of level would explain most, if there is room for one.
pub(super) fn best(points: &Points, filter: &Filter, basis: &Basis, taken: &[usize]) -> Option<usize> {
    let mut best = None;
    for life in &points.lives {
        for at in life.start + LEVEL_MIN..life.end.saturating_sub(LEVEL_MIN - 1) {
            if taken.iter().any(|other| other.abs_diff(at) < LEVEL_MIN) {
                continue;
            }
            let gain = basis.gain_of_step(life, at, &filter.step(at, life.end));
            if best.is_none_or(|(most, _)| gain > most) {
                best = Some((gain, at));
            }
        }
    }
    best.map(|(_, at)| at)
}
