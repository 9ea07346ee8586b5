//! The notifier: a queue per channel, digests and summaries when their time has come, and the dead-man switch. It runs beside
//! the engine and is never waited for by a cycle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::attempt::{Desk, Lane, STOP_GRACE};
use super::backoff::worth_a_line;
use super::letters::Origin;
use super::{Channels, pinger};
use crate::clock::Clock;
use crate::engine::event::RunEvent;
use crate::model::message::Subject;
use crate::store::{Shared, StoreError};

/// How often messages for channels that are no longer configured are looked for, apart from every reload.
const ORPHANS_EVERY: Duration = Duration::from_secs(60);

/// Delivers what is in the outbox.
pub struct Notifier {
    desk: Desk,
    /// The next summary by `notify.summary_cron`.
    summary: Option<DateTime<Utc>>,
    orphans_at: Option<Instant>,
    chore_failures: u64,
}

impl Notifier {
    /// Returns a notifier; new channels that the receiver gets take the place of the old ones while it runs.
    pub fn new(channels: watch::Receiver<Arc<Channels>>, store: Shared, clock: Clock, origin: Origin) -> Self {
        let desk = Desk { store, clock, origin: Arc::new(origin), channels };
        Self { desk, summary: None, orphans_at: None, chore_failures: 0 }
    }

    /// Delivers until it is told to stop; an attempt in work may end within a few seconds, and the rest stays in the outbox.
    pub async fn run(mut self, events: broadcast::Receiver<RunEvent>, stop: CancellationToken) {
        // The switch gets the receiver that has seen everything since it was made; a second one begins only now, and what
        // that one misses is made up for by the first look.
        let mut wakes = events.resubscribe();
        let (poke, poked) = watch::channel(0_u64);
        let mut lanes: BTreeMap<String, JoinHandle<()>> = BTreeMap::new();
        let pings = tokio::spawn(pinger::run(self.desk.clone(), events, stop.clone()));
        let mut look = tokio::time::interval(self.desk.poll());
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut engine_lives, mut reloads) = (true, true);
        self.schedule_summary();
        while !stop.is_cancelled() {
            self.keep_lanes(&mut lanes, &poked, &stop);
            let wake = tokio::select! {
                () = stop.cancelled() => false,
                _ = look.tick() => self.chores(),
                event = wakes.recv(), if engine_lives => {
                    engine_lives = !matches!(event, Err(RecvError::Closed));
                    event.map_or(true, |event| may_queue(&event))
                }
                changed = self.desk.channels.changed(), if reloads => {
                    reloads = changed.is_ok();
                    self.schedule_summary();
                    self.orphans_at = None;
                    true
                }
            };
            if wake {
                poke.send_modify(|count| *count += 1);
            }
        }
        let all = async {
            for lane in lanes.into_values().chain([pings]) {
                let _ = lane.await;
            }
        };
        // A task that ends in spite of its own deadline would say so; one that does not is left to the runtime.
        let _ = tokio::time::timeout(STOP_GRACE + Duration::from_secs(1), all).await;
    }

    /// Sees to it that every configured channel has a running queue.
    fn keep_lanes(
        &self,
        lanes: &mut BTreeMap<String, JoinHandle<()>>,
        poked: &watch::Receiver<u64>,
        stop: &CancellationToken,
    ) {
        lanes.retain(|_, lane| !lane.is_finished());
        let channels = Arc::clone(&self.desk.channels.borrow());
        for channel in channels.all() {
            lanes.entry(channel.name().to_owned()).or_insert_with(|| {
                let lane = Lane::new(self.desk.clone(), channel.name().to_owned());
                tokio::spawn(lane.run(poked.clone(), stop.clone()))
            });
        }
    }

    /// Queues what is due by the clock; true if there is something new to deliver.
    fn chores(&mut self) -> bool {
        match self.try_chores() {
            Ok(queued) => {
                self.chore_failures = 0;
                queued
            }
            Err(why) => {
                self.chore_failures += 1;
                if worth_a_line(self.chore_failures) {
                    tracing::error!(failures = self.chore_failures, "digests cannot be queued: {why}");
                }
                false
            }
        }
    }

    fn try_chores(&mut self) -> Result<bool, StoreError> {
        let mut queued = self.desk.store.with(|store| store.enqueue_digest())?.is_some();
        if self.summary.is_some_and(|at| self.desk.clock.now() >= at) {
            let message = self.desk.store.with(|store| {
                let Some(run) = store.latest()?.map(|run| run.run) else { return Ok(None) };
                store.enqueue(Subject::Summary { run: run.clone(), ended: false }, Some(&run))
            })?;
            queued |= message.is_some();
            self.schedule_summary();
        }
        if self.orphans_at.is_none_or(|at| at.elapsed() >= ORPHANS_EVERY) {
            // What waits for its next attempt is looked at again when that is due.
            let all = self.give_up_orphans()?;
            self.orphans_at = all.then(Instant::now);
        }
        Ok(queued)
    }

    fn schedule_summary(&mut self) {
        let now = self.desk.clock.now();
        self.summary = self.desk.channels.borrow().summary.as_ref().and_then(|summary| summary.after(now));
    }

    /// Gives up what waits for channels that are no longer configured: it would stay in the outbox for ever. False if some of it
    /// is not due yet.
    fn give_up_orphans(&self) -> Result<bool, StoreError> {
        let channels = Arc::clone(&self.desk.channels.borrow());
        let orphaned = |name: &String, waiting: u64| waiting > 0 && channels.named(name).is_none();
        self.desk.store.with(|store| {
            for (name, waiting) in store.outbox_state()?.waiting {
                if !orphaned(&name, waiting) {
                    continue;
                }
                while let Some(message) = store.outbox_due(&name)? {
                    tracing::warn!(
                        channel = name,
                        key = message.key,
                        "message given up: the channel is not configured"
                    );
                    store.outbox_given_up(message.id, &name, "the channel is no longer configured")?;
                }
            }
            Ok(!store.outbox_state()?.waiting.iter().any(|(name, waiting)| orphaned(name, *waiting)))
        })
    }
}

/// Returns true for events that may have put something into the outbox.
fn may_queue(event: &RunEvent) -> bool {
    matches!(event, RunEvent::Incident(..) | RunEvent::Cycle(_) | RunEvent::Checkpoint { .. } | RunEvent::Ended { .. })
}
