//! Mails about one incident: what failed, since when, on what evidence, why, and what to do about it.

use super::advice::advice;
use super::charts::Charts;
use super::page::{Page, Tone};
use super::run::{again, concerned, databases, logs, reports, running, surroundings, trends};
use super::subject::severity;
use super::words::{ago, capital, length, line, moment};
use super::{Letter, delay};
use crate::model::incident::{ChangeKind, Incident, Severity};
use crate::model::message::Subject;
use crate::observe::report::words::{between, count, number, word};

/// Causes listed, those with the highest counts after the first one.
const CAUSES_MAX: usize = 12;
/// Evidence lines listed.
const EVIDENCE_MAX: usize = 20;

/// Lays out a mail about an incident that opened or opened again.
pub(super) fn failed(letter: &Letter, incident: &Incident, charts: &Charts, attached: Result<(), &str>) -> Page {
    let again_open = matches!(letter.message.subject, Subject::Reopened { .. });
    let tone = if incident.severity == Severity::Failure { Tone::Bad } else { Tone::Unsure };
    let badge = if again_open { format!("{} AGAIN", severity(incident)) } else { severity(incident).to_owned() };
    let mut page = Page::new(tone, &badge, &capital(&line(&incident.title, 240)), &lead(letter, incident));
    delay(&mut page, letter);
    what(&mut page, letter, incident);
    page.heading("What to do next");
    page.steps(advice(&incident.first).iter().copied());
    evidence(&mut page, incident);
    causes(&mut page, incident);
    again(&mut page, letter, Some(incident.cycle_first));
    running(&mut page, letter, Some(incident));
    surroundings(&mut page, letter, incident);
    trends(&mut page, charts);
    logs(&mut page, letter.snapshot.as_ref(), &concerned(incident, letter.snapshot.as_ref()));
    history(&mut page, letter, incident);
    reports(&mut page, letter, attached);
    page
}

/// Lays out a mail about an incident that is over.
pub(super) fn resolved(letter: &Letter, incident: &Incident, charts: &Charts, attached: Result<(), &str>) -> Page {
    let lasted = length(between(incident.opened_ms, incident.resolved_ms.unwrap_or(incident.last_ms)));
    let lead = format!(
        "{} · open for {lasted} · {} without it since",
        super::subject::place(letter),
        count(incident.clean_cycles.into(), "clean cycle")
    );
    let mut page = Page::new(Tone::Good, "RESOLVED", &capital(&line(&incident.title, 240)), &lead);
    delay(&mut page, letter);
    page.paragraph(format!(
        "It was not seen again in {}, so the incident is resolved. Nothing has to be done now; what was lost in a failed \
         cycle stays lost, and if it comes back, the same incident opens again.",
        count(incident.clean_cycles.into(), "clean cycle")
    ));
    what(&mut page, letter, incident);
    evidence(&mut page, incident);
    causes(&mut page, incident);
    history(&mut page, letter, incident);
    running(&mut page, letter, Some(incident));
    trends(&mut page, charts);
    again(&mut page, letter, Some(incident.cycle_first));
    reports(&mut page, letter, attached);
    page
}

/// Lays out a mail about an incident that is not kept any more.
pub(super) fn gone(letter: &Letter, id: u64, attached: Result<(), &str>) -> Page {
    let title = format!("Incident {id} is not kept any more");
    let mut page = Page::new(Tone::Unsure, "INCIDENT", &title, &super::subject::place(letter));
    delay(&mut page, letter);
    page.paragraph("This mail was queued for it, and the incident was removed before the mail could be sent.");
    running(&mut page, letter, None);
    reports(&mut page, letter, attached);
    page
}

fn lead(letter: &Letter, incident: &Incident) -> String {
    format!(
        "{} · first seen {} · cycle {} · {}",
        super::subject::place(letter),
        ago(incident.opened_ms, letter.now_ms),
        number(incident.cycle_first),
        count(incident.count, "finding"),
    )
}

