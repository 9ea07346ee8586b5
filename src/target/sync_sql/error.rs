//! The driver's error: what was being done, what went wrong, and what follows.

use crate::model::classify;
use crate::model::finding::{Classified, Follow, Kind, Side};

/// A sync operation that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{during} failed: {message} [{side:?}/{kind:?}{code}]; {next}",
    message = .classified.message, side = .classified.side, kind = .classified.kind,
    code = .classified.code.as_ref().map(|c| format!(", code {c}")).unwrap_or_default(),
    next = what_next(.classified))]
pub struct SyncError {
    pub classified: Classified,
    /// The operation, for example `send`.
    pub during: &'static str,
}

impl SyncError {
    /// Makes an error that soakd itself noticed.
    pub(super) fn noticed(during: &'static str, side: Side, kind: Kind, follow: Follow, message: &str) -> Self {
        Self { classified: classify::made(side, kind, follow, None, message), during }
    }

    /// Makes an error of the configuration: nothing but a change of it helps.
    pub(super) fn config(during: &'static str, message: &str) -> Self {
        Self::noticed(during, Side::Client, Kind::Config, Follow::Fail, message)
    }

    /// Classifies an error of a local statement.
    pub(super) fn local(during: &'static str, error: &rusqlite::Error) -> Self {
        let (code, message) = parts(error);
        Self { classified: classify::classify(code, &message), during }
    }

    /// Classifies an error of a statement that calls the service.
    pub(super) fn remote(during: &'static str, error: &rusqlite::Error) -> Self {
        let (code, message) = parts(error);
        Self { classified: classify::classify_call(code, &message), during }
    }
}

/// Returns the extended result code and the message as SQLite gave it.
fn parts(error: &rusqlite::Error) -> (Option<i32>, String) {
    match error {
        rusqlite::Error::SqliteFailure(code, Some(message)) => (Some(code.extended_code), message.clone()),
        rusqlite::Error::SqliteFailure(code, None) => (Some(code.extended_code), code.to_string()),
        rusqlite::Error::SqlInputError { error, msg, .. } => (Some(error.extended_code), msg.clone()),
        other => (None, other.to_string()),
    }
}

fn what_next(classified: &Classified) -> &'static str {
    match (classified.follow, classified.kind) {
        (Follow::Retry, _) => "nothing happened, it can be tried again",
        (Follow::Indeterminate, _) => "it may have happened; it can be tried again, because sending twice does no harm",
        (Follow::RefreshToken, _) => "a new token is needed before the next attempt",
        (Follow::Resend, _) => "the changes may be lost; the position must be reset and everything sent again",
        (Follow::Fail, Kind::Config) => "correct the configuration",
        (Follow::Fail, Kind::Schema) => "correct the table",
        (Follow::Fail, Kind::DiskFull) => "make room on the disk",
        (Follow::Fail, Kind::Auth | Kind::Denied) => "check the credential and the server's policies",
        (Follow::Fail, Kind::Tls | Kind::Protocol) => "check the address and what listens there",
        (Follow::Fail, _) => "trying again cannot help",
    }
}
