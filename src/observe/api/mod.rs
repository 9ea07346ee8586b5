//! The local API: how people and programs on the same machine ask the running daemon and tell it things. It listens on a Unix
//! socket that its owner and group may use, and on TCP if the configuration says so. It reads the state file and the status,
//! hands commands to the daemon, and never does anything of its own. Connections, bodies, streams and waits are bounded, so
//! that no client can slow or swell the daemon. All routes are in [`routes`] and documented in `deploy/openapi.json`.

mod access;
mod answer;
pub mod client;
mod command;
mod limit;
mod measures;
mod read;
mod routes;
mod server;
mod socket;
mod stream;
mod told;

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::metrics::Metrics;
use crate::clock::Clock;
use crate::engine::event::RunEvent;
use crate::model::status::{Control, Status};
use crate::store::Shared;

pub use routes::ROUTES;
pub use server::{BindError, Server};
pub use socket::{reachable_path, socket_path};

/// The description of all routes.
pub const OPENAPI: &str = include_str!("../../../deploy/openapi.json");

/// A command, and where the daemon answers it: what it did, or why it did not.
pub type Command = (Control, oneshot::Sender<Result<String, String>>);

/// What the API works on.
#[derive(Debug, Clone)]
pub struct ApiState {
    pub store: Shared,
    pub clock: Clock,
    pub status: watch::Receiver<Status>,
    pub events: broadcast::Sender<RunEvent>,
    pub control: mpsc::Sender<Command>,
    pub metrics: Arc<Metrics>,
}

#[cfg(test)]
mod tests;
