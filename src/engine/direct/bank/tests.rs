//! The bank on real databases: a tiny loop instead of the runner.

mod faults;
mod life;
mod odd;
mod postgres;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::engine::direct::journal::Journal;
use crate::model::verdict::{CheckResult, Verdict};
use crate::target::sql::{Backend, Engine, Isolation, Journal as JournalMode, Plant, Pool, PoolSpec, Url};
use crate::workload::bank::BankWorkers;

/// Everything that a cycle needs.
struct Rig {
    dir: tempfile::TempDir,
    bank: Bank,
    ground: Ground<BankLedger>,
}

/// What a rig is made of.
#[derive(Clone)]
struct Parts {
    backend: Option<Backend>,
    engine: Engine,
    foreign_keys: bool,
    plants: Vec<Plant>,
    workers: BankWorkers,
    accounts: u32,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            backend: None,
            engine: Engine::Threads,
            foreign_keys: true,
            plants: Vec::new(),
            workers: BankWorkers::each(2),
            accounts: 100,
        }
    }
}

const SEED: u64 = 42;

impl Parts {
    fn engine(engine: Engine) -> Self {
        Self { engine, ..Self::default() }
    }

    fn postgres(url: String, isolation: Isolation) -> Self {
        Self { backend: Some(Backend::Postgres { url: Url(url), isolation }), ..Self::engine(Engine::Async) }
    }

    fn rig(self) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let Self { backend, engine, foreign_keys, plants, workers, accounts } = self;
        let backend = backend.unwrap_or_else(|| Backend::Sqlite {
            path: dir.path().join("bank.db"),
            journal: JournalMode::Wal,
            busy_ms: 5_000,
            foreign_keys,
        });
        let dialect = backend.dialect();
        let limit = Duration::from_secs(30);
        let application = "soakd bank test".into();
        let pool = Pool::new(PoolSpec { backend, engine, size: 8, limit, application, plants });
        let bank = Bank::new(BankSpec { workers, accounts, foreign_keys, ..BankSpec::default() }, SEED, dialect);
        let journal = Journal::open(&dir.path().join("journal"), 3, bank.ledger()).unwrap();
        let ground = Ground { pool: Arc::new(pool), journal: Arc::new(journal), cycle: 3, seed: SEED, limit };
        Rig { dir, bank, ground }
    }
}

impl Rig {
    fn path(&self) -> PathBuf {
        self.dir.path().join("bank.db")
    }

    /// Begins a cycle and lets every worker do its operations; returns the names of all errors that nobody expects.
    async fn load(&self, turns: usize) -> Vec<String> {
        self.bank.begin(&self.ground).await.unwrap();
        self.more(turns).await
    }

    async fn more(&self, turns: usize) -> Vec<String> {
        let mut all = tokio::task::JoinSet::new();
        for mut hand in self.hands() {
            all.spawn(async move {
                let mut errors = Vec::new();
                for _ in 0..turns {
                    errors.extend(hand.turn(Instant::now() + Duration::from_secs(30)).await.error);
                }
                errors
            });
        }
        let expected = [
            Kind::MissingAccount,
            Kind::InsufficientFunds,
            Kind::Deadlock,
            Kind::Serialization,
            Kind::Busy,
            Kind::Locked,
        ];
        let errors = all.join_all().await.into_iter().flatten();
        errors.filter(|error| !expected.contains(&error.kind)).map(|error| error.to_string()).collect()
    }

    fn hands(&self) -> Vec<Box<dyn Hand>> {
        let plans = self.bank.blocks().remove(0).lanes.into_iter();
        plans
            .flat_map(|plan| (1..=plan.workers).map(move |worker| self.bank.hand(&self.ground, plan.lane, worker)))
            .collect()
    }

    /// Begins a cycle in which one worker after the other does one operation, the same in every run.
    async fn in_turn(&self, turns: usize) {
        self.bank.begin(&self.ground).await.unwrap();
        let mut hands = self.hands();
        for _ in 0..turns {
            for hand in &mut hands {
                hand.turn(Instant::now() + self.ground.limit).await;
            }
        }
    }

    /// Lets go of many operations in their middle; returns of how many nobody knows the end.
    async fn hurried(&self, turns: u64, longest_us: u64) -> usize {
        let mut all = tokio::task::JoinSet::new();
        for (at, mut hand) in self.hands().into_iter().enumerate() {
            all.spawn(async move {
                for turn in 0..turns {
                    let micros = 200 + (turn * 7_919 + at as u64 * 1_013) % longest_us;
                    // In between, one has the time to connect again.
                    hand.turn(Instant::now() + Duration::from_secs(30)).await;
                    let whole = hand.turn(Instant::now() + Duration::from_secs(30));
                    let _ = tokio::time::timeout(Duration::from_micros(micros), whole).await;
                }
            });
        }
        all.join_all().await;
        self.ground.journal.open_operations().0.len()
    }

    async fn verified(&self) -> Vec<CheckResult> {
        assert_eq!(self.bank.settle(&self.ground).await.unwrap(), Vec::<String>::new());
        let verified = self.bank.verify(&self.ground).await.unwrap();
        assert!(verified.rows > 0 && verified.content.len() == 16);
        verified.checks
    }

    /// What another process does to the tables.
    fn other(&self, script: &str) {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection.execute_batch(script).unwrap();
    }

    fn ask(&self, query: &str) -> i64 {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection.query_row(query, [], |row| row.get(0)).unwrap()
    }

    fn name(&self, id: i64) -> String {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection.query_row("SELECT name FROM accounts WHERE id = ?1", [id], |row| row.get(0)).unwrap()
    }
}

fn shown(checks: &[CheckResult]) -> String {
    let line =
        |check: &CheckResult| format!("{} {:?}: {} {:?}", check.check, check.verdict, check.summary, check.evidence);
    checks.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Says that all checks pass.
fn all_pass(checks: &[CheckResult]) {
    assert_eq!(checks.len(), 11);
    assert!(checks.iter().all(|check| check.verdict == Some(Verdict::Pass)), "{}", shown(checks));
}

/// Says that exactly these checks fail, and returns the evidence of the first.
fn only<'a>(checks: &'a [CheckResult], failed: &[&str]) -> &'a [String] {
    let bad: Vec<&str> =
        checks.iter().filter(|check| check.verdict != Some(Verdict::Pass)).map(|check| check.check.as_str()).collect();
    let mut wanted = failed.to_vec();
    wanted.sort_by_key(|name| checks.iter().position(|check| check.check == **name));
    assert_eq!(bad, wanted, "{}", shown(checks));
    let first = checks.iter().find(|check| check.check == failed[0]).unwrap();
    assert!(checks.iter().all(|check| check.verdict != Some(Verdict::Inconclusive)), "{}", shown(checks));
    &first.evidence
}
