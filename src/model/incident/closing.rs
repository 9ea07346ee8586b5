//! What the end of a cycle makes of incidents: failed checks join or open some, and those that were not seen for long enough
//! are resolved. A cycle that proved nothing about an incident does not count for it.

use super::Severity;
use super::book::Book;
use super::case::{Case, Context};
use super::rules::{CRITERION, Depth, Sight, UNPROVEN, check_cause, check_name, proves_clean};
use crate::model::finding::{Finding, cut};
use crate::model::record::CycleRecord;
use crate::model::verdict::{CheckResult, Verdict};

impl Book {
    /// Takes in the checks of a cycle that has ended, and counts it for the incidents that it says nothing bad about.
    pub fn close_cycle(&mut self, cx: &mut Context<'_>, cycle: &CycleRecord, resolve_after: u32) {
        let failed = |check: &&CheckResult| check.verdict == Some(Verdict::Fail);
        let of_health = |check: &&CheckResult| check.check.starts_with("health");
        for check in cycle.checks.iter().filter(failed).filter(|check| !of_health(check)) {
            self.failed(cx, cycle, check);
        }
        for check in cycle.checks.iter().filter(failed).filter(of_health) {
            self.unwell(cx, cycle, check);
        }
        for check in &cycle.checks {
            if matches!(check.verdict, Some(Verdict::Inconclusive | Verdict::Aborted)) {
                self.unproven(cx, cycle, check);
            }
        }
        if matches!(cycle.verdict, Verdict::Inconclusive | Verdict::Aborted)
            && self.seen_in(cx.run, cycle.cycle).next().is_none()
        {
            let whole = CheckResult {
                check: "cycle".into(),
                verdict: Some(cycle.verdict),
                summary: "no check could say anything".into(),
                evidence: Vec::new(),
                evidence_total: 0,
            };
            self.unproven(cx, cycle, &whole);
        }
        self.count_clean(cx, cycle, resolve_after);
    }

    /// Takes in which criteria of a run failed, and resolves the incidents of those that hold: no cycle can show that alone.
    pub fn judged(&mut self, cx: &mut Context<'_>, alarms: &[Finding], held: &[String]) {
        self.add(cx, alarms);
        let over = self.open.values().map(|case| &case.incident).filter(|incident| held.contains(&incident.cause));
        for id in over.map(|incident| incident.id).collect::<Vec<_>>() {
            self.resolve(cx, id);
        }
    }

    /// Returns the incidents that were seen in a cycle.
    fn seen_in<'a>(&'a self, run: &'a str, cycle: u64) -> impl Iterator<Item = &'a Case> + use<'a> {
        self.open.values().filter(move |case| case.seen.1 == cycle && case.seen.0 == run)
    }

    /// Returns the incident that other evidence of the cycle is added to: a failure rather than a warning, the first rather
    /// than a later one.
    fn foremost(&self, cx: &Context<'_>, cycle: &CycleRecord) -> Option<(u64, Severity)> {
        let all = self.seen_in(cx.run, cycle.cycle).map(|case| (case.incident.id, case.incident.severity));
        all.max_by_key(|(id, severity)| (*severity, std::cmp::Reverse(*id)))
    }

    fn failed(&mut self, cx: &mut Context<'_>, cycle: &CycleRecord, check: &CheckResult) {
        let cause = check_cause(&check.check, &check.summary);
        let mut sight = Sight::of_check(check, cause, Severity::Failure, (cx.now_ms, cycle.cycle));
        let after =
            self.seen_in(cx.run, cycle.cycle).filter(|case| case.depth >= Depth::Outage).min_by_key(|c| c.incident.id);
        if let Some(root) = after {
            sight.evidence.push(format!("after incident {}: {}", root.incident.id, root.incident.title));
        }
        // A failed check is written down as a finding as soon as it is known, and was counted then.
        let known = self.of_cause(&sight.cause).filter(|case| case.seen == (cx.run.to_owned(), cycle.cycle));
        match known.map(|case| case.incident.id) {
            Some(id) => self.add_evidence(id, &sight.evidence),
            None => drop(self.see(cx, &sight)),
        }
    }

    /// Adds what the judge of steps and errors says to the incidents that it was derived from.
    fn unwell(&mut self, cx: &mut Context<'_>, cycle: &CycleRecord, check: &CheckResult) {
        let cause = check_cause(&check.check, &check.summary);
        let sight = Sight::of_check(check, cause, Severity::Failure, (cx.now_ms, cycle.cycle));
        match self.foremost(cx, cycle) {
            Some((id, _)) => {
                self.touch(cx, id, &sight);
                self.add_evidence(id, std::slice::from_ref(&sight.finding.message));
                let steps = if check.check == "health.steps" { sight.evidence.as_slice() } else { &[] };
                self.add_evidence(id, steps);
            }
            None => drop(self.see(cx, &sight)),
        }
    }

    fn unproven(&mut self, cx: &mut Context<'_>, cycle: &CycleRecord, check: &CheckResult) {
        match self.foremost(cx, cycle) {
            Some((id, Severity::Failure)) => {
                self.add_evidence(id, &[cut(&format!("{} is inconclusive: {}", check.check, check.summary))]);
            }
            _ => {
                let cause = format!("{UNPROVEN}{}", check_name(&check.check));
                let sight = Sight::of_check(check, cause, Severity::Warning, (cx.now_ms, cycle.cycle));
                self.see(cx, &sight);
            }
        }
    }

    fn count_clean(&mut self, cx: &Context<'_>, cycle: &CycleRecord, resolve_after: u32) {
        let seen: Vec<u64> = self.seen_in(cx.run, cycle.cycle).map(|case| case.incident.id).collect();
        let clean = |case: &&Case| {
            let of_run = case.incident.cause.starts_with(CRITERION);
            !of_run && !seen.contains(&case.incident.id) && proves_clean(case.incident.causes.keys(), cycle)
        };
        let clean: Vec<u64> = self.open.values().filter(clean).map(|case| case.incident.id).collect();
        for id in clean {
            if self.count_one(id) >= resolve_after.max(1) {
                self.resolve(cx, id);
            }
        }
    }
}
