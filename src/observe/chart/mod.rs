//! Charts: what to draw as plain data, the SVG of it, and the PNG of that. Nothing in here knows of runs or incidents; the
//! same SVG serves mails (as PNG) and pages (as it is).

mod axis;
mod raster;
mod svg;
#[cfg(test)]
mod tests;

use chrono_tz::Tz;

pub use raster::png;
pub use svg::line_chart;

/// Width of a chart in its own units.
pub const WIDTH: f64 = 640.0;
/// Height of a chart in its own units.
pub const HEIGHT: f64 = 220.0;
/// Points that one series shows; more are drawn together, the largest of each stretch stays.
pub const POINTS_MAX: usize = 320;
/// Series that one chart shows.
pub const SERIES_MAX: usize = 6;

/// What a value means, so that the axis has round ticks in the right unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Whole things.
    Count,
    Seconds,
    Bytes,
    PerSecond,
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Line,
    Bars,
    /// Crosses on a line, for the points of it that failed.
    Crosses,
}

/// Named points; times are milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub name: String,
    pub look: Look,
    /// True if its values are read on the right axis.
    pub right: bool,
    pub points: Vec<(i64, f64)>,
}

/// A moment that is marked by a vertical line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub at_ms: i64,
    pub label: String,
}

/// A stretch of time that is shaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shade {
    pub from_ms: i64,
    pub until_ms: i64,
    pub label: String,
}

/// One chart over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// What it shows, for those who do not see it.
    pub title: String,
    pub zone: Tz,
    pub left: Unit,
    /// The unit of series that are read on the right.
    pub right: Unit,
    pub series: Vec<Series>,
    pub marks: Vec<Mark>,
    pub shades: Vec<Shade>,
}
