//! Figures and foreign text in the form that fits into a pane: short, cleaned, and cut to a width in cells of the terminal.

use ratatui::text::Span;

use super::paint::Paint;
use crate::observe::report::words::clean;

/// Returns the cells that a text takes.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

fn cells(c: char) -> usize {
    width(c.encode_utf8(&mut [0; 4]))
}

/// Returns a text from outside cleaned and cut to a width, with a sign that it was cut.
pub(super) fn cut(paint: Paint, text: &str, max: usize) -> String {
    let text = clean(text);
    if width(&text) <= max {
        return text;
    }
    let (mut out, mut used) = (String::new(), 0);
    for c in text.chars() {
        if used + cells(c) + 1 > max {
            break;
        }
        used += cells(c);
        out.push(c);
    }
    if max > 0 {
        out.push(paint.more());
    }
    out
}

/// Returns a text that takes exactly this width.
pub(super) fn left(paint: Paint, text: &str, max: usize) -> String {
    let mut out = cut(paint, text, max);
    out.extend(std::iter::repeat_n(' ', max.saturating_sub(width(&out))));
    out
}

/// Returns a text that takes exactly this width, with its end at the right.
pub(super) fn right(paint: Paint, text: &str, max: usize) -> String {
    let out = cut(paint, text, max);
    let room = max.saturating_sub(width(&out));
    format!("{}{out}", " ".repeat(room))
}

/// Returns a text in lines of a width; words longer than a line are broken.
pub(super) fn wrapped(text: &str, max: usize) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for word in clean(text).split(' ') {
        if used > 0 && used + 1 + width(word) > max {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        for c in word.chars() {
            if used > 0 && used + cells(c) > max {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(c);
            used += cells(c);
        }
    }
    lines.push(line);
    lines
}

/// Returns a number in at most six characters: `9999`, `12.3k`, `4.56M`.
pub(super) fn short(n: f64) -> String {
    const UNITS: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    if !n.is_finite() || n <= 0.0 {
        return "0".to_owned();
    }
    if n < 10.0 && n.fract() > 0.0 {
        return format!("{n:.1}");
    }
    if n < 9_999.5 {
        return format!("{n:.0}");
    }
    let (mut value, mut unit) = (n, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{}{}", three(value), UNITS[unit])
}

/// Returns a value with three digits, or with as many as it has before the point.
fn three(value: f64) -> String {
    match value {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Returns a latency: `850us`, `12.3ms`, `4.56s`; `-` where there is none.
pub(super) fn latency(us: u64) -> String {
    match us {
        0 => "-".to_owned(),
        1..1000 => format!("{us}us"),
        1000..1_000_000 => format!("{}ms", three((us as f64 / 1e3).min(999.4))),
        _ => format!("{}s", three(us as f64 / 1e6)),
    }
}

/// Returns a size in three digits: `34.5 MiB`.
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{} {}", three(value), UNITS[unit]) }
}
