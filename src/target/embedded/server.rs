//! The HTTP side of the embedded server: who asks, what for, and within which bounds. It decides nothing about rows.

mod admin;
mod answer;
mod sync;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::plant::Planter;
use super::token::{self, TokenError};
use super::{Identity, Store, StoreError};
use answer::{Denial, Failure};

/// Requests that are worked on at the same time; more wait.
const CONCURRENT: usize = 32;
/// Largest request body.
const MAX_REQUEST: usize = 16 << 20;
/// Time that one request may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// What the server is made of.
pub struct ServerConfig {
    pub api_key: SecretString,
    pub rls: bool,
    pub store: Arc<dyn Store>,
    pub planter: Planter,
}

struct Shared {
    config: ServerConfig,
    permits: Semaphore,
}

type Ctx = State<Arc<Shared>>;

/// Returns the version that the server gives of itself.
pub fn version() -> String {
    format!("soakd {}", env!("CARGO_PKG_VERSION"))
}

/// Serves until `stop` resolves, then finishes what is under way and closes the store.
pub async fn serve(
    listener: TcpListener,
    config: ServerConfig,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let shared = Arc::new(Shared { config, permits: Semaphore::new(CONCURRENT) });
    let store = Arc::clone(&shared.config.store);
    let done = axum::serve(listener, router(shared)).with_graceful_shutdown(stop).await;
    store.close().await;
    done
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/health", get(admin::health))
        .route("/v2/tokens", post(admin::issue_token).delete(admin::revoke_token))
        .route("/v2/weblite/sql", post(admin::sql))
        .route("/v1/admin/digest", get(admin::digest))
        .route("/v1/admin/holdings", get(admin::holdings))
        .route("/v1/admin/rows", get(admin::rows))
        .route("/v1/push", post(sync::push))
        .route("/v1/pull", post(sync::pull))
        .fallback(|| async { Failure::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this address") })
        .layer(from_fn_with_state(Arc::clone(&shared), bounded))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(shared)
}

/// Holds every request to the limits on concurrency and time.
async fn bounded(State(shared): Ctx, request: Request, next: Next) -> Response {
    let work = async {
        let Ok(_permit) = shared.permits.acquire().await else {
            return Failure::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping").into_response();
        };
        next.run(request).await
    };
    tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| {
        Failure::new(StatusCode::GATEWAY_TIMEOUT, "deadline", "the request took longer than the server permits")
            .into_response()
    })
}

impl Shared {
    /// Returns the credential of a request.
    fn bearer(headers: &axum::http::HeaderMap) -> Option<&str> {
        let value = headers.get(axum::http::header::AUTHORIZATION)?.to_str().ok()?;
        value.strip_prefix("Bearer ").map(str::trim).filter(|text| !text.is_empty())
    }

    /// Returns who may sync with this credential.
    async fn identify(&self, headers: &axum::http::HeaderMap) -> Result<Identity, Denial> {
        let Some(text) = Self::bearer(headers) else { return Err(Denial::Token(TokenError::Missing)) };
        if token::same_secret(text, self.config.api_key.expose_secret()) {
            return Ok(Identity::Admin);
        }
        match self.config.store.find_token(token::hash(text)).await? {
            Ok(user) => Ok(Identity::User(user)),
            Err(error) => Err(Denial::Token(error)),
        }
    }

    /// Lets only the holder of the API key pass.
    fn require_admin(&self, headers: &axum::http::HeaderMap) -> Result<(), Failure> {
        match Self::bearer(headers) {
            None => Err(TokenError::Missing.into()),
            Some(text) if token::same_secret(text, self.config.api_key.expose_secret()) => Ok(()),
            Some(_) => Err(Failure::new(StatusCode::UNAUTHORIZED, "key_invalid", "this needs the API key")),
        }
    }
}

impl From<StoreError> for Denial {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[cfg(test)]
mod tests;
