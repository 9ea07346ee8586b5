//! Order-free content digests: equal for equal sets of rows, whatever order they are read in, and precise about where two
//! sets differ.
//!
//! A row's hash is XXH3-128 over its values in column order, each with a type tag. A table's digest is the sum of the row
//! hashes modulo 2^128 with the row count, and one 64-bit sum per bucket of keys. Two tables whose totals differ are compared
//! bucket by bucket, and only the rows of differing buckets are fetched: a bisection with one level of fan-out 1024.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::value::Cell;

/// Number of key buckets of a digest.
pub const BUCKETS: usize = 1024;

/// Returns the bucket that the row with this key belongs to.
pub fn bucket_of(key: &str) -> usize {
    (xxh3_64(key.as_bytes()) as usize) % BUCKETS
}

/// Hashes rows one after another without allocating for each.
pub struct RowHasher(Xxh3);

impl Default for RowHasher {
    fn default() -> Self {
        Self(Xxh3::new())
    }
}

impl RowHasher {
    /// Returns the hash of one row: its values in column order.
    pub fn hash<'a>(&mut self, cells: impl IntoIterator<Item = Cell<'a>>) -> u128 {
        self.0.reset();
        for cell in cells {
            match cell {
                Cell::Null => self.0.update(&[0]),
                Cell::Int(n) => self.tagged(1, &n.to_le_bytes()),
                Cell::Real(x) => self.tagged(2, &x.to_bits().to_le_bytes()),
                Cell::Text(text) => self.sized(3, text.as_bytes()),
                Cell::Blob(bytes) => self.sized(4, bytes),
            }
        }
        self.0.digest128()
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.0.update(&[tag]);
        self.0.update(bytes);
    }

    fn sized(&mut self, tag: u8, bytes: &[u8]) {
        self.tagged(tag, &(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

/// The digest of a set of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDigest {
    pub rows: u64,
    pub sum: u128,
    buckets: Vec<u64>,
}

impl Default for TableDigest {
    fn default() -> Self {
        Self { rows: 0, sum: 0, buckets: vec![0; BUCKETS] }
    }
}

impl TableDigest {
    /// Adds one row.
    pub fn add(&mut self, key: &str, row_hash: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(row_hash);
        let bucket = &mut self.buckets[bucket_of(key)];
        *bucket = bucket.wrapping_add(row_hash as u64);
    }

    /// Returns the buckets in which the two sets differ.
    pub fn differing_buckets(&self, other: &Self) -> Vec<usize> {
        (0..BUCKETS).filter(|&i| self.buckets[i] != other.buckets[i]).collect()
    }

    /// Returns the short form that people compare by eye.
    pub fn short(&self) -> String {
        format!("{:016x}", (self.sum >> 64) as u64 ^ self.sum as u64 ^ self.rows)
    }
}

/// The form in which a digest crosses a pipe or an HTTP answer.
#[derive(Serialize, Deserialize)]
struct Wire {
    rows: u64,
    sum: String,
    buckets: String,
}

impl Serialize for TableDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let buckets = self.buckets.iter().map(|b| format!("{b:016x}")).collect();
        Wire { rows: self.rows, sum: format!("{:032x}", self.sum), buckets }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TableDigest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let wire = Wire::deserialize(deserializer)?;
        let sum = u128::from_str_radix(&wire.sum, 16).map_err(D::Error::custom)?;
        if wire.buckets.len() != BUCKETS * 16 || !wire.buckets.is_ascii() {
            return Err(D::Error::custom(format!("a digest has {BUCKETS} buckets of 16 hex digits")));
        }
        let bucket = |i: usize| u64::from_str_radix(&wire.buckets[i * 16..(i + 1) * 16], 16);
        let buckets = (0..BUCKETS).map(bucket).collect::<Result<_, _>>().map_err(D::Error::custom)?;
        Ok(Self { rows: wire.rows, sum, buckets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[(&str, i64)]) -> TableDigest {
        let mut hasher = RowHasher::default();
        let mut digest = TableDigest::default();
        for (key, n) in rows {
            digest.add(key, hasher.hash([Cell::Text(key), Cell::Int(*n)]));
        }
        digest
    }

    #[test]
    fn order_does_not_matter_but_content_does() {
        let one = digest(&[("a", 1), ("b", 2)]);
        assert_eq!(one, digest(&[("b", 2), ("a", 1)]));
        let other = digest(&[("a", 1), ("b", 3)]);
        assert_eq!(one.differing_buckets(&other), [bucket_of("b")]);
        assert_ne!(one.sum, digest(&[("a", 2), ("b", 1)]).sum);
        assert_ne!(digest(&[("a", 1)]).sum, digest(&[("a", 1), ("a", 1)]).sum);
    }

    #[test]
    fn values_of_different_types_never_hash_alike() {
        let mut h = RowHasher::default();
        let cells = [Cell::Null, Cell::Int(0), Cell::Real(0.0), Cell::Text(""), Cell::Blob(b"")];
        for (i, a) in cells.iter().enumerate() {
            for b in &cells[i + 1..] {
                assert_ne!(h.hash([*a]), h.hash([*b]));
            }
        }
        assert_ne!(h.hash([Cell::Text("a"), Cell::Text("bc")]), h.hash([Cell::Text("ab"), Cell::Text("c")]));
    }

    #[test]
    fn survives_the_wire() {
        let one = digest(&[("a", 1), ("b", 2)]);
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<TableDigest>(&text).unwrap(), one);
        assert!(serde_json::from_str::<TableDigest>(r#"{"rows":1,"sum":"0","buckets":"é"}"#).is_err());
    }
}
