//! Values of direct workloads. SQLite keeps only some of the types; whoever expects another one asks for it by name, and a
//! value that is of no such type is said to be so.

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

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
}

/// A row, in the order of its columns.
pub type Row = Vec<SqlValue>;

impl SqlValue {
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
