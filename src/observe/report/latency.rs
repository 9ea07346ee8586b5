//! How long the actions of a run took, counted from their intended start.

use super::document::Document;
use super::words::{duration, number};
use crate::model::judgement::LatencySummary;
use crate::model::record::Snapshot;

/// Adds a line for every action that was taken.
pub(super) fn latency(doc: &mut Document, snapshot: &Snapshot) {
    if snapshot.latency.is_empty() {
        return;
    }
    doc.heading("Latency");
    let row = |latency: &LatencySummary| {
        let LatencySummary { action, count, p50_us, p90_us, p99_us, p999_us, max_us } = latency;
        let times = [p50_us, p90_us, p99_us, p999_us, max_us].map(|us| span(*us));
        [action.clone(), number(*count)].into_iter().chain(times).collect()
    };
    doc.table(
        &["Action", ">Count", ">p50", ">p90", ">p99", ">p99.9", ">Longest"],
        snapshot.latency.iter().map(row).collect(),
    );
}

/// Returns a length of time with three digits that mean something: `0.85ms`, `22.4ms`, `1.24s`, `4m 05s`.
pub(super) fn span(us: u64) -> String {
    let ms = us as f64 / 1e3;
    match us {
        0..10_000 => format!("{ms:.2}ms"),
        10_000..1_000_000 => format!("{ms:.1}ms"),
        1_000_000..60_000_000 => format!("{:.2}s", ms / 1e3),
        _ => duration(us / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_times_keep_their_digits() {
        let shown = [0, 850, 22_440, 999_900, 1_240_000, 245_000_000].map(span);
        assert_eq!(shown, ["0.00ms", "0.85ms", "22.4ms", "999.9ms", "1.24s", "4m 05s"]);
    }
}
