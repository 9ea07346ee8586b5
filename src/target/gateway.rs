//! Client of a service's gateway: tokens for users, and the server's own content over HTTP.
//!
//! It speaks the shapes of SQLite Cloud's gateway (tokens, SQL over HTTP), and first tries the embedded target's admin
//! addresses, which answer the same questions in one request. Tables of any size are read page by page.

mod connection_string;
mod content;
mod error;
mod http;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value as Json, json};

pub use connection_string::{ConnectionString, parse_connection_string};
pub use error::GatewayError;

use crate::model::schema::TableSpec;

/// Deadlines of a gateway's requests.
#[derive(Debug, Clone, Copy)]
pub struct GatewayTimeouts {
    pub connect: Duration,
    pub request: Duration,
}

/// One gateway with the key to it.
#[derive(Debug, Clone)]
pub struct Gateway {
    base: String,
    api_key: SecretString,
    database: Option<String>,
    table: TableSpec,
    timeouts: GatewayTimeouts,
    client: reqwest::Client,
}

impl Gateway {
    /// Makes a client for the gateway at `base_url`; no request is sent yet.
    pub fn new(
        base_url: &str,
        api_key: SecretString,
        database: Option<String>,
        table: TableSpec,
        timeouts: GatewayTimeouts,
    ) -> Result<Self, GatewayError> {
        let refused = |why: String| GatewayError::Config { address: base_url.to_owned(), why };
        let base = base_url.trim_end_matches('/').to_owned();
        let url = reqwest::Url::parse(&base).map_err(|e| refused(format!("it is not an address ({e})")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(refused("it does not start with http:// or https:// and a host".into()));
        }
        let client = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.request)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| {
                // The cause that people meet stands below the error: a machine without any certificates of authorities.
                let why = anyhow::Error::from(e);
                refused(format!(
                    "no client could be made ({why:#}); without ca-certificates on the machine, install them"
                ))
            })?;
        Ok(Self { base, api_key, database, table, timeouts, client })
    }

    /// Issues a token for a user.
    pub async fn issue_token(
        &self,
        name: &str,
        user_id: &str,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<SecretString, GatewayError> {
        let expires = expires_at.map(|at| at.format("%Y-%m-%d %H:%M:%S").to_string());
        let body = json!({ "name": name, "userId": user_id, "expiresAt": expires });
        let answer = self.post("/v2/tokens", "issuing a token", &body).await?;
        match answer.pointer("/data/token").and_then(Json::as_str) {
            Some(token) if !token.is_empty() => Ok(token.to_owned().into()),
            // The answer may hold a secret in another place, so it is not shown.
            _ => Err(GatewayError::shape("issuing a token", &self.base, "it has no text at data.token")),
        }
    }

    /// Revokes a token; only the embedded target can.
    pub async fn revoke_token(&self, token: &SecretString) -> Result<(), GatewayError> {
        let body = json!({ "token": token.expose_secret() });
        let request = self.client.delete(format!("{}/v2/tokens", self.base)).json(&body);
        match self.answer("revoking a token", request).await {
            Err(GatewayError::Status { status: 404 | 405, .. }) => {
                Err(GatewayError::Unsupported { doing: "revoking a token", address: self.base.clone() })
            }
            other => other.map(drop),
        }
    }

    /// Runs one SQL statement on the server's database and returns its rows.
    pub async fn sql(&self, sql: &str) -> Result<Vec<Map<String, Json>>, GatewayError> {
        const DOING: &str = "running SQL on the server";
        let mut body = json!({ "sql": sql });
        if let Some(database) = &self.database {
            body["database"] = json!(database);
        }
        let mut answer = self.post("/v2/weblite/sql", DOING, &body).await?;
        if let Some(error) = answer.get("error").filter(|e| !e.is_null()) {
            let text = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            return Err(GatewayError::sql(DOING, &self.base, &text));
        }
        match answer.get_mut("data").map(Json::take) {
            Some(Json::Array(rows)) => rows
                .into_iter()
                .map(|row| match row {
                    Json::Object(row) => Ok(row),
                    _ => Err(GatewayError::shape(DOING, &self.base, "a row is not an object")),
                })
                .collect(),
            // A statement without rows.
            Some(Json::Null) => Ok(Vec::new()),
            _ => Err(GatewayError::shape(DOING, &self.base, "it has no array at data")),
        }
    }

    /// Checks that the service is there: its health address, or for services that have none a connection.
    pub async fn health(&self) -> Result<(), GatewayError> {
        const DOING: &str = "checking health";
        match self.answer(DOING, self.client.get(format!("{}/health", self.base))).await {
            Ok(_) | Err(GatewayError::Shape { .. }) => Ok(()),
            Err(GatewayError::Status { status: 400..=499, .. }) => self.connects(DOING).await,
            Err(other) => Err(other),
        }
    }
}
