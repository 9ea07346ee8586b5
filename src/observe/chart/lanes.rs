//! What lasted how long, lane below lane over one axis of time: lives of the daemon, outages, incidents, versions.

use chrono_tz::Tz;
use maud::{Markup, html};

use super::axis::times;
use super::legend::{LETTER, label};
use super::plane::px;
use super::{MarkKind, Palette, Tone, marks};

/// Room for the names of lanes.
const NAMES: f64 = 132.0;
const RIGHT: f64 = 14.0;
const LANE: f64 = 24.0;
const AXIS: f64 = 32.0;
/// Lanes, and things in one of them, that are drawn.
const LANES_MAX: usize = 12;
const DRAWN_MAX: usize = 240;

/// Something that lasted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    pub from_ms: i64,
    pub until_ms: i64,
    pub tone: Tone,
    /// Stands in it where there is room.
    pub label: String,
}

/// One line of such a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    pub name: String,
    pub stretches: Vec<Stretch>,
    /// Moments in it.
    pub marks: Vec<(i64, MarkKind)>,
}

/// Lanes over one axis of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Lanes {
    pub title: String,
    pub zone: Tz,
    pub width: f64,
    pub span: (i64, i64),
    pub lanes: Vec<Lane>,
}

impl Lanes {
    fn x(&self, ms: i64) -> f64 {
        let (from, until) = self.span;
        let part = ms.saturating_sub(from) as f64 / until.saturating_sub(from).max(1) as f64;
        NAMES + part.clamp(0.0, 1.0) * (self.width - RIGHT - NAMES)
    }

    fn shows(&self, from_ms: i64, until_ms: i64) -> bool {
        until_ms >= self.span.0 && from_ms <= self.span.1
    }
}

/// Draws lanes.
pub fn lanes(chart: &Lanes, paint: &Palette) -> String {
    let shown = chart.lanes.len().min(LANES_MAX);
    let bottom = 6.0 + LANE * shown as f64;
    let (width, height) = (chart.width, bottom + AXIS);
    html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) }
            role="img" aria-label=(label(&chart.title, 200)) font-family=(paint.font) font-size="12" {
            rect width=(width) height=(height) fill=(paint.background) {}
            @for (at, text) in times(chart.span, chart.zone, (width - RIGHT - NAMES) / 82.0) {
                @let x = px(chart.x(at));
                line x1=(x) x2=(x) y1="4" y2=(bottom + 4.0) stroke=(paint.grid) {}
                text x=(x) y=(bottom + 18.0) text-anchor="middle" fill=(paint.text) { (text) }
            }
            line x1=(NAMES) x2=(width - RIGHT) y1=(bottom) y2=(bottom) stroke=(paint.text) {}
            @for (no, lane) in chart.lanes.iter().take(LANES_MAX).enumerate() {
                (drawn(chart, lane, 4.0 + LANE * no as f64, paint))
            }
        }
    }
    .into_string()
}

fn drawn(chart: &Lanes, lane: &Lane, top: f64, paint: &Palette) -> Markup {
    let stretches = joined(chart, lane);
    let ends = stretches.iter().skip(1).map(|next| chart.x(next.from_ms)).chain([chart.width]);
    html! {
        text x=(NAMES - 10.0) y=(top + 16.0) text-anchor="end" fill=(paint.text) { (label(&lane.name, 18)) }
        @for (stretch, end) in stretches.iter().zip(ends) {
            @let (from, until) = (chart.x(stretch.from_ms), chart.x(stretch.until_ms).max(chart.x(stretch.from_ms) + 2.0));
            g {
                title { (label(&stretch.label, 120)) }
                rect x=(px(from)) y=(top + 3.0) width=(px(until - from)) height=(LANE - 6.0) rx="2" fill=(paint.tone(stretch.tone)) {}
                @if let Some((x, text)) = placed(stretch, (from, until), end) {
                    text x=(px(x)) y=(top + 16.0) fill=(paint.text) { (text) }
                }
            }
        }
        @for (at, kind) in spaced(chart, lane) {
            g transform={ "translate(" (px(chart.x(at))) " " (px(top + LANE / 2.0)) ")" } { (marks::glyph(kind, paint)) }
        }
    }
}

/// Returns where the label of a stretch has room: in it, or its first word behind it; a loud colour takes no text.
fn placed(stretch: &Stretch, (from, until): (f64, f64), end: f64) -> Option<(f64, String)> {
    let room = |text: &str, from: f64, until: f64| LETTER * text.chars().count() as f64 + 9.0 < until - from;
    let whole = label(&stretch.label, 60);
    if stretch.tone != Tone::Bad && room(&whole, from, until) {
        return Some((from + 5.0, whole));
    }
    let first = whole.split(':').next().filter(|first| first.len() < whole.len())?;
    if stretch.tone != Tone::Bad && room(first, from, until) {
        return Some((from + 5.0, first.to_owned()));
    }
    room(first, until, end).then(|| (until + 4.0, first.to_owned()))
}

/// Returns the stretches that are shown; those of one tone that cannot be told apart are one.
fn joined(chart: &Lanes, lane: &Lane) -> Vec<Stretch> {
    let mut joined: Vec<Stretch> = Vec::new();
    for stretch in lane.stretches.iter().filter(|one| chart.shows(one.from_ms, one.until_ms)) {
        let length = chart.x(stretch.until_ms) - chart.x(stretch.from_ms);
        let goes_on = |last: &Stretch| {
            let near = chart.x(stretch.from_ms) - chart.x(last.until_ms) < 1.0;
            last.tone == stretch.tone && near && (length < 2.0 || last.label == stretch.label)
        };
        match joined.last_mut().filter(|last| goes_on(last)) {
            Some(last) => last.until_ms = last.until_ms.max(stretch.until_ms),
            None => joined.push(stretch.clone()),
        }
        if joined.len() >= DRAWN_MAX {
            break;
        }
    }
    joined
}

/// Returns the moments that can be told apart.
fn spaced(chart: &Lanes, lane: &Lane) -> Vec<(i64, MarkKind)> {
    let mut marks: Vec<_> = lane.marks.iter().copied().filter(|(at, _)| chart.shows(*at, *at)).collect();
    marks.sort_unstable();
    marks.dedup_by(|later, kept| later.1 == kept.1 && chart.x(later.0) - chart.x(kept.0) < 4.0);
    marks.truncate(DRAWN_MAX);
    marks
}
