//! How fast an error budget is burnt: errors against operations over a long and a short window at once, so that neither a blip
//! nor something that is long over counts (Google, "The Site Reliability Workbook", 2018, chapter 5).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Stretches of time that are remembered; when there are more, the older half is merged two and two.
const SPANS_MAX: usize = 2048;

/// A pair of windows, and how many times as fast as it lasts a budget may be burnt in both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    pub name: &'static str,
    pub long_ms: i64,
    pub short_ms: i64,
    pub factor: f64,
}

/// The pairs that are looked at: 2 % of a month's budget in an hour, and 5 % of it in six.
pub const WINDOWS: [Window; 2] = [
    Window { name: "1 h and 5 min", long_ms: HOUR, short_ms: 5 * MINUTE, factor: 14.4 },
    Window { name: "6 h and 30 min", long_ms: 6 * HOUR, short_ms: 30 * MINUTE, factor: 6.0 },
];

/// A stretch of time with its operations and the errors among them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    pub from_ms: i64,
    pub until_ms: i64,
    pub errors: u64,
    pub operations: u64,
}

/// How fast the budget was burnt at one moment: 1 uses it up exactly in its time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burn {
    pub at_ms: i64,
    pub long: f64,
    pub short: f64,
}

impl Burn {
    /// Returns the slower of the two: both have to be too fast.
    pub fn both(&self) -> f64 {
        self.long.min(self.short)
    }
}

/// The spans of the last hours, and the fastest burn that was ever seen. It grows with neither time nor errors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Meter {
    spans: VecDeque<Span>,
    /// When the first span began.
    pub since_ms: Option<i64>,
    pub last_ms: i64,
    pub errors: u64,
    pub operations: u64,
    /// By pair of windows; none until the longer one has passed once.
    pub worst: [Option<Burn>; WINDOWS.len()],
    /// Spans at whose end both windows burnt too fast, by pair.
    pub alarms: [u64; WINDOWS.len()],
}

impl Meter {
    /// Adds the span after the last one; `objective` is the share of operations that has to succeed.
    pub fn add(&mut self, span: Span, objective: f64) {
        let span = Span { until_ms: span.until_ms.max(span.from_ms), ..span };
        let since_ms = *self.since_ms.get_or_insert(span.from_ms);
        self.last_ms = self.last_ms.max(span.until_ms);
        self.errors += span.errors;
        self.operations += span.operations;
        self.spans.push_back(span);
        let longest = WINDOWS.iter().map(|window| window.long_ms).max().unwrap_or(0);
        while self.spans.front().is_some_and(|old| old.until_ms < span.until_ms.saturating_sub(longest)) {
            self.spans.pop_front();
        }
        if self.spans.len() > SPANS_MAX {
            self.merge();
        }
        for (at, window) in WINDOWS.iter().enumerate() {
            // A window that has not passed yet would take a few errors at the start for an hour of them.
            if span.until_ms.saturating_sub(since_ms) < window.long_ms {
                continue;
            }
            let now = burn(self.spans.iter(), window, objective, span.until_ms);
            self.alarms[at] += u64::from(now.both() >= window.factor);
            if self.worst[at].is_none_or(|worst| now.both() > worst.both()) {
                self.worst[at] = Some(now);
            }
        }
    }

    fn merge(&mut self) {
        let half = self.spans.len() / 2;
        let recent = self.spans.split_off(half);
        let old: Vec<Span> = self.spans.drain(..).collect();
        self.spans.extend(old.chunks(2).map(|pair| Span {
            from_ms: pair[0].from_ms,
            until_ms: pair[pair.len() - 1].until_ms,
            errors: pair.iter().map(|span| span.errors).sum(),
            operations: pair.iter().map(|span| span.operations).sum(),
        }));
        self.spans.extend(recent);
    }
}

