//! `soakd run bank` and `soakd run catalog`: a database driven directly, without any configuration file.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::config::{
    Argument, BankConfig, CatalogConfig, Config, EngineConfig, IsolationConfig, JournalConfig, Loaded, PostgresConfig,
    SecretRef, Span, SqliteConfig, TargetConfig, WorkloadConfig,
};
use crate::model::schema::TableSpec;
use crate::workload::catalog::limits;

/// Name of the variable that may hold the address of a PostgreSQL.
const URL_VARIABLE: &str = "SOAKD_DATABASE_URL";

/// A workload that drives a database itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Direct {
    /// Five roles on accounts and transfers: insert, transfer, read, check, delete.
    Bank,
    /// Five scenarios of optimistic locking on versioned datasets.
    Catalog,
}

/// Which database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum BackendArg {
    /// SQLite with a write-ahead log
    #[default]
    Sqlite,
    /// SQLite with a rollback journal
    SqliteRollback,
    Postgres,
}

/// How workers run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum EngineArg {
    /// A thread for each worker, with blocking calls
    #[default]
    Threads,
    /// Tasks of one thread
    Async,
}

/// What the isolation level of PostgreSQL's transactions is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum IsolationArg {
    #[default]
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// Options of a database that is driven directly.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of bank and catalog")]
pub struct DirectArgs {
    /// Length of the load of one cycle, up to 13000; of one scenario of the catalog, up to 300 [default: 10; catalog: 30]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=604_800))]
    pub seconds: Option<u32>,
    /// Workers of each role of the bank [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub workers: Option<u32>,
    /// Clients of the catalog, up to 50 [default: 10]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub clients: Option<u32>,
    /// The database
    #[arg(long, value_enum)]
    pub backend: Option<BackendArg>,
    /// How workers run
    #[arg(long, value_enum)]
    pub engine: Option<EngineArg>,
    /// Address of the PostgreSQL; one with a password better stands in the variable SOAKD_DATABASE_URL
    #[arg(long)]
    pub url: Option<String>,
    /// The SQLite file, in place of one in the state directory; its tables are dropped
    #[arg(long)]
    pub file: Option<PathBuf>,
    /// Connections at most [default: one for each worker of the bank, two for each client of the catalog, and 5; at most 50]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub pool: Option<u32>,
    /// Isolation level of PostgreSQL's transactions
    #[arg(long, value_enum)]
    pub isolation: Option<IsolationArg>,
    /// Let the bank's transfers outlive their accounts, to see that the orphans are found
    #[arg(long)]
    pub no_foreign_keys: bool,
    /// End at the first unexpected error, with a crash report
    #[arg(long)]
    pub fail_fast: bool,
    /// Take more than 50 clients and 300 seconds: up to 1000 and 604800 (catalog)
    #[arg(long)]
    pub unbounded: bool,
    /// Seed of every random choice
    #[arg(long)]
    pub seed: Option<u64>,
}

impl DirectArgs {
    /// Returns true if any of them was given.
    pub fn is_given(&self) -> bool {
        let numbers = [self.seconds, self.workers, self.clients, self.pool].iter().any(Option::is_some);
        let words = self.backend.is_some() || self.engine.is_some() || self.isolation.is_some();
        let places = self.url.is_some() || self.file.is_some() || self.seed.is_some();
        numbers || words || places || self.no_foreign_keys || self.fail_fast || self.unbounded
    }

