//! Made-up series of a process's memory, healthy and leaking, by which the statistics are judged. Everything is drawn from
//! a seed; values are in MB.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::Sample;

pub mod table;

/// Memory of the process that the series are of.
pub const BASE_MB: f64 = 60.0;
/// Standard deviation of a sample around what the shape says.
pub const NOISE_MB: f64 = 1.0;
/// Length of a load cycle; quiet samples are taken at its end.
pub const CYCLE_H: f64 = 1.0 / 6.0;
/// Instant of the first sample: 2026-01-01 00:00 UTC.
const START_MS: i64 = 1_767_225_600_000;

/// What a healthy process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Noise around one level.
    Flat,
    /// An exponential approach to a plateau, 95 % of the way in 1.5 to 7.5 hours.
    WarmUp,
    /// A buffer that fills for 25 minutes to 5 hours and is emptied, not in time with the samples.
    SawTooth,
    /// One lasting rise at once, by 3 to 15 MB.
    Step,
    /// A slow wander (Ornstein–Uhlenbeck) that forgets itself within half an hour to two hours.
    Wander,
    /// Rises by faults that go back within minutes.
    Spikes,
    /// An allocator that never gives back: the highest of all load peaks so far, which spread by 1 to 4 MB.
    Ratchet,
    /// Up and down by 2 to 6 MB once a day.
    Daily,
    /// Three to eight restarts, each with a level of its own and a short warm-up.
    Restarts,
}

impl Shape {
    pub const ALL: [Self; 9] = [
        Self::Flat,
        Self::WarmUp,
        Self::SawTooth,
        Self::Step,
        Self::Wander,
        Self::Spikes,
        Self::Ratchet,
        Self::Daily,
        Self::Restarts,
    ];

    /// Returns the name that options and tables use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::WarmUp => "warm-up",
            Self::SawTooth => "saw-tooth",
            Self::Step => "step",
            Self::Wander => "wander",
            Self::Spikes => "spikes",
            Self::Ratchet => "ratchet",
            Self::Daily => "daily",
            Self::Restarts => "restarts",
        }
    }
}

/// When samples are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sampling {
    /// Once a minute, whatever is going on: the memory that the load of each cycle holds comes on top.
    Free,
    /// Once per cycle, at its quiesced end.
    Quiet,
}

/// What a series is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    pub shape: Shape,
    pub leak_mb_per_h: f64,
    pub hours: f64,
    pub sampling: Sampling,
    pub noise_mb: f64,
    /// Times that a finished series is cut by a restart: a gap of 1 to 10 minutes.
    pub cuts: u32,
    /// Whether it is the process itself that is restarted, with a new epoch and a level of its own, or only who looks at it.
    pub lives: bool,
    pub seed: u64,
}

impl Recipe {
    /// Returns the recipe of a quiet series with the usual noise.
    pub fn quiet(shape: Shape, leak_mb_per_h: f64, hours: f64, seed: u64) -> Self {
        Self { shape, leak_mb_per_h, hours, sampling: Sampling::Quiet, noise_mb: NOISE_MB, cuts: 0, lives: false, seed }
    }
}

/// Makes the series of a recipe.
pub fn series(recipe: &Recipe) -> Vec<Sample> {
    // The noise, the shape, the load and the cuts are drawn apart, so that one can be changed without the others.
    let draw = |stream: u64| {
        let mut rng = ChaCha12Rng::seed_from_u64(recipe.seed);
        rng.set_stream(stream + 16 * recipe.shape as u64);
        rng
    };
    let step_h = if recipe.sampling == Sampling::Quiet { CYCLE_H } else { 1.0 / 60.0 };
    let n = (recipe.hours / step_h).round().max(0.0) as usize;
    // A quiet sample stands at the end of its cycle.
    let offset_h = if recipe.sampling == Sampling::Quiet { CYCLE_H } else { 0.0 };
    let at_h: Vec<f64> = (0..n).map(|i| offset_h + i as f64 * step_h).collect();
    let mut level = level(recipe, &at_h, &mut draw(0));
    let (mut noise, mut load) = (draw(1), draw(2));
    let loads: Vec<(f64, f64)> = (0..=(recipe.hours / CYCLE_H) as usize)
        .map(|_| (load.random_range(2.0..6.0), load.random_range(0.5..0.8)))
        .collect();
    for (i, (value, _)) in level.iter_mut().enumerate() {
        *value += BASE_MB + recipe.noise_mb * normal(&mut noise);
        let cycle = at_h[i] / CYCLE_H;
        if let (Sampling::Free, Some((height, share))) = (recipe.sampling, loads.get(cycle as usize)) {
            *value += if cycle.fract() < *share { *height } else { 0.0 };
        }
    }
    let sample = |(at_h, (value, epoch)): (&f64, &(f64, u32))| Sample {
        at_ms: START_MS + (at_h * 3.6e6).round() as i64,
        value: *value,
        epoch: *epoch,
    };
    let whole = at_h.iter().zip(&level).map(sample).collect();
    if recipe.cuts > 0 { cut(whole, recipe, &mut draw(3)) } else { whole }
}

/// Returns a standard normal value (Box & Muller 1958).
fn normal(rng: &mut impl Rng) -> f64 {
    let (a, b): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * a.ln()).sqrt() * (2.0 * std::f64::consts::PI * b).cos()
}

/// Returns an exponential value of mean one.
fn exponential(rng: &mut impl Rng) -> f64 {
    -(1.0 - rng.random::<f64>()).ln()
}

