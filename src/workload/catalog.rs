//! The catalog: versioned datasets that clients change under optimistic locking, in five scenarios. Names and contents follow
//! from who wrote what, so that whoever reads a row knows what must stand in it.

pub mod limits;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// Datasets on which the concurrent writers meet, and the two sides of the cache race.
pub const HOT: u32 = 5;
/// Operations of each client of the connection cleanup.
pub const CLEANUP_OPERATIONS: u64 = 10;

/// The settings of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogSpec {
    /// Clients of the writing scenarios; reading ones have twice as many.
    pub clients: u32,
    /// Length of the scenarios that have one; the cache race takes half of it, as it used to.
    pub seconds: u32,
    /// Datasets that there are; the concurrent writers meet on the first five.
    pub datasets: u32,
    /// Attempts of one write in the lock resolution.
    pub attempts: u32,
    /// How long a cached dataset may be used before it is read again.
    pub cache_ttl_ms: u64,
    /// How old a read may be, measured from the acknowledgement of the write that it does not show.
    pub staleness_ms: u64,
}

impl Default for CatalogSpec {
    fn default() -> Self {
        Self { clients: 10, seconds: 30, datasets: 50, attempts: 5, cache_ttl_ms: 500, staleness_ms: 1_000 }
    }
}

impl CatalogSpec {
    /// Returns how many datasets the hot ones are.
    pub fn hot(&self) -> u32 {
        self.datasets.clamp(1, HOT)
    }

    /// Returns the writers and the readers of the cache race: a third of the clients, and the others.
    pub fn cache_clients(&self) -> (u32, u32) {
        if self.clients == 0 {
            return (0, 0);
        }
        let writers = (self.clients / 3).max(1);
        (writers, self.clients.saturating_sub(writers).max(1))
    }

    /// Returns the length of the cache race: half of the others, rounded up.
    pub fn cache_seconds(&self) -> u32 {
        self.seconds.div_ceil(2)
    }
}

/// Returns the name of a dataset, counted from 1.
pub fn dataset_name(dataset: u32) -> String {
    format!("dataset_{dataset:03}")
}

/// Returns the content that a dataset begins with.
pub fn first_content(seed: u64, dataset: u32) -> String {
    digest(&[&seed.to_le_bytes(), &dataset.to_le_bytes()])
}

/// Returns the content that an operation leaves: it follows from the content before, so that no write can be left out unseen.
pub fn next_content(before: &str, writer: &str, operation: u64) -> String {
    digest(&[before.as_bytes(), writer.as_bytes(), &operation.to_le_bytes()])
}

/// Returns a short digest of parts, each with its length.
pub fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Xxh3::new();
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    format!("{:016x}", hash.digest())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_writes_and_somebody_always_reads() {
        let of = |clients| CatalogSpec { clients, ..CatalogSpec::default() }.cache_clients();
        assert_eq!([0, 1, 2, 3, 10, 50].map(of), [(0, 0), (1, 1), (1, 1), (1, 2), (3, 7), (16, 34)]);
        let of = |seconds| CatalogSpec { seconds, ..CatalogSpec::default() }.cache_seconds();
        assert_eq!([1, 2, 3, 30].map(of), [1, 1, 2, 15]);
        let of = |datasets| CatalogSpec { datasets, ..CatalogSpec::default() }.hot();
        assert_eq!([1, 3, 50].map(of), [1, 3, 5]);
    }

    #[test]
    fn contents_follow_from_all_that_was_written() {
        assert_eq!((dataset_name(7), dataset_name(1234)), ("dataset_007".into(), "dataset_1234".into()));
        let first = first_content(1, 2);
        assert_eq!((first.len(), first.clone()), (16, first_content(1, 2)));
        let next = next_content(&first, "read_heavy/1", 1);
        for other in [
            first.clone(),
            next_content(&first, "read_heavy/1", 2),
            next_content(&first, "read_heavy/", 11),
            next_content(&next, "read_heavy/1", 1),
        ] {
            assert_ne!(next, other);
        }
    }
}
