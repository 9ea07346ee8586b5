//! soakd's own form, published in `deploy/webhook.schema.json`.

use serde_json::{Value, json};

use super::super::text::{body as clean, bounded, line, word};
use crate::model::incident::Incident;
use crate::model::message::Subject;
use crate::model::record::Snapshot;
use crate::observe::letter::{Letter, Rendered};

/// Format number of the body.
const FORMAT: u32 = 1;
const TEXT_CHARS_MAX: usize = 20_000;
const LINE_CHARS_MAX: usize = 500;
/// Incidents that one body lists.
const INCIDENTS_MAX: usize = 50;

/// Makes the body.
pub(super) fn body(letter: &Letter, rendered: &Rendered) -> Value {
    json!({
        "format": FORMAT,
        "event": event(&letter.message.subject),
        "key": line(&letter.message.key, LINE_CHARS_MAX),
        "made_ms": letter.message.made_ms,
        "soakd": env!("CARGO_PKG_VERSION"),
        "host": line(&letter.host, LINE_CHARS_MAX),
        "subject": line(&rendered.subject, LINE_CHARS_MAX),
        "text": bounded(&clean(&rendered.text), TEXT_CHARS_MAX),
        "incident": letter.incident.as_ref().map(incident),
        "incidents": letter.incidents.iter().take(INCIDENTS_MAX).map(incident).collect::<Vec<_>>(),
        "run": letter.snapshot.as_ref().map(run),
        "counts": letter.snapshot.as_ref().map(counts),
    })
}

/// Returns the word for what a message is about.
pub(super) fn event(subject: &Subject) -> &'static str {
    match subject {
        Subject::Opened { .. } => "opened",
        Subject::Reopened { .. } => "reopened",
        Subject::Resolved { .. } => "resolved",
        Subject::Digest { .. } => "digest",
        Subject::Summary { .. } => "summary",
        Subject::Test => "test",
    }
}

fn incident(incident: &Incident) -> Value {
    json!({
        "id": incident.id,
        "run": line(&incident.run, LINE_CHARS_MAX),
        "title": line(&incident.title, LINE_CHARS_MAX),
        "cause": line(&incident.cause, LINE_CHARS_MAX),
        "severity": word(&incident.severity),
        "state": word(&incident.state),
        "count": incident.count,
        "opened_ms": incident.opened_ms,
        "last_ms": incident.last_ms,
        "resolved_ms": incident.resolved_ms,
        "cycle_first": incident.cycle_first,
        "cycle_last": incident.cycle_last,
        "evidence": incident.evidence.iter().map(|text| line(text, LINE_CHARS_MAX)).collect::<Vec<_>>(),
    })
}

fn run(snapshot: &Snapshot) -> Value {
    let run = &snapshot.run;
    json!({
        "id": line(&run.run, LINE_CHARS_MAX),
        "name": line(&run.name, LINE_CHARS_MAX),
        "seed": run.seed,
        "started_ms": run.started_ms,
        "ended_ms": run.ended_ms,
        "cycle": run.cycle,
        "verdict": run.verdict.as_ref().map(word),
        "ended_because": run.ended_because.as_deref().map(|why| line(why, LINE_CHARS_MAX)),
    })
}

fn counts(snapshot: &Snapshot) -> Value {
    let totals = &snapshot.totals;
    json!({
        "cycles": snapshot.cycles_done,
        "cycles_by_verdict": snapshot.cycles_by_verdict,
        "steps": totals.steps,
        "steps_failed": totals.steps_failed,
        "steps_indeterminate": totals.steps_indeterminate,
        "errors": totals.errors,
    })
}