    /// Returns what does not fit together, all of it.
    pub fn problems(&self, workload: Direct) -> Vec<String> {
        let mut problems = Vec::new();
        let postgres = self.backend == Some(BackendArg::Postgres);
        let mut only = |given: bool, name: &str, of: &str| {
            if given {
                problems.push(format!("{name} is an option of {of}"));
            }
        };
        match workload {
            Direct::Bank => {
                only(self.clients.is_some(), "--clients", "catalog; the bank has --workers");
                only(self.unbounded, "--unbounded", "catalog");
            }
            Direct::Catalog => {
                only(self.workers.is_some(), "--workers", "bank; the catalog has --clients");
                only(self.no_foreign_keys, "--no-foreign-keys", "bank");
            }
        }
        only(self.url.is_some() && !postgres, "--url", "--backend postgres");
        only(self.isolation.is_some() && !postgres, "--isolation", "--backend postgres");
        only(self.file.is_some() && postgres, "--file", "SQLite");
        if postgres && self.url.is_none() && std::env::var_os(URL_VARIABLE).is_none() {
            problems.push(format!(
                "--backend postgres needs an address: --url postgres://user@host:port/database, or the variable {URL_VARIABLE}"
            ));
        }
        problems
    }

    /// Returns the workload's settings; the error says everything that is wrong with the environment.
    fn workload(&self, workload: Direct) -> Result<WorkloadConfig, Vec<String>> {
        let engine = match self.engine.unwrap_or_default() {
            EngineArg::Threads => EngineConfig::Threads,
            EngineArg::Async => EngineConfig::Async,
        };
        match workload {
            Direct::Bank => {
                let mut bank =
                    BankConfig { engine, pool: self.pool, fail_fast: self.fail_fast, ..BankConfig::default() };
                bank.seconds = self.seconds.unwrap_or(bank.seconds);
                bank.workers = self.workers.unwrap_or(bank.workers);
                bank.foreign_keys = !self.no_foreign_keys;
                let wrong = bank.too_long().map(|(what, instead)| vec![format!("--seconds: {what}; choose {instead}")]);
                wrong.map_or(Ok(WorkloadConfig::Bank(bank)), Err)
            }
            Direct::Catalog => {
                let environment = limits::from_env(|name| std::env::var(name).ok())?;
                let fail_fast = self.fail_fast;
                let mut config = CatalogConfig { engine, pool: self.pool, fail_fast, ..CatalogConfig::default() };
                config.clients = self.clients.or(environment.clients).unwrap_or(config.clients);
                config.seconds = self.seconds.or(environment.seconds).unwrap_or(config.seconds);
                config.unbounded = self.unbounded;
                let problems = limits::limits(config.clients, config.seconds, config.unbounded);
                if problems.is_empty() { Ok(WorkloadConfig::Catalog(config)) } else { Err(problems) }
            }
        }
    }

    /// Returns the database; an address that was given as an argument is written down nowhere.
    fn target(&self) -> anyhow::Result<TargetConfig> {
        let journal = match self.backend.unwrap_or_default() {
            BackendArg::Sqlite => JournalConfig::Wal,
            BackendArg::SqliteRollback => JournalConfig::Rollback,
            BackendArg::Postgres => {
                let isolation = match self.isolation.unwrap_or_default() {
                    IsolationArg::ReadCommitted => IsolationConfig::ReadCommitted,
                    IsolationArg::RepeatableRead => IsolationConfig::RepeatableRead,
                    IsolationArg::Serializable => IsolationConfig::Serializable,
                };
                let url = match &self.url {
                    Some(url) => SecretRef::Argument(Argument::new("--url", url)),
                    None => SecretRef::Env(URL_VARIABLE.into()),
                };
                return Ok(TargetConfig::Postgres(PostgresConfig { url, isolation }));
            }
        };
        let path = self.file.as_ref().map(std::path::absolute).transpose().context("--file")?;
        Ok(TargetConfig::Sqlite(SqliteConfig { path, journal }))
    }

    /// Returns a whole configuration of one cycle.
    pub fn loaded(&self, workload: Direct, state_dir: Option<&Path>) -> anyhow::Result<Result<Loaded, Vec<String>>> {
        let problems = self.problems(workload);
        let settings = self.workload(workload);
        let settings = match (settings, problems.is_empty()) {
            (Ok(settings), true) => settings,
            (settings, _) => {
                return Ok(Err(problems.into_iter().chain(settings.err().into_iter().flatten()).collect()));
            }
        };
        let name = settings.word();
        let mut config = Config::default();
        config.run.name = name.into();
        config.run.state_dir = state_dir.map_or_else(|| Path::new("soakd-state").join(name), Path::to_path_buf);
        config.run.cycles = Some(1);
        config.run.pause = Span::from_secs(0);
        config.run.seed = self.seed;
        config.target = self.target()?;
        config.workload = settings;
        config.log.level = "warn".into();
        Ok(Ok(Loaded::new(config, TableSpec::seed(), &format!("soakd run {name}"))))
    }
}

