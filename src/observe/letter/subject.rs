//! Subject lines: short, telling, and nothing but one line.

use super::Letter;
use super::words::line;
use crate::model::incident::{Incident, IncidentState, Severity};
use crate::model::message::Subject;
use crate::model::record::Snapshot;
use crate::observe::report::headline;
use crate::observe::report::words::{count, number};

/// Longest subject.
pub(super) const CHARS_MAX: usize = 120;
/// Room for the names of a run and of a machine.
const NAME_CHARS: usize = 24;

/// Returns the subject of a message.
pub(super) fn subject(letter: &Letter) -> String {
    let incident = letter.incident.as_ref();
    match &letter.message.subject {
        Subject::Opened { incident: id } => about(letter, incident, *id, |severity| severity.to_owned()),
        Subject::Reopened { incident: id } => about(letter, incident, *id, |severity| format!("{severity} again")),
        Subject::Resolved { incident: id } => about(letter, incident, *id, |_| "resolved".to_owned()),
        Subject::Digest { .. } => {
            let open = letter.incidents.iter().filter(|one| one.state == IncidentState::Open).count() as u64;
            let open = if open == 0 { "no open incident".to_owned() } else { count(open, "open incident") };
            joined(&format!("[soakd] digest {}: ", place(letter)), &open, "")
        }
        Subject::Summary { ended, .. } => {
            let Some(snapshot) = &letter.snapshot else {
                return joined(&format!("[soakd] summary {}: ", place(letter)), "the run is not known any more", "");
            };
            let word = if *ended { headline(snapshot).word } else { format!("{} so far", so_far(snapshot)) };
            let findings: u64 =
                snapshot.findings.iter().map(|group| group.count - group.tolerated.min(group.count)).sum();
            let findings = findings.saturating_add(snapshot.findings_ungrouped);
            let text = format!("{}, {}", count(snapshot.cycles_done, "cycle"), count(findings, "finding"));
            joined(&format!("[soakd] {word} {}: ", place(letter)), &text, "")
        }
        Subject::Test => joined(&format!("[soakd] test mail from {}", line(&letter.host, NAME_CHARS)), "", ""),
    }
}

/// Returns the word for an incident's severity.
pub(super) fn severity(incident: &Incident) -> &'static str {
    match incident.severity {
        Severity::Failure => "FAIL",
        Severity::Warning => "WARNING",
    }
}

/// Returns the verdict of a run that lasts, in a word.
pub(super) fn so_far(snapshot: &Snapshot) -> String {
    snapshot.cycles_by_verdict.keys().max().map_or_else(|| "nothing proven".to_owned(), ToString::to_string)
}

fn about(letter: &Letter, incident: Option<&Incident>, id: u64, word: impl Fn(&str) -> String) -> String {
    let Some(incident) = incident else {
        let start = format!("[soakd] {} {}: ", word("incident"), place(letter));
        return joined(&start, &format!("incident {id}, which is not kept any more"), "");
    };
    let start = format!("[soakd] {} {}: ", word(severity(incident)), place(letter));
    joined(&start, &incident.title, &format!(" (cycle {})", number(incident.cycle_first)))
}

/// Returns the run and the machine: `nightly@box`.
pub(super) fn place(letter: &Letter) -> String {
    let host = line(&letter.host, NAME_CHARS);
    match &letter.snapshot {
        Some(snapshot) => format!("{}@{host}", line(&snapshot.run.name, NAME_CHARS)),
        None => host,
    }
}

/// Joins the parts of a subject; what is in the middle gives way when it is too long.
fn joined(start: &str, middle: &str, end: &str) -> String {
    let (start, end) = (line(start, 90), line(end, 30));
    let room = CHARS_MAX.saturating_sub(start.chars().count() + end.chars().count() + 2);
    let parts = [start, line(middle, room.max(8)), end];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
