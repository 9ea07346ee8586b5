//! Looks at every transfer: whether its accounts exist, and whether it is as it was written; and holds what there is between
//! two accounts against what was acknowledged.

use super::Lines;

/// A transfer as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRow {
    pub id: i64,
    pub from: i64,
    pub to: i64,
    pub amount: i64,
    pub from_exists: bool,
    pub to_exists: bool,
    pub seal: Seal,
    /// Values of another type than what is written there, as `ref_id is NULL, no UUID`.
    pub wrong: Vec<String>,
}

/// What the reference of a transfer says of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// The operation with this packed key wrote it as it is.
    Intact(u64),
    /// It wrote something else.
    Altered(u64),
    /// No operation of this run wrote it.
    Foreign,
}

/// What going through all transfers came to.
#[derive(Debug, Clone)]
pub struct TransfersAudit {
    told: fn(u64) -> String,
    pub(super) rows: u64,
    pub(super) orphans: Lines,
    pub(super) altered: Lines,
}

/// Two accounts between which there are other transfers than were acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairGap {
    pub from: String,
    pub to: String,
    /// Transfers that are missing, or too many where it is below zero.
    pub count: i64,
    pub amount: i64,
    /// The operation of the only one, packed.
    pub keys: u64,
    /// Transfers of the pair have ended with nobody knowing how.
    pub doubtful: bool,
}

impl TransfersAudit {
    /// Returns one that has seen nothing.
    pub fn new(told: fn(u64) -> String) -> Self {
        Self { told, rows: 0, orphans: Lines::default(), altered: Lines::default() }
    }

    /// Returns how many it has seen.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Looks at one transfer.
    pub fn row(&mut self, row: &TransferRow) {
        let TransferRow { id, from, to, amount, .. } = *row;
        self.rows += 1;
        let by = match row.seal {
            Seal::Intact(key) | Seal::Altered(key) => (self.told)(key),
            Seal::Foreign => "nobody".into(),
        };
        let content = || format!("transfer {id} of {amount} from account {from} to account {to}, by {by}");
        match (row.from_exists, row.to_exists) {
            (true, true) => {}
            (false, true) => self.orphans.add(|| format!("{}: account {from} does not exist", content())),
            (true, false) => self.orphans.add(|| format!("{}: account {to} does not exist", content())),
            (false, false) => self.orphans.add(|| format!("{}: neither account exists", content())),
        }
        match row.seal {
            _ if !row.wrong.is_empty() => self.altered.add(|| format!("{}: {}", content(), row.wrong.join(", "))),
            Seal::Intact(_) => {}
            Seal::Altered(_) => self.altered.add(|| format!("{}: it is not as it was written", content())),
            Seal::Foreign => self.altered.add(|| format!("{}: no operation of this run wrote it", content())),
        }
    }
}

impl PairGap {
    /// Returns what is wrong of the pair.
    pub(super) fn line(&self, told: fn(u64) -> String) -> String {
        let Self { from, to, count, amount, keys, .. } = self;
        let between = format!("from {from} to {to}");
        match count {
            1 => format!("transfer of {amount} {between}, by {}, was acknowledged and is not there", told(*keys)),
            -1 => format!("transfer of {} {between}, by {}, is there once too often", -amount, told(*keys)),
            0 => format!("transfers {between}: as many as were acknowledged, but other ones"),
            2.. => format!("transfers {between}: {count} of {amount} together were acknowledged and are not there"),
            _ => format!("transfers {between}: {} of {} together are there that nobody acknowledged", -count, -amount),
        }
    }
}
