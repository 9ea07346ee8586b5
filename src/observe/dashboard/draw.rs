//! One drawing: how the screen is divided, for any size that it may have at this moment.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders};

use super::lists::{bounded, check, error, schedule};
use super::text::{cut, left, short, width};
use super::view::{Mode, Page, Pane, View, rate};
use super::{charts, detail, workers};
use crate::model::record::Phase;
use crate::model::status::{DaemonState, RunStatus};
use crate::model::verdict::Verdict;
use crate::observe::report::words::{between, duration, number};

/// Below this, only what matters most is shown.
const WIDTH_MIN: u16 = 60;
const HEIGHT_MIN: u16 = 16;
/// Cells of the bar of progress.
const BAR_MIN: usize = 10;
const BAR_MAX: usize = 50;
/// Digits of a run's id that people need.
const RUN_CHARS: usize = 13;

/// Draws the dashboard.
pub fn draw(frame: &mut Frame<'_>, view: &View) {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        return small(frame, view, area);
    }
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Length(2)]).areas(area);
    lines(frame, vec![title(view, head.width), progress(view, head.width)], head);
    match view.page {
        Page::Overview => overview(frame, view, body),
        Page::Detail => detail::draw(frame, view, body),
        Page::Help => detail::help(frame, view, body),
    }
    lines(frame, vec![outlook(view, foot.width), keys(view, foot.width)], foot);
}

fn overview(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let charts = match area.height {
        ..16 => 0,
        16..26 => 4,
        26..40 => 6,
        _ => 9,
    };
    let least = if area.height < 20 { 4 } else { 7 };
    let board = &view.status.board;
    let rows = board.workers.len().max(view.status.schedules.len()).max(1) as u16;
    let table = (rows + 2).min(area.height - charts - least);
    let [table, charts, lists] =
        Layout::vertical([Constraint::Length(table), Constraint::Length(charts), Constraint::Fill(1)]).areas(area);
    people(frame, view, table);
    if charts.height > 0 {
        charts::draw(frame, view, charts);
    }
    let [checks, errors] = Layout::horizontal([Constraint::Fill(1); 2]).spacing(1).areas(lists);
    let of = if board.checks_of == 0 { String::new() } else { format!(" of cycle {}", number(board.checks_of)) };
    let inner = pane(frame, view, checks, (&format!("Checks{of}"), Some(Pane::Checks)));
    let max = usize::from(inner.height);
    match board.checks.as_slice() {
        [] => lines(frame, vec![Line::styled("no cycle is verified yet", view.paint.quiet())], inner),
        all => {
            let all =
                bounded(view.paint, all, max, |line, each| check(view.paint, line, usize::from(inner.width), each));
            lines(frame, all, inner);
        }
    }
    let inner = pane(frame, view, errors, ("Errors  ! unexpected  ~ expected", Some(Pane::Errors)));
    match board.errors.as_slice() {
        [] => lines(frame, vec![Line::styled("none", view.paint.quiet())], inner),
        all => {
            let all =
                bounded(view.paint, all, max, |line, each| error(view.paint, line, usize::from(inner.width), each));
            lines(frame, all, inner);
        }
    }
}

/// Draws who works, or when somebody will.
fn people(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let (status, paint) = (&view.status, view.paint);
    let max = usize::from(area.height.saturating_sub(1));
    let across = usize::from(area.width);
    if status.board.workers.is_empty() && !status.schedules.is_empty() {
        let inner = pane(frame, view, area, ("Schedules", None));
        let all = bounded(paint, &status.schedules, max, |line, _| vec![schedule(paint, line, status.now_ms, across)]);
        return lines(frame, all, inner);
    }
    let inner = pane(frame, view, area, ("Workers", Some(Pane::Workers)));
    match status.board.workers.as_slice() {
        [] => lines(frame, vec![Line::styled("nobody has done anything yet", paint.quiet())], inner),
        rows => lines(frame, workers::lines(paint, rows, across, max), inner),
    }
}

