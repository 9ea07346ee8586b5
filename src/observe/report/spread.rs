//! Whether errors of one cause come together or are spread over a run, by a rule that is stated with the answer.

use super::words;
use crate::model::record::FindingGroup;

/// Slots that a run is cut into at most.
const SLOTS_MAX: i64 = 64;
/// With fewer slots nothing can be said.
const SLOTS_MIN: i64 = 8;
/// Share within two neighbouring slots that makes a burst.
const BURST_SHARE: f64 = 0.9;

/// How the findings of one cause lie in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Seen once.
    Single,
    /// Nine of ten within two neighbouring slots.
    Burst,
    /// More uneven than chance would have it.
    Clustered,
    /// As even as chance, or more so.
    Spread,
    /// The run is too short for an answer.
    Unclear,
}

impl Shape {
    /// Returns the word for it in the JSON report.
    pub fn word(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Burst => "burst",
            Self::Clustered => "clustered",
            Self::Spread => "spread",
            Self::Unclear => "unclear",
        }
    }
}

/// The answer with the figures it rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub shape: Shape,
    /// Index of dispersion of the counts per slot: variance over mean, about 1 for errors that come by chance.
    pub index: f64,
    /// The index from which errors count as clustered: three standard deviations above 1.
    pub limit: f64,
    pub slots: u64,
    pub slot_ms: u64,
    /// Largest share within two neighbouring slots, and where they begin.
    pub peak_share: f64,
    pub peak_from_ms: i64,
}

/// Judges the time line of a group against the whole time of its run.
pub fn spread(group: &FindingGroup, run_from: i64, run_until: i64) -> Spread {
    let from = run_from.min(group.timeline_from_ms);
    let until = run_until.max(group.last_ms).saturating_add(1);
    let mut slot_ms = group.timeline_slot_ms.max(1);
    let slots_at = |width: i64| (until.saturating_sub(from) - 1) / width + 1;
    while slots_at(slot_ms) > SLOTS_MAX {
        slot_ms = slot_ms.saturating_mul(2);
    }
    let mut counts = vec![0u64; slots_at(slot_ms) as usize];
    for (at, count) in (0i64..).zip(&group.timeline) {
        let begin = group.timeline_from_ms.saturating_add(at.saturating_mul(group.timeline_slot_ms));
        let slot = ((begin - from) / slot_ms) as usize;
        let last = counts.len() - 1;
        counts[slot.min(last)] += count;
    }
    let n = counts.len() as f64;
    let total = counts.iter().sum::<u64>().max(1) as f64;
    let mean = total / n;
    let variance = counts.iter().map(|count| (*count as f64 - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let (peak_at, peak) = peak(&counts);
    let mut spread = Spread {
        shape: Shape::Spread,
        index: variance / mean,
        limit: 1.0 + 3.0 * (2.0 / (n - 1.0).max(1.0)).sqrt(),
        slots: counts.len() as u64,
        slot_ms: slot_ms as u64,
        peak_share: peak as f64 / total,
        peak_from_ms: from.saturating_add(peak_at as i64 * slot_ms),
    };
    spread.shape = match () {
        () if group.count <= 1 => Shape::Single,
        () if (counts.len() as i64) < SLOTS_MIN => Shape::Unclear,
        () if spread.peak_share >= BURST_SHARE => Shape::Burst,
        () if spread.index > spread.limit => Shape::Clustered,
        () => Shape::Spread,
    };
    spread
}

/// Returns where the fullest pair of neighbouring slots begins, and what it holds; a pair begins with a slot that has some.
fn peak(counts: &[u64]) -> (usize, u64) {
    let pair = |at: usize| counts[at] + counts.get(at + 1).copied().unwrap_or(0);
    let starts = (0..counts.len()).filter(|at| counts[*at] > 0).map(|at| (at, pair(at)));
    starts.max_by_key(|(at, held)| (*held, std::cmp::Reverse(*at))).unwrap_or((0, 0))
}

impl Spread {
    /// Returns the answer in words, with its figures.
    pub fn words(&self) -> String {
        let slots = format!("{} slots of {}", self.slots, words::duration(self.slot_ms));
        let index = format!("index of dispersion {:.1} over {slots}, limit {:.1}", self.index, self.limit);
        match self.shape {
            Shape::Single => "seen once".to_owned(),
            Shape::Unclear => format!("the run is too short to tell ({slots})"),
            Shape::Burst => format!(
                "one burst: {:.0} % within {} from {} ({slots})",
                (self.peak_share * 100.0).floor(),
                words::duration(self.slot_ms * 2),
                words::clock(self.peak_from_ms),
            ),
            Shape::Clustered => format!("clustered ({index})"),
            Shape::Spread => format!("spread over the run ({index})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::a_finding;
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn group(times: impl IntoIterator<Item = i64>) -> FindingGroup {
        let mut times = times.into_iter();
        let mut group = FindingGroup::new(a_finding(times.next().unwrap(), 1));
        times.for_each(|at| group.add(&a_finding(at, 1)));
        group
    }

    #[test]
    fn one_is_single_and_many_at_once_are_a_burst() {
        assert_eq!(spread(&group([5_000]), 0, HOUR).shape, Shape::Single);
        let burst = spread(&group((0..50).map(|n| 1_800_000 + n * 200)), 0, HOUR);
        assert_eq!(burst.shape, Shape::Burst);
        assert!((1_700_000..=1_800_000).contains(&burst.peak_from_ms), "{burst:?}");
        assert!(burst.words().starts_with("one burst: 100 % within 2m 08s from 00:2"), "{}", burst.words());
    }

    #[test]
    fn several_bursts_are_clustered_and_even_errors_are_spread() {
        let bursts = (0..4).flat_map(|burst| (0..20).map(move |n| burst * 900_000 + n * 500));
        let clustered = spread(&group(bursts), 0, HOUR);
        assert_eq!(clustered.shape, Shape::Clustered, "{clustered:?}");
        let even = spread(&group((0..120).map(|n| n * 30_000)), 0, HOUR);
        assert_eq!(even.shape, Shape::Spread, "{even:?}");
        let rare = spread(&group([10_000, 1_200_000, 3_000_000]), 0, HOUR);
        assert_eq!(rare.shape, Shape::Spread, "{rare:?}");
    }

    #[test]
    fn errors_by_chance_are_spread_and_weeks_work_as_well() {
        let mut state = 42u64;
        let mut times: Vec<i64> = (0..400)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 16) as i64 % (48 * 24 * HOUR)
            })
            .collect();
        times.sort_unstable();
        let chance = spread(&group(times), 0, 48 * 24 * HOUR);
        assert_eq!(chance.shape, Shape::Spread, "{chance:?}");
        assert!(chance.slots <= 64);
    }

    #[test]
    fn odd_times_never_panic() {
        assert_eq!(spread(&group([0, 1_000]), 0, 3_000).shape, Shape::Unclear);
        for (from, until) in [(0, 0), (HOUR, 0), (i64::MIN / 4, i64::MAX / 4), (HOUR * 2, HOUR)] {
            let odd = spread(&group([HOUR, HOUR - 5_000, HOUR + 9]), from, until);
            assert!(odd.slots >= 1 && odd.index.is_finite(), "{odd:?}");
        }
    }
}
