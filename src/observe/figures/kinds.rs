//! Everything else that was measured, kind by kind: one line for each part.

use super::around::Around;
use super::lines::{extent, line};
use super::words::{self, capital, part};
use super::{Figure, Material, Measures, Section};
use crate::model::measure::Measured;
use crate::model::metric::{self, KINDS, Kind, Unit};
use crate::observe::chart::{self, Look, SERIES_MAX, Scale, Series, Size, Spec};
use crate::observe::report::words::count;

/// Actions whose latency has a chart.
const ACTIONS_MAX: usize = 8;
const PERCENTILES: [(&str, &str); 3] = [("latency_p50", "median"), ("latency_p90", "90 %"), ("latency_p99", "99 %")];

/// Kinds whose parts are different things: each has a chart of its own.
const APART: [&str; 2] = ["throughput", "custom"];

/// Headings, what is to be known about them, and the kinds below them.
const GROUPS: &[(&str, &str, &[&str])] = &[
    ("Throughput and convergence", "One value for each cycle.", &["throughput", "converge", "cycle", "retries"]),
    (
        "Descriptors and threads",
        "Taken at the quiet end of each cycle.",
        &["fds", "fds_file", "fds_socket", "fds_pipe", "fds_other", "threads"],
    ),
    (
        "Storage",
        "Taken at the quiet end of each cycle.",
        &["db", "wal", "temp", "rows", "tombstones", "metadata", "deleted"],
    ),
    (
        "PostgreSQL",
        "Taken at the quiet end of each cycle.",
        &["pg_connections", "pg_locks", "pg_waits", "pg_dead", "pg_bloat", "pg_db"],
    ),
    ("Told by the target", "What the configuration asks for by name.", &["custom"]),
    ("Processor and disk", "Over each cycle.", &["cpu", "io_read", "io_write"]),
];

/// Returns the figures of all kinds that have no section of their own.
pub(super) fn sections(given: &Material, around: &Around) -> Vec<Section> {
    let section = |(heading, intro, kinds): &(&'static str, &str, &[&str])| Section {
        heading,
        intro: (*intro).to_owned(),
        figures: by_kind(given, around, kinds),
    };
    GROUPS.iter().map(section).collect()
}

/// Returns a chart for each of the kinds that was measured at least twice.
pub(super) fn by_kind(given: &Material, around: &Around, kinds: &[&str]) -> Vec<Figure> {
    let named = |name: &&str| KINDS.iter().find(|kind| kind.name == *name);
    kinds.iter().filter_map(named).flat_map(|kind| of_kind(given, around, kind)).collect()
}

fn of_kind(given: &Material, around: &Around, kind: &Kind) -> Vec<Figure> {
    let mine = |metric: &str| metric::parse(metric).is_some_and(|(of, _)| of.name == kind.name);
    let mut parts: Vec<(&str, &[Measured])> = given
        .measures
        .iter()
        .filter(|(metric, points)| points.len() > 1 && mine(metric))
        .map(|(metric, points)| (metric.as_str(), points.as_slice()))
        .collect();
    if parts.is_empty() {
        return Vec::new();
    }
    if APART.contains(&kind.name) {
        return parts.iter().take(SERIES_MAX).map(|part| together(given, around, kind, &[*part], 0)).collect();
    }
    let most = |points: &[Measured]| points.iter().map(|point| point.max).fold(0.0, f64::max);
    parts.sort_by(|a, b| most(b.1).total_cmp(&most(a.1)).then(a.0.cmp(b.0)));
    let beyond = parts.len().saturating_sub(SERIES_MAX);
    parts.truncate(SERIES_MAX);
    vec![together(given, around, kind, &parts, beyond)]
}

/// Draws parts of one kind in one chart.
fn together(given: &Material, around: &Around, kind: &Kind, parts: &[(&str, &[Measured])], beyond: usize) -> Figure {
    let alone = parts.len() == 1;
    let series = parts.iter().map(|(metric, points)| {
        let whole = line(part(metric), points);
        if alone { whole } else { Series { range: Vec::new(), ..whole } }
    });
    let named = parts.first().filter(|_| APART.contains(&kind.name)).map(|(metric, _)| format!(": {}", part(metric)));
    let caption = format!("{}{}", capital(kind.words), named.unwrap_or_default());
    let spec = Spec::new(caption.clone(), given.zone, unit(kind), series.collect());
    let mut alt = said(parts);
    if beyond > 0 {
        alt.push_str(&format!(" {} not drawn.", count(beyond as u64, "more part")));
    }
    Figure::chart(caption, alt, around.put(spec, Size::HALF))
}

