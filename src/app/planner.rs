//! The schedules in the daemon's hands: what they decide is stored before it happens, told, and timed.

use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::config::Schedules;
use crate::engine::event::RunEvent;
use crate::engine::schedule::{self, Driver, State, Timetable};
use crate::model::status::ScheduleStatus;
use crate::store::Shared;

/// Name of the value that keeps the schedules' histories.
const STATE: &str = "schedules";

/// All schedules with their timer.
pub(super) struct Planner {
    clock: Clock,
    pub(super) table: Timetable,
    /// Absent while there are no schedules.
    driver: Option<Driver>,
    told: Vec<ScheduleStatus>,
}

impl Planner {
    /// Goes on with what an earlier life stored.
    pub(super) async fn start(schedules: &Schedules, store: &Shared, clock: Clock) -> anyhow::Result<Self> {
        let state: State = store.with(|store| store.value(STATE))?.unwrap_or_default();
        let table =
            Timetable::new(schedules, state, clock.now(), schedule::grace(clock)).map_err(anyhow::Error::msg)?;
        let driver = if table.is_empty() { None } else { Some(Driver::start(clock).await?) };
        Ok(Self { clock, table, driver, told: Vec::new() })
    }

    /// Returns true if there are no schedules.
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Returns true if no schedule will ever begin a run again.
    pub(super) fn exhausted(&self) -> bool {
        self.table.exhausted()
    }

    /// Returns the schedule whose run begins now, if one does; that is stored before.
    pub(super) fn look(
        &mut self,
        store: &Shared,
        events: &broadcast::Sender<RunEvent>,
        busy: bool,
    ) -> anyhow::Result<Option<String>> {
        if self.is_empty() {
            return Ok(None);
        }
        let before = self.table.state().clone();
        let decision = self.table.due(self.clock.now(), busy);
        for note in &decision.notes {
            tracing::info!("{note}");
        }
        if *self.table.state() != before {
            store.with(|store| store.put_value(STATE, Some(self.table.state())))?;
        }
        let status = self.table.status();
        if status != self.told {
            // Nobody may be listening.
            let _ = events.send(RunEvent::Schedules(status.clone()));
            self.told = status;
        }
        Ok(decision.start)
    }

    /// Waits until the schedules want to be looked at.
    pub(super) async fn wake(&mut self) {
        let Some(driver) = &mut self.driver else { return std::future::pending().await };
        if let Err(error) = driver.arm(&self.table.next_looks()).await {
            tracing::warn!("{error}");
        }
        driver.fired().await;
    }

    /// Ends the timer.
    pub(super) async fn close(&mut self) {
        if let Some(driver) = self.driver.take()
            && let Err(error) = driver.close().await
        {
            tracing::warn!("{error}");
        }
    }
}