/// Returns why nothing is to be run although the command asks for it, if the environment says so.
pub(super) fn switched_off(workload: Option<Direct>) -> Option<String> {
    let environment = limits::from_env(|name| std::env::var(name).ok()).ok()?;
    (workload == Some(Direct::Catalog) && environment.off).then(|| {
        let name = limits::RUN;
        format!("Nothing was run, because {name} turns the catalog off here: set it to 1 or unset it to run.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_together_is_said_at_once() {
        let args = DirectArgs {
            clients: Some(3),
            url: Some("postgres://x".into()),
            isolation: Some(IsolationArg::Serializable),
            unbounded: true,
            ..DirectArgs::default()
        };
        assert_eq!(args.problems(Direct::Bank).len(), 4);
        let args = DirectArgs { workers: Some(3), no_foreign_keys: true, ..DirectArgs::default() };
        assert_eq!(args.problems(Direct::Catalog).len(), 2);
        assert!(DirectArgs::default().problems(Direct::Bank).is_empty());
    }

    #[test]
    fn arguments_become_settings() {
        let args = DirectArgs {
            seconds: Some(7),
            workers: Some(10),
            backend: Some(BackendArg::SqliteRollback),
            engine: Some(EngineArg::Async),
            no_foreign_keys: true,
            ..DirectArgs::default()
        };
        let config = args.loaded(Direct::Bank, None).unwrap().unwrap().config;
        let WorkloadConfig::Bank(bank) = &config.workload else { panic!("another workload") };
        assert_eq!((bank.seconds, bank.workers, bank.connections()), (7, 10, 50));
        assert!(!bank.foreign_keys && bank.engine == EngineConfig::Async);
        let sqlite = SqliteConfig { path: None, journal: JournalConfig::Rollback };
        assert_eq!(config.target, TargetConfig::Sqlite(sqlite));
        assert_eq!(config.run.cycles, Some(1));
    }

    #[test]
    fn an_address_is_written_down_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let args = DirectArgs {
            backend: Some(BackendArg::Postgres),
            url: Some("postgres://me:secret@127.0.0.1/x".into()),
            ..DirectArgs::default()
        };
        let loaded = args.loaded(Direct::Catalog, Some(&dir.path().join("state"))).unwrap().unwrap();
        assert!(!format!("{:?}", loaded.config).contains("secret@"));
        let written = crate::config::flat::everything(&loaded.config);
        assert_eq!(written.get("target.postgres.url.argument").map(String::as_str), Some("--url"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn bounds_are_those_of_the_help() {
        let refused = |args: DirectArgs, workload| args.workload(workload).is_err();
        let of = |clients, seconds, unbounded| {
            let (clients, seconds) = (Some(clients), Some(seconds));
            DirectArgs { clients, seconds, unbounded, ..DirectArgs::default() }
        };
        for (clients, seconds, unbounded, wrong) in [
            (50, 300, false, false),
            (60, 30, false, true),
            (60, 30, true, false),
            (1_000, 604_800, true, false),
            (0, 30, true, true),
        ] {
            assert_eq!(refused(of(clients, seconds, unbounded), Direct::Catalog), wrong, "{clients} {seconds}");
        }
        let bank = |seconds| DirectArgs { seconds: Some(seconds), ..DirectArgs::default() }.workload(Direct::Bank);
        assert!(bank(13_000).is_ok());
        let said = bank(13_001).unwrap_err().remove(0);
        assert!(said.starts_with("--seconds: ") && said.contains("more cycles"), "{said}");
    }
}