/// Returns value and epoch at each instant, without noise and load.
fn level(recipe: &Recipe, at_h: &[f64], rng: &mut impl Rng) -> Vec<(f64, u32)> {
    let hours = recipe.hours;
    let leak = |value: f64, at_h: &f64| (value + recipe.leak_mb_per_h * at_h, 0);
    let each = |f: &mut dyn FnMut(f64) -> f64| at_h.iter().map(|at| leak(f(*at), at)).collect();
    match recipe.shape {
        Shape::Flat => each(&mut |_| 0.0),
        Shape::WarmUp => {
            let (height, time_h) = (rng.random_range(10.0..30.0), rng.random_range(0.5..2.5));
            each(&mut |at| -height * (-at / time_h).exp())
        }
        Shape::SawTooth => saw_tooth(at_h, rng).iter().zip(at_h).map(|(value, at)| leak(*value, at)).collect(),
        Shape::Step => {
            let (size, when_h) = (rng.random_range(3.0..15.0), hours * rng.random_range(0.15..0.85));
            each(&mut |at| if at >= when_h { size } else { 0.0 })
        }
        Shape::Wander => {
            let (time_h, spread) = (rng.random_range(0.5..2.0), 1.0);
            let (mut value, mut last) = (spread * normal(rng), 0.0);
            each(&mut |at| {
                let keep = (-(at - last) / time_h).exp();
                value = keep * value + spread * (1.0 - keep * keep).sqrt() * normal(rng);
                last = at;
                value
            })
        }
        Shape::Spikes => {
            let spikes: Vec<(f64, f64, f64)> = (0..(hours / 3.0).ceil() as usize)
                .map(|_| {
                    (hours * rng.random::<f64>(), 3.0 + 10.0 * exponential(rng), rng.random_range(2.0..15.0) / 60.0)
                })
                .collect();
            let of = |at: f64, (when, height, time): &(f64, f64, f64)| {
                if at >= *when { height * (-(at - when) / time).exp() } else { 0.0 }
            };
            each(&mut |at| spikes.iter().map(|spike| of(at, spike)).sum())
        }
        Shape::Ratchet => {
            let (mut highest, mut cycles, peak) = (0.0_f64, 0.0, rng.random_range(1.0..4.0));
            each(&mut |at| {
                while cycles * CYCLE_H <= at {
                    highest = highest.max(peak * normal(rng));
                    cycles += 1.0;
                }
                highest
            })
        }
        Shape::Daily => {
            let (height, phase) = (rng.random_range(2.0..6.0), rng.random::<f64>());
            each(&mut |at| height * (2.0 * std::f64::consts::PI * (at / 24.0 + phase)).sin())
        }
        Shape::Restarts => restarts(recipe, at_h, rng),
    }
}

/// Returns a buffer that is emptied when it is full, and fills a little faster or slower each time.
fn saw_tooth(at_h: &[f64], rng: &mut impl Rng) -> Vec<f64> {
    let (height, usual_h) = (rng.random_range(4.0..12.0), rng.random_range(25.0..300.0) / 60.0);
    let mut from_h = -usual_h * rng.random::<f64>();
    let mut until_h = from_h + usual_h;
    let fill = |at: &f64| {
        while *at >= until_h {
            from_h = until_h;
            until_h += usual_h * (1.0 + 0.05 * normal(rng)).clamp(0.7, 1.3);
        }
        height * (at - from_h) / (until_h - from_h)
    };
    at_h.iter().map(fill).collect()
}

/// Returns lives that each begin at a level of their own with a short warm-up, and leak from their start on.
fn restarts(recipe: &Recipe, at_h: &[f64], rng: &mut impl Rng) -> Vec<(f64, u32)> {
    let count = rng.random_range(3..=8);
    let mut starts: Vec<f64> = (0..count).map(|_| recipe.hours * rng.random::<f64>()).collect();
    starts.push(0.0);
    starts.sort_by(f64::total_cmp);
    let levels: Vec<f64> = starts.iter().map(|_| 1.5 * normal(rng)).collect();
    let of = |at: &f64| {
        let life = starts.partition_point(|start| start <= at).max(1) - 1;
        let age_h = at - starts[life];
        (levels[life] - 8.0 * (-age_h * 6.0).exp() + recipe.leak_mb_per_h * age_h, life as u32)
    };
    at_h.iter().map(of).collect()
}

/// Cuts a series by restarts: what falls into the gaps is lost, and each life of a process gets a level of its own.
fn cut(whole: Vec<Sample>, recipe: &Recipe, rng: &mut impl Rng) -> Vec<Sample> {
    let mut gaps: Vec<(i64, i64)> = (0..recipe.cuts)
        .map(|_| {
            let from = START_MS + (recipe.hours * 3.6e6 * rng.random::<f64>()) as i64;
            (from, from + (6e4 * rng.random_range(1.0..10.0)) as i64)
        })
        .collect();
    gaps.sort_unstable();
    let levels: Vec<f64> = (0..=recipe.cuts).map(|_| 1.5 * normal(rng)).collect();
    let outside = |sample: &Sample| !gaps.iter().any(|(from, until)| (*from..*until).contains(&sample.at_ms));
    let renew = |sample: Sample| {
        if !recipe.lives {
            return sample;
        }
        let life = gaps.partition_point(|(from, _)| *from <= sample.at_ms);
        // Lives of the shape itself stay lives.
        let epoch = sample.epoch * (recipe.cuts + 1) + life as u32;
        Sample { value: sample.value + levels[life], epoch, ..sample }
    };
    whole.into_iter().filter(outside).map(renew).collect()
}
