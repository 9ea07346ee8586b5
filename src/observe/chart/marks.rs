//! Moments that are marked in a chart: each kind has its line and its sign, and a label where there is room.

use maud::{Markup, html};

use super::legend::{LABEL_CHARS, LETTER, label};
use super::plane::{Plane, px};
use super::{Mark, MarkKind, Palette, Spec};

/// Marks that one chart draws; of one kind they are at least this far apart.
const MARKS_MAX: usize = 160;
const APART: f64 = 3.0;

/// Draws lines and signs of all marks, and the labels of those that have room above the plot.
pub(super) fn drawn(spec: &Spec, plane: &Plane, paint: &Palette) -> Markup {
    let ((lines, taken), brief) = (kept(&spec.marks, plane), spec.is_brief());
    let mut room = Room::new(plane);
    // Incidents are named before versions.
    let named: Vec<(f64, &'static str, String, &'static str)> = lines
        .iter()
        .filter(|(_, mark)| !brief && matches!(mark.kind, MarkKind::Incident | MarkKind::Version | MarkKind::Fault))
        .filter_map(|(x, mark)| {
            let text = label(&mark.label, LABEL_CHARS);
            let (anchor, at) = room.take(*x, &text)?;
            Some((at, anchor, text, colour(mark.kind, paint)))
        })
        .collect();
    html! {
        @for (x, mark) in &lines {
            g {
                title { (label(&mark.label, 3 * LABEL_CHARS)) @if let Some(more) = taken.iter().find(|(at, _)| at == x) { " and " (more.1) " more" } }
                @let (width, dashes, opacity) = stroke(mark.kind);
                @if mark.kind != MarkKind::Failed {
                    line x1=(px(*x)) x2=(px(*x)) y1=(plane.top - 7.0) y2=(plane.bottom) stroke=(colour(mark.kind, paint))
                        stroke-width=(width) stroke-dasharray=(dashes) stroke-opacity=(if brief { "0.3" } else { opacity }) {}
                }
                @if brief || mark.kind != MarkKind::Incident {
                    g transform={ "translate(" (px(*x)) " " (px(plane.top - 6.0)) ")" } { (glyph(mark.kind, paint)) }
                }
            }
        }
        @for (x, anchor, text, colour) in &named {
            text x=(px(*x)) y=(plane.top - 11.0) text-anchor=(anchor) fill=(colour) { (text) }
        }
    }
}

/// Marks with their places, and at which place how many more of a kind were too near.
type Kept<'a> = (Vec<(f64, &'a Mark)>, Vec<(f64, usize)>);

fn kept<'a>(marks: &'a [Mark], plane: &Plane) -> Kept<'a> {
    let mut sorted: Vec<&Mark> = marks.iter().filter(|mark| plane.shows(mark.at_ms)).collect();
    sorted.sort_by_key(|mark| (mark.kind, mark.at_ms));
    let (mut lines, mut taken): Kept<'a> = (Vec::new(), Vec::new());
    for mark in sorted {
        let x = plane.x(mark.at_ms);
        match lines.last() {
            Some((last, before)) if before.kind == mark.kind && x - last < APART => match taken.last_mut() {
                Some((at, more)) if at == last => *more += 1,
                _ => taken.push((*last, 1)),
            },
            _ if lines.len() < MARKS_MAX => lines.push((x, mark)),
            _ => break,
        }
    }
    (lines, taken)
}

fn stroke(kind: MarkKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        MarkKind::Incident => ("1.5", "5 3", "0.75"),
        MarkKind::Failed => ("1", "none", "0"),
        MarkKind::Fault => ("1.5", "2 2", "0.8"),
        MarkKind::Version => ("1.5", "none", "0.6"),
        MarkKind::Restart => ("1", "1 3", "0.9"),
    }
}

fn colour(kind: MarkKind, paint: &Palette) -> &'static str {
    match kind {
        MarkKind::Incident | MarkKind::Failed => paint.alarm,
        MarkKind::Fault => paint.fault,
        MarkKind::Version => paint.version,
        MarkKind::Restart => paint.muted,
    }
}

/// Returns the sign of a kind, about ten units wide, around 0 0.
pub(super) fn glyph(kind: MarkKind, paint: &Palette) -> Markup {
    let colour = colour(kind, paint);
    match kind {
        MarkKind::Incident => html! { circle r="3.2" fill=(colour) {} },
        MarkKind::Failed => {
            html! { path d="M-3.5 -3L3.5 4M-3.5 4L3.5 -3" stroke=(colour) stroke-width="2.2" fill="none" {} }
        }
        MarkKind::Fault => html! { path d="M1 -5L-3.5 1.5H0L-1 6L3.5 -0.5H0Z" fill=(colour) {} },
        MarkKind::Version => html! { path d="M0 -4.5L4.5 0.5L0 5.5L-4.5 0.5Z" fill=(colour) {} },
        MarkKind::Restart => html! { path d="M-4 -3H4L0 4Z" fill=(colour) {} },
    }
}

/// Which parts of the row above the plot are taken.
struct Room {
    taken: Vec<(f64, f64)>,
    left: f64,
    right: f64,
}

impl Room {
    fn new(plane: &Plane) -> Self {
        let unit = 8.0 + LETTER * plane.left_axis.caption().chars().count().max(3) as f64;
        let right = if plane.right_axis.is_some() { plane.right - 16.0 } else { plane.right + 10.0 };
        Self { taken: Vec::new(), left: unit.max(plane.left + 4.0), right }
    }

    /// Finds room for a text beside a place, on the side that the middle of the plot is on.
    fn take(&mut self, x: f64, text: &str) -> Option<(&'static str, f64)> {
        let width = LETTER * text.chars().count() as f64;
        let to_the_left = x > (self.left + self.right) / 2.0;
        let (anchor, at) =
            if to_the_left { ("end", (x + 4.0).min(self.right)) } else { ("start", (x - 4.0).max(self.left)) };
        let (from, until) = if to_the_left { (at - width, at) } else { (at, at + width) };
        let free = self.taken.iter().all(|(a, b)| until + 6.0 < *a || from > b + 6.0);
        if !free || from < self.left || until > self.right + 1.0 {
            return None;
        }
        self.taken.push((from, until));
        Some((anchor, at))
    }
}
