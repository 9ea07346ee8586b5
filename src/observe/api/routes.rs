//! The one table of routes; the router is made from it, and a test compares it with the published description.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, get, post};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::answer::Problem;
use super::{ApiState, command, measures, read, stream};
use crate::model::incident::Severity;
use crate::model::status::Status;
use crate::observe::metrics::Scrape;

/// Largest body of a request.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Event streams at a time.
pub(super) const STREAMS_MAX: usize = 8;
/// Large answers that are made, or still read, at a time.
const LARGE_MAX: usize = 4;
/// Longest wait until a large answer may be made.
const LARGE_WAIT: Duration = Duration::from_secs(5);
/// Open incidents that are counted by severity.
const INCIDENTS_COUNTED: usize = 1000;

/// One route.
#[derive(Debug)]
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    make: fn() -> MethodRouter<Arc<Api>>,
}

/// All routes.
pub const ROUTES: &[Route] = &[
    Route { method: "get", path: "/v1/status", make: || get(read::status) },
    Route { method: "get", path: "/v1/runs", make: || get(read::runs) },
    Route { method: "get", path: "/v1/runs/{run}", make: || get(read::run) },
    Route { method: "get", path: "/v1/runs/{run}/cycles", make: || get(read::cycles) },
    Route { method: "get", path: "/v1/runs/{run}/measures", make: || get(measures::measures) },
    Route { method: "get", path: "/v1/runs/{run}/receipt", make: || get(measures::receipt) },
    Route { method: "get", path: "/v1/runs/{run}/report", make: || get(read::report) },
    Route { method: "get", path: "/v1/incidents", make: || get(read::incidents) },
    Route { method: "get", path: "/v1/incidents/{id}", make: || get(read::incident) },
    Route { method: "get", path: "/v1/outbox", make: || get(read::outbox) },
    Route { method: "get", path: "/v1/schedules", make: || get(read::schedules) },
    Route { method: "get", path: "/v1/series", make: || get(measures::names) },
    Route { method: "get", path: "/v1/series/{name}", make: || get(measures::series) },
    Route { method: "get", path: "/v1/events", make: || get(stream::events) },
    Route { method: "get", path: "/v1/baseline", make: || get(read::baseline) },
    Route { method: "post", path: "/v1/baseline", make: || post(command::baseline) },
    Route { method: "post", path: "/v1/pause", make: || post(command::pause) },
    Route { method: "post", path: "/v1/resume", make: || post(command::resume) },
    Route { method: "post", path: "/v1/trigger", make: || post(command::trigger) },
    Route { method: "post", path: "/v1/stop", make: || post(command::stop) },
    Route { method: "post", path: "/v1/reload", make: || post(command::reload) },
    Route { method: "get", path: "/metrics", make: || get(read::metrics) },
    Route { method: "get", path: "/healthz", make: || get(read::healthz) },
    Route { method: "get", path: "/openapi.json", make: || get(read::openapi) },
];

/// What handlers work on.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) state: ApiState,
    pub(super) stop: CancellationToken,
    pub(super) streams: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Api {
    /// Returns the status as of now, with what the state file knows better.
    pub(super) fn status(&self) -> Result<Status, Problem> {
        let mut status = self.state.status.borrow().clone();
        status.now_ms = self.state.clock.now_ms();
        status.outbox = self.state.store.with(|store| store.outbox_state())?;
        Ok(status)
    }

    /// Returns what the gauges show.
    pub(super) fn scrape(&self) -> Result<Scrape, Problem> {
        let status = self.status()?;
        let mut scrape = Scrape { outbox: status.outbox.clone(), status, ..Scrape::default() };
        for incident in self.state.store.with(|store| store.incidents(true, INCIDENTS_COUNTED))? {
            *scrape.incidents_open.entry(incident.severity).or_insert(0) += 1;
        }
        // Beyond the bound only the number is known; it counts for the graver kind.
        let counted: u64 = scrape.incidents_open.values().sum();
        let more = scrape.status.incidents_open.saturating_sub(counted);
        if counted >= INCIDENTS_COUNTED as u64 && more > 0 {
            *scrape.incidents_open.entry(Severity::Failure).or_default() += more;
        }
        Ok(scrape)
    }

    /// Waits for the permission to make a large answer.
    pub(super) async fn large(&self) -> Result<OwnedSemaphorePermit, Problem> {
        match tokio::time::timeout(LARGE_WAIT, Arc::clone(&self.large).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Problem::busy("other large answers are not read yet; try again in a moment")),
        }
    }
}

/// Makes the router of all routes; everything else is answered with a problem.
pub(super) fn router(state: ApiState, stop: CancellationToken) -> Router {
    let api =
        Api { state, stop, streams: Arc::new(Semaphore::new(STREAMS_MAX)), large: Arc::new(Semaphore::new(LARGE_MAX)) };
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.make)());
    }
    router
        .fallback(async || Problem::missing("there is no such route; /openapi.json lists those that are"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this route has another method; see /openapi.json")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(api))
}