/// Draws the line above a pane with its name, and returns the rest of it.
pub(super) fn pane(frame: &mut Frame<'_>, view: &View, area: Rect, (name, of): (&str, Option<Pane>)) -> Rect {
    let chosen = of == Some(view.pane);
    let (mark, style) = if chosen { ("> ", view.paint.strong()) } else { ("", Style::new()) };
    let name = cut(view.paint, &format!("{mark}{name}"), usize::from(area.width.saturating_sub(3)));
    let block = Block::new()
        .borders(Borders::TOP)
        .border_set(view.paint.border())
        .border_style(view.paint.quiet())
        .title(Line::styled(format!(" {name} "), style));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

/// Draws lines one below the other, as far as there is room.
pub(super) fn lines(frame: &mut Frame<'_>, lines: Vec<Line<'_>>, area: Rect) {
    for (row, line) in area.rows().zip(lines) {
        frame.render_widget(line, row);
    }
}

fn run(view: &View) -> Option<&RunStatus> {
    view.status.run.as_ref()
}

/// Returns the verdict of the run, as far as there is one.
fn verdict(run: &RunStatus) -> String {
    match (run.verdict, run.phase) {
        (None, _) => "no verdict yet".to_owned(),
        (Some(verdict), Phase::Done) => verdict.to_string(),
        // Nothing makes a failure good again.
        (Some(Verdict::Fail), _) => Verdict::Fail.to_string(),
        (Some(verdict), _) => format!("{verdict} so far"),
    }
}

fn doing(view: &View) -> (&'static str, Style) {
    let paint = view.paint;
    match view.status.state {
        _ if view.stopping => ("STOPPING", paint.odd()),
        DaemonState::Starting => ("STARTING", paint.quiet()),
        DaemonState::Idle => ("IDLE", paint.quiet()),
        DaemonState::Running => ("RUNNING", paint.good()),
        DaemonState::Paused => ("PAUSED", paint.odd()),
        DaemonState::Stopping => ("STOPPING", paint.odd()),
    }
}

/// Returns the first line: which run this is, what is done, and how it stands.
fn title(view: &View, across: u16) -> Line<'static> {
    let (paint, across) = (view.paint, usize::from(across));
    let (word, style) = doing(view);
    let (name, end, verdict_style) = match run(view) {
        None => (" soakd  no run yet".to_owned(), String::new(), Style::new()),
        Some(run) => {
            let target = &view.status.board.target;
            let on = if target.is_empty() { String::new() } else { format!(" on {target}") };
            let id: String = run.run.chars().take(RUN_CHARS).collect();
            let until = if run.phase == Phase::Done { run.last_cycle_ms } else { None };
            let elapsed = duration(between(run.started_ms, until.unwrap_or(view.status.now_ms)));
            let style = match run.verdict {
                Some(Verdict::Fail) => paint.bad(),
                Some(Verdict::Pass) => paint.good(),
                _ => paint.odd(),
            };
            (format!(" {}{on}  run {id}", run.name), format!(" {} in {elapsed} ", verdict(run)), style)
        }
    };
    let taken = word.len() + 2 + width(&end);
    let room = across.saturating_sub(taken);
    let head = paint.head();
    Line::from(vec![
        Span::styled(left(paint, &name, room), head),
        Span::styled(format!(" {word} "), style.patch(head)),
        Span::styled(end, verdict_style.patch(head)),
    ])
}

