//! The outbox: what is to be told stays here until every channel has delivered it. Each channel gets its messages one by one
//! in the order in which they were queued; one that waits for its next attempt holds back those behind it.

use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::desk::{Desk, POSTAGE};
use super::tables::{self, DAEMON, OUTBOX};
use super::{Store, StoreError};
use crate::model::finding::cut;
use crate::model::message::{MESSAGES_MAX, Message, OutboxState, Postage, Subject};

impl Store {
    /// Queues a message for all channels; `None` if there is no channel.
    pub fn enqueue(&mut self, subject: Subject, run: Option<&str>) -> Result<Option<Message>, StoreError> {
        self.write_told(|txn, desk| desk.queue(txn, subject, run, 0))
    }

    /// Queues a digest if one is due and there is something to say.
    pub fn enqueue_digest(&mut self) -> Result<Option<Message>, StoreError> {
        let (every_ms, now_ms) = (self.policy.digest_ms, self.clock.now_ms());
        if every_ms <= 0 || self.policy.channels.is_empty() {
            return Ok(None);
        }
        let last = self.read(|txn| tables::get::<Postage>(&txn.open_table(DAEMON)?, DAEMON, POSTAGE))?;
        // A time ahead of now is from before the clock was set back.
        let last = last.and_then(|postage| postage.digest_ms).filter(|last_ms| *last_ms <= now_ms);
        if last.is_some_and(|last_ms| now_ms - last_ms < every_ms) {
            return Ok(None);
        }
        self.write_told(|txn, desk| {
            desk.postage.digest_ms = Some(desk.now_ms);
            match last {
                Some(from_ms) if desk.news_since(txn, from_ms)? => {
                    let until_ms = desk.now_ms;
                    desk.queue(txn, Subject::Digest { from_ms, until_ms }, None, 0)
                }
                _ => Ok(None),
            }
        })
    }

    /// Returns the oldest message that a channel has to deliver, if that is due by now.
    pub fn outbox_due(&self, channel: &str) -> Result<Option<Message>, StoreError> {
        let now_ms = self.clock.now_ms();
        self.read(|txn| {
            let Some(table) = tables::if_there(txn, OUTBOX)? else { return Ok(None) };
            for row in table.iter()? {
                let message: Message = tables::parse(OUTBOX, row?.1.value())?;
                if let Some(delivery) = message.channels.get(channel) {
                    let due = message.due_ms <= now_ms && delivery.next_ms <= now_ms;
                    return Ok(due.then_some(message));
                }
            }
            Ok(None)
        })
    }

    /// Notes that a channel has delivered a message; the last channel takes it out.
    pub fn outbox_delivered(&mut self, id: u64, channel: &str) -> Result<(), StoreError> {
        self.write_told(|txn, desk| {
            if finish(txn, id, channel)? {
                *desk.postage.delivered.entry(channel.to_owned()).or_default() += 1;
            }
            Ok(())
        })
    }

    /// Notes a failed attempt, and when the next one is due.
    pub fn outbox_failed(&mut self, id: u64, channel: &str, why: &str, next_ms: i64) -> Result<(), StoreError> {
        self.write_told(|txn, desk| {
            let mut table = txn.open_table(OUTBOX)?;
            let Some(mut message) = tables::get::<Message>(&table, OUTBOX, &id.to_be_bytes())? else { return Ok(()) };
            let Some(delivery) = message.channels.get_mut(channel) else { return Ok(()) };
            delivery.attempts = delivery.attempts.saturating_add(1);
            delivery.next_ms = next_ms;
            delivery.last_error = Some(cut(why));
            desk.postage.last_error = Some(format!("{channel}: {}", cut(why)));
            tables::put(&mut table, OUTBOX, &id.to_be_bytes(), &message)
        })
    }

    /// Notes that a channel will never deliver a message, and why.
    pub fn outbox_given_up(&mut self, id: u64, channel: &str, why: &str) -> Result<(), StoreError> {
        self.write_told(|txn, desk| {
            if finish(txn, id, channel)? {
                *desk.postage.given_up.entry(channel.to_owned()).or_default() += 1;
                desk.postage.last_error = Some(format!("{channel}: {}", cut(why)));
            }
            Ok(())
        })
    }

