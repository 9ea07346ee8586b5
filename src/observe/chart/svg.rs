//! The SVG of a chart: shades behind, then the grid, the series, marks and the legend. It brings its own light background,
//! because transparent lines cannot be readable on every colour that a mail program puts behind them.

use maud::{Markup, PreEscaped, html};

use super::axis::{Values, times};
use super::raster::FAMILY;
use super::{HEIGHT, Look, POINTS_MAX, SERIES_MAX, Series, Spec, Unit, WIDTH};
use crate::observe::report::words::clean;

/// The plot's edges.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 626.0;
/// With a right axis.
const RIGHT_OF_TWO: f64 = 594.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 188.0;
/// Contrast on the background at least 4.5, and apart for colour-blind readers; dashes tell them apart without colour.
const COLOURS: [&str; SERIES_MAX] = ["#0b5cad", "#b4480a", "#0b7261", "#7a2bbf", "#5c6370", "#8a6100"];
const DASHES: [&str; SERIES_MAX] = ["none", "7 3", "2 3", "9 3 2 3", "4 2", "12 4"];
const BACKGROUND: &str = "#ffffff";
const TEXT: &str = "#3d4450";
const GRID: &str = "#e3e6eb";
const ALARM: &str = "#c01722";
const SHADE: &str = "#f3dcb8";
/// Longest label.
const LABEL_CHARS: usize = 28;
/// Marks and shades that are drawn.
const NOTES_MAX: usize = 24;

/// Where times and values lie in the picture.
struct Plane {
    from_ms: i64,
    until_ms: i64,
    right: f64,
    left_axis: Values,
    right_axis: Option<Values>,
}

impl Plane {
    fn x(&self, ms: i64) -> f64 {
        let span = self.until_ms.saturating_sub(self.from_ms).max(1) as f64;
        let part = ms.saturating_sub(self.from_ms) as f64 / span;
        LEFT + part.clamp(0.0, 1.0) * (self.right - LEFT)
    }

    fn y(&self, value: f64, on_right: bool) -> f64 {
        let axis = self.right_axis.as_ref().filter(|_| on_right).unwrap_or(&self.left_axis);
        BOTTOM - (value / axis.top()).clamp(0.0, 1.0) * (BOTTOM - TOP)
    }
}

/// Draws a chart; series without a finite point are left out.
pub fn line_chart(spec: &Spec) -> String {
    let series: Vec<Series> = spec.series.iter().filter_map(thinned).take(SERIES_MAX).collect();
    let plane = plane(spec, &series);
    let drawn = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(WIDTH) height=(HEIGHT) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) }
            role="img" font-family=(FAMILY) font-size="12" {
            title { (label(&spec.title, 200)) }
            rect width=(WIDTH) height=(HEIGHT) fill=(BACKGROUND) {}
            @for shade in spec.shades.iter().take(NOTES_MAX) {
                @let from = plane.x(shade.from_ms);
                rect x=(px(from)) y=(TOP) width=(px((plane.x(shade.until_ms) - from).max(2.0))) height=(BOTTOM - TOP) fill=(SHADE) {}
            }
            (grid(spec, &plane))
            @for (at, one) in series.iter().enumerate() { (draw(one, at, &plane)) }
            @for mark in spec.marks.iter().filter(|mark| (plane.from_ms..=plane.until_ms).contains(&mark.at_ms)).take(NOTES_MAX) {
                (marked(plane.x(mark.at_ms), &mark.label, &plane))
            }
            (legend(spec, &series))
        }
    };
    drawn.into_string()
}

/// Returns the series with finite points in order of time, and no more of them than can be told apart.
fn thinned(series: &Series) -> Option<Series> {
    let mut points: Vec<(i64, f64)> = series.points.iter().copied().filter(|(_, value)| value.is_finite()).collect();
    points.sort_by_key(|(at, _)| *at);
    if points.is_empty() {
        return None;
    }
    let stretch = points.len().div_ceil(POINTS_MAX);
    let largest = |part: &[(i64, f64)]| part.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    let points = points.chunks(stretch).filter_map(largest).collect();
    Some(Series { points, ..series.clone() })
}

fn plane(spec: &Spec, series: &[Series]) -> Plane {
    let times = || series.iter().flat_map(|one| one.points.iter().map(|(at, _)| *at));
    let from_ms = times().min().unwrap_or(0);
    let until_ms = times().max().unwrap_or(1).max(from_ms.saturating_add(1));
    let largest = |right: bool| {
        let values = series.iter().filter(|one| one.right == right).flat_map(|one| one.points.iter().map(|(_, v)| *v));
        values.fold(0.0, f64::max)
    };
    let two = series.iter().any(|one| one.right);
    let right_axis = two.then(|| Values::up_to(largest(true), spec.right));
    // Bars stand around their time: half of one would leave the plot at either end.
    let margin =
        if series.iter().any(|one| one.look == Look::Bars) { until_ms.saturating_sub(from_ms) / 40 } else { 0 };
    Plane {
        from_ms: from_ms.saturating_sub(margin),
        until_ms: until_ms.saturating_add(margin),
        right: if two { RIGHT_OF_TWO } else { RIGHT },
        left_axis: Values::up_to(largest(false), spec.left),
        right_axis,
    }
}

