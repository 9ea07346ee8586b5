//! One line of the log before it has a form: level, place, message and fields, each of bounded length.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};
pub(super) use serde_json::Value;
use tracing::field::{Field, Visit};

use super::redact::redacted;

/// Bytes of a message.
const MESSAGE_MAX: usize = 16 * 1024;
/// Bytes of one field.
const FIELD_MAX: usize = 4 * 1024;

/// How much a line matters, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    /// Returns the word for it, as the configuration writes it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// Returns syslog's number for it.
    pub(super) fn priority(self) -> u8 {
        match self {
            Self::Error => 3,
            Self::Warn => 4,
            Self::Info => 6,
            Self::Debug | Self::Trace => 7,
        }
    }
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::INFO => Self::Info,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::TRACE => Self::Trace,
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub at: DateTime<Utc>,
    pub level: Level,
    pub target: Cow<'static, str>,
    pub file: Option<&'static str>,
    pub line: Option<u32>,
    pub message: String,
    pub fields: Vec<(Cow<'static, str>, Value)>,
}

impl Entry {
    pub(super) fn new(level: Level, target: &'static str, message: &str) -> Self {
        let message = message.to_owned();
        Self { at: Utc::now(), level, target: target.into(), file: None, line: None, message, fields: Vec::new() }
    }

    /// Takes in an event, without any secret that is known.
    pub(super) fn of(event: &tracing::Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut entry = Self::new((*metadata.level()).into(), metadata.target(), "");
        (entry.file, entry.line) = (metadata.file(), metadata.line());
        event.record(&mut entry);
        entry
    }

    /// Returns a copy whose texts have at most so many bytes.
    pub(super) fn clipped(&self, max: usize) -> Self {
        let clip_value = |value: &Value| match value {
            Value::String(text) => Value::String(clip(text, max)),
            other => other.clone(),
        };
        let fields = self.fields.iter().map(|(name, value)| (name.clone(), clip_value(value))).collect();
        Self { message: clip(&self.message, max), fields, ..self.clone() }
    }

    fn text(&mut self, field: &Field, text: &str) {
        if field.name() == "message" {
            self.message = clip(&redacted(text), MESSAGE_MAX);
        } else {
            self.put(field, Value::String(clip(&redacted(text), FIELD_MAX)));
        }
    }

    fn put(&mut self, field: &Field, value: Value) {
        self.fields.push((field.name().into(), value));
    }
}

impl Visit for Entry {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, &value.to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // What JSON has no number for is written as a text.
        let number = serde_json::Number::from_f64(value);
        self.put(field, number.map_or_else(|| Value::String(value.to_string()), Value::Number));
    }
}

/// Returns the text cut to so many bytes, with a word about the rest.
fn clip(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}… ({} more bytes)", &text[..end], text.len() - end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(clip("grün", 3), "gr… (3 more bytes)");
        assert_eq!(clip("grün", 5), "grün");
        let mut entry = Entry::new(Level::Warn, "soakd", &"x".repeat(600));
        entry.fields.push(("n".into(), 7.into()));
        let short = entry.clipped(512);
        assert!(short.message.len() < 540 && short.message.ends_with("(88 more bytes)"), "{}", short.message);
        assert_eq!(short.fields, entry.fields);
    }
}
