//! The sync driver: one SQLite connection with a provider's functions on it, driven by SQL only.
//!
//! Two providers offer the same functions: a loadable extension, and soakd's own for the embedded target. What the functions
//! are called is a matter of the profile. The driver never moves changes by itself, never retries and never fetches a
//! credential: it reports, and its caller decides.

mod answer;
mod error;
mod extension;
mod native;
mod profile;
#[cfg(test)]
mod scripted;
mod session;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub use error::SyncError;
pub use extension::check_file;
pub use profile::{Merge, Operation, Profile};
pub use session::SyncSession;

use crate::model::finding::Classified;
use crate::model::schema::TableSpec;

/// All that it takes to open a session; holds no secret, so that it may be logged.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSpec {
    /// The local database.
    pub path: PathBuf,
    pub table: TableSpec,
    pub provider: Provider,
    /// Address of the sync service.
    pub address: String,
    pub database_id: String,
    pub connect_ms: u64,
    pub request_ms: u64,
    pub busy_ms: u64,
}

/// What puts the sync functions on the connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Provider {
    Native,
    Extension {
        path: PathBuf,
        entry_point: String,
        /// Statements by operation that differ from the profile's.
        #[serde(default)]
        statements: BTreeMap<String, String>,
    },
}

/// Who the service shall take this session for.
#[derive(Debug, Clone)]
pub enum Credential {
    None,
    Token(SecretString),
    ApiKey(SecretString),
}

/// A change that the server refused, while it accepted the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub key: String,
    pub verb: String,
    pub reason: String,
}

/// What a send did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SendReport {
    /// `synced`, `syncing` or `out-of-sync`.
    pub status: String,
    pub local_version: i64,
    pub server_version: i64,
    /// Changed rows that were sent, where the provider tells.
    pub rows: u64,
    pub chunks: u64,
    pub bytes: u64,
    /// Server sequence numbers that the rows were given, where the provider tells: (lowest possible, highest).
    pub seq: Option<(u64, u64)>,
    /// Refused changes, bounded.
    pub refused: Vec<Refusal>,
    /// What the server says of its last job that failed, if any.
    pub last_failure: Option<Classified>,
}

/// What a receive did, over all its calls.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReceiveReport {
    /// Changes that came, in the provider's unit: rows for the native one, column changes for CloudSync.
    pub rows: u64,
    pub bytes: u64,
    pub chunks: u64,
    pub calls: u32,
    pub tables: Vec<String>,
    pub last_failure: Option<Classified>,
}
