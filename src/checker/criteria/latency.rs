//! How long the service takes: the 99th percentile of network calls, whether it or the throughput drifts, and how long it takes
//! until all databases have converged.

use std::collections::BTreeSet;

use super::Case;
use super::series::Series;
use crate::model::judgement::{CriterionResult, LatencySummary};
use crate::model::metric::{Unit, words};
use crate::model::quantity::{number, shown};
use crate::model::verdict::Verdict;
use crate::stats::drift::{Drift, VALUES_MIN, drift};

/// Actions that wait for the service.
const NETWORK: &[&str] = &["sent", "received"];
/// Standard scores of a percentile whose interval is asked for.
const PERCENTILE: f64 = 0.99;
/// Multiple of the limit of a drift that must have been found.
const ENOUGH: f64 = 3.0;

impl Case<'_> {
    /// Judges the percentile over the whole run of each network action.
    pub(super) fn p99(&self) -> Vec<CriterionResult> {
        let called = |summary: &&LatencySummary| NETWORK.contains(&summary.action.as_str()) && summary.count > 0;
        let all: Vec<&LatencySummary> = self.evidence.latency.iter().filter(called).collect();
        if all.is_empty() {
            return vec![self.missing("latency_p99", true, "no latency of a network call was measured")];
        }
        all.into_iter().map(|summary| self.percentile(summary)).collect()
    }

    fn percentile(&self, summary: &LatencySummary) -> CriterionResult {
        let metric = format!("latency_p99.{}", summary.action);
        let seconds = |us: u64| us as f64 / 1e6;
        let (value, limit) = (seconds(summary.p99_us), shown(self.limit, Unit::Seconds));
        let (low, high) = around(summary, self.confidence);
        let what = format!("the 99th percentile of {}", summary.action);
        let (verdict, text) = match () {
            () if high.is_none() => (
                Verdict::Inconclusive,
                format!("{what} cannot be judged: {} calls are too few to know it", number(summary.count as f64)),
            ),
            () if value > self.limit => {
                (Verdict::Fail, format!("{what} is {} (limit {limit})", shown(value, Unit::Seconds)))
            }
            () => (Verdict::Pass, format!("{what} is {} (limit {limit})", shown(value, Unit::Seconds))),
        };
        let line = format!(
            "{} calls; median {}, 90th percentile {}, 99.9th {}, slowest {}",
            number(summary.count as f64),
            shown(seconds(summary.p50_us), Unit::Seconds),
            shown(seconds(summary.p90_us), Unit::Seconds),
            shown(seconds(summary.p999_us), Unit::Seconds),
            shown(seconds(summary.max_us), Unit::Seconds)
        );
        CriterionResult {
            value: Some(value),
            low,
            high,
            confidence: Some(self.confidence),
            samples: summary.count,
            detectable: high.map(|high| high - value),
            evidence: vec![line],
            ..self.result(&metric, verdict, text)
        }
    }

    pub(super) fn p99_drift(&self) -> Vec<CriterionResult> {
        let actions: BTreeSet<String> = NETWORK.iter().map(|action| (*action).to_owned()).collect();
        let known = self.evidence.parts_of(&["latency_p99"], &[]);
        let series = actions.intersection(&known).filter_map(|part| self.evidence.first_of(&["latency_p99"], part));
        let results: Vec<CriterionResult> = series.map(|series| self.drifting(&series, Unit::Seconds)).collect();
        match results.is_empty() {
            true => vec![self.missing("latency_p99", true, "no latency of a network call was measured")],
            false => results,
        }
    }

    pub(super) fn throughput_drift(&self) -> Vec<CriterionResult> {
        let mut parts = self.evidence.parts_of(&["throughput"], &[]);
        if self.evidence.first_of(&["throughput"], "").is_some() {
            // The whole says it better than its parts.
            parts = BTreeSet::from([String::new()]);
        }
        let series = parts.iter().filter_map(|part| self.evidence.first_of(&["throughput"], part));
        let results: Vec<CriterionResult> = series.map(|series| self.drifting(&series, Unit::PerSecond)).collect();
        match results.is_empty() {
            true => vec![self.missing("throughput", true, "the throughput was not measured")],
            false => results,
        }
    }

    /// Judges whether a metric gets worse from the beginning of the run to its end; a throughput by the time that one operation
    /// takes.
    fn drifting(&self, series: &Series, unit: Unit) -> CriterionResult {
        let falls = unit == Unit::PerSecond;
        let what = words(&series.metric);
        let values: Vec<f64> = series.points.iter().map(|point| point.mean).filter(|value| *value > 0.0).collect();
        let values = if falls { values.iter().map(|value| 1.0 / value).collect() } else { values };
        let samples = series.cycles();
        let Some(found) = drift(&values, self.confidence) else {
            let text = format!("{what} cannot be judged: {} cycles are too few, {VALUES_MIN} are needed", values.len());
            return CriterionResult { samples, ..self.result(&series.metric, Verdict::Inconclusive, text) };
        };
        // A fall by a tenth is a rise of the time for one operation by a ninth.
        let there = |fall: f64| if falls { fall / (1.0 - fall.min(0.99)) } else { fall };
        let back = |rise: f64| if falls { rise / (1.0 + rise) } else { rise };
        let limit = there(self.limit);
        let detectable = found.detectable(limit, self.confidence);
        let worse = found.shift > limit && found.low > limit / 2.0;
        // What is proven to be within the limit needs no more.
        let enough = detectable <= there(self.limit * ENOUGH) || found.high <= limit;
        let percent = |share: f64| shown(share, Unit::Share);
        let (value, seen) = (back(found.shift), back(detectable));
        let verb = if falls { "fell" } else { "rose" };
        let (verdict, summary) = match () {
            () if worse => (
                Verdict::Fail,
                format!("{what} {verb} by {} over the run (limit {})", percent(value), percent(self.limit)),
            ),
            () if !enough => (
                Verdict::Inconclusive,
                format!(
                    "{what} cannot be judged: it {verb} by {}, but only {} would have been found (limit {})",
                    percent(value),
                    percent(seen),
                    percent(self.limit)
                ),
            ),
            () => (
                Verdict::Pass,
                format!("{what} {verb} by no more than {} over the run ({})", percent(self.limit), percent(value)),
            ),
        };
        CriterionResult {
            value: Some(value),
            low: Some(back(found.low)),
            high: Some(back(found.high)),
            confidence: Some(self.confidence),
            samples,
            detectable: Some(seen),
            evidence: vec![compared(&found, falls, unit)],
            ..self.result(&series.metric, verdict, summary)
        }
    }

    /// Judges the slowest convergence.
    pub(super) fn converge(&self) -> CriterionResult {
        let Some(series) = self.evidence.first_of(&["converge"], "") else {
            return self.missing("converge", true, "the time to converge was not measured");
        };
        let most = series.points.iter().map(|point| point.max).fold(0.0, f64::max);
        let (samples, limit) = (series.cycles(), shown(self.limit, Unit::Seconds));
        let (verdict, summary) = if most > self.limit {
            (Verdict::Fail, format!("convergence took up to {} (limit {limit})", shown(most, Unit::Seconds)))
        } else {
            (Verdict::Pass, format!("convergence never took more than {} (limit {limit})", shown(most, Unit::Seconds)))
        };
        // What was never seen in n cycles is rarer than this, with the confidence.
        let rare = 1.0 - (1.0 - self.confidence).powf(1.0 / samples.max(1) as f64);
        let line = format!(
            "{} cycles; with {} % confidence at most {} of all cycles are slower than the slowest of these",
            number(samples as f64),
            number(self.confidence * 100.0),
            shown(rare, Unit::Share)
        );
        CriterionResult {
            value: Some(most),
            confidence: Some(self.confidence),
            samples,
            evidence: vec![line],
            ..self.result("converge", verdict, summary)
        }
    }
}

