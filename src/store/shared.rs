//! The state file in the hands of several parts of the daemon.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::{Store, StoreError};

/// An open state file that several parts work on, one at a time.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Mutex<Store>>);

impl Shared {
    /// Takes over an open state file.
    pub fn new(store: Store) -> Self {
        Self(Arc::new(Mutex::new(store)))
    }

    /// Works on the state file; the caller's thread waits for the disk.
    pub fn with<T>(&self, work: impl FnOnce(&mut Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let work = || work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        match Handle::try_current() {
            // Only a runtime with several threads has another one for what waits behind this.
            Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
            _ => work(),
        }
    }
}
