//! Letters made up for tests of delivery.

use std::collections::BTreeMap;

use soakd::model::finding::{Finding, Kind, Side};
use soakd::model::incident::{Change, ChangeKind, Incident, IncidentState, Severity};
use soakd::model::message::{Message, OutboxState, Subject};
use soakd::model::record::{FORMAT, Snapshot};
use soakd::observe::letter::Letter;

/// The first second of 2026.
pub(crate) const MADE_MS: i64 = 1_767_225_600_000;

/// Returns a letter without anything to tell.
pub(crate) fn letter(key: &str, subject: Subject) -> Letter {
    let channels = BTreeMap::new();
    let (run, made_ms) = (Some("run-1".to_owned()), MADE_MS);
    Letter {
        message: Message { id: 1, key: key.to_owned(), subject, run, made_ms, due_ms: made_ms, channels },
        now_ms: MADE_MS + 5_000,
        zone: chrono_tz::Tz::UTC,
        host: "box.example".to_owned(),
        config: "soakd.toml".to_owned(),
        state_dir: "/var/lib/soakd".to_owned(),
        incident: None,
        incidents: Vec::new(),
        snapshot: None,
        series: BTreeMap::new(),
        measures: BTreeMap::new(),
        faults: Vec::new(),
        outbox: OutboxState::default(),
    }
}

/// Returns a letter about an incident that was opened, with everything that a letter can hold.
pub(crate) fn incident(key: &str, title: &str) -> Letter {
    let mut letter = letter(key, Subject::Opened { incident: 7 });
    let first = Finding {
        at_ms: MADE_MS - 10_000,
        cycle: 2,
        phase: "load".into(),
        db: Some(1),
        user: Some(1),
        iter: Some(3),
        step: Some(14),
        side: Side::Server,
        kind: Kind::Crash,
        code: None,
        message: title.to_owned(),
        tolerated: false,
    };
    let incident = Incident {
        id: 7,
        run: "run-1".into(),
        title: title.to_owned(),
        cause: first.cause(),
        causes: BTreeMap::from([(first.cause(), 10_000)]),
        severity: Severity::Failure,
        state: IncidentState::Open,
        opened_ms: first.at_ms,
        last_ms: MADE_MS,
        resolved_ms: None,
        count: 10_000,
        cycle_first: 2,
        cycle_last: 2,
        clean_cycles: 0,
        evidence: vec!["db 1 lacks row db1_r3_14 \u{1b}[31m".into(), "x".repeat(1 << 20)],
        history: vec![Change { at_ms: first.at_ms, cycle: 2, what: ChangeKind::Opened }],
        told_ms: None,
        told_count: 0,
        first,
    };
    letter.incidents = vec![incident.clone()];
    letter.incident = Some(incident);
    letter.snapshot = Some(snapshot());
    let points = (0..60).map(|n| (MADE_MS - (60 - n) * 60_000, 1e8 + n as f64 * 1e5)).collect();
    letter.series = BTreeMap::from([("rss.target".to_owned(), points)]);
    letter
}

fn snapshot() -> Snapshot {
    let snapshot = serde_json::json!({
        "format": FORMAT,
        "made_ms": MADE_MS,
        "run": {
            "run": "run-1", "name": "nightly", "seed": 42, "started_ms": MADE_MS - 3_600_000, "ended_ms": null,
            "config": {}, "cycle": 2, "phase": "load", "observed_ms": 3_600_000, "verdict": null, "ended_because": null,
            "scale": {
                "scale": "small", "mode": "classic", "provider": "native 1", "target": "embedded", "rls": true,
                "rows": 1000, "iterations": 5, "databases": 2, "users": 1, "cycles_planned": null,
                "duration_planned_ms": null, "steps_per_cycle": 90
            },
            "versions": { "soakd": "0.1.0", "sqlite": "3.54.1", "provider": "native 1", "server": "embedded 1" }
        },
        "epochs": [], "totals": {}, "databases": [], "cycles_done": 1, "cycles_by_verdict": { "pass": 1 },
        "cycles": [], "findings": [], "findings_ungrouped": 0, "outages": [], "logs": {}
    });
    serde_json::from_value(snapshot).expect("a snapshot")
}
