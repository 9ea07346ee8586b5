//! Delivery: takes messages out of the outbox, one channel independent of the other, and gets them to people and machines.
//! What they say is made elsewhere ([`crate::observe::letter`]), and that they exist is the store's doing: nothing here
//! decides whether somebody is told.
//!
//! A new kind of channel is one file with a type that implements [`Channel`], its `mod` line here, and one line in
//! [`Channels::resolve`]. `send` makes one attempt within a time of its own and says of a failure whether the same message
//! could ever get through; queueing, order, waiting and giving up are the [`Notifier`]'s.

mod attempt;
mod backoff;
mod channels;
mod http;
mod letters;
mod mail;
mod notifier;
mod ping;
mod pinger;
mod summary;
mod text;
mod webhook;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use channels::{Channels, policy};
pub use letters::{Origin, gather, test_letter};
pub use notifier::Notifier;
pub use ping::Ping;

use crate::observe::letter::Letter;

/// Somebody or something that messages are delivered to.
#[async_trait::async_trait]
pub trait Channel: Send + Sync {
    /// Returns the name that the outbox knows it by: `mail`, `webhook.NAME`.
    fn name(&self) -> &str;

    /// Makes one attempt to deliver a message.
    async fn send(&self, letter: &Letter) -> Result<Delivered, SendError>;
}

/// What came of an attempt that succeeded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Who has it now, in words.
    pub to: String,
    /// What went wrong in spite of that: a recipient that was refused.
    pub warning: Option<String>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// True if this message will never be accepted.
    pub permanent: bool,
    /// How long the other side asks to be left alone.
    pub retry_after: Option<Duration>,
    /// One sentence: what failed, and what to change.
    pub message: String,
}

impl SendError {
    /// Returns an error that may be gone at the next attempt.
    pub fn passing(message: impl Into<String>) -> Self {
        Self { permanent: false, retry_after: None, message: message.into() }
    }

    /// Returns an error that no further attempt can help.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { permanent: true, retry_after: None, message: message.into() }
    }
}
