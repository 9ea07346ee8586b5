//! What a direct workload is to the runner: blocks of lanes, a hand for every worker, a ledger of what was acknowledged, and the
//! checks that hold it against the database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::journal::{Journal, JournalError};
use crate::model::lane::{End, Lane};
use crate::model::verdict::CheckResult;
use crate::target::sql::{Pool, SqlError};

/// Lanes that run at the same time.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    pub lanes: Vec<LanePlan>,
    /// Its length; `None` for one that ends when every worker is [`Turn::done`], and counts as one step a lane.
    pub seconds: Option<u32>,
}

/// One lane of a block.
#[derive(Debug, Clone, PartialEq)]
pub struct LanePlan {
    pub lane: Lane,
    pub workers: u32,
    /// Operations per second that all its workers begin together (open model); 0 for as fast as they can.
    pub rate: f64,
}

/// One operation, by who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
pub struct Op {
    pub lane: Lane,
    /// Counted from 1 in its lane.
    pub worker: u32,
    /// Counted from 1 in a cycle.
    pub no: u64,
}

/// The note of an operation that found nothing to do.
pub const NOTHING_TO_DO: &str = "empty";
/// The note of a read that the cache answered.
pub const CACHE_HIT: &str = "cache.hits";

/// What an operation came to.
#[derive(Debug)]
pub struct Turn {
    pub end: End,
    pub error: Option<SqlError>,
    /// Other counts that people ask for: `("conflicts", 1)`.
    pub notes: Vec<(&'static str, u64)>,
    /// True if this worker has nothing more to do in this block.
    pub done: bool,
}

impl Turn {
    /// Returns an operation that was not begun because it could not be written down; its worker has to end.
    pub fn unwritten(error: JournalError) -> Self {
        Self { end: End::Refused, error: Some(error.into()), notes: Vec::new(), done: true }
    }

    /// Returns an operation that was acknowledged.
    pub fn acknowledged() -> Self {
        Self { end: End::Acknowledged, error: None, notes: Vec::new(), done: false }
    }

    /// Returns one that met an error: refused, or indeterminate if it may have happened.
    pub fn met(error: SqlError) -> Self {
        let end = if error.uncertain { End::Indeterminate } else { End::Refused };
        Self { end, error: Some(error), notes: Vec::new(), done: false }
    }
}

/// One worker: does one operation after the other, journalled before and after.
#[async_trait]
pub trait Hand: Send {
    /// Does the next operation; it must have ended at the deadline.
    async fn turn(&mut self, deadline: Instant) -> Turn;
}

/// What is known of acknowledged operations, in bounded memory. It is a fold over the journal, so that a restart that reads
/// the journal again knows the same.
pub trait Ledger: Serialize + DeserializeOwned + Send + 'static {
    /// What an operation is about to do.
    type Begin: Serialize + DeserializeOwned + Clone + Send;
    /// What it came to, as far as the ledger needs it.
    type Done: Serialize + DeserializeOwned + Send;

    /// Returns true for an operation that changes nothing: its beginning is written together with its end, because nobody would
    /// have to find out what became of it.
    fn is_harmless(begin: &Self::Begin) -> bool;
    /// Takes in that an operation begins.
    fn begun(&mut self, op: Op, begin: &Self::Begin);
    /// Takes in how it ended; an indeterminate one may be ended once more when somebody has looked.
    fn ended(&mut self, op: Op, begin: &Self::Begin, end: End, done: &Self::Done);
}

/// What a course works on.
pub struct Ground<L: Ledger> {
    pub pool: Arc<Pool>,
    pub journal: Arc<Journal<L>>,
    pub cycle: u64,
    pub seed: u64,
    /// Longest time of one operation.
    pub limit: Duration,
}

impl<L: Ledger> Clone for Ground<L> {
    fn clone(&self) -> Self {
        Self { pool: Arc::clone(&self.pool), journal: Arc::clone(&self.journal), ..*self }
    }
}

/// What verification came to.
#[derive(Debug, Default)]
pub struct Verified {
    pub checks: Vec<CheckResult>,
    /// Rows that the database holds.
    pub rows: u64,
    /// Short digest of the content, for reports.
    pub content: String,
}

/// A direct workload.
#[async_trait]
pub trait Course: Send + Sync + 'static {
    type Ledger: Ledger;

    /// Returns what a cycle does, block after block.
    fn blocks(&self) -> Vec<Block>;

    /// Returns the ledger of a cycle that has not begun.
    fn ledger(&self) -> Self::Ledger;

    /// Makes everything as a cycle begins with it: schema and first rows.
    async fn begin(&self, ground: &Ground<Self::Ledger>) -> Result<(), SqlError>;

    /// Returns a worker.
    fn hand(&self, ground: &Ground<Self::Ledger>, lane: Lane, worker: u32) -> Box<dyn Hand>;

    /// Takes note that a block is about to run, or has run, with no operation under way.
    async fn between(&self, ground: &Ground<Self::Ledger>, block: usize, over: bool) -> Result<(), SqlError> {
        let _ = (ground, block, over);
        Ok(())
    }

    /// Waits until nothing of the load is under way in the database, and ends every indeterminate operation by looking;
    /// returns what could not be settled.
    async fn settle(&self, ground: &Ground<Self::Ledger>) -> Result<Vec<String>, SqlError>;

    /// Holds the database against the ledger.
    async fn verify(&self, ground: &Ground<Self::Ledger>) -> Result<Verified, SqlError>;

    /// Returns the lines that people know at the end of a cycle, such as `Successful writes: 812`.
    fn lines(&self, ground: &Ground<Self::Ledger>) -> Vec<String> {
        let _ = ground;
        Vec::new()
    }
}
