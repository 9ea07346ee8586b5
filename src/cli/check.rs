//! `soakd check`: everything that can be known before a run starts. Writes nothing.
//!
//! Every check is a small function that returns one line; a check that could not be made says why it was skipped.

mod direct;
pub(super) mod local;
mod observe;
mod remote;
mod service;

use std::path::PathBuf;

use crate::cli::{EXIT_CONFIG, EXIT_FAIL, EXIT_OK};
use crate::config::{Config, Loaded, ProviderConfig, StoreConfig, TargetConfig, installed};

/// Say everything that is wrong with a configuration, and change nothing
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// The configuration file [default: soakd.toml, or /etc/soakd/soakd.toml if there is none here]
    #[arg(short, long, value_name = "FILE", env = "SOAKD_CONFIG", default_value_os_t = installed::default_config(), hide_default_value = true)]
    pub config: PathBuf,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ok,
    /// It holds, and something about it is worth a look.
    Warned,
    Failed,
    Skipped,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CheckLine {
    pub name: &'static str,
    pub outcome: Outcome,
    pub detail: String,
}

impl CheckLine {
    /// Returns a line about something that holds.
    pub fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Ok, detail: detail.into() }
    }

    /// Returns a line about something that holds and is worth a look.
    pub fn warned(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Warned, detail: detail.into() }
    }

    /// Returns a line about something that does not hold.
    pub fn failed(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Failed, detail: detail.into() }
    }

    /// Returns a line about something that was not looked at.
    pub fn skipped(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Skipped, detail: detail.into() }
    }
}

impl std::fmt::Display for CheckLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Warned => "warning",
            Outcome::Failed => "FAILED",
            Outcome::Skipped => "skipped",
        };
        write!(f, "{word:<8} {:<16} {}", self.name, self.detail)
    }
}

/// Runs the command and returns its exit code.
pub fn run(args: CheckArgs) -> anyhow::Result<u8> {
    let loaded = match Config::load(&args.config) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(EXIT_CONFIG);
        }
    };
    // An error means that a provider is installed already, which is all that is needed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let lines = runtime.block_on(examine(&loaded));
    lines.iter().for_each(|line| println!("{line}"));
    let failed = lines.iter().filter(|line| line.outcome == Outcome::Failed).count();
    match failed {
        0 => println!("{}: ready", loaded.origin),
        1 => println!("{}: 1 check failed", loaded.origin),
        more => println!("{}: {more} checks failed", loaded.origin),
    }
    Ok(if failed == 0 { EXIT_OK } else { EXIT_FAIL })
}

/// Makes every check that concerns a configuration.
pub async fn examine(loaded: &Loaded) -> Vec<CheckLine> {
    let config = &loaded.config;
    let mut lines = vec![
        CheckLine::ok("configuration", format!("{} holds together", loaded.origin)),
        local::state_dir(&config.run.state_dir),
        local::disk_space(config),
    ];
    if config.workload.sync().is_some() {
        lines.insert(1, local::table(&loaded.table));
    }
    lines.extend(local::notifications(config));
    lines.extend(config.api.token.iter().map(|token| local::secret("api token", token)));
    lines.extend(examine_target(loaded).await);
    lines
}

/// Makes every check of what is driven: addresses, secrets, the extension, tokens, the table.
pub(super) async fn examine_target(loaded: &Loaded) -> Vec<CheckLine> {
    let config = &loaded.config;
    let mut lines = Vec::new();
    match &config.target {
        TargetConfig::Embedded(embedded) => {
            if let Some(port) = embedded.port {
                lines.push(local::port(port));
            }
            if let StoreConfig::Postgres(reference) = &embedded.store {
                lines.push(local::secret("postgres url", reference));
                lines.push(remote::postgres(reference, config.timeouts.connect.get()).await);
            }
        }
        TargetConfig::Sqlite(_) | TargetConfig::Postgres(_) => lines.extend(direct::examine(config).await),
        TargetConfig::Cloudsync(service) => {
            let limit = config.timeouts.connect.get();
            lines.push(remote::reachable("address", &service.address, limit).await);
            match &service.api_key {
                Some(reference) => lines.push(local::secret("api key", reference)),
                None => lines.push(CheckLine::skipped("api key", "none is configured")),
            }
            match &service.gateway {
                Some(gateway) => lines.push(remote::reachable("gateway", gateway, limit).await),
                None => {
                    lines.push(CheckLine::skipped("gateway", "none is configured: the server's side is not compared"))
                }
            }
            lines.extend(observe::examine(&config.observe).await);
            if let ProviderConfig::Extension(extension) = &config.provider {
                lines.push(local::extension_file(extension));
                lines.extend(service::examine(loaded, service, extension).await);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests;
