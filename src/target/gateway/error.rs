//! The gateway client's error.

use crate::model::classify::{self, Transport};
use crate::model::finding::{Classified, Follow, Kind, Side, cut};

/// A request to the gateway that failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GatewayError {
    #[error("{address}: {why}; correct the gateway's address or key in the configuration")]
    Config { address: String, why: String },
    #[error("{doing} at {address} failed: {}", .classified.message)]
    Transport { doing: &'static str, address: String, classified: Classified },
    #[error("{doing} at {address} failed with HTTP {status}: {}", .classified.message)]
    Status { doing: &'static str, address: String, status: u16, classified: Classified },
    #[error("{doing} at {address} failed: {}", .classified.message)]
    Sql { doing: &'static str, address: String, classified: Classified },
    #[error("{doing} at {address}: the answer cannot be used, {why}; is this a gateway?")]
    Shape { doing: &'static str, address: String, why: String },
    #[error("{doing} is not offered by {address}")]
    Unsupported { doing: &'static str, address: String },
}

impl GatewayError {
    /// Returns what the error means.
    pub fn classified(&self) -> Classified {
        match self {
            Self::Transport { classified, .. } | Self::Status { classified, .. } | Self::Sql { classified, .. } => {
                classified.clone()
            }
            Self::Config { .. } | Self::Unsupported { .. } => self.made(Side::Client, Kind::Config),
            Self::Shape { .. } => self.made(Side::Server, Kind::Protocol),
        }
    }

    fn made(&self, side: Side, kind: Kind) -> Classified {
        classify::made(side, kind, Follow::Fail, None, &self.to_string())
    }

    pub(super) fn shape(doing: &'static str, address: &str, why: &str) -> Self {
        Self::Shape { doing, address: address.to_owned(), why: cut(why) }
    }

    pub(super) fn sql(doing: &'static str, address: &str, text: &str) -> Self {
        Self::Sql { doing, address: address.to_owned(), classified: classify::classify_call(None, text) }
    }

    pub(super) fn status(doing: &'static str, address: &str, status: u16, body: &str) -> Self {
        let classified = classify::classify_http(status, body);
        Self::Status { doing, address: address.to_owned(), status, classified }
    }

    pub(super) fn transport(doing: &'static str, address: &str, failure: Transport, text: &str) -> Self {
        let classified = classify::classify_transport(failure, text);
        Self::Transport { doing, address: address.to_owned(), classified }
    }

    /// Reads what an HTTP client's error means; its causes tell more than itself.
    pub(super) fn request(doing: &'static str, address: &str, error: &reqwest::Error) -> Self {
        let mut text = String::new();
        let mut refused = false;
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
        while let Some(inner) = cause {
            refused |= inner
                .downcast_ref::<std::io::Error>()
                .is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused);
            text = if text.is_empty() { inner.to_string() } else { format!("{text}: {inner}") };
            cause = inner.source();
        }
        let lower = text.to_lowercase();
        let failure = if error.is_connect() {
            if error.is_timeout() {
                Transport::ConnectTimeout
            } else if lower.contains("dns") || lower.contains("lookup") {
                Transport::Resolve
            } else if !refused
                && (lower.contains("certificate") || lower.contains("tls") || lower.contains("corrupt message"))
            {
                Transport::Tls
            } else {
                Transport::Refused
            }
        } else if error.is_timeout() {
            Transport::Timeout
        } else if lower.contains("invalid http") || lower.contains("parse") {
            Transport::Protocol
        } else {
            Transport::Reset
        };
        let text = if text.is_empty() { error.to_string() } else { text };
        Self::transport(doing, address, failure, &text)
    }
}
