//! The embedded sync server and its client: a target that a fresh machine can run without an account or a network.
//!
//! `proto` is the wire, `policy` decides who may change a row, a [`Store`] keeps rows (`sqlite` or `postgres`), `server`
//! answers HTTP, `client` puts the sync functions on a SQLite connection, and `plant` breaks the server on purpose so that
//! checkers can be tested. This file holds the types they share. To add a store: implement [`Store`], add it to
//! [`StoreAddress`], and run `store_suite` on it.

pub mod client;
pub mod plant;
pub mod policy;
pub mod postgres;
pub mod proto;
pub mod server;
pub mod sqlite;
pub mod token;

#[cfg(test)]
mod store_suite;
#[cfg(test)]
mod testing;

pub use self::sqlite::cell_of;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::digest::TableDigest;
use crate::model::measure::Holdings;
use crate::model::schema::TableSpec;
use crate::model::value::Value;
use policy::Grants;
use proto::Batch;
use token::{NewToken, TokenError};

/// What a refused change would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Insert,
    Update,
    Delete,
}

impl Verb {
    /// Returns the code on the wire.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Reads a code from the wire.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Insert, Self::Update, Self::Delete].into_iter().find(|verb| verb.code() == code)
    }
}

/// A change that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub key: String,
    pub verb: Verb,
    pub reason: String,
}

/// The answer to a push; `seq_first` is the first number that the batch could have got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushReply {
    pub applied: u64,
    pub refused: Vec<Refusal>,
    pub seq_first: u64,
    pub seq_last: u64,
}

/// The answer to a pull: changes in sequence order, and the watermark to ask with next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    pub batch: Batch,
    pub next: u64,
    pub more: bool,
    /// The client was away for longer than deletes are remembered: it must start from zero, with its own changes too.
    pub reset: bool,
}

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    User(String),
    /// The holder of the API key: no policy applies.
    Admin,
}

/// Everything a push carries.
#[derive(Debug, Clone)]
pub struct Push {
    pub identity: Identity,
    /// Name of the client; empty for changes that no client made.
    pub client: String,
    pub batch_no: u64,
    pub batch: Batch,
    pub grants: Grants,
}

/// Everything a pull carries.
#[derive(Debug, Clone)]
pub struct Pull {
    pub identity: Identity,
    pub client: String,
    pub after: u64,
    pub limit_bytes: usize,
    pub full: bool,
}

/// What went wrong in a store.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("batch {got} of client {client} is older than its last one, {last}")]
    OldBatch { client: String, got: u64, last: u64 },
    #[error("{0}")]
    BadRequest(String),
    #[error("cannot open the store at {place}: {cause}")]
    Open { place: String, cause: String },
    #[error("the store failed: {0}")]
    Failed(String),
    #[error("the store is shutting down")]
    Closed,
}

/// Rows of the server's table, for naming differences.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RowList {
    pub rows: Vec<Vec<Value>>,
    pub truncated: bool,
}

/// A JSON object per row, as the SQL gateway answers.
pub type JsonRows = Vec<serde_json::Map<String, serde_json::Value>>;

/// Sequence numbers that a group keeps its tombstones for: a client that is further behind starts from zero, for which only
/// live rows are needed.
const HELD_MAX: u64 = if cfg!(test) { 20_000 } else { 2_000_000 };

/// What keeps the server's rows.
#[async_trait]
pub trait Store: Send + Sync {
    /// Returns the name for health answers.
    fn kind(&self) -> &'static str;
    /// Applies a batch once, durably, and remembers the answer.
    async fn push(&self, push: Push) -> Result<PushReply, StoreError>;
    /// Returns changes after a watermark.
    async fn pull(&self, pull: Pull) -> Result<Page, StoreError>;
    /// Returns the digest of one owner's rows, or of all.
    async fn digest(&self, owner: Option<String>) -> Result<TableDigest, StoreError>;
    /// Returns rows whose keys fall into `buckets`; all buckets when it is empty.
    async fn rows(&self, owner: Option<String>, buckets: Vec<usize>, limit: usize) -> Result<RowList, StoreError>;
    /// Counts what there is.
    async fn holdings(&self) -> Result<Holdings, StoreError>;
    /// Runs one statement as the administrator.
    async fn sql(&self, sql: String) -> Result<JsonRows, StoreError>;
    /// Remembers a token by its hash, and returns its number.
    async fn add_token(&self, token: NewToken) -> Result<(), StoreError>;
    /// Returns whose token has this hash.
    async fn find_token(&self, hash: [u8; 32]) -> Result<Result<String, TokenError>, StoreError>;
    /// Revokes the token with this hash; false when there is none.
    async fn revoke_token(&self, hash: [u8; 32]) -> Result<bool, StoreError>;
    /// Stops accepting work and waits for what is under way.
    async fn close(&self);
}

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StoreAddress {
    Sqlite(PathBuf),
    Postgres(String),
}

impl StoreAddress {
    /// Makes the store one run's own, where it may hold what another run left; a file is a run's own by its path.
    pub async fn claim(&self, table: &TableSpec, run: &str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(url) => postgres::claim::claim(url, table, run).await,
        }
    }

    /// Opens the store, and creates what is missing in it; `wal_pages` as in [`plant::Planter::wal_pages`].
    pub async fn open(
        &self,
        table: &TableSpec,
        rls: bool,
        wal_pages: Option<u32>,
    ) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match self {
            Self::Sqlite(path) => Arc::new(sqlite::SqliteStore::open_with(path, table, rls, wal_pages)?),
            Self::Postgres(_) if wal_pages.is_some() => {
                return Err(StoreError::BadRequest("keep-wal and wal-pages are for the SQLite store".into()));
            }
            Self::Postgres(url) => Arc::new(postgres::PostgresStore::open(url, table, rls).await?),
        })
    }
}

/// Returns the time as milliseconds since 1970.
pub fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
