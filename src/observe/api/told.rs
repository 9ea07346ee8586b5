//! What a stream says of an event: its kind and a small JSON value; never rows, evidence or whole reports.

use serde::Serialize;
use serde_json::{Value, json};

use crate::engine::event::RunEvent;
use crate::model::record::CycleRecord;
use crate::model::step::{StepOutcome, StepReport};

/// Longest text within an event.
const TEXT_CHARS_MAX: usize = 400;
/// Checks of a cycle that are told.
const CHECKS_MAX: usize = 16;
/// Schedules, and processes, that are told.
const LIST_MAX: usize = 32;

/// Returns kind and content of an event.
pub(super) fn told(event: &RunEvent) -> (&'static str, Value) {
    match event {
        RunEvent::Started { record, resumed_at, steps_recovered } => {
            let resumed = resumed_at.map(|(cycle, phase)| json!({ "cycle": cycle, "phase": phase }));
            let data = json!({
                "run": record.run, "name": cut(&record.name), "schedule": record.schedule.as_deref().map(cut),
                "seed": record.seed, "resumed_at": resumed, "steps_recovered": steps_recovered,
            });
            ("started", data)
        }
        RunEvent::Phase { cycle, phase, steps } => ("phase", json!({ "cycle": cycle, "phase": phase, "steps": steps })),
        RunEvent::Progress { steps_done, rows, errors } => {
            ("progress", json!({ "steps_done": steps_done, "rows": rows, "errors": errors }))
        }
        RunEvent::Steps(reports) => ("steps", steps(reports)),
        RunEvent::Finding(finding) => {
            let data = json!({
                "cycle": finding.cycle, "phase": finding.phase, "db": finding.db, "side": finding.side,
                "kind": finding.kind, "message": cut(&finding.message), "tolerated": finding.tolerated,
            });
            ("finding", data)
        }
        RunEvent::Incident(incident, change) => {
            let data = json!({
                "id": incident.id, "change": plain(change), "title": cut(&incident.title),
                "severity": incident.severity, "state": incident.state, "count": incident.count,
                "cycle_first": incident.cycle_first, "cycle_last": incident.cycle_last,
            });
            ("incident", data)
        }
        RunEvent::Log(line) => ("log", json!({ "line": cut(line) })),
        RunEvent::Cycle(record) => ("cycle", cycle(record)),
        RunEvent::Checkpoint { snapshot, .. } => {
            ("checkpoint", json!({ "run": snapshot.run.run, "cycles_done": snapshot.cycles_done }))
        }
        RunEvent::Ended { verdict, because } => ("ended", json!({ "verdict": verdict, "because": cut(because) })),
        RunEvent::State(state, because) => {
            let because: Vec<_> = because.iter().take(LIST_MAX).map(|why| cut(why)).collect();
            ("state", json!({ "state": state, "paused_because": because }))
        }
        RunEvent::Schedules(schedules) => {
            let schedules: Vec<_> = schedules
                .iter()
                .take(LIST_MAX)
                .map(|s| json!({ "name": cut(&s.name), "next_ms": s.next_ms, "queued": s.queued }))
                .collect();
            ("schedules", json!({ "schedules": schedules }))
        }
        RunEvent::Health(health) => {
            let parts: Vec<_> = health
                .parts
                .iter()
                .take(LIST_MAX)
                .map(|part| json!({ "part": cut(&part.part), "rss_bytes": part.rss_bytes }))
                .collect();
            let data = json!({
                "parts": parts, "disk_free_bytes": health.disk_free_bytes, "state_file_bytes": health.state_file_bytes,
            });
            ("health", data)
        }
        RunEvent::Reloaded(said) => ("reloaded", json!({ "message": cut(said) })),
    }
}

fn steps(reports: &[StepReport]) -> Value {
    let ended = |outcome| reports.iter().filter(|report| report.outcome == outcome).count();
    json!({
        "steps": reports.len(),
        "rows": reports.iter().map(|report| report.rows).sum::<u64>(),
        "failed": ended(StepOutcome::Failed),
        "indeterminate": ended(StepOutcome::Indeterminate),
        "refused": ended(StepOutcome::Refused),
    })
}

fn cycle(record: &CycleRecord) -> Value {
    let checks: Vec<_> = record
        .checks
        .iter()
        .take(CHECKS_MAX)
        .map(|check| json!({ "check": check.check, "verdict": check.verdict, "summary": cut(&check.summary) }))
        .collect();
    json!({
        "cycle": record.cycle, "verdict": record.verdict, "started_ms": record.started_ms,
        "ended_ms": record.ended_ms, "steps": record.steps, "steps_planned": record.steps_planned,
        "errors": record.errors, "rows_final": record.rows_final, "checks": checks,
    })
}

/// Returns the name of an enum's variant, without what it holds.
fn plain(value: &impl Serialize) -> Value {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields.into_iter().next().map_or(Value::Null, |(name, _)| name.into()),
        Ok(value) => value,
        Err(_) => Value::Null,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}
