//! `[workload.bank]`, `[workload.catalog]`, `[target.sqlite]` and `[target.postgres]`: databases that workers drive themselves.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::secret::SecretRef;
use super::units::Span;
use crate::model::lane::Lane;

/// What all direct workloads have: how workers run, and which errors are in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineConfig {
    #[default]
    Threads,
    Async,
}

/// `[workload.bank]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BankConfig {
    /// Length of the load of one cycle.
    pub seconds: u32,
    /// Workers of each role …
    pub workers: u32,
    /// … and of those that have another number.
    pub inserters: Option<u32>,
    pub transferrers: Option<u32>,
    pub readers: Option<u32>,
    pub checkers: Option<u32>,
    pub deleters: Option<u32>,
    pub rate: RatesConfig,
    pub accounts: u32,
    pub batch: u32,
    pub foreign_keys: bool,
    pub engine: EngineConfig,
    /// Connections at most; absent: one for each worker and five more, at most 50.
    pub pool: Option<u32>,
    pub fail_fast: bool,
    /// Errors that are in order, by kind or by code.
    pub expected: Vec<String>,
}

/// Operations that all workers of a role begin in a second; absent: as fast as they can.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RatesConfig {
    pub inserter: Option<f64>,
    pub transferrer: Option<f64>,
    pub reader: Option<f64>,
    pub checker: Option<f64>,
    pub deleter: Option<f64>,
}

impl Default for BankConfig {
    fn default() -> Self {
        Self {
            seconds: 10,
            workers: 3,
            inserters: None,
            transferrers: None,
            readers: None,
            checkers: None,
            deleters: None,
            rate: RatesConfig::default(),
            accounts: 100,
            batch: 20,
            foreign_keys: true,
            engine: EngineConfig::default(),
            pool: None,
            fail_fast: false,
            expected: ["locked", "deadlock", "serialization", "insufficient_funds", "missing_account"]
                .map(str::to_owned)
                .to_vec(),
        }
    }
}

impl BankConfig {
    /// Seconds of a load at most: a worker has numbers for 268 million operations in a cycle, which is 20,000 in every second.
    pub const SECONDS_MAX: u32 = 13_000;

    /// Returns the workers of a role.
    pub fn workers_of(&self, role: Lane) -> u32 {
        let own = match role {
            Lane::Inserter => self.inserters,
            Lane::Transferrer => self.transferrers,
            Lane::Reader => self.readers,
            Lane::Checker => self.checkers,
            _ => self.deleters,
        };
        own.unwrap_or(self.workers)
    }

    /// Returns how many connections there are at most: no worker needs more than one at a time.
    pub fn connections(&self) -> u32 {
        let workers: u32 = Lane::BANK.map(|role| self.workers_of(role)).iter().sum();
        self.pool.unwrap_or((workers + 5).min(50))
    }

    /// Returns why a load is too long, and what can be done instead, if it is.
    pub fn too_long(&self) -> Option<(String, String)> {
        let (seconds, most) = (self.seconds, Self::SECONDS_MAX);
        (seconds > most).then(|| {
            let what =
                format!("after {seconds} seconds the operations of a fast worker could have used up their numbers");
            (what, format!("1 to {most}, and more cycles for a longer run"))
        })
    }
}

/// `[workload.catalog]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogConfig {
    pub clients: u32,
    pub seconds: u32,
    /// Takes more clients and seconds than the hand-made test did.
    pub unbounded: bool,
    pub datasets: u32,
    pub attempts: u32,
    pub cache_ttl: Span,
    pub staleness: Span,
    pub engine: EngineConfig,
    pub pool: Option<u32>,
    pub fail_fast: bool,
    pub expected: Vec<String>,
}

impl Default for CatalogConfig {
    fn default() -> Self {
        Self {
            clients: 10,
            seconds: 30,
            unbounded: false,
            datasets: 50,
            attempts: 5,
            cache_ttl: Span::from_millis(500),
            staleness: Span::from_secs(1),
            engine: EngineConfig::default(),
            pool: None,
            fail_fast: false,
            expected: ["conflict", "locked", "deadlock", "serialization"].map(str::to_owned).to_vec(),
        }
    }
}

impl CatalogConfig {
    /// Clients and seconds that the hand-made test took at most.
    pub const BOUNDS: (u32, u32) = (50, 300);

    /// Returns how many connections there are at most: the readers are twice the clients.
    pub fn connections(&self) -> u32 {
        self.pool.unwrap_or((self.clients * 2 + 5).min(50))
    }
}

/// `[target.sqlite]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqliteConfig {
    /// The file; absent: one in the directory of the run. Its tables are dropped at the beginning of every cycle.
    pub path: Option<PathBuf>,
    pub journal: JournalConfig,
}

/// How SQLite keeps what a transaction may have to take back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JournalConfig {
    Rollback,
    #[default]
    Wal,
}

/// `[target.postgres]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database`; its tables are dropped at the beginning of every cycle.
    pub url: SecretRef,
    #[serde(default)]
    pub isolation: IsolationConfig,
}

/// Isolation level of transactions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IsolationConfig {
    #[default]
    ReadCommitted,
    RepeatableRead,
    Serializable,
}
