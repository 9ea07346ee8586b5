//! Whoever is to be told of failures: every channel is proven by a test message over the code that sends the real ones.

use chrono::Utc;

use super::super::check::CheckLine;
use crate::config::NotifyConfig;
use crate::observe::notify::{Channels, Delivered, Origin, SendError, test_letter};

const MAIL: &str = "mail";
const WEBHOOK: &str = "webhook";
const PING: &str = "ping";
const ADVICE: &str = "`soakd notify test` tries it again";

/// Sends one test message over every channel.
pub(super) async fn examine(config: &NotifyConfig, origin: &str, no_mail: bool) -> Vec<CheckLine> {
    if config.mail.is_none() && config.webhook.is_empty() && config.ping.is_none() {
        let detail = "nobody is told of failures; set [notify.mail], a [notify.webhook.NAME] or [notify.ping]";
        return vec![CheckLine::warned(MAIL, detail)];
    }
    let channels = match Channels::resolve(config) {
        Ok(channels) => channels,
        Err(problems) => return problems.into_iter().map(|problem| CheckLine::failed(MAIL, problem)).collect(),
    };
    if no_mail {
        return vec![CheckLine::skipped(MAIL, "--no-mail was given: secrets were found, and no channel was tried")];
    }
    let letter = test_letter(Utc::now().timestamp_millis(), channels.zone(), &Origin::here(origin));
    let mut lines = Vec::new();
    for channel in channels.all() {
        let kind = if channel.name() == MAIL { MAIL } else { WEBHOOK };
        lines.push(line(kind, channel.name(), channel.send(&letter).await));
    }
    if let Some(ping) = channels.ping() {
        let called = ping.test().await.map(|()| Delivered {
            to: "its /start address; without a run it will raise the alarm".into(),
            warning: None,
        });
        lines.push(line(PING, PING, called));
    }
    lines
}

/// Turns what came of an attempt into a line.
fn line(kind: &'static str, name: &str, result: Result<Delivered, SendError>) -> CheckLine {
    match result {
        Ok(Delivered { to, warning: None }) => CheckLine::ok(kind, format!("{name}: delivered to {to}")),
        Ok(Delivered { to, warning: Some(warning) }) => {
            CheckLine::warned(kind, format!("{name}: delivered to {to}; {warning}"))
        }
        Err(why) => CheckLine::failed(kind, format!("{name}: {why}; {ADVICE}")),
    }
}
