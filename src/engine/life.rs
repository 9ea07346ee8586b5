//! One life of the daemon within a run: takes it up where an earlier one left it, and runs cycle after cycle until the end.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::crew::CrewError;
use super::criteria::Judge;
use super::cycle::{CycleEnd, Stage};
use super::event::RunEvent;
use super::quiet::planned_end;
use super::run::{RunEnd, STOPPED};
use super::setup::Role;
use super::worker::protocol::{Command, Reply};
use crate::config::RunConfig;
use crate::model::record::{EpochRecord, Phase, RunRecord};
use crate::model::verdict::Verdict;

/// How long a stop waits until the last steps are written down.
const BARRIER_MAX: Duration = Duration::from_secs(1);
/// How often a wait tells that it still works.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// One life of the daemon within a run.
pub(super) struct Life<'a> {
    pub(super) stage: &'a Stage,
    pub(super) started: Instant,
    /// Time that earlier lives of the daemon observed.
    pub(super) observed_before: u64,
}

impl Life<'_> {
    /// Takes the run up where it stands, and runs cycles until it ends or is stopped.
    pub(super) async fn live(&self, record: &mut RunRecord, resumed: bool) -> anyhow::Result<RunEnd> {
        let stage = self.stage;
        record.versions.server.clone_from(&stage.service.version);
        record.versions.sqlite = stage.crew.sqlite.get().cloned().unwrap_or_default();
        record.versions.provider = stage.crew.provider.get().cloned().unwrap_or_default();
        if stage.setup.is_direct() {
            record.versions.server.clone_from(&record.versions.provider);
            record.versions.provider = format!("soakd {}", env!("CARGO_PKG_VERSION"));
        }
        let recovered = self.recover(record).await?;
        let mut judge = Judge::open(&stage.setup, &stage.ledger, record)?;
        let mut epoch = self.begin_epoch(record, recovered)?;
        let _ = stage.epoch.set(epoch.clone());
        let resumed_at = resumed.then_some((record.cycle, record.phase));
        stage.ledger.tell(RunEvent::Started {
            record: Box::new(record.clone()),
            resumed_at,
            steps_recovered: recovered,
        });
        let criteria = &record.criteria;
        tracing::info!(run = record.run, seed = record.seed, criteria, resumed, cycle = record.cycle, recovered, "run");
        if record.cycle > 1 {
            stage.close_cycle(record.cycle - 1).await?;
        }
        let because = self.cycles(record, &mut epoch, &mut judge).await?;
        if because.is_none() {
            // Steps that cannot be written down in time are found in the local databases by the next start.
            let _ = tokio::time::timeout(BARRIER_MAX, stage.crew.barrier()).await;
        }
        self.note_time(record, &mut epoch, true)?;
        let finished = because.is_some();
        let because = because.unwrap_or_else(|| STOPPED.to_owned());
        let verdict = self.verdict(record, finished.then_some(&judge))?;
        if finished {
            stage.conclude(record)?;
            record.ended_ms = Some(self.stage.setup.clock.now_ms());
            record.phase = Phase::Done;
            record.verdict = Some(verdict);
            record.ended_because = Some(because.clone());
            // A run that has ended shows the last cycle that it did.
            record.cycle = record.cycle.saturating_sub(1);
            stage.ledger.with(|store| store.end_run(record))?;
        }
        stage.ledger.tell(RunEvent::Ended { verdict, because: because.clone() });
        let (snapshot, runs) = stage.ledger.with(|store| Ok((store.snapshot(&record.run)?, store.runs()?)))?;
        Ok(RunEnd { verdict, because, finished, snapshot, runs })
    }

    /// Counts steps that local databases know as done and the state file does not.
    async fn recover(&self, record: &RunRecord) -> anyhow::Result<u64> {
        let mut recovered = 0;
        for db in self.stage.crew.databases(|role| role == Role::Load) {
            match self.stage.crew.ask(db, Command::Progress { cycle: record.cycle }).await {
                // The steps that are not counted for it fail the cycle.
                Err(CrewError::Down(_)) => {}
                Err(error) => return Err(error.into()),
                Ok(Reply::Progress(reports)) => {
                    for batch in reports.chunks(256) {
                        recovered += self.stage.ledger.record_steps(batch)?;
                    }
                }
                Ok(other) => bail!("database {db} answered {other:?} to a request for its progress"),
            }
        }
        Ok(recovered)
    }

    fn begin_epoch(&self, record: &RunRecord, steps_recovered: u64) -> anyhow::Result<EpochRecord> {
        let now = self.stage.setup.clock.now_ms();
        let epochs = self.stage.ledger.with(|store| store.epochs(&record.run))?;
        let epoch = EpochRecord {
            epoch: epochs.last().map_or(1, |e| e.epoch + 1),
            pid: std::process::id(),
            started_ms: now,
            last_ms: now,
            cycle: record.cycle,
            phase: record.phase,
            clean_end: false,
            steps_recovered,
        };
        self.stage.ledger.with(|store| {
            store.update_run(record)?;
            store.begin_epoch(&record.run, &epoch)
        })?;
        Ok(epoch)
    }

    /// Runs cycles until the end; `None` when it was stopped.
    async fn cycles(
        &self,
        record: &mut RunRecord,
        epoch: &mut EpochRecord,
        judge: &mut Judge,
    ) -> anyhow::Result<Option<String>> {
        let mut first = true;
        loop {
            let planned = self.run();
            (record.scale.cycles_planned, record.scale.duration_planned_ms) =
                (planned.cycles, planned.duration.map(|time| time.get().as_millis() as u64));
            if let Some(because) = self.end_reached(record, first)? {
                return Ok(Some(because));
            }
            if self.stage.control.stop.is_cancelled() || (!first && self.stage.control.last_cycle.is_cancelled()) {
                return Ok(None);
            }
            // A cycle that an earlier life began is finished.
            if !first || record.phase == Phase::Pause || epoch.epoch == 1 {
                self.wait_for_loud_hours().await;
                if self.stage.control.is_ending() {
                    return Ok(None);
                }
            }
            if !first {
                self.stage.ledger.begin_cycle(record.cycle, false)?;
            }
            first = false;
            let CycleEnd::Done(cycle) = self.stage.cycle(record).await? else { return Ok(None) };
            self.note_time(record, epoch, false)?;
            let (setup, ledger) = (&self.stage.setup, &*self.stage.ledger);
            tokio::task::block_in_place(|| judge.after((setup, ledger), record, &cycle))?;
            self.write_reports(record)?;
            if cycle.verdict == Verdict::Fail && self.run().stop_on_fail {
                return Ok(Some(format!("cycle {} failed (run.stop_on_fail)", cycle.cycle)));
            }
            if cycle.verdict == Verdict::Fail && self.stage.setup.config.workload.fail_fast() {
                let report = self.stage.crash_report().map(|path| format!("; crash report: {}", path.display()));
                return Ok(Some(format!("cycle {} failed (fail_fast){}", cycle.cycle, report.unwrap_or_default())));
            }
            self.rest(record).await?;
        }
    }

    /// Returns what the configuration says now of the run's end and of its rests.
    pub(super) fn run(&self) -> RunConfig {
        self.stage.course.borrow().clone()
    }

    /// Waits between two cycles, until the time is over, somebody is in a hurry, or the run is to end.
    async fn rest(&self, record: &RunRecord) -> anyhow::Result<()> {
        let (clock, control) = (self.stage.setup.clock, &self.stage.control);
        let mut course = self.stage.course.clone();
        let since_ms = clock.now_ms();
        if !course.borrow().pause.get().is_zero() && self.end_reached(record, false)?.is_none() {
            let (cycle, phase) = (record.cycle - 1, Phase::Pause);
            self.stage.ledger.tell(RunEvent::Phase { cycle, phase, steps: None });
        }
        let hurried = control.hurried();
        let mut hurried = std::pin::pin!(hurried);
        loop {
            let pause = course.borrow_and_update().pause.get();
            if pause.is_zero() || self.end_reached(record, false)?.is_some() {
                return Ok(());
            }
            // Waiting is what is due now, and is told as progress while it works.
            self.stage.setup.beat.on();
            tokio::select! {
                () = clock.sleep_until(since_ms.saturating_add(pause.as_millis() as i64)) => return Ok(()),
                () = tokio::time::sleep(BEAT_EVERY) => {}
                Ok(()) = course.changed() => {}
                () = &mut hurried => return Ok(()),
                () = control.ending() => return Ok(()),
            }
        }
    }

    /// Returns why the run is over, if it is; a cycle that was begun is finished first.
    fn end_reached(&self, record: &RunRecord, first: bool) -> anyhow::Result<Option<String>> {
        let run = self.run();
        let done = record.cycle - 1;
        if run.cycles.is_some_and(|cycles| done >= cycles) {
            return Ok(Some(format!("{done} cycles done")));
        }
        let in_cycle = first && record.phase != Phase::Pause;
        let now = self.stage.setup.clock.now();
        if let Some(end) = planned_end(&run).filter(|end| now >= *end && !in_cycle) {
            return Ok(Some(format!("the planned end, {}, is reached (run.until)", end.format("%Y-%m-%d %H:%M UTC"))));
        }
        let over = run.duration.is_some_and(|d| self.observed_ms() >= d.get().as_millis() as u64);
        Ok((over && !in_cycle).then(|| "the planned duration is over".to_owned()))
    }

    fn observed_ms(&self) -> u64 {
        self.observed_before + self.started.elapsed().as_millis() as u64 * u64::from(self.stage.setup.clock.scale())
    }

    fn note_time(&self, record: &mut RunRecord, epoch: &mut EpochRecord, clean_end: bool) -> anyhow::Result<()> {
        record.observed_ms = self.observed_ms();
        epoch.last_ms = self.stage.setup.clock.now_ms();
        epoch.clean_end = clean_end;
        Ok(self.stage.ledger.with(|store| {
            store.update_run(record)?;
            store.touch_epoch(&record.run, epoch)
        })?)
    }

    fn write_reports(&self, record: &RunRecord) -> anyhow::Result<()> {
        let state_dir = &self.stage.setup.config.run.state_dir;
        let (snapshot, runs) = self.stage.ledger.with(|store| Ok((store.snapshot(&record.run)?, store.runs()?)))?;
        if let Some(snapshot) = snapshot {
            self.stage.ledger.tell(RunEvent::Checkpoint {
                state_dir: state_dir.clone(),
                snapshot: Box::new(snapshot),
                runs,
            });
        }
        Ok(())
    }

    /// Returns the worst verdict of all cycles and, at the end of the run, of its criteria; a run without a cycle has proven
    /// nothing.
    fn verdict(&self, record: &RunRecord, ended: Option<&Judge>) -> anyhow::Result<Verdict> {
        let snapshot = self.stage.ledger.with(|store| store.snapshot(&record.run))?;
        let (cycles, judged) = snapshot.map(|s| (s.cycles_by_verdict, s.judgement)).unwrap_or_default();
        let worst = Verdict::worst(cycles.into_iter().filter(|(_, n)| *n > 0).map(|(verdict, _)| verdict));
        let judged = match ended {
            Some(judge) => {
                tokio::task::block_in_place(|| judge.at_end((&self.stage.setup, &self.stage.ledger), record))?
            }
            None => judged.and_then(|judgement| judgement.verdict()),
        };
        let worst = Verdict::worst(judged.into_iter().chain([worst]));
        Ok(if ended.is_some() || worst == Verdict::Fail { worst } else { Verdict::Aborted })
    }
}
