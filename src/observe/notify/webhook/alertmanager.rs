//! Alerts for Prometheus Alertmanager, API version 2. It takes an alert that is not repeated as over after a few minutes
//! unless it is told when it ends; so every alert carries an end, and being resolved moves that to the present.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::super::text::{line, word};
use crate::model::incident::{Incident, Severity};
use crate::model::message::Subject;
use crate::observe::letter::Letter;

/// An alert that nobody resolves ends by itself after this.
const LASTS_MS: i64 = 30 * 24 * 3600 * 1000;
const TEST_LASTS_MS: i64 = 5 * 60 * 1000;
const LABEL_CHARS_MAX: usize = 200;
const ANNOTATION_CHARS_MAX: usize = 1000;
const EVIDENCE_MAX: usize = 5;

/// Makes the body; digests and summaries are nothing that fires.
pub(super) fn body(letter: &Letter) -> Option<Value> {
    let resolved = match letter.message.subject {
        Subject::Opened { .. } | Subject::Reopened { .. } => false,
        Subject::Resolved { .. } => true,
        Subject::Digest { .. } | Subject::Summary { .. } => return None,
        Subject::Test => return Some(json!([test(letter)])),
    };
    let incident = letter.incident.as_ref()?;
    let ends_ms = match resolved {
        true => incident.resolved_ms.unwrap_or(letter.message.made_ms),
        false => letter.now_ms.saturating_add(LASTS_MS),
    };
    let alert = |severity| alert(letter, incident, severity, ends_ms);
    // An incident may have become worse since it fired, and severity is a label: both alerts end.
    Some(match resolved {
        true => json!([alert(Severity::Warning), alert(Severity::Failure)]),
        false => json!([alert(incident.severity)]),
    })
}

fn alert(letter: &Letter, incident: &Incident, severity: Severity, ends_ms: i64) -> Value {
    let evidence: Vec<String> = incident.evidence.iter().take(EVIDENCE_MAX).map(|text| line(text, 200)).collect();
    let seen = format!(
        "seen {} times since cycle {}, last in cycle {}",
        incident.count, incident.cycle_first, incident.cycle_last
    );
    json!({
        "labels": {
            "alertname": "SoakdIncident",
            "incident": incident.id.to_string(),
            "run": line(&incident.run, LABEL_CHARS_MAX),
            "severity": word(&severity),
            "instance": line(&letter.host, LABEL_CHARS_MAX),
        },
        "annotations": {
            "summary": line(&incident.title, ANNOTATION_CHARS_MAX),
            "description": line(&format!("{seen}. {}", evidence.join("; ")), ANNOTATION_CHARS_MAX),
        },
        "startsAt": time(incident.opened_ms.min(ends_ms)),
        "endsAt": time(ends_ms),
    })
}

fn test(letter: &Letter) -> Value {
    json!({
        "labels": {
            "alertname": "SoakdTest",
            "severity": "info",
            "instance": line(&letter.host, LABEL_CHARS_MAX),
        },
        "annotations": { "summary": "soakd can reach this Alertmanager", "description": "sent by soakd notify test" },
        "startsAt": time(letter.now_ms),
        "endsAt": time(letter.now_ms.saturating_add(TEST_LASTS_MS)),
    })
}

fn time(ms: i64) -> String {
    let at = DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or(DateTime::UNIX_EPOCH);
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
