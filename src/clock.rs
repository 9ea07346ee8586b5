//! Time as the daemon sees it: the system's, or one that runs faster, so that a week can be lived through in minutes by the
//! same code. What faster time is, depends on the system's clock alone: a restart goes on with it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A clock; copies of it agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// The instant at which both times are the same.
    base_ms: i64,
    /// Seconds of this clock that pass in one of the system's.
    scale: u32,
}

impl Default for Clock {
    fn default() -> Self {
        Self { base_ms: 0, scale: 1 }
    }
}

impl Clock {
    /// Returns a clock that agrees with the system's at `base_ms` and runs `scale` times as fast from there.
    pub fn fast(base_ms: i64, scale: u32) -> Self {
        Self { base_ms, scale: scale.max(1) }
    }

    /// Returns how many times faster than the system's this clock is.
    pub fn scale(self) -> u32 {
        self.scale
    }

    /// Returns the time.
    pub fn now_ms(self) -> i64 {
        self.of_system(Utc::now().timestamp_millis())
    }

    /// Returns the time.
    pub fn now(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.now_ms()).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Returns what this clock shows when the system's shows `system_ms`.
    pub fn of_system(self, system_ms: i64) -> i64 {
        let since = system_ms.saturating_sub(self.base_ms);
        self.base_ms.saturating_add(since.saturating_mul(i64::from(self.scale)))
    }

    /// Returns how long a span of this clock lasts by the system's.
    pub fn lasts(self, span: Duration) -> Duration {
        span / self.scale
    }

    /// Waits for a span of this clock.
    pub async fn sleep(self, span: Duration) {
        tokio::time::sleep(self.lasts(span)).await;
    }

    /// Waits until this clock shows `at_ms`, even if the system's clock is set meanwhile.
    pub async fn sleep_until(self, at_ms: i64) {
        /// The longest time in which a change of the system's clock is not noticed.
        const LOOK_EVERY: Duration = Duration::from_secs(1);
        loop {
            let left = at_ms.saturating_sub(self.now_ms());
            let Ok(left @ 1..) = u64::try_from(left) else { return };
            tokio::time::sleep(self.lasts(Duration::from_millis(left)).min(LOOK_EVERY)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_clock_is_the_systems() {
        let before = Utc::now().timestamp_millis();
        let now = Clock::default().now_ms();
        assert!((before..=Utc::now().timestamp_millis()).contains(&now));
    }

    #[test]
    fn a_week_passes_in_ten_minutes() {
        let clock = Clock::fast(1_000_000, 1008);
        assert_eq!(clock.of_system(1_000_000), 1_000_000);
        assert_eq!(clock.of_system(1_000_000 + 600_000) - 1_000_000, 7 * 24 * 3600 * 1000);
        assert_eq!(clock.lasts(Duration::from_secs(1008)), Duration::from_secs(1));
    }
}
