//! Planted faults: what a broken database would do, so that tests can see that it is found.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// One fault. Executions are counted from 1 over the whole pool, those of statements whose text contains `part`; the fault is
/// there from the `nth` on, `times` times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Plant {
    /// The client is told that it happened, and the database has nothing of it.
    Undo { part: String, nth: u64, times: u64 },
    /// It happens twice.
    Twice { part: String, nth: u64, times: u64 },
    /// The last row of the answer comes once more.
    Extra { part: String, nth: u64, times: u64 },
    /// The nth lease is never given back.
    LeakLease { nth: u64 },
}

/// What becomes of one execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Undo,
    Twice,
    Extra,
}

/// The faults of a pool, with their counts.
#[derive(Debug)]
pub(super) struct Plants {
    all: Vec<(Plant, AtomicU64)>,
}

impl Plants {
    /// Returns what is planted, if anything is.
    pub(super) fn new(plants: &[Plant]) -> Option<Self> {
        let all: Vec<_> = plants.iter().map(|plant| (plant.clone(), AtomicU64::new(0))).collect();
        (!all.is_empty()).then_some(Self { all })
    }

    /// Counts an execution, and returns what becomes of it.
    pub(super) fn at(&self, sql: &str) -> Option<Fault> {
        let mut found = None;
        for (plant, count) in &self.all {
            let (fault, part, nth, times) = match plant {
                Plant::Undo { part, nth, times } => (Fault::Undo, part, nth, times),
                Plant::Twice { part, nth, times } => (Fault::Twice, part, nth, times),
                Plant::Extra { part, nth, times } => (Fault::Extra, part, nth, times),
                Plant::LeakLease { .. } => continue,
            };
            if sql.contains(part.as_str()) && reached(count, *nth, *times) {
                found = found.or(Some(fault));
            }
        }
        found
    }

    /// Counts a lease, and returns whether it is never given back.
    pub(super) fn leaks(&self) -> bool {
        self.all.iter().fold(false, |leaks, (plant, count)| match plant {
            Plant::LeakLease { nth } => reached(count, *nth, 1) || leaks,
            _ => leaks,
        })
    }
}

fn reached(count: &AtomicU64, nth: u64, times: u64) -> bool {
    let n = count.fetch_add(1, Ordering::Relaxed) + 1;
    n >= nth && n - nth < times
}
