//! Error answers, in the shape of the sync service: a list of status, code and title.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::super::StoreError;
use super::super::token::TokenError;

/// An answer that says what is wrong.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    code: &'static str,
    title: String,
}

/// Why a request has no identity: its token, or the store that should know it.
pub(super) enum Denial {
    Token(TokenError),
    Store(StoreError),
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: &'static str, title: impl Into<String>) -> Self {
        Self { status, code, title: title.into() }
    }

    pub(super) fn bad_request(title: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", title)
    }

    /// Returns the text alone, for the SQL gateway's own error shape.
    pub(super) fn into_title(self) -> String {
        self.title
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, error.code(), error.to_string())
    }
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Token(error) => error.into(),
            Denial::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (status, code) = match &error {
            StoreError::OldBatch { .. } => (StatusCode::CONFLICT, "old_batch"),
            StoreError::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            StoreError::Closed => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            StoreError::Open { .. } | StoreError::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "store_failed"),
        };
        if status.is_server_error() {
            tracing::error!(%error, "request failed");
        }
        Self::new(status, code, error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let error = json!({"status": self.status.as_str(), "code": self.code, "title": self.title});
        (self.status, Json(json!({"errors": [error]}))).into_response()
    }
}
