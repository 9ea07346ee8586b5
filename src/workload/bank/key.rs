//! Keys of operations and of the rows that they write, packed into 64 bits, so that a row can carry who wrote it.

use std::fmt;

use crate::config::BankConfig;
use crate::model::lane::Lane;

const _: () = assert!(BankConfig::SECONDS_MAX as u64 * RATE_MAX <= OPERATIONS_MAX, "a load ends before its numbers do");

const CYCLE_BITS: u32 = 16;
const LANE_BITS: u32 = 3;
const WORKER_BITS: u32 = 9;
const NO_BITS: u32 = 28;
const INDEX_BITS: u32 = 8;

/// Workers of one role at most; worker 0 is the one that makes the first accounts.
pub const WORKERS_MAX: u32 = (1 << WORKER_BITS) - 1;
/// Operations of one worker in one cycle at most.
pub const OPERATIONS_MAX: u64 = (1 << NO_BITS) - 1;
/// Operations that a worker may do in a second of the longest load.
const RATE_MAX: u64 = 20_000;
/// Rows of one operation at most.
pub const ROWS_MAX: u32 = 1 << INDEX_BITS;

/// An operation of one cycle, and one of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The number of the cycle, of which only the low 16 bits are kept: every cycle begins with empty tables.
    pub cycle: u16,
    pub lane: Lane,
    pub worker: u32,
    pub no: u64,
    /// Which of the operation's rows, counted from 0.
    pub index: u32,
}

impl Key {
    /// Returns the key of an operation; `None` beyond the bounds.
    pub fn of(cycle: u64, lane: Lane, worker: u32, no: u64) -> Option<Self> {
        let known = Lane::BANK.contains(&lane) && worker <= WORKERS_MAX && no <= OPERATIONS_MAX;
        known.then_some(Self { cycle: cycle as u16, lane, worker, no, index: 0 })
    }

    /// Packs it; higher fields sort first.
    pub fn pack(self) -> u64 {
        let mut packed = u64::from(self.cycle);
        for (value, bits) in [
            (u64::from(self.lane.number()), LANE_BITS),
            (u64::from(self.worker), WORKER_BITS),
            (self.no, NO_BITS),
            (u64::from(self.index), INDEX_BITS),
        ] {
            debug_assert!(value < 1 << bits, "a key is made within its bounds");
            packed = packed << bits | value;
        }
        packed
    }

    /// Reads a packed key; `None` where no operation of the bank has such a key.
    pub fn unpack(packed: u64) -> Option<Self> {
        let mut rest = packed;
        let mut take = |bits: u32| {
            let value = rest & ((1 << bits) - 1);
            rest >>= bits;
            value
        };
        let (index, no, worker) = (take(INDEX_BITS) as u32, take(NO_BITS), take(WORKER_BITS) as u32);
        let lane = Lane::numbered(take(LANE_BITS) as u8).filter(|lane| Lane::BANK.contains(lane))?;
        Some(Self { cycle: take(CYCLE_BITS) as u16, lane, worker, no, index })
    }

    /// Returns the key of one of the operation's rows.
    pub fn row(self, index: u32) -> Self {
        Self { index: index.min(ROWS_MAX - 1), ..self }
    }

    /// Returns the key of the operation that a row belongs to.
    pub fn operation(self) -> Self {
        Self { index: 0, ..self }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.worker == 0 {
            return write!(f, "the first accounts, operation {}", self.no);
        }
        write!(f, "{} {}, operation {}", self.lane, self.worker, self.no)
    }
}

/// Returns who wrote something, for people.
pub fn told(packed: u64) -> String {
    match Key::unpack(packed) {
        Some(key) => key.to_string(),
        None => format!("nobody (key {packed:#x})"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_fields_fill_a_word() {
        assert_eq!(CYCLE_BITS + LANE_BITS + WORKER_BITS + NO_BITS + INDEX_BITS, u64::BITS);
        assert!(Lane::BANK.iter().all(|lane| u32::from(lane.number()) < 1 << LANE_BITS));
        assert!(Key::of(1, Lane::Inserter, WORKERS_MAX + 1, 1).is_none());
        assert!(Key::of(1, Lane::Inserter, 1, OPERATIONS_MAX + 1).is_none());
        assert!(Key::of(1, Lane::ReadHeavy, 1, 1).is_none() && Key::unpack(u64::MAX).is_none());
        let key = Key::of(3, Lane::Inserter, 2, 17).unwrap();
        assert_eq!((key.to_string(), told(key.pack())), ("inserter 2, operation 17".into(), key.to_string()));
        assert_eq!(Key::of(3, Lane::Inserter, 0, 1).unwrap().to_string(), "the first accounts, operation 1");
    }

    proptest! {
        #[test]
        fn keys_come_back(cycle: u16, lane in 0usize..5, worker in 0..=WORKERS_MAX, no in 0..=OPERATIONS_MAX, index in 0..ROWS_MAX) {
            let key = Key::of(u64::from(cycle), Lane::BANK[lane], worker, no).unwrap().row(index);
            prop_assert_eq!(Key::unpack(key.pack()), Some(key));
            prop_assert_eq!(Key::unpack(key.operation().pack()).unwrap().index, 0);
        }
    }
}
