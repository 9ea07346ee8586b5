//! One channel's way through its queue: the oldest message first, one attempt at a time, and what came of it is noted in the
//! state file before the next one is looked at.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::backoff::{wait, worth_a_line};
use super::letters::{Origin, gather};
use super::text::line;
use super::{Channel, Channels, Delivered, SendError};
use crate::clock::Clock;
use crate::model::message::Message;
use crate::store::{Shared, StoreError};

/// How long an attempt in work may go on after the daemon was told to stop.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(5);
/// Longest reason that is kept of a failure.
const REASON_CHARS_MAX: usize = 500;

/// What all channels share.
#[derive(Clone)]
pub(super) struct Desk {
    pub store: Shared,
    pub clock: Clock,
    pub origin: Arc<Origin>,
    pub channels: watch::Receiver<Arc<Channels>>,
}

impl Desk {
    /// Returns how often queues are looked at without a reason.
    pub(super) fn poll(&self) -> Duration {
        self.clock.lasts(Duration::from_secs(5)).clamp(Duration::from_millis(20), Duration::from_secs(1))
    }
}

/// What came of an attempt.
enum Settlement {
    Delivered,
    GivenUp(String),
    Failed(String, i64),
}

/// One channel's queue.
pub(super) struct Lane {
    desk: Desk,
    name: String,
    /// Failures since the last success.
    failures: u64,
    store_failures: u64,
    /// An outcome that the state file could not take yet: nothing else is sent before it has.
    unsettled: Option<(Message, Settlement)>,
}

impl Lane {
    pub(super) fn new(desk: Desk, name: String) -> Self {
        Self { desk, name, failures: 0, store_failures: 0, unsettled: None }
    }

    /// Delivers until it is told to stop, or until its channel is no longer configured.
    pub(super) async fn run(mut self, mut poke: watch::Receiver<u64>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            poke.mark_unchanged();
            let Some(channel) = self.desk.channels.borrow().named(&self.name) else { break };
            match self.head() {
                Ok(Some(message)) => {
                    self.store_failures = 0;
                    let Some(settlement) = self.attempt(channel, &message, &stop).await else { return };
                    self.unsettled = Some((message, settlement));
                    continue;
                }
                Ok(None) => self.store_failures = 0,
                Err(why) => self.store_failed(&why),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                _ = poke.changed() => {}
                () = tokio::time::sleep(self.desk.poll()) => {}
            }
        }
        // An outcome that is not noted is an attempt that is made again.
        if let Err(why) = self.settle() {
            self.store_failed(&why);
        }
    }

    /// Notes the last outcome and returns the message that is to be sent now.
    fn head(&mut self) -> Result<Option<Message>, StoreError> {
        self.settle()?;
        self.desk.store.with(|store| store.outbox_due(&self.name))
    }

    fn settle(&mut self) -> Result<(), StoreError> {
        let Some((message, settlement)) = &self.unsettled else { return Ok(()) };
        self.desk.store.with(|store| match settlement {
            Settlement::Delivered => store.outbox_delivered(message.id, &self.name),
            Settlement::GivenUp(why) => store.outbox_given_up(message.id, &self.name, why),
            Settlement::Failed(why, next_ms) => store.outbox_failed(message.id, &self.name, why, *next_ms),
        })?;
        self.unsettled = None;
        Ok(())
    }

    /// Makes one attempt in a task of its own, so that nothing in it can end the queue; `None` if it was cut short.
    async fn attempt(
        &mut self,
        channel: Arc<dyn Channel>,
        message: &Message,
        stop: &CancellationToken,
    ) -> Option<Settlement> {
        let (desk, letter_of) = (self.desk.clone(), message.clone());
        let mut sending = tokio::spawn(async move {
            let zone = desk.channels.borrow().zone();
            let gathered = desk.store.with(|store| gather(store, letter_of, zone, desk.clock, &desk.origin));
            let letter = gathered.map_err(|why| SendError::passing(format!("the state file cannot be read: {why}")))?;
            channel.send(&letter).await
        });
        let cut_short = async {
            stop.cancelled().await;
            tokio::time::sleep(STOP_GRACE).await;
        };
        let result = tokio::select! {
            result = &mut sending => result,
            () = cut_short => {
                sending.abort();
                tracing::warn!(channel = self.name, key = message.key, "delivery was cut short; the message stays queued");
                return None;
            }
        };
        let result = result.unwrap_or_else(|panic| {
            Err(SendError::passing(format!(
                "soakd itself failed while it made the message ({panic}); please report it"
            )))
        });
        Some(self.judge(message, result))
    }

    fn judge(&mut self, message: &Message, result: Result<Delivered, SendError>) -> Settlement {
        let (channel, key) = (self.name.as_str(), message.key.as_str());
        let error = match result {
            Ok(delivered) => {
                if self.failures > 0 {
                    tracing::info!(channel, failures = self.failures, "delivers again");
                }
                self.failures = 0;
                if let Some(warning) = delivered.warning {
                    tracing::warn!(channel, key, "delivered to {}; {warning}", delivered.to);
                }
                return Settlement::Delivered;
            }
            Err(error) => error,
        };
        let why = line(&error.message, REASON_CHARS_MAX);
        if error.permanent {
            tracing::error!(channel, key, "message given up: {why}");
            return Settlement::GivenUp(why);
        }
        self.failures += 1;
        let before = message.channels.get(channel).map_or(0, |delivery| delivery.attempts);
        let pause = wait(before, key, error.retry_after);
        if worth_a_line(self.failures) {
            let again_s = pause.as_secs();
            tracing::warn!(channel, key, failures = self.failures, again_s, "not delivered: {why}");
        }
        let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        Settlement::Failed(why, self.desk.clock.now_ms().saturating_add(pause_ms))
    }

    fn store_failed(&mut self, why: &StoreError) {
        self.store_failures += 1;
        if worth_a_line(self.store_failures) {
            tracing::error!(channel = self.name, failures = self.store_failures, "the outbox cannot be used: {why}");
        }
    }
}
