//! Mails about more than one incident: digests, summaries of a run, and the test mail.

use super::charts::Charts;
use super::page::{Page, Tone};
use super::run::{again, outages, reason, reports, running, trends};
use super::subject::{place, severity, so_far};
use super::words::{ago, capital, length, line, moment};
use super::{Letter, delay};
use crate::model::incident::{Incident, IncidentState};
use crate::model::record::{CycleRecord, Snapshot};
use crate::model::verdict::Verdict;
use crate::observe::report::comparison::sentence;
use crate::observe::report::headline;
use crate::observe::report::words::{between, count, number, word};

/// Incidents listed of each kind.
const INCIDENTS_MAX: usize = 20;
/// Causes of errors listed.
const ERRORS_MAX: usize = 8;
/// Cycles without a pass listed.
const CYCLES_MAX: usize = 8;
/// Evidence lines of one check.
const EVIDENCE_MAX: usize = 4;

/// Lays out what happened in a span of time.
pub(super) fn digest(letter: &Letter, span: (i64, i64), charts: &Charts, attached: Result<(), &str>) -> Page {
    let (open, over) = sorted(letter);
    let tone = if open.is_empty() { Tone::Good } else { Tone::Bad };
    let title = match open.len() {
        0 => "No incident is open".to_owned(),
        1 => "1 incident is open".to_owned(),
        n => format!("{n} incidents are open"),
    };
    let lead = format!("{} · {} to {}", place(letter), moment(span.0, letter.zone), moment(span.1, letter.zone));
    let mut page = Page::new(tone, "DIGEST", &title, &lead);
    delay(&mut page, letter);
    incidents(&mut page, letter, &open, &over);
    state(&mut page, letter);
    running(&mut page, letter, None);
    trends(&mut page, charts);
    outbox(&mut page, letter);
    reports(&mut page, letter, attached);
    page
}

/// Returns the open incidents, the newest first, and those that are over.
fn sorted(letter: &Letter) -> (Vec<&Incident>, Vec<&Incident>) {
    let mut all: Vec<&Incident> = letter.incidents.iter().collect();
    all.sort_by_key(|one| std::cmp::Reverse((one.severity, one.last_ms)));
    all.into_iter().partition(|one| one.state == IncidentState::Open)
}

fn incidents(page: &mut Page, letter: &Letter, open: &[&Incident], over: &[&Incident]) {
    page.heading("Open incidents");
    if open.is_empty() {
        page.paragraph("None.");
    }
    for one in open.iter().take(INCIDENTS_MAX) {
        let fresh = one.count.saturating_sub(one.told_count);
        let since = if one.told_count > 0 { format!(", {} since the last mail", number(fresh)) } else { String::new() };
        page.facts([
            ("Incident", format!("{} · {} · {}", number(one.id), severity(one), capital(&line(&one.title, 240)))),
            ("Findings", format!("{}{since}", number(one.count))),
            ("First seen", format!("{}, cycle {}", seen(letter, one.opened_ms), number(one.cycle_first))),
            ("Last seen", format!("{}, cycle {}", seen(letter, one.last_ms), number(one.cycle_last))),
            ("Evidence", one.evidence.first().map(|text| line(text, 240)).unwrap_or_default()),
        ]);
    }
    more(page, open.len());
    if over.is_empty() {
        return;
    }
    page.heading("Resolved lately");
    let rows = over.iter().take(INCIDENTS_MAX).map(|one| {
        let at = one.resolved_ms.map_or_else(|| "-".to_owned(), |at| ago(at, letter.now_ms));
        vec![number(one.id), at, number(one.count), one.title.clone()]
    });
    page.table(&[">Incident", "Resolved", ">Findings", "Title"], rows);
    more(page, over.len());
}

fn more(page: &mut Page, all: usize) {
    let more = all.saturating_sub(INCIDENTS_MAX) as u64;
    if more > 0 {
        page.paragraph(format!("{} not listed.", count(more, "more incident")));
    }
}

fn seen(letter: &Letter, ms: i64) -> String {
    format!("{}, {}", moment(ms, letter.zone), ago(ms, letter.now_ms))
}

fn state(page: &mut Page, letter: &Letter) {
    let Some(snapshot) = &letter.snapshot else { return };
    page.heading("State of the run");
    page.paragraph(reason(snapshot));
    figures(page, letter, snapshot);
}