    /// Returns the outbox in figures.
    pub fn outbox_state(&self) -> Result<OutboxState, StoreError> {
        self.read(|txn| {
            let Some(daemon) = tables::if_there(txn, DAEMON)? else { return Ok(OutboxState::default()) };
            let postage: Postage = tables::get(&daemon, DAEMON, POSTAGE)?.unwrap_or_default();
            let mut state = OutboxState {
                delivered: postage.delivered,
                given_up: postage.given_up,
                last_error: postage.last_error,
                ..OutboxState::default()
            };
            for row in txn.open_table(OUTBOX)?.iter()? {
                let message: Message = tables::parse(OUTBOX, row?.1.value())?;
                state.oldest_ms = Some(state.oldest_ms.map_or(message.made_ms, |ms| ms.min(message.made_ms)));
                for channel in message.channels.into_keys() {
                    *state.waiting.entry(channel).or_default() += 1;
                }
            }
            Ok(state)
        })
    }
}

/// Writes a new message; where there are too many, the least important old one is given up for it.
pub(super) fn put(txn: &WriteTransaction, postage: &mut Postage, message: &Message) -> Result<(), StoreError> {
    let mut table = txn.open_table(OUTBOX)?;
    if table.len()? >= MESSAGES_MAX as u64 {
        let mut least: Option<Message> = None;
        for row in table.iter()? {
            let old: Message = tables::parse(OUTBOX, row?.1.value())?;
            if least.as_ref().is_none_or(|least| old.subject.weight() < least.subject.weight()) {
                least = Some(old);
            }
        }
        if let Some(least) = least {
            table.remove(least.id.to_be_bytes().as_slice())?;
            for channel in least.channels.into_keys() {
                *postage.given_up.entry(channel).or_default() += 1;
            }
            postage.last_error = Some(format!("more than {MESSAGES_MAX} messages wait; the oldest were given up"));
        }
    }
    tables::put(&mut table, OUTBOX, &message.id.to_be_bytes(), message)
}

/// Takes a message back that is not due yet; false if somebody may have got it.
pub(super) fn withdraw(txn: &WriteTransaction, id: u64, now_ms: i64) -> Result<bool, StoreError> {
    let mut table = txn.open_table(OUTBOX)?;
    let Some(message) = tables::get::<Message>(&table, OUTBOX, &id.to_be_bytes())? else { return Ok(false) };
    let untouched = message.due_ms > now_ms && message.channels.values().all(|delivery| delivery.attempts == 0);
    if untouched {
        table.remove(id.to_be_bytes().as_slice())?;
    }
    Ok(untouched)
}

/// Takes a channel out of a message, and the message out with its last one; false if the channel was out before.
fn finish(txn: &WriteTransaction, id: u64, channel: &str) -> Result<bool, StoreError> {
    let mut table = txn.open_table(OUTBOX)?;
    let Some(mut message) = tables::get::<Message>(&table, OUTBOX, &id.to_be_bytes())? else { return Ok(false) };
    if message.channels.remove(channel).is_none() {
        return Ok(false);
    }
    if message.channels.is_empty() {
        table.remove(id.to_be_bytes().as_slice())?;
    } else {
        tables::put(&mut table, OUTBOX, &id.to_be_bytes(), &message)?;
    }
    Ok(true)
}

/// Drops what waits for channels that are no longer in the settings, and counts it as given up.
pub(super) fn forget_channels(txn: &WriteTransaction, desk: &mut Desk<'_>) -> Result<(), StoreError> {
    let mut gone: Vec<(u64, String)> = Vec::new();
    for row in txn.open_table(OUTBOX)?.iter()? {
        let message: Message = tables::parse(OUTBOX, row?.1.value())?;
        let unknown = message.channels.keys().filter(|channel| !desk.policy.channels.contains(channel));
        gone.extend(unknown.map(|channel| (message.id, channel.clone())));
    }
    for (id, channel) in gone {
        finish(txn, id, &channel)?;
        desk.postage.last_error = Some(format!("{channel} is no longer configured; what waited for it was dropped"));
        *desk.postage.given_up.entry(channel).or_default() += 1;
    }
    Ok(())
}
