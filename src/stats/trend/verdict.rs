//! From the parts of a series to what is said of it.

use std::ops::Range;

use super::super::Sample;
use super::super::median::median;
use super::super::quantile::{normal_above, student_above};
use super::fit::{Basis, Quality, filters};
use super::noise::{Filter, Noise, WHITE, kinds, variance_of_sum};
use super::structure::{Part, Structure};
use super::tidy::Points;
use super::{Limits, Outcome, Segment, Step, Trend, rank, words};

/// Used samples below which nothing is said.
pub(super) const USED_MIN: usize = 30;
/// Multiple of the limit up to which growth must be ruled out before a series is called steady.
pub(super) const ENOUGH: f64 = 5.0;
/// Points of a stretch that can say something about growth.
const STRETCH_MIN: usize = 3;
/// Steps up in the later half that make a staircase.
const CLIMBS_MIN: usize = 4;
/// Half intervals between growth and its limit from which on the order of the values needs not be asked.
const FAR: f64 = 3.0;
/// Share of leaks of the detectable size that are missed.
const MISSED: f64 = 0.1;

/// Examines a series.
pub(super) fn examine(samples: &[Sample], limits: &Limits) -> Trend {
    let whole = Points::new(samples);
    let points = whole.thinned(&whole.value);
    let mut trend = nothing(&whole);
    if points.len() < STRETCH_MIN {
        trend.why = words::too_few(&trend);
        return trend;
    }
    let mut structure = Structure::find(points);
    let mut fitted = Fitted::new(&structure);
    trend.steps = fitted.steps(&structure);
    let stairs = climbs(&trend.steps, &structure, limits);
    if stairs {
        structure = structure.without_steps();
        fitted = Fitted::new(&structure);
    }
    let used = Used::new(&structure, &fitted);
    trend.saw_tooth = structure.parts.contains(&Part::Teeth).then_some(structure.teeth.length);
    trend.warm_up_until_ms = warm_up_until_ms(&structure);
    // Thinned points stand for all the samples of their stretch.
    let share = used.at_h.len() as f64 / structure.points.len() as f64;
    trend.samples_used = (whole.len() as f64 * share).round() as usize;
    measure(&mut trend, &structure, &fitted, &used, limits);
    let grows = grows(&trend, limits) && used.late_slope().is_some_and(|late| late > limits.slope_per_h);
    let ended = grows && !stairs && structure.could_have_ended();
    trend.outcome = if grows && !ended { Outcome::Growing } else { outcome(&trend, &structure, limits) };
    trend.reaches_ms = reaches_ms(&trend, limits);
    trend.why = words::why(&trend, limits);
    trend
}

/// Returns true if levels rise so often and so late that they are a leak in lumps, and not an allocator that gives nothing
/// back, whose rises become ever rarer.
fn climbs(steps: &[Step], structure: &Structure, limits: &Limits) -> bool {
    let points = &structure.points;
    let middle = ms(points, points.span_h() / 2.0);
    let late = || steps.iter().filter(|step| step.at_ms >= middle);
    let (up, down) = (late().filter(|step| step.size > 0.0).count(), late().filter(|step| step.size < 0.0).count());
    let rise: f64 = late().map(|step| step.size).sum();
    up >= CLIMBS_MIN && up > 3 * down && rise > limits.slope_per_h * points.span_h() / 2.0
}

/// Returns true if growth above the limit is certain: its interval lies above it, and ranks agree. Ranks cannot agree any more
/// once growth dwarfs a noise with long memory, since no order is more than perfect; growth far beyond its interval needs none.
fn grows(trend: &Trend, limits: &Limits) -> bool {
    let half = trend.slope_per_h - trend.slope_low;
    let far = trend.slope_per_h - limits.slope_per_h > FAR * half;
    trend.samples_used >= USED_MIN && trend.slope_low > limits.slope_per_h && (trend.p <= limits.alpha || far)
}

/// Returns what is known of a series of which nothing can be said.
fn nothing(points: &Points) -> Trend {
    Trend {
        outcome: Outcome::TooLittle,
        slope_per_h: f64::NAN,
        slope_low: f64::NAN,
        slope_high: f64::NAN,
        p: f64::NAN,
        samples: points.samples,
        samples_used: 0,
        effective: 0.0,
        span_ms: points.span_ms,
        epochs: points.lives.len(),
        warm_up_until_ms: None,
        steps: Vec::new(),
        saw_tooth: None,
        detectable_per_h: f64::NAN,
        reaches_ms: None,
        line: Vec::new(),
        why: String::new(),
    }
}

