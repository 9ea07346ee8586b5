//! The figures of a run: the table people know from the hand-made test, databases and cycles.

use std::collections::BTreeSet;

use super::document::{Block, Document};
use super::headline::headline;
use super::lanes;
use super::text;
use super::words::{between, count, duration, moment, number, word, yes};
use crate::model::record::{CycleRecord, DbSummary, RunRecord, Snapshot};
use crate::model::verdict::Verdict;

/// Last cycles that are listed.
const CYCLES_LISTED: usize = 20;
/// Databases that are listed.
const DATABASES_LISTED: usize = 64;

/// Adds the verdict and its reason.
pub(super) fn title(doc: &mut Document, snapshot: &Snapshot) {
    let head = headline(snapshot);
    let of = format!("soakd run {} ({})", snapshot.run.name, snapshot.run.run);
    doc.blocks.push(Block::Title { verdict: head.word, of });
    doc.paragraph(head.reason);
}

/// Adds the table of the run.
pub(super) fn run(doc: &mut Document, snapshot: &Snapshot) {
    let (run, scale) = (&snapshot.run, &snapshot.run.scale);
    let until = run.ended_ms.unwrap_or(snapshot.made_ms);
    let wall = between(run.started_ms, until);
    let mut cycles = number(snapshot.cycles_done);
    match (scale.cycles_planned, scale.duration_planned_ms) {
        (Some(planned), _) => cycles.push_str(&format!(" of {}", number(planned))),
        (None, Some(ms)) => cycles.push_str(&format!(", for {}", duration(ms))),
        (None, None) => cycles.push_str(", without end"),
    }
    let ended = match (run.ended_ms, &run.ended_because) {
        (Some(at), Some(why)) => format!("{} ({why})", moment(at)),
        (Some(at), None) => moment(at),
        (None, _) => format!("not yet; as of {}", moment(snapshot.made_ms)),
    };
    doc.heading("Run");
    let workload = if scale.is_direct() { lanes::facts(snapshot, cycles) } else { synced(snapshot, cycles) };
    let mut facts =
        vec![("Result", headline(snapshot).word), ("Target", target(snapshot)), ("Seed", run.seed.to_string())];
    facts.extend(workload);
    facts.extend([
        ("Steps", steps(snapshot)),
        ("Started", moment(run.started_ms)),
        ("Ended", ended),
        ("Observed", format!("{} of {} wall time", duration(run.observed_ms.min(wall)), duration(wall))),
        ("Not observed", not_observed(wall.saturating_sub(run.observed_ms))),
        ("Errors", errors(snapshot)),
        ("Error types", error_types(snapshot)),
    ]);
    if !snapshot.receipt.is_empty() {
        facts.push(("Receipt", snapshot.receipt.clone()));
    }
    doc.facts(facts);
}

/// Returns what is driven, and through what.
fn target(snapshot: &Snapshot) -> String {
    let scale = &snapshot.run.scale;
    // A database that is driven directly has nothing between.
    if scale.is_direct() { scale.provider.clone() } else { format!("{}, {} provider", scale.target, scale.provider) }
}

/// Returns the facts of the sync workload, as people know them from the hand-made test.
fn synced(snapshot: &Snapshot, cycles: String) -> Vec<(&'static str, String)> {
    let (scale, totals) = (&snapshot.run.scale, &snapshot.totals);
    vec![
        ("Scale", scale.scale.clone()),
        ("Mode", scale.mode.clone()),
        ("Databases", number(scale.databases.into())),
        ("Users", number(scale.users.into())),
        ("Row-level security", yes(scale.rls)),
        ("Rows per iteration", number(scale.rows.into())),
        ("Iterations per cycle", number(scale.iterations.into())),
        ("Cycles", cycles),
        ("CRUD operations", number(totals.crud_ops)),
        ("Sync operations", number(totals.sync_ops)),
        ("Rows written", rows_written(snapshot)),
        ("Changes", format!("{} sent, {} received", number(totals.changes_sent), number(totals.changes_received))),
    ]
}

fn not_observed(ms: u64) -> String {
    if ms == 0 { "none".to_owned() } else { format!("{} (soakd was down or starting)", duration(ms)) }
}

fn rows_written(snapshot: &Snapshot) -> String {
    let totals = &snapshot.totals;
    let parts =
        [(totals.rows_inserted, "inserted"), (totals.rows_updated, "updated"), (totals.rows_deleted, "deleted")];
    parts.map(|(n, verb)| format!("{} {verb}", number(n))).join(", ")
}

fn steps(snapshot: &Snapshot) -> String {
    let totals = &snapshot.totals;
    let mut text = number(totals.steps);
    let kinds = [
        (totals.steps_failed, "failed"),
        (totals.steps_indeterminate, "indeterminate"),
        (totals.steps_refused, "refused"),
    ];
    for (n, what) in kinds.into_iter().filter(|(n, _)| *n > 0) {
        text.push_str(&format!(", {} {what}", number(n)));
    }
    if totals.retries > 0 {
        text.push_str(&format!(", {} retried", number(totals.retries)));
    }
    text
}

