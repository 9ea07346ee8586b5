//! Rules of what the daemon does around its runs: schedules, notifications, the API and limits.

use std::net::IpAddr;

use chrono::NaiveDateTime;

use super::Rules;
use crate::config::quiet::{QuietHours, next_loud};
use crate::config::{Config, MailConfig, MailSecurity, NotifyConfig, Span, TargetConfig};

/// Hosts whose addresses are secrets by themselves.
const SECRET_HOSTS: &[&str] = &["hooks.slack.com", "hooks.slack-gov.com", "discord.com", "discordapp.com"];

impl Rules<'_> {
    /// Checks the rules that concern the daemon, once for the file.
    pub(super) fn daemon(&mut self, config: &Config) {
        for (name, schedule) in &config.schedule {
            self.quiet(&format!("schedule.{name}.quiet"), &schedule.quiet);
        }
        self.observe(config);
        self.notify(&config.notify);
        let api = &config.api;
        if let Some(listen) = api.listen.filter(|listen| !listen.ip().is_loopback())
            && !self.has("api.token")
        {
            self.report(
                "api.listen",
                format!("{listen} can be reached from other machines, and api.token is missing"),
                "a loopback address such as \"127.0.0.1:7070\", or api.token as well",
            );
        }
        let limits = &config.limits;
        if limits.disk_pause > limits.disk_warn {
            self.report(
                "limits.disk_pause",
                format!("{} is more than limits.disk_warn, {}", limits.disk_pause, limits.disk_warn),
                "a size up to limits.disk_warn",
            );
        }
    }

    /// Checks that a target is looked for in one place, and only if soakd does not run it itself.
    fn observe(&mut self, config: &Config) {
        self.version();
        let observe = &config.observe;
        if let TargetConfig::Embedded(_) = config.target {
            for (name, given) in [
                ("target_pid", observe.target_pid.is_some()),
                ("target_unit", observe.target_unit.is_some()),
                ("target_metrics", observe.target_metrics.is_some()),
                ("target_figures", !observe.target_figures.is_empty()),
                ("target_files", !observe.target_files.is_empty()),
                ("target_postgres", observe.target_postgres.is_some()),
            ] {
                if given {
                    self.report(
                        &format!("observe.{name}"),
                        "soakd runs the embedded target itself, and knows its process, its files and its PostgreSQL",
                        "this key with another target",
                    );
                }
            }
            return;
        }
        if observe.target_pid.is_some() && observe.target_unit.is_some() {
            self.report(
                "observe.target_unit",
                "target_pid says already which process the target is",
                "target_pid, or target_unit, which follows restarts",
            );
        }
        if !observe.target_figures.is_empty() && !self.has("observe.target_metrics") {
            self.report(
                "observe.target_figures",
                "there is no address to take them from",
                "target_metrics with the address of the target's metrics",
            );
        }
    }

    /// Checks that one way to the version is given.
    fn version(&mut self) {
        const WAYS: &str = "one of header, endpoint, command and label";
        let section = "observe.version";
        if !self.has(section) {
            return;
        }
        let has = |rules: &Self, name: &str| rules.has(&format!("{section}.{name}"));
        let given: Vec<&str> =
            ["header", "endpoint", "command", "label"].into_iter().filter(|name| has(self, name)).collect();
        match given.as_slice() {
            [] => self.report(section, "the section does not say where the version is from", WAYS),
            [_] => {}
            [first, others @ ..] => {
                for other in others {
                    self.report(&format!("{section}.{other}"), format!("{first} says already where it is from"), WAYS);
                }
            }
        }
        if has(self, "pointer") && !given.contains(&"endpoint") {
            self.report(
                &format!("{section}.pointer"),
                "only the answer of an endpoint is JSON",
                "pointer with endpoint",
            );
        }
    }

    /// Checks that quiet hours leave some time of the week.
    pub(super) fn quiet(&mut self, key: &str, texts: &[String]) {
        let hours: Vec<QuietHours> = texts.iter().filter_map(|text| QuietHours::parse(text).ok()).collect();
        if next_loud(&hours, NaiveDateTime::default()).is_none() {
            self.report(key, "the quiet hours cover the whole week, so that nothing would ever begin", "fewer hours");
        }
    }

    fn notify(&mut self, notify: &NotifyConfig) {
        if notify.digest_every > Span::from_secs(0) && notify.digest_every < Span::from_secs(60) {
            self.report(
                "notify.digest_every",
                format!("\"{}\" is too short", notify.digest_every),
                "\"0s\" for no digest, or a time from \"1m\"",
            );
        }
        for (name, webhook) in &notify.webhook {
            self.one_address(&format!("notify.webhook.{name}"), webhook.address.as_deref());
        }
        if let Some(ping) = &notify.ping {
            self.one_address("notify.ping", ping.address.as_deref());
        }
        if let Some(mail) = &notify.mail {
            self.mail(mail);
        }
    }

    /// Checks that a section has either an address or a reference to a secret one.
    fn one_address(&mut self, section: &str, address: Option<&str>) {
        const BOTH: &str = "address, or secret_address with a reference to a secret";
        let (open, secret) = (format!("{section}.address"), format!("{section}.secret_address"));
        match (self.has(&open), self.has(&secret)) {
            (true, true) => self.report(&secret, "address says already where to", BOTH),
            (false, false) => self.report(&open, "the section has no address", BOTH),
            _ => {}
        }
        let host = address.and_then(|address| reqwest::Url::parse(address).ok());
        let host = host.as_ref().and_then(reqwest::Url::host_str);
        if host.is_some_and(|host| SECRET_HOSTS.contains(&host)) {
            self.report(
                &open,
                "whoever knows an address of this service can post there; it is a secret and must not stand in this file",
                "secret_address with a reference to it",
            );
        }
    }

    fn mail(&mut self, mail: &MailConfig) {
        let (user, password) = (self.has("notify.mail.user"), self.has("notify.mail.password"));
        if user && !password {
            self.report("notify.mail.password", "user is given and needs a password", super::super::keys::SECRET_FORMS);
        } else if password && !user {
            self.report("notify.mail.user", "password is given and needs a user", "the name at the SMTP server");
        }
        let ip: Option<IpAddr> = mail.host.parse().ok();
        let here =
            ip.map_or_else(|| mail.host.trim_end_matches('.').eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback());
        let host_refused = self.refused.contains("notify.mail.host");
        if mail.security == MailSecurity::None && password && !here && !host_refused && self.has("notify.mail.host") {
            self.report(
                "notify.mail.security",
                "with \"none\" the password would travel in clear",
                "\"starttls\" or \"tls\"; \"none\" with a password to this machine only",
            );
        }
        if mail.security == MailSecurity::None && self.has("notify.mail.ca_file") {
            self.report(
                "notify.mail.ca_file",
                "with security = \"none\" there is no certificate",
                "\"starttls\" or \"tls\"",
            );
        }
    }
}
