//! The native provider: puts soakd's own functions for the embedded target on a connection.

use rusqlite::Connection;

use super::{SessionSpec, SyncError};
#[cfg(not(test))]
use crate::target::embedded::client::{ClientError, NativeOptions, register};

/// Registers the native functions on the connection.
#[cfg(not(test))]
pub(super) fn attach(conn: &Connection, spec: &SessionSpec) -> Result<(), SyncError> {
    let options = NativeOptions { connect_ms: spec.connect_ms, request_ms: spec.request_ms };
    register(conn, &spec.path, &spec.table, options).map_err(|error| match error {
        ClientError::Local(error) => SyncError::local("attaching the native provider", &error),
        other => SyncError::config("attaching the native provider", &other.to_string()),
    })
}

/// Registers functions that answer what a test tells them to.
#[cfg(test)]
pub(super) fn attach(conn: &Connection, spec: &SessionSpec) -> Result<(), SyncError> {
    super::scripted::register(conn, spec).map_err(|error| SyncError::local("attaching the scripted provider", &error))
}
