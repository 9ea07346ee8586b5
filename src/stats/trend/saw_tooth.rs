//! Buffers that fill and are emptied: what is of interest is where their troughs lie. The falls are found first; then every
//! point is known by the time since the last fall, and the rate of filling becomes a part of the model, which brings each
//! point down to the trough of its tooth instead of leaving a handful of troughs to judge by.

use super::super::median::median;
use super::tidy::Points;

/// Points whose mean is compared on each side of a fall.
const SIDE: usize = 2;
/// Robust standard deviations that a fall stands out by.
const FALL_MIN: f64 = 3.0;
/// Share of the usual fall that a fall has at least.
const USUAL_MIN: f64 = 0.4;
/// Falls that make a saw-tooth.
const FALLS_MIN: usize = 3;
/// Share of the sum of squares that the teeth must explain.
const EXPLAINED_MIN: f64 = 0.45;
/// How much of a fall the usual tooth gains.
const GAINED: std::ops::Range<f64> = 0.5..2.5;

/// The teeth of a series.
#[derive(Debug, Clone, Default)]
pub(super) struct Teeth {
    /// Hours since the last fall, or since the beginning of the life, for each point.
    pub age_h: Vec<f64>,
    /// The first point behind each fall.
    pub falls: Vec<usize>,
    /// The first fall of each life: the tooth before it began before anybody looked.
    pub first_falls: Vec<usize>,
    /// Points from one trough to the next.
    pub length: f64,
}

/// Finds the teeth of a series, if it has some.
pub(super) fn find(points: &Points) -> Option<Teeth> {
    // A leak slow enough to be taken for teeth turned round exists too: what rises at once and sinks slowly.
    [-1.0, 1.0]
        .into_iter()
        .filter_map(|sign| candidate(points, sign))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|found| found.1)
}

/// Returns the teeth whose falls go in the direction of `sign`, and how much they explain.
fn candidate(points: &Points, sign: f64) -> Option<(f64, Teeth)> {
    let contrast = contrasts(points, sign);
    let mut all: Vec<f64> = contrast.iter().flatten().copied().collect();
    let usual = median(&mut all)?;
    let mut off: Vec<f64> = all.iter().map(|value| (value - usual).abs()).collect();
    let far = usual + FALL_MIN * 1.482_6 * median(&mut off)?;
    let peak = |i: usize| {
        let here = contrast[i].filter(|value| *value > far && *value > 0.0)?;
        let beats =
            |j: usize| contrast.get(j).copied().flatten().is_none_or(|other| here > other || (here >= other && i < j));
        (1..=SIDE).all(|k| beats(i + k) && (i < k || beats(i - k))).then_some((i, here))
    };
    let mut falls: Vec<(usize, f64)> = (0..points.len()).filter_map(peak).collect();
    let mut sizes: Vec<f64> = falls.iter().map(|fall| fall.1).collect();
    let size = median(&mut sizes)?;
    falls.retain(|fall| fall.1 >= USUAL_MIN * size);
    let falls: Vec<usize> = falls.into_iter().map(|fall| fall.0).collect();
    if falls.len() < FALLS_MIN {
        return None;
    }
    let teeth = teeth(points, falls);
    let (explained, rate) = filling(points, &teeth);
    // What a tooth gains is what its fall takes away.
    let gained = -sign * rate * teeth.length * points.spacing_h() / size;
    (explained >= EXPLAINED_MIN && GAINED.contains(&gained)).then_some((explained, teeth))
}

/// Returns, before each point, how much lower it is from there on than just before; none too near an end of a life.
fn contrasts(points: &Points, sign: f64) -> Vec<Option<f64>> {
    let mut contrast = vec![None; points.len()];
    let mean = |from: usize| points.value[from..from + SIDE].iter().sum::<f64>() / SIDE as f64;
    for life in &points.lives {
        let (from, until) = (life.start + SIDE, (life.end + 1).saturating_sub(SIDE));
        for (i, contrast) in contrast.iter_mut().enumerate().take(until).skip(from) {
            *contrast = Some(sign * (mean(i) - mean(i - SIDE)));
        }
    }
    contrast
}

fn teeth(points: &Points, falls: Vec<usize>) -> Teeth {
    let mut age_h = vec![0.0; points.len()];
    let (mut first_falls, mut lengths) = (Vec::new(), Vec::new());
    for life in &points.lives {
        let mut last = None;
        for i in life.clone() {
            if falls.binary_search(&i).is_ok() {
                match last {
                    None => first_falls.push(i),
                    Some(last) => lengths.push((i - last) as f64),
                }
                last = Some(i);
            }
            age_h[i] = points.at_h[i] - points.at_h[last.unwrap_or(life.start)];
        }
    }
    let length = median(&mut lengths).unwrap_or(0.0);
    Teeth { age_h, falls, first_falls, length }
}

/// Returns the share of the sum of squares around a line that filling explains, and its rate per hour.
fn filling(points: &Points, teeth: &Teeth) -> (f64, f64) {
    let (mut at, mut value, mut age) = (points.at_h.clone(), points.value.clone(), teeth.age_h.clone());
    for life in &points.lives {
        for column in [&mut at, &mut value, &mut age] {
            let mean = column[life.clone()].iter().sum::<f64>() / life.len() as f64;
            column[life.clone()].iter_mut().for_each(|entry| *entry -= mean);
        }
    }
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let clear = |column: &mut Vec<f64>, base: &[f64]| {
        let own = dot(base, base);
        let times = if own > 0.0 { dot(column, base) / own } else { 0.0 };
        column.iter_mut().zip(base).for_each(|(entry, base)| *entry -= times * base);
        times
    };
    clear(&mut value, &at);
    clear(&mut age, &at);
    let before = dot(&value, &value);
    let rate = clear(&mut value, &age);
    (if before > 0.0 { 1.0 - dot(&value, &value) / before } else { 0.0 }, rate)
}
