//! Answers: JSON, large texts that pass through a bounded pipe, and problems as RFC 9457 describes them.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::io::ReaderStream;

use crate::store::StoreError;

/// What a handler returns.
pub(super) type Answer = Result<Response, Problem>;

/// Bytes that wait for a slow reader.
pub(super) const PIPE_BYTES: usize = 16 * 1024;
/// Longest time in which a large answer must be read.
const LARGE_MAX: Duration = Duration::from_secs(60);

/// Why a request was not answered as wished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
}

#[derive(Serialize)]
struct Shown<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    /// Returns a problem with a sentence that says what to do.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    /// Returns the problem of a request that is not understood.
    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Returns the problem of something that is not there.
    pub(super) fn missing(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Returns the problem of a daemon that cannot answer now.
    pub(super) fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Problem");
        let shown = Shown { r#type: "about:blank", title, status: self.status.as_u16(), detail: &self.detail };
        let body = serde_json::to_string(&shown).unwrap_or_default();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        let extra: Option<(HeaderName, &str)> = match self.status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
            StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "5")),
            _ => None,
        };
        if let Some((name, value)) = extra {
            response.headers_mut().insert(name, header::HeaderValue::from_static(value));
        }
        response
    }
}

/// Returns a value as JSON.
pub(super) fn json(value: &impl Serialize) -> Answer {
    text("application/json", encoded(value)?)
}

/// Returns a text.
pub(super) fn text(content_type: &'static str, text: String) -> Answer {
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}

/// Returns a value as the text of a JSON answer.
pub(super) fn encoded(value: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(value)
        .map_err(|e| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the answer cannot be written: {e}")))
}

/// Returns a large text; the permit is given back when it was read, or not read in time.
pub(super) fn large(permit: OwnedSemaphorePermit, content_type: &'static str, text: String) -> Answer {
    let length = text.len();
    let (mut pipe, reader) = tokio::io::duplex(PIPE_BYTES);
    tokio::spawn(async move {
        // A client that went away, or is too slow, gets a cut answer: the length tells it.
        let _ = tokio::time::timeout(LARGE_MAX, pipe.write_all(text.as_bytes())).await;
        drop(permit);
    });
    let headers = [(header::CONTENT_TYPE, content_type.to_owned()), (header::CONTENT_LENGTH, length.to_string())];
    Ok((headers, Body::from_stream(ReaderStream::new(reader))).into_response())
}