/// The parts of a series with their sizes, and the kinds of noise with their credibility.
#[derive(Debug)]
struct Fitted {
    columns: Vec<Vec<f64>>,
    coefficients: Vec<f64>,
    noises: Vec<(Noise, f64, f64)>,
}

impl Fitted {
    fn new(structure: &Structure) -> Self {
        let points = &structure.points;
        let columns = structure.columns(&structure.parts);
        let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let kinds = kinds(points, false);
        let mut best: Option<(f64, Vec<f64>)> = None;
        let mut qualities: Vec<Quality> = Vec::new();
        for filter in filters(points, &kinds) {
            let basis = Basis::new(points, &filter, &slices, &structure.calm);
            let quality = basis.quality(structure.floor);
            if best.as_ref().is_none_or(|(restricted, _)| quality.restricted > *restricted) {
                best = Some((quality.restricted, basis.coefficients()));
            }
            qualities.push(quality);
        }
        let (top, coefficients) = best.unwrap_or_default();
        let weight = |quality: &Quality| (quality.restricted - top).exp();
        let sum: f64 = qualities.iter().map(weight).sum();
        let noises =
            kinds.iter().zip(&qualities).map(|(noise, quality)| (*noise, weight(quality) / sum, quality.variance));
        Self { noises: noises.collect(), columns, coefficients }
    }

    /// Returns the values without warm-up, rhythm and teeth, at points that are given.
    fn cleared(&self, structure: &Structure) -> Vec<f64> {
        let mut value = structure.points.value.clone();
        for (k, column) in self.columns.iter().enumerate().skip(1) {
            value.iter_mut().zip(column).for_each(|(value, entry)| *value -= self.coefficients[k] * entry);
        }
        // Levels are told apart by stretches; they belong to the values.
        for (at, size) in self.levels(structure) {
            let until = structure.points.lives.iter().find(|life| life.contains(&at)).map_or(at, |life| life.end);
            value[at..until].iter_mut().for_each(|value| *value += size);
        }
        value
    }

    /// Returns the changes of level with their sizes.
    fn levels(&self, structure: &Structure) -> Vec<(usize, f64)> {
        let mut column = 1;
        let mut levels = Vec::new();
        for part in &structure.parts {
            if let Part::Step(at) = part {
                levels.push((*at, self.coefficients[column]));
            }
            column += if *part == Part::Rhythm { 2 } else { 1 };
        }
        levels
    }

    fn steps(&self, structure: &Structure) -> Vec<Step> {
        let at_ms = |at: usize| ms(&structure.points, structure.points.at_h[at]);
        self.levels(structure).into_iter().map(|(at, size)| Step { at_ms: at_ms(at), size }).collect()
    }
}

/// Returns an instant from hours since the first sample.
fn ms(points: &Points, at_h: f64) -> i64 {
    points.origin_ms.saturating_add((at_h * 3.6e6).round() as i64)
}

/// What of a series growth is measured on.
#[derive(Debug)]
struct Used {
    /// Lives, without what was cut off.
    points: Points,
    /// Stretches that nothing interrupts.
    stretches: Vec<Range<usize>>,
    at_h: Vec<f64>,
    value: Vec<f64>,
    /// What growth must be told apart from: the columns of warm-up, rhythm and teeth.
    beside: Vec<Vec<f64>>,
}

