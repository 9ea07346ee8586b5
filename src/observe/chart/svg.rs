//! The SVG of a chart: shades behind, then the grid, areas, the series, fitted lines, marks and the legend.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::axis::times;
use super::legend::{Legend, cross, label};
use super::palette::DASHES;
use super::plane::{Plane, px, seen};
use super::thin::{area, peaks, pieces};
use super::{Fit, Look, Palette, SERIES_MAX, Series, Spec, marks};

/// Fitted lines that are drawn.
const FITS_MAX: usize = 64;
/// Points up to this number are shown each.
const DOTS_MAX: usize = 48;
const HOUR_MS: f64 = 3_600_000.0;

/// Draws a chart; series without a finite point are left out.
pub fn line_chart(spec: &Spec, paint: &Palette) -> String {
    let legend = Legend::new(spec, paint);
    let plane = Plane::new(spec, legend.height);
    let (width, height) = (spec.size.width, spec.size.height);
    let series = || spec.series.iter().take(SERIES_MAX).enumerate().filter(|(_, one)| seen(one));
    let stacked: Vec<(usize, &Series)> = series().filter(|(_, one)| one.look == Look::Stacked).collect();
    let drawn = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) }
            role="img" aria-label=(label(&spec.title, 200)) font-family=(paint.font) font-size="12" {
            rect width=(width) height=(height) fill=(paint.background) {}
            @for (from, until) in shaded(spec, &plane) {
                rect x=(px(from)) y=(plane.top) width=(px((until - from).max(2.0))) height=(px(plane.height())) fill=(paint.shade) {}
            }
            (grid(spec, &plane, paint))
            @for (at, one) in series() { (envelope(one, at, &plane, paint)) }
            @for fit in spec.fits.iter().take(FITS_MAX) { (band(fit, &plane, paint)) }
            (stacks(&stacked, &plane, paint))
            @for (at, one) in series() { (draw(one, at, &plane, paint)) }
            @for fit in spec.fits.iter().take(FITS_MAX) { (fitted(fit, &plane, paint)) }
            (marks::drawn(spec, &plane, paint))
            (legend.drawn(paint))
        }
    };
    drawn.into_string()
}

/// Returns where shades lie; those that cannot be told apart are one.
fn shaded(spec: &Spec, plane: &Plane) -> Vec<(f64, f64)> {
    let shown = spec.shades.iter().filter(|shade| shade.until_ms >= plane.from_ms && shade.from_ms <= plane.until_ms);
    let mut places: Vec<(f64, f64)> = shown.map(|shade| (plane.x(shade.from_ms), plane.x(shade.until_ms))).collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut joined: Vec<(f64, f64)> = Vec::new();
    for (from, until) in places {
        match joined.last_mut().filter(|last| from < last.1.max(last.0 + 2.0) + 1.0) {
            Some(last) => last.1 = last.1.max(until),
            None => joined.push((from, until)),
        }
    }
    joined
}

fn grid(spec: &Spec, plane: &Plane, paint: &Palette) -> Markup {
    let axis = &plane.left_axis;
    let broken = !axis.logarithmic && axis.bottom() > 0.0;
    html! {
        @for tick in &axis.ticks {
            @let y = plane.y(*tick, false);
            line x1=(plane.left) x2=(plane.right) y1=(px(y)) y2=(px(y)) stroke=(if *tick == 0.0 { paint.text } else { paint.grid }) {}
            text x=(plane.left - 8.0) y=(px(y + 4.0)) text-anchor="end" fill=(paint.text) { (axis.label(*tick)) }
        }
        @if broken {
            // A torn edge instead of a line: this is not zero.
            path d=(torn(plane)) stroke=(paint.text) fill="none" {}
        } @else if axis.logarithmic {
            line x1=(plane.left) x2=(plane.right) y1=(px(plane.bottom)) y2=(px(plane.bottom)) stroke=(paint.text) {}
        }
        @if let Some(axis) = &plane.right_axis {
            @for tick in &axis.ticks {
                text x=(plane.right + 8.0) y=(px(plane.y(*tick, true) + 4.0)) fill=(paint.text) { (axis.label(*tick)) }
            }
            text x=(spec.size.width - 8.0) y=(plane.top - 12.0) text-anchor="end" fill=(paint.text) { (axis.caption()) }
        }
        text x="8" y=(plane.top - 12.0) fill=(paint.text) { (axis.caption()) }
        @for (at, text) in times((plane.from_ms, plane.until_ms), spec.zone, (plane.right - plane.left) / 82.0) {
            @let x = plane.x(at);
            line x1=(px(x)) x2=(px(x)) y1=(plane.bottom) y2=(plane.bottom + 4.0) stroke=(paint.text) {}
            text x=(px(x)) y=(plane.bottom + 18.0) text-anchor="middle" fill=(paint.text) { (text) }
        }
    }
}

/// Returns the path of a torn edge along the lower end of the plot.
fn torn(plane: &Plane) -> String {
    let mut path = format!("M{} {}", px(plane.left), px(plane.bottom));
    let steps = ((plane.right - plane.left) / 6.0) as usize;
    for at in 0..steps {
        path.push_str(if at % 2 == 0 { "l6 -3" } else { "l6 3" });
    }
    path
}

