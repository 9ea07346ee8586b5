//! Wakes the daemon when a schedule wants to be looked at; it decides nothing, and a wake-up too many or too late does no
//! harm.
//!
//! tokio-cron-scheduler is the timer: each instant is a job of its own that runs once and only sends a name. The scheduler
//! has a small runtime to itself, because it leaves its tasks behind when it is shut down; they end with the runtime. What it
//! loses, a look at fixed intervals finds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use uuid::Uuid;

use crate::clock::Clock;

#[cfg(test)]
mod tests;

/// How long the scheduler may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How late, in real time, a timer is that is not coming any more: the scheduler looks twice a second.
const LOST_AFTER: Duration = Duration::from_secs(15);

/// Names on their way to the daemon; when it is full, the daemon has enough reasons to look.
const CHANNEL: usize = 64;

/// Why the timer cannot be used; the looks at fixed intervals go on.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    #[error("the timer for schedules cannot start: {0}")]
    Runtime(#[from] std::io::Error),
    #[error("the timer for schedules refuses an instant: {0}; schedules are looked at every {looks:?} instead", looks = LOOK_EVERY)]
    Scheduler(#[from] JobSchedulerError),
    #[error("the timer for schedules does not answer; schedules are looked at every {looks:?} instead", looks = LOOK_EVERY)]
    Silent,
}

/// Why the daemon is woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// The instant of this schedule has come.
    Due(String),
    /// It is time to look at all of them.
    Look,
}

/// How often all schedules are looked at in real time, when time is not faster.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Returns how often, in real time, all schedules are looked at.
fn look_every(clock: Clock) -> Duration {
    clock.lasts(LOOK_EVERY).max(Duration::from_millis(500))
}

/// Returns how late a look can be, by the clock, while the daemon is up: the grace of a timetable.
pub fn grace(clock: Clock) -> TimeDelta {
    /// Real time for a machine under load, and for the half second between two looks of the scheduler.
    const LOAD: Duration = Duration::from_secs(3);
    /// Time of the clock in which a restart is no down-time.
    const RESTART: TimeDelta = TimeDelta::seconds(60);
    let real = (look_every(clock) * 2 + LOAD).saturating_mul(clock.scale());
    RESTART + TimeDelta::from_std(real).unwrap_or(TimeDelta::days(365))
}

/// The scheduler with the runtime that its tasks live in.
struct Timer {
    /// Taken when it ends.
    runtime: Option<Runtime>,
    scheduler: JobScheduler,
}

