//! Messages for machines: one POST per message. A new kind is one file with a function that makes the body, and one line in
//! [`Webhook::posting`].

mod alertmanager;
mod json;
mod slack;

#[cfg(test)]
mod tests;

use std::time::Duration;

use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::channels::{address, secret};
use super::{Channel, Delivered, SendError, http};
use crate::config::{WebhookConfig, WebhookKind};
use crate::observe::letter::{Letter, render};

/// Returns the name that the outbox knows a webhook by.
pub(super) fn channel_name(name: &str) -> String {
    format!("webhook.{name}")
}

/// What is posted, and below which path of the address.
struct Posting {
    path: &'static str,
    body: Value,
}

/// Somebody who takes messages by HTTP.
pub(super) struct Webhook {
    name: String,
    kind: WebhookKind,
    client: Client,
    /// The configuration keys of address and token.
    keys: (String, String),
    address: SecretString,
    token: Option<SecretString>,
    timeout: Duration,
}

impl Webhook {
    pub(super) fn resolve(name: &str, config: &WebhookConfig) -> Result<Self, String> {
        let section = format!("notify.webhook.{name}");
        let (key, address) = address(&section, config.address.as_deref(), config.secret_address.as_ref())?;
        let token_key = format!("{section}.token");
        let token = config.token.as_ref().map(|token| secret(&token_key, token)).transpose()?;
        let timeout = config.timeout.get();
        let client = http::client(timeout).map_err(|why| format!("{section}: {why}"))?;
        Ok(Self {
            name: channel_name(name),
            kind: config.kind,
            client,
            keys: (key, token_key),
            address,
            token,
            timeout,
        })
    }

    /// Returns what is posted; `None` where the other side has no use for such a message.
    fn posting(&self, letter: &Letter) -> Option<Posting> {
        let rendered = || tokio::task::block_in_place(|| render(letter));
        match self.kind {
            WebhookKind::Json => Some(Posting { path: "", body: json::body(letter, &rendered()) }),
            WebhookKind::Slack => Some(Posting { path: "", body: slack::body(letter, &rendered()) }),
            WebhookKind::Alertmanager => Some(Posting { path: "/api/v2/alerts", body: alertmanager::body(letter)? }),
        }
    }
}

#[async_trait::async_trait]
impl Channel for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, letter: &Letter) -> Result<Delivered, SendError> {
        let Some(posting) = self.posting(letter) else {
            let to = format!("nobody: {} has no use for this kind of message", self.name);
            return Ok(Delivered { to, warning: None });
        };
        let base = self.address.expose_secret();
        let url = if posting.path.is_empty() {
            base.to_owned()
        } else {
            base.trim_end_matches('/').to_owned() + posting.path
        };
        let mut request =
            self.client.post(url).header("Idempotency-Key", header_value(&letter.message.key)).json(&posting.body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        http::call(request, &self.keys.0, &self.keys.1, self.timeout).await?;
        Ok(Delivered { to: self.name.clone(), warning: None })
    }
}

/// Returns what may stand in a header.
fn header_value(key: &str) -> String {
    key.chars().filter(char::is_ascii_graphic).take(200).collect()
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}
