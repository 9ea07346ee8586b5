//! What is drawn, with a sample of each, in as many rows as it takes; and labels without what a reader could not take.

use maud::{Markup, html};

use super::marks::glyph;
use super::palette::DASHES;
use super::plane::{px, seen};
use super::{Look, MarkKind, Palette, SERIES_MAX, Spec};
use crate::observe::report::words::clean;

/// Longest label.
pub(super) const LABEL_CHARS: usize = 28;
/// Room for a letter: of this font they are at most about seven units wide on average.
pub(super) const LETTER: f64 = 7.0;
/// Height of a row, and rows at most.
const ROW: f64 = 18.0;
const ROWS_MAX: usize = 4;

/// A legend that is laid out.
pub(super) struct Legend {
    entries: Vec<(f64, f64, String, Markup)>,
    pub(super) height: f64,
}

impl Legend {
    /// Lays out the entries of a chart from the left edge on.
    pub(super) fn new(spec: &Spec, paint: &Palette) -> Self {
        let mut entries = Vec::new();
        let (mut x, mut row) = (8.0, 0);
        for (name, sample) in listed(spec, paint) {
            let width = 26.0 + LETTER * name.chars().count() as f64 + 14.0;
            if x + width > spec.size.width + 14.0 && x > 8.0 {
                (x, row) = (8.0, row + 1);
            }
            if row >= ROWS_MAX {
                break;
            }
            entries.push((x, ROW * row as f64, name, sample));
            x += width;
        }
        let rows = entries.last().map_or(0.0, |last| last.1 / ROW + 1.0);
        Self { entries, height: (ROW * rows - 2.0).max(0.0) }
    }

    pub(super) fn drawn(&self, paint: &Palette) -> Markup {
        html! {
            @for (x, y, name, sample) in &self.entries {
                g transform={ "translate(" (px(*x)) " " (px(y + 16.0)) ")" } {
                    (sample) text x="26" y="0" fill=(paint.text) { (name) }
                }
            }
        }
    }
}

/// Returns names and samples.
fn listed(spec: &Spec, paint: &Palette) -> Vec<(String, Markup)> {
    let mut entries: Vec<(String, Markup)> = Vec::new();
    for (at, one) in spec.series.iter().take(SERIES_MAX).enumerate().filter(|(_, one)| seen(one)) {
        let colour = paint.series[at];
        let sample = match one.look {
            Look::Bars | Look::Stacked => html! { rect x="6" y="-9" width="8" height="10" fill=(colour) {} },
            Look::Crosses => {
                html! { path d=(cross(10.0, -4.0)) stroke=(paint.alarm) stroke-width="2.5" fill="none" {} }
            }
            Look::Line => html! {
                line x1="0" x2="20" y1="-4" y2="-4" stroke=(colour) stroke-width="2" stroke-dasharray=(DASHES[at]) {}
            },
        };
        entries.push((label(&one.name, LABEL_CHARS), sample));
    }
    if spec.is_brief() {
        // A single line is what the chart is called after.
        entries.truncate(if entries.len() > 1 { SERIES_MAX } else { 0 });
        return entries;
    }
    entries.extend(around(spec, paint));
    entries
}

/// Returns what else is shown.
fn around(spec: &Spec, paint: &Palette) -> Vec<(String, Markup)> {
    let mut entries: Vec<(String, Markup)> = Vec::new();
    if let Some(fit) = spec.fits.first() {
        let (colour, words) = (paint.series[fit.of % SERIES_MAX], "trend, confidence");
        let sample = html! {
            @if fit.slopes.is_some() { rect x="0" y="-10" width="20" height="12" fill=(colour) fill-opacity="0.22" {} }
            line x1="0" x2="20" y1="-2" y2="-7" stroke=(colour) stroke-width="3" {}
        };
        entries.push((if fit.slopes.is_some() { words } else { "trend" }.to_owned(), sample));
    }
    if spec.series.iter().any(|one| !one.range.is_empty()) {
        let sample = html! {
            rect x="0" y="-10" width="20" height="12" fill=(paint.muted) fill-opacity="0.2" {}
            line x1="0" x2="20" y1="-4" y2="-4" stroke=(paint.muted) stroke-width="2" {}
        };
        entries.push(("mean, least to largest".to_owned(), sample));
    }
    if let Some(shade) = spec.shades.first() {
        let sample = html! { rect x="2" y="-10" width="16" height="12" fill=(paint.shade) stroke=(paint.muted) {} };
        entries.push((label(&shade.label, LABEL_CHARS), sample));
    }
    for (kind, words) in [
        (MarkKind::Failed, "failed cycle"),
        (MarkKind::Fault, "fault injected"),
        (MarkKind::Version, "server version"),
        (MarkKind::Restart, "soakd restarted"),
    ] {
        if spec.marks.iter().any(|mark| mark.kind == kind) {
            entries.push((words.to_owned(), html! { g transform="translate(10 -5)" { (glyph(kind, paint)) } }));
        }
    }
    entries
}

/// Returns the path of a cross.
pub(super) fn cross(x: f64, y: f64) -> String {
    let (l, r, t, b) = (px(x - 5.0), px(x + 5.0), px(y - 5.0), px(y + 5.0));
    format!("M{l} {t}L{r} {b}M{l} {b}L{r} {t}")
}

/// Returns text without what XML or a reader could not take, cut to a length.
pub(super) fn label(text: &str, chars: usize) -> String {
    // What is beyond the length is never looked at, however much it is.
    let clean = clean(&text.chars().take(chars + 1).collect::<String>());
    if clean.chars().count() <= chars {
        return clean;
    }
    clean.chars().take(chars - 1).chain(['…']).collect()
}
