//! What the page shows beside the document: the head, criteria, latencies, incidents and metrics.

use maud::{Markup, html};

use super::blocks::{badge, tone};
use crate::model::incident::{ChangeKind, Incident, IncidentState};
use crate::model::judgement::CriterionResult;
use crate::model::metric;
use crate::model::quantity::figure;
use crate::model::record::Snapshot;
use crate::observe::figures::words::{self, capital};
use crate::observe::figures::{Material, concerned, extent};
use crate::observe::report::document::Document;
use crate::observe::report::headline;
use crate::observe::report::words::{between, clean, count, duration, moment, number};

/// Incidents that are listed, and lines of evidence of one.
const INCIDENTS_LISTED: usize = 40;
const EVIDENCE_LINES: usize = 6;
/// Results of criteria that are listed.
const CRITERIA_LISTED: usize = 60;

/// Returns the verdict with its reason, and the figures that people ask for first.
pub(super) fn top(given: &Material, title: &str) -> Markup {
    let (snapshot, head) = (given.snapshot, headline(given.snapshot));
    let run = &snapshot.run;
    html! {
        header.top class=(tone(&head.word)) {
            (badge(&head.word))
            h1 { (clean(if run.name.is_empty() { title } else { &run.name })) }
            p.id { (clean(&run.run)) }
            p.reason { (clean(&head.reason)) }
            dl.tiles {
                @for (name, value, note) in tiles(given) { div { dt { (name) } dd { (value) small { (note) } } } }
            }
        }
    }
}

fn tiles(given: &Material) -> Vec<(&'static str, String, String)> {
    let (snapshot, run) = (given.snapshot, &given.snapshot.run);
    let wall = between(run.started_ms, run.ended_ms.unwrap_or(snapshot.made_ms));
    let by: Vec<_> =
        snapshot.cycles_by_verdict.iter().map(|(verdict, n)| format!("{} {verdict}", number(*n))).collect();
    let tolerated: u64 = snapshot.findings.iter().map(|group| group.tolerated).sum();
    let open = concerned(given).filter(|one| one.state == IncidentState::Open).count() as u64;
    let totals = &snapshot.totals;
    let rows = totals.rows_inserted.saturating_add(totals.rows_updated).saturating_add(totals.rows_deleted);
    vec![
        ("Cycles", number(snapshot.cycles_done), by.join(", ")),
        ("Observed", duration(run.observed_ms.min(wall)), format!("of {} wall time", duration(wall))),
        ("Errors", number(totals.errors), format!("{} tolerated", number(tolerated))),
        ("Incidents", number(concerned(given).count() as u64), format!("{} open", number(open))),
        ("Rows written", number(rows), format!("{} sync operations", number(totals.sync_ops))),
    ]
}

/// Returns the criteria with their figures; nothing where none was judged. What was found is left out where it stands below.
pub(super) fn criteria(snapshot: &Snapshot, found: bool) -> Option<Markup> {
    let judgement = snapshot.judgement.as_ref()?;
    let mut results: Vec<&CriterionResult> = judgement.results.iter().collect();
    // The worst come first, and what was not judged last.
    results.sort_by_key(|result| std::cmp::Reverse(result.verdict));
    let more = results.len().saturating_sub(CRITERIA_LISTED) as u64;
    Some(html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { "Criterion" } th scope="col" { "Of" } th scope="col" { "Result" }
                th.n scope="col" { "Limit" } th.n scope="col" { "Value" } th.n scope="col" { "Interval" }
                @if found { th scope="col" { "What was found" } }
            } }
            tbody { @for result in results.iter().take(CRITERIA_LISTED) { (criterion(result, found)) } }
        } }
        @if more > 0 { p.note { (count(more, "more result")) " not listed." } }
    })
}

fn criterion(result: &CriterionResult, found: bool) -> Markup {
    let shown = |n: Option<f64>| n.map_or_else(|| "-".to_owned(), |n| figure(&result.criterion, n));
    let interval = match (result.low, result.high) {
        (Some(low), Some(high)) => format!("{} to {}", shown(Some(low)), shown(Some(high))),
        _ => "-".to_owned(),
    };
    let word = result.verdict.map_or_else(|| "not judged".to_owned(), |verdict| verdict.to_string());
    html! { tr {
        th scope="row" { (clean(&capital(&result.criterion.replace('_', " ")))) }
        td { (clean(&if result.metric.is_empty() { "the run".to_owned() } else { metric::words(&result.metric) })) }
        td { (badge(&word)) }
        td.n { (shown(result.limit)) } td.n { (shown(result.value)) } td.n { (interval) }
        @if found {
            td { (clean(&result.summary)) @for line in result.evidence.iter().take(EVIDENCE_LINES) { br; span.note { (clean(line)) } } }
        }
    } }
}

/// Returns the incidents of the run, open ones first.
pub(super) fn incidents(given: &Material) -> Document {
    let mut doc = Document::default();
    let mut all: Vec<&Incident> = concerned(given).collect();
    all.sort_by_key(|one| (one.state != IncidentState::Open, std::cmp::Reverse(one.id)));
    for one in all.iter().take(INCIDENTS_LISTED) {
        incident(&mut doc, one);
    }
    let more = all.len().saturating_sub(INCIDENTS_LISTED) as u64;
    if more > 0 {
        doc.paragraph(format!("{} not listed.", count(more, "older incident")));
    }
    doc
}

fn incident(doc: &mut Document, one: &Incident) {
    let mark = match one.state {
        IncidentState::Open => "failure",
        IncidentState::Resolved => "resolved",
    };
    let mark =
        if mark == "failure" && one.severity == crate::model::incident::Severity::Warning { "warning" } else { mark };
    let mut details = vec![format!("opened {} in cycle {}", moment(one.opened_ms), number(one.cycle_first))];
    details.push(format!(
        "last   {} in cycle {}, {}",
        moment(one.last_ms),
        number(one.cycle_last),
        count(one.count, "finding")
    ));
    if let Some(at) = one.resolved_ms.filter(|_| one.state == IncidentState::Resolved) {
        details.push(format!("resolved {}, {} later", moment(at), duration(between(one.opened_ms, at))));
    }
    let again = one.history.iter().filter(|change| change.what == ChangeKind::Reopened).count() as u64;
    if again > 0 {
        details.push(format!("opened again {}", if again == 1 { "once".to_owned() } else { format!("{again} times") }));
    }
    details.extend(one.evidence.iter().take(EVIDENCE_LINES).cloned());
    let state = if one.state == IncidentState::Open { ", open" } else { "" };
    doc.item(mark, format!("Incident {}{state}: {}", one.id, capital(&one.title)), details);
}

/// Returns every metric with its extent.
pub(super) fn metrics(given: &Material) -> Document {
    let mut doc = Document::default();
    let rows: Vec<Vec<String>> = (given.measures.iter())
        .filter_map(|(name, points)| {
            let extent = extent(points)?;
            let figures = [extent.first, extent.last, extent.least, extent.most].map(|n| words::of(name, n));
            Some([capital(&metric::words(name)), number(extent.samples)].into_iter().chain(figures).collect())
        })
        .collect();
    if !rows.is_empty() {
        doc.paragraph("Measured once in each cycle, at its quiet end.");
        doc.table(&["Metric", ">Cycles", ">First", ">Last", ">Least", ">Largest"], rows);
    }
    doc
}
