//! A comparison with a baseline, and what changed within a run, made up for tests of the reports.

use super::START;
use crate::model::judgement::{BaselineComparison, Change, Changes, MetricChange, SeriesShift, VersionSince};

fn change(metric: &str, change: Change, (before, after): (f64, f64), p: f64, summary: &str) -> MetricChange {
    let shift = ((after / before - 1.0) * 128.0).round() / 128.0;
    MetricChange {
        metric: metric.to_owned(),
        change,
        before: Some(before),
        after: Some(after),
        shift: Some(shift),
        low: Some(shift - 0.03125),
        high: Some(shift + 0.03125),
        effect: Some((shift * 6.0).clamp(-1.0, 1.0)),
        p: Some(p),
        samples: (120, 40),
        detectable: Some(0.071),
        summary: summary.to_owned(),
    }
}

/// Returns a comparison in which something is worse, better, the same and unknown.
pub(crate) fn comparison() -> BaselineComparison {
    let nothing = MetricChange {
        before: None,
        after: Some(64e6),
        shift: None,
        low: None,
        high: None,
        effect: None,
        p: None,
        samples: (0, 40),
        detectable: None,
        ..change("rss.target", Change::CannotTell, (1.0, 1.0), 1.0, "only the later run measured it")
    };
    BaselineComparison {
        baseline: "019b7000-1111-7abc-8def-00000000000b".to_owned(),
        baseline_server: "7a1b".to_owned(),
        server: "8f3c".to_owned(),
        at_ms: START + 286_000,
        changes: vec![
            change("latency_p50.sent", Change::Same, (0.512, 0.517), 0.31, "cycles 5 to 40: no shift of 10 % or more"),
            change("latency_p99.sent", Change::Worse, (0.8192, 0.9175), 0.000_01, "cycles 5 to 40: 12 % more"),
            change("throughput.rows", Change::Better, (16_650.0, 18_420.0), 0.0004, "cycles 5 to 40: 11 % more"),
            nothing,
        ],
        refused: Vec::new(),
    }
}

/// Returns what changed in a run that saw two versions of the server.
pub(crate) fn changes() -> Changes {
    let version = |cycle: u64, server: &str| VersionSince {
        cycle,
        at_ms: START + cycle as i64 * 1000,
        server: server.to_owned(),
    };
    let shift = SeriesShift {
        metric: "latency_p99.sent".to_owned(),
        cycle: 41,
        at_ms: START + 41_000,
        before: 0.8192,
        after: 0.9175,
        shift: 0.12,
        p: 0.000_3,
        change: Change::Worse,
        since: Some("8f3c".to_owned()),
    };
    let nobody = SeriesShift {
        metric: "converge".to_owned(),
        cycle: 17,
        since: None,
        change: Change::Better,
        shift: -0.2,
        ..shift.clone()
    };
    Changes {
        versions: vec![version(1, "7a1b"), version(41, "8f3c")],
        versions_dropped: 0,
        shifts: vec![nobody, shift],
    }
}
