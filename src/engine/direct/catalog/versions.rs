//! The versions of one dataset that were acknowledged, in bounded memory: all up to the highest but for the gaps between them.

use serde::{Deserialize, Serialize};

/// Gaps that are told apart; of more, the lowest are given up.
const GAPS_MAX: usize = 256;

/// Acknowledged versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Versions {
    /// The highest one.
    top: i64,
    /// Versions below it that nobody was told of, from first to last, in order.
    gaps: Vec<(i64, i64)>,
    /// Nothing is told apart below it.
    known_from: i64,
}

/// What a version is that somebody was told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// The highest one so far.
    Top,
    Late,
    /// Somebody else was told of it before.
    Twice,
    /// It is too old to be told from others.
    Unknown,
}

impl Default for Versions {
    fn default() -> Self {
        Self { top: 1, gaps: Vec::new(), known_from: 2 }
    }
}

impl Versions {
    /// Returns the highest version that was acknowledged, or the one that a dataset begins with.
    pub(super) fn top(&self) -> i64 {
        self.top
    }

    /// Takes in that a version was acknowledged.
    pub(super) fn acknowledge(&mut self, version: i64) -> Told {
        if version > self.top {
            if version > self.top + 1 {
                self.gaps.push((self.top + 1, version - 1));
            }
            self.top = version;
            self.forget();
            return Told::Top;
        }
        if version < self.known_from {
            return if version < 2 { Told::Twice } else { Told::Unknown };
        }
        let Some(at) = self.gaps.iter().position(|(first, last)| (*first..=*last).contains(&version)) else {
            return Told::Twice;
        };
        let (first, last) = self.gaps.remove(at);
        if version < last {
            self.gaps.insert(at, (version + 1, last));
        }
        if first < version {
            self.gaps.insert(at, (first, version - 1));
        }
        self.forget();
        Told::Late
    }

    /// Returns whether a version was acknowledged; `None` if it is too old to be told.
    pub(super) fn holds(&self, version: i64) -> Option<bool> {
        if version > self.top {
            return Some(false);
        }
        if (2..self.known_from).contains(&version) {
            return None;
        }
        Some(!self.gaps.iter().any(|(first, last)| (*first..=*last).contains(&version)))
    }

    fn forget(&mut self) {
        while self.gaps.len() > GAPS_MAX {
            let (_, last) = self.gaps.remove(0);
            self.known_from = last + 1;
        }
    }
}

/// Counts how many versions were seen; those far below the highest are no longer told apart, and not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Distinct {
    top: i64,
    /// Bit n: the version n below the highest was seen.
    window: u64,
    pub(super) count: u64,
}

impl Distinct {
    /// Takes in a version that was seen.
    pub(super) fn see(&mut self, version: i64) {
        if version > self.top {
            let by = u32::try_from(version - self.top).unwrap_or(u32::MAX);
            self.window = self.window.checked_shl(by).unwrap_or(0) | 1;
            self.top = version;
            self.count += 1;
        } else if let Some(bit) = 1u64.checked_shl(u32::try_from(self.top - version).unwrap_or(u32::MAX))
            && self.window & bit == 0
        {
            self.window |= bit;
            self.count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_that_are_told_twice_are_known() {
        let mut versions = Versions::default();
        let told = [2, 3, 7, 5, 5, 4, 6, 6, 2, 1, 8].map(|version| versions.acknowledge(version));
        use Told::*;
        assert_eq!(told, [Top, Top, Top, Late, Twice, Late, Late, Twice, Twice, Twice, Top]);
        assert_eq!((versions.top(), versions.gaps.len()), (8, 0));
        assert_eq!([1, 8, 9].map(|version| versions.holds(version)), [Some(true), Some(true), Some(false)]);
    }

    #[test]
    fn many_gaps_are_given_up_and_nothing_is_claimed_of_them() {
        let mut versions = Versions::default();
        (1..=10_000).for_each(|n| assert_eq!(versions.acknowledge(n * 1_000_000), Told::Top));
        assert!(versions.gaps.len() <= GAPS_MAX);
        assert_eq!((versions.holds(5), versions.acknowledge(5)), (None, Told::Unknown));
        assert_eq!(versions.acknowledge(9_999_999_999), Told::Late);
    }

    #[test]
    fn a_jump_of_any_size_is_one_gap() {
        let mut versions = Versions::default();
        assert_eq!(versions.acknowledge(i64::MAX - 1), Told::Top);
        assert_eq!((versions.gaps.len(), versions.acknowledge(1 << 40)), (1, Told::Late));
        let mut distinct = Distinct::default();
        [i64::MAX - 1, 1, 1, i64::MAX - 2].into_iter().for_each(|version| distinct.see(version));
        assert_eq!(distinct.count, 2);
    }

    proptest! {
        #[test]
        fn it_knows_what_a_set_would_know(told in prop::collection::vec(2i64..60, 0..80)) {
            let (mut versions, mut set, mut distinct) = (Versions::default(), BTreeSet::from([1]), Distinct::default());
            for version in told {
                distinct.see(version);
                let new = set.insert(version);
                let said = versions.acknowledge(version);
                prop_assert_eq!(new, matches!(said, Told::Top | Told::Late));
                prop_assert_eq!(versions.top(), *set.last().unwrap());
            }
            for version in 1..70 {
                prop_assert_eq!(versions.holds(version), Some(set.contains(&version)));
            }
            prop_assert_eq!(distinct.count, set.len() as u64 - 1);
        }
    }
}
