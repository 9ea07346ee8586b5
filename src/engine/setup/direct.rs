//! What a run of a direct workload is made of: settings resolved to what its worker process is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use secrecy::ExposeSecret;

use super::Setup;
use crate::config::{
    BankConfig, CatalogConfig, Config, EngineConfig, IsolationConfig, JournalConfig, PostgresConfig, RatesConfig,
    SqliteConfig, TargetConfig, WorkloadConfig, flatten,
};
use crate::engine::direct::runner::steps;
use crate::engine::direct::spec::{DirectSpec, Workload, application};
use crate::model::lane::Lane;
use crate::model::record::ScaleRecord;
use crate::target::sql::{Backend, Engine, Isolation, Journal, Url};
use crate::workload::bank::{BankRates, BankSpec, BankWorkers};
use crate::workload::catalog::CatalogSpec;
use crate::workload::sync::{Plan, Shape};

/// Name of the SQLite file that a run makes for itself.
const FILE: &str = "direct.sqlite";
/// Name under which a run keeps where its database is.
const PLACE: &str = "target.postgres.place";

impl Setup {
    /// Returns the plan of a direct workload, of which the engine needs to know only how many steps there are.
    pub(super) fn direct_plan(&self, seed: u64) -> Plan {
        let steps = workload(&self.config).map_or(0, |workload| steps(&workload.blocks()));
        let (rows, iterations) = match &self.config.workload {
            WorkloadConfig::Sync(_) => (0, 0),
            WorkloadConfig::Bank(bank) => (bank.accounts, bank.seconds),
            WorkloadConfig::Catalog(catalog) => (catalog.datasets, catalog.seconds),
        };
        Plan { seed, shape: Shape::Direct { steps }, rows, iterations, databases: 1 }
    }

    /// Returns the size of the run, for reports.
    pub(super) fn direct_scale(&self, plan: &Plan) -> ScaleRecord {
        let (engine, workers) = match &self.config.workload {
            WorkloadConfig::Bank(bank) => (bank.engine, Lane::BANK.map(|role| bank.workers_of(role)).iter().sum()),
            WorkloadConfig::Catalog(catalog) => (catalog.engine, catalog.clients),
            WorkloadConfig::Sync(_) => (EngineConfig::Threads, 0),
        };
        let engine = match engine {
            EngineConfig::Threads => "threads",
            EngineConfig::Async => "async",
        };
        ScaleRecord {
            scale: self.config.workload.word().into(),
            mode: engine.into(),
            provider: backend(&self.config, Path::new(""), String::new()).name(),
            target: self.config.target.word().into(),
            rls: false,
            rows: plan.rows,
            iterations: plan.iterations,
            databases: 1,
            users: workers,
            cycles_planned: self.config.run.cycles,
            duration_planned_ms: self.config.run.duration.map(|d| d.get().as_millis() as u64),
            steps_per_cycle: plan.steps_per_cycle(1),
        }
    }

    /// Returns every setting that makes a run what it is, with the database that the address of a direct workload leads to:
    /// the same reference may lead to another one later.
    pub fn identity(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let mut flat = flatten(&self.config);
        if let TargetConfig::Postgres(postgres) = &self.config.target {
            flat.insert(PLACE.into(), url(postgres)?.place());
        }
        Ok(flat)
    }

    /// Returns what the worker of a direct workload is told; `None` for the sync workload.
    pub fn direct(&self, run: &str, dir: &Path, seed: u64) -> anyhow::Result<Option<DirectSpec>> {
        let Some(mut spec) = direct_spec(&self.config, dir, seed)? else { return Ok(None) };
        spec.application = format!("soakd {}", &run[run.len().saturating_sub(12)..]);
        spec.plants.clone_from(&self.plants);
        Ok(Some(spec))
    }

    /// Returns the SQLite files of a direct workload.
    pub fn direct_files(&self, dir: &Path) -> Vec<PathBuf> {
        match backend(&self.config, dir, String::new()) {
            Backend::Sqlite { path, .. } => vec![path],
            Backend::Postgres { .. } => Vec::new(),
        }
    }
}

