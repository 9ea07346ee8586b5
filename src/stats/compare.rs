//! Whether one metric of a run is better, the same or worse than in another run. Cycles of the same number did the same work
//! at the same age of the run, so they are paired, and what both runs have in common (a cold start, a table that grows) falls
//! out. Of the paired log ratios the Hodges–Lehmann estimate is taken (the median of the Walsh averages; Hodges and Lehmann
//! 1963), its standard error from the width of its 90 % interval by inversion of Wilcoxon's signed-rank test (Lehmann 1963),
//! with the variance divided by the share of independent pairs: cycles are autocorrelated. Two runs of one build differ by
//! more than their cycles show, because memory lies elsewhere and the machine is in another mood; that run-to-run noise is
//! taken into account as a variance of its own, known from other runs or assumed (see [`Between`]).
//!
//! A shift counts as worse or better if its simultaneous interval leaves zero out and it is at least the margin. It counts as
//! the same if a shift of twice the margin can be excluded on both sides (two one-sided tests at 5 %; Schuirmann 1987).
//! Everything else cannot be told.
//!
//! Simulated with 20 metrics that share half of their noise, with cold starts, growth and outliers, a margin of 5 %, a
//! family-wise error of 5 % and an assumed run-to-run deviation of 1.5 %: two runs of one build were the same as a whole in
//! 97 to 100 % of the pairs, and a build slower by 10 % was worse in 93 to 100 %, where runs really deviate by up to 1 % and
//! have 25 cycles or more with noise of 3 %, 50 with noise of 6 %, 100 with noise of 10 % (autocorrelation up to 0.3). Runs
//! that deviate by 2 % were called changed in 15 % of the pairs unless that deviation was known.

use std::collections::BTreeMap;

use super::median::median_of;
use super::quantile::{student_above, student_two_sided};

/// Pairs below which nothing is said.
pub const PAIRS_MIN: usize = 6;
/// Pairs that are worked with; more cycles are averaged first.
const PAIRS_MAX: u64 = 400;
/// Part of the cycles that is left out at the start, and cycles that are left out at most.
const WARM_UP_PART: u64 = 10;
const WARM_UP_MAX: u64 = 50;
/// Normal quantile of the interval that the standard error is taken from, and of 90 % power.
const Z90: f64 = 1.644_853_6;
const POWER: f64 = 1.281_551_6;
/// Probability of calling a shift of twice the margin the same.
const SAME_ALPHA: f64 = 0.05;

/// The value of one or more cycles in a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Number of the first cycle, from 1.
    pub cycle: u64,
    /// Cycles that it is the mean of.
    pub cycles: u32,
    pub value: f64,
}

/// What is asked of two series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asked {
    /// Relative shift from which on a difference matters.
    pub margin: f64,
    /// Difference, in the metric's unit, below which none matters.
    pub floor: f64,
    /// Probability of calling an unchanged metric changed: that of the whole comparison by the number of metrics.
    pub alpha: f64,
    /// Relative standard deviation between runs of one build.
    pub between: f64,
    /// Whether more is worse.
    pub up_is_worse: bool,
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Better,
    Same,
    Worse,
    CannotTell,
}

/// One metric of two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub outcome: Outcome,
    /// Medians of what was compared; means if it is mostly zero.
    pub before: f64,
    pub after: f64,
    /// Relative shift with its simultaneous interval; not numbers if nothing was there before, or too little.
    pub shift: f64,
    pub low: f64,
    pub high: f64,
    /// Cliff's delta.
    pub effect: f64,
    /// Probability of so large a shift in either direction between two runs of one build.
    pub p: f64,
    /// Pairs of cycles compared, and independent pairs that they are worth.
    pub pairs: usize,
    pub effective: f64,
    /// The smallest relative shift that would have been found nine times out of ten.
    pub detectable: f64,
    /// First and last cycle that was compared.
    pub cycles: (u64, u64),
}

/// An estimate with what is needed to build intervals.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    shift: f64,
    /// Standard deviation within and between runs together, and its degrees of freedom.
    sd: f64,
    df: f64,
    effective: f64,
}

/// Compares two series of one metric.
pub fn compare(before: &[Point], after: &[Point], asked: &Asked) -> Comparison {
    let (pairs, cycles) = paired(before, after);
    compared(&pairs, cycles, asked)
}

/// Compares by how much two series of one metric grow: each value of the second half by the one that stands there in the first
/// half. What is before and after is that factor.
pub fn growth(before: &[Point], after: &[Point], asked: &Asked) -> Comparison {
    let (pairs, cycles) = paired(before, after);
    let (first, second) = pairs.split_at(pairs.len() / 2);
    let factors = first.iter().zip(second).map(|(early, late)| (late.0 / early.0, late.1 / early.1));
    let factors: Vec<(f64, f64)> = factors.filter(|(a, b)| a.is_finite() && b.is_finite()).collect();
    compared(&factors, cycles, asked)
}