impl Used {
    fn new(structure: &Structure, fitted: &Fitted) -> Self {
        let points = &structure.points;
        let mut cut = vec![false; points.len()];
        for part in &structure.parts {
            if let Part::WarmUp(warm_up) = part {
                cut.iter_mut().zip(warm_up.cut(points)).for_each(|(cut, more)| *cut |= more);
            }
        }
        let cleared = fitted.cleared(structure);
        let begins: Vec<usize> = fitted.levels(structure).iter().map(|(at, _)| *at).collect();
        let (mut keep, mut lives, mut stretches) = (Vec::new(), Vec::new(), Vec::new());
        for life in &points.lives {
            let life_start = keep.len();
            let mut bounds = vec![life.start];
            bounds.extend(begins.iter().copied().filter(|at| life.contains(at)));
            bounds.push(life.end);
            for bound in bounds.windows(2) {
                let stretch: Vec<usize> = (bound[0]..bound[1]).filter(|i| !cut[*i]).collect();
                if stretch.len() >= STRETCH_MIN {
                    stretches.push(keep.len()..keep.len() + stretch.len());
                    keep.extend(stretch);
                }
            }
            if keep.len() > life_start {
                lives.push(life_start..keep.len());
            }
        }
        let pick = |column: &[f64]| -> Vec<f64> { keep.iter().map(|i| column[*i]).collect() };
        let (mut beside, mut column) = (Vec::new(), 1);
        for part in &structure.parts {
            let wide = if *part == Part::Rhythm { 2 } else { 1 };
            if !matches!(part, Part::Step(_)) {
                beside.extend(fitted.columns[column..column + wide].iter().map(|entry| pick(entry)));
            }
            column += wide;
        }
        // A warm-up that is cut off is known well enough; only its tail is left.
        beside.retain(|column| column.iter().any(|entry| entry.abs() > 0.06));
        let at_h = pick(&points.at_h);
        let points = Points { at_h: at_h.clone(), lives, ..points.clone() };
        Self { points: Points { value: Vec::new(), ..points }, stretches, at_h, value: pick(&cleared), beside }
    }

    /// Returns the slope of the later half of the points: what grew once and does so no more is no leak.
    fn late_slope(&self) -> Option<f64> {
        let middle = self.at_h.len() / 2;
        let later: Vec<Range<usize>> =
            self.stretches.iter().map(|all| all.start.max(middle)..all.end.max(middle)).collect();
        rank::theil_sen(&self.at_h, &self.value, &later)
    }

    /// Returns the weights that make the slope out of the values, and the sum of their squares if nothing stood beside growth.
    fn weights(&self) -> Option<(Vec<f64>, f64)> {
        let stretches = Points {
            at_h: self.at_h.clone(),
            value: self.value.clone(),
            lives: self.stretches.clone(),
            ..Points::default()
        };
        let white = Filter::new(&stretches, WHITE);
        let alone = Basis::new(&stretches, &white, &[], &self.at_h).left();
        let beside: Vec<&[f64]> = self.beside.iter().map(Vec::as_slice).collect();
        let basis = Basis::new(&stretches, &white, &beside, &self.at_h);
        let left = basis.left();
        (left > 1e-9 * alone && alone > 0.0).then(|| (basis.rest.iter().map(|rest| rest / left).collect(), 1.0 / alone))
    }
}

/// Measures growth with its confidence.
fn measure(trend: &mut Trend, structure: &Structure, fitted: &Fitted, used: &Used, limits: &Limits) {
    let slope = rank::theil_sen(&used.at_h, &used.value, &used.stretches);
    let (Some(slope), Some((weights, alone))) = (slope, used.weights()) else { return bound(trend, structure, limits) };
    let of = |noise: Noise, variance: f64| variance * variance_of_sum(&used.points, &weights, noise);
    let variance: f64 = fitted.noises.iter().map(|(noise, share, variance)| share * of(*noise, *variance)).sum();
    let n = used.at_h.len() as f64;
    let rest =
        |range: &Range<usize>| -> Vec<f64> { range.clone().map(|i| used.value[i] - slope * used.at_h[i]).collect() };
    let rests: Vec<Vec<f64>> = used.stretches.iter().map(rest).collect();
    let levels: Vec<f64> = rests.iter().map(|rest| median(&mut rest.clone()).unwrap_or(0.0)).collect();
    let parts = (used.stretches.len() + used.beside.len() + 1) as f64;
    let spread = spread(&rests, &levels) * n / (n - parts).max(1.0);
    let inflation = if spread > 0.0 { variance / (spread * alone) } else { 1.0 };
    let own: f64 = weights.iter().map(|weight| weight * weight).sum();
    let wander = if spread > 0.0 { (variance / (spread * own)).max(1.0) } else { 1.0 };
    let freedom = ((n - parts) / wander).max(3.0);
    let alpha = limits.alpha.clamp(1e-6, 0.5);
    let error = variance.sqrt();
    let half = student_above(alpha / 2.0, freedom) * error;
    trend.slope_per_h = slope;
    (trend.slope_low, trend.slope_high) = (slope - half, slope + half);
    trend.detectable_per_h = limits.slope_per_h + half + normal_above(MISSED) * error;
    trend.p = rank::mann_kendall(&used.value, &used.stretches).p(inflation.max(1e-6));
    trend.effective = (n / inflation.max(1.0)).min(n);
    let points = &structure.points;
    let line = used.stretches.iter().zip(&levels).map(|(stretch, level)| {
        let (from, until) = (used.at_h[stretch.start], used.at_h[stretch.end - 1]);
        let at = |at_h: f64| level + slope * at_h;
        Segment { from_ms: ms(points, from), until_ms: ms(points, until), from: at(from), until: at(until) }
    });
    trend.line = line.collect();
}

