//! Metrics of a remote process in Prometheus' text format: fetched with a deadline and a bound on the answer, read line by
//! line, and only what is asked for is kept.

#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

pub use text::{Family, Wanted, parse};

/// Time that one answer may take as a whole.
pub const DEADLINE: Duration = Duration::from_secs(if cfg!(test) { 12 } else { 3 });
/// Longest answer that is read.
pub const BYTES_MAX: usize = 8 << 20;

/// Why there are no metrics; the text is the same as long as the reason is.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    #[error("{address} is no address of metrics: {why}")]
    Address { address: String, why: String },
    #[error("{address} cannot be fetched: {why}")]
    Request { address: String, why: String },
    #[error("{address} did not answer in full within {DEADLINE:?}")]
    Slow { address: String },
    #[error("{address} answered with status {status}")]
    Status { address: String, status: u16 },
    #[error("{address} answers with more than {} MiB", BYTES_MAX >> 20)]
    TooLong { address: String },
    #[error("{address} answers with something that is not Prometheus' text format")]
    Garbage { address: String },
}

/// One address to scrape.
#[derive(Debug, Clone)]
pub struct Scraper {
    address: String,
    client: reqwest::Client,
}

impl Scraper {
    /// Makes a client; no request is sent yet.
    pub fn new(address: &str) -> Result<Self, ScrapeError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(DEADLINE)
            .build()
            .map_err(|error| ScrapeError::Address { address: address.into(), why: root_of(&error) })?;
        Ok(Self { address: address.into(), client })
    }

    /// Fetches the metrics and returns those that are wanted and there.
    pub async fn scrape(&self, wanted: &[Wanted]) -> Result<Vec<Family>, ScrapeError> {
        let text = tokio::time::timeout(DEADLINE, self.fetch())
            .await
            .unwrap_or_else(|_| Err(ScrapeError::Slow { address: self.address.clone() }))?;
        parse(&text, wanted).ok_or_else(|| ScrapeError::Garbage { address: self.address.clone() })
    }

    async fn fetch(&self) -> Result<String, ScrapeError> {
        let address = || self.address.clone();
        let failed = |error: reqwest::Error| {
            if error.is_timeout() {
                ScrapeError::Slow { address: address() }
            } else {
                ScrapeError::Request { address: address(), why: root_of(&error) }
            }
        };
        let request = self.client.get(&self.address).header("accept", "text/plain;version=0.0.4, */*;q=0.1");
        let mut response = request.send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(ScrapeError::Status { address: address(), status: response.status().as_u16() });
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            if body.len() + part.len() > BYTES_MAX {
                return Err(ScrapeError::TooLong { address: address() });
            }
            body.extend_from_slice(&part);
        }
        String::from_utf8(body).map_err(|_| ScrapeError::Garbage { address: address() })
    }
}

/// Returns the innermost cause, which is what people can act on.
fn root_of(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