/// Says where each line begins and ends, and how far it reaches.
fn said(parts: &[(&str, &[Measured])]) -> String {
    let said = parts.iter().filter_map(|(metric, points)| {
        let extent = extent(points)?;
        let of = if parts.len() == 1 { String::new() } else { format!("{} ", part(metric)) };
        let v = |n: f64| words::of(metric, n);
        if extent.least == extent.most {
            return Some(format!("{of}{} all the time", v(extent.most)));
        }
        Some(format!(
            "{of}from {} to {}, between {} and {}",
            v(extent.first),
            v(extent.last),
            v(extent.least),
            v(extent.most)
        ))
    });
    capital(&format!("{}.", said.collect::<Vec<_>>().join("; ")))
}

fn unit(kind: &Kind) -> chart::Unit {
    match kind.unit {
        Unit::Bytes => chart::Unit::Bytes,
        Unit::Count => chart::Unit::Count,
        Unit::Seconds => chart::Unit::Seconds,
        Unit::PerSecond if kind.name.starts_with("io_") => chart::Unit::BytesPerSecond,
        Unit::PerSecond => chart::Unit::PerSecond,
        Unit::Share => chart::Unit::Share,
    }
}

/// Returns percentiles of latency over the cycles, a chart for each action.
pub(super) fn latency(given: &Material, around: &Around) -> Section {
    let mut figures = Vec::new();
    let actions = actions(given.measures);
    for action in actions.iter().take(ACTIONS_MAX) {
        let Some((series, alt)) = latency_of(given.measures, action) else { continue };
        let mut spec = Spec::new(format!("Latency of {action}"), given.zone, chart::Unit::Seconds, series);
        spec.scale = Scale::Ratio;
        let name = if action.is_empty() { "Latency of all actions".to_owned() } else { format!("Latency: {action}") };
        figures.push(Figure::chart(name, alt, around.put(spec, Size::HALF)));
    }
    let more = actions.len().saturating_sub(ACTIONS_MAX);
    let beyond = if more > 0 { format!(" {} not drawn.", count(more as u64, "more action")) } else { String::new() };
    Section { heading: "Latency over time", intro: format!("Percentiles of each cycle.{beyond}"), figures }
}

/// Returns the actions whose latency was measured in at least two cycles.
pub(crate) fn actions(measures: &Measures) -> Vec<String> {
    let (median, _) = PERCENTILES[0];
    let of = measures.iter().filter(|(_, points)| points.len() > 1).filter_map(|(metric, _)| metric::parse(metric));
    of.filter(|(kind, _)| kind.name == median).map(|(_, part)| part.to_owned()).collect()
}

fn metric_of(kind: &str, action: &str) -> String {
    if action.is_empty() { kind.to_owned() } else { format!("{kind}.{action}") }
}

/// Returns the percentiles of one action, and what they say in words.
pub(crate) fn latency_of(measures: &Measures, action: &str) -> Option<(Vec<Series>, String)> {
    let (mut series, mut said) = (Vec::new(), Vec::new());
    for (kind, name) in PERCENTILES {
        let metric = metric_of(kind, action);
        let Some(points) = measures.get(&metric).filter(|points| points.len() > 1) else { continue };
        let extent = extent(points)?;
        let v = |n: f64| words::of(kind, n);
        said.push(format!("{name} from {} to {}, at most {}", v(extent.first), v(extent.last), v(extent.most)));
        series.push(Series { range: Vec::new(), look: Look::Line, ..line(name, points) });
    }
    // The tail is where what is rare shows: its extremes stay to be seen.
    if let (Some(tail), Some(points)) = (series.last_mut(), measures.get(&metric_of(PERCENTILES[2].0, action))) {
        tail.range = line("", points).range;
    }
    (!series.is_empty()).then(|| (series, capital(&format!("{}.", said.join("; ")))))
}
