//! Judges the criteria of a run as a whole, from what was measured at the quiet end of its cycles and from what was counted.
//!
//! Every judge is pure and takes the same evidence. No data, too little of it, or a probe that broke is inconclusive. To add
//! one: its standard in `fixed`, its key in `config::criteria`, a judge in a file of its family, and a line in [`judge`].

mod budget;
mod counts;
mod fixed;
mod growth;
mod latency;
mod series;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use fixed::{Criterion, Fixed, Judged, Planned, Written};

use crate::model::finding::{Finding, Kind, Side, cut};
use crate::model::incident::rules::CRITERION;
use crate::model::judgement::{CriterionResult, Judgement, LatencySummary};
use crate::model::measure::Measured;
use crate::model::record::{Counters, FindingGroup, Outage};
use crate::model::verdict::Verdict;
use crate::stats::burn::Meter;

/// Results of one judgement.
pub const RESULTS_MAX: usize = 256;
/// Evidence lines of one result.
const EVIDENCE_MAX: usize = 10;
/// What begins the evidence of a criterion that failed earlier in the run.
const EARLIER: &str = "had failed after cycle ";
/// Cycles before the first look, and by how much their number grows from one look to the next.
const FIRST_LOOK: u64 = 30;
const LOOKS_APART: f64 = 1.1;

/// What all judges look at.
#[derive(Debug)]
pub struct Evidence<'a> {
    pub now_ms: i64,
    /// The last cycle, and how many are finished.
    pub cycle: u64,
    pub cycles_done: u64,
    pub observed_ms: u64,
    /// Which look in the midst of the run this is; none at its end.
    pub look: Option<u64>,
    pub totals: &'a Counters,
    pub findings: &'a [FindingGroup],
    pub findings_ungrouped: u64,
    pub outages: &'a [Outage],
    pub outages_dropped: u64,
    /// Kinds of errors that are no failure when a retry healed them.
    pub tolerated: &'a [Kind],
    pub measures: &'a BTreeMap<String, Vec<Measured>>,
    /// Processes that there are and that must have been measured.
    pub parts: &'a [String],
    /// Parts whose database files must have been measured.
    pub files: &'a [String],
    /// Why the target cannot be measured, if it cannot.
    pub blind: Option<&'a str>,
    pub latency: &'a [LatencySummary],
    pub meter: &'a Meter,
    /// Descriptors that one process may have.
    pub descriptors_max: Option<u64>,
}

/// What one judge works with.
struct Case<'a> {
    evidence: &'a Evidence<'a>,
    name: &'static str,
    limit: f64,
    /// True if somebody wrote the criterion, or it is judged in every run.
    always: bool,
    confidence: f64,
    ceiling: Option<f64>,
}

/// Judges all criteria; `hash` is that of the criteria as they were fixed.
pub fn judge(fixed: &Fixed, evidence: &Evidence<'_>) -> Judgement {
    let mut results = Vec::new();
    for (name, criterion) in fixed.in_order() {
        let why_not = match &criterion.judged {
            Judged::Not { why } => Some(why.clone()),
            Judged::From { cycles, span_ms } => {
                let short = evidence.cycles_done < *cycles || evidence.observed_ms < *span_ms;
                short.then(|| {
                    format!(
                        "{} cycles in {} are too few, {cycles} cycles and {} are needed; what is written in [criteria] is judged in any case",
                        evidence.cycles_done,
                        fixed::length(evidence.observed_ms),
                        fixed::length(*span_ms)
                    )
                })
            }
            Judged::Always => None,
        };
        let limit = match (why_not, criterion.limit) {
            (None, Some(limit)) => limit,
            (why, limit) => {
                let why = why.unwrap_or_else(|| "it has no limit".to_owned());
                results.push(CriterionResult { limit, ..open(name, "", None, &format!("not judged: {why}")) });
                continue;
            }
        };
        let always = criterion.judged == Judged::Always;
        let ceiling = fixed.criteria.get("memory_ceiling").and_then(|ceiling| ceiling.limit);
        let confidence = 1.0 - (1.0 - fixed.confidence) * spent(evidence.look);
        let case = Case { evidence, name, limit, always, confidence, ceiling };
        results.extend(
            case.judged().into_iter().map(|result| CriterionResult { limit: result.limit.or(Some(limit)), ..result }),
        );
    }
    Judgement { at_ms: evidence.now_ms, cycle: evidence.cycle, hash: fixed.hash(), results: bounded(results) }
}

/// Returns which look is due after a cycle, if one is: looks are a tenth further apart each time.
pub fn look_at(cycles_done: u64) -> Option<u64> {
    let (mut at, mut look) = (FIRST_LOOK, 1);
    while at < cycles_done {
        at = (at as f64 * LOOKS_APART).ceil() as u64;
        look += 1;
    }
    (at == cycles_done).then_some(look)
}

/// Returns the share of all false alarms that one look may raise. Whoever looks often enough finds anything: the shares of all
/// looks, however many there are, add up to 1 (6 / π² times the sum of 1 / k², Euler 1735), and the end has its own.
fn spent(look: Option<u64>) -> f64 {
    let share = |look: u64| 6.0 / (std::f64::consts::PI * look.max(1) as f64).powi(2);
    look.map_or(1.0, share)
}

