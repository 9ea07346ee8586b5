//! What a worker process is told of a direct workload, and the runner that it makes of it.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bank::Bank;
use super::catalog::{CacheMode, Catalog};
use super::course::{Block, Course};
use super::plan;
use super::runner::{Drive, Runner, RunnerError, RunnerSpec};
use crate::target::sql::{Backend, Engine, Plant, PoolSpec};
use crate::workload::bank::BankSpec;
use crate::workload::catalog::{CatalogSpec, digest};

/// Which workload drives the database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Workload {
    Bank(BankSpec),
    Catalog(CatalogSpec),
}

/// Everything that a runner of a direct workload needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectSpec {
    pub workload: Workload,
    pub backend: Backend,
    pub engine: Engine,
    /// Connections at most.
    pub pool: u32,
    pub seed: u64,
    /// Longest time of one operation.
    pub limit_ms: u64,
    /// How long the database may be away before that is an error.
    pub patience_ms: u64,
    pub expected: Vec<String>,
    pub fail_fast: bool,
    /// Directory of the journal.
    pub dir: PathBuf,
    /// Name under which a server lists the connections.
    pub application: String,
    /// Bugs that are planted between the workload and the database, for tests.
    #[serde(default)]
    pub plants: Vec<String>,
}

/// A name of a planted bug that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("there is no planted bug \"{0}\" for this workload; there are: {1}")]
pub struct NoPlant(String, String);

/// The bugs that can be planted, with the workload that they are for and what they do.
pub const PLANTS: &[(&str, &str, &str)] = &[
    ("lost-update", "bank", "takes one credit of a transfer back behind the client's back"),
    ("double-credit", "bank", "credits one transfer twice"),
    ("phantom-read", "bank", "shows a row twice in pages"),
    ("lost-batch-half", "bank", "keeps only half of one batch"),
    ("leaked-connection", "catalog", "never gives a connection back"),
    ("lost-update", "catalog", "takes a few writes back behind the client's back"),
    ("stale-cache", "catalog", "forgets to invalidate the cache"),
];

impl Workload {
    /// Returns the word that it is configured under.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Bank(_) => "bank",
            Self::Catalog(_) => "catalog",
        }
    }

    /// Returns what a cycle does, block after block.
    pub fn blocks(&self) -> Vec<Block> {
        match self {
            Self::Bank(spec) => plan::bank(spec),
            Self::Catalog(spec) => plan::catalog(spec),
        }
    }
}

/// What a running load shares with whoever started it.
#[derive(Debug, Clone, Default)]
pub struct Handles {
    /// Asks the load to stop after the operations in work.
    pub stop: Arc<AtomicBool>,
    /// Operations done since the start.
    pub operations: Arc<AtomicU64>,
}

impl DirectSpec {
    /// Makes the runner; nothing is connected yet.
    pub fn open(self, handles: Handles) -> anyhow::Result<Box<dyn Drive>> {
        let word = self.workload.word();
        let mut plants = Vec::new();
        let mut mode = CacheMode::Correct;
        for name in &self.plants {
            match (word, name.as_str()) {
                ("catalog", "stale-cache") => mode = CacheMode::NoInvalidation,
                _ => plants.push(plant(word, name).ok_or_else(|| NoPlant(name.clone(), names(word)))?),
            }
        }
        let dialect = self.backend.dialect();
        let spec = RunnerSpec {
            pool: PoolSpec {
                backend: self.backend,
                engine: self.engine,
                size: self.pool,
                limit: Duration::from_millis(self.limit_ms),
                application: self.application,
                plants,
            },
            seed: self.seed,
            expected: self.expected,
            fail_fast: self.fail_fast,
            patience: Duration::from_millis(self.patience_ms),
            dir: self.dir,
            workload: word.into(),
        };
        Ok(match self.workload {
            Workload::Bank(bank) => driven(Bank::new(bank, self.seed, dialect), spec, handles)?,
            Workload::Catalog(catalog) => driven(Catalog::new(catalog, self.seed, dialect, mode), spec, handles)?,
        })
    }
}

/// Returns the name under which a server lists the connections of the run with this journal: no other run has it, and the next
/// life of the same run has it again, so that it can wait for what the last one left.
pub fn application(journal: &Path) -> String {
    let journal = std::path::absolute(journal).unwrap_or_else(|_| journal.to_owned());
    format!("soakd {}", digest(&[journal.as_os_str().as_bytes()]))
}

fn driven<C: Course>(course: C, spec: RunnerSpec, handles: Handles) -> Result<Box<dyn Drive>, RunnerError> {
    let mut runner = Runner::new(course, spec)?;
    (runner.stop, runner.operations) = (handles.stop, handles.operations);
    Ok(Box::new(runner))
}

/// Returns what is wrong with the name of a planted bug, if anything is.
pub fn plant_problem(workload: &str, name: &str) -> Option<String> {
    let known = PLANTS.iter().any(|(plant, of, _)| *plant == name && *of == workload);
    (!known).then(|| NoPlant(name.to_owned(), names(workload)).to_string())
}

fn names(workload: &str) -> String {
    let of = PLANTS.iter().filter(|(_, of, _)| *of == workload);
    of.map(|(name, _, what)| format!("{name} ({what})")).collect::<Vec<_>>().join(", ")
}

/// Returns the plant of the proxy between workload and database.
fn plant(workload: &str, name: &str) -> Option<Plant> {
    let part = |part: &str| part.to_owned();
    Some(match (workload, name) {
        ("bank", "lost-update") => Plant::Undo { part: part("balance = balance + "), nth: 4, times: 1 },
        ("bank", "double-credit") => Plant::Twice { part: part("balance = balance + "), nth: 4, times: 1 },
        // All roles begin with a page; some of these are a reader's, and only readers look at whole pages.
        ("bank", "phantom-read") => Plant::Extra { part: part("LIMIT $1 OFFSET $2"), nth: 40, times: 100_000 },
        ("bank", "lost-batch-half") => Plant::Undo { part: part("INSERT INTO accounts"), nth: 211, times: 10 },
        ("catalog", "lost-update") => Plant::Undo { part: part("UPDATE datasets"), nth: 20, times: 8 },
        ("catalog", "leaked-connection") => Plant::LeakLease { nth: 50 },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_life_has_the_same_name_and_no_other_run_has_it() {
        let name = application(Path::new("/state/0/journal"));
        assert_eq!(name, application(Path::new("/state/0/./journal")));
        assert_ne!(name, application(Path::new("/state/1/journal")));
        // PostgreSQL cuts longer ones.
        assert!(name.starts_with("soakd ") && name.len() < 64, "{name}");
    }
}
