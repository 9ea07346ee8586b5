//! The administrator's side: health, tokens, SQL, digests and rows.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDateTime};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::token::{self, NewToken};
use super::answer::Failure;
use super::{Ctx, version};

/// Rows that one list returns at most.
const MAX_ROWS: usize = 100_000;

pub(super) async fn health(State(shared): Ctx) -> Json<Value> {
    let version = shared.config.planter.version().map_or_else(version, str::to_owned);
    Json(json!({"status": "ok", "version": version, "store": shared.config.store.kind()}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenRequest {
    #[serde(default)]
    name: String,
    user_id: String,
    #[serde(default)]
    expires_at: Option<String>,
}

pub(super) async fn issue_token(State(shared): Ctx, headers: HeaderMap, body: Bytes) -> Result<Json<Value>, Failure> {
    shared.require_admin(&headers)?;
    let request: TokenRequest = read(&body)?;
    if request.user_id.is_empty() {
        return Err(Failure::bad_request("userId must not be empty"));
    }
    let expires_at_ms = request.expires_at.as_deref().map(parse_time).transpose()?;
    let text = token::generate();
    let (hash, user_id, name) = (token::hash(&text), request.user_id.clone(), request.name.clone());
    shared.config.store.add_token(NewToken { hash, user_id, name, expires_at_ms }).await?;
    let data = json!({"token": text, "userId": request.user_id, "name": request.name, "expiresAt": request.expires_at});
    Ok(Json(json!({"data": data})))
}

#[derive(Deserialize)]
struct RevokeRequest {
    token: String,
}

pub(super) async fn revoke_token(State(shared): Ctx, headers: HeaderMap, body: Bytes) -> Result<Json<Value>, Failure> {
    shared.require_admin(&headers)?;
    let request: RevokeRequest = read(&body)?;
    if !shared.config.store.revoke_token(token::hash(&request.token)).await? {
        return Err(Failure::new(StatusCode::NOT_FOUND, "token_invalid", "there is no such token to revoke"));
    }
    Ok(Json(json!({"data": {"revoked": true}})))
}

#[derive(Deserialize)]
struct SqlRequest {
    sql: String,
    /// There is one database only; the name is accepted for the gateway's sake.
    #[serde(default, rename = "database")]
    _database: String,
}

pub(super) async fn sql(State(shared): Ctx, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    shared.require_admin(&headers)?;
    let request: SqlRequest = read(&body)?;
    Ok(match shared.config.store.sql(request.sql).await {
        Ok(rows) => Json(json!({"data": rows})).into_response(),
        Err(error) => {
            let failure = Failure::from(error);
            (StatusCode::BAD_REQUEST, Json(json!({"error": failure.into_title()}))).into_response()
        }
    })
}

#[derive(Deserialize)]
pub(super) struct Selection {
    owner: Option<String>,
    buckets: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn digest(
    State(shared): Ctx,
    headers: HeaderMap,
    Query(selection): Query<Selection>,
) -> Result<Json<Value>, Failure> {
    shared.require_admin(&headers)?;
    let digest = shared.config.store.digest(selection.owner).await?;
    Ok(Json(json!({"data": digest})))
}

pub(super) async fn holdings(State(shared): Ctx, headers: HeaderMap) -> Result<Json<Value>, Failure> {
    shared.require_admin(&headers)?;
    let holdings = shared.config.store.holdings().await?;
    Ok(Json(json!({"data": holdings})))
}

pub(super) async fn rows(
    State(shared): Ctx,
    headers: HeaderMap,
    Query(selection): Query<Selection>,
) -> Result<Json<Value>, Failure> {
    shared.require_admin(&headers)?;
    let numbers = selection.buckets.as_deref().unwrap_or("").split(',').filter(|text| !text.is_empty());
    let buckets = numbers
        .map(|text| text.trim().parse())
        .collect::<Result<Vec<usize>, _>>()
        .map_err(|_| Failure::bad_request("buckets must be numbers with commas between them"))?;
    let limit = selection.limit.unwrap_or(MAX_ROWS).min(MAX_ROWS);
    let rows = shared.config.store.rows(selection.owner, buckets, limit).await?;
    Ok(Json(json!({"data": rows})))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::bad_request(format!("the body is not understood: {error}")))
}

/// Reads the gateway's form of a time (UTC) or RFC 3339.
fn parse_time(text: &str) -> Result<i64, Failure> {
    let plain = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").map(|time| time.and_utc().timestamp_millis());
    plain
        .or_else(|_| DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis()))
        .map_err(|_| Failure::bad_request(format!("expiresAt {text:?} is not a time such as 2030-01-01 00:00:00")))
}
