//! Finds the row whose content a strange row carries: the counter of a row tells the key that it was made for.

use std::collections::BTreeMap;

use crate::checker::admissible::Model;
use crate::checker::strange::StrangeRow;
use crate::model::content;
use crate::model::ids::RowKey;

/// Updates that a copied row can have seen; the fewer, the less likely it is that a key fits by accident.
const DEPTH_MAX: i64 = 1 << 20;

/// Returns the original of every strange row that has one, in one pass over all keys: rows that are there come first.
pub(super) fn originals<'a>(
    model: &Model,
    seed: u64,
    strange: impl Iterator<Item = &'a StrangeRow>,
) -> BTreeMap<String, RowKey> {
    let mut open: Vec<(i64, &str)> =
        strange.filter(|row| !row.foreign).filter_map(|row| Some((row.counter?, row.key.as_str()))).collect();
    open.sort_unstable();
    open.dedup();
    let mut found = BTreeMap::new();
    if open.is_empty() {
        return found;
    }
    for key in model.live_keys().chain(model.dead_keys()) {
        let text = key.to_string();
        let base = content::base(seed, &text);
        let from = open.partition_point(|(counter, _)| *counter < base);
        let fitting = open[from..].iter().take_while(|(counter, _)| *counter < base.saturating_add(DEPTH_MAX));
        for (_, strange) in fitting.filter(|(_, strange)| *strange != text) {
            found.entry((*strange).to_owned()).or_insert(key);
        }
    }
    found
}
