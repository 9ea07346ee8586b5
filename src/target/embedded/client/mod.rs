//! The native provider: sync functions with the extension's names on a SQLite connection, for the embedded server.
//!
//! `register` puts scalar functions on the user's connection. They work on a second connection of the same file: `tracking`
//! records what the user changes, `send` and `receive` move it, `http` talks to the server. Nothing of the vendor's code or
//! protocol is in here; only names and result shapes are alike.

mod functions;
mod http;
mod receive;
mod send;
mod state;
mod tracking;

use std::path::Path;
use std::sync::{Arc, Mutex};

use thiserror::Error;

use super::Refusal;
use super::proto::WireError;
use crate::model::schema::TableSpec;
use state::ClientState;

/// Deadlines of the client.
#[derive(Debug, Clone, Copy)]
pub struct NativeOptions {
    pub connect_ms: u64,
    pub request_ms: u64,
}

impl Default for NativeOptions {
    fn default() -> Self {
        Self { connect_ms: 30_000, request_ms: 300_000 }
    }
}

/// Why a sync function failed; local changes are kept.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The server answered with an error: its body, as it came.
    #[error("{0}")]
    Server(String),
    #[error("{0}")]
    Network(String),
    #[error("the server's answer is not understood: {0}")]
    Protocol(#[from] WireError),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Local(#[from] rusqlite::Error),
}

/// Puts the sync functions on `connection`, which has the file at `path` open.
pub fn register(
    connection: &rusqlite::Connection,
    path: &Path,
    table: &TableSpec,
    options: NativeOptions,
) -> Result<(), ClientError> {
    let state = ClientState::open(path, table, options)?;
    functions::register(connection, Arc::new(Mutex::new(Some(state))))?;
    Ok(())
}

#[cfg(test)]
mod tests;
