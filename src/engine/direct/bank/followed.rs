//! Followed accounts as one text of checkpoints: key, id, received less sent, open operations, whether gone, and what was held.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

use super::ledger::Followed;

/// Hex digits of one packed account.
const DIGITS: usize = 6 * 16;

pub(super) fn serialize<S: Serializer>(all: &BTreeMap<u64, Followed>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = String::with_capacity(all.len() * DIGITS);
    for (key, Followed { id, net, open, gone }) in all {
        let state = match gone {
            None => 0,
            Some(None) => 1,
            Some(Some(_)) => 2,
        };
        let held = gone.flatten().unwrap_or(0);
        for word in [*key, *id as u64, *net as u64, u64::from(*open), state, held as u64] {
            use std::fmt::Write;
            // Writing into a text cannot fail.
            let _ = write!(text, "{word:016x}");
        }
    }
    serializer.serialize_str(&text)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<u64, Followed>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() % DIGITS != 0 || !text.is_ascii() {
        return Err(D::Error::custom("the accounts are cut off"));
    }
    let account = |at: usize| {
        let mut words = [0u64; 6];
        for (no, word) in words.iter_mut().enumerate() {
            let digits = &text[at + no * 16..at + (no + 1) * 16];
            *word = u64::from_str_radix(digits, 16).map_err(D::Error::custom)?;
        }
        let [key, id, net, open, state, held] = words;
        let gone = match state {
            0 => None,
            1 => Some(None),
            _ => Some(Some(held as i64)),
        };
        Ok((key, Followed { id: id as i64, net: net as i64, open: open as u32, gone }))
    };
    (0..text.len()).step_by(DIGITS).map(account).collect()
}
