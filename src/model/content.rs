//! What soakd writes into a row, so that the row itself proves which write made it.
//!
//! The stamp column says which database wrote it, in which cycle, by which step. The counter column is a base that depends
//! on the key plus the number of updates the row has seen (its depth). All other columns are fixed by the key. So every row
//! can be checked against its own stamp, and a row copied to another key gives itself away by its base.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::ids::{DbNo, RowKey};
use super::schema::{ColumnKind, TableSpec};
use super::value::{Cell, Value};

/// Width of a base: wide enough that the bases of two keys are further apart than any depth, with near certainty.
const BASE_BITS: u32 = 48;

/// Updates that a row can have seen; a counter further from its base is not one of ours.
const DEPTH_MAX: i64 = 1 << 28;

/// The write that left a row as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    pub db: DbNo,
    pub cycle: u64,
    pub step: u32,
}

impl Stamp {
    /// Returns the text for the stamp column.
    pub fn text(&self) -> String {
        format!("w{}.{}.{}", self.db, self.cycle, self.step)
    }

    /// Reads the text of a stamp column.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('w')?.split('.');
        let stamp = Self {
            db: parts.next()?.parse().ok()?,
            cycle: parts.next()?.parse().ok()?,
            step: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(stamp)
    }
}

/// Returns the counter value with which a row starts.
pub fn base(seed: u64, key: &str) -> i64 {
    (xxh3_64_with_seed(key.as_bytes(), seed) >> (64 - BASE_BITS)) as i64
}

/// Returns true if a row can have been updated this often.
pub fn is_depth(depth: i64) -> bool {
    (0..DEPTH_MAX).contains(&depth)
}

/// Returns the content of a fresh row.
pub fn fresh_row(table: &TableSpec, seed: u64, key: &RowKey, owner: &str, stamp: &Stamp) -> Vec<Value> {
    let text = key.to_string();
    row(table, seed, &text, owner, &stamp.text(), 0)
}

/// Returns the content of the row `key` as the write `stamp` left it at `depth`.
pub fn row(table: &TableSpec, seed: u64, key: &str, owner: &str, stamp: &str, depth: i64) -> Vec<Value> {
    (0..table.columns.len())
        .map(|i| match i {
            i if i == table.key => Value::Text(key.to_owned()),
            i if i == table.owner => Value::Text(owner.to_owned()),
            i if i == table.stamp => Value::Text(stamp.to_owned()),
            i if i == table.counter => Value::Int(base(seed, key).wrapping_add(depth)),
            i => filler(table.columns[i].kind, seed, key, i),
        })
        .collect()
}

/// Returns the fixed value of a column that plays no part.
fn filler(kind: ColumnKind, seed: u64, key: &str, index: usize) -> Value {
    let hash = xxh3_64_with_seed(key.as_bytes(), seed ^ (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    match kind {
        ColumnKind::Text => Value::Text(format!("t{hash:016x}")),
        ColumnKind::Integer => Value::Int((hash >> 16) as i64),
        // A fraction with few bits survives every text and binary form unchanged.
        ColumnKind::Real => Value::Real((hash % 1_000_000) as f64 + 0.5),
        ColumnKind::Blob => Value::Blob(hash.to_le_bytes().to_vec()),
    }
}

/// What the content of a row says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Written by `stamp`, after `depth` updates, and every other column is as it must be.
    Valid { key: RowKey, stamp: Stamp, depth: i64 },
    /// A probe's row: not part of the content.
    Probe,
    /// Not content that soakd can have written under this key.
    Foreign,
}

/// Reads a row back: its key, its stamp and its depth, or that it cannot be ours.
pub fn read(table: &TableSpec, seed: u64, cells: &[Cell<'_>]) -> Reading {
    let (Cell::Text(key_text), Cell::Text(stamp_text), Cell::Int(counter)) =
        (cells[table.key], cells[table.stamp], cells[table.counter])
    else {
        return match cells[table.key] {
            Cell::Text(key) if key.starts_with(super::ids::PROBE_PREFIX) => Reading::Probe,
            _ => Reading::Foreign,
        };
    };
    if key_text.starts_with(super::ids::PROBE_PREFIX) {
        return Reading::Probe;
    }
    let (Some(key), Some(stamp)) = (RowKey::parse(key_text), Stamp::parse(stamp_text)) else {
        return Reading::Foreign;
    };
    let depth = counter.wrapping_sub(base(seed, key_text));
    let played = |i: usize| i == table.key || i == table.owner || i == table.stamp || i == table.counter;
    let fillers_hold =
        (0..cells.len()).all(|i| played(i) || filler(table.columns[i].kind, seed, key_text, i).cell() == cells[i]);
    if is_depth(depth) && fillers_hold { Reading::Valid { key, stamp, depth } } else { Reading::Foreign }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(row: &[Value]) -> Reading {
        read(&TableSpec::seed(), 9, &row.iter().map(Value::cell).collect::<Vec<_>>())
    }

    #[test]
    fn a_row_proves_which_write_made_it() {
        let (key, stamp) = (RowKey { db: 1, iter: 2, row: 3 }, Stamp { db: 4, cycle: 5, step: 6 });
        let mut row = fresh_row(&TableSpec::seed(), 9, &key, "u", &stamp);
        assert_eq!(reading(&row), Reading::Valid { key, stamp, depth: 0 });
        row[3] = Value::Int(base(9, "db1_r2_3") + 7);
        assert_eq!(reading(&row), Reading::Valid { key, stamp, depth: 7 });
    }

    #[test]
    fn a_row_under_another_key_gives_itself_away() {
        let stamp = Stamp { db: 4, cycle: 5, step: 6 };
        let mut row = fresh_row(&TableSpec::seed(), 9, &RowKey { db: 1, iter: 2, row: 3 }, "u", &stamp);
        row[0] = Value::Text("db1_r2_4".into());
        assert_eq!(reading(&row), Reading::Foreign);
        row[0] = Value::Text("probe_x".into());
        assert_eq!(reading(&row), Reading::Probe);
        row[2] = Value::Null;
        assert_eq!(reading(&row), Reading::Probe);
    }
}