fn errors(snapshot: &Snapshot) -> String {
    let tolerated: u64 = snapshot.findings.iter().map(|group| group.tolerated).sum();
    match snapshot.totals.errors {
        0 => "none".to_owned(),
        errors if tolerated == 0 => number(errors),
        errors => format!("{}, of which {} tolerated (retried and healed)", number(errors), number(tolerated)),
    }
}

/// Returns side and kind of all errors, each once.
pub(super) fn error_kinds(snapshot: &Snapshot) -> BTreeSet<String> {
    snapshot.findings.iter().map(|group| format!("{} {}", word(&group.first.side), word(&group.first.kind))).collect()
}

fn error_types(snapshot: &Snapshot) -> String {
    let kinds: Vec<_> = error_kinds(snapshot).into_iter().collect();
    if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
}

/// Renders the list of runs for a terminal.
pub fn runs_text(runs: &[RunRecord], made_ms: i64) -> String {
    if runs.is_empty() {
        return "There is no run yet.\n".to_owned();
    }
    let row = |run: &RunRecord| {
        vec![
            run.run.clone(),
            run.name.clone(),
            moment(run.started_ms).trim_end_matches(" UTC").to_owned(),
            duration(between(run.started_ms, run.ended_ms.unwrap_or(made_ms))),
            number(run.cycle),
            run.verdict.map_or_else(|| "running".to_owned(), |verdict| verdict.to_string()),
        ]
    };
    let mut doc = Document::default();
    doc.table(&["Run", "Name", "Started (UTC)", ">Time", ">Cycle", "Result"], runs.iter().map(row).collect());
    text::render(&doc)
}

/// Adds a line for every database.
pub(super) fn databases(doc: &mut Document, snapshot: &Snapshot) {
    if snapshot.databases.is_empty() || !snapshot.lanes.is_empty() {
        return;
    }
    doc.heading("Databases");
    let slowest = |db: &DbSummary| {
        let worst = db.slowest_us.iter().max_by_key(|(_, us)| **us);
        worst.map_or_else(|| "-".to_owned(), |(verb, us)| format!("{} {verb}", duration(us / 1000)))
    };
    let row = |db: &DbSummary| {
        let counters = &db.counters;
        vec![
            db.db.to_string(),
            db.user.to_string(),
            number(counters.steps),
            number(counters.crud_ops),
            number(counters.sync_ops),
            number(counters.errors),
            number(counters.retries),
            number(db.rows_final),
            duration(counters.busy_us / 1000),
            slowest(db),
        ]
    };
    let titles =
        [">DB", ">User", ">Steps", ">CRUD ops", ">Sync ops", ">Errors", ">Retries", ">Rows", ">Busy", "Slowest step"];
    doc.table(&titles, snapshot.databases.iter().take(DATABASES_LISTED).map(row).collect());
    let more = snapshot.databases.len().saturating_sub(DATABASES_LISTED);
    if more > 0 {
        doc.paragraph(format!("{} not listed; the JSON report has all.", count(more as u64, "more database")));
    }
}

/// Adds a line for each of the last cycles, and for those that did not pass.
pub(super) fn cycles(doc: &mut Document, snapshot: &Snapshot) {
    doc.heading("Cycles");
    if snapshot.cycles.is_empty() {
        doc.paragraph("No cycle was finished.");
        return;
    }
    let by: Vec<_> =
        snapshot.cycles_by_verdict.iter().map(|(verdict, n)| format!("{} {verdict}", number(*n))).collect();
    let recent = snapshot.cycles.len().saturating_sub(CYCLES_LISTED);
    let listed: Vec<_> = (snapshot.cycles.iter().enumerate())
        .filter(|(at, cycle)| *at >= recent || cycle.verdict != Verdict::Pass)
        .map(|(_, cycle)| row(cycle))
        .collect();
    let all = listed.len() as u64 == snapshot.cycles_done;
    let which = if all { "" } else { " Listed are the last 20 and the first that did not pass." };
    doc.paragraph(format!("{}: {}.{which}", count(snapshot.cycles_done, "finished cycle"), by.join(", ")));
    let titles =
        [">Cycle", "Started (UTC)", ">Load", ">Settle", ">Verify", ">Saving", ">Steps", ">Errors", ">Rows", "Result"];
    doc.table(&titles, listed);
}

fn row(cycle: &CycleRecord) -> Vec<String> {
    let planned = if cycle.steps == cycle.steps_planned {
        number(cycle.steps)
    } else {
        format!("{} of {}", number(cycle.steps), number(cycle.steps_planned))
    };
    vec![
        number(cycle.cycle),
        moment(cycle.started_ms).trim_end_matches(" UTC").to_owned(),
        duration(cycle.load_ms),
        duration(cycle.settle_ms),
        duration(cycle.verify_ms),
        duration(cycle.checkpoint_us / 1000),
        planned,
        number(cycle.errors),
        number(cycle.rows_final),
        cycle.verdict.to_string(),
    ]
}
