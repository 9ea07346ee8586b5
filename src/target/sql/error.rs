//! What an operation of a direct workload can meet.

use crate::model::finding::{Kind, Side};

/// An error with its code. It is decided by codes (SQLite's extended result code, SQLSTATE), never by words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", .code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
pub struct SqlError {
    pub side: Side,
    pub kind: Kind,
    /// `SQLITE_BUSY_SNAPSHOT`, `40P01`; none of an error without a code.
    pub code: Option<String>,
    pub message: String,
    /// The connection can be used no further.
    pub lost: bool,
    /// What was asked for may have happened.
    pub uncertain: bool,
}

impl SqlError {
    /// Returns an error that the workload itself found, such as an account that is not there.
    pub fn of_workload(kind: Kind, message: impl Into<String>) -> Self {
        Self { side: Side::Client, kind, code: None, message: message.into(), lost: false, uncertain: false }
    }

    /// Returns its name in tables: the kind, and the code where there is one.
    pub fn name(&self) -> String {
        let kind = serde_json::to_value(self.kind).ok().and_then(|word| word.as_str().map(str::to_owned));
        let kind = kind.unwrap_or_default();
        match &self.code {
            Some(code) => format!("{kind} ({code})"),
            None => kind,
        }
    }
}
