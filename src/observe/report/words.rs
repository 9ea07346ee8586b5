//! Numbers, times and foreign text in the form that people read.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Returns a number in groups of three: `1,234,567`.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Returns a count with its noun: `1 error`, `2 errors`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", number(n), if n == 1 { "" } else { "s" })
}

/// Returns a length of time by its two largest units: `850ms`, `12.3s`, `4m 05s`, `1h 02m`, `3d 04h`.
pub(crate) fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0 => format!("{ms}ms"),
        1..60 => format!("{s}.{}s", ms % 1000 / 100),
        60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d {:02}h", s / 86_400, s / 3600 % 24),
    }
}

/// Returns the time between two instants, 0 if the clock went back.
pub(crate) fn between(from_ms: i64, until_ms: i64) -> u64 {
    u64::try_from(until_ms.saturating_sub(from_ms)).unwrap_or(0)
}

/// Returns a moment as `2026-01-02 03:04:05 UTC`.
pub(crate) fn moment(ms: i64) -> String {
    stamp(ms, "%Y-%m-%d %H:%M:%S UTC")
}

/// Returns the time of day of a moment, in UTC.
pub fn clock(ms: i64) -> String {
    stamp(ms, "%H:%M:%S")
}

fn stamp(ms: i64, form: &str) -> String {
    DateTime::<Utc>::from_timestamp_millis(ms)
        .map_or_else(|| "unknown time".to_owned(), |at| at.format(form).to_string())
}

/// Returns the word that a plain enum is stored as, with spaces.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.replace('_', " ").replace("http", "HTTP "),
        _ => "unknown".to_owned(),
    }
}

/// Returns text without anything that a terminal would obey: control characters, and marks that turn the direction.
pub(crate) fn clean(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' => ' ',
        c if harmless(c) => c,
        _ => '\u{fffd}',
    };
    text.chars().map(shown).collect()
}

/// Returns false for characters that a terminal obeys or that hide and turn text; all of them have four hex digits.
pub(crate) fn harmless(c: char) -> bool {
    let hides = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !hides && !c.is_control()
}

/// Returns a list in words: `a`, `a and b`, `a, b and c`.
pub(crate) fn list(items: &[&str]) -> String {
    match items {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Returns `yes` or `no`.
pub(crate) fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

/// Returns a list of numbers with runs drawn together: `1-3, 7`; 0 stands for the rest.
pub(crate) fn ranges(numbers: impl IntoIterator<Item = u32>) -> String {
    let mut spans: Vec<(u32, u32)> = Vec::new();
    for n in numbers {
        match spans.last_mut() {
            Some((_, last)) if *last != 0 && last.checked_add(1) == Some(n) => *last = n,
            _ => spans.push((n, n)),
        }
    }
    let span = |(first, last): (u32, u32)| match (first, last) {
        (0, _) => "others".to_owned(),
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    };
    spans.into_iter().map(span).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_readable() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        let times = [0, 850, 12_345, 245_000, 3_720_000, 273_600_000].map(duration);
        assert_eq!(times, ["0ms", "850ms", "12.3s", "4m 05s", "1h 02m", "3d 04h"]);
        assert_eq!(moment(1_760_000_000_000), "2025-10-09 08:53:20 UTC");
        assert_eq!(moment(i64::MAX), "unknown time");
        assert_eq!(between(5, 3), 0);
        assert_eq!(ranges([1, 2, 3, 7, 9, 10]), "1-3, 7, 9-10");
        assert_eq!(ranges([0, 1]), "others, 1");
    }

    #[test]
    fn a_terminal_gets_nothing_to_obey() {
        assert_eq!(clean("a\x1b[31mb\r\nc\td\u{202e}e\u{9b}"), "a\u{fffd}[31mb\u{fffd}\u{fffd}c d\u{fffd}e\u{fffd}");
    }
}