/// Returns how fast a budget is burnt at a moment; a span that only partly lies in a window counts by that part.
fn burn<'a>(spans: impl Iterator<Item = &'a Span> + Clone, window: &Window, objective: f64, at_ms: i64) -> Burn {
    let budget = (1.0 - objective).max(1e-9);
    let over = |length_ms: i64| {
        let from = at_ms.saturating_sub(length_ms);
        let (mut errors, mut operations) = (0.0, 0.0);
        for span in spans.clone() {
            let length = (span.until_ms - span.from_ms).max(1) as f64;
            let inside = (span.until_ms.min(at_ms) - span.from_ms.max(from)).max(0) as f64;
            let part = if span.until_ms == span.from_ms && span.from_ms >= from { 1.0 } else { inside / length };
            errors += span.errors as f64 * part.min(1.0);
            operations += span.operations as f64 * part.min(1.0);
        }
        if operations > 0.0 { (errors / operations).min(1.0) / budget } else { 0.0 }
    };
    Burn { at_ms, long: over(window.long_ms), short: over(window.short_ms) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds minutes with 100 operations each, of which `errors` fail.
    fn meter(minutes: i64, errors: impl Fn(i64) -> u64) -> Meter {
        let mut meter = Meter::default();
        for minute in 0..minutes {
            let (from_ms, until_ms) = (minute * MINUTE, (minute + 1) * MINUTE);
            meter.add(Span { from_ms, until_ms, errors: errors(minute), operations: 100 }, 0.99);
        }
        meter
    }

    #[test]
    fn a_budget_that_lasts_is_not_burnt() {
        let healthy = meter(600, |minute| u64::from(minute % 2 == 0));
        assert_eq!(healthy.alarms, [0, 0]);
        let worst = healthy.worst[0].unwrap();
        assert!(worst.both() < 1.0, "{worst:?}");
        assert_eq!((healthy.errors, healthy.operations), (300, 60_000));
    }

    #[test]
    fn fast_and_slow_burns_are_found_by_their_own_window() {
        // A fifth of all operations fails for an hour.
        let fast = meter(600, |minute| if (300..360).contains(&minute) { 20 } else { 0 });
        assert!(fast.alarms[0] > 0, "{fast:?}");
        assert!((fast.worst[0].unwrap().both() - 20.0).abs() < 1e-9);
        // Seven in a hundred for the whole time are too slow for the first pair and too fast for the second.
        let slow = meter(600, |_| 7);
        assert_eq!(slow.alarms[0], 0);
        assert!(slow.alarms[1] > 200, "{slow:?}");
    }

    #[test]
    fn a_blip_is_no_burn_and_a_short_run_is_not_judged() {
        let blip = meter(600, |minute| if minute == 300 { 100 } else { 0 });
        assert_eq!(blip.alarms, [0, 0]);
        let short = meter(59, |_| 100);
        assert_eq!((short.worst, short.alarms), ([None, None], [0, 0]));
        assert_eq!(meter(0, |_| 0).since_ms, None);
    }

    #[test]
    fn it_stays_small_and_counts_parts_of_long_spans() {
        let mut meter = Meter::default();
        for second in 0..20_000 {
            let (from_ms, until_ms) = (second * 500, second * 500 + 500);
            meter.add(Span { from_ms, until_ms, errors: 0, operations: 1 }, 0.99);
        }
        assert!(meter.spans.len() <= SPANS_MAX);
        let mut long = Meter::default();
        long.add(Span { from_ms: 0, until_ms: 10 * HOUR, errors: 500, operations: 1_000 }, 0.99);
        let worst = long.worst[0].unwrap();
        assert!((worst.long - 50.0).abs() < 1e-9 && (worst.short - 50.0).abs() < 1e-9, "{worst:?}");
        long.add(Span { from_ms: 5, until_ms: 5, errors: 0, operations: 0 }, 0.99);
        assert_eq!(long.last_ms, 10 * HOUR);
    }
}
