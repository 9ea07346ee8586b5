//! What happened around all charts of a run: restarts, outages, incidents, failed cycles, versions; and the time they span.

use super::Material;
use crate::model::incident::Incident;
use crate::model::record::Snapshot;
use crate::model::verdict::Verdict;
use crate::observe::chart::{Mark, MarkKind, Shade, Size, Spec};

/// Marks of one kind that are kept; a chart draws fewer.
const MARKS_MAX: usize = 400;

/// What every chart of a run shows beside its own lines.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Around {
    pub(super) span: Option<(i64, i64)>,
    pub(super) marks: Vec<Mark>,
    pub(super) shades: Vec<Shade>,
}

impl Around {
    /// Puts it into a chart of a size.
    pub(super) fn put(&self, spec: Spec, size: Size) -> Spec {
        Spec { size, span: self.span, marks: self.marks.clone(), shades: self.shades.clone(), ..spec }
    }
}

/// Returns the time of a run as charts show it.
pub(super) fn span(snapshot: &Snapshot) -> (i64, i64) {
    let run = &snapshot.run;
    (run.started_ms, run.ended_ms.unwrap_or(snapshot.made_ms).max(run.started_ms.saturating_add(1)))
}

/// Collects what happened in a run.
pub(super) fn around(given: &Material) -> Around {
    let snapshot = given.snapshot;
    let mut marks: Vec<Mark> = Vec::new();
    let mut add = |kind: MarkKind, all: Vec<(i64, String)>| {
        marks.extend(all.into_iter().take(MARKS_MAX).map(|(at_ms, label)| Mark { at_ms, kind, label }));
    };
    add(MarkKind::Incident, concerned(given).map(|one| (one.opened_ms, format!("incident {}", one.id))).collect());
    let failed = snapshot.cycles.iter().filter(|cycle| cycle.verdict == Verdict::Fail);
    add(MarkKind::Failed, failed.map(|cycle| (cycle.ended_ms, format!("cycle {} failed", cycle.cycle))).collect());
    add(MarkKind::Version, versions(snapshot).into_iter().skip(1).collect());
    let restarts = snapshot.epochs.iter().skip(1);
    add(
        MarkKind::Restart,
        restarts.map(|epoch| (epoch.started_ms, format!("soakd started, epoch {}", epoch.epoch))).collect(),
    );
    let shades = snapshot.outages.iter().map(|out| Shade {
        from_ms: out.from_ms,
        until_ms: out.until_ms.unwrap_or(span(snapshot).1),
        label: "target did not answer".to_owned(),
    });
    Around { span: Some(span(snapshot)), shades: shades.collect(), marks }
}

/// Returns the incidents of a run, the first ones first.
pub(crate) fn concerned<'a>(given: &Material<'a>) -> impl Iterator<Item = &'a Incident> + use<'a> {
    let (from, until) = span(given.snapshot);
    let run = given.snapshot.run.run.clone();
    let within = move |one: &&Incident| one.run == run || (one.opened_ms <= until && one.last_ms >= from);
    let mut found: Vec<&Incident> = given.incidents.iter().filter(within).collect();
    found.sort_by_key(|one| one.id);
    found.into_iter()
}

/// Returns the versions that the target told of itself, each with the time from which on it was seen.
pub(super) fn versions(snapshot: &Snapshot) -> Vec<(i64, String)> {
    let kept = snapshot.changes.versions.iter().map(|since| (since.at_ms, &since.server));
    let of_cycles = snapshot.cycles.iter().map(|cycle| (cycle.started_ms, &cycle.server));
    // Before a run is looked at as a whole, its cycles tell.
    let told: Vec<(i64, &String)> =
        if snapshot.changes.versions.is_empty() { of_cycles.collect() } else { kept.collect() };
    let mut versions: Vec<(i64, String)> = Vec::new();
    for (at_ms, server) in told.into_iter().filter(|(_, server)| !server.is_empty()) {
        if versions.last().is_none_or(|(_, last)| last != server) {
            versions.push((at_ms, server.clone()));
        }
    }
    versions
}
