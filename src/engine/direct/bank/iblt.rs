//! A set of keys in a table of fixed size, whatever it holds. Two such tables can be subtracted, and as long as the sets
//! differ by a few thousand keys, the difference can be read out exactly.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Cells of each of the three parts; every key is in one cell of each.
const PART: usize = 2_731;
const PARTS: usize = 3;
const CELLS: usize = PART * PARTS;
/// Hex digits of one packed cell.
const DIGITS: usize = 8 + 16 + 8;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cell {
    count: i32,
    keys: u64,
    checks: u32,
}

/// The table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Iblt {
    cells: Vec<Cell>,
}

/// What is left of two sets after their subtraction.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Peeled {
    /// Keys of the first set only.
    pub(super) more: Vec<u64>,
    /// Keys of the second set only.
    pub(super) less: Vec<u64>,
    /// False if there is more that cannot be read out.
    pub(super) complete: bool,
}

impl Default for Iblt {
    fn default() -> Self {
        Self { cells: vec![Cell::default(); CELLS] }
    }
}

/// Scrambles a word, so that neighbours have nothing in common.
fn mix(word: u64) -> u64 {
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

fn check(key: u64) -> u32 {
    (mix(key ^ 0x5bd1_e995_9e37_79b9) >> 32) as u32
}

fn places(key: u64) -> [usize; PARTS] {
    let mut word = key;
    std::array::from_fn(|part| {
        word = mix(word.wrapping_add(0x9e37_79b9_7f4a_7c15));
        part * PART + (word % PART as u64) as usize
    })
}

impl Iblt {
    fn change(&mut self, key: u64, by: i32) {
        for place in places(key) {
            let cell = &mut self.cells[place];
            cell.count = cell.count.wrapping_add(by);
            cell.keys ^= key;
            cell.checks ^= check(key);
        }
    }

    /// Adds a key.
    pub(super) fn add(&mut self, key: u64) {
        self.change(key, 1);
    }

    /// Takes a key out; it need not be in yet.
    pub(super) fn remove(&mut self, key: u64) {
        self.change(key, -1);
    }

    /// Takes the keys of another table out of this one, and reads what is left.
    pub(super) fn less(mut self, other: &Self) -> Peeled {
        for (mine, theirs) in self.cells.iter_mut().zip(&other.cells) {
            mine.count = mine.count.wrapping_sub(theirs.count);
            mine.keys ^= theirs.keys;
            mine.checks ^= theirs.checks;
        }
        let mut peeled = Peeled::default();
        let mut waiting: Vec<usize> = (0..CELLS).collect();
        while let Some(place) = waiting.pop() {
            let Cell { count, keys, checks } = self.cells[place];
            let alone = count.abs() == 1 && check(keys) == checks && places(keys).contains(&place);
            // A damaged table must not keep this going for ever.
            if !alone || peeled.more.len() + peeled.less.len() > CELLS {
                continue;
            }
            self.change(keys, -count);
            let side = if count > 0 { &mut peeled.more } else { &mut peeled.less };
            side.push(keys);
            waiting.extend(places(keys));
        }
        peeled.complete = self.cells.iter().all(|cell| *cell == Cell::default());
        peeled.more.sort_unstable();
        peeled.less.sort_unstable();
        peeled
    }
}

impl Serialize for Iblt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(CELLS * DIGITS);
        for cell in &self.cells {
            use std::fmt::Write;
            // Writing into a text cannot fail.
            let _ = write!(text, "{:08x}{:016x}{:08x}", cell.count as u32, cell.keys, cell.checks);
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Iblt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() != CELLS * DIGITS || !text.is_ascii() {
            return Err(D::Error::custom("the table of accounts has not its size"));
        }
        let number = |digits: &str| u64::from_str_radix(digits, 16).map_err(D::Error::custom);
        let cells = (0..CELLS).map(|at| {
            let cell = &text[at * DIGITS..(at + 1) * DIGITS];
            Ok(Cell {
                count: number(&cell[..8])? as u32 as i32,
                keys: number(&cell[8..24])?,
                checks: number(&cell[24..])? as u32,
            })
        });
        Ok(Self { cells: cells.collect::<Result<_, D::Error>>()? })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(keys: impl IntoIterator<Item = u64>) -> Iblt {
        let mut table = Iblt::default();
        keys.into_iter().for_each(|key| table.add(key));
        table
    }

    #[test]
    fn a_small_difference_of_large_sets_is_found() {
        let kept = 0..200_000u64;
        let peeled = of(kept.clone().chain([1 << 50, 1 << 51])).less(&of(kept.chain([1 << 52])));
        assert_eq!(peeled, Peeled { more: vec![1 << 50, 1 << 51], less: vec![1 << 52], complete: true });
    }

    #[test]
    fn thousands_are_found_and_more_is_said_to_be_too_much() {
        let peeled = of(0..6_000).less(&Iblt::default());
        assert!(peeled.complete && peeled.more.iter().copied().eq(0..6_000));
        assert!(!of(0..60_000).less(&Iblt::default()).complete);
    }

    #[test]
    fn the_order_does_not_count_and_twice_is_once_too_often() {
        let mut table = Iblt::default();
        table.remove(7);
        table.add(7);
        assert_eq!(table, Iblt::default());
        assert_eq!(of([7, 7]).less(&of([7])).more, [7]);
        assert!(!of([7, 7]).less(&Iblt::default()).complete, "two of one key are not silently nothing");
    }

    #[test]
    fn it_is_kept_as_text() {
        let table = of((0..50_000).map(|n| n * 77));
        let text = serde_json::to_string(&table).unwrap();
        assert!(text.len() < 300_000, "{}", text.len());
        assert_eq!(serde_json::from_str::<Iblt>(&text).unwrap(), table);
        assert!(serde_json::from_str::<Iblt>("\"00\"").is_err());
        assert!(serde_json::from_str::<Iblt>(&text.replacen('0', "x", 1)).is_err());
    }

    proptest! {
        #[test]
        fn differences_are_exact(common in prop::collection::btree_set(any::<u64>(), 0..300),
                                 one in prop::collection::btree_set(any::<u64>(), 0..300),
                                 two in prop::collection::btree_set(any::<u64>(), 0..300)) {
            let first: BTreeSet<u64> = common.union(&one).copied().collect();
            let second: BTreeSet<u64> = common.union(&two).copied().collect();
            let peeled = of(first.iter().copied()).less(&of(second.iter().copied()));
            prop_assert!(peeled.complete);
            prop_assert!(peeled.more.iter().eq(first.difference(&second)));
            prop_assert!(peeled.less.iter().eq(second.difference(&first)));
        }
    }
}
