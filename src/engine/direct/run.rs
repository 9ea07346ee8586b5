//! The bank and the catalog from Rust: one cycle against a database, without the daemon, with a result that a test can assert on.
//!
//! ```
//! use soakd::direct::{Lane, Run, Verdict};
//!
//! let dir = std::env::temp_dir().join(format!("soakd-example-{}", std::process::id()));
//! let result = Run::bank().seconds(1).workers(2).sqlite(dir.join("bank.sqlite")).seed(7).journal(&dir).go()?;
//! assert_eq!(result.verdict(), Verdict::Pass, "{result}");
//! assert_eq!(result.unexpected(), 0);
//! assert!(result.lane(Lane::Transferrer).acknowledged > 0);
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::crash::Crash;
use super::runner::Loaded;
use super::spec::{DirectSpec, Handles, Workload, application};
use crate::config::BankConfig;
pub use crate::model::lane::{Lane, LaneFigures};
use crate::model::step::{Action, StepReport};
pub use crate::model::verdict::{CheckResult, Verdict};
use crate::stats::latency::Latencies;
pub use crate::target::sql::{Backend, Engine, Isolation, Journal, Url};
use crate::workload::bank::{BankSpec, BankWorkers};
use crate::workload::catalog::CatalogSpec;

/// Longest time of one operation, where nothing else is said.
const LIMIT: Duration = Duration::from_secs(30);
/// How long the database may be away before that is an error.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a statement waits for SQLite's lock.
const BUSY: Duration = Duration::from_secs(5);

/// What is to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    spec: DirectSpec,
    pool: Option<u32>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct RunResult {
    pub workload: &'static str,
    pub backend: String,
    /// `SQLite 3.50.2`.
    pub version: String,
    pub seed: u64,
    pub elapsed: Duration,
    /// What was checked at the end, each with its evidence.
    pub checks: Vec<CheckResult>,
    /// What could not be settled: nothing is proven of it.
    pub unsettled: Vec<String>,
    pub lanes: BTreeMap<Lane, LaneFigures>,
    pub latency: BTreeMap<Lane, Latencies>,
    /// Errors that nobody expects and that were not healed, each as a sentence; bounded.
    pub errors: Vec<String>,
    /// What people know of such a run, such as `Successful writes: 812`.
    pub lines: Vec<String>,
    /// How it ended, if it ended at its first unexpected error.
    pub crash: Option<Crash>,
}

/// Errors that a result keeps.
const ERRORS_MAX: usize = 100;

impl Run {
    /// Returns a run of the bank: 10 seconds, three workers for each role, SQLite in a temporary directory.
    pub fn bank() -> Self {
        let expected = ["locked", "deadlock", "serialization", "insufficient_funds", "missing_account"];
        Self::new(Workload::Bank(BankSpec::default()), &expected)
    }

    /// Returns a run of the catalog: ten clients, 30 seconds, SQLite in a temporary directory.
    pub fn catalog() -> Self {
        Self::new(Workload::Catalog(CatalogSpec::default()), &["conflict", "locked", "deadlock", "serialization"])
    }

    fn new(workload: Workload, expected: &[&str]) -> Self {
        let dir = std::env::temp_dir().join(format!("soakd-{}", uuid::Uuid::now_v7()));
        let path = dir.join("direct.sqlite");
        let busy_ms = BUSY.as_millis() as u64;
        let spec = DirectSpec {
            workload,
            backend: Backend::Sqlite { path, journal: Journal::Wal, busy_ms, foreign_keys: true },
            engine: Engine::Threads,
            pool: 0,
            seed: 1,
            limit_ms: LIMIT.as_millis() as u64,
            patience_ms: PATIENCE.as_millis() as u64,
            expected: expected.iter().map(|name| (*name).to_owned()).collect(),
            fail_fast: false,
            dir,
            application: String::new(),
            plants: Vec::new(),
        };
        Self { spec, pool: None }
    }

    /// Sets the length of the load, up to 13,000 seconds, or of one scenario of the catalog.
    pub fn seconds(mut self, seconds: u32) -> Self {
        match &mut self.spec.workload {
            Workload::Bank(bank) => bank.seconds = seconds,
            Workload::Catalog(catalog) => catalog.seconds = seconds,
        }
        self
    }

