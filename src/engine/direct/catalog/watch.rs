//! What was acknowledged until a moment, so that a read can be held against it: at once for reads of the database, after the
//! bound of staleness for reads through the cache. Bounded: acknowledgements are kept by slots of time.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Slots that the bound of staleness is divided into.
const SLOTS: u32 = 32;

/// Acknowledged versions of all datasets with their moments. It begins anew with every process.
pub(super) struct Watch {
    start: Instant,
    staleness: Duration,
    slot: Duration,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    cycle: u64,
    datasets: Vec<Acknowledged>,
}

#[derive(Default)]
struct Acknowledged {
    /// Committed.
    top: i64,
    /// Acknowledged for longer than the bound.
    old: i64,
    /// The slot and the highest version that was acknowledged in it.
    slots: VecDeque<(u64, i64)>,
}

impl Watch {
    /// Returns one that knows of nothing.
    pub(super) fn new(staleness: Duration) -> Self {
        let slot = (staleness / SLOTS).max(Duration::from_millis(1));
        Self { start: Instant::now(), staleness, slot, inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a cycle with these versions.
    pub(super) fn reset(&self, cycle: u64, tops: &[i64]) {
        let datasets =
            tops.iter().map(|top| Acknowledged { top: *top, old: *top, ..Acknowledged::default() }).collect();
        *self.lock() = Inner { cycle, datasets };
    }

    /// Goes on with a cycle: one that was begun in another life is taken as it was left.
    pub(super) fn enter(&self, cycle: u64, tops: impl FnOnce() -> Vec<i64>) {
        let known = {
            let inner = self.lock();
            inner.cycle == cycle && !inner.datasets.is_empty()
        };
        if !known {
            self.reset(cycle, &tops());
        }
    }

    /// Takes note that a version is committed.
    pub(super) fn committed(&self, dataset: u32, version: i64) {
        if let Some(known) = self.lock().datasets.get_mut(dataset as usize - 1) {
            known.top = known.top.max(version);
        }
    }

    /// Takes note that a version is acknowledged, with all that its writer does for those who read it.
    pub(super) fn acknowledged(&self, dataset: u32, version: i64, now: Instant) {
        let slot = (now.saturating_duration_since(self.start).as_micros() / self.slot.as_micros()) as u64;
        let mut inner = self.lock();
        let Some(known) = inner.datasets.get_mut(dataset as usize - 1) else { return };
        self.age(known, now);
        match known.slots.back_mut() {
            Some((last, highest)) if *last >= slot => *highest = (*highest).max(version),
            _ => known.slots.push_back((slot, version)),
        }
    }

    /// Moves what is older than the bound.
    fn age(&self, known: &mut Acknowledged, now: Instant) {
        let elapsed = now.saturating_duration_since(self.start);
        while let Some((slot, version)) = known.slots.front().copied() {
            let end = self.slot.saturating_mul(u32::try_from(slot + 1).unwrap_or(u32::MAX));
            if end + self.staleness > elapsed {
                return;
            }
            known.old = known.old.max(version);
            known.slots.pop_front();
        }
    }

    /// Returns the version that a read of the database that begins now must show.
    pub(super) fn floor(&self, dataset: u32) -> i64 {
        self.lock().datasets.get(dataset as usize - 1).map_or(0, |known| known.top)
    }

    /// Returns those of all datasets.
    pub(super) fn floors(&self) -> Vec<i64> {
        self.lock().datasets.iter().map(|known| known.top).collect()
    }

    /// Returns the version that a read through the cache that begins now must show.
    pub(super) fn old_floor(&self, dataset: u32, now: Instant) -> i64 {
        let mut inner = self.lock();
        let Some(known) = inner.datasets.get_mut(dataset as usize - 1) else { return 0 };
        self.age(known, now);
        known.old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_due_when_the_bound_has_passed() {
        let watch = Watch::new(Duration::from_millis(320));
        watch.reset(1, &[1, 4]);
        let at = |ms| watch.start + Duration::from_millis(ms);
        watch.committed(1, 2);
        assert_eq!((watch.floor(1), watch.floor(2), watch.floors()), (2, 4, vec![2, 4]));
        watch.acknowledged(1, 2, at(5));
        watch.acknowledged(1, 3, at(100));
        // The slot of the first ends at 10 ms.
        let due = [0, 329, 330, 400, 430].map(|ms| watch.old_floor(1, at(ms)));
        assert_eq!(due, [1, 1, 2, 2, 3]);
        assert_eq!((watch.old_floor(2, at(9_999)), watch.old_floor(9, at(0))), (4, 0));
    }

    #[test]
    fn it_stays_small_at_any_rate() {
        let watch = Watch::new(Duration::from_secs(1));
        watch.reset(1, &[1]);
        for n in 0..100_000u32 {
            watch.acknowledged(1, i64::from(n), watch.start + Duration::from_micros(u64::from(n) * 100));
        }
        assert!(watch.lock().datasets[0].slots.len() <= SLOTS as usize + 2);
    }

    #[test]
    fn a_cycle_that_is_known_is_not_entered_anew() {
        let watch = Watch::new(Duration::ZERO);
        watch.enter(1, || vec![3]);
        watch.committed(1, 7);
        watch.enter(1, || vec![3]);
        assert_eq!(watch.floor(1), 7);
        watch.enter(2, || vec![1]);
        assert_eq!(watch.floor(1), 1);
    }
}