impl Case<'_> {
    fn judged(&self) -> Vec<CriterionResult> {
        match self.name {
            "success_share" => vec![self.success_share()],
            "unexpected_errors" => vec![self.unexpected_errors()],
            "disconnects" => vec![self.disconnects()],
            "memory_slope" => self.memory_slope(),
            "memory_step" => self.memory_step(),
            "memory_ceiling" => self.memory_ceiling(),
            "descriptors_slope" => self.descriptors_slope(),
            "wal_slope" => self.wal_slope(),
            "database_slope" => self.database_slope(),
            "p99" => self.p99(),
            "p99_drift" => self.p99_drift(),
            "throughput_drift" => self.throughput_drift(),
            "converge" => vec![self.converge()],
            _ => vec![self.budget()],
        }
    }

    fn result(&self, metric: &str, verdict: Verdict, summary: String) -> CriterionResult {
        open(self.name, metric, Some(verdict), &summary)
    }

    /// Returns what is said of something that was not measured: inconclusive where it had to be.
    fn missing(&self, metric: &str, observable: bool, why: &str) -> CriterionResult {
        match observable || self.always {
            true => self.result(metric, Verdict::Inconclusive, why.to_owned()),
            false => open(self.name, metric, None, &format!("not judged: {why}")),
        }
    }
}

/// Returns a result with no figures yet.
fn open(criterion: &str, metric: &str, verdict: Option<Verdict>, summary: &str) -> CriterionResult {
    CriterionResult {
        criterion: criterion.to_owned(),
        metric: metric.to_owned(),
        verdict,
        summary: cut(summary),
        limit: None,
        value: None,
        low: None,
        high: None,
        confidence: None,
        samples: 0,
        detectable: None,
        reaches_ms: None,
        evidence: Vec::new(),
    }
}

/// Keeps results within their bounds; what did not pass stays.
fn bounded(mut results: Vec<CriterionResult>) -> Vec<CriterionResult> {
    if results.len() > RESULTS_MAX {
        results.sort_by_key(|result| std::cmp::Reverse(result.verdict));
        results.truncate(RESULTS_MAX);
    }
    let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
    for result in &mut results {
        result.evidence.truncate(EVIDENCE_MAX);
        result.evidence.iter_mut().for_each(|line| *line = cut(line));
        // What is not finite has no form in JSON, and says nothing either.
        for value in [
            &mut result.limit,
            &mut result.value,
            &mut result.low,
            &mut result.high,
            &mut result.confidence,
            &mut result.detectable,
        ] {
            *value = finite(*value);
        }
    }
    results
}

/// Criteria that open no incident: every error, and every step that failed, has one of its own.
const TOLD_ALREADY: [&str; 2] = ["unexpected_errors", "success_share"];

/// Returns a finding for each criterion that failed, for whoever is told of incidents.
pub fn alarms(judgement: &Judgement) -> Vec<Finding> {
    let failed = judgement.results.iter().filter(|result| result.verdict == Some(Verdict::Fail));
    failed
        .filter(|result| !TOLD_ALREADY.contains(&result.criterion.as_str()))
        .map(|result| Finding {
            code: Some(code(result)),
            ..Finding::new(
                judgement.at_ms,
                judgement.cycle,
                "-",
                (side(&result.metric), Kind::Criterion),
                &result.summary,
            )
        })
        .collect()
}

/// Returns the causes of the criteria that hold.
pub fn held(judgement: &Judgement) -> Vec<String> {
    judgement.results.iter().filter(|result| result.verdict == Some(Verdict::Pass)).map(code).collect()
}

/// Notes in a judgement what had failed in an earlier one and does not any more.
pub fn remember(judgement: &mut Judgement, before: &Judgement) {
    for result in judgement.results.iter_mut().filter(|result| result.verdict != Some(Verdict::Fail)) {
        let known = code(result);
        let Some(old) = before.results.iter().find(|old| code(old) == known) else { continue };
        let line = match old.verdict {
            Some(Verdict::Fail) => Some(cut(&format!("{EARLIER}{}: {}", before.cycle, old.summary))),
            _ => old.evidence.iter().find(|line| line.starts_with(EARLIER)).cloned(),
        };
        if let Some(line) = line {
            result.evidence.truncate(EVIDENCE_MAX - 1);
            result.evidence.push(line);
        }
    }
}

/// Returns the cause that a criterion of one part has: it stays when another metric of that part is judged.
fn code(result: &CriterionResult) -> String {
    match result.metric.split_once('.') {
        Some((_, part)) => format!("{CRITERION}{}.{part}", result.criterion),
        None => format!("{CRITERION}{}", result.criterion),
    }
}

/// Returns whose matter a metric is.
fn side(metric: &str) -> Side {
    match metric.split_once('.').map_or("", |(_, part)| part) {
        part if part == "daemon" || part.starts_with("worker") => Side::Soakd,
        _ => Side::Server,
    }
}
