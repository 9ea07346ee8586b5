//! Reads lists of runs: the state of one row, and the rows in which two lists differ.

use crate::model::ids::RowKey;
use crate::model::journal::{StateRun, Version};

/// Differences that one pair of replicas lists.
const DIFFERENCES_MAX: usize = 10_000;

/// Calls `found` for every row in which two lists of runs differ.
pub(super) fn differences(
    a: &[StateRun],
    b: &[StateRun],
    mut found: impl FnMut(RowKey, Option<Version>, Option<Version>),
) {
    let mut left = DIFFERENCES_MAX;
    let mut compare = |from: &[StateRun], to: &[StateRun], flip: bool| {
        for run in from {
            let mut row = run.first;
            while row <= run.last && left > 0 {
                let other = run_at(to, run.class.key(row));
                let until = other.map_or_else(|| next_start(to, run, row), |o| o.last).min(run.last);
                let theirs = other.map(|o| o.version);
                if theirs != Some(run.version) && (!flip || theirs.is_none()) {
                    for row in row..=until {
                        let pair = (Some(run.version), theirs);
                        let pair = if flip { (pair.1, pair.0) } else { pair };
                        found(run.class.key(row), pair.0, pair.1);
                        left = left.saturating_sub(1);
                    }
                }
                if until == u32::MAX {
                    break;
                }
                row = until + 1;
            }
        }
    };
    compare(a, b, false);
    compare(b, a, true);
}

/// Returns the last row before the next run of `to` in the class of `run`, after `row`.
fn next_start(to: &[StateRun], run: &StateRun, row: u32) -> u32 {
    let at = to.partition_point(|r| (r.class, r.first) <= (run.class, row));
    to.get(at).filter(|r| r.class == run.class).map_or(u32::MAX, |r| r.first - 1)
}

fn run_at(states: &[StateRun], key: RowKey) -> Option<&StateRun> {
    let at = states.partition_point(|r| (r.class, r.last) < (key.class(), key.row));
    states.get(at).filter(|r| r.class == key.class() && r.first <= key.row)
}

/// Returns the state of a row in a list of runs.
pub(super) fn state_in(states: &[StateRun], key: RowKey) -> Option<Version> {
    run_at(states, key).map(|run| run.version)
}

/// Returns the keys of a list of runs.
pub(super) fn all_keys(states: &[StateRun]) -> impl Iterator<Item = RowKey> + '_ {
    states.iter().flat_map(|run| (run.first..=run.last).map(|row| run.class.key(row)))
}
