//! Mail by SMTP: one connection per message, protected as configured and never less.

mod compose;
mod explain;
mod session;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use secrecy::{ExposeSecret, SecretString};

use super::channels::secret;
use super::text::line;
use super::{Channel, Delivered, SendError};
use crate::config::{MailConfig, MailSecurity};
use crate::observe::letter::{Letter, render};

/// Name of the channel.
pub(super) const NAME: &str = "mail";
/// Reply of a server to which a message is too large.
const TOO_LARGE: [u16; 2] = [552, 523];

/// An SMTP server and who gets mail from it.
pub(super) struct Mail {
    host: String,
    port: u16,
    security: MailSecurity,
    /// `None` without TLS.
    tls: Option<TlsParameters>,
    ca_file: Option<PathBuf>,
    login: Option<(String, SecretString)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    timeout: Duration,
}

impl Mail {
    pub(super) fn resolve(config: &MailConfig) -> Result<Self, String> {
        let login = match (&config.user, &config.password) {
            (Some(user), Some(password)) => Some((user.clone(), secret("notify.mail.password", password)?)),
            (None, None) => None,
            (Some(_), None) => {
                return Err("notify.mail.password: it is needed because notify.mail.user is set".to_owned());
            }
            (None, Some(_)) => {
                return Err("notify.mail.user: it is needed because notify.mail.password is set".to_owned());
            }
        };
        let to = config.to.iter().map(|to| mailbox("notify.mail.to", to)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err("notify.mail.to: it names nobody; write at least one address".to_owned());
        }
        let tls = match config.security {
            MailSecurity::None => None,
            MailSecurity::Starttls | MailSecurity::Tls => Some(tls(config)?),
        };
        let usual = match config.security {
            MailSecurity::Starttls => 587,
            MailSecurity::Tls => 465,
            MailSecurity::None => 25,
        };
        Ok(Self {
            host: config.host.clone(),
            port: config.port.unwrap_or(usual),
            security: config.security,
            tls,
            ca_file: config.ca_file.clone(),
            login,
            from: mailbox("notify.mail.from", &config.from)?,
            to,
            timeout: config.timeout.get(),
        })
    }

    fn credentials(&self) -> Option<Credentials> {
        let (user, password) = self.login.as_ref()?;
        Some(Credentials::new(user.clone(), password.expose_secret().to_owned()))
    }

    /// Sends a message as it is composed; one that is too large for the server is sent again without pictures and report.
    async fn deliver(&self, letter: &Letter) -> Result<Delivered, SendError> {
        let rendered = tokio::task::block_in_place(|| render(letter));
        let whole = compose::compose(self, letter, &rendered, false)?;
        match self.transmit(letter, whole).await {
            Err(refused) if refused.code.is_some_and(|code| TOO_LARGE.contains(&code)) => {
                let lean = compose::compose(self, letter, &rendered, true)?;
                self.transmit(letter, lean).await.map_err(|refused| refused.error)
            }
            result => result.map_err(|refused| refused.error),
        }
    }
}

#[async_trait::async_trait]
impl Channel for Mail {
    fn name(&self) -> &str {
        NAME
    }

    async fn send(&self, letter: &Letter) -> Result<Delivered, SendError> {
        self.deliver(letter).await
    }
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// Reads an address, which goes into headers and commands.
fn mailbox(key: &str, text: &str) -> Result<Mailbox, String> {
    let wrong = |why: String| {
        format!("{key}: {:?} is no mail address ({why}); write one such as me@example.org", line(text, 100))
    };
    if text.chars().any(char::is_control) {
        return Err(wrong("it holds a control character".to_owned()));
    }
    text.parse::<Mailbox>().map_err(|why| wrong(why.to_string()))
}

/// Returns what is trusted of the server: the system's authorities, or only the configured one.
fn tls(config: &MailConfig) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(file) = &config.ca_file {
        let wrong = |why: String| format!("notify.mail.ca_file: {}: {why}", file.display());
        let pem = std::fs::read(file).map_err(|why| wrong(format!("it cannot be read: {why}")))?;
        if !pem.windows(27).any(|part| part == b"-----BEGIN CERTIFICATE-----") {
            return Err(wrong("there is no certificate in it; a PEM file is needed".to_owned()));
        }
        let authority = Certificate::from_pem(&pem).map_err(|why| wrong(format!("it is no valid PEM file: {why}")))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(authority);
    }
    builder.build_rustls().map_err(|why| match &config.ca_file {
        Some(file) => format!("notify.mail.ca_file: {}: it is no usable authority: {why}", file.display()),
        None => format!("notify.mail: the system's certificates cannot be used: {why}"),
    })
}

/// Returns the name that soakd greets a server with; an address where the machine's name is no valid one.
fn greeting(host: &str) -> ClientId {
    let valid = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    match (valid, host.parse::<Ipv4Addr>(), host.parse::<Ipv6Addr>()) {
        (_, Ok(v4), _) => ClientId::Ipv4(v4),
        (_, _, Ok(v6)) => ClientId::Ipv6(v6),
        (true, ..) => ClientId::Domain(host.to_owned()),
        (false, ..) => ClientId::Ipv4(Ipv4Addr::LOCALHOST),
    }
}
