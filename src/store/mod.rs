//! The state file: runs, epochs, steps, cycles, findings and counters, kept in redb. This is the only user of redb. It owns
//! what "counted exactly once" means, and knows nothing of how cycles are run or shown. Everything that belongs together is
//! written in one durable transaction, and no read transaction outlives the call that opened it.

mod baseline;
mod chain;
mod cycles;
mod desk;
mod error;
mod incidents;
mod judgement;
mod latency;
mod measures;
mod open;
mod outbox;
pub mod retention;
mod runs;
mod series;
mod shared;
mod snapshot;
mod steps;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use redb::{Database, Durability, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::model::incident::{ChangeKind, Incident};
use crate::model::lane::{Lane, LaneFigures};
use crate::model::message::Policy;
use crate::model::record::Counters;
use crate::model::verdict::Verdict;
pub use error::StoreError;
use open::guarded;
pub use shared::Shared;
pub use snapshot::LINES;

/// Name of the state file in the state directory.
pub const FILE: &str = "soakd.redb";
/// Cycles that are kept with all their evidence, from the newest on.
pub const CYCLES_FULL: u64 = 500;
/// Cycles without a pass that keep all their evidence for ever, from the first on.
pub const CYCLES_PINNED: usize = 100;
/// Finding groups of a run; findings of further causes are only counted.
pub const FINDING_GROUPS_MAX: usize = 200;
/// Outages kept of a run.
pub const OUTAGES_MAX: usize = 500;
/// Epochs kept of a run, beside its first.
pub const EPOCHS_MAX: usize = 1000;
/// Largest blob.
pub const BLOB_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Last cycles that a snapshot shows in full.
pub const CYCLES_SHOWN: u64 = 50;

/// The open state file.
pub struct Store {
    file: PathBuf,
    handle: Handle,
    durability: Durability,
    commit_micros: u64,
    clock: Clock,
    policy: Policy,
    /// The open incidents as they are in the file; `None` until they are needed, and after a transaction that failed.
    kept: Option<desk::Kept>,
    /// True if channels may have been taken out of the settings.
    channels_changed: bool,
    /// What happened to incidents since it was last asked for.
    changes: Vec<(Incident, ChangeKind)>,
}

enum Handle {
    Write(Database),
    Read(ReadOnlyDatabase),
}

/// What is known of a run beside its record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Progress {
    totals: Counters,
    /// No step of this cycle or an earlier one is ever counted again.
    last_closed: u64,
    cycles_done: u64,
    cycles_by_verdict: BTreeMap<Verdict, u64>,
    /// Cycles before this one are thinned, except for the pinned ones.
    thin_before: u64,
    /// The first cycles without a pass.
    pinned: Vec<u64>,
    finding_groups: u64,
    findings_ungrouped: u64,
    outages_dropped: u64,
    /// Digest of the last line of the receipt; empty for a run of an older soakd, whose cycles are not chained.
    head: String,
    /// What the lanes of a direct workload did.
    lanes: BTreeMap<Lane, LaneFigures>,
}

impl Store {
    /// Returns the path of the state file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the time spent in durable transactions since this handle was opened.
    pub fn commit_micros(&self) -> u64 {
        self.commit_micros
    }

    /// Sets the clock that incidents and messages are timed by.
    pub fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// Returns the clock that incidents and messages are timed by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Sets who is told of incidents from now on; what waits for channels that are gone is dropped with the next commit.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.channels_changed = true;
    }

    /// Runs `work` in one durable transaction; nothing of it is kept if it fails.
    fn write<T>(&mut self, work: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let Handle::Write(db) = &self.handle else {
            return Err(StoreError::ReadOnly { file: self.file.clone() });
        };
        let begun = Instant::now();
        let done = guarded(|| durable(db, self.durability, work)).map_err(|e| e.at(&self.file));
        self.commit_micros += u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        done
    }

    /// Runs `work` on one consistent state of the file.
    fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // Damage may show only where it is read.
        let read = || {
            let txn = match &self.handle {
                Handle::Write(db) => db.begin_read(),
                Handle::Read(db) => db.begin_read(),
            };
            txn.map_err(StoreError::from).and_then(|txn| work(&txn))
        };
        guarded(read).map_err(|e| e.at(&self.file))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Commits `work` with two syncs and the allocator's state, so that reopening after a crash is quick and certain.
fn durable<T>(
    db: &Database,
    durability: Durability,
    work: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut txn = db.begin_write()?;
    txn.set_durability(durability).map_err(redb::Error::from)?;
    txn.set_two_phase_commit(true);
    txn.set_quick_repair(true);
    let out = work(&txn)?;
    txn.commit()?;
    Ok(out)
}
