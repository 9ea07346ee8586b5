//! The forms that a line of the log can have: text for people, JSON for machines. Pure.

use std::fmt::Write;

use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::{Map, Value};

use super::entry::{Entry, Level};

/// Returns the line as people read it, with its newline.
pub(super) fn text(entry: &Entry, colours: bool) -> String {
    let at = entry.at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let level = entry.level.word().to_ascii_uppercase();
    let mut out = if colours {
        format!("\x1b[2m{at}\x1b[0m {}{level:>5}\x1b[0m", colour(entry.level))
    } else {
        format!("{at} {level:>5}")
    };
    // A String takes everything that is written to it.
    let _ = write!(out, " {}", sentence(entry));
    out.push('\n');
    out
}

/// Returns message and fields, safe to be shown on a terminal.
pub(super) fn sentence(entry: &Entry) -> String {
    let mut out = visible(&entry.message);
    for (name, value) in &entry.fields {
        if !out.is_empty() {
            out.push(' ');
        }
        let _ = write!(out, "{name}={}", plain(value));
    }
    out
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() || text.contains(['"', '=', ' ', '\n']) => {
            visible(&format!("\"{}\"", text.replace('"', "\\\"").replace('\n', "\\n")))
        }
        Value::String(text) => visible(text),
        other => other.to_string(),
    }
}

/// Returns the text without what would steer a terminal; its further lines are set off, so that none can pass for an entry.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        match c {
            '\n' => out.push_str("\n    "),
            '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::Error => "\x1b[31m",
        Level::Warn => "\x1b[33m",
        Level::Info => "\x1b[32m",
        Level::Debug | Level::Trace => "\x1b[2m",
    }
}

/// A line as machines read it, what they sort and choose by first.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'static str,
    target: &'a str,
    message: &'a str,
    fields: Map<String, Value>,
}

/// Returns the line as one JSON object, with its newline.
pub(super) fn json(entry: &Entry) -> String {
    let line = Line {
        timestamp: entry.at.to_rfc3339_opts(SecondsFormat::Micros, true),
        level: entry.level.word(),
        target: &entry.target,
        message: &entry.message,
        fields: entry.fields.iter().map(|(name, value)| (name.clone().into_owned(), value.clone())).collect(),
    };
    // Texts, numbers and truth values can always be written.
    let mut line = serde_json::to_string(&line).unwrap_or_default();
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry() -> Entry {
        let mut entry = Entry::new(Level::Warn, "soakd::engine::crew", "starting a worker again");
        entry.at = chrono::DateTime::from_timestamp_micros(1_795_256_295_000_042).expect("a time");
        entry.fields.push(("worker".into(), 3.into()));
        entry.fields.push(("why".into(), "no answer".into()));
        entry
    }

    #[test]
    fn people_read_text() {
        assert_eq!(
            text(&entry(), false),
            "2026-11-21T10:18:15.000042Z  WARN starting a worker again worker=3 why=\"no answer\"\n"
        );
        assert_eq!(
            text(&entry(), true),
            "\x1b[2m2026-11-21T10:18:15.000042Z\x1b[0m \x1b[33m WARN\x1b[0m starting a worker again worker=3 why=\"no answer\"\n"
        );
    }

    #[test]
    fn machines_read_one_object_per_line() {
        let mut entry = entry();
        entry.message = "two\nlines, \"quoted\" \x1b[31m".into();
        let line = json(&entry);
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        let place = |name: &str| line.find(&format!("\"{name}\":")).expect("its place");
        assert!(["timestamp", "level", "target", "message", "fields"].map(place).is_sorted(), "{line}");
        let read: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(
            read,
            json!({
                "timestamp": "2026-11-21T10:18:15.000042Z",
                "level": "warn",
                "target": "soakd::engine::crew",
                "message": entry.message,
                "fields": { "worker": 3, "why": "no answer" },
            })
        );
    }

    #[test]
    fn a_foreign_text_neither_steers_a_terminal_nor_passes_for_a_line() {
        let mut entry = entry();
        entry.message = "bad\x1b]0;title\x07\n2026-01-01T00:00:00Z ERROR forged\r".into();
        entry.fields = vec![("error".into(), "a\n\x1b[2Jb".into())];
        let line = text(&entry, true);
        assert!(!line.contains("\x1b]") && !line.contains('\x07') && !line.contains('\r'), "{line:?}");
        assert!(line.contains("\n    2026-01-01T00:00:00Z ERROR forged error=\"a\\n\\u{1b}[2Jb\"\n"), "{line:?}");
    }
}