/// Draws the area between the least and the largest values that points stand for.
fn envelope(series: &Series, at: usize, plane: &Plane, paint: &Palette) -> Markup {
    html! {
        @for piece in area(&series.range) {
            @let upper = piece.iter().map(|(at, _, high)| (plane.x(*at), plane.y(*high, series.right)));
            @let lower = piece.iter().rev().map(|(at, low, _)| (plane.x(*at), plane.y(*low, series.right)));
            polygon points=(path(upper.chain(lower))) fill=(paint.series[at]) fill-opacity="0.2" {}
        }
    }
}

fn band(fit: &Fit, plane: &Plane, paint: &Palette) -> Markup {
    let Some((low, high)) = fit.slopes.filter(|(low, high)| low.is_finite() && high.is_finite()) else {
        return html! {};
    };
    // The level is known best in the middle; the slope turns the line about it.
    let middle = (fit.from.1 + fit.until.1) / 2.0;
    let reach = fit.until.0.saturating_sub(fit.from.0) as f64 / 2.0 / HOUR_MS;
    let edge = |at: i64, value: f64| (plane.x(at), plane.y(value, false));
    let centre = (fit.from.0 / 2).saturating_add(fit.until.0 / 2);
    let places = [
        edge(fit.from.0, middle - high * reach),
        edge(centre, middle),
        edge(fit.until.0, middle + low * reach),
        edge(fit.until.0, middle + high * reach),
        edge(centre, middle),
        edge(fit.from.0, middle - low * reach),
    ];
    html! { polygon points=(path(places.into_iter())) fill=(paint.series[fit.of % SERIES_MAX]) fill-opacity="0.22" {} }
}

fn fitted(fit: &Fit, plane: &Plane, paint: &Palette) -> Markup {
    let (from, until) =
        ((plane.x(fit.from.0), plane.y(fit.from.1, false)), (plane.x(fit.until.0), plane.y(fit.until.1, false)));
    html! {
        line x1=(px(from.0)) y1=(px(from.1)) x2=(px(until.0)) y2=(px(until.1)) stroke=(paint.series[fit.of % SERIES_MAX]) stroke-width="3" {}
    }
}

fn path(places: impl Iterator<Item = (f64, f64)>) -> String {
    places.map(|(x, y)| format!("{},{}", px(x), px(y))).collect::<Vec<_>>().join(" ")
}

/// Draws bars that stand on each other.
fn stacks(series: &[(usize, &Series)], plane: &Plane, paint: &Palette) -> Markup {
    let mut heights: BTreeMap<i64, f64> = BTreeMap::new();
    let mut bars: Vec<(f64, f64, f64, &str)> = Vec::new();
    for (at, one) in series {
        for (time, value) in peaks(&one.points).into_iter().filter(|(_, value)| *value > 0.0) {
            let below = heights.entry(time).or_default();
            let (foot, head) = (plane.y(*below, one.right), plane.y(*below + value, one.right));
            *below += value;
            bars.push((plane.x(time), head, foot - head, paint.series[*at]));
        }
    }
    let times: Vec<f64> = series.iter().flat_map(|(_, one)| one.points.iter().map(|(at, _)| plane.x(*at))).collect();
    let width = bar_width(times);
    html! {
        @for (x, top, height, colour) in bars {
            rect x=(px(x - width / 2.0)) y=(px(top)) width=(px(width)) height=(px(height.max(0.8))) fill=(colour) {}
        }
    }
}

/// Returns how wide bars around these places may be.
fn bar_width(mut places: Vec<f64>) -> f64 {
    places.sort_by(f64::total_cmp);
    places.dedup_by(|a, b| (*a - *b).abs() < 0.05);
    let gap = places.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    (gap * 0.7).clamp(2.0, 12.0)
}

fn draw(series: &Series, at: usize, plane: &Plane, paint: &Palette) -> Markup {
    let colour = paint.series[at];
    let place = |(at, value): &(i64, f64)| (plane.x(*at), plane.y(*value, series.right));
    match series.look {
        Look::Stacked => html! {},
        Look::Bars => {
            let places: Vec<(f64, f64)> = peaks(&series.points).iter().map(place).collect();
            let width = bar_width(places.iter().map(|(x, _)| *x).collect());
            html! {
                @for (x, y) in places.iter().filter(|(_, y)| *y < plane.bottom) {
                    rect x=(px(x - width / 2.0)) y=(px(*y)) width=(px(width)) height=(px(plane.bottom - y)) fill=(colour) {}
                }
            }
        }
        Look::Crosses => html! {
            @for (x, y) in peaks(&series.points).iter().map(place) {
                path d=(cross(x, y)) stroke=(paint.alarm) stroke-width="2.5" fill="none" {}
            }
        },
        Look::Line => {
            let pieces = pieces(&series.points);
            let all = pieces.iter().map(Vec::len).sum::<usize>();
            // A fitted line is seen before the points that it was fitted to.
            html! {
                @for piece in &pieces {
                    @if piece.len() > 1 {
                        polyline points=(path(piece.iter().map(place))) fill="none" stroke=(colour) stroke-width=(if all > DOTS_MAX { "1.6" } else { "2" })
                            stroke-linejoin="round" stroke-dasharray=(DASHES[at]) {}
                    }
                    @if piece.len() == 1 || all <= DOTS_MAX {
                        @for (x, y) in piece.iter().map(place) { circle cx=(px(x)) cy=(px(y)) r="2.2" fill=(colour) {} }
                    }
                }
            }
        }
    }
}
