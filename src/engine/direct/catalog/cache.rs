//! A read-through cache of dataset versions, as an application would keep it in front of the catalog.

use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::{CompResult, Op};

use crate::target::sql::SqlError;

/// Datasets that are kept.
const CAPACITY: u64 = 10_000;

/// What a writer does for those who read through the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheMode {
    /// It replaces what is kept.
    #[default]
    Correct,
    /// Nothing, which is a fault; for trials of the checks only.
    NoInvalidation,
}

/// The cache, by cycle and dataset.
pub(super) struct Versions {
    cache: Cache<(u64, u32), i64>,
    mode: CacheMode,
}

impl Versions {
    /// Returns an empty one, whose entries live for so long.
    pub(super) fn new(ttl: Duration, mode: CacheMode) -> Self {
        Self { cache: Cache::builder().max_capacity(CAPACITY).time_to_live(ttl).build(), mode }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.cache.invalidate_all();
    }

    /// Returns the version that is kept, or loads it; the other one says whether it was kept.
    ///
    /// A load holds the entry, so that whoever commits meanwhile replaces what it puts there: an older version never comes
    /// after a newer one.
    pub(super) async fn read<F>(&self, key: (u64, u32), load: F) -> Result<(i64, bool), SqlError>
    where
        F: Future<Output = Result<i64, SqlError>>,
    {
        if let Some(version) = self.cache.get(&key).await {
            return Ok((version, true));
        }
        let compute = self.cache.entry(key).and_try_compute_with(|kept| async move {
            match kept {
                Some(_) => Ok(Op::Nop),
                None => load.await.map(Op::Put),
            }
        });
        match compute.await? {
            CompResult::Unchanged(entry) => Ok((entry.into_value(), true)),
            CompResult::Inserted(entry) | CompResult::ReplacedWith(entry) | CompResult::Removed(entry) => {
                Ok((entry.into_value(), false))
            }
            CompResult::StillNone(_) => unreachable!("a load puts something there or fails"),
        }
    }

    /// Takes in that a version was committed.
    pub(super) async fn wrote(&self, key: (u64, u32), version: i64) {
        if self.mode == CacheMode::NoInvalidation {
            return;
        }
        let newer = |kept: Option<moka::Entry<(u64, u32), i64>>| {
            let kept = kept.map_or(version, moka::Entry::into_value);
            std::future::ready(version.max(kept))
        };
        self.cache.entry(key).and_upsert_with(newer).await;
    }

    /// Forgets one dataset, without waiting for a load.
    pub(super) async fn forget(&self, key: (u64, u32)) {
        self.cache.invalidate(&key).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use super::*;

    const KEY: (u64, u32) = (1, 1);

    async fn read(cache: &Versions, there: i64) -> (i64, bool) {
        cache.read(KEY, async { Ok(there) }).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_kept_is_not_loaded_again_and_never_grows_older() {
        let cache = Versions::new(Duration::from_secs(60), CacheMode::Correct);
        assert_eq!((read(&cache, 3).await, read(&cache, 4).await), ((3, false), (3, true)));
        cache.wrote(KEY, 5).await;
        cache.wrote(KEY, 4).await;
        assert_eq!(read(&cache, 9).await, (5, true));
        cache.clear();
        assert_eq!(read(&cache, 9).await, (9, false));
        let failed = cache.read((2, 1), async { Err(super::super::sql::strange("no".into())) }).await;
        assert!(failed.is_err());
        assert_eq!(cache.read((2, 1), async { Ok(1) }).await.unwrap(), (1, false));
    }

    #[tokio::test]
    async fn a_slow_load_does_not_replace_what_was_committed_meanwhile() {
        let cache = Arc::new(Versions::new(Duration::from_secs(60), CacheMode::Correct));
        let ((begun, has_begun), (go, gone)) = (oneshot::channel(), oneshot::channel::<()>());
        let slow = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move {
                let load = async {
                    begun.send(()).unwrap();
                    gone.await.unwrap();
                    Ok(1)
                };
                cache.read(KEY, load).await.unwrap()
            }
        });
        has_begun.await.unwrap();
        let write = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move { cache.wrote(KEY, 2).await }
        });
        tokio::task::yield_now().await;
        go.send(()).unwrap();
        assert_eq!(slow.await.unwrap(), (1, false));
        write.await.unwrap();
        assert_eq!(read(&cache, 9).await, (2, true));
    }

    #[tokio::test]
    async fn the_plant_leaves_what_is_kept() {
        let cache = Versions::new(Duration::from_secs(60), CacheMode::NoInvalidation);
        read(&cache, 1).await;
        cache.wrote(KEY, 2).await;
        assert_eq!(read(&cache, 2).await, (1, true));
    }
}
