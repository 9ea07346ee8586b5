//! The figures of a finished cycle among what is measured of it: latencies, throughput, and what it took to converge.

use crate::model::judgement::LatencySummary;
use crate::model::measure::CycleMeasures;
use crate::model::record::CycleRecord;

/// What a cycle did, beside its record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Rows written, and rows and changes moved to and from the server.
    pub rows: u64,
    pub retries: u64,
    /// True if an earlier life of the daemon began it, so that nobody knows how long it took.
    pub resumed: bool,
}

/// Notes the figures of a cycle; what is not known of it is left out.
pub fn note(record: &CycleRecord, latency: &[LatencySummary], work: Work, measures: &mut CycleMeasures) {
    let life = record.epoch;
    for summary in latency.iter().filter(|summary| summary.count > 0) {
        let LatencySummary { action, p50_us, p90_us, p99_us, max_us, .. } = summary;
        for (kind, us) in [("p50", p50_us), ("p90", p90_us), ("p99", p99_us), ("max", max_us)] {
            measures.note(format!("latency_{kind}.{action}"), *us as f64 / 1e6, life);
        }
    }
    measures.note("errors.cycle", record.errors as f64, life);
    measures.note("retries.cycle", work.retries as f64, life);
    measures.note("converge", record.settle_ms as f64 / 1e3, life);
    if work.resumed {
        return;
    }
    let lasted_ms = record.load_ms + record.settle_ms + record.verify_ms;
    measures.note("cycle", lasted_ms as f64 / 1e3, life);
    if record.load_ms > 0 {
        let load = record.load_ms as f64 / 1e3;
        measures.note("throughput.steps", record.steps as f64 / load, life);
        measures.note("throughput.rows", work.rows as f64 / load, life);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::metric;
    use crate::store::tests::a_cycle;

    fn measured(work: Work, load_ms: u64) -> CycleMeasures {
        let record = CycleRecord { load_ms, errors: 3, ..a_cycle(4, crate::model::verdict::Verdict::Pass) };
        let sent = LatencySummary {
            action: "sent".into(),
            count: 9,
            p50_us: 20_000,
            p90_us: 21_000,
            p99_us: 30_000,
            p999_us: 40_000,
            max_us: 40_000,
        };
        let never = LatencySummary { action: "contended".into(), ..LatencySummary::default() };
        let mut measures = CycleMeasures::default();
        note(&record, &[sent, never], work, &mut measures);
        measures
    }

    #[test]
    fn a_cycle_has_its_figures_in_seconds_and_per_second_of_load() {
        let measures = measured(Work { rows: 400, retries: 2, resumed: false }, 20_000);
        let value = |name: &str| measures.values[name].value;
        assert_eq!(
            [value("latency_p50.sent"), value("latency_p99.sent"), value("latency_max.sent")],
            [0.02, 0.03, 0.04]
        );
        assert_eq!([value("throughput.steps"), value("throughput.rows")], [9.0, 20.0]);
        assert_eq!([value("errors.cycle"), value("retries.cycle"), value("converge")], [3.0, 2.0, 5.456]);
        assert_eq!(value("cycle"), 35.245);
        assert!(measures.values.keys().all(|name| metric::parse(name).is_some()));
        assert!(measures.values.values().all(|value| value.life == 1));
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let resumed = measured(Work { resumed: true, ..Work::default() }, 20_000);
        assert!(resumed.values.contains_key("latency_p50.sent") && resumed.values.contains_key("errors.cycle"));
        assert!(!resumed.values.keys().any(|name| name.starts_with("throughput") || name == "cycle"));
        assert!(!resumed.values.contains_key("latency_p50.contended"));
        assert!(!measured(Work::default(), 0).values.contains_key("throughput.steps"));
    }
}
