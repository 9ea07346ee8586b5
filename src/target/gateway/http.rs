//! Sending a request and reading a bounded answer.

use secrecy::ExposeSecret;
use serde_json::Value as Json;

use super::{Gateway, GatewayError};
use crate::model::classify::Transport;

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;

impl Gateway {
    pub(super) async fn post(&self, path: &str, doing: &'static str, body: &Json) -> Result<Json, GatewayError> {
        self.answer(doing, self.client.post(format!("{}{path}", self.base)).json(body)).await
    }

    pub(super) async fn get(
        &self,
        doing: &'static str,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Json, GatewayError> {
        let url = reqwest::Url::parse_with_params(&format!("{}{path}", self.base), query)
            .map_err(|e| GatewayError::Config { address: self.base.clone(), why: e.to_string() })?;
        self.answer(doing, self.client.get(url)).await
    }

    /// Sends the request with the key and reads the answer as JSON.
    pub(super) async fn answer(
        &self,
        doing: &'static str,
        request: reqwest::RequestBuilder,
    ) -> Result<Json, GatewayError> {
        let failed = |e: reqwest::Error| GatewayError::request(doing, &self.base, &e);
        let mut response = request.bearer_auth(self.api_key.expose_secret()).send().await.map_err(failed)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            if body.len() + part.len() > ANSWER_BYTES_MAX {
                return Err(GatewayError::shape(doing, &self.base, "it is longer than 64 MiB"));
            }
            body.extend_from_slice(&part);
        }
        if !status.is_success() {
            return Err(GatewayError::status(doing, &self.base, status.as_u16(), &String::from_utf8_lossy(&body)));
        }
        serde_json::from_slice(&body)
            .map_err(|e| GatewayError::shape(doing, &self.base, &format!("it is not JSON ({e})")))
    }

    /// Checks that something takes connections at the gateway's address.
    pub(super) async fn connects(&self, doing: &'static str) -> Result<(), GatewayError> {
        let failed = |failure, text: &str| GatewayError::transport(doing, &self.base, failure, text);
        let url = reqwest::Url::parse(&self.base).map_err(|e| failed(Transport::Protocol, &e.to_string()))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let connect = tokio::net::TcpStream::connect((host, port));
        match tokio::time::timeout(self.timeouts.connect, connect).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => Err(failed(Transport::Refused, &e.to_string())),
            Err(_) => Err(failed(Transport::ConnectTimeout, "the connection was not made in time")),
        }
    }
}
