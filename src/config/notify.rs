//! `[notify]`: who is told of what, and how.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::secret::SecretRef;
use super::units::Span;

/// `[notify]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotifyConfig {
    /// Clean cycles after which an incident is resolved.
    pub resolve_after: u32,
    /// How long an incident gathers what belongs to it before it is told.
    pub group_wait: Span,
    /// Time between two digests; zero: none.
    pub digest_every: Span,
    /// Messages about incidents in one hour at most; what is more waits for the digest.
    pub per_hour: u32,
    /// Tells of the end of every run.
    pub summary: bool,
    /// Tells the state of affairs at these times too.
    pub summary_cron: Option<String>,
    /// Time zone of `summary_cron`, and of the times in messages.
    pub zone: String,
    pub mail: Option<MailConfig>,
    pub webhook: BTreeMap<String, WebhookConfig>,
    pub ping: Option<PingConfig>,
}

impl Default for NotifyConfig {
    fn default() -> Self {
        Self {
            resolve_after: 3,
            group_wait: Span::from_secs(10),
            digest_every: Span::from_secs(24 * 3600),
            per_hour: 12,
            summary: true,
            summary_cron: None,
            zone: "UTC".into(),
            mail: None,
            webhook: BTreeMap::new(),
            ping: None,
        }
    }
}

/// `[notify.mail]`: an SMTP server and who gets mail from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    pub host: String,
    /// Absent: 587 with STARTTLS, 465 with TLS, 25 with none.
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub security: MailSecurity,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub password: Option<SecretRef>,
    /// PEM file of the authority that signed the server's certificate; absent: those that the system trusts.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Sender, as in `soakd <soakd@example.org>`.
    pub from: String,
    pub to: Vec<String>,
    /// One attempt to deliver.
    #[serde(default = "attempt")]
    pub timeout: Span,
}

fn attempt() -> Span {
    Span::from_secs(30)
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailSecurity {
    #[default]
    Starttls,
    Tls,
    None,
}

/// `[notify.webhook.NAME]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    #[serde(default)]
    pub kind: WebhookKind,
    /// Where it is posted to; either this or `secret_address`.
    #[serde(default)]
    pub address: Option<String>,
    /// The same, where the address itself is a secret.
    #[serde(default)]
    pub secret_address: Option<SecretRef>,
    /// Bearer token.
    #[serde(default)]
    pub token: Option<SecretRef>,
    #[serde(default = "attempt")]
    pub timeout: Span,
}

/// Form of what is posted to a webhook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookKind {
    /// soakd's own, documented form.
    #[default]
    Json,
    /// A Slack-compatible incoming webhook.
    Slack,
    /// Prometheus Alertmanager, API version 2.
    Alertmanager,
}

/// `[notify.ping]`: a dead-man switch that is told of progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PingConfig {
    /// Address that is called on progress; `/start` and `/fail` are appended for those. Either this or `secret_address`.
    #[serde(default)]
    pub address: Option<String>,
    #[serde(default)]
    pub secret_address: Option<SecretRef>,
    /// Shortest time between two calls.
    #[serde(default = "ping_every")]
    pub every: Span,
}

fn ping_every() -> Span {
    Span::from_secs(60)
}