/// Bounds growth that cannot be told apart from what else a series does: what grew over all of it lies between its lowest and
/// its highest value. After a restart that is not so.
fn bound(trend: &mut Trend, structure: &Structure, limits: &Limits) {
    let points = &structure.points;
    let (Some(first), Some(last)) = (points.at_h.first(), points.at_h.last()) else { return };
    let (lowest, highest) =
        points.value.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
    let most = (highest - lowest) / (last - first);
    if trend.epochs != 1 || !most.is_finite() {
        return;
    }
    (trend.slope_per_h, trend.slope_low, trend.slope_high) = (0.0, -most, most);
    // So that it is steady only if all of the bound lies below the limit.
    trend.detectable_per_h = limits.slope_per_h + (ENOUGH - 1.0) * most;
    trend.p = 1.0;
}

/// Returns the variance around the levels, without lone outliers.
fn spread(rests: &[Vec<f64>], levels: &[f64]) -> f64 {
    let off = rests.iter().zip(levels).flat_map(|(rest, level)| rest.iter().map(move |value| (value - level).abs()));
    let mut off: Vec<f64> = off.collect();
    let far = 4.0 * 1.482_6 * median(&mut off).unwrap_or(0.0);
    let far = if far > 0.0 { far } else { f64::MAX };
    off.iter().map(|off| off.min(far).powi(2)).sum::<f64>() / off.len().max(1) as f64
}

/// Returns when the last warm-up of the first life is over.
fn warm_up_until_ms(structure: &Structure) -> Option<i64> {
    let plateau = |part: &Part| if let Part::WarmUp(warm_up) = part { Some(warm_up.plateau_h()) } else { None };
    let longest = structure.parts.iter().filter_map(plateau).max_by(f64::total_cmp)?;
    Some(ms(&structure.points, structure.points.at_h[0] + longest))
}

/// Returns what can be said of a series that does not certainly grow.
fn outcome(trend: &Trend, structure: &Structure, limits: &Limits) -> Outcome {
    let enough = enough(structure, limits);
    let lasting = |k: usize| trend.steps[k].size.min(trend.steps[k..].iter().map(|step| step.size).sum());
    if (0..trend.steps.len()).any(|k| lasting(k) > limits.step) {
        return Outcome::Stepped;
    }
    let ruled_out = trend.slope_high <= limits.slope_per_h;
    let seen = trend.slope_high <= enough && trend.detectable_per_h <= enough;
    // What grew, but need not go on, is not steady yet.
    let above = trend.slope_low > limits.slope_per_h;
    let steady = trend.samples_used >= USED_MIN && !above && (ruled_out || seen);
    if steady { Outcome::Steady } else { Outcome::TooLittle }
}

/// Returns the growth that must be ruled out.
fn enough(structure: &Structure, limits: &Limits) -> f64 {
    if limits.slope_per_h > 0.0 {
        return ENOUGH * limits.slope_per_h;
    }
    // Without a limit to go by: one per cent of the level in an hour.
    0.01 * median(&mut structure.points.value.clone()).unwrap_or(0.0).abs()
}

/// Returns when the ceiling is reached if a series goes on growing as it does.
fn reaches_ms(trend: &Trend, limits: &Limits) -> Option<i64> {
    let (ceiling, last) = (limits.ceiling?, trend.line.last()?);
    if !(trend.slope_low > 0.0 && ceiling.is_finite()) {
        return None;
    }
    let ahead_ms = ((ceiling - last.until) / trend.slope_per_h * 3.6e6).max(0.0);
    // Nobody asks what happens in a thousand years.
    (ahead_ms < 3.2e13).then(|| last.until_ms.saturating_add(ahead_ms as i64))
}
