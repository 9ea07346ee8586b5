//! The seconds of a block as steps.

use std::collections::BTreeMap;
use std::time::Instant;

use super::RunnerError;
use crate::engine::direct::course::{Block, Ground, Ledger};
use crate::engine::direct::tally::Tally;
use crate::model::finding::Finding;
use crate::model::lane::{Lane, LaneFigures};
use crate::model::step::{Action, Step, StepOutcome, StepReport};
use crate::stats::latency::{Latencies, merged};

/// Turns the counts of a second into steps.
pub(super) struct Watch<'a, L: Ledger> {
    pub(super) ground: Ground<L>,
    pub(super) block: &'a Block,
    pub(super) base: u32,
    pub(super) tally: &'a Tally,
    pub(super) tell: &'a dyn Fn(StepReport),
    /// When the second began.
    pub(super) since: Instant,
    pub(super) totals: &'a mut BTreeMap<Lane, LaneFigures>,
}

impl<L: Ledger> Watch<'_, L> {
    /// Closes the second that a load ended in before its time.
    pub(super) fn rest(&mut self) -> Result<(), RunnerError> {
        let lanes = self.block.lanes.len().max(1) as u32;
        self.second(self.ground.journal.steps().0.saturating_sub(self.base) / lanes)
    }

    /// Keeps what a second came to in which the load was stopped, for the step that it is once the load has gone on.
    pub(super) fn carry(&self) {
        for plan in &self.block.lanes {
            let (mut figures, findings) = self.tally.take(plan.lane);
            figures.workers = plan.workers;
            figures.ms = self.since.elapsed().as_millis() as u64;
            self.ground.journal.carry(plan.lane, figures, findings);
        }
    }

    /// Closes a second: one step for each lane that has none yet.
    pub(super) fn second(&mut self, second: u32) -> Result<(), RunnerError> {
        let lanes = self.block.lanes.len() as u32;
        let lasted = self.since.elapsed().as_millis() as u64;
        self.since = Instant::now();
        let first = self.base + second * lanes + 1;
        for (no, plan) in (first..).zip(&self.block.lanes) {
            if no <= self.ground.journal.steps().0 {
                continue;
            }
            let (mut figures, outages) = self.tally.take(plan.lane);
            figures.workers = plan.workers;
            figures.ms = lasted;
            let cycle = self.ground.cycle;
            let report = self.ground.journal.step(plan.lane, |counts, carried| {
                figures.add(&carried.figures);
                figures.latency = merged(&figures.latency, &carried.figures.latency);
                [figures.acknowledged, figures.refused, figures.indeterminate] = counts;
                let findings = carried.findings.into_iter().chain(outages).collect();
                report(cycle, (no, second), plan.lane, figures, findings)
            })?;
            if let Some(figures) = &report.figures {
                self.totals.entry(plan.lane).or_default().add(figures);
            }
            (self.tell)(report);
        }
        Ok(())
    }
}

fn report(
    cycle: u64,
    (no, second): (u32, u32),
    lane: Lane,
    figures: LaneFigures,
    findings: Vec<Finding>,
) -> StepReport {
    let acknowledged = figures.acknowledged;
    StepReport {
        db: 1,
        cycle,
        step: Step { no, iter: second + 1, action: Action::Lane(lane), crud_ops: acknowledged },
        outcome: if findings.iter().any(|f| !f.tolerated) { StepOutcome::Failed } else { StepOutcome::Acknowledged },
        rows: acknowledged,
        moved: 0,
        bytes: 0,
        attempts: 1,
        started_ms: chrono::Utc::now().timestamp_millis(),
        late_us: 0,
        elapsed_us: Latencies::unpack(&figures.latency).map_or(0, |all| all.max()),
        seq: None,
        findings,
        figures: Some(Box::new(figures)),
    }
}