/// Returns what a runner of the configured direct workload needs; `None` for the sync workload.
pub fn direct_spec(config: &Config, dir: &Path, seed: u64) -> anyhow::Result<Option<DirectSpec>> {
    let Some(workload) = workload(config) else { return Ok(None) };
    let url = match &config.target {
        TargetConfig::Postgres(postgres) => url(postgres)?.0,
        _ => String::new(),
    };
    let (engine, pool, fail_fast, expected) = match &config.workload {
        WorkloadConfig::Catalog(c) => (c.engine, c.connections(), c.fail_fast, c.expected.clone()),
        WorkloadConfig::Bank(b) => (b.engine, b.connections(), b.fail_fast, b.expected.clone()),
        WorkloadConfig::Sync(_) => return Ok(None),
    };
    let engine = match engine {
        EngineConfig::Threads => Engine::Threads,
        EngineConfig::Async => Engine::Async,
    };
    Ok(Some(DirectSpec {
        workload,
        backend: backend(config, dir, url),
        engine,
        pool,
        seed,
        limit_ms: config.timeouts.request.get().as_millis() as u64,
        patience_ms: config.retry.give_up.get().as_millis() as u64,
        expected,
        fail_fast,
        dir: dir.join("journal"),
        application: application(&dir.join("journal")),
        plants: Vec::new(),
    }))
}

fn url(postgres: &PostgresConfig) -> anyhow::Result<Url> {
    Ok(Url(postgres.url.resolve().context("target.postgres.url")?.expose_secret().to_owned()))
}

fn workload(config: &Config) -> Option<Workload> {
    match &config.workload {
        WorkloadConfig::Sync(_) => None,
        WorkloadConfig::Bank(bank) => Some(Workload::Bank(bank_spec(bank))),
        WorkloadConfig::Catalog(catalog) => Some(Workload::Catalog(catalog_spec(catalog))),
    }
}

fn backend(config: &Config, dir: &Path, url: String) -> Backend {
    match &config.target {
        TargetConfig::Postgres(postgres) => Backend::Postgres {
            url: Url(url),
            isolation: match postgres.isolation {
                IsolationConfig::ReadCommitted => Isolation::ReadCommitted,
                IsolationConfig::RepeatableRead => Isolation::RepeatableRead,
                IsolationConfig::Serializable => Isolation::Serializable,
            },
        },
        other => {
            let sqlite = match other {
                TargetConfig::Sqlite(sqlite) => sqlite.clone(),
                _ => SqliteConfig::default(),
            };
            Backend::Sqlite {
                path: sqlite.path.unwrap_or_else(|| dir.join(FILE)),
                journal: match sqlite.journal {
                    JournalConfig::Rollback => Journal::Rollback,
                    JournalConfig::Wal => Journal::Wal,
                },
                busy_ms: config.timeouts.busy.get().as_millis() as u64,
                foreign_keys: !matches!(&config.workload, WorkloadConfig::Bank(bank) if !bank.foreign_keys),
            }
        }
    }
}

fn bank_spec(bank: &BankConfig) -> BankSpec {
    let RatesConfig { inserter, transferrer, reader, checker, deleter } = bank.rate;
    let rate = |rate: Option<f64>| rate.unwrap_or(0.0);
    BankSpec {
        seconds: bank.seconds,
        workers: BankWorkers {
            inserter: bank.workers_of(Lane::Inserter),
            transferrer: bank.workers_of(Lane::Transferrer),
            reader: bank.workers_of(Lane::Reader),
            checker: bank.workers_of(Lane::Checker),
            deleter: bank.workers_of(Lane::Deleter),
        },
        rates: BankRates {
            inserter: rate(inserter),
            transferrer: rate(transferrer),
            reader: rate(reader),
            checker: rate(checker),
            deleter: rate(deleter),
        },
        accounts: bank.accounts,
        batch: bank.batch,
        foreign_keys: bank.foreign_keys,
    }
}

fn catalog_spec(catalog: &CatalogConfig) -> CatalogSpec {
    CatalogSpec {
        clients: catalog.clients,
        seconds: catalog.seconds,
        datasets: catalog.datasets,
        attempts: catalog.attempts,
        cache_ttl_ms: catalog.cache_ttl.get().as_millis() as u64,
        staleness_ms: catalog.staleness.get().as_millis() as u64,
    }
}
