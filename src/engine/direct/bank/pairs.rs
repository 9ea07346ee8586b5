//! Transfers by pair of accounts: how many, how much, and the operations of all of them in one word, as long as both accounts
//! are there.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Pairs that are kept at most.
pub(super) const PAIRS_MAX: usize = 200_000;
/// Hex digits of one packed pair.
const DIGITS: usize = 5 * 16;

/// What went from one account to another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) count: i64,
    pub(super) amount: i64,
    /// The keys of the operations, one over the other: that of a single one can be read.
    pub(super) keys: u64,
}

/// All pairs, by the keys of sender and receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pairs {
    by: BTreeMap<(u64, u64), Pair>,
    /// The same pairs by receiver and sender.
    back: BTreeSet<(u64, u64)>,
    /// True if there were more than are kept.
    pub(super) overflow: bool,
}

impl Pairs {
    /// Adds transfers, or takes them away.
    pub(super) fn add(&mut self, pair: (u64, u64), added: Pair) {
        if self.by.len() >= PAIRS_MAX && !self.by.contains_key(&pair) {
            self.overflow = true;
            return;
        }
        let known = self.by.entry(pair).or_default();
        known.count += added.count;
        known.amount += added.amount;
        known.keys ^= added.keys;
        if *known == Pair::default() {
            self.by.remove(&pair);
            self.back.remove(&(pair.1, pair.0));
        } else {
            self.back.insert((pair.1, pair.0));
        }
    }

    /// Forgets all pairs of an account.
    pub(super) fn forget(&mut self, account: u64) {
        let all = (account, 0)..=(account, u64::MAX);
        let sent: Vec<_> = self.by.range(all.clone()).map(|(pair, _)| *pair).collect();
        let received: Vec<_> = self.back.range(all).map(|(to, from)| (*from, *to)).collect();
        for pair in sent.into_iter().chain(received) {
            self.by.remove(&pair);
            self.back.remove(&(pair.1, pair.0));
        }
    }

    /// Goes through all pairs.
    pub(super) fn iter(&self) -> impl Iterator<Item = ((u64, u64), Pair)> {
        self.by.iter().map(|(pair, what)| (*pair, *what))
    }

    /// Returns how many pairs there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by.len()
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(1 + self.by.len() * DIGITS);
        text.push(if self.overflow { '+' } else { '=' });
        for ((from, to), pair) in &self.by {
            use std::fmt::Write;
            for word in [*from, *to, pair.count as u64, pair.amount as u64, pair.keys] {
                // Writing into a text cannot fail.
                let _ = write!(text, "{word:016x}");
            }
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (rest, overflow) = match (text.strip_prefix('+'), text.strip_prefix('=')) {
            (Some(rest), _) => (rest, true),
            (_, Some(rest)) => (rest, false),
            _ => return Err(D::Error::custom("the pairs of accounts begin with no sign")),
        };
        if rest.len() % DIGITS != 0 || !rest.is_ascii() {
            return Err(D::Error::custom("the pairs of accounts are cut off"));
        }
        let mut pairs = Self { overflow, ..Self::default() };
        for at in (0..rest.len()).step_by(DIGITS) {
            let mut words = [0u64; 5];
            for (no, word) in words.iter_mut().enumerate() {
                let digits = &rest[at + no * 16..at + (no + 1) * 16];
                *word = u64::from_str_radix(digits, 16).map_err(D::Error::custom)?;
            }
            let [from, to, count, amount, keys] = words;
            pairs.by.insert((from, to), Pair { count: count as i64, amount: amount as i64, keys });
            pairs.back.insert((to, from));
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(amount: i64, keys: u64) -> Pair {
        Pair { count: 1, amount, keys }
    }

    #[test]
    fn pairs_go_with_their_accounts() {
        let mut pairs = Pairs::default();
        for (pair, amount) in [((1, 2), 5), ((2, 1), 6), ((1, 3), 7), ((3, 4), 8), ((1, 2), 9)] {
            pairs.add(pair, one(amount, amount as u64));
        }
        assert_eq!(pairs.iter().next(), Some(((1, 2), Pair { count: 2, amount: 14, keys: 5 ^ 9 })));
        let text = serde_json::to_string(&pairs).unwrap();
        assert_eq!(serde_json::from_str::<Pairs>(&text).unwrap(), pairs);
        pairs.forget(1);
        assert!(pairs.iter().map(|(pair, _)| pair).eq([(3, 4)]) && pairs.back.len() == 1);
        pairs.add((3, 4), Pair { count: -1, amount: -8, keys: 8 });
        assert!(pairs.len() == 0 && pairs.back.is_empty());
    }

    #[test]
    fn there_is_a_bound_and_whoever_passes_it_is_told() {
        let mut pairs = Pairs::default();
        (0..=PAIRS_MAX as u64).for_each(|n| pairs.add((n, n + 1), one(1, n)));
        assert!(pairs.overflow && pairs.len() == PAIRS_MAX);
        let text = serde_json::to_string(&Pairs { overflow: true, ..Pairs::default() }).unwrap();
        assert!(serde_json::from_str::<Pairs>(&text).unwrap().overflow);
        for wrong in ["\"\"", "\"=0\"", "\"=zz\""] {
            assert!(serde_json::from_str::<Pairs>(wrong).is_err(), "{wrong}");
        }
    }
}