fn figures(page: &mut Page, letter: &Letter, snapshot: &Snapshot) {
    let (run, totals) = (&snapshot.run, &snapshot.totals);
    let by: Vec<String> =
        snapshot.cycles_by_verdict.iter().map(|(verdict, n)| format!("{} {verdict}", number(*n))).collect();
    let tolerated: u64 = snapshot.findings.iter().map(|group| group.tolerated).sum();
    let errors = match totals.errors {
        0 => "none".to_owned(),
        errors => format!("{}, of which {} tolerated (retried and healed)", number(errors), number(tolerated)),
    };
    let wall = between(run.started_ms, run.ended_ms.unwrap_or(snapshot.made_ms));
    page.facts([
        ("Cycles", format!("{} ({})", number(snapshot.cycles_done), by.join(", "))),
        ("Time", format!("{} observed of {}", length(run.observed_ms.min(wall)), length(wall))),
        (
            "Rows",
            format!(
                "{} inserted, {} updated, {} deleted",
                number(totals.rows_inserted),
                number(totals.rows_updated),
                number(totals.rows_deleted)
            ),
        ),
        (
            "Operations",
            format!(
                "{} CRUD, {} sync, {} retries",
                number(totals.crud_ops),
                number(totals.sync_ops),
                number(totals.retries)
            ),
        ),
        ("Errors", errors),
        ("Restarts", number(snapshot.epochs.len().saturating_sub(1) as u64)),
        ("Outages", number(snapshot.outages.len() as u64 + snapshot.outages_dropped)),
        (
            "Last cycle",
            snapshot
                .cycles
                .last()
                .map(|last| format!("{}, {}", last.verdict, ago(last.ended_ms, letter.now_ms)))
                .unwrap_or_default(),
        ),
    ]);
}

