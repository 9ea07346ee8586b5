//! Checks, errors and schedules as lines: what is wrong stands first, and every line begins with a word or a mark for it.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::paint::Paint;
use super::text::{cut, short, wrapped};
use crate::model::status::{CheckLine, ErrorLine, ScheduleStatus};
use crate::model::verdict::Verdict;
use crate::observe::report::words::{between, clock, duration, moment};

/// Width of the longest word for a verdict in a list.
const WORD: usize = 7;
/// Lines of one entry.
const EACH_MAX: usize = 3;

/// Returns the word for what a check said, and how it is shown.
pub(super) fn word(paint: Paint, verdict: Option<Verdict>) -> (&'static str, Style) {
    match verdict {
        Some(Verdict::Pass) => ("PASS", paint.good()),
        Some(Verdict::Fail) => ("FAIL", paint.bad()),
        Some(Verdict::Inconclusive) => ("UNCLEAR", paint.odd()),
        Some(Verdict::Aborted) => ("ABORTED", paint.odd()),
        None => ("NOT RUN", paint.quiet()),
    }
}

/// Returns the lines of a check, at most `each` of them.
pub(super) fn check(paint: Paint, check: &CheckLine, width: usize, each: usize) -> Vec<Line<'static>> {
    let (word, style) = word(paint, check.verdict);
    let head = Span::styled(format!("{word:<WORD$} "), style);
    let text = format!("{}: {}", check.check, check.summary);
    entry(paint, head, (&text, Style::new()), (width, each))
}

/// Returns the lines of an error, at most `each` of them.
pub(super) fn error(paint: Paint, error: &ErrorLine, width: usize, each: usize) -> Vec<Line<'static>> {
    let (mark, style) = mark(paint, error);
    let head = Span::styled(format!("{mark} {} ", clock(error.at_ms)), style);
    let text = format!("{}x {}", short(error.count as f64), error.text);
    entry(paint, head, (&text, style), (width, each))
}

/// Returns a text behind its head, in lines that begin below its first.
fn entry(
    paint: Paint,
    head: Span<'static>,
    (text, style): (&str, Style),
    (width, each): (usize, usize),
) -> Vec<Line<'static>> {
    let before = head.width();
    let room = width.saturating_sub(before);
    let indent = Span::raw(" ".repeat(before));
    let mut lines = wrapped(text, room.max(1));
    if lines.len() > each {
        let rest = lines.split_off(each.saturating_sub(1)).join(" ");
        lines.push(cut(paint, &rest, room));
    }
    let line = |(at, text): (usize, String)| {
        let first = if at == 0 { head.clone() } else { indent.clone() };
        Line::from(vec![first, Span::styled(text, style)])
    };
    lines.into_iter().enumerate().map(line).collect()
}

/// Returns the mark of an error that was expected, or not.
pub(super) fn mark(paint: Paint, error: &ErrorLine) -> (char, Style) {
    if error.expected { ('~', paint.odd()) } else { ('!', paint.bad()) }
}

/// Returns the line of a schedule.
pub(super) fn schedule(paint: Paint, schedule: &ScheduleStatus, now_ms: i64, width: usize) -> Line<'static> {
    let queued = if schedule.queued { ", one is queued" } else { "" };
    let text = match schedule.next_ms {
        Some(at) => format!(
            "{}: next run in {} ({}), {} made, {} left out{queued}",
            schedule.name,
            duration(between(now_ms, at)),
            moment(at),
            schedule.runs,
            schedule.skipped,
        ),
        None => format!("{}: no run is left{queued}", schedule.name),
    };
    Line::raw(cut(paint, &text, width))
}

/// Returns the lines of all entries, in the last place how many have none; each entry has as many as there is room for.
pub(super) fn bounded<T>(
    paint: Paint,
    all: &[T],
    max: usize,
    lines: impl Fn(&T, usize) -> Vec<Line<'static>>,
) -> Vec<Line<'static>> {
    let each = (max / all.len().max(1)).clamp(1, EACH_MAX);
    let shown = if all.len() > max { max.saturating_sub(1) } else { all.len() };
    let mut out: Vec<_> = all[..shown].iter().flat_map(|entry| lines(entry, each)).collect();
    if all.len() > shown && max > 0 {
        out.push(Line::styled(format!("and {} more (d shows all)", all.len() - shown), paint.quiet()));
    }
    out
}