    /// Sets the workers of each role, or the clients of the catalog.
    pub fn workers(mut self, workers: u32) -> Self {
        match &mut self.spec.workload {
            Workload::Bank(bank) => bank.workers = BankWorkers::each(workers),
            Workload::Catalog(catalog) => catalog.clients = workers,
        }
        self
    }

    /// Changes any other setting of the bank; nothing for the catalog.
    pub fn with_bank(mut self, change: impl FnOnce(&mut BankSpec)) -> Self {
        if let Workload::Bank(bank) = &mut self.spec.workload {
            change(bank);
        }
        self
    }

    /// Changes any other setting of the catalog; nothing for the bank.
    pub fn with_catalog(mut self, change: impl FnOnce(&mut CatalogSpec)) -> Self {
        if let Workload::Catalog(catalog) = &mut self.spec.workload {
            change(catalog);
        }
        self
    }

    /// Uses a SQLite file with a write-ahead log; its tables of the workload are dropped.
    pub fn sqlite(mut self, path: impl Into<PathBuf>) -> Self {
        let busy_ms = BUSY.as_millis() as u64;
        self.spec.backend = Backend::Sqlite { path: path.into(), journal: Journal::Wal, busy_ms, foreign_keys: true };
        self
    }

    /// Uses a PostgreSQL database; its tables of the workload are dropped.
    pub fn postgres(mut self, url: impl Into<String>) -> Self {
        self.spec.backend = Backend::Postgres { url: Url(url.into()), isolation: Isolation::default() };
        self
    }

    /// Uses any other database.
    pub fn backend(mut self, backend: Backend) -> Self {
        self.spec.backend = backend;
        self
    }

    /// Sets how workers run.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.spec.engine = engine;
        self
    }

    /// Sets the seed of every random choice.
    pub fn seed(mut self, seed: u64) -> Self {
        self.spec.seed = seed;
        self
    }

    /// Sets how many connections there are at most.
    pub fn pool(mut self, connections: u32) -> Self {
        self.pool = Some(connections);
        self
    }

    /// Sets the longest time of one operation.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.spec.limit_ms = limit.as_millis() as u64;
        self
    }

    /// Sets which errors are in order, by kind (`locked`) or by code (`40P01`).
    pub fn expect(mut self, errors: &[&str]) -> Self {
        self.spec.expected = errors.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Ends the load at the first error that is not expected.
    pub fn fail_fast(mut self) -> Self {
        self.spec.fail_fast = true;
        self
    }

    /// Sets the directory of the journal; what an earlier run left there is gone on with.
    pub fn journal(mut self, dir: impl AsRef<Path>) -> Self {
        self.spec.dir = dir.as_ref().to_owned();
        self
    }

    /// Plants a bug between the workload and the database, to see that it is found.
    pub fn plant(mut self, name: &str) -> Self {
        self.spec.plants.push(name.to_owned());
        self
    }

    /// Runs one cycle and verifies it; an error says that it could not be run at all.
    pub fn go(mut self) -> anyhow::Result<RunResult> {
        let foreign = match &self.spec.workload {
            Workload::Bank(bank) => {
                let (seconds, most) = (bank.seconds, BankConfig::SECONDS_MAX);
                anyhow::ensure!(
                    seconds <= most,
                    "{seconds} seconds are too long for a load of the bank: choose 1 to {most}"
                );
                bank.foreign_keys
            }
            Workload::Catalog(_) => true,
        };
        if let Backend::Sqlite { foreign_keys, path, .. } = &mut self.spec.backend {
            *foreign_keys = foreign;
            if let Some(dir) = path.parent() {
                std::fs::create_dir_all(dir)?;
            }
        }
        let workers = match &self.spec.workload {
            Workload::Bank(bank) => bank.workers.total() + 5,
            Workload::Catalog(catalog) => catalog.clients * 2 + 5,
        };
        self.spec.pool = self.pool.unwrap_or(workers.min(50));
        self.spec.application = application(&self.spec.dir);
        run_spec(self.spec, Handles::default())
    }
}

/// The load was stopped before its end, so there is nothing to verify.
#[derive(Debug, thiserror::Error)]
#[error("the load was stopped before its end; nothing was verified")]
pub struct Stopped;

