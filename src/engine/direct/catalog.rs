//! The catalog as a course: five scenarios of clients that change versioned datasets under optimistic locking, a ledger of the
//! versions that were acknowledged, and the checks that hold the database against it.

mod attempts;
mod cache;
mod client;
mod figures;
mod ledger;
mod process;
mod settle;
mod sql;
#[cfg(test)]
mod tests;
mod verify;
mod versions;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

pub use cache::CacheMode;
pub use ledger::{Begin, Breach, CatalogLedger, Done, Measured, Met, Rule};

use super::course::{Block, Course, Ground, Hand, Verified};
use super::plan;
use crate::checker::catalog::Figures;
use crate::model::lane::{End, Lane};
use crate::target::sql::{Dialect, SqlError};
use crate::workload::catalog::CatalogSpec;
use client::Client;
use watch::Watch;

/// The blocks that something is measured around.
const READ_HEAVY: usize = 1;
const CLEANUP: usize = 4;

/// What all clients share.
struct Shared {
    spec: CatalogSpec,
    watch: Watch,
    cache: cache::Versions,
    crew: process::Crew,
}

/// What was measured when a block began.
enum Before {
    Reads(u64, Instant),
    Open(Figures),
}

/// The catalog.
pub struct Catalog {
    seed: u64,
    dialect: Dialect,
    shared: Arc<Shared>,
    before: Mutex<Option<(usize, Before)>>,
}

impl Catalog {
    /// Returns the course of a specification.
    pub fn new(spec: CatalogSpec, seed: u64, dialect: Dialect, mode: CacheMode) -> Self {
        let watch = Watch::new(Duration::from_millis(spec.staleness_ms));
        let cache = cache::Versions::new(Duration::from_millis(spec.cache_ttl_ms), mode);
        let shared = Arc::new(Shared { spec, watch, cache, crew: process::Crew::default() });
        Self { seed, dialect, shared, before: Mutex::default() }
    }

    fn remember(&self, block: usize, before: Before) {
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Some((block, before));
    }

    fn remembered(&self, block: usize) -> Option<Before> {
        let taken = self.before.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.filter(|(of, _)| *of == block).map(|(_, before)| before)
    }
}

#[async_trait]
impl Course for Catalog {
    type Ledger = CatalogLedger;

    fn blocks(&self) -> Vec<Block> {
        plan::catalog(&self.shared.spec)
    }

    fn ledger(&self) -> CatalogLedger {
        CatalogLedger::new(self.shared.spec.datasets, self.seed)
    }

    async fn begin(&self, ground: &Ground<CatalogLedger>) -> Result<(), SqlError> {
        let datasets = self.shared.spec.datasets;
        let mut lease = ground.pool.get(Instant::now() + ground.limit).await?;
        sql::create(&mut lease, datasets, self.seed).await?;
        self.shared.watch.reset(ground.cycle, &vec![1; datasets as usize]);
        self.shared.cache.clear();
        Ok(())
    }

    fn hand(&self, ground: &Ground<CatalogLedger>, lane: Lane, worker: u32) -> Box<dyn Hand> {
        self.shared.watch.enter(ground.cycle, || ground.journal.with(|ledger| ledger.tops()));
        Box::new(Client::new(Arc::clone(&self.shared), ground.clone(), lane, worker))
    }

    async fn between(&self, ground: &Ground<CatalogLedger>, block: usize, over: bool) -> Result<(), SqlError> {
        let reads = || ground.journal.with(|ledger| ledger.counts(Lane::ReadHeavy).reads);
        match (block, over) {
            (READ_HEAVY, false) => self.remember(block, Before::Reads(reads(), Instant::now())),
            (READ_HEAVY, true) => {
                if let Some(Before::Reads(before, since)) = self.remembered(block) {
                    let timed = (reads() - before, since.elapsed().as_millis() as u64);
                    measured(ground, Lane::ReadHeavy, Measured::Reads(timed.0, timed.1))?;
                }
            }
            (CLEANUP, false) => self.remember(block, Before::Open(figures::before(ground, &self.shared.crew).await?)),
            (CLEANUP, true) => {
                if let Some(Before::Open(before)) = self.remembered(block) {
                    let (crew, datasets) = (&self.shared.crew, self.shared.spec.datasets);
                    let cleanup = figures::after(ground, crew, datasets, before).await?;
                    measured(ground, Lane::ConnectionCleanup, Measured::Cleanup(cleanup))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn settle(&self, ground: &Ground<CatalogLedger>) -> Result<Vec<String>, SqlError> {
        settle::settle(ground, self.dialect).await
    }

    async fn verify(&self, ground: &Ground<CatalogLedger>) -> Result<Verified, SqlError> {
        verify::verify(ground, &self.shared.spec).await
    }

    fn lines(&self, ground: &Ground<CatalogLedger>) -> Vec<String> {
        ground.journal.with(|ledger| verify::lines(ledger))
    }
}

/// Writes down what was measured around a block, after its last step, so that another life knows it too.
fn measured(ground: &Ground<CatalogLedger>, lane: Lane, measured: Measured) -> Result<(), SqlError> {
    let op = ground.journal.begin(lane, 0, Begin::Measure)?;
    let done = Done { measured: Some(Box::new(measured)), ..Done::default() };
    ground.journal.end(op, End::Acknowledged, &done);
    Ok(())
}