fn outbox(page: &mut Page, letter: &Letter) {
    let outbox = &letter.outbox;
    let sum = |of: &std::collections::BTreeMap<String, u64>| {
        of.iter()
            .filter(|(_, n)| **n > 0)
            .take(8)
            .map(|(name, n)| format!("{} {}", line(name, 64), number(*n)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (waiting, lost) = (sum(&outbox.waiting), sum(&outbox.given_up));
    if waiting.is_empty() && lost.is_empty() && outbox.last_error.is_none() {
        return;
    }
    page.heading("Messages that soakd sends");
    page.facts([
        ("Waiting", waiting),
        ("Given up", lost),
        ("Oldest", outbox.oldest_ms.map(|at| ago(at, letter.now_ms)).unwrap_or_default()),
        ("Last error", outbox.last_error.clone().unwrap_or_default()),
    ]);
}

/// Lays out what a run came to, or how it stands.
pub(super) fn summary(letter: &Letter, ended: bool, charts: &Charts, attached: Result<(), &str>) -> Page {
    let Some(snapshot) = &letter.snapshot else {
        let mut page = Page::new(Tone::Unsure, "SUMMARY", "The run is not kept any more", &place(letter));
        delay(&mut page, letter);
        reports(&mut page, letter, attached);
        return page;
    };
    let verdict = if ended { headline(snapshot).word } else { so_far(snapshot) };
    let tone = match snapshot.run.verdict.or_else(|| snapshot.cycles_by_verdict.keys().max().copied()) {
        Some(Verdict::Pass) => Tone::Good,
        Some(Verdict::Fail) => Tone::Bad,
        _ => Tone::Unsure,
    };
    let badge = if ended { verdict } else { format!("{verdict} SO FAR") };
    let until = snapshot.run.ended_ms.unwrap_or(letter.now_ms);
    let lead = format!(
        "{} · {} · {}",
        place(letter),
        if ended { format!("ended {}", ago(until, letter.now_ms)) } else { "still running".to_owned() },
        length(between(snapshot.run.started_ms, until))
    );
    let mut page = Page::new(tone, &badge, &reason(snapshot), &lead);
    delay(&mut page, letter);
    page.heading("Figures");
    figures(&mut page, letter, snapshot);
    checks(&mut page, snapshot);
    baseline(&mut page, snapshot);
    failures(&mut page, letter, snapshot);
    let (open, over) = sorted(letter);
    if !letter.incidents.is_empty() {
        incidents(&mut page, letter, &open, &over);
    }
    trends(&mut page, charts);
    running(&mut page, letter, None);
    again(&mut page, letter, None);
    outbox(&mut page, letter);
    reports(&mut page, letter, attached);
    page
}

/// Says how the run compares with the baseline, if there is one.
fn baseline(page: &mut Page, snapshot: &Snapshot) {
    let Some(comparison) = &snapshot.baseline else { return };
    page.heading("Baseline");
    page.paragraph(format!(
        "Compared with run {}: {}",
        line(&comparison.baseline, 60),
        line(&sentence(comparison), 600)
    ));
}

fn checks(page: &mut Page, snapshot: &Snapshot) {
    let Some(last) = snapshot.cycles.last() else { return };
    page.heading(&format!("Checks of the last cycle ({})", number(last.cycle)));
    let word =
        |verdict: Option<Verdict>| verdict.map_or_else(|| "not exercised".to_owned(), |verdict| verdict.to_string());
    page.table(
        &["Result", "Check", "What it says"],
        last.checks.iter().map(|check| vec![word(check.verdict), check.check.clone(), check.summary.clone()]),
    );
}

/// Adds the cycles that did not pass, the causes of errors, and outages.
fn failures(page: &mut Page, letter: &Letter, snapshot: &Snapshot) {
    let bad: Vec<&CycleRecord> = snapshot.cycles.iter().filter(|cycle| cycle.verdict != Verdict::Pass).collect();
    if !bad.is_empty() {
        page.heading("Cycles that did not pass");
    }
    for cycle in bad.iter().take(CYCLES_MAX) {
        let worst = cycle.checks.iter().find(|check| check.verdict == Some(cycle.verdict));
        let why =
            worst.map_or_else(|| "no check says why".to_owned(), |check| format!("{}: {}", check.check, check.summary));
        page.paragraph(format!(
            "Cycle {}, {}, {}: {}",
            number(cycle.cycle),
            cycle.verdict,
            moment(cycle.ended_ms, letter.zone),
            line(&why, 300)
        ));
        page.verbatim(worst.iter().flat_map(|check| &check.evidence).take(EVIDENCE_MAX).map(String::as_str));
    }
    let more = bad.len().saturating_sub(CYCLES_MAX) as u64;
    if more > 0 {
        page.paragraph(format!("{} not listed.", count(more, "more cycle")));
    }
    if !snapshot.findings.is_empty() {
        page.heading("Errors by cause");
        let mut groups: Vec<_> = snapshot.findings.iter().collect();
        groups.sort_by_key(|group| std::cmp::Reverse((group.count - group.tolerated.min(group.count), group.count)));
        let row = |group: &&crate::model::record::FindingGroup| {
            let first = &group.first;
            let text = format!("{} {}: {}", word(&first.side), word(&first.kind), line(&first.message, 240));
            vec![number(group.count), number(group.tolerated), text]
        };
        page.table(&[">Count", ">Tolerated", "First message of the cause"], groups.iter().take(ERRORS_MAX).map(row));
    }
    if !snapshot.outages.is_empty() {
        page.heading("Outages of the target");
        outages(page, letter, snapshot.outages.iter());
    }
}

/// Lays out the mail that proves that mail works.
pub(super) fn test(letter: &Letter) -> Page {
    let title = "Mail from soakd reaches you";
    let mut page = Page::new(
        Tone::Plain,
        "TEST",
        title,
        &format!("{} · {}", line(&letter.host, 64), moment(letter.now_ms, letter.zone)),
    );
    delay(&mut page, letter);
    page.paragraph("Somebody started `soakd notify test`. Nothing failed, and nothing has to be done.");
    page.paragraph(
        "When something fails, a mail like this one says what and since when, shows the rows that prove it, what was running, \
         charts, log lines, and how to reproduce it. There is one mail for each incident, one when it is resolved, and digests.",
    );
    page.heading("Sent from");
    page.facts([
        ("Machine", letter.host.clone()),
        ("Configuration", letter.config.clone()),
        ("Time zone", letter.zone.name().to_owned()),
        (
            "Newest run",
            letter
                .snapshot
                .as_ref()
                .map(|snapshot| format!("{} ({})", snapshot.run.name, snapshot.run.run))
                .unwrap_or_else(|| "none yet".to_owned()),
        ),
        (
            "Open incidents",
            number(letter.incidents.iter().filter(|one| one.state == IncidentState::Open).count() as u64),
        ),
        ("soakd", env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    outbox(&mut page, letter);
    page
}