/// Returns the second line: the cycle in work, with as much as there is room for.
fn progress(view: &View, across: u16) -> Line<'static> {
    let Some(run) = run(view) else { return Line::default() };
    let paint = view.paint;
    let of = run.cycles_planned.map_or_else(String::new, |planned| format!(" of {}", number(planned)));
    let before = format!(" cycle {}{of}  {}  ", number(run.cycle), run.phase.word());
    // What matters most first.
    let mut parts = Vec::new();
    if run.steps_planned > 0 {
        parts.push((format!(" {:.0} %", share(run) * 100.0), Style::new()));
    }
    if run.errors > 0 {
        parts.push((format!("  {} errors", short(run.errors as f64)), paint.odd()));
    }
    for (rate, unit) in [(rate(&view.status.board.workers), "ops/s"), (run.rows_per_s, "rows/s")] {
        if rate >= 0.05 {
            parts.push((format!("  {} {unit}", short(rate)), Style::new()));
        }
    }
    if run.steps_planned > 0 {
        parts.push((format!("  {} of {} steps", number(run.steps_done), number(run.steps_planned)), Style::new()));
    }
    let mut room = usize::from(across).saturating_sub(width(&before) + 2 + BAR_MIN);
    parts.retain(|(text, _)| match room.checked_sub(width(text)) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    });
    let bar = paint.filled(share(run), (room + BAR_MIN).min(BAR_MAX));
    let mut spans = vec![Span::raw(before), Span::raw("["), Span::styled(bar, paint.bar()), Span::raw("]")];
    spans.extend(parts.into_iter().map(|(text, style)| Span::styled(text, style)));
    Line::from(spans)
}

fn share(run: &RunStatus) -> f64 {
    match (run.phase, run.steps_planned) {
        (Phase::Load, 0) => 0.0,
        (Phase::Load, planned) => run.steps_done.min(planned) as f64 / planned as f64,
        _ => 1.0,
    }
}

/// Returns what holds the run back, what is broken on purpose, and what comes next.
fn outlook(view: &View, across: u16) -> Line<'static> {
    let (status, paint) = (&view.status, view.paint);
    let mut parts = Vec::new();
    if !status.paused_because.is_empty() {
        parts.push(format!("Paused: {}", status.paused_because.join("; ")));
    }
    parts.push(match status.board.faults.as_slice() {
        [] => "Faults: none injected".to_owned(),
        faults => format!("Faults: {}", faults.join(", ")),
    });
    let next = status.schedules.iter().filter_map(|s| Some((s.next_ms?, &s.name))).min();
    parts.push(match next {
        Some((at, name)) => format!("Next: {name} in {}", duration(between(status.now_ms, at))),
        None => "Next: no schedule".to_owned(),
    });
    parts.push(format!("Incidents: {} open", number(status.incidents_open)));
    Line::styled(cut(paint, &format!(" {}", parts.join("  ")), usize::from(across)), paint.quiet())
}

fn keys(view: &View, across: u16) -> Line<'static> {
    let paint = view.paint;
    if let Some(said) = &view.said {
        return Line::styled(left(paint, &format!(" {said}"), usize::from(across)), paint.strong());
    }
    let pause = if view.status.state == DaemonState::Paused { "resume" } else { "pause" };
    let quit = match (view.mode, view.stopping) {
        (Mode::Run, false) => "q stop",
        (Mode::Run, true) => "stopping; Ctrl-C stops at once",
        (Mode::Top, _) => "q quit",
    };
    let detail = if view.page == Page::Overview { "d detail" } else { "d overview" };
    let text = format!(" p {pause}  {detail}  Tab next pane  {quit}  ? help");
    Line::raw(cut(paint, &text, usize::from(across)))
}

/// Draws what matters most on a terminal that is too small for more.
fn small(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let (word, _) = doing(view);
    let mut texts = match run(view) {
        None => vec![word.to_owned()],
        Some(run) => vec![
            format!("{}, {}", verdict(run), run.phase.word()),
            format!("{word}, cycle {}, {:.0} %", run.cycle, share(run) * 100.0),
            format!("{} ops/s, {} errors", short(rate(&view.status.board.workers)), run.errors),
        ],
    };
    texts.insert(1, "terminal too small".to_owned());
    texts.push(format!("{WIDTH_MIN}x{HEIGHT_MIN} is needed"));
    texts.extend(view.said.clone());
    let all = texts.iter().map(|text| Line::raw(cut(view.paint, text, usize::from(area.width)))).collect();
    lines(frame, all, area);
}
