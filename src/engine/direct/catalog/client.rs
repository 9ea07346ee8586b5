//! A client of the catalog: one worker of one scenario, which holds every read against what it and the others know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::time::timeout_at;

use super::Shared;
use super::attempts::{self, Attempts};
use super::ledger::{Begin, Breach, CatalogLedger, Done, Met, Rule, left};
use super::sql;
use crate::checker::catalog::Row;
use crate::engine::direct::course::{CACHE_HIT, Ground, Hand, Op, Turn};
use crate::model::finding::Kind;
use crate::model::lane::{End, Lane};
use crate::target::sql::SqlError;
use crate::workload::catalog::{CLEANUP_OPERATIONS, dataset_name};
use crate::workload::sync::branch;

/// How much longer than a load one may wait for it.
const GRACE: Duration = Duration::from_millis(100);

/// One client.
pub(super) struct Client {
    pub(super) shared: Arc<Shared>,
    pub(super) ground: Ground<CatalogLedger>,
    lane: Lane,
    pub(super) worker: u32,
    pub(super) rng: ChaCha8Rng,
    /// The newest version of each dataset that it saw, and that it wrote.
    seen: BTreeMap<u32, i64>,
    wrote: BTreeMap<u32, i64>,
    /// Operations of the lane that it did before this life, and in it.
    done: u64,
    /// Its thread is known.
    noted: bool,
    pub(super) attempts: Attempts,
}

impl Client {
    pub(super) fn new(shared: Arc<Shared>, ground: Ground<CatalogLedger>, lane: Lane, worker: u32) -> Self {
        let done = ground.journal.last(lane, worker);
        let place = u32::from(lane.number()) << 16 | (worker & 0xffff);
        let rng = branch(ground.seed, ground.cycle, place, done as u32);
        let attempts = if lane == Lane::LockResolution { Attempts::of(&ground, worker) } else { Attempts::default() };
        let (seen, wrote) = (BTreeMap::new(), BTreeMap::new());
        Self { shared, ground, lane, worker, rng, seen, wrote, done, noted: false, attempts }
    }

    fn any(&mut self, most: u32) -> u32 {
        self.rng.random_range(1..=most.max(1))
    }

    /// Holds a read against the rules.
    fn hold(&mut self, done: &mut Done, (dataset, version): (u32, i64), floor: i64, cached: bool) {
        let seen = self.seen.get(&dataset).copied();
        let wrote = self.wrote.get(&dataset).copied();
        let due = (floor > 1).then_some(floor);
        for (rule, least) in [(Rule::Monotonic, seen), (Rule::OwnWrites, wrote), (Rule::Staleness, due)] {
            let Some(least) = least else { continue };
            done.looked[rule as usize] += 1;
            if version < least && done.breaches.len() < 3 {
                done.breaches.push(Breach { rule, dataset, version, least, cached });
            }
        }
        self.seen.insert(dataset, seen.unwrap_or(0).max(version));
    }

    /// Ends an operation that met an error.
    pub(super) fn failed(&self, op: Op, error: SqlError, mut done: Done) -> Turn {
        let met = met(&error);
        done.met = Some(met);
        let gave_up = done.gave_up;
        let mut turn = Turn::met(error);
        self.ground.journal.end(op, turn.end, &done);
        if met == Met::Conflict {
            turn.notes.push(("conflicts", 1));
        }
        if gave_up {
            turn.notes.push(("unresolved", 1));
            turn.done = true;
        }
        turn
    }

    fn succeeded(&self, op: Op, done: &Done, note: &'static str) -> Turn {
        self.ground.journal.end(op, End::Acknowledged, done);
        let mut turn = Turn::acknowledged();
        turn.notes.push((note, 1));
        turn
    }

    fn begin(&self, begin: Begin) -> Result<Op, Turn> {
        let begun = self.ground.journal.begin(self.lane, self.worker, begin);
        begun.map_err(Turn::unwritten)
    }

    async fn row(&self, dataset: u32, deadline: Instant) -> Result<Row, SqlError> {
        let mut lease = self.ground.pool.get(deadline).await?;
        sql::read(&mut lease, dataset).await
    }

