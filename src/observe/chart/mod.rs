//! Charts: what to draw as plain data, the SVG of it, and the PNG of that. Nothing in here knows of runs or incidents; the
//! same drawing serves mails (as PNG, in its own colours) and pages (as it is, in the colours of the page).

mod axis;
mod lanes;
mod legend;
mod marks;
mod palette;
mod plane;
mod raster;
mod svg;
#[cfg(test)]
mod tests;
mod thin;

use chrono_tz::Tz;

pub use lanes::{Lane, Lanes, Stretch, lanes};
pub use palette::{PAGE, PAPER, Palette, Tone};
pub use raster::png;
pub use svg::line_chart;

/// Points that one series shows; of more, the least and the largest of each stretch stay.
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
    BytesPerSecond,
    /// A part of 1.
    Share,
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A line through its points; a value that is no number breaks it.
    Line,
    Bars,
    /// Bars on top of those of the series before it.
    Stacked,
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
    /// Least and largest value that a point stands for, where it stands for more than one; shown as an area behind the line.
    pub range: Vec<(i64, f64, f64)>,
}

impl Series {
    /// Makes a series that is read on the left.
    pub fn new(name: impl Into<String>, look: Look, points: Vec<(i64, f64)>) -> Self {
        Self { name: name.into(), look, right: false, points, range: Vec::new() }
    }
}

/// A straight line that was fitted to a part of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Which of the chart's series it belongs to.
    pub of: usize,
    pub from: (i64, f64),
    pub until: (i64, f64),
    /// Lowest and highest slope per hour that the confidence interval holds; drawn as an area that turns about the middle.
    pub slopes: Option<(f64, f64)>,
}

/// What a mark stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MarkKind {
    Incident,
    /// A cycle that failed.
    Failed,
    /// Something that was broken on purpose.
    Fault,
    /// Another version of what is tested.
    Version,
    /// A new life of the daemon.
    Restart,
}

/// A moment that is marked by a vertical line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub at_ms: i64,
    pub kind: MarkKind,
    pub label: String,
}

/// A stretch of time that is shaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shade {
    pub from_ms: i64,
    pub until_ms: i64,
    pub label: String,
}

/// Where the left axis begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scale {
    #[default]
    Zero,
    /// At the values, if they vary by less than a tenth; the chart says so, and its axis is visibly broken.
    Near,
    /// Logarithmic, if the values differ by more than a factor; the chart says so.
    Ratio,
}

/// Width and height in units of a chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    pub width: f64,
    pub height: f64,
}

impl Size {
    /// For mails.
    pub const MAIL: Self = Self { width: 640.0, height: 220.0 };
    /// The whole width of a page.
    pub const WIDE: Self = Self { width: 800.0, height: 250.0 };
    /// Half of it.
    pub const HALF: Self = Self { width: 400.0, height: 210.0 };
}

impl Spec {
    /// True of a chart with little room: it shows signs in place of words.
    fn is_brief(&self) -> bool {
        self.size.width <= Size::HALF.width
    }

    /// Returns the chart with lines of at most so many points, each the mean of a stretch: less to see, and less to send.
    pub fn calmer(&self, points: usize) -> Self {
        let mut calm = self.clone();
        for one in calm.series.iter_mut().filter(|one| one.look == Look::Line) {
            one.points = thin::means(&one.points, points);
            one.range.clear();
        }
        calm
    }
}

/// One chart over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// What it shows, for those who do not see it.
    pub title: String,
    pub zone: Tz,
    pub size: Size,
    /// The time that is shown; all of the data if not given.
    pub span: Option<(i64, i64)>,
    pub left: Unit,
    pub scale: Scale,
    /// The unit of series that are read on the right.
    pub right: Unit,
    pub series: Vec<Series>,
    pub fits: Vec<Fit>,
    pub marks: Vec<Mark>,
    pub shades: Vec<Shade>,
}

impl Spec {
    /// Makes a chart of series that are read on the left.
    pub fn new(title: impl Into<String>, zone: Tz, left: Unit, series: Vec<Series>) -> Self {
        Self {
            title: title.into(),
            zone,
            size: Size::MAIL,
            span: None,
            left,
            scale: Scale::Zero,
            right: Unit::Count,
            series,
            fits: Vec::new(),
            marks: Vec::new(),
            shades: Vec::new(),
        }
    }
}
