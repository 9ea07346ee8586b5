//! Two runs side by side: a verdict for every metric and for all of them together, as a part of the report of a run that has a
//! baseline, and as a document of its own.

use super::document::Document;
use super::figures::{p_value, percent, quantity, signed};
use super::words::{count, list, moment, number};
use crate::model::judgement::{BaselineComparison, Change, Changes, MetricChange, VersionSince};
use crate::model::metric::{self, Aspect};
use crate::model::record::RunRecord;

/// Metrics that a sentence names.
const NAMED: usize = 4;

/// What is said of one of the runs that are compared.
#[derive(Debug, Clone)]
pub struct Compared {
    pub run: RunRecord,
    pub cycles_done: u64,
    /// Whatever should be known before its figures are believed.
    pub notes: Vec<String>,
}

/// Several runs against the first of them.
#[derive(Debug, Clone)]
pub struct Comparisons {
    pub before: Compared,
    /// The other runs, each with how it compares.
    pub after: Vec<(Compared, BaselineComparison)>,
}

impl Comparisons {
    /// Returns what all of them come to: the worst.
    pub fn overall(&self) -> Change {
        let all = self.after.iter().map(|(_, comparison)| comparison.overall());
        all.max_by_key(|change| rank(*change)).unwrap_or(Change::CannotTell)
    }
}

fn rank(change: Change) -> u8 {
    match change {
        Change::Better => 0,
        Change::Same => 1,
        Change::CannotTell => 2,
        Change::Worse => 3,
    }
}

/// Returns the word for a verdict.
pub(super) fn verdict(change: Change) -> &'static str {
    match change {
        Change::Better => "better",
        Change::Same => "same",
        Change::Worse => "worse",
        Change::CannotTell => "cannot tell",
    }
}

/// Lays out a comparison of its own.
pub(super) fn document(all: &Comparisons) -> Document {
    let mut doc = Document::default();
    let word = verdict(all.overall()).to_uppercase();
    let others: Vec<&str> = all.after.iter().map(|(after, _)| after.run.run.as_str()).collect();
    doc.title(&word, format!("{} against {}", list(&others), all.before.run.run));
    for (after, comparison) in &all.after {
        doc.heading(&format!("{} against {}", after.run.run, all.before.run.run));
        body(&mut doc, comparison);
        doc.facts(vec![("Before", facts(&all.before)), ("After", facts(after))]);
        for note in all.before.notes.iter().chain(&after.notes) {
            doc.item("note", note.clone(), Vec::new());
        }
    }
    doc.heading("How to read it");
    doc.paragraph(
        "Cycles of the same number are paired; the first tenth is left out as the warm-up. A shift is the Hodges-Lehmann \
         estimate of the later value by the earlier one, and its interval holds for all metrics together at 95 %. Worse and \
         better mean that the interval leaves zero out and the shift matters; the same means that a shift of twice what \
         matters can be excluded. The effect is Cliff's delta: 1 if every later value is larger, -1 if every one is smaller.",
    );
    doc
}

fn facts(compared: &Compared) -> String {
    let run = &compared.run;
    let server = if run.versions.server.is_empty() { "not told" } else { &run.versions.server };
    format!(
        "run {} ({}), started {}, {}, server {server}",
        run.run,
        run.name,
        moment(run.started_ms),
        count(compared.cycles_done, "cycle"),
    )
}

/// Adds how a run compares with the baseline.
pub(super) fn baseline(doc: &mut Document, comparison: Option<&BaselineComparison>) {
    let Some(comparison) = comparison else { return };
    doc.heading("Baseline");
    let server = match comparison.baseline_server.as_str() {
        "" => String::new(),
        version => format!(" of server {version}"),
    };
    doc.paragraph(format!("Compared with run {}{server}.", comparison.baseline));
    body(doc, comparison);
}