fn grid(spec: &Spec, plane: &Plane) -> Markup {
    let ticks = times(plane.from_ms, plane.until_ms, spec.zone);
    html! {
        @for tick in &plane.left_axis.ticks {
            @let y = plane.y(*tick, false);
            line x1=(LEFT) x2=(plane.right) y1=(px(y)) y2=(px(y)) stroke=(if *tick == 0.0 { TEXT } else { GRID }) {}
            text x=(LEFT - 8.0) y=(px(y + 4.0)) text-anchor="end" fill=(TEXT) { (plane.left_axis.label(*tick)) }
        }
        @if let Some(axis) = &plane.right_axis {
            @for tick in &axis.ticks {
                text x=(plane.right + 8.0) y=(px(plane.y(*tick, true) + 4.0)) fill=(TEXT) { (axis.label(*tick)) }
            }
            text x=(WIDTH - 8.0) y=(TOP - 12.0) text-anchor="end" fill=(TEXT) { (unit_name(axis, spec.right)) }
        }
        text x="8" y=(TOP - 12.0) fill=(TEXT) { (unit_name(&plane.left_axis, spec.left)) }
        @for (at, text) in &ticks {
            @let x = plane.x(*at);
            line x1=(px(x)) x2=(px(x)) y1=(BOTTOM) y2=(BOTTOM + 4.0) stroke=(TEXT) {}
            text x=(px(x)) y=(BOTTOM + 18.0) text-anchor="middle" fill=(TEXT) { (text) }
        }
    }
}

fn unit_name(axis: &Values, unit: Unit) -> &'static str {
    if axis.unit.is_empty() && unit == Unit::Count { "count" } else { axis.unit }
}

fn draw(series: &Series, at: usize, plane: &Plane) -> Markup {
    let colour = COLOURS[at % SERIES_MAX];
    let places: Vec<(f64, f64)> =
        series.points.iter().map(|(at, value)| (plane.x(*at), plane.y(*value, series.right))).collect();
    match series.look {
        Look::Bars => {
            let gap = places.windows(2).map(|pair| pair[1].0 - pair[0].0).fold(f64::INFINITY, f64::min);
            let width = (gap * 0.6).clamp(2.0, 12.0);
            html! {
                @for (x, y) in places.iter().filter(|(_, y)| *y < BOTTOM) {
                    rect x=(px(x - width / 2.0)) y=(px(*y)) width=(px(width)) height=(px(BOTTOM - y)) fill=(colour) {}
                }
            }
        }
        Look::Crosses => html! {
            @for (x, y) in &places { path d=(cross(*x, *y)) stroke=(ALARM) stroke-width="2.5" fill="none" {} }
        },
        Look::Line => {
            let path: Vec<String> = places.iter().map(|(x, y)| format!("{},{}", px(*x), px(*y))).collect();
            html! {
                polyline points=(path.join(" ")) fill="none" stroke=(colour) stroke-width="2" stroke-linejoin="round"
                    stroke-dasharray=(DASHES[at % SERIES_MAX]) {}
                @if places.len() <= 48 {
                    @for (x, y) in &places { circle cx=(px(*x)) cy=(px(*y)) r="2.2" fill=(colour) {} }
                }
            }
        }
    }
}

fn cross(x: f64, y: f64) -> String {
    let (l, r, t, b) = (px(x - 5.0), px(x + 5.0), px(y - 5.0), px(y + 5.0));
    format!("M{l} {t}L{r} {b}M{l} {b}L{r} {t}")
}

/// Draws a vertical line with its label on the side that has room.
fn marked(x: f64, text: &str, plane: &Plane) -> Markup {
    let (anchor, shift) = if x > (LEFT + plane.right) / 2.0 { ("end", -5.0) } else { ("start", 5.0) };
    html! {
        line x1=(px(x)) x2=(px(x)) y1=(TOP - 4.0) y2=(BOTTOM) stroke=(ALARM) stroke-width="1.5" stroke-dasharray="5 3" {}
        text x=(px(x + shift)) y=(TOP + 9.0) text-anchor=(anchor) fill=(ALARM) stroke=(BACKGROUND) stroke-width="3"
            stroke-linejoin="round" paint-order="stroke" { (label(text, LABEL_CHARS)) }
    }
}

/// Lists what is drawn, with a sample of each, from the left edge on.
fn legend(spec: &Spec, series: &[Series]) -> Markup {
    let mut entries: Vec<(String, Markup)> = Vec::new();
    for (at, one) in series.iter().enumerate() {
        let colour = COLOURS[at % SERIES_MAX];
        let sample = match one.look {
            Look::Bars => html! { rect x="6" y="-9" width="8" height="10" fill=(colour) {} },
            Look::Crosses => html! { path d=(cross(10.0, -4.0)) stroke=(ALARM) stroke-width="2.5" fill="none" {} },
            Look::Line => html! {
                line x1="0" x2="20" y1="-4" y2="-4" stroke=(colour) stroke-width="2" stroke-dasharray=(DASHES[at % SERIES_MAX]) {}
            },
        };
        entries.push((label(&one.name, LABEL_CHARS), sample));
    }
    if let Some(shade) = spec.shades.first() {
        let sample = html! { rect x="2" y="-10" width="16" height="12" fill=(SHADE) stroke="#c9a567" {} };
        entries.push((label(&shade.label, LABEL_CHARS), sample));
    }
    let mut x = 8.0;
    let mut out = String::new();
    for (name, sample) in entries {
        // Letters of this font are at most about seven units wide on average.
        let width = 26.0 + 7.0 * name.chars().count() as f64 + 14.0;
        if x + width > WIDTH {
            break;
        }
        let entry = html! {
            g transform={ "translate(" (px(x)) " 16)" } { (sample) text x="26" y="0" fill=(TEXT) { (name) } }
        };
        out.push_str(&entry.into_string());
        x += width;
    }
    PreEscaped(out)
}

/// Returns text without what XML or a reader could not take, cut to a length.
fn label(text: &str, chars: usize) -> String {
    let clean = clean(text);
    if clean.chars().count() <= chars {
        return clean;
    }
    clean.chars().take(chars - 1).chain(['…']).collect()
}

/// Returns a length in as few digits as the eye needs.
fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
