//! What a series consists of beside growth and noise: warm-up, steps, daily rhythm, saw-tooth. A part is believed only if it
//! makes the series far more likely, under the kind of noise that suits best with it and without it; growth is always in
//! the model, so that no part has to stand in for it.

use super::fit::{Basis, filters};
use super::noise::{Filter, Noise, WHITE, kinds};
use super::saw_tooth::{self, Teeth};
use super::tidy::Points;
use super::{step, warm_up};

/// Hours of the rhythm that is looked for.
const DAY_H: f64 = 24.0;
/// Hours that must be seen before a daily rhythm is looked for.
const RHYTHM_SPAN_H: f64 = 16.0;
/// Parts at most.
const PARTS_MAX: usize = 14;
/// Parts more than beside growth that a series may take to do without it.
const ENDED_MORE: usize = 3;
/// What growth must add, as a multiple of the logarithm of the number of points, like the prices of parts.
const GROWTH_PRICE: f64 = 2.5;

/// A part of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Part {
    /// A saw-tooth that fills at a steady rate.
    Teeth,
    /// Up and down once a day.
    Rhythm,
    WarmUp(warm_up::WarmUp),
    /// A lasting change of level from this point on, within its life.
    Step(usize),
}

/// A series with the parts that were found in it.
#[derive(Debug)]
pub(super) struct Structure {
    pub points: Points,
    pub teeth: Teeth,
    /// The values that the search goes by, without lone outliers.
    pub calm: Vec<f64>,
    pub parts: Vec<Part>,
    /// Whether growth is in the model.
    pub grows: bool,
    /// The kind of noise that suits best.
    noise: Noise,
    /// Twice the likelihood of all of it, less the prices of its parts.
    pub score: f64,
    /// Sum of squares below which only rounding is left.
    pub floor: f64,
}

impl Structure {
    /// Finds the parts of a series, once without and, if there may be a saw-tooth, once with it.
    pub(super) fn find(points: Points) -> Self {
        let teeth = saw_tooth::find(&points);
        let without = Self::beside(points, Teeth::default(), None);
        let Some(teeth) = teeth else { return without };
        let with = Self::beside(without.points.split(&teeth.first_falls), teeth, None);
        if with.score > without.score { with } else { without }
    }

    /// Returns true if the series is explained as well by something that ends: a warm-up, a few steps, a rhythm.
    pub(super) fn could_have_ended(&self) -> bool {
        let ended =
            Self::beside(self.points.clone(), self.teeth.clone(), Some((self.parts.len() + ENDED_MORE, self.noise)));
        ended.score > self.score - GROWTH_PRICE * (self.points.len() as f64).ln()
    }

    /// Returns the same series as if no change of level had been found: what rises in many steps grows.
    pub(super) fn without_steps(mut self) -> Self {
        self.parts.retain(|part| !matches!(part, Part::Step(_)));
        self
    }

    /// Finds the parts beside the teeth; at most so many and with this noise, if they must do without growth.
    fn beside(points: Points, teeth: Teeth, without_growth: Option<(usize, Noise)>) -> Self {
        let calm = points.calmed();
        let spread: f64 = calm.iter().map(|value| value * value).sum();
        let parts = if teeth.falls.is_empty() { Vec::new() } else { vec![Part::Teeth] };
        let search = Search::new(&points, without_growth.map(|(_, noise)| noise));
        let floor = spread * 1e-18 + f64::MIN_POSITIVE;
        let mut found =
            Self { points, teeth, calm, parts, grows: without_growth.is_none(), noise: WHITE, score: 0.0, floor };
        found.add_all(&search, without_growth.map_or(PARTS_MAX, |(most, _)| most));
        found.drop_weak(&search);
        found.parts.sort_by_key(|part| if let Part::Step(at) = part { *at } else { 0 });
        let price: f64 = found.parts.iter().map(|part| found.price(*part)).sum();
        let (likelihood, noise) = found.likelihood(&search, &found.parts);
        (found.score, found.noise) = (2.0 * likelihood - price, search.kinds[noise]);
        found
    }

    /// Twice the likelihood that a part must add; a search over many places costs more (in the manner of Zhang & Siegmund
    /// 2007), and each fall of a saw-tooth is a place that was searched for.
    fn price(&self, part: Part) -> f64 {
        let times = match part {
            Part::Teeth => 3.0 + (self.teeth.falls.len() + self.teeth.first_falls.len()) as f64,
            // Twice the same is a rhythm; once could be anything.
            Part::Rhythm if self.points.span_h() < 2.0 * DAY_H => 4.0,
            Part::Rhythm | Part::WarmUp(_) => 2.5,
            Part::Step(_) => 3.5,
        };
        times * (self.points.len() as f64).ln()
    }