/// Returns what was compared with what.
fn compared(found: &Drift, falls: bool, unit: Unit) -> String {
    let show = |value: f64| shown(if falls { 1.0 / value } else { value }, unit);
    format!(
        "{} in the first cycles behind the warm-up, {} in the last ones; {} cycles compared, worth {} independent ones",
        show(found.before),
        show(found.after),
        found.samples,
        number(found.effective.round())
    )
}

/// Returns the interval of the 99th percentile, in seconds: values at the ranks between which it lies with the confidence, read
/// off between the percentiles that are known, on logarithms. No upper end where there are too few calls for one.
fn around(summary: &LatencySummary, confidence: f64) -> (Option<f64>, Option<f64>) {
    let z = crate::stats::quantile::normal_above((1.0 - confidence) / 2.0);
    let half = z * (PERCENTILE * (1.0 - PERCENTILE) / summary.count as f64).sqrt();
    let known = [
        (0.5, summary.p50_us),
        (0.9, summary.p90_us),
        (0.99, summary.p99_us),
        (0.999, summary.p999_us),
        (1.0 - 1.0 / (summary.count as f64 + 1.0), summary.max_us),
    ];
    let rare = |share: f64| -(1.0 - share).max(1e-12).ln();
    let at = |share: f64| {
        let pair = known.windows(2).find(|pair| share <= pair[1].0 && pair[1].0 > pair[0].0)?;
        let part = (rare(share) - rare(pair[0].0)) / (rare(pair[1].0) - rare(pair[0].0));
        let (a, b) = ((pair[0].1.max(1) as f64).ln(), (pair[1].1.max(1) as f64).ln());
        Some((a + part.clamp(0.0, 1.0) * (b - a)).exp() / 1e6)
    };
    (at(PERCENTILE - half), at(PERCENTILE + half).filter(|_| PERCENTILE + half < 1.0))
}