fn compared(pairs: &[(f64, f64)], cycles: (u64, u64), asked: &Asked) -> Comparison {
    let middle = |side: fn(&(f64, f64)) -> f64| median_of(&pairs.iter().map(side).collect::<Vec<_>>());
    let mut out = Comparison {
        outcome: Outcome::CannotTell,
        before: middle(|pair| pair.0),
        after: middle(|pair| pair.1),
        shift: f64::NAN,
        low: f64::NAN,
        high: f64::NAN,
        effect: cliffs_delta(pairs),
        p: f64::NAN,
        pairs: pairs.len(),
        effective: 0.0,
        detectable: f64::NAN,
        cycles,
    };
    if pairs.len() < PAIRS_MIN {
        return out;
    }
    if pairs.iter().all(|(before, after)| *before > 0.0 && *after > 0.0) {
        let ratios: Vec<f64> = pairs.iter().map(|(before, after)| (after / before).ln()).collect();
        let estimate = located(&ratios, asked.between);
        let floor = asked.floor / out.before.max(f64::MIN_POSITIVE);
        judge(&mut out, &estimate, asked, asked.margin.ln_1p().max(floor.ln_1p()), f64::exp_m1);
    } else {
        let n = pairs.len() as f64;
        (out.before, out.after) = pairs.iter().fold((0.0, 0.0), |(a, b), pair| (a + pair.0 / n, b + pair.1 / n));
        let scale = out.before;
        let estimate = averaged(pairs, asked.between * scale.abs(), asked.floor / n);
        let margin = (asked.margin * scale.abs()).max(asked.floor);
        let relative = move |difference: f64| if scale == 0.0 { f64::NAN } else { difference / scale.abs() };
        judge(&mut out, &estimate, asked, margin, relative);
    }
    out
}

/// Decides, and fills in the figures; `shown` makes a relative shift of what was worked with.
fn judge(out: &mut Comparison, estimate: &Estimate, asked: &Asked, margin: f64, shown: impl Fn(f64) -> f64) {
    let Estimate { shift, sd, df, effective } = *estimate;
    let width = |tail: f64| if sd == 0.0 { 0.0 } else { student_above(tail, df) * sd };
    let wide = width(asked.alpha / 2.0);
    let narrow = width(SAME_ALPHA);
    (out.shift, out.low, out.high) = (shown(shift), shown(shift - wide), shown(shift + wide));
    out.p = match (shift == 0.0, sd == 0.0) {
        (true, _) => 1.0,
        (false, true) => 0.0,
        (false, false) => student_two_sided(shift / sd, df),
    };
    out.effective = effective;
    out.detectable = shown((wide + POWER * sd).max(margin));
    let certain = shift.abs() > wide;
    out.outcome = if certain && shift.abs() >= margin {
        if (shift > 0.0) == asked.up_is_worse { Outcome::Worse } else { Outcome::Better }
    } else if shift.abs() + narrow <= 2.0 * margin {
        Outcome::Same
    } else {
        Outcome::CannotTell
    };
}

/// Pairs the cycles that both have, without the warm-up; also returns the first and the last of them.
fn paired(before: &[Point], after: &[Point]) -> (Vec<(f64, f64)>, (u64, u64)) {
    let end = |points: &[Point]| points.iter().map(|p| p.cycle.saturating_add(u64::from(p.cycles))).max().unwrap_or(0);
    let common = end(before).min(end(after)).saturating_sub(1);
    let stride = before.iter().chain(after).map(|point| u64::from(point.cycles)).max().unwrap_or(1);
    let stride = stride.max(common.div_ceil(PAIRS_MAX)).max(1);
    let skip = (common / WARM_UP_PART).clamp(1, WARM_UP_MAX);
    let slots = |points: &[Point]| {
        let mut slots: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
        let usable = |p: &&Point| p.value.is_finite() && p.cycle > skip && p.cycle <= common;
        for point in points.iter().filter(usable) {
            let weight = f64::from(point.cycles.max(1));
            let slot = slots.entry((point.cycle - 1 + u64::from(point.cycles) / 2) / stride).or_default();
            slot.0 += weight;
            slot.1 += (point.value - slot.1) * weight / slot.0;
        }
        slots
    };
    let (before, after) = (slots(before), slots(after));
    let pairs: Vec<(f64, f64)> =
        before.iter().filter_map(|(slot, (_, value))| Some((*value, after.get(slot)?.1))).collect();
    (pairs, (skip + 1, common))
}

