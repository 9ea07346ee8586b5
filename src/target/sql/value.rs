//! Values of direct workloads. SQLite keeps only some of the types; whoever expects another one asks for it by name, and a
//! value that is of no such type is said to be so. What nobody here writes at all, such as a blob, is only described.

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

/// Bytes of an odd value that are shown.
const SHOWN: usize = 12;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlValue {
    Null,
    Bool(bool),
    Int(i64),
    Real(f64),
    Text(String),
    Uuid(Uuid),
    Time(DateTime<Utc>),
    /// What no workload writes, described for people.
    Other(String),
}

/// A row, in the order of its columns.
pub type Row = Vec<SqlValue>;

impl SqlValue {
    /// Describes a value that is of no type of the workloads.
    pub(super) fn other(what: &str, raw: &[u8]) -> Self {
        if raw.is_empty() {
            return Self::Other(format!("{what} of 0 bytes"));
        }
        let bytes = if raw.len() == 1 { "byte" } else { "bytes" };
        let hex: String = raw.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
        let more = if raw.len() > SHOWN { "…" } else { "" };
        Self::Other(format!("{what} of {} {bytes}: {hex}{more}", raw.len()))
    }

    /// Returns it for people, cut.
    pub fn shown(&self) -> String {
        let text = match self {
            Self::Null => "NULL".into(),
            Self::Bool(truth) => truth.to_string(),
            Self::Int(n) => n.to_string(),
            Self::Real(x) => x.to_string(),
            Self::Text(text) => format!("'{text}'"),
            Self::Uuid(uuid) => uuid.to_string(),
            Self::Time(time) => time.to_rfc3339(),
            Self::Other(what) => what.clone(),
        };
        text.chars().take(60).collect()
    }

    /// Returns the whole number that it is.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// Returns the number that it is.
    pub fn real(&self) -> Option<f64> {
        match self {
            Self::Real(x) => Some(*x),
            _ => None,
        }
    }

    /// Returns the text that it is.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the truth value that it is; SQLite keeps it as 0 or 1.
    pub fn bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            Self::Int(0) => Some(false),
            Self::Int(1) => Some(true),
            _ => None,
        }
    }

    /// Returns the UUID that it is; SQLite keeps it as text.
    pub fn uuid(&self) -> Option<Uuid> {
        match self {
            Self::Uuid(uuid) => Some(*uuid),
            Self::Text(text) => Uuid::parse_str(text).ok(),
            _ => None,
        }
    }

    /// Returns the moment that it is; SQLite keeps it as ISO text in UTC.
    pub fn time(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Time(time) => Some(*time),
            Self::Text(text) => DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc)),
            _ => None,
        }
    }
}

/// Returns how a moment is kept as text: microseconds, as PostgreSQL keeps them.
pub fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
