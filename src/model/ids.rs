//! Names of things: users, databases and rows, in the form people know from the hand-made test.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Number of a database, counted from 1.
pub type DbNo = u32;
/// Number of a user, counted from 1.
pub type UserNo = u32;

/// Prefix that marks the rows written by isolation probes; they are never part of a replica's content.
pub const PROBE_PREFIX: &str = "probe_";

/// Returns the identity that user `n` has in tokens and in the owner column.
pub fn user_id(n: UserNo) -> String {
    format!("018ecfc2-b2b1-7cc3-a9f0-{n:012}")
}

/// Returns how many users `databases` databases have: two databases each, or one each when there are at most two.
pub fn users_for(databases: u32) -> u32 {
    if databases <= 2 { databases } else { databases.div_ceil(2) }
}

/// Returns the user that owns database `db` when there are `databases` in all.
pub fn user_of(db: DbNo, databases: u32) -> UserNo {
    if databases <= 2 { db } else { (db - 1) / 2 + 1 }
}

/// The key of a row: which database made it, in which iteration, as which row of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowKey {
    pub db: DbNo,
    pub iter: u32,
    pub row: u32,
}

impl RowKey {
    /// Reads `db<N>_r<I>_<J>`; anything else is not a key of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("db")?;
        let (db, rest) = rest.split_once("_r")?;
        let (iter, row) = rest.split_once('_')?;
        Some(Self { db: number(db)?, iter: number(iter)?, row: number(row)? })
    }

    /// Returns the (database, iteration) pair that this row was made in.
    pub fn class(&self) -> RowClass {
        RowClass { db: self.db, iter: self.iter }
    }
}

/// Reads a number in its shortest form, so that a key has one spelling only.
fn number(text: &str) -> Option<u32> {
    if text.is_empty() || (text.len() > 1 && text.starts_with('0')) || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "db{}_r{}_{}", self.db, self.iter, self.row)
    }
}

/// All rows that one database made in one iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowClass {
    pub db: DbNo,
    pub iter: u32,
}

impl RowClass {
    /// Returns the key of row `row` of this class.
    pub fn key(self, row: u32) -> RowKey {
        RowKey { db: self.db, iter: self.iter, row }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_one_spelling() {
        let key = RowKey { db: 12, iter: 3, row: 40 };
        assert_eq!(key.to_string(), "db12_r3_40");
        assert_eq!(RowKey::parse("db12_r3_40"), Some(key));
        for bad in
            ["", "db", "db1_r2", "db01_r2_3", "db1_r2_3x", "probe_1", "db1_r2_-3", "DB1_r2_3", "db1_r2_99999999999"]
        {
            assert_eq!(RowKey::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn two_databases_share_a_user_unless_there_are_at_most_two() {
        assert_eq!((1..=2).map(|d| user_of(d, 2)).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((1..=5).map(|d| user_of(d, 5)).collect::<Vec<_>>(), [1, 1, 2, 2, 3]);
        assert_eq!((users_for(1), users_for(2), users_for(4), users_for(5)), (1, 2, 2, 3));
        assert_eq!(user_id(7), "018ecfc2-b2b1-7cc3-a9f0-000000000007");
    }
}
