//! The client's HTTP: one keep-alive client with deadlines, driven from a plain thread.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};

use super::{ClientError, NativeOptions};

/// Largest answer that is read.
const MAX_ANSWER: usize = 32 << 20;

/// A connection to the server; it lives from `network_init` to `network_cleanup`.
pub(super) struct Network {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    address: String,
    credential: Option<HeaderValue>,
    options: NativeOptions,
}

impl Network {
    pub(super) fn open(address: &str, options: NativeOptions) -> Result<Self, ClientError> {
        if address.is_empty() {
            return Err(ClientError::Usage("address cannot be empty".into()));
        }
        let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        // Another part of the program may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_millis(options.connect_ms))
            .timeout(Duration::from_millis(options.request_ms))
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .build();
        let client = client.map_err(|e| ClientError::Network(format!("cannot set up HTTP: {}", causes(&e))))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| ClientError::Network(format!("cannot set up HTTP: {e}")))?;
        Ok(Self { runtime, client, address: address.trim_end_matches('/').to_owned(), credential: None, options })
    }

    pub(super) fn set_credential(&mut self, text: &str) -> Result<(), ClientError> {
        let mut value = HeaderValue::from_str(&format!("Bearer {text}"))
            .map_err(|_| ClientError::Usage("the credential has characters that a header cannot carry".into()))?;
        value.set_sensitive(true);
        self.credential = Some(value);
        Ok(())
    }

    pub(super) fn health(&self) -> Result<String, ClientError> {
        let bytes = self.finish(self.client.get(format!("{}/health", self.address)))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn post(&self, path: &str, frame: Vec<u8>) -> Result<Vec<u8>, ClientError> {
        self.finish(self.client.post(format!("{}{path}", self.address)).body(frame))
    }

    fn finish(&self, mut request: reqwest::RequestBuilder) -> Result<Vec<u8>, ClientError> {
        if let Some(credential) = &self.credential {
            request = request.header(AUTHORIZATION, credential.clone());
        }
        self.runtime.block_on(async {
            let mut response = request.send().await.map_err(|e| self.transport(&e))?;
            let status = response.status();
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|e| self.transport(&e))? {
                if body.len() + chunk.len() > MAX_ANSWER {
                    return Err(ClientError::Network(format!(
                        "the answer of {} is larger than {MAX_ANSWER} bytes",
                        self.address
                    )));
                }
                body.extend_from_slice(&chunk);
            }
            match status.as_u16() {
                200..300 => Ok(body),
                _ if body.is_empty() || status.as_u16() < 400 => {
                    Err(ClientError::Server(format!("{} answered {status} without a reason", self.address)))
                }
                _ => Err(ClientError::Server(String::from_utf8_lossy(&body).into_owned())),
            }
        })
    }

    fn transport(&self, error: &reqwest::Error) -> ClientError {
        let place = &self.address;
        ClientError::Network(match (error.is_connect(), error.is_timeout()) {
            (true, true) => format!("Connection timed out after {} milliseconds: {place}", self.options.connect_ms),
            (true, false) => format!("Failed to connect to {place}: {}", causes(error)),
            (false, true) => format!("Operation timed out after {} milliseconds: {place}", self.options.request_ms),
            (false, false) => format!("The exchange with {place} broke off: {}", causes(error)),
        })
    }
}

/// Returns the innermost causes of an error, which say what happened.
fn causes(error: &dyn std::error::Error) -> String {
    let mut texts = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    if texts.is_empty() { error.to_string() } else { texts.split_off(texts.len().saturating_sub(2)).join(": ") }
}
