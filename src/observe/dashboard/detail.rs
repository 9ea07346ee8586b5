//! The pages behind the overview: one pane with all that is known of it, and the keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::draw::{lines, pane};
use super::lists::{mark, word};
use super::text::{bytes, cut, latency, short, wrapped};
use super::view::{Mode, Pane, View, memory};
use crate::observe::report::words::{count, moment, number};

/// What stands before the lines of an entry after its first.
const INDENT: usize = 4;

/// Draws all that is known of the chosen pane.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let (name, all) = match view.pane {
        Pane::Workers => ("Workers", workers(view)),
        Pane::Memory => ("Memory", parts(view)),
        Pane::Checks => ("Checks", checks(view)),
        Pane::Errors => ("Errors", errors(view)),
    };
    scrolled(frame, view, area, (name, all));
}

/// An entry: its first line, and what is wrapped below it.
type Entry = (String, Style, String);

fn workers(view: &View) -> Vec<Entry> {
    let entry = |row: &crate::model::status::WorkerRow| {
        let text = format!(
            "{} operations, {}/s; 99 % of the last within {}; {} expected and {} unexpected errors",
            number(row.ops),
            short(row.ops_per_s),
            latency(row.p99_us),
            number(row.expected),
            number(row.unexpected),
        );
        let style = if row.unexpected > 0 { view.paint.bad() } else { Style::new() };
        let workers = count(u64::from(row.workers), "worker");
        (format!("{}: {}, {workers}", row.name, row.state.word()), style, text)
    };
    view.status.board.workers.iter().map(entry).collect()
}

fn parts(view: &View) -> Vec<Entry> {
    let health = &view.status.health;
    let sum =
        format!("{} in all parts, {} free on the disk", bytes(memory(&view.status)), bytes(health.disk_free_bytes));
    let mut all = vec![(sum, Style::new(), String::new())];
    all.extend(health.parts.iter().map(|part| {
        let text = format!(
            "process {}, {}, {} of {} descriptors, {} of its own, {} s of CPU time",
            part.pid,
            count(part.threads, "thread"),
            number(part.descriptors),
            number(part.descriptors_max),
            bytes(part.pss_bytes),
            number(part.cpu_ms / 1000),
        );
        (format!("{}: {}", part.part, bytes(part.rss_bytes)), Style::new(), text)
    }));
    all
}

fn checks(view: &View) -> Vec<Entry> {
    let entry = |check: &crate::model::status::CheckLine| {
        let (word, style) = word(view.paint, check.verdict);
        (format!("{word} {}", check.check), style, check.summary.clone())
    };
    view.status.board.checks.iter().map(entry).collect()
}

fn errors(view: &View) -> Vec<Entry> {
    let entry = |error: &crate::model::status::ErrorLine| {
        let (mark, style) = mark(view.paint, error);
        let kind = if error.expected { "expected" } else { "unexpected" };
        let head = format!("{mark} {kind}, {}, last at {}", count(error.count, "time"), moment(error.at_ms));
        (head, style, error.text.clone())
    };
    view.status.board.errors.iter().map(entry).collect()
}

/// Draws the keys.
pub(super) fn help(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let quit = match view.mode {
        Mode::Run => {
            "Stop the run after the step in work; the next `soakd run` goes on with it. Ctrl-C again stops at once."
        }
        Mode::Top => "Leave this page. The daemon goes on; `soakd stop` ends it.",
    };
    let keys = [
        ("p", "Pause the load, or go on with it. A pause also outlives a restart."),
        ("d", "Show all of the chosen pane, which is marked with >, or the overview again."),
        ("Tab, arrows left and right", "Choose the next pane: workers, memory, checks, errors."),
        ("arrows, PgUp, PgDn, Home, End", "Scroll."),
        ("q, Ctrl-C", quit),
        ("Ctrl-L", "Draw everything anew."),
        ("?, Esc", "Leave this page."),
    ];
    let all = keys.map(|(key, text)| (key.to_owned(), view.paint.strong(), text.to_owned()));
    scrolled(frame, view, area, ("Keys", all.into()));
}

fn scrolled(frame: &mut Frame<'_>, view: &View, area: Rect, (name, entries): (&str, Vec<Entry>)) {
    let across = usize::from(area.width);
    let mut all = Vec::new();
    for (head, style, text) in entries {
        all.push(Line::styled(cut(view.paint, &head, across), style));
        let indent = " ".repeat(INDENT);
        let more = wrapped(&text, across.saturating_sub(INDENT)).into_iter().filter(|line| !line.is_empty());
        all.extend(more.map(|line| Line::raw(format!("{indent}{line}"))));
    }
    if all.is_empty() {
        all.push(Line::styled("nothing yet", view.paint.quiet()));
    }
    let room = usize::from(area.height.saturating_sub(1));
    let end = all.len().saturating_sub(room);
    view.reach.set((end, room));
    let from = view.scroll.min(end);
    let title = match end {
        0 => name.to_owned(),
        _ => format!("{name}, lines {} to {} of {}", from + 1, (from + room).min(all.len()), all.len()),
    };
    let inner = pane(frame, view, area, (&title, None));
    lines(frame, all.split_off(from), inner);
}
