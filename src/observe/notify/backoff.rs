//! When a failed message is tried again: a pure rule of the number of attempts and the message's key.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Wait after the first failure; every further one doubles it.
const FIRST: Duration = Duration::from_secs(5);
/// Longest wait that soakd chooses by itself.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Longest wait that the other side may ask for.
const ASKED_MAX: Duration = Duration::from_secs(3600);

/// Returns the wait after a failed attempt, of which `before` came earlier. Up to a fifth is taken off, by the key, so that
/// many daemons do not come back at the same moment; the same key and attempt always wait equally long.
pub(super) fn wait(before: u32, key: &str, asked: Option<Duration>) -> Duration {
    let whole = FIRST.saturating_mul(1_u32.checked_shl(before.min(30)).unwrap_or(u32::MAX)).min(LONGEST);
    let thousandths = (xxh3_64_with_seed(key.as_bytes(), u64::from(before)) % 201) as u32;
    let own = whole - whole * thousandths / 1000;
    asked.map_or(own, |asked| own.max(asked.min(ASKED_MAX)))
}

/// Returns true for the failures of a row that are worth a log line: the first, and then each doubling.
pub(super) fn worth_a_line(failures: u64) -> bool {
    failures.is_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour() {
        for (before, whole) in [(0, 5), (1, 10), (2, 20), (3, 40), (7, 640), (8, 900), (40, 900), (u32::MAX, 900)] {
            let wait = wait(before, "key", None);
            let whole = Duration::from_secs(whole);
            assert!(wait <= whole && wait >= whole * 4 / 5, "{before}: {wait:?}");
        }
    }

    #[test]
    fn the_key_decides_and_nothing_else() {
        assert_eq!(wait(3, "a", None), wait(3, "a", None));
        let waits: std::collections::BTreeSet<_> = (0..50).map(|n| wait(3, &format!("key {n}"), None)).collect();
        assert!(waits.len() > 20, "{waits:?}");
    }

    #[test]
    fn the_other_side_may_ask_for_an_hour_at_most_and_never_for_less() {
        let secs = |n| Some(Duration::from_secs(n));
        assert_eq!(wait(0, "a", secs(120)), Duration::from_secs(120));
        assert_eq!(wait(0, "a", secs(86_400)), ASKED_MAX);
        assert_eq!(wait(5, "a", secs(1)), wait(5, "a", None));
    }

    #[test]
    fn a_day_of_failures_is_a_few_lines() {
        assert_eq!((1..=200).filter(|n| worth_a_line(*n)).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 64, 128]);
    }
}