/// Runs one cycle and verifies it, as [`Run::go`] does; a load that is stopped before its end is an error.
pub fn run_spec(spec: DirectSpec, handles: Handles) -> anyhow::Result<RunResult> {
    let (workload, backend, seed) = (spec.workload.word(), spec.backend.name(), spec.seed);
    let started = Instant::now();
    let mut runner = spec.open(handles)?;
    let version = runner.version()?;
    let kept: Mutex<Kept> = Mutex::default();
    let tell = |report: StepReport| {
        if let Ok(mut kept) = kept.lock() {
            kept.take(report);
        }
    };
    let loaded = runner.load(1, &tell)?;
    if matches!(loaded, Loaded::Stopped) {
        runner.close();
        anyhow::bail!(Stopped);
    }
    let unsettled = runner.settle(1)?;
    let verified = runner.verify(1)?;
    let crash = match loaded {
        Loaded::Failed(crash) => Some(*crash),
        Loaded::Done | Loaded::Stopped => runner.crash_of(&verified.checks),
    };
    let lines = runner.lines();
    runner.close();
    let Kept { lanes, latency, errors } = kept.into_inner().unwrap_or_default();
    let (checks, elapsed) = (verified.checks, started.elapsed());
    Ok(RunResult { workload, backend, version, seed, elapsed, checks, unsettled, lanes, latency, errors, lines, crash })
}

/// What is kept of the steps.
#[derive(Default)]
struct Kept {
    lanes: BTreeMap<Lane, LaneFigures>,
    latency: BTreeMap<Lane, Latencies>,
    errors: Vec<String>,
}

impl Kept {
    fn take(&mut self, report: StepReport) {
        let (Action::Lane(lane), Some(figures)) = (report.step.action, &report.figures) else { return };
        self.lanes.entry(lane).or_default().add(figures);
        if let Some(more) = Latencies::unpack(&figures.latency) {
            self.latency.entry(lane).or_default().add(&more);
        }
        let lasting = report.findings.iter().filter(|finding| !finding.tolerated);
        let room = ERRORS_MAX.saturating_sub(self.errors.len());
        self.errors.extend(lasting.take(room).map(|finding| finding.message.clone()));
    }
}

impl RunResult {
    /// Returns the verdict: the worst of all checks, fail after any unexpected error, and never a pass of what is not settled.
    pub fn verdict(&self) -> Verdict {
        let checks = self.checks.iter().filter_map(|check| check.verdict);
        let errors = (!self.errors.is_empty() || self.crash.is_some()).then_some(Verdict::Fail);
        let open = (!self.unsettled.is_empty()).then_some(Verdict::Inconclusive);
        Verdict::worst(checks.chain(errors).chain(open))
    }

    /// Returns what a role or scenario did; nothing if it did not run.
    pub fn lane(&self, lane: Lane) -> LaneFigures {
        self.lanes.get(&lane).cloned().unwrap_or_default()
    }

    /// Returns how many errors nobody expected, healed ones included.
    pub fn unexpected(&self) -> u64 {
        self.lanes.values().flat_map(|figures| figures.unexpected.values()).sum()
    }

    /// Returns the check of this name.
    pub fn check(&self, name: &str) -> Option<&CheckResult> {
        self.checks.iter().find(|check| check.check == name)
    }
}

impl fmt::Display for RunResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        writeln!(f, "{}: {} on {}, seed {}, {seconds:.1} s", self.verdict(), self.workload, self.backend, self.seed)?;
        for (lane, figures) in &self.lanes {
            let p99 = self.latency.get(lane).map_or(0, |latency| latency.quantile(0.99)) as f64 / 1000.0;
            let (done, rate) = (figures.acknowledged, figures.rate());
            writeln!(f, "  {lane:<20} {done:>9} operations {rate:>9.1}/s  p99 {p99:.2} ms")?;
        }
        for check in &self.checks {
            let verdict = check.verdict.map_or_else(|| "not exercised".to_owned(), |verdict| verdict.to_string());
            writeln!(f, "  {verdict}: {}: {}", check.check, check.summary)?;
            check
                .evidence
                .iter()
                .filter(|_| check.verdict == Some(Verdict::Fail))
                .try_for_each(|e| writeln!(f, "    {e}"))?;
        }
        self.errors.iter().take(5).try_for_each(|error| writeln!(f, "  error: {error}"))?;
        self.unsettled.iter().try_for_each(|open| writeln!(f, "  not settled: {open}"))
    }
}