impl Timer {
    async fn start() -> Result<Self, DriverError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .thread_name("soakd-schedule")
            .enable_time()
            .build()?;
        let started = runtime.spawn(async {
            let scheduler = JobScheduler::new().await?;
            scheduler.start().await?;
            Ok::<_, JobSchedulerError>(scheduler)
        });
        match timeout(ANSWERS_WITHIN, started).await {
            Ok(Ok(Ok(scheduler))) => Ok(Self { runtime: Some(runtime), scheduler }),
            failed => {
                // A runtime must not be waited for here.
                runtime.shutdown_background();
                Err(match failed {
                    Ok(Ok(Err(error))) => error.into(),
                    _ => DriverError::Silent,
                })
            }
        }
    }

    /// Lets the scheduler do something in its own runtime, with an end to waiting for it.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, JobSchedulerError>> + Send + 'static,
    ) -> Result<T, DriverError> {
        let runtime = self.runtime.as_ref().ok_or(DriverError::Silent)?;
        match timeout(ANSWERS_WITHIN, runtime.spawn(work)).await {
            Ok(Ok(answer)) => Ok(answer?),
            Ok(Err(_)) | Err(_) => Err(DriverError::Silent),
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A name on its way, with the instant it was meant for.
type Message = (Arc<str>, DateTime<Utc>);

/// The timers of all schedules.
pub struct Driver {
    clock: Clock,
    timer: Timer,
    armed: BTreeMap<String, (DateTime<Utc>, Uuid)>,
    tx: Sender<Message>,
    rx: Receiver<Message>,
    looks: Interval,
}

impl Driver {
    /// Starts the timer; the first wake-up is a look, at once.
    pub async fn start(clock: Clock) -> Result<Self, DriverError> {
        let (tx, rx) = mpsc::channel(CHANNEL);
        let mut looks = interval(look_every(clock));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { clock, timer: Timer::start().await?, armed: BTreeMap::new(), tx, rx, looks })
    }

    /// Sets the next instant of every schedule; those not named have none. What is set already is left alone.
    pub async fn arm(&mut self, next: &[(String, DateTime<Utc>)]) -> Result<(), DriverError> {
        while let Ok(message) = self.rx.try_recv() {
            self.disarm(&message);
        }
        if self.lost() {
            tracing::warn!("a timer of a schedule did not fire; the timers are set anew");
            self.restart().await?;
        }
        match self.arm_each(next).await {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "the timers of schedules are set anew");
                self.restart().await?;
                self.arm_each(next).await
            }
        }
    }

    /// Waits until a schedule wants to be looked at; nothing is lost when the waiting is given up.
    pub async fn fired(&mut self) -> Wake {
        tokio::select! {
            biased;
            // The channel does not end while its other end is here.
            Some(message) = self.rx.recv() => {
                self.disarm(&message);
                let (name, at) = message;
                // The clock was set back: whoever looks finds nothing due and arms the same instant again.
                if self.clock.now() < at { Wake::Look } else { Wake::Due(name.to_string()) }
            }
            _ = self.looks.tick() => Wake::Look,
        }
    }

    /// Ends the timer and waits until nothing of it is left.
    pub async fn close(self) -> Result<(), DriverError> {
        let Self { timer, tx, mut rx, .. } = self;
        drop((timer, tx));
        // Every job has a sender: the channel ends with the last of them.
        let ends = async { while rx.recv().await.is_some() {} };
        timeout(ANSWERS_WITHIN, ends).await.map_err(|_| DriverError::Silent)
    }

    /// Returns true if a timer is overdue.
    fn lost(&self) -> bool {
        let late = TimeDelta::from_std(LOST_AFTER.saturating_mul(self.clock.scale())).unwrap_or(TimeDelta::days(365));
        let now = self.clock.now();
        self.armed.values().any(|(at, _)| *at < now - late)
    }

    /// Begins with a new timer that has no jobs.
    async fn restart(&mut self) -> Result<(), DriverError> {
        self.armed.clear();
        self.timer = Timer::start().await?;
        Ok(())
    }

    /// Forgets a timer that has fired, unless it was set to another instant meanwhile.
    fn disarm(&mut self, (name, at): &Message) {
        if self.armed.get(&**name).is_some_and(|(armed, _)| armed == at) {
            self.armed.remove(&**name);
        }
    }

    async fn arm_each(&mut self, next: &[(String, DateTime<Utc>)]) -> Result<(), DriverError> {
        let stays = |(name, at): (&String, &DateTime<Utc>)| next.iter().any(|(next, when)| next == name && when == at);
        let old: Vec<_> =
            self.armed.iter().filter(|(name, (at, _))| !stays((name, at))).map(|(name, _)| name.clone()).collect();
        for name in old {
            if let Some((_, id)) = self.armed.remove(&name) {
                let scheduler = self.timer.scheduler.clone();
                self.timer.ask(async move { scheduler.remove(&id).await }).await?;
            }
        }
        for (name, at) in next {
            if !self.armed.contains_key(name) {
                let id = self.add(name, *at).await?;
                self.armed.insert(name.clone(), (*at, id));
            }
        }
        Ok(())
    }

    /// Registers one job.
    async fn add(&self, name: &str, at: DateTime<Utc>) -> Result<Uuid, DriverError> {
        let (tx, message) = (self.tx.clone(), (Arc::<str>::from(name), at));
        let job = Job::new_one_shot_async(self.whole_seconds_until(at), move |_, _| {
            // A full channel wakes the daemon as well.
            let _ = tx.try_send(message.clone());
            Box::pin(async {})
        })?;
        let scheduler = self.timer.scheduler.clone();
        self.timer.ask(async move { scheduler.add(job).await }).await
    }

    /// Returns the time until an instant as the scheduler counts it: between whole seconds of the system's clock, the one
    /// that has begun and the first at which the instant has come.
    fn whole_seconds_until(&self, at: DateTime<Utc>) -> Duration {
        let left = (at - self.clock.now()).to_std().unwrap_or_default();
        let begun = Utc::now().timestamp_subsec_millis();
        let span = self.clock.lasts(left) + Duration::from_millis(begun.into());
        Duration::from_secs(span.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX >> 8))
    }
}
