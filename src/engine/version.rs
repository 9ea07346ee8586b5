//! The version of the server, read at the start of every cycle.

use tokio::sync::{Mutex, watch};

use super::service::Service;
use crate::config::ObserveConfig;
use crate::probe::missing::Missing;
use crate::probe::version;

/// Whoever finds out the version.
pub struct ServerVersion {
    observe: watch::Receiver<ObserveConfig>,
    missing: Mutex<Missing>,
}

impl ServerVersion {
    /// Returns one that has asked nobody yet.
    pub fn new(observe: watch::Receiver<ObserveConfig>) -> Self {
        Self { observe, missing: Mutex::default() }
    }

    /// Returns the version that runs now: as configured, or as the target says itself. Empty if it cannot be found out.
    pub async fn now(&self, service: &Service) -> String {
        let config = self.observe.borrow().version.clone();
        let Some(config) = config else { return service.version.clone() };
        match version::read(&config, &service.probed()).await {
            None => service.version.clone(),
            Some(read) => self.missing.lock().await.take("the version of the server", read).unwrap_or_default(),
        }
    }
}
