//! What was proven and of which software: checks with their evidence, versions, history, and how to run it again.

use super::document::Document;
use super::words::{between, count, duration, moment, number, yes};
use crate::model::record::{CycleRecord, EpochRecord, Snapshot};
use crate::model::verdict::{CheckResult, Verdict};

/// Cycles without a pass whose evidence is shown.
const CYCLES_EXPLAINED: usize = 3;
/// Evidence lines shown of one check.
const EVIDENCE_LINES: usize = 12;
/// Epochs listed.
const EPOCHS_LISTED: usize = 30;

/// Adds the checks of the last cycle, and before it those of the first cycles that did not pass.
pub(super) fn checks(doc: &mut Document, snapshot: &Snapshot) {
    let Some(last) = snapshot.cycles.last() else { return };
    let bad: Vec<&CycleRecord> = snapshot
        .cycles
        .iter()
        .filter(|cycle| cycle.verdict != Verdict::Pass && cycle.cycle != last.cycle)
        .take(CYCLES_EXPLAINED)
        .collect();
    for cycle in bad.iter().chain([&last]) {
        let which = if cycle.cycle == last.cycle { ", the last" } else { "" };
        doc.heading(&format!("Verification of cycle {}{which}", number(cycle.cycle)));
        doc.paragraph(format!(
            "Settled in {} ({}); content {}.",
            count(cycle.settle_rounds.into(), "round"),
            duration(cycle.settle_ms),
            if cycle.content.is_empty() { "unknown" } else { &cycle.content }
        ));
        for check in &cycle.checks {
            doc.item(mark(check), format!("{}: {}", check.check, check.summary), evidence(check));
        }
    }
}

fn mark(check: &CheckResult) -> &'static str {
    match check.verdict {
        Some(Verdict::Pass) => "pass",
        Some(Verdict::Fail) => "FAIL",
        Some(Verdict::Inconclusive) => "INCONCLUSIVE",
        Some(Verdict::Aborted) => "ABORTED",
        None => "not exercised",
    }
}

fn evidence(check: &CheckResult) -> Vec<String> {
    let mut lines: Vec<String> = check.evidence.iter().take(EVIDENCE_LINES).cloned().collect();
    let more = check.evidence_total.max(check.evidence.len() as u64) - lines.len() as u64;
    if more > 0 {
        lines.push(format!("and {} more", number(more)));
    }
    lines
}

/// Adds the versions of everything that took part.
pub(super) fn versions(doc: &mut Document, snapshot: &Snapshot) {
    let versions = &snapshot.run.versions;
    let known = |text: &str| if text.is_empty() { "not told".to_owned() } else { text.to_owned() };
    doc.heading("Versions");
    doc.facts(vec![
        ("soakd", known(&versions.soakd)),
        ("SQLite", known(&versions.sqlite)),
        ("Provider", known(&versions.provider)),
        ("Server", known(&versions.server)),
    ]);
}

/// Adds every life of the daemon and the gaps between them.
pub(super) fn history(doc: &mut Document, snapshot: &Snapshot) {
    let epochs = &snapshot.epochs;
    if epochs.is_empty() {
        return;
    }
    doc.heading("History");
    if epochs.len() == 1 {
        doc.paragraph("The run was never interrupted.");
        return;
    }
    let recovered: u64 = epochs.iter().map(|epoch| epoch.steps_recovered).sum();
    doc.paragraph(format!(
        "The run was resumed {}. {} found done in the databases that the state file had not counted yet; each was counted \
         once.",
        if epochs.len() == 2 { "once".to_owned() } else { format!("{} times", number(epochs.len() as u64 - 1)) },
        if recovered == 1 { "1 step was".to_owned() } else { format!("{} steps were", number(recovered)) },
    ));
    let first = epochs.len().saturating_sub(EPOCHS_LISTED);
    let rows = (first..epochs.len()).map(|at| epoch(&epochs[at], at.checked_sub(1).map(|before| &epochs[before])));
    let rows = rows.collect();
    doc.table(&[">Epoch", "Started (UTC)", ">Up", ">Down before", ">Cycle", "Phase", ">Recovered", "Clean end"], rows);
}

fn epoch(epoch: &EpochRecord, before: Option<&EpochRecord>) -> Vec<String> {
    vec![
        epoch.epoch.to_string(),
        moment(epoch.started_ms).trim_end_matches(" UTC").to_owned(),
        duration(between(epoch.started_ms, epoch.last_ms)),
        before.map_or_else(|| "-".to_owned(), |before| duration(between(before.last_ms, epoch.started_ms))),
        number(epoch.cycle),
        epoch.phase.word().to_owned(),
        number(epoch.steps_recovered),
        yes(epoch.clean_end),
    ]
}

/// Adds what is needed to get the same run again.
pub(super) fn again(doc: &mut Document, snapshot: &Snapshot) {
    doc.heading("How to run it again");
    doc.paragraph(rerun(snapshot));
    doc.facts(snapshot.run.config.iter().map(|(key, value)| (key.as_str(), value.clone())).collect());
}

/// Returns the seed and the command of the same run.
pub(super) fn rerun(snapshot: &Snapshot) -> String {
    format!(
        "The seed is {seed}: set `seed = {seed}` in [run] of the configuration below, then start `soakd run -c FILE`.",
        seed = snapshot.run.seed
    )
}