/// Adds the versions of the server that the run saw, and what changed within it.
pub(super) fn changes(doc: &mut Document, changes: &Changes) {
    if changes.versions.len() < 2 && changes.shifts.is_empty() {
        return;
    }
    doc.heading("Changes");
    let dropped = changes.versions_dropped;
    if changes.versions.len() > 1 || dropped > 0 {
        let row = |version: &VersionSince| {
            vec![
                number(version.cycle),
                moment(version.at_ms).trim_end_matches(" UTC").to_owned(),
                version.server.clone(),
            ]
        };
        if dropped > 0 {
            doc.paragraph(format!("{} before these are not kept.", count(dropped, "version")));
        }
        doc.table(&[">Cycle", "Since (UTC)", "Server"], changes.versions.iter().map(row).collect());
    }
    for shift in &changes.shifts {
        let since = match &shift.since {
            Some(version) => format!("since server version {version}"),
            None => "without a new version of the server".to_owned(),
        };
        let text = format!(
            "{} {} {since}: from {} to {} at cycle {}",
            metric::words(&shift.metric),
            signed(shift.shift),
            quantity(&shift.metric, shift.before),
            quantity(&shift.metric, shift.after),
            number(shift.cycle),
        );
        doc.item(verdict(shift.change), text, Vec::new());
    }
}

fn body(doc: &mut Document, comparison: &BaselineComparison) {
    if !comparison.refused.is_empty() {
        doc.paragraph("The two runs cannot be compared:");
        comparison.refused.iter().for_each(|why| doc.item("refused", why.clone(), Vec::new()));
        return;
    }
    doc.paragraph(sentence(comparison));
    let all = &comparison.changes;
    if all.is_empty() {
        return;
    }
    doc.table(&["Verdict", "Metric", ">Before", ">After", ">Shift", ">Interval"], all.iter().map(figures).collect());
    doc.table(&["Metric", ">Effect", ">p", ">Cycles", ">Found from"], all.iter().map(evidence).collect());
    for change in all.iter().filter(|change| change.change != Change::Same) {
        let text = format!("{}: {}", metric::words(&change.metric), change.summary);
        doc.item(verdict(change.change), text, Vec::new());
    }
}

fn figures(change: &MetricChange) -> Vec<String> {
    let value = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| quantity(&change.metric, value));
    let interval = match (change.low, change.high) {
        (Some(low), Some(high)) => format!("{} to {}", signed(low), signed(high)),
        _ => "-".to_owned(),
    };
    vec![
        verdict(change.change).to_owned(),
        metric::words(&change.metric),
        value(change.before),
        value(change.after),
        change.shift.map_or_else(|| "-".to_owned(), signed),
        interval,
    ]
}

fn evidence(change: &MetricChange) -> Vec<String> {
    let (old, new) = change.samples;
    vec![
        metric::words(&change.metric),
        change.effect.map_or_else(|| "-".to_owned(), |effect| format!("{effect:+.2}")),
        change.p.map_or_else(|| "-".to_owned(), p_value),
        if old == new { number(old) } else { format!("{}/{}", number(old), number(new)) },
        change.detectable.map_or_else(|| "-".to_owned(), percent),
    ]
}

/// Says in one or two sentences what a comparison came to.
pub fn sentence(comparison: &BaselineComparison) -> String {
    if let Some(why) = comparison.refused.first() {
        return format!("The two runs cannot be compared: {why}.");
    }
    let told = |change: &MetricChange| match change.shift {
        Some(shift) => format!("{} {}", metric::words(&change.metric), signed(shift)),
        None => format!("{}, of which there was nothing before", metric::words(&change.metric)),
    };
    let named = |kind: Change| {
        let mut names: Vec<String> = comparison.with(kind).map(told).collect();
        let more = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        if more > 0 {
            names.push(count(more as u64, "more metric"));
        }
        names.join("; ")
    };
    let aspects = |kind: Change| {
        let words: Vec<&str> =
            Aspect::ALL.iter().filter(|one| comparison.aspect(**one) == Some(kind)).map(|one| one.word()).collect();
        list(&words)
    };
    let unknown = aspects(Change::CannotTell);
    match comparison.overall() {
        Change::Worse => format!("It is worse: {}.", named(Change::Worse)),
        Change::Better => format!("It is better: {}.", named(Change::Better)),
        Change::Same => format!("It is the same in {}.", aspects(Change::Same)),
        Change::CannotTell if comparison.changes.is_empty() => "Nothing that can be compared was measured.".to_owned(),
        Change::CannotTell if unknown.is_empty() => {
            "It cannot be told: neither latency nor throughput was measured in both.".to_owned()
        }
        Change::CannotTell => format!("It cannot be told whether it is worse in {unknown}."),
    }
}
