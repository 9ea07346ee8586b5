//! Delays between attempts: exponential, bounded, with jitter from the run's seed so that a run can be replayed.
//!
//! The one place that uses the `backoff` crate, and only as a generator of intervals: its own jitter draws from the thread's
//! random numbers, which no seed governs.

use std::time::Duration;

use backoff::backoff::Backoff;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::engine::worker::protocol::RetrySpec;

/// Yields the delays of one operation until its time is spent.
pub struct Retry {
    backoff: ExponentialBackoff,
    /// What the first retry waits even when one attempt took all the time: a single time-out is no reason to give up.
    first: Option<Duration>,
    rng: ChaCha8Rng,
}

impl Retry {
    /// Starts counting the time of an operation now.
    pub fn new(spec: &RetrySpec, rng: ChaCha8Rng) -> Self {
        let backoff = ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_millis(spec.first_ms.max(1)))
            .with_max_interval(Duration::from_millis(spec.max_ms.max(1)))
            .with_multiplier(spec.multiplier.max(1.0))
            .with_randomization_factor(0.0)
            .with_max_elapsed_time(Some(Duration::from_millis(spec.give_up_ms)))
            .build();
        let first = (spec.give_up_ms > 0).then_some(backoff.initial_interval);
        Self { backoff, first, rng }
    }

    /// Returns how long to wait before the next attempt: between half and all of the interval; `None` when time is spent.
    pub fn next_delay(&mut self) -> Option<Duration> {
        let first = self.first.take();
        let interval = self.backoff.next_backoff().or(first)?;
        let micros = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX).max(2);
        Some(Duration::from_micros(self.rng.random_range(micros / 2..=micros)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::sync::branch;

    const SPEC: RetrySpec = RetrySpec { first_ms: 10, max_ms: 80, multiplier: 2.0, give_up_ms: 60_000 };

    #[test]
    fn delays_grow_to_the_maximum_and_follow_from_the_seed() {
        let delays = |seed| {
            let mut retry = Retry::new(&SPEC, branch(seed, 1, 1, 1));
            (0..8).filter_map(|_| retry.next_delay()).collect::<Vec<_>>()
        };
        let one = delays(1);
        assert_eq!(one, delays(1));
        assert_ne!(one, delays(2));
        assert!(one[0] >= Duration::from_millis(5) && one[0] <= Duration::from_millis(10));
        assert!(one.iter().all(|d| *d <= Duration::from_millis(80)));
        assert!(one[7] >= Duration::from_millis(40));
    }

    #[test]
    fn one_slow_attempt_is_not_the_last() {
        let mut retry = Retry::new(&RetrySpec { give_up_ms: 1, ..SPEC }, branch(1, 1, 1, 1));
        std::thread::sleep(Duration::from_millis(3));
        assert!(retry.next_delay().is_some());
        assert_eq!(retry.next_delay(), None);
    }

    #[test]
    fn nothing_is_retried_when_no_time_is_given() {
        let mut retry = Retry::new(&RetrySpec { give_up_ms: 0, ..SPEC }, branch(1, 1, 1, 1));
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(retry.next_delay(), None);
    }
}
