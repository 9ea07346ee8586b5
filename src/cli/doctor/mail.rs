//! Whoever is to be told of failures: every channel is proven by a test message over the code that later sends the real ones.

use super::super::check::CheckLine;
use crate::config::{Config, NotifyConfig};

const NAME: &str = "mail";

pub(super) async fn examine(config: &Config, no_mail: bool) -> Vec<CheckLine> {
    let NotifyConfig { mail, webhook, ping, .. } = &config.notify;
    if mail.is_none() && webhook.is_empty() && ping.is_none() {
        let detail = "nobody is told of failures; set [notify.mail], a [notify.webhook.NAME] or [notify.ping]";
        return vec![CheckLine::warned(NAME, detail)];
    }
    if no_mail {
        return vec![CheckLine::skipped(NAME, "--no-mail was given: no channel was tried")];
    }
    send_test(&config.notify).await
}

/// Sends a test message over every channel.
///
/// SEAM: `soakd notify test` has the code for this, `observe::notify::Channels::resolve(&NotifyConfig)` and a send of a test
/// letter for each channel. Until it is connected here, nothing is proven, and the line says so.
async fn send_test(config: &NotifyConfig) -> Vec<CheckLine> {
    let channels = usize::from(config.mail.is_some()) + config.webhook.len() + usize::from(config.ping.is_some());
    vec![CheckLine::warned(
        NAME,
        format!("{channels} channels are configured and were not tried; try `soakd notify test`"),
    )]
}