fn what(page: &mut Page, letter: &Letter, incident: &Incident) {
    let first = &incident.first;
    let sure = match incident.severity {
        Severity::Failure => "failure: something does not hold",
        Severity::Warning => "warning: something could not be proven, or soakd itself is short of something",
    };
    let cycles = if incident.cycle_first == incident.cycle_last {
        format!("cycle {}", number(incident.cycle_first))
    } else {
        format!("cycles {} to {}", number(incident.cycle_first), number(incident.cycle_last))
    };
    let place = [
        ("", Some(format!("{}, {}", cycles, if first.phase == "-" { "outside the load" } else { &first.phase }))),
        ("user ", first.user.map(|n| n.to_string())),
        ("iteration ", first.iter.map(|n| n.to_string())),
        ("step ", first.step.map(|n| n.to_string())),
    ];
    let place: Vec<String> = place.into_iter().filter_map(|(name, n)| Some(format!("{name}{}", n?))).collect();
    let code = first.code.as_ref().map(|code| format!(", code {}", line(code, 40))).unwrap_or_default();
    let at = |ms: i64| format!("{}, {}", moment(ms, letter.zone), ago(ms, letter.now_ms));
    page.heading("What failed");
    page.facts([
        ("Message", first.message.clone()),
        ("Severity", sure.to_owned()),
        ("First seen", at(incident.opened_ms)),
        ("Last seen", if incident.count > 1 { at(incident.last_ms) } else { String::new() }),
        ("Resolved", incident.resolved_ms.map(at).unwrap_or_default()),
        ("Findings", number(incident.count)),
        ("Where", place.join(", ")),
        ("Databases", databases(&concerned(incident, letter.snapshot.as_ref()))),
        ("Side and kind", format!("{}, {}{code}", word(&first.side), word(&first.kind))),
        ("Incident", number(incident.id)),
    ]);
}

fn evidence(page: &mut Page, incident: &Incident) {
    page.heading("Evidence");
    if incident.evidence.is_empty() {
        page.paragraph("No rows are kept of it; the message above and the log lines are all there is.");
        return;
    }
    page.verbatim(incident.evidence.iter().take(EVIDENCE_MAX).map(String::as_str));
    let more = incident.evidence.len().saturating_sub(EVIDENCE_MAX) as u64;
    if more > 0 {
        page.paragraph(format!("{} not shown.", count(more, "more line")));
    }
}

/// Lists the first cause, and what was joined to it because it followed.
fn causes(page: &mut Page, incident: &Incident) {
    page.heading("Why: the first cause, and what followed");
    let mut joined: Vec<(&String, &u64)> =
        incident.causes.iter().filter(|(cause, _)| **cause != incident.cause).collect();
    joined.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let first = incident.causes.get(&incident.cause).copied();
    let row = |role: &str, cause: &str, n: Option<u64>| {
        vec![n.map_or_else(|| "-".to_owned(), number), role.to_owned(), cause.to_owned()]
    };
    let rows = std::iter::once(row("first", &incident.cause, first))
        .chain(joined.iter().take(CAUSES_MAX - 1).map(|(cause, n)| row("joined", cause, Some(**n))));
    page.table(&[">Count", "Role", "Cause (# stands for a number)"], rows);
    if joined.is_empty() {
        page.paragraph("Nothing else was joined to it.");
    }
    let more = joined.len().saturating_sub(CAUSES_MAX - 1) as u64;
    if more > 0 {
        page.paragraph(format!("{} not listed.", count(more, "more cause")));
    }
}

fn history(page: &mut Page, letter: &Letter, incident: &Incident) {
    if incident.history.is_empty() {
        return;
    }
    page.heading("History of the incident");
    let rows = incident.history.iter().map(|change| {
        let what = match &change.what {
            ChangeKind::Opened => "opened".to_owned(),
            ChangeKind::Renamed { before } => format!("an earlier cause was found; until then: {}", line(before, 240)),
            ChangeKind::Resolved => "resolved".to_owned(),
            ChangeKind::Reopened => "opened again".to_owned(),
        };
        vec![moment(change.at_ms, letter.zone), number(change.cycle), what]
    });
    page.table(&["When", ">Cycle", "What"], rows);
}
