//! The course on real databases, driven by a loop that knows no clock: clean runs, and planted faults that must be found.

mod folding;
mod odd;
mod plants;
mod postgres;
mod resume;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::{CacheMode, Catalog, CatalogLedger};
use crate::engine::direct::course::{Course, Ground, Hand, Turn, Verified};
use crate::engine::direct::journal::Journal;
use crate::model::finding::Kind;
use crate::model::lane::{End, Lane};
use crate::model::verdict::{CheckResult, Verdict};
use crate::target::sql::{Backend, Engine, Journal as SqliteJournal, Plant, Pool, PoolSpec};
use crate::workload::catalog::CatalogSpec;

const LIMIT: Duration = Duration::from_secs(30);
const SEED: u64 = 7;

/// What a worker did in a round, and whether it is done.
type Round = (Lane, Box<dyn Hand>, bool, Vec<Turn>);

/// A course on its ground.
struct Rig {
    dir: tempfile::TempDir,
    engine: Engine,
    course: Arc<Catalog>,
    ground: Ground<CatalogLedger>,
}

fn spec() -> CatalogSpec {
    CatalogSpec { clients: 4, seconds: 1, datasets: 8, attempts: 8, cache_ttl_ms: 20, staleness_ms: 1_000 }
}

fn sqlite(dir: &std::path::Path, engine: Engine, journal: SqliteJournal, plants: Vec<Plant>) -> PoolSpec {
    let path: PathBuf = dir.join("catalog.db");
    let backend = Backend::Sqlite { path, journal, busy_ms: 20_000, foreign_keys: true };
    PoolSpec { backend, engine, size: 8, limit: LIMIT, application: "soakd catalog test".into(), plants }
}

impl Rig {
    async fn on(spec: CatalogSpec, mode: CacheMode, pool: impl FnOnce(&std::path::Path) -> PoolSpec) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pool = pool(dir.path());
        let rig = Self::again(dir, spec, mode, pool);
        rig.course.begin(&rig.ground).await.unwrap();
        rig
    }

    /// Returns the next life in a directory.
    fn again(dir: tempfile::TempDir, spec: CatalogSpec, mode: CacheMode, pool: PoolSpec) -> Self {
        let course = Arc::new(Catalog::new(spec, SEED, pool.backend.dialect(), mode));
        let journal = Journal::open(&dir.path().join("journal"), 1, course.ledger()).unwrap();
        let engine = pool.engine;
        let (pool, journal) = (Arc::new(Pool::new(pool)), Arc::new(journal));
        let ground = Ground { pool, journal, cycle: 1, seed: SEED, limit: LIMIT };
        Self { dir, engine, course, ground }
    }

    async fn wal(spec: CatalogSpec, mode: CacheMode, plants: Vec<Plant>) -> Self {
        Self::on(spec, mode, |dir| sqlite(dir, Engine::Async, SqliteJournal::Wal, plants)).await
    }

    /// Runs a block: every worker does so many turns in each round, or until it is done; a round ends before the next begins.
    async fn block(&self, block: usize, rounds: usize, turns: usize) -> Vec<(Lane, Turn)> {
        self.course.between(&self.ground, block, false).await.unwrap();
        let plan = self.course.blocks().swap_remove(block);
        let hand = |lane, worker| (lane, self.course.hand(&self.ground, lane, worker), false);
        let mut hands: Vec<_> = plan
            .lanes
            .iter()
            .flat_map(|plan| (1..=plan.workers).map(move |n| (plan.lane, n)))
            .map(|(l, n)| hand(l, n))
            .collect();
        let mut all = Vec::new();
        for _ in 0..rounds {
            let ends: Vec<_> = std::mem::take(&mut hands)
                .into_iter()
                .map(|(lane, hand, done)| self.run(lane, hand, done, turns))
                .collect();
            for end in ends {
                let (lane, hand, done, turned) = end.await.unwrap();
                hands.push((lane, hand, done));
                all.extend(turned.into_iter().map(|turn| (lane, turn)));
            }
        }
        drop(hands);
        self.course.between(&self.ground, block, true).await.unwrap();
        all
    }

    /// Lets a worker run, on a thread or as a task.
    fn run(&self, lane: Lane, mut hand: Box<dyn Hand>, mut done: bool, turns: usize) -> tokio::task::JoinHandle<Round> {
        let work = async move {
            let mut turned = Vec::new();
            while !done && turned.len() < turns {
                turned.push(hand.turn(Instant::now() + LIMIT).await);
                done = turned.last().is_some_and(|turn| turn.done);
            }
            (lane, hand, done, turned)
        };
        match self.engine {
            Engine::Async => tokio::spawn(work),
            Engine::Threads => tokio::task::spawn_blocking(move || Handle::current().block_on(work)),
        }
    }

    /// Runs all scenarios, and returns the errors that were not to be expected.
    async fn all(&self) -> Vec<String> {
        let mut turns = self.block(0, 2, 10).await;
        turns.extend(self.block(1, 1, 25).await);
        turns.extend(self.block(2, 1, 500).await);
        turns.extend(self.block(3, 4, 10).await);
        turns.extend(self.block(4, 1, 500).await);
        let unexpected = |turn: Turn| {
            turn.error
                .filter(|error| !matches!(error.kind, Kind::Conflict | Kind::Serialization))
                .map(|error| error.to_string())
        };
        turns.into_iter().filter_map(|(_, turn)| unexpected(turn)).collect()
    }

    async fn verified(&self) -> Verified {
        assert_eq!(self.course.settle(&self.ground).await.unwrap(), [""; 0]);
        self.course.verify(&self.ground).await.unwrap()
    }
}

