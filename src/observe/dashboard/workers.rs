//! The table of workers: one line per role or database, with a bar that is scaled to the fastest.

use ratatui::text::{Line, Span};

use super::paint::Paint;
use super::text::{latency, left, right, short};
use super::view::rate;
use crate::model::status::{WorkerRow, WorkerState};

/// Width of everything but name and bar: seven figures, the state, and eight spaces between.
const FIGURES: usize = 4 + 7 + 7 + 6 + 7 + 8 + 6 + 8;
const NAME_MAX: usize = 18;
const NAME_MIN: usize = 6;
/// Many in one row, who say nothing of how fast one of them is.
const OTHERS: &str = "others";
const BAR_MAX: usize = 60;

/// Returns the heads of the columns and the rows, in at most this many lines; what has no line is told in the last one.
pub(super) fn lines(paint: Paint, rows: &[WorkerRow], width: usize, max: usize) -> Vec<Line<'static>> {
    let longest = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).clamp(NAME_MIN, NAME_MAX);
    let name = longest.min(width.saturating_sub(FIGURES));
    let bar = width.saturating_sub(FIGURES + name).min(BAR_MAX);
    let fastest = rows.iter().filter(|row| row.name != OTHERS).map(|row| row.ops_per_s).fold(0.0, f64::max);
    let columns = Columns { paint, name, bar, fastest };
    let mut lines = vec![columns.heads()];
    let room = max.saturating_sub(1);
    let shown = if rows.len() > room { room.saturating_sub(1) } else { rows.len() };
    lines.extend(rows[..shown].iter().map(|row| columns.row(row)));
    let hidden = &rows[shown..];
    if !hidden.is_empty() {
        let sum = |of: fn(&WorkerRow) -> u64| hidden.iter().map(of).fold(0, u64::saturating_add);
        let text = format!(
            "and {} more: {} ops/s, {} down, {} unexpected errors (d shows all)",
            hidden.len(),
            short(rate(hidden)),
            hidden.iter().filter(|row| row.state == WorkerState::Down).count(),
            short(sum(|row| row.unexpected) as f64),
        );
        lines.push(Line::styled(left(paint, &text, width), paint.quiet()));
    }
    lines.truncate(max);
    lines
}

struct Columns {
    paint: Paint,
    name: usize,
    bar: usize,
    fastest: f64,
}

impl Columns {
    fn heads(&self) -> Line<'static> {
        let text = format!(
            "{} {:>4} {:<7} {:>7} {:>6} {} {:>7} {:>8} {:>6}",
            left(self.paint, "worker", self.name),
            "n",
            "state",
            "ops",
            "ops/s",
            " ".repeat(self.bar),
            "p99",
            "expected",
            "unexp.",
        );
        Line::styled(text, self.paint.quiet())
    }

    fn row(&self, row: &WorkerRow) -> Line<'static> {
        let paint = self.paint;
        let state = match row.state {
            WorkerState::Running => paint.good(),
            WorkerState::Waiting | WorkerState::Done => paint.quiet(),
            WorkerState::Down => paint.bad(),
        };
        let word = match row.state {
            WorkerState::Down => "DOWN",
            state => state.word(),
        };
        let share = if self.fastest > 0.0 { row.ops_per_s / self.fastest } else { 0.0 };
        let errors = |n: u64, style| Span::styled(short(n as f64), if n > 0 { style } else { paint.quiet() });
        let column = |span: Span<'static>, width| Span::styled(right(paint, &span.content, width), span.style);
        Line::from(vec![
            Span::raw(left(paint, &row.name, self.name)),
            Span::raw(format!(" {:>4} ", short(f64::from(row.workers)))),
            Span::styled(format!("{word:<7}"), state),
            Span::raw(format!(" {:>7} {:>6} ", short(row.ops as f64), short(row.ops_per_s))),
            Span::styled(paint.filled(share, self.bar), paint.bar()),
            Span::raw(format!(" {:>7} ", latency(row.p99_us))),
            column(errors(row.expected, paint.odd()), 8),
            Span::raw(" "),
            column(errors(row.unexpected, paint.bad()), 6),
        ])
    }
}
