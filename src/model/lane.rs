//! Lanes of a direct workload: a role of the bank or a scenario of the catalog, what its operations come to, and its figures.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A role or a scenario: the operations that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    Inserter,
    Transferrer,
    Reader,
    Checker,
    Deleter,
    /// All clients write the same few datasets.
    ConcurrentWriters,
    /// All clients read random datasets.
    ReadHeavy,
    /// All clients write one dataset, each until it succeeds or its attempts are spent.
    LockResolution,
    /// The cache race has two sides, counted apart.
    CacheWriters,
    CacheReaders,
    /// Mixed operations, after which nothing may be left open.
    ConnectionCleanup,
}

impl Lane {
    /// The roles of the bank, in the order that people know.
    pub const BANK: [Self; 5] = [Self::Inserter, Self::Transferrer, Self::Reader, Self::Checker, Self::Deleter];
    /// The scenarios of the catalog, in the order in which they run.
    pub const CATALOG: [Self; 6] = [
        Self::ConcurrentWriters,
        Self::ReadHeavy,
        Self::LockResolution,
        Self::CacheWriters,
        Self::CacheReaders,
        Self::ConnectionCleanup,
    ];

    /// Returns the word for logs, reports and keys.
    pub fn word(self) -> &'static str {
        match self {
            Self::Inserter => "inserter",
            Self::Transferrer => "transferrer",
            Self::Reader => "reader",
            Self::Checker => "checker",
            Self::Deleter => "deleter",
            Self::ConcurrentWriters => "concurrent_writers",
            Self::ReadHeavy => "read_heavy",
            Self::LockResolution => "lock_resolution",
            Self::CacheWriters => "cache_writers",
            Self::CacheReaders => "cache_readers",
            Self::ConnectionCleanup => "connection_cleanup",
        }
    }

    /// Returns the lane that a word means.
    pub fn parse(word: &str) -> Option<Self> {
        Self::BANK.into_iter().chain(Self::CATALOG).find(|lane| lane.word() == word)
    }

    /// Returns its number, for what is packed into few bits.
    pub fn number(self) -> u8 {
        Self::BANK.into_iter().chain(Self::CATALOG).position(|lane| lane == self).unwrap_or_default() as u8
    }

    /// Returns the lane with a number.
    pub fn numbered(number: u8) -> Option<Self> {
        Self::BANK.into_iter().chain(Self::CATALOG).nth(usize::from(number))
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Acknowledged,
    /// It certainly did not happen.
    Refused,
    /// It may have happened; a look at the database decides.
    Indeterminate,
}

/// What one lane did in one second, or in any other time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LaneFigures {
    pub workers: u32,
    pub acknowledged: u64,
    pub refused: u64,
    pub indeterminate: u64,
    /// How long the lane ran.
    pub ms: u64,
    /// Errors that the configuration expects, by name: `locked (SQLITE_BUSY)`, `deadlock (40P01)`, `insufficient_funds`.
    pub expected: BTreeMap<String, u64>,
    /// All others.
    pub unexpected: BTreeMap<String, u64>,
    /// Other counts that people ask for, by name: `conflicts`, `attempts.3`, `versions`.
    pub notes: BTreeMap<String, u64>,
    /// Packed latencies of all operations that had something to do, however they ended, see `stats::latency`.
    pub latency: Vec<u8>,
}

/// Names that a table of errors or notes holds at most; all further ones are counted under [`OTHERS`].
const NAMES_MAX: usize = 64;
/// The name of what has no place of its own.
pub const OTHERS: &str = "others";

impl LaneFigures {
    /// Returns how many operations ended.
    pub fn total(&self) -> u64 {
        self.acknowledged + self.refused + self.indeterminate
    }

    /// Returns the share of operations that were acknowledged, whatever the others met; `None` of none.
    pub fn success(&self) -> Option<f64> {
        let all = self.total();
        (all > 0).then(|| self.acknowledged as f64 / all as f64)
    }

    /// Returns the acknowledged operations per second.
    pub fn rate(&self) -> f64 {
        if self.ms == 0 { 0.0 } else { self.acknowledged as f64 * 1000.0 / self.ms as f64 }
    }

    /// Adds what another time came to; latencies are left to whoever can unpack them.
    pub fn add(&mut self, other: &Self) {
        self.workers = self.workers.max(other.workers);
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.indeterminate += other.indeterminate;
        self.ms += other.ms;
        for (mine, theirs) in [
            (&mut self.expected, &other.expected),
            (&mut self.unexpected, &other.unexpected),
            (&mut self.notes, &other.notes),
        ] {
            theirs.iter().for_each(|(name, n)| count(mine, name, *n));
        }
    }
}

/// Counts under a name, in a table that stays small.
pub fn count(table: &mut BTreeMap<String, u64>, name: &str, n: u64) {
    if let Some(known) = table.get_mut(name) {
        *known += n;
        return;
    }
    let name = if table.len() < NAMES_MAX { name } else { OTHERS };
    *table.entry(name.to_owned()).or_default() += n;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_known_by_word_and_number() {
        for lane in Lane::BANK.into_iter().chain(Lane::CATALOG) {
            assert_eq!((Lane::parse(lane.word()), Lane::numbered(lane.number())), (Some(lane), Some(lane)));
        }
        assert_eq!((Lane::parse("manager"), Lane::numbered(99)), (None, None));
    }

    #[test]
    fn tables_stay_small() {
        let mut figures = LaneFigures::default();
        for n in 0..1000 {
            count(&mut figures.unexpected, &format!("kind {n}"), 1);
        }
        assert!(figures.unexpected.len() <= NAMES_MAX + 1 && figures.unexpected[OTHERS] == 1000 - NAMES_MAX as u64);
        let mut sum = figures.clone();
        sum.add(&figures);
        assert_eq!(sum.unexpected["kind 3"], 2);
    }
}
