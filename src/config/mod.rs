//! Settings: what a configuration file says, checked as a whole before anything starts.
//!
//! One small file per section. Nothing here opens a socket or a database; `soakd check` does that with what is read here.

pub mod criteria;
pub mod cron;
pub mod daemon;
pub mod direct;
mod effective;
pub mod flat;
pub mod installed;
pub mod keys;
pub mod load;
pub mod notify;
pub mod observe;
pub mod problem;
pub mod quiet;
pub mod reload;
mod rules;
pub mod run;
pub mod schedule;
pub mod secret;
pub mod sync;
pub mod table;
pub mod target;
pub mod units;
pub mod until;
mod value;
pub mod version;
mod walk;
pub mod zone;

use serde::{Deserialize, Serialize};

pub use criteria::CriteriaConfig;
pub use daemon::{ApiConfig, LimitsConfig, RetentionConfig};
pub use direct::{
    BankConfig, CatalogConfig, EngineConfig, IsolationConfig, JournalConfig, PostgresConfig, RatesConfig, SqliteConfig,
};
pub use flat::{differing, flatten};
pub use load::Loaded;
pub use notify::{MailConfig, MailSecurity, NotifyConfig, PingConfig, WebhookConfig, WebhookKind};
pub use observe::ObserveConfig;
pub use problem::{ConfigErrors, Problem};
pub use reload::{UnderWay, reload_refusals};
pub use run::RunConfig;
pub use schedule::{Missed, Overlap, ScheduleConfig, Schedules};
pub use secret::{Argument, SecretError, SecretRef};
pub use sync::{Mode, Pace, Scale, SyncConfig, TableConfig};
pub use target::{ProviderConfig, ServiceConfig, StoreConfig, TargetConfig};
pub use units::{Bytes, Span};
pub use version::VersionConfig;

/// A whole configuration file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub run: RunConfig,
    #[serde(default)]
    pub workload: WorkloadConfig,
    #[serde(default)]
    pub target: TargetConfig,
    #[serde(default)]
    pub provider: ProviderConfig,
    #[serde(default)]
    pub timeouts: run::TimeoutConfig,
    #[serde(default)]
    pub retry: run::RetryConfig,
    #[serde(default)]
    pub verify: run::VerifyConfig,
    #[serde(default)]
    pub criteria: CriteriaConfig,
    #[serde(default)]
    pub observe: ObserveConfig,
    #[serde(default)]
    pub schedule: Schedules,
    #[serde(default)]
    pub notify: NotifyConfig,
    #[serde(default)]
    pub api: ApiConfig,
    #[serde(default)]
    pub limits: LimitsConfig,
    #[serde(default)]
    pub retention: RetentionConfig,
    #[serde(default)]
    pub log: run::LogConfig,
}

impl Config {
    /// Returns every reference to a secret, with its key.
    pub fn secrets(&self) -> Vec<(String, &SecretRef)> {
        let mut all: Vec<(String, &SecretRef)> = Vec::new();
        match &self.target {
            TargetConfig::Cloudsync(service) => {
                all.extend(service.api_key.iter().map(|s| ("target.cloudsync.api_key".to_owned(), s)))
            }
            TargetConfig::Embedded(embedded) => {
                if let StoreConfig::Postgres(url) = &embedded.store {
                    all.push(("target.embedded.store".to_owned(), url));
                }
            }
            TargetConfig::Postgres(postgres) => all.push(("target.postgres.url".to_owned(), &postgres.url)),
            TargetConfig::Sqlite(_) => {}
        }
        let notify = &self.notify;
        all.extend(notify.mail.iter().flat_map(|mail| &mail.password).map(|s| ("notify.mail.password".to_owned(), s)));
        for (name, webhook) in &notify.webhook {
            let key = |key| format!("notify.webhook.{name}.{key}");
            all.extend(webhook.secret_address.iter().map(|s| (key("secret_address"), s)));
            all.extend(webhook.token.iter().map(|s| (key("token"), s)));
        }
        let ping = notify.ping.iter().flat_map(|ping| &ping.secret_address);
        all.extend(ping.map(|s| ("notify.ping.secret_address".to_owned(), s)));
        all.extend(self.observe.target_postgres.iter().map(|s| ("observe.target_postgres".to_owned(), s)));
        all.extend(self.api.token.iter().map(|s| ("api.token".to_owned(), s)));
        all
    }
}

/// Which workload runs, as a table named after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WorkloadConfig {
    Sync(SyncConfig),
    Bank(BankConfig),
    Catalog(CatalogConfig),
}

impl WorkloadConfig {
    /// Returns the word that it is configured under.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Sync(_) => "sync",
            Self::Bank(_) => "bank",
            Self::Catalog(_) => "catalog",
        }
    }

    /// Returns the sync workload, if it is that.
    pub fn sync(&self) -> Option<&SyncConfig> {
        match self {
            Self::Sync(sync) => Some(sync),
            _ => None,
        }
    }

    /// Returns the sync workload for changes, if it is that.
    pub fn sync_mut(&mut self) -> Option<&mut SyncConfig> {
        match self {
            Self::Sync(sync) => Some(sync),
            _ => None,
        }
    }

    /// Returns true if the load ends at the first unexpected error.
    pub fn fail_fast(&self) -> bool {
        match self {
            Self::Sync(_) => false,
            Self::Bank(bank) => bank.fail_fast,
            Self::Catalog(catalog) => catalog.fail_fast,
        }
    }
}

impl Default for WorkloadConfig {
    fn default() -> Self {
        Self::Sync(SyncConfig::default())
    }
}
