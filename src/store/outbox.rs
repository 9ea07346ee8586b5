//! The outbox: what is to be told stays here until every channel has delivered it.

use super::{Store, StoreError};
use crate::model::message::{Message, OutboxState, Subject};

impl Store {
    /// Queues a message for all channels.
    pub fn enqueue(&mut self, _subject: Subject, _run: Option<&str>) -> Result<Option<Message>, StoreError> {
        Ok(None)
    }

    /// Queues a digest if one is due and there is something to say.
    pub fn enqueue_digest(&mut self) -> Result<Option<Message>, StoreError> {
        Ok(None)
    }

    /// Returns the oldest message that a channel has to deliver, if that is due by now.
    pub fn outbox_due(&self, _channel: &str) -> Result<Option<Message>, StoreError> {
        Ok(None)
    }

    /// Notes that a channel has delivered a message; the last channel takes it out.
    pub fn outbox_delivered(&mut self, _id: u64, _channel: &str) -> Result<(), StoreError> {
        Ok(())
    }

    /// Notes a failed attempt, and when the next one is due.
    pub fn outbox_failed(&mut self, _id: u64, _channel: &str, _why: &str, _next_ms: i64) -> Result<(), StoreError> {
        Ok(())
    }

    /// Notes that a channel will never deliver a message, and why.
    pub fn outbox_given_up(&mut self, _id: u64, _channel: &str, _why: &str) -> Result<(), StoreError> {
        Ok(())
    }

    /// Returns the outbox in figures.
    pub fn outbox_state(&self) -> Result<OutboxState, StoreError> {
        Ok(OutboxState::default())
    }
}
