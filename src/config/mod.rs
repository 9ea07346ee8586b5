//! Settings: what a configuration file says, checked as a whole before anything starts.
//!
//! One small file per section. Nothing here opens a socket or a database; `soakd check` does that with what is read here.

pub mod cron;
pub mod daemon;
mod effective;
pub mod flat;
pub mod installed;
pub mod keys;
pub mod load;
pub mod notify;
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
mod walk;
pub mod zone;

use serde::{Deserialize, Serialize};

pub use daemon::{ApiConfig, LimitsConfig, RetentionConfig};
pub use flat::{differing, flatten};
pub use load::Loaded;
pub use notify::{MailConfig, MailSecurity, NotifyConfig, PingConfig, WebhookConfig, WebhookKind};
pub use problem::{ConfigErrors, Problem};
pub use reload::{UnderWay, reload_refusals};
pub use run::RunConfig;
pub use schedule::{Missed, Overlap, ScheduleConfig, Schedules};
pub use secret::{SecretError, SecretRef};
pub use sync::{Mode, Pace, Scale, SyncConfig, TableConfig};
pub use target::{ProviderConfig, ServiceConfig, StoreConfig, TargetConfig};
pub use units::{Bytes, Span};

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

/// Which workload runs, as a table named after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WorkloadConfig {
    Sync(SyncConfig),
}

impl Default for WorkloadConfig {
    fn default() -> Self {
        Self::Sync(SyncConfig::default())
    }
}
