//! `[target.…]` and `[provider.…]`: what is driven, and through what.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::direct::{PostgresConfig, SqliteConfig};
use super::secret::SecretRef;
use super::units::Span;

/// The system under test, as a table named after its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TargetConfig {
    /// soakd's own sync server, started and watched as a process.
    Embedded(EmbeddedConfig),
    /// A CloudSync service.
    Cloudsync(ServiceConfig),
    /// A SQLite file that workers drive themselves.
    Sqlite(SqliteConfig),
    /// A PostgreSQL database that workers drive themselves.
    Postgres(PostgresConfig),
}

impl TargetConfig {
    /// Returns true for a database that workers drive themselves, without any sync service.
    pub fn is_direct(&self) -> bool {
        matches!(self, Self::Sqlite(_) | Self::Postgres(_))
    }

    /// Returns the word that it is configured under.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Cloudsync(_) => "cloudsync",
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

impl Default for TargetConfig {
    fn default() -> Self {
        Self::Embedded(EmbeddedConfig::default())
    }
}

/// `[target.embedded]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddedConfig {
    pub store: StoreConfig,
    /// Life of the tokens that are issued for the users; they are renewed in time.
    pub token_life: Span,
    /// Fixed port on loopback; absent: a free one, kept for the whole run.
    pub port: Option<u16>,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self { store: StoreConfig::default(), token_life: default_token_life(), port: None }
    }
}

/// Where the embedded target keeps its rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StoreConfig {
    /// A SQLite file in the state directory.
    #[default]
    Sqlite,
    /// A PostgreSQL database: `postgres://user:password@host:port/db`.
    Postgres(SecretRef),
}

/// `[target.cloudsync]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// Address of the sync service.
    #[serde(default = "default_address")]
    pub address: String,
    /// Id of the managed database.
    pub database_id: String,
    /// API key: used as the credential when RLS is off, and to issue tokens and read the server's content.
    pub api_key: Option<SecretRef>,
    /// Host of the token and SQL gateway, for example `https://xyz.sqlite.cloud`; absent: the server's side is not exercised.
    pub gateway: Option<String>,
    /// Name of the database behind the gateway.
    pub database: Option<String>,
    /// Life of the tokens that are issued for the users.
    #[serde(default = "default_token_life")]
    pub token_life: Span,
}

fn default_address() -> String {
    "https://cloudsync.sqlite.ai".into()
}

fn default_token_life() -> Span {
    Span::from_secs(24 * 3600)
}

/// What puts the sync functions on a connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProviderConfig {
    /// soakd's own functions, for the embedded target.
    #[default]
    Native,
    /// A loadable extension.
    Extension(ExtensionConfig),
}

/// `[provider.extension]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtensionConfig {
    /// The shared library.
    pub path: PathBuf,
    #[serde(default = "default_entry_point")]
    pub entry_point: String,
    /// SHA-256 that the file must have.
    #[serde(default)]
    pub sha256: Option<String>,
    /// SQL statements by operation that differ from the profile's, for example `receive = "SELECT cloudsync_network_check_changes()"`.
    #[serde(default)]
    pub statements: std::collections::BTreeMap<String, String>,
}

fn default_entry_point() -> String {
    "sqlite3_cloudsync_init".into()
}
