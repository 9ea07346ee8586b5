//! Colours: literal ones for pictures, which bring their own light background because transparent lines cannot be readable
//! on every colour that a mail program puts behind them, and names that a page gives a meaning in light and in dark.

use super::SERIES_MAX;
use super::raster::FAMILY;

/// Dashes tell lines apart without colour.
pub(super) const DASHES: [&str; SERIES_MAX] = ["none", "7 3", "2 3", "9 3 2 3", "4 2", "12 4"];

/// What something is drawn in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    /// Nothing was seen, or nothing answered.
    Away,
    Plain,
    /// Every other one of things that follow each other.
    Other,
}

/// The colours and the font of a chart.
#[derive(Debug, PartialEq, Eq)]
pub struct Palette {
    pub(super) series: [&'static str; SERIES_MAX],
    pub(super) background: &'static str,
    pub(super) text: &'static str,
    pub(super) muted: &'static str,
    pub(super) grid: &'static str,
    pub(super) alarm: &'static str,
    pub(super) fault: &'static str,
    pub(super) version: &'static str,
    pub(super) shade: &'static str,
    pub(super) good: &'static str,
    pub(super) plain: &'static str,
    pub(super) other: &'static str,
    pub(super) font: &'static str,
}

impl Palette {
    pub(super) fn tone(&self, tone: Tone) -> &'static str {
        match tone {
            Tone::Good => self.good,
            Tone::Bad => self.alarm,
            Tone::Away => self.shade,
            Tone::Plain => self.plain,
            Tone::Other => self.other,
        }
    }
}

/// For pictures. Contrast on the background at least 4.5, and apart for colour-blind readers.
pub const PAPER: Palette = Palette {
    series: ["#0b5cad", "#b4480a", "#0b7261", "#7a2bbf", "#5c6370", "#8a6100"],
    background: "#ffffff",
    text: "#3d4450",
    muted: "#6b7380",
    grid: "#e3e6eb",
    alarm: "#c01722",
    fault: "#8a4b00",
    version: "#7a2bbf",
    shade: "#f3dcb8",
    good: "#b9dfc6",
    plain: "#c9d8ec",
    other: "#dfd3f0",
    font: FAMILY,
};

/// For pages, whose style says what the names mean.
pub const PAGE: Palette = Palette {
    series: ["var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)", "var(--c6)"],
    background: "none",
    text: "var(--ink)",
    muted: "var(--faint)",
    grid: "var(--grid)",
    alarm: "var(--alarm)",
    fault: "var(--fault)",
    version: "var(--version)",
    shade: "var(--away)",
    good: "var(--fine)",
    plain: "var(--plain)",
    other: "var(--other)",
    font: "inherit",
};
