//! What got worse, as findings: they all belong to one incident, whose title is the first and gravest of them.

use super::signed;
use crate::model::finding::{Finding, Kind, Side};
use crate::model::judgement::{BaselineComparison, Change, SeriesShift};
use crate::model::metric;

/// Findings of one look.
const FINDINGS_MAX: usize = 10;

/// Returns what is worse than in the baseline, the largest shift first.
pub fn of_comparison(comparison: &BaselineComparison, (at_ms, cycle): (i64, u64)) -> Vec<Finding> {
    let mut worse: Vec<_> = comparison.with(Change::Worse).collect();
    worse.sort_by(|a, b| size(b.shift).total_cmp(&size(a.shift)));
    let since = match (comparison.server.as_str(), comparison.baseline_server.as_str()) {
        ("", _) => String::new(),
        (now, before) if now == before => format!(" with the same server version {now}"),
        (now, _) => format!(" since server version {now}"),
    };
    let tail = format!("{since} (baseline run {})", comparison.baseline);
    let says = worse.iter().map(|one| (one.metric.as_str(), one.shift.map(signed)));
    findings(says, &tail, (at_ms, cycle))
}

/// Returns what is worse since another version of the server within a run and was not told before.
pub fn of_shifts(shifts: &[SeriesShift], before: &[SeriesShift], (at_ms, cycle): (i64, u64)) -> Vec<Finding> {
    let told = |shift: &&SeriesShift| {
        before.iter().any(|old| old.metric == shift.metric && old.since == shift.since && old.change == shift.change)
    };
    let worse = shifts.iter().filter(|shift| shift.change == Change::Worse && shift.since.is_some());
    let mut worse: Vec<&SeriesShift> = worse.filter(|shift| !told(shift)).collect();
    worse.sort_by(|a, b| (b.cycle).cmp(&a.cycle).then(b.shift.abs().total_cmp(&a.shift.abs())));
    // One version at a time: the newest.
    let newest = worse.first().map(|shift| (shift.cycle, shift.since.clone()));
    let Some((since_cycle, Some(since))) = newest else { return Vec::new() };
    worse.retain(|shift| shift.since.as_deref() == Some(since.as_str()));
    let tail = format!(" since server version {since} (cycle {since_cycle})");
    let says = worse.iter().map(|one| (one.metric.as_str(), Some(signed(one.shift))));
    findings(says, &tail, (at_ms, cycle))
}

/// Returns true if what was worse with an earlier version of the server is not with the last one.
pub fn is_recovered(shifts: &[SeriesShift]) -> bool {
    let matched = |shift: &&SeriesShift| shift.since.is_some();
    let mut metrics: Vec<&str> = Vec::new();
    metrics.extend(shifts.iter().filter(matched).filter(|s| s.change == Change::Worse).map(|s| s.metric.as_str()));
    let last = |metric: &str| shifts.iter().filter(matched).rfind(|shift| shift.metric == metric).map(|s| s.change);
    !metrics.is_empty() && metrics.iter().all(|metric| last(metric) == Some(Change::Better))
}

fn size(shift: Option<f64>) -> f64 {
    shift.map_or(f64::INFINITY, f64::abs)
}

fn findings<'a>(
    says: impl Iterator<Item = (&'a str, Option<String>)>,
    tail: &str,
    (at_ms, cycle): (i64, u64),
) -> Vec<Finding> {
    let says: Vec<String> = says
        .map(|(name, shift)| match shift {
            Some(shift) => format!("{} {shift}", metric::words(name)),
            None => format!("{}, of which there was nothing before,", metric::words(name)),
        })
        .collect();
    let others = says.len().saturating_sub(1);
    let line = |(no, text): (usize, &String)| {
        let more = match (no, others) {
            (0, 1) => " and 1 more metric".to_owned(),
            (0, others @ 2..) => format!(" and {others} more metrics"),
            _ => String::new(),
        };
        Finding::new(at_ms, cycle, "-", (Side::Server, Kind::Regression), &format!("{text}{more}{tail}"))
    };
    says.iter().enumerate().map(line).take(FINDINGS_MAX).collect()
}