    /// Reads a dataset from the database.
    pub(super) async fn read(&mut self, dataset: u32, deadline: Instant) -> Turn {
        let op = match self.begin(Begin::Read(dataset)) {
            Ok(op) => op,
            Err(turn) => return turn,
        };
        let floor = self.shared.watch.floor(dataset);
        let mut done = Done::default();
        match self.row(dataset, deadline).await {
            Ok(row) => {
                self.hold(&mut done, (dataset, row.state.version), floor, false);
                self.succeeded(op, &done, "reads")
            }
            Err(error) => self.failed(op, error, done),
        }
    }

    /// Reads a dataset through the cache.
    async fn read_cached(&mut self, dataset: u32, deadline: Instant) -> Turn {
        let op = match self.begin(Begin::Read(dataset)) {
            Ok(op) => op,
            Err(turn) => return turn,
        };
        let mut done = Done::default();
        let floor = self.shared.watch.old_floor(dataset, Instant::now());
        match self.through_cache(dataset, deadline).await {
            Ok((version, hit)) => {
                if hit {
                    // It waited for nothing; where workers are tasks of one thread, the others must have their turn.
                    tokio::task::yield_now().await;
                }
                self.hold(&mut done, (dataset, version), floor, true);
                done.cached = Some(version);
                let mut turn = self.succeeded(op, &done, "reads");
                turn.notes.push((if hit { CACHE_HIT } else { "cache.misses" }, 1));
                turn
            }
            Err(error) => self.failed(op, error, done),
        }
    }

    async fn through_cache(&self, dataset: u32, deadline: Instant) -> Result<(i64, bool), SqlError> {
        let load = async { self.row(dataset, deadline).await.map(|row| row.state.version) };
        let read = self.shared.cache.read((self.ground.cycle, dataset), load);
        // Somebody else's load may hold the entry for longer than this read may take.
        timeout_at((deadline + GRACE).into(), read).await.unwrap_or_else(|_| {
            let message = format!("{} could not be read through the cache in time", dataset_name(dataset));
            Err(SqlError::of_workload(Kind::Timeout, message))
        })
    }

    /// Reads the list of all datasets.
    async fn list(&mut self, deadline: Instant) -> Turn {
        let op = match self.begin(Begin::Read(0)) {
            Ok(op) => op,
            Err(turn) => return turn,
        };
        let (floors, datasets) = (self.shared.watch.floors(), self.shared.spec.datasets);
        let mut done = Done::default();
        let rows = async {
            let mut lease = self.ground.pool.get(deadline).await?;
            let rows = sql::list(&mut lease, datasets + 1).await?;
            let right = (1..=datasets).all(|no| rows.iter().any(|(name, _)| *name == dataset_name(no)));
            if !right || rows.len() != datasets as usize {
                return Err(sql::strange(format!("the list shows {} of {datasets} datasets", rows.len())));
            }
            Ok(rows)
        };
        match rows.await {
            Ok(rows) => {
                for (no, floor) in (1..=datasets).zip(floors) {
                    let name = dataset_name(no);
                    if let Some((_, version)) = rows.iter().find(|(listed, _)| *listed == name) {
                        self.hold(&mut done, (no, *version), floor, false);
                    }
                }
                self.succeeded(op, &done, "lists")
            }
            Err(error) => self.failed(op, error, done),
        }
    }

