//! Memory: all parts in one chart, and each part with the trend that was fitted to it.

use super::around::Around;
use super::lines::{extent, line, samples};
use super::words::{capital, part};
use super::{Figure, Material, Measures, Section};
use crate::model::measure::Measured;
use crate::model::metric::{self, Unit};
use crate::model::quantity::shown;
use crate::model::record::Snapshot;
use crate::observe::chart::{self, Fit, Scale, Series, Size, Spec};
use crate::observe::report::words::count;
use crate::stats::trend::{Limits, Segment, Trend, examine};

/// Metrics that are looked at part by part.
const KIND: &str = "rss.";
/// Parts that have a chart of their own, those that use most.
const PARTS_MAX: usize = 8;
/// Share of intervals that do not hold the true slope.
const ALPHA: f64 = 0.05;
/// Lives that each have a line of their own.
const LIVES_MAX: usize = 6;
/// Points below which a slope says nothing.
const FITTED_MIN: usize = 3;

/// Returns the figures of memory.
pub(super) fn section(given: &Material, around: &Around) -> Section {
    let parts = parts(given.measures);
    let mut figures = Vec::new();
    if !parts.is_empty() {
        let (series, alt) = memory_of(given.measures);
        let spec = Spec::new("Memory of all parts", given.zone, chart::Unit::Bytes, series);
        figures.push(Figure::chart("Resident memory of all parts", alt, around.put(spec, Size::WIDE)));
    }
    for (metric, points) in parts.iter().take(PARTS_MAX) {
        figures.push(one(given, around, metric, points));
    }
    figures.extend(super::kinds::by_kind(given, around, &["pss", "anon", "heap"]));
    let more = parts.len().saturating_sub(PARTS_MAX);
    let beyond = if more > 0 {
        format!(" {} stand in the table of metrics only.", count(more as u64, "part"))
    } else {
        String::new()
    };
    let intro = format!(
        "Taken at the quiet end of each cycle, when nothing moves; lines break where a process was started anew. A thick line is \
         the slope of Theil and Sen in each life, the area around it its confidence interval (95 % for all lives together).{beyond}"
    );
    Section { heading: "Memory", intro, figures }
}

/// Returns the parts whose memory is known, those that use most first.
fn parts(measures: &Measures) -> Vec<(&str, &[Measured])> {
    let of = measures.range(KIND.to_owned()..).take_while(|(metric, _)| metric.starts_with(KIND));
    let mut parts: Vec<(&str, &[Measured])> = of
        .filter(|(_, points)| !points.is_empty())
        .map(|(metric, points)| (metric.as_str(), points.as_slice()))
        .collect();
    let most = |points: &[Measured]| points.iter().map(|point| point.max).fold(0.0, f64::max);
    parts.sort_by(|a, b| most(b.1).total_cmp(&most(a.1)).then(a.0.cmp(b.0)));
    parts
}

/// Returns a line for each part, and what they say in words.
pub(crate) fn memory_of(measures: &Measures) -> (Vec<Series>, String) {
    let parts = parts(measures);
    let said = parts.iter().filter_map(|(metric, points)| {
        let extent = extent(points)?;
        let bytes = |n: f64| shown(n, Unit::Bytes);
        Some(format!(
            "{} from {} to {}, at most {}",
            part(metric),
            bytes(extent.first),
            bytes(extent.last),
            bytes(extent.most)
        ))
    });
    let alt = format!("{}.", said.take(chart::SERIES_MAX).collect::<Vec<_>>().join("; "));
    // Six areas over each other cannot be read; each part has one of its own.
    let flat = |(metric, points): &(&str, &[Measured])| Series { range: Vec::new(), ..line(part(metric), points) };
    (parts.iter().take(chart::SERIES_MAX).map(flat).collect(), alt)
}

/// Returns the chart of one part with its trend.
fn one(given: &Material, around: &Around, metric: &str, points: &[Measured]) -> Figure {
    let trend = examined(points);
    let series = line(part(metric), points);
    let mut spec = Spec::new(capital(&metric::words(metric)), given.zone, chart::Unit::Bytes, vec![series]);
    spec.fits = fits(points, &trend, 0);
    spec.scale = Scale::Near;
    let said = judged(given.snapshot, metric).unwrap_or_else(|| capital(&growth(&trend)));
    Figure::chart(capital(&metric::words(metric)), said, around.put(spec, Size::HALF))
}

/// Returns the trend of a metric over all of its lives, measured against no limit.
pub(crate) fn examined(points: &[Measured]) -> Trend {
    with_alpha(points, ALPHA)
}

fn with_alpha(points: &[Measured], alpha: f64) -> Trend {
    examine(&samples(points), &Limits { slope_per_h: 0.0, step: f64::INFINITY, ceiling: None, alpha })
}

/// Returns the lines to draw: of each life its own, because one version may leak and the next one not. The intervals of
/// several lives are wider, so that they hold all of the true slopes together. Of very many lives the common slope is drawn.
pub(crate) fn fits(points: &[Measured], whole: &Trend, of: usize) -> Vec<Fit> {
    let lives: Vec<&[Measured]> = points.chunk_by(|a, b| a.life == b.life).collect();
    if !(2..=LIVES_MAX).contains(&lives.len()) {
        return lines(whole, of);
    }
    lives.iter().flat_map(|life| lines(&with_alpha(life, ALPHA / lives.len() as f64), of)).collect()
}

fn lines(trend: &Trend, of: usize) -> Vec<Fit> {
    let slopes = Some((trend.slope_low, trend.slope_high)).filter(|(low, high)| low.is_finite() && high.is_finite());
    let pieces = trend.line.iter().filter(|piece| piece.from.is_finite() && piece.until.is_finite());
    let fit =
        |piece: &Segment| Fit { of, from: (piece.from_ms, piece.from), until: (piece.until_ms, piece.until), slopes };
    pieces.map(fit).collect()
}

/// Returns what the criteria found of a metric, if any of them judged it.
fn judged(snapshot: &Snapshot, metric: &str) -> Option<String> {
    let results = snapshot.judgement.iter().flat_map(|judgement| &judgement.results);
    let of = results.filter(|result| result.metric == metric && result.verdict.is_some() && !result.summary.is_empty());
    let said: Vec<String> = of.map(|one| format!("{}.", capital(one.summary.trim_end_matches('.')))).collect();
    (!said.is_empty()).then(|| said.join(" "))
}

/// Says how much a series grows, and how sure that is.
pub(crate) fn growth(trend: &Trend) -> String {
    let bytes = |n: f64| shown(n, Unit::Bytes);
    let lives = if trend.epochs > 1 { format!(" of {} lives", trend.epochs) } else { String::new() };
    let basis = format!("{}{lives}", count(trend.samples as u64, "point"));
    if !trend.slope_per_h.is_finite() || trend.samples < FITTED_MIN {
        return format!("too little is known to tell a slope: {basis}.");
    }
    let (low, high) = (bytes(trend.slope_low), bytes(trend.slope_high));
    let interval = format!("95 % confidence {low} to {high}");
    let steps = match trend.steps.len() {
        0 => String::new(),
        n => format!(", beside {} of level", count(n as u64, "change")),
    };
    let by = bytes(trend.slope_per_h.abs());
    if trend.slope_low > 0.0 {
        format!("grows by {by} per hour ({interval}){steps}; {basis}.")
    } else if trend.slope_high < 0.0 {
        format!("shrinks by {by} per hour ({interval}){steps}; {basis}.")
    } else {
        format!("no growth is to be seen: {} per hour ({interval}){steps}; {basis}.", bytes(trend.slope_per_h))
    }
}
