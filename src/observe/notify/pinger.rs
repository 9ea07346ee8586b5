//! Calls the dead-man switch beside everything else: a call that hangs delays nobody, and none is made without an event.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::attempt::Desk;
use super::backoff::worth_a_line;
use super::ping::{Call, Pending, Ping};
use super::{Channels, SendError};
use crate::engine::event::RunEvent;

/// Longest time that a last call may take when the daemon stops.
const LAST_CALL: Duration = Duration::from_secs(3);

/// A call under way.
type Calling = JoinHandle<(Call, Result<(), SendError>)>;

struct Pinger {
    desk: Desk,
    pending: Pending,
    calling: Option<Calling>,
    /// No call is made before this.
    next: Instant,
    failures: u64,
}

/// Calls on progress until it is told to stop.
pub(super) async fn run(desk: Desk, mut events: broadcast::Receiver<RunEvent>, stop: CancellationToken) {
    let mut pinger = Pinger { desk, pending: Pending::default(), calling: None, next: Instant::now(), failures: 0 };
    loop {
        let waits = pinger.calling.is_none() && pinger.pending.waiting().is_some();
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(event) => pinger.pending.note(&event),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
            () = stop.cancelled() => break,
            ended = finished(&mut pinger.calling) => pinger.ended(ended),
            () = sleep_until(pinger.next), if waits => pinger.call(),
        }
    }
    pinger.say_last().await;
}

/// Waits for the call under way.
async fn finished(calling: &mut Option<Calling>) -> Option<(Call, Result<(), SendError>)> {
    match calling {
        Some(task) => task.await.ok(),
        None => pending().await,
    }
}

impl Pinger {
    fn switch(&self) -> Option<Arc<Ping>> {
        let channels: Arc<Channels> = Arc::clone(&self.desk.channels.borrow());
        channels.ping()
    }

    fn call(&mut self) {
        let (Some(call), Some(ping)) = (self.pending.waiting(), self.switch()) else {
            self.pending = Pending::default();
            return;
        };
        self.next = Instant::now() + self.desk.clock.lasts(ping.every);
        self.calling = Some(tokio::spawn(async move { (call, ping.call(call).await) }));
    }

    fn ended(&mut self, ended: Option<(Call, Result<(), SendError>)>) {
        self.calling = None;
        let Some((call, result)) = ended else { return };
        self.pending.made(call, result.is_ok());
        match result {
            Ok(()) => self.failures = 0,
            Err(why) => {
                self.failures += 1;
                if worth_a_line(self.failures) {
                    tracing::warn!(
                        channel = "ping",
                        failures = self.failures,
                        "the dead-man switch was not told: {why}"
                    );
                }
            }
        }
    }

    /// A failure that nobody was told of yet is told before the end, without regard to the time between calls.
    async fn say_last(mut self) {
        let rest = async {
            while self.calling.is_some() || self.pending.waiting().is_some_and(|call| call != Call::Start) {
                if self.calling.is_some() {
                    let ended = finished(&mut self.calling).await;
                    self.ended(ended);
                }
                if self.pending.waiting().is_some_and(|call| call != Call::Start) {
                    self.call();
                }
            }
        };
        let _ = tokio::time::timeout(LAST_CALL, rest).await;
    }
}
