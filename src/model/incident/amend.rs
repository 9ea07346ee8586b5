//! What is noted in an open incident when it is seen again: counts, evidence and history, all of them bounded.

use super::book::Book;
use super::case::{Case, Context, Effect};
use super::rules::{Depth, Sight};
use super::{CAUSES_MAX, Change, ChangeKind, EVIDENCE_MAX, HISTORY_MAX};

/// Evidence lines for findings of causes that are known already; the rest is kept for new causes.
const LINES_OF_KNOWN: usize = EVIDENCE_MAX / 2;

impl Book {
    pub(super) fn change(&mut self, cx: &Context<'_>, id: u64, what: ChangeKind) {
        let Some(case) = self.open.get_mut(&id) else { return };
        if case.incident.history.len() >= HISTORY_MAX {
            // How it began stays.
            case.incident.history.remove(1);
        }
        case.incident.history.push(Change { at_ms: cx.now_ms, cycle: case.seen.1, what: what.clone() });
        self.dirty.insert(id);
        self.effects.push((id, Effect::Changed(what)));
    }

    /// Adds something seen to an open incident.
    pub(super) fn join(&mut self, cx: &Context<'_>, id: u64, sight: &Sight) {
        let known = self.open.get(&id).is_some_and(|case| case.incident.causes.contains_key(&sight.cause));
        self.count(id, sight.cause.clone(), 1);
        self.touch(cx, id, sight);
        let lines = self.open.get(&id).map_or(0, |case| case.incident.evidence.len());
        if !known || lines < LINES_OF_KNOWN {
            self.add_evidence(id, &sight.evidence);
        }
    }

    pub(super) fn count(&mut self, id: u64, cause: String, more: u64) {
        let Some(case) = self.open.get_mut(&id) else { return };
        self.dirty.insert(id);
        case.incident.count += more;
        // The cause that the title stands for always has its place.
        let room = case.incident.causes.len() + usize::from(!case.incident.causes.contains_key(&case.incident.cause));
        if case.incident.causes.contains_key(&cause) || cause == case.incident.cause || room < CAUSES_MAX {
            self.by_cause.entry(cause.clone()).or_insert(id);
            *case.incident.causes.entry(cause).or_default() += more;
        }
    }

    /// Notes that an incident was seen.
    pub(super) fn touch(&mut self, cx: &Context<'_>, id: u64, sight: &Sight) {
        let Some(case) = self.open.get_mut(&id) else { return };
        let (at_ms, cycle) = (sight.finding.at_ms, sight.finding.cycle);
        if sight.depth >= Depth::Outage {
            case.root_ms = case.root_ms.max(Some(at_ms));
        }
        let incident = &mut case.incident;
        if incident.run != cx.run {
            cx.run.clone_into(&mut incident.run);
            incident.cycle_first = cycle;
        }
        incident.severity = incident.severity.max(sight.severity);
        incident.last_ms = incident.last_ms.max(at_ms);
        incident.cycle_last = cycle;
        incident.clean_cycles = 0;
        case.seen = (cx.run.to_owned(), cycle);
        self.dirty.insert(id);
    }

    /// Adds lines that an incident does not have yet, as long as there is room.
    pub(super) fn add_evidence(&mut self, id: u64, lines: &[String]) {
        let Some(case) = self.open.get_mut(&id) else { return };
        let evidence = &mut case.incident.evidence;
        for line in lines {
            if evidence.len() < EVIDENCE_MAX && !evidence.contains(line) {
                evidence.push(line.clone());
                self.dirty.insert(id);
            }
        }
    }

    /// Counts a clean cycle for an open incident, and returns how many there were in a row.
    pub(super) fn count_one(&mut self, id: u64) -> u32 {
        let Some(case) = self.open.get_mut(&id) else { return 0 };
        self.dirty.insert(id);
        case.incident.clean_cycles = case.incident.clean_cycles.saturating_add(1);
        case.incident.clean_cycles
    }

    /// Resolves the open incident of a cause, if there is one.
    pub fn resolve_cause(&mut self, cx: &Context<'_>, cause: &str) {
        if let Some(id) = self.of_cause(cause).map(|case| case.incident.id) {
            self.resolve(cx, id);
        }
    }

    /// Returns the open incident of a cause.
    pub(super) fn of_cause(&self, cause: &str) -> Option<&Case> {
        self.open.get(self.by_cause.get(cause)?)
    }
}