    /// Returns the columns of the model: growth first, then those of each part.
    pub(super) fn columns(&self, parts: &[Part]) -> Vec<Vec<f64>> {
        let mut columns: Vec<Vec<f64>> = self.grows.then(|| self.points.at_h.clone()).into_iter().collect();
        for part in parts {
            match part {
                Part::Teeth => columns.push(self.teeth.age_h.clone()),
                Part::Rhythm => columns.extend(rhythm(&self.points)),
                Part::WarmUp(warm_up) => columns.push(warm_up.column(&self.points)),
                Part::Step(at) => columns.push(step::column(&self.points, *at)),
            }
        }
        columns
    }

    fn basis(&self, filter: &Filter, columns: &[Vec<f64>]) -> Basis {
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        Basis::new(&self.points, filter, &columns, &self.calm)
    }

    /// Returns the likelihood of a model under the noise that suits it best, and which noise that is.
    fn likelihood(&self, search: &Search, parts: &[Part]) -> (f64, usize) {
        let columns = self.columns(parts);
        let judge = |filter: &Filter| self.basis(filter, &columns).quality(self.floor).likelihood;
        let judged = search.filters.iter().map(judge).enumerate();
        judged.map(|(k, likelihood)| (likelihood, k)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((f64::MIN, 0))
    }

    /// Adds the part that explains most, until none explains enough.
    fn add_all(&mut self, search: &Search, most: usize) {
        let (mut likelihood, mut noise) = self.likelihood(search, &self.parts);
        while self.parts.len() < most && self.points.len() > 12 {
            let with = |part: &Part| -> (f64, f64, usize) {
                let mut parts = self.parts.clone();
                parts.push(*part);
                let (more, noise) = self.likelihood(search, &parts);
                (2.0 * (more - likelihood) - self.price(*part), more, noise)
            };
            let candidates = self.candidates(search, noise);
            let best = candidates.iter().map(|part| (with(part), *part)).max_by(|a, b| a.0.0.total_cmp(&b.0.0));
            match best {
                Some(((surplus, more, kind), part)) if surplus > 0.0 => {
                    self.parts.push(part);
                    (likelihood, noise) = (more, kind);
                }
                _ => return,
            }
        }
    }

    /// Returns the most promising part of each kind, both if noise is independent and if it is as it seems so far.
    fn candidates(&self, search: &Search, noise: usize) -> Vec<Part> {
        let mut candidates = Vec::new();
        if !self.parts.contains(&Part::Rhythm) && self.points.span_h() >= RHYTHM_SPAN_H {
            candidates.push(Part::Rhythm);
        }
        let columns = self.columns(&self.parts);
        let taken: Vec<usize> =
            self.parts.iter().filter_map(|part| if let Part::Step(at) = part { Some(*at) } else { None }).collect();
        let mut kinds = vec![0, noise];
        kinds.dedup();
        for kind in kinds {
            let filter = &search.filters[kind];
            let basis = self.basis(filter, &columns);
            if basis.left() <= self.floor {
                continue;
            }
            candidates.extend(step::best(&self.points, filter, &basis, &taken).map(Part::Step));
            let known =
                |which| self.parts.iter().any(|part| matches!(part, Part::WarmUp(known) if known.which == which));
            let best = warm_up::best(&self.points, filter, &basis, &known);
            candidates.extend(best.into_iter().map(Part::WarmUp));
        }
        candidates.dedup();
        candidates
    }

    /// Drops what others made superfluous.
    fn drop_weak(&mut self, search: &Search) {
        while !self.parts.is_empty() {
            let (whole, _) = self.likelihood(search, &self.parts);
            let loss = |k: usize| {
                let mut rest = self.parts.clone();
                let part = rest.remove(k);
                2.0 * (whole - self.likelihood(search, &rest).0) - self.price(part)
            };
            let weakest = (0..self.parts.len()).map(|k| (loss(k), k)).min_by(|a, b| a.0.total_cmp(&b.0));
            match weakest {
                Some((surplus, k)) if surplus < 0.0 => self.parts.remove(k),
                _ => return,
            };
        }
    }
}

/// The kinds of noise that the search goes by.
#[derive(Debug)]
struct Search {
    kinds: Vec<Noise>,
    filters: Vec<Filter>,
}

impl Search {
    fn new(points: &Points, only: Option<Noise>) -> Self {
        let kinds = only.map_or_else(|| kinds(points, true), |noise| vec![noise]);
        Self { filters: filters(points, &kinds), kinds }
    }
}

/// Returns the two columns of a daily rhythm.
fn rhythm(points: &Points) -> [Vec<f64>; 2] {
    let turn = |at_h: &f64| 2.0 * std::f64::consts::PI * at_h / DAY_H;
    let wave = |f: fn(f64) -> f64| points.at_h.iter().map(|at_h| f(turn(at_h))).collect();
    [wave(f64::sin), wave(f64::cos)]
}
