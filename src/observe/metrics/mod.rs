//! Figures for Prometheus: counters and histograms fed by events, gauges taken from the status when somebody asks. All label
//! values come from closed lists or from the configuration, cut to a bound; nothing that a row or an error says becomes one.
//! Counters start at zero with every start of the daemon, as Prometheus expects; the outbox's live in the state file.

mod families;
mod scrape;
mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::engine::event::RunEvent;
use crate::model::incident::Severity;
use crate::model::message::OutboxState;
use crate::model::status::Status;
use families::Families;

/// Content type of the OpenMetrics form.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Content type of the older form, for those who do not ask for OpenMetrics.
pub const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What gauges are taken from at a scrape.
#[derive(Debug, Clone, Default)]
pub struct Scrape {
    pub status: Status,
    pub outbox: OutboxState,
    pub incidents_open: BTreeMap<Severity, u64>,
}

/// All metrics of the daemon.
#[derive(Debug)]
pub struct Metrics {
    // Gauges with changing labels are set anew at every scrape: two scrapes at once must not see each other's.
    families: Mutex<Families>,
}

impl Metrics {
    /// Registers everything, with the counters whose labels are known at zero.
    pub fn new() -> Self {
        Self { families: Mutex::new(Families::new()) }
    }

    /// Takes in one event.
    pub fn take(&self, event: &RunEvent) {
        self.families.lock().unwrap_or_else(PoisonError::into_inner).take(event);
    }

    /// Notes that a reader was too slow for this many events.
    pub fn missed(&self, events: u64) {
        self.families.lock().unwrap_or_else(PoisonError::into_inner).missed(events);
    }

    /// Renders all metrics, as OpenMetrics or in the older form.
    pub fn render(&self, scrape: &Scrape, openmetrics: bool) -> String {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        families.set(scrape);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &families.registry);
        // No label value holds a brace.
        let text = text.replace("{} ", " ");
        if openmetrics { text } else { text::plain(&text) }
    }
}

/// Counts events until the run is over.
pub async fn keep(metrics: Arc<Metrics>, mut events: broadcast::Receiver<RunEvent>, over: CancellationToken) {
    loop {
        let event = tokio::select! {
            biased;
            event = events.recv() => event,
            () = over.cancelled() => return,
        };
        match event {
            Ok(event) => metrics.take(&event),
            Err(broadcast::error::RecvError::Lagged(missed)) => metrics.missed(missed),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
