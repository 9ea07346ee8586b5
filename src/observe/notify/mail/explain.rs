//! What went wrong with a mail server, in one sentence that names the key to change.

use std::error::Error as StdError;
use std::io;

use lettre::transport::smtp::Error;
use rustls::CertificateError;

use super::super::SendError;
use super::super::text::line;
use super::Mail;
use crate::config::MailSecurity;

/// Longest reply or cause that is repeated.
const CAUSE_CHARS_MAX: usize = 300;

/// How far a session was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Resolve,
    /// Connecting, TLS from the start, and the server's first words.
    Greeting,
    /// STARTTLS.
    Encrypt,
    Login,
    Sender,
    Recipients,
    Message,
}

impl Mail {
    fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(super) fn unresolved(&self, why: &io::Error) -> SendError {
        let why = line(&why.to_string(), CAUSE_CHARS_MAX);
        SendError::passing(format!("the mail server {} cannot be found ({why}); check notify.mail.host", self.host))
    }

    pub(super) fn no_starttls(&self) -> SendError {
        SendError::passing(format!(
            "{} offers no STARTTLS, and nothing was sent to it; set notify.mail.port to a port that does, or \
             notify.mail.security to \"tls\" if it speaks TLS from the start",
            self.place()
        ))
    }

    pub(super) fn too_slow(&self, stage: Stage) -> SendError {
        let (place, time) = (self.place(), self.timeout);
        SendError::passing(match (stage, self.security) {
            (Stage::Resolve, _) => {
                format!(
                    "looking up {} took more than {time:?}; check notify.mail.host and this machine's DNS",
                    self.host
                )
            }
            (Stage::Greeting, MailSecurity::Starttls | MailSecurity::None) => format!(
                "{place} takes connections but says nothing within {time:?}; if it speaks TLS from the start, set \
                 notify.mail.security to \"tls\", else raise notify.mail.timeout"
            ),
            (Stage::Message, _) => format!(
                "{place} did not confirm the message within {time:?}, so it is sent again with the same Message-ID; raise \
                 notify.mail.timeout if the server is that slow"
            ),
            (Stage::Greeting | Stage::Encrypt | Stage::Login | Stage::Sender | Stage::Recipients, _) => {
                format!(
                    "{place} did not answer within {time:?}; raise notify.mail.timeout, or check what the server waits for"
                )
            }
        })
    }

    /// Says what an error means at a stage.
    pub(super) fn explain(&self, stage: Stage, error: &Error) -> SendError {
        if let Some(tls) = cause_of::<rustls::Error>(error) {
            return SendError::passing(self.explain_tls(tls));
        }
        if let Some(code) = error.status().map(u16::from) {
            return self.explain_reply(stage, code, error);
        }
        let place = self.place();
        let why = line(&chain(error), CAUSE_CHARS_MAX);
        let kind = cause_of::<io::Error>(error).map(io::Error::kind);
        SendError::passing(match (stage, kind) {
            (Stage::Greeting, Some(io::ErrorKind::ConnectionRefused)) => format!(
                "nothing listens on {place} (connection refused); check notify.mail.host, notify.mail.port and that the \
                 server runs"
            ),
            (Stage::Greeting, Some(io::ErrorKind::TimedOut)) => format!(
                "{place} does not answer; check notify.mail.host, notify.mail.port and whether a firewall stands between"
            ),
            (Stage::Greeting, _) if error.is_response() => format!(
                "{place} does not greet like a mail server ({why}); check notify.mail.port and notify.mail.security"
            ),
            (Stage::Login, None) if error.is_client() => format!(
                "{place} offers no login by PLAIN or LOGIN on this connection; leave out notify.mail.user, or set \
                 notify.mail.security and notify.mail.port as its users do"
            ),
            (Stage::Message, _) => format!(
                "the connection to {place} was lost before the message was confirmed ({why}); it is sent again with the \
                 same Message-ID"
            ),
            _ => format!("the connection to {place} failed ({why}); check notify.mail.host and notify.mail.port"),
        })
    }

    fn explain_tls(&self, error: &rustls::Error) -> String {
        let place = self.place();
        let why = line(&error.to_string(), CAUSE_CHARS_MAX);
        match error {
            rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => format!(
                "the certificate of {place} is for another name ({why}); set notify.mail.host to the name that it is for"
            ),
            rustls::Error::InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            ) => format!(
                "the certificate of {place} is not valid now ({why}); renew it, or set this machine's clock right"
            ),
            rustls::Error::InvalidCertificate(_) => match &self.ca_file {
                Some(file) => format!(
                    "the certificate of {place} is not from an authority in {} ({why}); set notify.mail.ca_file to the PEM \
                     file of the authority that signed it",
                    file.display()
                ),
                None => format!(
                    "the certificate of {place} is not from an authority that this system trusts ({why}); set \
                     notify.mail.ca_file to the PEM file of the authority that signed it"
                ),
            },
            rustls::Error::InvalidMessage(_) => format!(
                "{place} does not speak TLS from the start ({why}); set notify.mail.security to \"starttls\", or \
                 notify.mail.port to the port for TLS, mostly 465"
            ),
            _ => format!("no protected connection to {place} ({why}); check notify.mail.security and the server's TLS"),
        }
    }

    fn explain_reply(&self, stage: Stage, code: u16, error: &Error) -> SendError {
        let place = self.place();
        let said = line(&error.to_string(), CAUSE_CHARS_MAX);
        let message = match (stage, code) {
            (Stage::Login, 535 | 534 | 538) => {
                format!("{place} does not accept the login ({said}); check notify.mail.user and notify.mail.password")
            }
            (Stage::Login, _) => format!("{place} does not let soakd log in ({said}); check notify.mail.user"),
            (Stage::Sender | Stage::Recipients, 530) => {
                format!("{place} wants a login first ({said}); set notify.mail.user and notify.mail.password")
            }
            (Stage::Sender, _) => format!("{place} refuses the sender ({said}); check notify.mail.from"),
            (Stage::Message, _) => format!("{place} refuses the message ({said})"),
            _ => format!("{place} refuses ({said}); check notify.mail.host and notify.mail.port"),
        };
        // What can be set right in the configuration must not cost a message.
        SendError { permanent: stage == Stage::Message && error.is_permanent(), retry_after: None, message }
    }
}

/// Returns the first cause of a kind; an I/O error hides its own behind a door of its own.
fn cause_of<T: StdError + 'static>(error: &Error) -> Option<&T> {
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => cause.source(),
        };
    }
    None
}

/// Returns an error with its causes, each once.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
