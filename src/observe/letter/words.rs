//! Times, lengths and foreign text as a mail shows them.

use chrono::DateTime;
use chrono_tz::Tz;

use crate::observe::report::words::{between, harmless};

/// Returns a moment in a zone with its offset: `2026-01-02 03:04:05 +01:00`.
pub(super) fn moment(ms: i64, zone: Tz) -> String {
    DateTime::from_timestamp_millis(ms).map_or_else(
        || "unknown time".to_owned(),
        |at| at.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S %:z").to_string(),
    )
}

/// Returns a length by its two largest units: `40 s`, `3 min 05 s`, `3 h 12 min`, `2 d 4 h`.
pub(super) fn length(ms: u64) -> String {
    let s = ms / 1000;
    let two = |big: u64, unit: &str, small: u64, part: &str| match small {
        0 => format!("{big} {unit}"),
        small => format!("{big} {unit} {small} {part}"),
    };
    match s {
        0..60 => format!("{s} s"),
        60..3600 => two(s / 60, "min", s % 60, "s"),
        3600..86_400 => two(s / 3600, "h", s / 60 % 60, "min"),
        _ => two(s / 86_400, "d", s / 3600 % 24, "h"),
    }
}

/// Returns how long before `now_ms` a moment was.
pub(super) fn ago(ms: i64, now_ms: i64) -> String {
    match between(ms, now_ms) {
        0..1000 => "just now".to_owned(),
        past => format!("{} ago", length(past)),
    }
}

/// Returns text on one line, without anything that a reader would obey or that hides or turns text, cut to a number of
/// characters.
pub(super) fn line(text: &str, chars: usize) -> String {
    let shown = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' => ' ',
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => '\u{fffd}',
        c if harmless(c) => c,
        _ => '\u{fffd}',
    };
    // What is beyond the length is never looked at, however much it is.
    let mut kept: String = text.chars().take(chars).map(shown).collect();
    if text.chars().nth(chars).is_some() {
        kept.pop();
        kept.push('…');
    }
    kept.trim().to_owned()
}

/// Returns text with its first letter in upper case.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), chars.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_a_zone_and_lengths_in_two_units() {
        assert_eq!(moment(1_760_000_000_000, Tz::Europe__Berlin), "2025-10-09 10:53:20 +02:00");
        assert_eq!(moment(i64::MIN, Tz::UTC), "unknown time");
        let lengths = [0, 40_000, 185_000, 7_200_000, 11_520_000, 187_200_000].map(length);
        assert_eq!(lengths, ["0 s", "40 s", "3 min 5 s", "2 h", "3 h 12 min", "2 d 4 h"]);
        assert_eq!([ago(0, 11_520_000), ago(5, 3)], ["3 h 12 min ago", "just now"]);
    }

    #[test]
    fn foreign_text_is_one_harmless_line() {
        assert_eq!(line("a\r\nBcc: x\u{202e}y\u{1b}[0m\u{61c}", 80), "a  Bcc: x\u{fffd}y\u{fffd}[0m\u{fffd}");
        assert_eq!(line("abcdef", 4), "abc…");
        assert_eq!(line(&"x".repeat(1_000_000), 10).chars().count(), 10);
        assert_eq!(capital("éa"), "Éa");
    }
}
