//! What must not grow: memory, descriptors, the write-ahead log and the database of each part, by the quiet samples of all
//! cycles. A warm-up, a saw-tooth and a restart are no growth; that is told apart in `stats::trend`.

use super::Case;
use super::series::{Series, cycles};
use crate::model::judgement::CriterionResult;
use crate::model::metric::{Unit, words};
use crate::model::quantity::{figure, number, shown};
use crate::model::verdict::Verdict;
use crate::stats::Sample;
use crate::stats::trend::{Limits, Outcome, Trend, examine, explained};

/// Memory of a part, the better measure first: what a process has allocated; resident memory also holds pages of files, which
/// come and go as the system likes.
const MEMORY: &[&str] = &["anon", "rss"];
const DESCRIPTORS: &[&str] = &["fds"];
const WAL: &[&str] = &["wal"];
const DATABASE: &[&str] = &["db", "pg_db"];
/// What may make a database larger, and by how many bytes for each at most.
const CAUSES: &[(&str, f64)] = &[("rows", 16_384.0), ("deleted", 1024.0)];
/// Series are examined in mebibytes, so that the sentences about them are short.
const MIB: f64 = 1_048_576.0;
/// Steps that are named.
const STEPS_NAMED: usize = 5;

impl Case<'_> {
    pub(super) fn memory_slope(&self) -> Vec<CriterionResult> {
        self.memory(|case, series| {
            let trend =
                case.trend(&series.samples(MIB), (case.limit / MIB, f64::INFINITY), case.ceiling.map(|c| c / MIB));
            case.slope(series, &trend, MIB)
        })
    }

    pub(super) fn memory_step(&self) -> Vec<CriterionResult> {
        self.memory(|case, series| {
            let trend = case.trend(&series.samples(MIB), (f64::MAX, case.limit / MIB), None);
            case.step(series, &trend)
        })
    }

    pub(super) fn memory_ceiling(&self) -> Vec<CriterionResult> {
        self.memory(|case, series| {
            let most = series.points.iter().map(|point| point.max).fold(f64::NEG_INFINITY, f64::max);
            let (what, limit) = (words(&series.metric), shown(case.limit, Unit::Bytes));
            let (verdict, verb) =
                if most > case.limit { (Verdict::Fail, "was") } else { (Verdict::Pass, "was at most") };
            let summary = format!("{what} {verb} {} at the end of a cycle (limit {limit})", shown(most, Unit::Bytes));
            CriterionResult {
                value: Some(most),
                samples: series.cycles(),
                detectable: Some(0.0),
                ..case.result(&series.metric, verdict, summary)
            }
        })
    }

    pub(super) fn descriptors_slope(&self) -> Vec<CriterionResult> {
        self.each(DESCRIPTORS, &[], |case, series| {
            let ceiling = case.evidence.descriptors_max.map(|most| most as f64);
            let trend = case.trend(&series.samples(1.0), (case.limit, f64::INFINITY), ceiling);
            case.slope(series, &trend, 1.0)
        })
    }

    pub(super) fn wal_slope(&self) -> Vec<CriterionResult> {
        self.each(WAL, &["target"], |case, series| {
            let trend = case.trend(&series.samples(MIB), (case.limit / MIB, f64::INFINITY), None);
            case.slope(series, &trend, MIB)
        })
    }

    pub(super) fn database_slope(&self) -> Vec<CriterionResult> {
        self.each(DATABASE, &["target"], |case, series| {
            let (samples, taken_out) = case.unexplained(series);
            let trend = case.trend(&samples, (case.limit / MIB, f64::INFINITY), None);
            let mut result = case.slope(series, &trend, MIB);
            result.evidence.extend(taken_out);
            result
        })
    }

    fn memory(&self, judge: impl Fn(&Self, &Series) -> CriterionResult) -> Vec<CriterionResult> {
        self.each(MEMORY, &[], judge)
    }

    /// Judges every part that was measured, or those of `only`, and says of every other one that had to be which probe gave
    /// nothing.
    fn each(
        &self,
        kinds: &[&str],
        only: &[&str],
        judge: impl Fn(&Self, &Series) -> CriterionResult,
    ) -> Vec<CriterionResult> {
        let expected = if only.is_empty() { self.evidence.parts } else { self.evidence.files };
        let mut parts = self.evidence.parts_of(kinds, expected);
        parts.retain(|part| only.is_empty() || only.contains(&part.as_str()));
        let named = |part: &str| format!("{}.{part}", kinds.last().unwrap_or(&""));
        let one = |part: &String| match self.evidence.first_of(kinds, part) {
            Some(series) => judge(self, &series),
            None => {
                let metric = named(part);
                self.missing(&metric, true, &format!("{} was not measured: its probe gave nothing", words(&metric)))
            }
        };
        let mut results: Vec<CriterionResult> = parts.iter().map(one).collect();
        if !parts.contains("target") && (self.evidence.blind.is_some() || results.is_empty()) {
            let metric = named("target");
            let why = self.evidence.blind.unwrap_or("no probe knows it");
            results.push(self.missing(&metric, false, &format!("{} is not observable: {why}", words(&metric))));
        }
        results
    }

    fn trend(&self, samples: &[Sample], (slope_per_h, step): (f64, f64), ceiling: Option<f64>) -> Trend {
        examine(samples, &Limits { slope_per_h, step, ceiling, alpha: 1.0 - self.confidence })
    }

    /// Says what a trend means for a limit of growth; `unit` is what the trend counts in.
    fn slope(&self, series: &Series, trend: &Trend, unit: f64) -> CriterionResult {
        let what = words(&series.metric);
        let shown = |value: f64| figure(self.name, value * unit);
        let limit = figure(self.name, self.limit);
        let percent = number(self.confidence * 100.0);
        let between = format!("{} to {}, {percent} % confidence", shown(trend.slope_low), shown(trend.slope_high));
        // A saw-tooth or a step is none; a limit of zero is missed by growth alone.
        let (verdict, summary) = match trend.outcome {
            Outcome::Growing => (Verdict::Fail, format!("{what} grows {} (limit {limit})", shown(trend.slope_per_h))),
            Outcome::Steady | Outcome::Stepped => {
                (Verdict::Pass, format!("{what} does not grow more than {limit} ({})", shown(trend.slope_per_h)))
            }
            Outcome::TooLittle if trend.detectable_per_h.is_finite() => {
                let found = shown(trend.detectable_per_h);
                (
                    Verdict::Inconclusive,
                    format!("{what} cannot be judged: only growth of {found} would have been found (limit {limit})"),
                )
            }
            Outcome::TooLittle => (Verdict::Inconclusive, format!("{what} cannot be judged: {}", trend.why)),
        };
        let mut evidence = vec![about(series, trend)];
        if trend.slope_per_h.is_finite() {
            evidence.insert(0, format!("{} ({between})", shown(trend.slope_per_h)));
        }
        if let (Some(first), Some(last)) = (series.points.first(), series.points.last()) {
            let kind = crate::model::metric::parse(&series.metric).map_or(Unit::Count, |(kind, _)| kind.unit);
            let show = |value| crate::model::quantity::shown(value, kind);
            evidence.push(format!(
                "{} after the first cycle, {} after the last one",
                show(first.mean),
                show(last.mean)
            ));
        }
        CriterionResult {
            value: Some(trend.slope_per_h * unit),
            low: Some(trend.slope_low * unit),
            high: Some(trend.slope_high * unit),
            confidence: Some(self.confidence),
            samples: series.cycles(),
            detectable: Some(trend.detectable_per_h * unit),
            reaches_ms: trend.reaches_ms,
            evidence,
            ..self.result(&series.metric, verdict, summary)
        }
    }

    /// Says what a trend means for a limit of a rise at once.
    fn step(&self, series: &Series, trend: &Trend) -> CriterionResult {
        let what = words(&series.metric);
        let limit = shown(self.limit, Unit::Bytes);
        let largest = trend.steps.iter().max_by(|a, b| a.size.total_cmp(&b.size));
        let size = largest.map_or(0.0, |step| step.size.max(0.0) * MIB);
        let (verdict, summary) = match () {
            () if trend.samples_used < crate::stats::drift::VALUES_MIN => {
                (Verdict::Inconclusive, format!("{what} cannot be judged: {}", trend.why))
            }
            () if size > self.limit => (
                Verdict::Fail,
                format!("{what} rose by {} at once and stayed there (limit {limit})", shown(size, Unit::Bytes)),
            ),
            () => (Verdict::Pass, format!("{what} never rose by more than {limit} at once to stay there")),
        };
        let named = trend.steps.iter().take(STEPS_NAMED);
        let mut evidence: Vec<String> =
            named.map(|step| format!("{} {}", when(step.at_ms), shown(step.size * MIB, Unit::Bytes))).collect();
        evidence.push(about(series, trend));
        CriterionResult {
            value: Some(size),
            confidence: Some(self.confidence),
            samples: series.cycles(),
            evidence,
            ..self.result(&series.metric, verdict, summary)
        }
    }

    /// Takes out of the size of a database what its rows and its deletes explain.
    fn unexplained(&self, series: &Series) -> (Vec<Sample>, Vec<String>) {
        let part = series.metric.split_once('.').map_or("", |(_, part)| part);
        let (mut samples, mut lines) = (series.samples(MIB), Vec::new());
        for (kind, bytes_max) in CAUSES {
            let cause = self.evidence.first_of(&[kind], part).or_else(|| self.evidence.first_of(&[kind], ""));
            let Some(cause) = cause else { continue };
            let (rest, each) = explained(&samples, &cause.samples(1.0), bytes_max / MIB);
            if each > 0.0 {
                lines.push(format!("{} explain {} each", words(&cause.metric), shown(each * MIB, Unit::Bytes)));
                samples = rest;
            }
        }
        (samples, lines)
    }
}

/// Returns what a judgement of a series is based on.
fn about(series: &Series, trend: &Trend) -> String {
    let hours = trend.span_ms as f64 / 3.6e6;
    let mut text = format!("{} cycles over {} h", cycles(&series.points), number(hours));
    if trend.epochs > 1 {
        text.push_str(&format!(" in {} lives", trend.epochs));
    }
    if trend.warm_up_until_ms.is_some() {
        text.push_str(", without a warm-up");
    }
    if let Some(length) = trend.saw_tooth {
        text.push_str(&format!(", along the troughs of a saw-tooth of {} cycles", number(length)));
    }
    let worth = number(trend.effective.round());
    text.push_str(&format!("; {} samples used, worth {worth} independent ones", trend.samples_used));
    text
}

/// Returns an instant for people.
fn when(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms)
        .map_or_else(|| "at an unknown time".to_owned(), |at| at.format("%Y-%m-%d %H:%M UTC").to_string())
}
