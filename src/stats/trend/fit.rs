//! Least squares under a kind of noise: columns of a model, each life with a level of its own.

use super::noise::{Filter, Noise};
use super::tidy::Points;

/// Share of a column that must be left beside the others; less is taken for none.
const LEFT_MIN: f64 = 1e-7;

/// A basis of the model, made independent: what a further column could add is measured against it.
#[derive(Debug)]
pub(super) struct Basis {
    /// One column of ones per life, of length one.
    levels: Vec<f64>,
    columns: Vec<Vec<f64>>,
    /// Triangle that leads from the basis back to the columns; none where a column had nothing of its own.
    triangle: Vec<Option<Vec<f64>>>,
    /// What is left of the values.
    pub rest: Vec<f64>,
    along: Vec<f64>,
    log_det_model: f64,
    log_det_noise: f64,
    lives: usize,
}

/// How well a model and a kind of noise explain the values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quality {
    pub likelihood: f64,
    /// The likelihood of what the model cannot reach (REML: Patterson & Thompson 1971), to compare kinds of noise by.
    pub restricted: f64,
    pub variance: f64,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn take(from: &mut [f64], what: &[f64], times: f64) {
    from.iter_mut().zip(what).for_each(|(from, what)| *from -= times * what);
}

impl Basis {
    /// Builds the basis for `columns` and takes the values apart in it.
    pub(super) fn new(points: &Points, filter: &Filter, columns: &[&[f64]], values: &[f64]) -> Self {
        let mut levels = filter.apply(&vec![1.0; points.len()]);
        let mut log_det_model = 0.0;
        for life in &points.lives {
            let length2 = dot(&levels[life.clone()], &levels[life.clone()]);
            log_det_model += length2.ln();
            levels[life.clone()].iter_mut().for_each(|value| *value /= length2.sqrt());
        }
        let mut basis = Self {
            levels,
            columns: Vec::new(),
            triangle: Vec::new(),
            rest: Vec::new(),
            along: Vec::new(),
            log_det_model,
            log_det_noise: filter.log_det,
            lives: points.lives.len(),
        };
        for column in columns {
            basis.push(points, filter.apply(column));
        }
        let mut rest = filter.apply(values);
        basis.clear_levels(points, &mut rest);
        for column in &basis.columns {
            let along = dot(&rest, column);
            take(&mut rest, column, along);
            basis.along.push(along);
        }
        basis.rest = rest;
        basis
    }

    /// Takes from a column what the levels of the lives can do.
    fn clear_levels(&self, points: &Points, column: &mut [f64]) {
        for life in &points.lives {
            let level = &self.levels[life.clone()];
            let along = dot(&column[life.clone()], level);
            take(&mut column[life.clone()], level, along);
        }
    }

    fn push(&mut self, points: &Points, mut column: Vec<f64>) {
        let whole = dot(&column, &column);
        self.clear_levels(points, &mut column);
        let mut row = Vec::with_capacity(self.columns.len() + 1);
        for other in &self.columns {
            let along = dot(&column, other);
            take(&mut column, other, along);
            row.push(along);
        }
        let left = dot(&column, &column);
        if left <= LEFT_MIN * whole || left <= 0.0 {
            self.triangle.push(None);
            return;
        }
        self.log_det_model += left.ln();
        column.iter_mut().for_each(|value| *value /= left.sqrt());
        row.push(left.sqrt());
        self.columns.push(column);
        self.triangle.push(Some(row));
    }

    /// Returns by how much a further column would lower the sum of squares; zero if it says nothing new.
    pub(super) fn gain(&self, points: &Points, mut column: Vec<f64>) -> f64 {
        let whole = dot(&column, &column);
        self.clear_levels(points, &mut column);
        let along: f64 = self.columns.iter().map(|other| dot(&column, other).powi(2)).sum();
        let left = dot(&column, &column) - along;
        if left <= LEFT_MIN.sqrt() * whole { 0.0 } else { dot(&column, &self.rest).powi(2) / left }
    }

    /// Returns by how much a change of level from point `from` to the end of `life` would lower the sum of squares.
    pub(super) fn gain_of_step(&self, life: &std::ops::Range<usize>, from: usize, step: &[f64]) -> f64 {
        let range = from..life.end;
        let own = dot(step, step);
        let level = dot(step, &self.levels[range.clone()]).powi(2);
        let along: f64 = self.columns.iter().map(|other| dot(step, &other[range.clone()]).powi(2)).sum();
        let left = own - level - along;
        if left <= 1e-3 * own { 0.0 } else { dot(step, &self.rest[range]).powi(2) / left }
    }

    /// Sum of squares that is left.
    pub(super) fn left(&self) -> f64 {
        dot(&self.rest, &self.rest)
    }

    pub(super) fn quality(&self, floor: f64) -> Quality {
        let n = self.rest.len() as f64;
        let free = n - (self.lives + self.columns.len()) as f64;
        let left = self.left().max(floor);
        let likelihood = -0.5 * (n * (left / n).ln() + self.log_det_noise);
        let restricted = -0.5 * (free * (left / free.max(1.0)).ln() + self.log_det_noise + self.log_det_model);
        Quality { likelihood, restricted, variance: left / free.max(1.0) }
    }

    /// Returns the coefficient of each column; zero where it had nothing of its own.
    pub(super) fn coefficients(&self) -> Vec<f64> {
        let rows: Vec<&Vec<f64>> = self.triangle.iter().flatten().collect();
        let mut solved = vec![0.0; rows.len()];
        for k in (0..rows.len()).rev() {
            let later: f64 = (k + 1..rows.len()).map(|later| rows[later][k] * solved[later]).sum();
            solved[k] = (self.along[k] - later) / rows[k][k];
        }
        let mut solved = solved.into_iter();
        self.triangle.iter().map(|row| if row.is_some() { solved.next().unwrap_or(0.0) } else { 0.0 }).collect()
    }
}

/// A filter for each kind of noise.
pub(super) fn filters(points: &Points, kinds: &[Noise]) -> Vec<Filter> {
    kinds.iter().map(|noise| Filter::new(points, *noise)).collect()
}
