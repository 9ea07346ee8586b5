//! Whether the target answers: a probe on a connection of its own, and outages as intervals.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::ledger::Ledger;
use super::service::Service;
use crate::model::record::Outage;

/// Time between two liveness probes.
const PROBE_EVERY: Duration = Duration::from_secs(1);

impl Service {
    /// Returns the address of the liveness probe.
    pub(super) fn probed(&self) -> String {
        if self.is_embedded() { format!("{}/health", self.address) } else { self.address.clone() }
    }

    /// Probes the target on a connection of its own until told to stop; outages are written down as intervals.
    pub async fn watch(self: Arc<Self>, ledger: Arc<Ledger>, run: String, stop: CancellationToken) {
        if !self.is_there() {
            // The operations themselves say whether the database answers.
            return stop.cancelled().await;
        }
        let Ok(client) = reqwest::Client::builder().no_proxy().timeout(self.probe_max).build() else { return };
        let address = self.probed();
        let mut open: Option<Outage> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(PROBE_EVERY) => {}
            }
            let now = self.clock.now_ms();
            // Any HTTP answer below 500 shows that somebody is there.
            let problem = match client.get(&address).send().await {
                Ok(answer) if answer.status().as_u16() < 500 => None,
                Ok(answer) => Some(format!("HTTP {}", answer.status().as_u16())),
                Err(error) if error.is_timeout() => Some(format!("no answer within {:?}", self.probe_max)),
                Err(_) => Some("no connection".to_owned()),
            };
            match (problem, open.take()) {
                (None, Some(outage)) => {
                    let closed = Outage { until_ms: Some(now), ..outage };
                    // A broken ledger ends the run by itself.
                    let _ = ledger.with(|store| store.record_outages(&run, &[closed]));
                }
                (Some(reason), None) => {
                    tracing::warn!("the target does not answer its liveness probe: {reason}");
                    let outage = Outage { from_ms: now, until_ms: None, reason };
                    let _ = ledger.with(|store| store.record_outages(&run, std::slice::from_ref(&outage)));
                    open = Some(outage);
                }
                (_, still) => open = still,
            }
        }
        if let Some(outage) = open {
            let _ = ledger.with(|store| store.record_outages(&run, &[outage]));
        }
    }
}
