//! One SMTP session, step by step, so that a failure says which step it was and a refused recipient does not cost the others
//! their mail.

use lettre::message::Mailbox;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{Extension, MailParameter};
use lettre::{Address, Message};

use super::super::text::line;
use super::super::{Delivered, SendError};
use super::explain::Stage;
use super::{Mail, greeting};
use crate::config::MailSecurity;
use crate::observe::letter::Letter;

/// Refused recipients that a warning names.
const REFUSED_NAMED_MAX: usize = 10;

/// Why a message was not taken, and with which reply.
pub(super) struct Refused {
    pub error: SendError,
    pub code: Option<u16>,
}

impl From<SendError> for Refused {
    fn from(error: SendError) -> Self {
        Self { error, code: None }
    }
}

/// A recipient that the server does not take mail for.
struct Rejection {
    to: Address,
    reply: String,
    permanent: bool,
}

impl Mail {
    /// Sends a message to all recipients within the configured time.
    pub(super) async fn transmit(&self, letter: &Letter, message: Message) -> Result<Delivered, Refused> {
        let mut stage = Stage::Resolve;
        let done = tokio::time::timeout(self.timeout, self.session(letter, &message, &mut stage)).await;
        match done {
            Ok(result) => result,
            Err(_) => Err(self.too_slow(stage).into()),
        }
    }

    async fn session(&self, letter: &Letter, message: &Message, stage: &mut Stage) -> Result<Delivered, Refused> {
        let mut connection = self.connect(letter, stage).await?;
        *stage = Stage::Login;
        if let Some(credentials) = self.credentials() {
            // PLAIN first: LOGIN is only for servers that know nothing else.
            let tried = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
            if let Err(why) = tried {
                let error = self.explain(*stage, &why);
                connection.abort().await;
                return Err(error.into());
            }
        }
        let result = self.hand_over(&mut connection, message, stage).await;
        // The message is either accepted or not by now: how the connection ends changes nothing.
        connection.abort().await;
        result
    }

    async fn connect(&self, letter: &Letter, stage: &mut Stage) -> Result<AsyncSmtpConnection, SendError> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let addresses: Vec<_> = found.map_err(|why| self.unresolved(&why))?.collect();
        if addresses.is_empty() {
            return Err(self.unresolved(&std::io::Error::other("it has no address")));
        }
        *stage = Stage::Greeting;
        let name = greeting(&letter.host);
        let at_once = self.tls.clone().filter(|_| self.security == MailSecurity::Tls);
        // Half of the time: whoever answers a connection at all is then told apart from whoever does not.
        let opened = AsyncSmtpConnection::connect_tokio1(&addresses[..], Some(self.timeout / 2), &name, at_once, None);
        let mut connection = opened.await.map_err(|why| self.explain(*stage, &why))?;
        if self.security == MailSecurity::Starttls {
            *stage = Stage::Encrypt;
            // Nothing that matters has been said so far, and without protection nothing will be.
            let Some(tls) = self.tls.clone().filter(|_| connection.can_starttls()) else {
                connection.abort().await;
                return Err(self.no_starttls());
            };
            // A connection whose handshake failed has no stream any more: lettre panics if it is closed in good order.
            connection.starttls(tls, &name).await.map_err(|why| self.explain(*stage, &why))?;
        }
        Ok(connection)
    }

    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        message: &Message,
        stage: &mut Stage,
    ) -> Result<Delivered, Refused> {
        let refused =
            |stage: Stage, why: &Error| Refused { error: self.explain(stage, why), code: why.status().map(u16::from) };
        *stage = Stage::Sender;
        let options = self.options(connection)?;
        let sender = MailFrom::new(Some(self.from.email.clone()), options);
        connection.command(sender).await.map_err(|why| refused(*stage, &why))?;
        *stage = Stage::Recipients;
        let (accepted, rejected) = self.offer(connection).await?;
        if accepted.is_empty() {
            return Err(self.nobody_left(&rejected).into());
        }
        *stage = Stage::Message;
        connection.command(Data).await.map_err(|why| refused(*stage, &why))?;
        connection.message(&message.formatted()).await.map_err(|why| refused(*stage, &why))?;
        Ok(Delivered { to: accepted.join(", "), warning: warning(&rejected) })
    }

    fn options(&self, connection: &AsyncSmtpConnection) -> Result<Vec<MailParameter>, SendError> {
        let plain = |to: &Mailbox| AsRef::<str>::as_ref(&to.email).is_ascii();
        if plain(&self.from) && self.to.iter().all(plain) {
            return Ok(Vec::new());
        }
        if connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Ok(vec![MailParameter::SmtpUtfEight]);
        }
        let why = "the mail server takes no addresses with other letters than ASCII (SMTPUTF8)";
        Err(SendError::passing(format!("{why}; change notify.mail.from or notify.mail.to")))
    }

    /// Names the recipients to the server and returns who is accepted and who is not.
    async fn offer(&self, connection: &mut AsyncSmtpConnection) -> Result<(Vec<String>, Vec<Rejection>), SendError> {
        let (mut accepted, mut rejected) = (Vec::new(), Vec::new());
        for to in &self.to {
            match connection.command(Rcpt::new(to.email.clone(), Vec::new())).await {
                Ok(_) => accepted.push(to.email.to_string()),
                Err(why) if why.status().is_some() => rejected.push(Rejection {
                    to: to.email.clone(),
                    reply: line(&why.to_string(), 200),
                    permanent: why.is_permanent(),
                }),
                Err(why) => return Err(self.explain(Stage::Recipients, &why)),
            }
        }
        Ok((accepted, rejected))
    }

    fn nobody_left(&self, rejected: &[Rejection]) -> SendError {
        let login = if self.login.is_none() { ", and notify.mail.user if the server wants a login" } else { "" };
        let named = named(rejected);
        let message = format!("the mail server refuses every recipient: {named}; check notify.mail.to{login}");
        SendError { permanent: rejected.iter().all(|r| r.permanent), retry_after: None, message }
    }
}

fn named(rejected: &[Rejection]) -> String {
    let mut named: Vec<String> =
        rejected.iter().take(REFUSED_NAMED_MAX).map(|r| format!("{} ({})", r.to, r.reply)).collect();
    if rejected.len() > REFUSED_NAMED_MAX {
        named.push(format!("{} more", rejected.len() - REFUSED_NAMED_MAX));
    }
    named.join(", ")
}

fn warning(rejected: &[Rejection]) -> Option<String> {
    (!rejected.is_empty()).then(|| format!("the mail server refuses {}; check notify.mail.to", named(rejected)))
}
