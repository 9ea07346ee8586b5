//! What PostgreSQL and the way to it answer, as errors with their codes.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity};

use super::value::Unfit;
use crate::model::classify::sql::sqlstate;
use crate::model::finding::{Kind, Side};
use crate::target::sql::SqlError;

/// Returns what an error of a call means.
pub(super) fn translated(error: &Error, place: &str) -> SqlError {
    if let Some(db) = error.as_db_error() {
        return of_server(db, place);
    }
    let source = error.source();
    if let Some(unfit) = source.and_then(|source| source.downcast_ref::<Unfit>()) {
        let message = format!("A value and the database at {place} do not fit together: {unfit}.");
        return made(Side::Client, Kind::Schema, message, false);
    }
    if let Some(io) = source.and_then(|source| source.downcast_ref::<io::Error>()) {
        return of_way(io, place);
    }
    if error.is_closed() {
        return closed(place);
    }
    made(Side::Network, Kind::Protocol, format!("{place} does not answer as PostgreSQL does: {error}."), true)
}

/// Returns what an error means that was met when connecting.
pub(super) fn of_connect(error: &Error, place: &str) -> SqlError {
    let source = error.source();
    let known = error.as_db_error().is_some() || source.is_some_and(|source| source.is::<io::Error>());
    let found = if known || error.is_closed() {
        translated(error, place)
    } else {
        // The address says too little, such as no password where one is asked for.
        let why = source.map_or_else(|| error.to_string(), ToString::to_string);
        made(Side::Client, Kind::Config, format!("{place} cannot be connected to: {why}. Correct the address."), true)
    };
    SqlError { lost: true, ..found }
}

fn of_server(db: &DbError, place: &str) -> SqlError {
    let code = db.code().code();
    let (side, kind) = sqlstate(code);
    let fatal = matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    let text = match db.detail() {
        Some(detail) => format!("{}: {detail}", db.message()),
        None => db.message().to_owned(),
    };
    let message = match code {
        "3D000" => format!("{place}: {text}. Create the database, or correct the address."),
        "53300" => {
            format!("{place} takes no more connections: {text}. Let the pool be smaller, or raise max_connections.")
        }
        "57P03" => format!("{place} is not ready yet: {text}."),
        "42501" => format!("{place}: {text}. Give the user of the address the rights, or take another user."),
        "25006" => format!("{place} can only be read: {text}. Give the address of a server that takes writes."),
        "53100" => format!("There is no room left at {place}: {text}. Make room there."),
        _ if code.starts_with("28") => {
            format!("{place} does not let soakd in: {text}. Correct user and password of the address, or pg_hba.conf.")
        }
        _ => text,
    };
    let lost = fatal || code.starts_with("08");
    // The server says itself that it cannot say.
    let uncertain = matches!(code, "40003" | "08007");
    SqlError { side, kind, code: Some(code.to_owned()), message, lost, uncertain }
}

fn of_way(io: &io::Error, place: &str) -> SqlError {
    let (kind, message) = match io.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            (Kind::Refused, format!("No server is there at {place}: {io}. Start it, or correct the address."))
        }
        io::ErrorKind::TimedOut => (Kind::Timeout, format!("{place} does not answer: {io}.")),
        // Only names that nobody knows have no number of the system.
        _ if io.raw_os_error().is_none() && io.kind() != io::ErrorKind::UnexpectedEof => {
            (Kind::Resolve, format!("{place} is not found: {io}. Correct the address."))
        }
        _ => (Kind::Reset, format!("The connection to {place} broke off: {io}.")),
    };
    made(Side::Network, kind, message, true)
}

/// Returns that the server has closed the connection.
pub(super) fn closed(place: &str) -> SqlError {
    made(Side::Network, Kind::Reset, format!("The server at {place} closed the connection."), true)
}

/// Returns that the connection was lost in an earlier call.
pub(super) fn gone(place: &str) -> SqlError {
    made(Side::Network, Kind::Reset, format!("The connection to {place} was lost earlier."), true)
}

/// Returns that there was no answer in time.
pub(super) fn late(place: &str) -> SqlError {
    let message = format!("{place} did not answer in time; the statement was called off, and the connection given up.");
    made(Side::Server, Kind::Timeout, message, true)
}

/// Returns that there was no time left to begin with.
pub(super) fn too_late() -> SqlError {
    let message = "The time of the operation was over before this statement began.";
    made(Side::Soakd, Kind::Timeout, message.into(), false)
}

/// Returns that the calls came in the wrong order.
pub(super) fn misused(message: &str) -> SqlError {
    made(Side::Soakd, Kind::Other, message.into(), false)
}

/// Returns that a transaction cannot be committed in which a statement had failed.
pub(super) fn aborted() -> SqlError {
    let message = "A transaction in which a statement failed was to be committed; it was taken back.";
    SqlError { code: Some("25P02".into()), ..misused(message) }
}

pub(super) fn made(side: Side, kind: Kind, message: String, lost: bool) -> SqlError {
    SqlError { side, kind, code: None, message, lost, uncertain: false }
}