    /// Reads a dataset and replaces it, unless somebody else is first; the last attempt is one that is not repeated.
    pub(super) async fn write(&mut self, dataset: u32, deadline: Instant, last: bool) -> Turn {
        let pool = Arc::clone(&self.ground.pool);
        let floor = self.shared.watch.floor(dataset);
        let read = async {
            let mut lease = pool.get(deadline).await?;
            let row = sql::read(&mut lease, dataset).await?;
            Ok((lease, row))
        };
        let mut done = Done::default();
        let (mut lease, row) = match read.await {
            Ok(read) => read,
            Err(error) => {
                let op = match self.begin(Begin::Read(dataset)) {
                    Ok(op) => op,
                    Err(turn) => return turn,
                };
                done.gave_up = last && met(&error) != Met::Error;
                return self.failed(op, error, done);
            }
        };
        self.hold(&mut done, (dataset, row.state.version), floor, false);
        let op = match self.begin(Begin::Write(dataset, row.state.version, row.state.content.clone())) {
            Ok(op) => op,
            Err(turn) => return turn,
        };
        let left = left(op, row.state.version, &row.state.content);
        let replaced = sql::replace(&mut lease, &dataset_name(dataset), &row, &left).await;
        // Whoever loads for the cache may wait for a session, and this one may then wait for that load.
        drop(lease);
        let error = match replaced {
            Ok(true) => return self.wrote(op, dataset, left.version, done, deadline).await,
            Ok(false) => SqlError::of_workload(
                Kind::Conflict,
                format!("somebody else changed {} first (version {})", dataset_name(dataset), row.state.version),
            ),
            Err(error) => error,
        };
        done.gave_up = last && met(&error) != Met::Error;
        let turn = self.failed(op, error, done);
        if turn.end == End::Indeterminate {
            self.attempts.unknown = Some((op, Begin::Write(dataset, row.state.version, row.state.content)));
        }
        turn
    }

    /// Takes in a write that is committed.
    async fn wrote(&mut self, op: Op, dataset: u32, version: i64, mut done: Done, deadline: Instant) -> Turn {
        self.shared.watch.committed(dataset, version);
        self.seen.insert(dataset, version);
        self.wrote.insert(dataset, version);
        if self.lane == Lane::CacheWriters {
            let key = (self.ground.cycle, dataset);
            let update = self.shared.cache.wrote(key, version);
            if timeout_at((deadline + GRACE).into(), update).await.is_err() {
                self.shared.cache.forget(key).await;
            }
            if let Ok((cached, _)) = self.through_cache(dataset, deadline).await {
                self.hold(&mut done, (dataset, cached), 0, true);
            }
        }
        let turn = self.succeeded(op, &done, "writes");
        self.shared.watch.acknowledged(dataset, version, Instant::now());
        turn
    }

    /// Does one of the mixed operations.
    async fn mixed(&mut self, deadline: Instant) -> Turn {
        self.done += 1;
        let dataset = self.any(self.shared.spec.datasets);
        let mut turn = match self.done % 3 {
            1 => self.write(dataset, deadline, false).await,
            2 => self.read(dataset, deadline).await,
            _ => self.list(deadline).await,
        };
        turn.done = self.done >= CLEANUP_OPERATIONS;
        turn
    }
}

#[async_trait]
impl Hand for Client {
    async fn turn(&mut self, deadline: Instant) -> Turn {
        if !std::mem::replace(&mut self.noted, true) {
            self.shared.crew.note(&format!("{}-{}", self.lane, self.worker));
        }
        let (hot, datasets) = (self.shared.spec.hot(), self.shared.spec.datasets);
        match self.lane {
            Lane::ConcurrentWriters | Lane::CacheWriters => {
                let dataset = self.any(hot);
                self.write(dataset, deadline, false).await
            }
            Lane::ReadHeavy => {
                let dataset = self.any(datasets);
                self.read(dataset, deadline).await
            }
            Lane::CacheReaders => {
                let dataset = self.any(hot);
                self.read_cached(dataset, deadline).await
            }
            Lane::LockResolution => attempts::turn(self, deadline).await,
            Lane::ConnectionCleanup => self.mixed(deadline).await,
            other => {
                let message = format!("{other} is no scenario of the catalog");
                Turn { done: true, ..Turn::met(SqlError::of_workload(Kind::Config, message)) }
            }
        }
    }
}

/// Returns what an error means for whoever tries again.
pub(super) fn met(error: &SqlError) -> Met {
    match error.kind {
        Kind::Conflict | Kind::Serialization => Met::Conflict,
        Kind::Locked | Kind::Busy | Kind::Deadlock if !error.uncertain => Met::Locked,
        _ => Met::Error,
    }
}
