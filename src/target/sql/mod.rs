//! Plain SQL databases as targets: one session type over SQLite and PostgreSQL, and a pool of them. Statements are the same
//! text for both (`$1`, `$2` …); where the dialects differ, the workload asks [`Session::dialect`].
//!
//! A session never retries: it says what happened, whether the connection can be used any further, and whether what was asked
//! for may have happened all the same.

pub mod error;
pub mod plant;
pub mod pool;
pub mod postgres;
mod session;
pub mod sqlite;
pub mod value;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use error::SqlError;
pub use plant::Plant;
pub use pool::{Lease, Pool, PoolCounts};
pub use session::Session;
pub use value::{Row, SqlValue};

/// Which SQL a session speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// How workers run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Every worker is a thread, and a call holds it until the answer is there.
    #[default]
    Threads,
    /// Workers are tasks of one thread; SQLite, which knows no other way, gets a thread for each connection.
    Async,
}

/// How SQLite keeps what a transaction may have to take back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Journal {
    /// The rollback journal (`PRAGMA journal_mode = DELETE`): a writer keeps everybody else out.
    Rollback,
    /// The write-ahead log: readers go on while somebody writes.
    #[default]
    Wal,
}

/// Isolation level of PostgreSQL's transactions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    #[default]
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// Where the database is and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Backend {
    Sqlite { path: PathBuf, journal: Journal, busy_ms: u64, foreign_keys: bool },
    Postgres { url: Url, isolation: Isolation },
}

/// An address with its password: shown without it, and passed on as it is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Url(pub String);

impl Url {
    /// Returns where it leads, without user and password.
    pub fn place(&self) -> String {
        use tokio_postgres::config::{Config, Host};
        let Ok(config) = self.0.parse::<Config>() else { return "an address that is not one of PostgreSQL".into() };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(name)) => format!("{name}:{port}"),
            Some(Host::Unix(path)) => format!("{}:{port}", path.display()),
            None => config.get_hostaddrs().first().map_or_else(|| format!(":{port}"), |at| format!("{at}:{port}")),
        };
        format!("postgres://{host}/{}", config.get_dbname().or(config.get_user()).unwrap_or_default())
    }

    /// Returns the TCP ports that it leads to; none where it leads to Unix sockets only.
    pub fn ports(&self) -> Vec<u16> {
        use tokio_postgres::config::{Config, Host};
        let Ok(config) = self.0.parse::<Config>() else { return Vec::new() };
        let tcp = config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)));
        match config.get_ports() {
            _ if !tcp && config.get_hostaddrs().is_empty() => Vec::new(),
            [] => vec![5432],
            ports => ports.to_vec(),
        }
    }
}

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.place())
    }
}

impl Backend {
    /// Returns which SQL it speaks.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } => Dialect::Sqlite,
            Self::Postgres { .. } => Dialect::Postgres,
        }
    }

    /// Returns where it is, for people.
    pub fn place(&self) -> String {
        match self {
            Self::Sqlite { path, .. } => path.display().to_string(),
            Self::Postgres { url, .. } => url.place(),
        }
    }

    /// Returns what people call it: `sqlite (wal)`, `postgres (read committed)`.
    pub fn name(&self) -> String {
        match self {
            Self::Sqlite { journal: Journal::Rollback, .. } => "sqlite (rollback)".into(),
            Self::Sqlite { journal: Journal::Wal, .. } => "sqlite (wal)".into(),
            Self::Postgres { isolation: Isolation::ReadCommitted, .. } => "postgres (read committed)".into(),
            Self::Postgres { isolation: Isolation::RepeatableRead, .. } => "postgres (repeatable read)".into(),
            Self::Postgres { isolation: Isolation::Serializable, .. } => "postgres (serializable)".into(),
        }
    }
}

/// How a pool is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSpec {
    pub backend: Backend,
    pub engine: Engine,
    /// Sessions at most.
    pub size: u32,
    /// Longest time of one operation, the wait for a session included.
    pub limit: Duration,
    /// Name under which a server lists the connections.
    pub application: String,
    /// Faults to be found, in tests; none otherwise.
    pub plants: Vec<Plant>,
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads of one snapshot, where the database can (SQLite, and PostgreSQL from repeatable read on).
    Read,
    /// Takes SQLite's write lock at once, so that nobody has to give up in mid-transaction.
    Write,
}

/// Returns true for statements that write nothing by themselves.
fn reads_only(sql: &str) -> bool {
    sql.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select"))
}

#[cfg(test)]
mod tests;
