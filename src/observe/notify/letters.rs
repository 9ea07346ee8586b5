//! What a letter is made from: everything about a message that the state file knows, read at the moment of the attempt.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use crate::clock::Clock;
use crate::model::incident::Incident;
use crate::model::message::{Message, OutboxState, Subject};
use crate::observe::letter::Letter;
use crate::store::{Store, StoreError};

/// Incidents that a letter looks at: the open ones, and those that changed in its span of time.
const INCIDENTS_MAX: usize = 100;
/// How far back a summary looks for incidents that are resolved already.
const SUMMARY_BACK_MS: i64 = 24 * 3600 * 1000;

/// How far back the charts of a letter go.
const SERIES_BACK_MS: i64 = 24 * 3600 * 1000;
const SERIES_MAX: usize = 32;
const POINTS_MAX: usize = 600;

/// Kinds of metrics that charts of a letter show.
const MEASURED: [&str; 5] = ["rss", "latency_p50", "latency_p90", "latency_p99", "throughput"];

/// Where letters come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Name of the machine.
    pub host: String,
    /// Configuration file, for the command that reproduces a failure.
    pub config: String,
}

impl Origin {
    /// Returns this machine and a configuration file.
    pub fn here(config: impl Into<String>) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = if host.trim().is_empty() { "localhost" } else { host.trim() };
        Self { host: host.to_owned(), config: config.into() }
    }
}

/// Reads what a letter about a message is made from.
pub fn gather(
    store: &mut Store,
    message: Message,
    zone: Tz,
    clock: Clock,
    origin: &Origin,
) -> Result<Letter, StoreError> {
    let incident = match &message.subject {
        Subject::Opened { incident } | Subject::Reopened { incident } | Subject::Resolved { incident } => {
            store.incident(*incident)?
        }
        Subject::Digest { .. } | Subject::Summary { .. } | Subject::Test => None,
    };
    let run = match (&message.subject, &message.run) {
        (Subject::Summary { run, .. }, _) | (_, Some(run)) => Some(run.clone()),
        (_, None) => store.latest()?.map(|run| run.run),
    };
    let snapshot = run.as_deref().map(|run| store.snapshot(run)).transpose()?.flatten();
    let shown = |metric: &str| MEASURED.iter().any(|kind| metric.split('.').next() == Some(kind));
    let measures = run.as_deref().map(|run| store.measures_of(run, shown)).transpose()?.unwrap_or_default();
    Ok(Letter {
        now_ms: clock.now_ms(),
        zone,
        host: origin.host.clone(),
        config: origin.config.clone(),
        state_dir: store.file().parent().map(|dir| dir.display().to_string()).unwrap_or_default(),
        incident,
        incidents: concerned(store, &message)?,
        snapshot,
        series: measured(store, clock.now_ms())?,
        measures,
        faults: Vec::new(),
        outbox: store.outbox_state()?,
        message,
    })
}

/// Returns the open incidents and those that changed in the span of time that a message is about.
fn concerned(store: &Store, message: &Message) -> Result<Vec<Incident>, StoreError> {
    let mut incidents = store.incidents(true, INCIDENTS_MAX)?;
    let (from_ms, until_ms) = match message.subject {
        Subject::Digest { from_ms, until_ms } => (from_ms, until_ms),
        Subject::Summary { .. } => (message.made_ms.saturating_sub(SUMMARY_BACK_MS), message.made_ms),
        _ => return Ok(incidents),
    };
    for incident in store.incidents(false, INCIDENTS_MAX)? {
        let changed = incident.history.iter().any(|change| (from_ms..=until_ms).contains(&change.at_ms));
        if changed && incidents.len() < INCIDENTS_MAX && incidents.iter().all(|known| known.id != incident.id) {
            incidents.push(incident);
        }
    }
    Ok(incidents)
}

/// Returns the memory that was measured in the last day, thinned to what a chart can show.
fn measured(store: &Store, now_ms: i64) -> Result<BTreeMap<String, Vec<(i64, f64)>>, StoreError> {
    let mut series = BTreeMap::new();
    for name in store.series_names()?.into_iter().filter(|name| name.starts_with("rss.")).take(SERIES_MAX) {
        let points = store.series(&name, now_ms.saturating_sub(SERIES_BACK_MS), now_ms.saturating_add(1))?;
        let stride = points.len().div_ceil(POINTS_MAX).max(1);
        // From the end: the newest point is always shown.
        let mut thinned: Vec<(i64, f64)> =
            points.iter().rev().step_by(stride).map(|(at, mean, ..)| (*at, *mean)).collect();
        thinned.reverse();
        series.insert(name, thinned);
    }
    Ok(series)
}

/// Returns a letter that only shows that letters arrive.
pub fn test_letter(now_ms: i64, zone: Tz, origin: &Origin) -> Letter {
    let key = format!("test-{}", uuid::Uuid::now_v7().simple());
    Letter {
        message: Message {
            id: 0,
            key,
            subject: Subject::Test,
            run: None,
            made_ms: now_ms,
            due_ms: now_ms,
            channels: BTreeMap::new(),
        },
        now_ms,
        zone,
        host: origin.host.clone(),
        config: origin.config.clone(),
        state_dir: String::new(),
        incident: None,
        incidents: Vec::new(),
        snapshot: None,
        series: BTreeMap::new(),
        measures: BTreeMap::new(),
        faults: Vec::new(),
        outbox: OutboxState::default(),
    }
}
