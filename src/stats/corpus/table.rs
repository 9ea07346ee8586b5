//! How often series of the corpus are called growing: the table by which the statistics are judged.

use super::super::trend::{Limits, Outcome, examine};
use super::{Recipe, series};

/// What series of the corpus are judged by.
pub const LIMITS: Limits = Limits { slope_per_h: 0.1, step: f64::INFINITY, ceiling: None, alpha: 0.01 };

/// Leaks of the table in MB per hour.
pub const LEAKS: [f64; 6] = [0.0, 0.1, 0.25, 0.5, 1.0, 2.0];

/// What was said of the series of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cell {
    pub series: u64,
    pub growing: u64,
    pub too_little: u64,
}

/// Judges series of a recipe, with `series` seeds from its own on.
pub fn cell(recipe: &Recipe, series: u64) -> Cell {
    let mut cell = Cell { series, ..Cell::default() };
    for seed in seeds(recipe, series) {
        match verdict(&Recipe { seed, ..*recipe }) {
            Outcome::Growing => cell.growing += 1,
            Outcome::TooLittle => cell.too_little += 1,
            Outcome::Steady | Outcome::Stepped => {}
        }
    }
    cell
}

/// What became of verdicts when the series were cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changed {
    pub series: u64,
    /// Steady became growing or the other way round.
    pub turned: u64,
    /// It could no more be told.
    pub lost: u64,
    /// It could be told only now.
    pub won: u64,
}

/// Compares the verdicts on series with those on the same series cut.
pub fn changed(whole: &Recipe, cut: &Recipe, series: u64) -> Changed {
    let mut changed = Changed { series, ..Changed::default() };
    for seed in seeds(whole, series) {
        match (verdict(&Recipe { seed, ..*whole }), verdict(&Recipe { seed, ..*cut })) {
            (before, after) if before == after => {}
            (_, Outcome::TooLittle) => changed.lost += 1,
            (Outcome::TooLittle, _) => changed.won += 1,
            _ => changed.turned += 1,
        }
    }
    changed
}

fn seeds(recipe: &Recipe, series: u64) -> std::ops::Range<u64> {
    recipe.seed..recipe.seed.saturating_add(series)
}

fn verdict(recipe: &Recipe) -> Outcome {
    examine(&series(recipe), &LIMITS).outcome
}
