//! The channels of a configuration, with their secrets looked up: made once at the start and once per reload.

use std::sync::Arc;

use chrono_tz::Tz;
use secrecy::{ExposeSecret, SecretString};

use super::mail::Mail;
use super::summary::Summary;
use super::webhook::Webhook;
use super::{Channel, Ping};
use crate::config::{NotifyConfig, SecretRef};
use crate::model::message::Policy;

/// Who is told, ready to be used.
#[derive(Default)]
pub struct Channels {
    pub(super) all: Vec<Arc<dyn Channel>>,
    pub(super) ping: Option<Arc<Ping>>,
    pub(super) zone: Tz,
    pub(super) summary: Option<Summary>,
}

impl Channels {
    /// Looks up the secrets and makes the channels; says of everything that is wrong which key it is about.
    pub fn resolve(config: &NotifyConfig) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let zone = config.zone.parse().unwrap_or_else(|_| {
            problems
                .push(format!("notify.zone: there is no time zone {:?}; write one such as Europe/Rome", config.zone));
            Tz::UTC
        });
        let summary = config.summary_cron.as_deref().map(|cron| Summary::parse(cron, zone)).transpose();
        let mut all: Vec<Arc<dyn Channel>> = Vec::new();
        let mut take = |made: Result<Arc<dyn Channel>, String>| match made {
            Ok(channel) => all.push(channel),
            Err(problem) => problems.push(problem),
        };
        if let Some(mail) = &config.mail {
            take(Mail::resolve(mail).map(|mail| Arc::new(mail) as Arc<dyn Channel>));
        }
        for (name, webhook) in &config.webhook {
            take(Webhook::resolve(name, webhook).map(|webhook| Arc::new(webhook) as Arc<dyn Channel>));
        }
        let ping = config.ping.as_ref().map(Ping::resolve).transpose();
        match (summary, ping) {
            (Ok(summary), Ok(ping)) if problems.is_empty() => Ok(Self { all, ping: ping.map(Arc::new), zone, summary }),
            (summary, ping) => {
                problems.extend(summary.err());
                problems.extend(ping.err());
                Err(problems)
            }
        }
    }

    /// Returns the channels in their order.
    pub fn all(&self) -> &[Arc<dyn Channel>] {
        &self.all
    }

    /// Returns the zone that times are shown in.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// Returns the dead-man switch.
    pub fn ping(&self) -> Option<Arc<Ping>> {
        self.ping.clone()
    }

    /// Returns the channel of a name.
    pub(super) fn named(&self, name: &str) -> Option<Arc<dyn Channel>> {
        self.all.iter().find(|channel| channel.name() == name).cloned()
    }
}

impl std::fmt::Debug for Channels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.all.iter().map(|channel| channel.name()).collect();
        f.debug_struct("Channels").field("all", &names).field("ping", &self.ping.is_some()).finish_non_exhaustive()
    }
}

/// Returns what the store needs to know of the settings.
pub fn policy(config: &NotifyConfig) -> Policy {
    let ms = |span: crate::config::Span| i64::try_from(span.get().as_millis()).unwrap_or(i64::MAX);
    let mail = config.mail.iter().map(|_| super::mail::NAME.to_owned());
    Policy {
        channels: mail.chain(config.webhook.keys().map(|name| super::webhook::channel_name(name))).collect(),
        resolve_after: config.resolve_after,
        group_wait_ms: ms(config.group_wait),
        digest_ms: ms(config.digest_every),
        per_hour: config.per_hour,
        summary: config.summary,
    }
}

/// Looks a secret up; an error names the key and the place, never a value.
pub(super) fn secret(key: &str, reference: &SecretRef) -> Result<SecretString, String> {
    reference.resolve().map_err(|why| format!("{key}: {why}"))
}

/// Returns the address that something is called at, which is a secret in either case: a part of it may be a token.
pub(super) fn address(
    section: &str,
    plain: Option<&str>,
    hidden: Option<&SecretRef>,
) -> Result<(String, SecretString), String> {
    let (key, address) = match (plain, hidden) {
        (Some(plain), None) => (format!("{section}.address"), SecretString::from(plain.to_owned())),
        (None, Some(reference)) => {
            let key = format!("{section}.secret_address");
            let found = secret(&key, reference)?;
            (key, found)
        }
        (Some(_), Some(_)) => {
            return Err(format!("{section}: address and secret_address are both there; leave one out"));
        }
        (None, None) => return Err(format!("{section}: it needs an address or a secret_address")),
    };
    let url = reqwest::Url::parse(address.expose_secret());
    match url.map(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        Ok(true) => Ok((key, address)),
        Ok(false) | Err(_) => Err(format!("{key}: it holds no address such as https://example.org/hook")),
    }
}
