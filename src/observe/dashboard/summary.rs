//! What stays on the terminal when the dashboard is gone: one screen of text.

use super::lists::{check, error};
use super::paint::Paint;
use super::text::bytes;
use super::view::memory;
use super::workers;
use crate::model::status::Status;
use crate::observe::report::words::{between, clean, duration, number};

/// Width of the text.
const WIDTH: usize = 80;
/// Workers, and checks, that are told.
const LISTED_MAX: usize = 20;

/// Returns how the run of a status stands, or how it ended.
pub fn summary(status: &Status) -> String {
    let paint = Paint { colours: false, blocks: false };
    let board = &status.board;
    let mut out = String::new();
    let mut add = |line: &str| {
        out.push_str(line.trim_end());
        out.push('\n');
    };
    let Some(run) = &status.run else {
        add("There was no run yet.");
        return out;
    };
    let on = if board.target.is_empty() { String::new() } else { format!(" on {}", clean(&board.target)) };
    let until = run.last_cycle_ms.unwrap_or(status.now_ms);
    let by: Vec<_> = run.cycles_by_verdict.iter().map(|(verdict, n)| format!("{} {verdict}", number(*n))).collect();
    let by = if by.is_empty() { "no cycle is finished".to_owned() } else { by.join(", ") };
    add(&format!("Run {} ({}){on}, {by}", clean(&run.name), clean(&run.run)));
    add(&format!(
        "Until cycle {}, {}, after {}",
        run.cycle,
        run.phase.word(),
        duration(between(run.started_ms, until))
    ));
    if !board.workers.is_empty() {
        add("");
        workers::lines(paint, &board.workers, WIDTH, LISTED_MAX).iter().for_each(|line| add(&line.to_string()));
    }
    add("");
    add(&format!("Memory  {}", bytes(memory(status))));
    add(&format!("Checks of cycle {}", board.checks_of));
    let lines = board.checks.iter().take(LISTED_MAX).flat_map(|line| check(paint, line, WIDTH, 1));
    lines.for_each(|line| add(&line.to_string()));
    if !board.errors.is_empty() {
        let kinds = match board.errors.len() {
            1 => "1 kind of error".to_owned(),
            n => format!("{n} kinds of errors"),
        };
        add(&format!("{kinds}, ! unexpected, ~ expected"));
        let lines = board.errors.iter().flat_map(|line| error(paint, line, WIDTH, 1));
        lines.for_each(|line| add(&line.to_string()));
    }
    add("");
    out
}

/// Returns the verdict of a status, and why the run ended if it has.
pub fn outcome(status: &Status) -> String {
    let Some(run) = &status.run else { return "no verdict".to_owned() };
    let verdict = run.verdict.map_or_else(|| "no verdict".to_owned(), |verdict| verdict.to_string());
    match &status.board.ended {
        Some(because) => format!("{verdict}: {}", clean(because)),
        None => format!("{verdict} so far"),
    }
}
