//! What a journal comes to: the fold over all its lines.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::pairs;
use crate::engine::direct::course::{Ledger, Op};
use crate::engine::direct::tally::FINDINGS_MAX;
use crate::model::finding::Finding;
use crate::model::lane::{End, Lane, LaneFigures};
use crate::model::step::StepReport;
use crate::stats::latency::merged;

/// Step reports that a checkpoint keeps: those that the daemon may not have counted yet.
const REPORTS: usize = 512;
/// Operations that may be indeterminate at once; all further ones are counted, and make a cycle inconclusive.
pub const OPEN_MAX: usize = 10_000;

/// What belongs to a step that is not done yet.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Carried {
    pub figures: LaneFigures,
    pub findings: Vec<Finding>,
}

/// The fold over all lines.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct State<L: Ledger> {
    pub(super) ledger: L,
    /// Operations that have begun and not ended, or ended with nobody knowing how.
    #[serde(with = "pairs")]
    pub(super) open: BTreeMap<Op, (L::Begin, bool)>,
    /// Indeterminate operations beyond the bound.
    pub(super) dropped: u64,
    /// Last number of each worker.
    #[serde(with = "pairs")]
    pub(super) last: BTreeMap<(Lane, u32), u64>,
    /// Operations that ended since the last step of their lane: acknowledged, refused, indeterminate.
    #[serde(with = "pairs")]
    pub(super) partial: BTreeMap<Lane, [u64; 3]>,
    /// Figures and findings that belong to the next step of their lane.
    #[serde(with = "pairs", default)]
    pub(super) carried: BTreeMap<Lane, Carried>,
    pub(super) reports: VecDeque<StepReport>,
    /// The last step of the cycle that is done.
    pub(super) steps: u32,
    /// True once the cycle's schema and first rows are there.
    pub(super) begun: bool,
}

impl<L: Ledger> State<L> {
    pub(super) fn new(ledger: L) -> Self {
        Self {
            ledger,
            open: BTreeMap::new(),
            dropped: 0,
            last: BTreeMap::new(),
            partial: BTreeMap::new(),
            carried: BTreeMap::new(),
            reports: VecDeque::new(),
            steps: 0,
            begun: false,
        }
    }

    pub(super) fn begin(&mut self, op: Op, begin: L::Begin) {
        self.ledger.begun(op, &begin);
        let last = self.last.entry((op.lane, op.worker)).or_default();
        *last = (*last).max(op.no);
        self.open.insert(op, (begin, false));
    }

    pub(super) fn end(&mut self, op: Op, end: End, done: &L::Done) {
        let Some((begin, known_open)) = self.open.remove(&op) else { return };
        self.ledger.ended(op, &begin, end, done);
        if !known_open {
            let at = match end {
                End::Acknowledged => 0,
                End::Refused => 1,
                End::Indeterminate => 2,
            };
            self.partial.entry(op.lane).or_default()[at] += 1;
        }
        if end != End::Indeterminate {
            return;
        }
        if self.open.values().filter(|(_, open)| *open).count() < OPEN_MAX {
            self.open.insert(op, (begin, true));
        } else {
            self.dropped += 1;
        }
    }

    pub(super) fn step(&mut self, report: StepReport) {
        if let crate::model::step::Action::Lane(lane) = report.step.action {
            self.partial.remove(&lane);
            self.carried.remove(&lane);
        }
        self.steps = self.steps.max(report.step.no);
        if self.reports.len() == REPORTS {
            self.reports.pop_front();
        }
        self.reports.push_back(report);
    }

    pub(super) fn carry(&mut self, lane: Lane, figures: &LaneFigures, findings: Vec<Finding>) {
        let carried = self.carried.entry(lane).or_default();
        carried.figures.add(figures);
        carried.figures.latency = merged(&carried.figures.latency, &figures.latency);
        carried.findings.extend(findings);
        carried.findings.truncate(FINDINGS_MAX);
    }
}
