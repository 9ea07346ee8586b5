//! Judges the bank: money, balances, accounts, batches, transfers, ids and reads, by what the ledger of acknowledged operations
//! says and what the tables hold. It reads nothing itself; rows come one by one and only what is wrong of them is kept.

mod accounts;
mod transfers;
mod verdicts;
pub mod violation;

pub use accounts::{AccountRow, AccountsAudit, Author, Difference, Expected, Side};
pub use transfers::{PairGap, Seal, TransferRow, TransfersAudit};
pub use verdicts::{Books, Evidence, Unsettled, judge};
pub use violation::{Rule, Violation, Violations};

/// Evidence lines of one check at most.
pub const EVIDENCE_MAX: usize = 20;

/// What is wrong, cut to a few lines, with how much there was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    pub lines: Vec<String>,
    pub total: u64,
}

impl Lines {
    /// Adds a line; it is made only if there is room for it.
    pub fn add(&mut self, line: impl FnOnce() -> String) {
        self.total += 1;
        if self.lines.len() < EVIDENCE_MAX {
            self.lines.push(line());
        }
    }

    /// Adds all lines of another.
    pub fn extend(&mut self, other: &Self) {
        let room = EVIDENCE_MAX.saturating_sub(self.lines.len());
        self.lines.extend(other.lines.iter().take(room).cloned());
        self.total += other.total;
    }
}

#[cfg(test)]
mod tests;
