//! The system's clocks side by side: the one that people set, the one that runs on in sleep, and the one that stops there. A
//! jump of the first against the second is a clock that was set; a lead of the second over the third is time spent asleep.

use std::path::Path;
use std::time::{Duration, Instant};

use procfs::Current;

/// The clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Since 1970, as it is set.
    pub wall_ms: i64,
    /// Since the machine was started, sleep included.
    pub boot_ms: i64,
    /// Since some moment, without sleep.
    pub awake_ms: i64,
}

/// What happened to the clocks between two looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Time that really passed.
    pub ms: i64,
    /// By how much the wall clock was set; negative: back.
    pub jump_ms: i64,
    /// How long the machine slept.
    pub asleep_ms: i64,
}

impl Passed {
    /// Returns what happened in this time and the next together.
    pub fn and(self, next: Self) -> Self {
        Self { ms: self.ms + next.ms, jump_ms: self.jump_ms + next.jump_ms, asleep_ms: self.asleep_ms + next.asleep_ms }
    }
}

/// Reads the clocks; `origin` is any earlier moment of this process, and must be the same in every call.
pub fn read(origin: Instant) -> Option<Clocks> {
    /// Readings further apart than this are not of one moment.
    const APART_MAX: Duration = Duration::from_millis(50);
    const TRIES: u32 = 5;
    for _ in 0..TRIES {
        let begun = Instant::now();
        let wall_ms = chrono::Utc::now().timestamp_millis();
        let boot = procfs::Uptime::current().ok()?.uptime;
        if begun.elapsed() <= APART_MAX {
            let awake_ms = i64::try_from(begun.duration_since(origin).as_millis()).ok()?;
            return Some(Clocks { wall_ms, boot_ms: (boot * 1000.0) as i64, awake_ms });
        }
    }
    None
}

impl Clocks {
    /// Compares a later reading with this one.
    pub fn until(self, later: Self) -> Passed {
        let ms = later.boot_ms.saturating_sub(self.boot_ms);
        Passed {
            ms,
            jump_ms: later.wall_ms.saturating_sub(self.wall_ms).saturating_sub(ms),
            asleep_ms: ms.saturating_sub(later.awake_ms.saturating_sub(self.awake_ms)).max(0),
        }
    }
}

/// Whether something keeps the clock right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Synchronised {
    Yes(&'static str),
    No(&'static str),
    /// Nothing here can tell.
    Unknown,
}

/// Looks for signs of a time service below `/run`.
pub fn synchronised(run: &Path) -> Synchronised {
    if run.join("systemd/timesync/synchronized").exists() {
        Synchronised::Yes("systemd-timesyncd")
    } else if run.join("systemd/timesync").is_dir() {
        Synchronised::No("systemd-timesyncd runs and has not reached a time server yet")
    } else {
        Synchronised::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: Clocks = Clocks { wall_ms: 1_000_000, boot_ms: 5000, awake_ms: 4000 };

    #[test]
    fn a_jump_and_a_sleep_are_told_apart() {
        let later = |wall: i64, boot: i64, awake: i64| Clocks {
            wall_ms: 1_000_000 + wall,
            boot_ms: 5000 + boot,
            awake_ms: 4000 + awake,
        };
        let plain = THEN.until(later(10_000, 10_000, 10_000));
        assert_eq!(plain, Passed { ms: 10_000, jump_ms: 0, asleep_ms: 0 });
        assert_eq!(THEN.until(later(3_610_000, 10_000, 10_000)).jump_ms, 3_600_000);
        assert_eq!(THEN.until(later(-50_000, 10_000, 10_000)).jump_ms, -60_000);
        let slept = THEN.until(later(3_610_000, 3_610_000, 10_000));
        assert_eq!((slept.jump_ms, slept.asleep_ms), (0, 3_600_000));
    }

    #[test]
    fn the_machines_own_clocks_agree() {
        let origin = Instant::now();
        let first = read(origin).expect("clocks");
        let mut later = read(origin).expect("clocks");
        while later.awake_ms < first.awake_ms + 20 {
            later = read(origin).expect("clocks");
        }
        let passed = first.until(later);
        assert!(passed.ms >= 0 && passed.jump_ms.abs() < 1000 && passed.asleep_ms < 1000, "{passed:?}");
    }

    #[test]
    fn a_time_service_is_known_by_its_signs() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(synchronised(dir.path()), Synchronised::Unknown);
        std::fs::create_dir_all(dir.path().join("systemd/timesync")).unwrap();
        assert!(matches!(synchronised(dir.path()), Synchronised::No(_)));
        std::fs::write(dir.path().join("systemd/timesync/synchronized"), "").unwrap();
        assert!(matches!(synchronised(dir.path()), Synchronised::Yes(_)));
    }
}
