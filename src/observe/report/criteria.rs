//! The criteria of the run: what failed and what cannot be told with all figures, what holds in short, and at the end what was
//! not judged and why.

use std::collections::BTreeMap;

use super::document::Document;
use super::words::{count, moment, number};
use crate::model::judgement::{CriterionResult, Judgement};
use crate::model::metric::words;
use crate::model::quantity::{figure, number as plain};
use crate::model::record::Snapshot;
use crate::model::verdict::Verdict;

/// Parts that hold the same criterion and are shown one by one.
const PARTS_SHOWN: usize = 3;

/// Adds the section.
pub(super) fn criteria(doc: &mut Document, snapshot: &Snapshot) {
    let Some(judgement) = &snapshot.judgement else {
        // An older run has none, and one under way may not have been looked at yet.
        if !snapshot.run.criteria.is_empty() {
            doc.heading("Criteria");
            doc.paragraph("Not judged yet: the first look is after 30 cycles, or at the end of the run.");
            doc.facts(vec![("Fixed as", snapshot.run.criteria.clone())]);
        }
        return;
    };
    doc.heading("Criteria");
    doc.paragraph(summary(judgement, snapshot));
    for verdict in [Verdict::Fail, Verdict::Inconclusive, Verdict::Aborted] {
        for result in judgement.results.iter().filter(|result| result.verdict == Some(verdict)) {
            let mut details = vec![figures(result)];
            details.extend(forecast(result));
            details.extend(result.evidence.iter().cloned());
            doc.item(mark(verdict), format!("{}: {}", result.criterion, result.summary), details);
        }
    }
    passed(doc, judgement);
    for (why, names) in not_judged(judgement) {
        doc.item("not judged", format!("{}: {why}", names.join(", ")), Vec::new());
    }
    doc.facts(vec![("Fixed as", judgement.hash.clone())]);
}

/// Returns how many criteria came to what.
fn summary(judgement: &Judgement, snapshot: &Snapshot) -> String {
    let of = |verdict| judgement.results.iter().filter(|result| result.verdict == verdict).count() as u64;
    let counts = [
        (of(Some(Verdict::Fail)), "fail"),
        (of(Some(Verdict::Inconclusive)) + of(Some(Verdict::Aborted)), "cannot be told"),
        (of(Some(Verdict::Pass)), "hold"),
    ];
    let counts: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", number(*n))).collect();
    let when = match snapshot.run.ended_ms {
        Some(_) => "at the end of the run".to_owned(),
        None => format!("after cycle {}, at {}", number(judgement.cycle), moment(judgement.at_ms)),
    };
    let counts = if counts.is_empty() { "none is judged".to_owned() } else { counts.join(", ") };
    format!("Fixed before the run began, and judged {when}: {counts}.")
}

fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::Aborted => "ABORTED",
    }
}

/// Adds what holds: many parts that hold one criterion are one item, with the figures of the one that is nearest to the limit.
fn passed(doc: &mut Document, judgement: &Judgement) {
    let mut by_name: Vec<(&str, Vec<&CriterionResult>)> = Vec::new();
    for result in judgement.results.iter().filter(|result| result.verdict == Some(Verdict::Pass)) {
        match by_name.iter_mut().find(|(name, _)| *name == result.criterion) {
            Some((_, all)) => all.push(result),
            None => by_name.push((&result.criterion, vec![result])),
        }
    }
    for (name, all) in by_name {
        let nearest = all.iter().max_by(|a, b| {
            let value = |result: &CriterionResult| result.value.unwrap_or(f64::NEG_INFINITY);
            value(a).total_cmp(&value(b))
        });
        match nearest {
            Some(nearest) if all.len() > PARTS_SHOWN => {
                let text = format!("{name}: holds for {}", count(all.len() as u64, "part"));
                doc.item(mark(Verdict::Pass), text, vec![format!("most: {}", nearest.summary), figures(nearest)]);
            }
            _ => {
                for result in all {
                    let notes = result.evidence.iter().filter(|line| line.starts_with("had failed"));
                    let details = std::iter::once(figures(result)).chain(forecast(result)).chain(notes.cloned());
                    doc.item(mark(Verdict::Pass), format!("{name}: {}", result.summary), details.collect());
                }
            }
        }
    }
}

/// Returns the figures of one result in one line.
fn figures(result: &CriterionResult) -> String {
    let show = |value: f64| figure(&result.criterion, value);
    let mut parts = Vec::new();
    if let Some(value) = result.value {
        let mut text = show(value);
        if let (Some(low), Some(high), Some(confidence)) = (result.low, result.high, result.confidence) {
            text.push_str(&format!(" ({} to {}, {} % confidence)", show(low), show(high), plain(confidence * 100.0)));
        }
        parts.push(text);
    }
    parts.extend(result.limit.map(|limit| format!("limit {}", show(limit))));
    parts.push(count(result.samples, "sample"));
    let seen = result.detectable.filter(|seen| *seen > 0.0);
    parts.extend(seen.map(|seen| format!("{} would have been seen", show(seen))));
    parts.join(", ")
}

/// Returns when something is reached.
fn forecast(result: &CriterionResult) -> Option<String> {
    let at = result.reaches_ms?;
    Some(format!("if it goes on like this, {} reaches its bound at {}", words(&result.metric), moment(at)))
}

/// Returns the criteria that are not judged, by reason, in the order of the criteria.
fn not_judged(judgement: &Judgement) -> Vec<(String, Vec<String>)> {
    let mut order: Vec<String> = Vec::new();
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for result in judgement.results.iter().filter(|result| result.verdict.is_none()) {
        let why = result.summary.trim_start_matches("not judged: ").to_owned();
        if !order.contains(&why) {
            order.push(why.clone());
        }
        let known = names.entry(why).or_default();
        if !known.contains(&result.criterion) {
            known.push(result.criterion.clone());
        }
    }
    order.into_iter().map(|why| (why.clone(), names.remove(&why).unwrap_or_default())).collect()
}

/// Returns the first result with this verdict, in words.
pub(super) fn first_with(snapshot: &Snapshot, verdict: Verdict) -> Option<String> {
    let results = snapshot.judgement.iter().flat_map(|judgement| &judgement.results);
    let first = results.into_iter().find(|result| result.verdict == Some(verdict))?;
    Some(format!("criterion {}: {}", first.criterion, first.summary))
}

/// Returns a number of criteria in words.
pub(super) fn counted(n: usize) -> String {
    format!("{} {}", number(n as u64), if n == 1 { "criterion" } else { "criteria" })
}