/// Returns the sum of squares of the levels of several runs of one build, as logarithms over the cycles that all of them have,
/// and its degrees of freedom; `None` for less than two runs, and for values that have no logarithm.
pub fn scatter(runs: &[Vec<Point>]) -> Option<(f64, f64)> {
    let end = |run: &Vec<Point>| run.iter().map(|p| p.cycle.saturating_add(u64::from(p.cycles))).max().unwrap_or(0);
    let common = runs.iter().map(end).min().filter(|_| runs.len() > 1)?;
    let skip = (common / WARM_UP_PART).clamp(1, WARM_UP_MAX);
    let level = |run: &Vec<Point>| {
        let used = run.iter().filter(|p| p.cycle > skip && p.cycle < common && p.value > 0.0);
        let logs: Vec<f64> = used.map(|point| point.value.ln()).collect();
        (logs.len() >= PAIRS_MIN).then(|| median_of(&logs))
    };
    let levels: Vec<f64> = runs.iter().map(level).collect::<Option<_>>()?;
    let mean = levels.iter().sum::<f64>() / levels.len() as f64;
    Some((levels.iter().map(|level| (level - mean).powi(2)).sum(), levels.len() as f64 - 1.0))
}

/// Returns the Hodges–Lehmann estimate of log ratios and its standard deviation.
fn located(ratios: &[f64], between: f64) -> Estimate {
    let n = ratios.len() as f64;
    let mut walsh = Vec::with_capacity(ratios.len() * (ratios.len() + 1) / 2);
    for (at, one) in ratios.iter().enumerate() {
        walsh.extend(ratios[at..].iter().map(|other| f64::midpoint(*one, *other)));
    }
    walsh.sort_by(f64::total_cmp);
    let effective = effective(ratios);
    let spread = (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0).sqrt();
    let rank = (walsh.len() as f64 / 2.0 - Z90 * spread).max(0.0).floor() as usize;
    let within = (walsh[walsh.len() - 1 - rank] - walsh[rank]) / (2.0 * Z90) * (n / effective).sqrt();
    Estimate { shift: median_of(&walsh), ..together(within, between * std::f64::consts::SQRT_2, effective) }
}

/// Returns the mean difference of values of which some are zero, and its standard deviation, which is at least `least`: that
/// nothing was seen does not prove that there is nothing.
fn averaged(pairs: &[(f64, f64)], between: f64, least: f64) -> Estimate {
    let differences: Vec<f64> = pairs.iter().map(|(before, after)| after - before).collect();
    let n = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let effective = effective(&differences);
    let within = (variance / effective).sqrt().max(least);
    Estimate { shift: mean, ..together(within, between * std::f64::consts::SQRT_2, effective) }
}

/// Adds two independent deviations, the second one known, with the degrees of freedom of the sum (Welch 1947, Satterthwaite
/// 1946).
fn together(within: f64, between: f64, effective: f64) -> Estimate {
    let variance = within * within + between * between;
    let own = (effective - 1.0).max(1.0);
    let df = if within > 0.0 { own * (variance / (within * within)).powi(2) } else { 1e6 };
    Estimate { shift: 0.0, sd: variance.sqrt(), df: df.min(1e6), effective }
}

/// Returns how many independent values a series is worth: an autoregression of first order, with the bias of short series put
/// right (Kendall 1954; Marriott and Pope 1954), or the sum of autocorrelations as long as pairs of them are positive (Geyer
/// 1992), whichever leaves less. The first autocorrelation is taken one standard error higher than it looks, because short
/// series look less correlated than they are. Values far out are drawn in first: one of them hides every correlation.
pub(super) fn effective(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let centre = median_of(values);
    let mad = median_of(&values.iter().map(|value| (value - centre).abs()).collect::<Vec<_>>());
    if n < 4.0 || mad <= 0.0 {
        return n;
    }
    let drawn: Vec<f64> = values.iter().map(|value| (value - centre).clamp(-4.5 * mad, 4.5 * mad)).collect();
    let mean = drawn.iter().sum::<f64>() / n;
    let lag = |k: usize| drawn.iter().zip(&drawn[k..]).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    let whole = lag(0);
    if !(whole.is_finite() && whole > 0.0) {
        return n;
    }
    let first = lag(1) / whole;
    let first = first + (1.0 + 3.0 * first) / n;
    let first = (first + ((1.0 - first * first).max(0.0) / n).sqrt()).clamp(0.0, 0.95);
    let mut inflation = (1.0 + first) / (1.0 - first);
    let mut sum = -1.0;
    for k in (0..values.len() / 4).step_by(2) {
        let pair = (lag(k) + lag(k + 1)) / whole;
        if pair <= 0.0 {
            break;
        }
        sum += 2.0 * pair;
    }
    if values.len() >= 20 {
        inflation = inflation.max(sum);
    }
    (n / inflation).clamp(2.0, n)
}

/// Returns Cliff's delta (Cliff 1993): the share of pairs in which the later value is larger, less those in which it is smaller.
fn cliffs_delta(pairs: &[(f64, f64)]) -> f64 {
    let mut before: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
    before.sort_by(f64::total_cmp);
    let n = pairs.len() as f64;
    let sum: f64 = pairs
        .iter()
        .map(|(_, after)| {
            let below = before.partition_point(|value| value < after);
            let above = before.len() - before.partition_point(|value| value <= after);
            below as f64 - above as f64
        })
        .sum();
    if pairs.is_empty() { f64::NAN } else { sum / (n * n) }
}

#[cfg(test)]
pub(crate) mod tests;
