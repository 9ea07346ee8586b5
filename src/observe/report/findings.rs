//! What went wrong: errors by cause, outages, and the log of every database that had errors.

use std::collections::BTreeMap;

use super::document::{Block, Document};
use super::spread::spread;
use super::words::{between, count, duration, moment, number, ranges, word};
use crate::model::finding::{Finding, Kind, Side};
use crate::model::record::{FindingGroup, LogTail, Snapshot};

/// Causes that are shown.
const CAUSES_SHOWN: usize = 40;
/// Outages that are listed, the last ones.
const OUTAGES_LISTED: usize = 20;

/// Adds errors grouped by side and kind, and within them by cause.
pub(super) fn errors(doc: &mut Document, snapshot: &Snapshot) {
    doc.heading("Errors");
    if snapshot.findings.is_empty() && snapshot.findings_ungrouped == 0 {
        doc.paragraph("None.");
        return;
    }
    let mut kinds: BTreeMap<(Side, Kind), Vec<&FindingGroup>> = BTreeMap::new();
    for group in &snapshot.findings {
        kinds.entry((group.first.side, group.first.kind)).or_default().push(group);
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    // What was not tolerated comes first, then what came often.
    let weight = |groups: &[&FindingGroup]| {
        let open: u64 = groups.iter().map(|group| group.count - group.tolerated.min(group.count)).sum();
        (open, groups.iter().map(|group| group.count).sum::<u64>())
    };
    kinds.sort_by_key(|(_, groups)| std::cmp::Reverse(weight(groups)));
    let row = |((side, kind), groups): &((Side, Kind), Vec<&FindingGroup>)| {
        let (open, all) = weight(groups);
        vec![word(side), word(kind), number(groups.len() as u64), number(all), number(all - open), number(open)]
    };
    doc.table(&["Side", "Kind", ">Causes", ">Count", ">Tolerated", ">Not tolerated"], kinds.iter().map(row).collect());
    let shown = kinds.iter().flat_map(|(_, groups)| groups).take(CAUSES_SHOWN);
    for group in shown {
        cause(doc, snapshot, group);
    }
    let more = snapshot.findings.len().saturating_sub(CAUSES_SHOWN) as u64;
    if more > 0 {
        doc.paragraph(format!("{} not shown; the JSON report has all.", count(more, "more cause")));
    }
    if snapshot.findings_ungrouped > 0 {
        let beyond = count(snapshot.findings_ungrouped, "more error");
        doc.paragraph(format!("{beyond} of further causes were counted, but not kept one by one."));
    }
}

fn cause(doc: &mut Document, snapshot: &Snapshot, group: &FindingGroup) {
    let until = snapshot.run.ended_ms.unwrap_or(snapshot.made_ms);
    let first = &group.first;
    let tolerance = match group.count - group.tolerated.min(group.count) {
        0 => "all tolerated".to_owned(),
        open if open == group.count => "not tolerated".to_owned(),
        open => format!("{} not tolerated", number(open)),
    };
    let times = if group.count == 1 { "once".to_owned() } else { format!("{} times", number(group.count)) };
    let code = first.code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
    let text = format!("{} {}{code}, {times}, {tolerance}: {}", word(&first.side), word(&first.kind), first.message);
    let databases = match group.by_db.keys().copied().filter(|db| *db != 0).count() {
        0 => "no database in particular".to_owned(),
        1 => format!("database {}", ranges(group.by_db.keys().copied().filter(|db| *db != 0))),
        _ => format!("databases {}", ranges(group.by_db.keys().copied().filter(|db| *db != 0))),
    };
    let mut details = vec![format!("first {} {}", moment(first.at_ms), place(first))];
    if group.count > 1 {
        details.push(format!("last  {}", moment(group.last_ms)));
    }
    details.push(format!("in    {databases}"));
    details.push(format!("time  {}", spread(group, snapshot.run.started_ms, until).words()));
    doc.item(if group.count > group.tolerated { "error" } else { "tolerated" }, text, details);
}

/// Returns where a finding was seen, in the form of the log lines.
fn place(finding: &Finding) -> String {
    let mut place = format!("in {} of cycle {}", finding.phase, number(finding.cycle));
    let parts = [("DB", finding.db), ("iter ", finding.iter), ("step ", finding.step)];
    for (name, n) in parts {
        if let Some(n) = n {
            place.push_str(&format!(" [{name}{n}]"));
        }
    }
    place
}

/// Adds the times in which the target did not answer.
pub(super) fn outages(doc: &mut Document, snapshot: &Snapshot) {
    if snapshot.outages.is_empty() {
        return;
    }
    doc.heading("Outages of the target");
    let until = snapshot.run.ended_ms.unwrap_or(snapshot.made_ms);
    let total: u64 = snapshot.outages.iter().map(|out| between(out.from_ms, out.until_ms.unwrap_or(until))).sum();
    let all = snapshot.outages.len() as u64 + snapshot.outages_dropped;
    let kept = if snapshot.outages_dropped > 0 { " in those still kept" } else { "" };
    doc.paragraph(format!("{}, {} without an answer{kept}.", count(all, "outage"), duration(total)));
    let skipped = snapshot.outages.len().saturating_sub(OUTAGES_LISTED);
    let rows = snapshot.outages.iter().skip(skipped).map(|out| {
        let end = out.until_ms.map_or_else(|| "still lasts".to_owned(), moment);
        let length = duration(between(out.from_ms, out.until_ms.unwrap_or(until)));
        vec![moment(out.from_ms), end, length, out.reason.clone()]
    });
    doc.table(&["From", "Until", ">Length", "Reason"], rows.collect());
}

/// Adds the first and last log lines of databases that had errors.
pub(super) fn logs(doc: &mut Document, snapshot: &Snapshot) {
    let failed = |db: u32| snapshot.databases.iter().any(|known| known.db == db && known.counters.errors > 0);
    for (db, tail) in snapshot.logs.iter().filter(|(db, _)| failed(**db)) {
        doc.heading(&format!("Log of database {db}"));
        doc.blocks.push(Block::Verbatim(lines(tail)));
    }
}

fn lines(tail: &LogTail) -> Vec<String> {
    let mut lines = tail.first.clone();
    if tail.dropped > 0 {
        lines.push(format!("... {} not kept ...", count(tail.dropped, "line")));
    }
    lines.extend(tail.last.iter().cloned());
    lines
}
