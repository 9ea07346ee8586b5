//! The tables of an export about figures: what was measured, what the criteria made of it, and latencies.

use super::table::Kind::{Integer, Real, Text, Time};
use super::table::{Cell, Table, column, maybe};
use super::tables::{In, of_run};
use crate::model::judgement::{CriterionResult, LatencySummary};
use crate::model::measure::Measured;
use crate::model::metric::{self, Unit};
use crate::model::series::Point;

/// A point of a metric.
pub(super) struct Of<P> {
    pub(super) metric: String,
    pub(super) point: P,
}

/// Returns the unit of a metric; empty where the name says none.
fn unit(metric: &str) -> Cell {
    match metric::parse(metric).map(|(kind, _)| kind.unit) {
        Some(Unit::Bytes) => "bytes",
        Some(Unit::Count) => "count",
        Some(Unit::Seconds) => "seconds",
        Some(Unit::PerSecond) => "per second",
        Some(Unit::Share) => "share",
        None => "",
    }
    .into()
}

pub(super) const MEASURES: Table<In<Of<Measured>>> = Table {
    name: "measures",
    doc: "What was measured at the quiet end of each cycle, one metric after another. Up to 2,048 points of a metric are kept: \
          in a long run neighbours are joined, and `samples` says how many cycles a point stands for.",
    columns: &[
        of_run(),
        column("metric", Text, "Name of the metric, as in `rss.target`.", |m| (&m.row.metric).into()),
        column("unit", Text, "`bytes`, `count`, `seconds`, `per second` or `share`; empty if unknown.", |m| {
            unit(&m.row.metric)
        }),
        column("at_ms", Time, "When the first of its cycles was measured.", |m| m.row.point.at_ms.into()),
        column("cycle", Integer, "The first of its cycles.", |m| m.row.point.cycle.into()),
        column("life", Integer, "Changes whenever what is measured was started anew.", |m| m.row.point.life.into()),
        column("samples", Integer, "Cycles that it stands for.", |m| m.row.point.samples.into()),
        maybe("mean", Real, "Mean over them.", |m| m.row.point.mean.into()),
        maybe("min", Real, "The smallest value.", |m| m.row.point.min.into()),
        maybe("max", Real, "The largest value.", |m| m.row.point.max.into()),
    ],
};

pub(super) const SERIES: Table<In<Of<Point>>> = Table {
    name: "series",
    doc: "What was sampled by the clock while the run lasted: every sample of the last minutes, one point a minute of the last \
          days, one an hour before that.",
    columns: &[
        of_run(),
        column("metric", Text, "Name of the series, as in `rss.daemon`.", |s| (&s.row.metric).into()),
        column("unit", Text, "As in `measures`.", |s| unit(&s.row.metric)),
        column("at_ms", Time, "When the first of its samples was taken.", |s| s.row.point.at_ms.into()),
        column("samples", Integer, "Samples that it stands for.", |s| s.row.point.samples.into()),
        maybe("mean", Real, "Mean over them.", |s| s.row.point.mean.into()),
        maybe("min", Real, "The smallest value.", |s| s.row.point.min.into()),
        maybe("max", Real, "The largest value.", |s| s.row.point.max.into()),
    ],
};

/// A criterion, and when it was judged.
pub(super) struct Judged {
    pub(super) at_ms: i64,
    pub(super) cycle: u64,
    pub(super) result: CriterionResult,
}

pub(super) const CRITERIA: Table<In<Judged>> = Table {
    name: "criteria",
    doc: "What the criteria came to when they were last judged. Figures are in the unit of the metric, slopes per hour.",
    columns: &[
        of_run(),
        column("judged_ms", Time, "When they were judged.", |c| c.row.at_ms.into()),
        column("judged_cycle", Integer, "The last cycle that was looked at.", |c| c.row.cycle.into()),
        column("criterion", Text, "Name as in the configuration.", |c| (&c.row.result.criterion).into()),
        column("metric", Text, "What was judged; empty for the run as a whole.", |c| (&c.row.result.metric).into()),
        maybe("verdict", Text, "Its verdict; none if it was not judged, which is no pass.", |c| {
            c.row.result.verdict.map_or(Cell::Null, Cell::word)
        }),
        column("summary", Text, "What was proven, what failed, or why nothing could be said.", |c| {
            (&c.row.result.summary).into()
        }),
        maybe("allowed", Real, "The limit.", |c| c.row.result.limit.into()),
        maybe("value", Real, "The value.", |c| c.row.result.value.into()),
        maybe("low", Real, "Lower end of its confidence interval.", |c| c.row.result.low.into()),
        maybe("high", Real, "Upper end of its confidence interval.", |c| c.row.result.high.into()),
        maybe("confidence", Real, "Confidence of the interval, a part of 1.", |c| c.row.result.confidence.into()),
        column("samples", Integer, "Values that it was judged by.", |c| c.row.result.samples.into()),
        maybe("detectable", Real, "The smallest effect that would have been seen.", |c| c.row.result.detectable.into()),
        maybe("reaches_ms", Time, "When the limit is reached if it goes on like this.", |c| {
            c.row.result.reaches_ms.into()
        }),
        column("evidence", Text, "Lines with places and times, as a JSON list.", |c| {
            Cell::json(&c.row.result.evidence)
        }),
    ],
};

pub(super) const LATENCY: Table<In<LatencySummary>> = Table {
    name: "latency",
    doc: "Latency of each action over the whole run, in microseconds from the intended start.",
    columns: &[
        of_run(),
        column("action", Text, "Verb of the action.", |l| (&l.row.action).into()),
        column("operations", Integer, "How many there were.", |l| l.row.count.into()),
        column("p50_us", Integer, "Half of them took at most this.", |l| l.row.p50_us.into()),
        column("p90_us", Integer, "90 of 100 took at most this.", |l| l.row.p90_us.into()),
        column("p99_us", Integer, "99 of 100 took at most this.", |l| l.row.p99_us.into()),
        column("p999_us", Integer, "999 of 1,000 took at most this.", |l| l.row.p999_us.into()),
        column("max_us", Integer, "The slowest one.", |l| l.row.max_us.into()),
    ],
};