fn check<'a>(verified: &'a Verified, name: &str) -> &'a CheckResult {
    verified.checks.iter().find(|check| check.check == name).unwrap()
}

/// Asserts that exactly these checks fail, and that the others pass.
fn fails(verified: &Verified, names: &[&str]) {
    for check in &verified.checks {
        let right = if names.contains(&check.check.as_str()) { Verdict::Fail } else { Verdict::Pass };
        assert_eq!(check.verdict, Some(right), "{check:#?}");
    }
}

async fn clean(engine: Engine, journal: SqliteJournal) {
    let rig = Rig::on(spec(), CacheMode::Correct, |dir| sqlite(dir, engine, journal, vec![])).await;
    assert_eq!(rig.all().await, [""; 0]);
    let verified = rig.verified().await;
    fails(&verified, &[]);
    assert_eq!((verified.rows, verified.content.len()), (8, 16));
    let lines = rig.course.lines(&rig.ground).join("\n");
    for line in ["Successful writes: ", "Conflicts detected: ", "Errors: 0", "Total reads: 200", "Reads/sec: "] {
        assert!(lines.contains(line), "{line} is missing:\n{lines}");
    }
    for line in ["Unique versions observed: ", "Attempts: ", "File descriptors: ", "Threads: "] {
        assert!(lines.contains(line), "{line} is missing:\n{lines}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_holds_on_sqlite_with_threads_and_the_rollback_journal() {
    clean(Engine::Threads, SqliteJournal::Rollback).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_holds_on_sqlite_with_threads_and_the_write_ahead_log() {
    clean(Engine::Threads, SqliteJournal::Wal).await;
}

#[tokio::test]
async fn all_holds_on_sqlite_with_tasks_and_the_rollback_journal() {
    clean(Engine::Async, SqliteJournal::Rollback).await;
}

#[tokio::test]
async fn all_holds_on_sqlite_with_tasks_and_the_write_ahead_log() {
    clean(Engine::Async, SqliteJournal::Wal).await;
}

#[tokio::test]
async fn one_client_is_enough() {
    let rig = Rig::wal(CatalogSpec { clients: 1, datasets: 1, ..spec() }, CacheMode::Correct, vec![]).await;
    assert_eq!(rig.all().await, [""; 0]);
    fails(&rig.verified().await, &[]);
}

#[tokio::test]
async fn nothing_done_proves_nothing() {
    let rig = Rig::wal(spec(), CacheMode::Correct, vec![]).await;
    let verified = rig.verified().await;
    assert!(verified.checks.iter().all(|check| check.verdict == Some(Verdict::Inconclusive)), "{:#?}", verified.checks);
}

#[tokio::test]
async fn a_cycle_begins_with_everything_as_it_was() {
    let rig = Rig::wal(spec(), CacheMode::Correct, vec![]).await;
    rig.block(0, 1, 5).await;
    rig.course.begin(&rig.ground).await.unwrap();
    let verified = rig.course.verify(&rig.ground).await.unwrap();
    // What was acknowledged is gone, and that is found.
    assert_eq!(check(&verified, "catalog.versions").verdict, Some(Verdict::Fail));
    assert_eq!(check(&verified, "catalog.lost_updates").verdict, Some(Verdict::Fail));
}

#[tokio::test]
async fn a_lane_of_another_workload_is_refused() {
    let rig = Rig::wal(spec(), CacheMode::Correct, vec![]).await;
    let turn = rig.course.hand(&rig.ground, Lane::Transferrer, 1).turn(Instant::now() + LIMIT).await;
    assert_eq!((turn.end, turn.done), (End::Refused, true));
}
