//! What is counted and not estimated: steps that were acknowledged, errors that nobody expected, connections that were lost.

use super::Case;
use crate::model::finding::{Kind, OWN};
use crate::model::judgement::CriterionResult;
use crate::model::metric::Unit;
use crate::model::quantity::{number, shown};
use crate::model::record::FindingGroup;
use crate::model::verdict::Verdict;
use crate::stats::share::wilson;

/// How far around an outage a lost connection belongs to it.
const BEFORE_MS: i64 = 15_000;
const AFTER_MS: i64 = 60_000;

impl Case<'_> {
    /// Judges the share of steps that were acknowledged. It is that of this very run, and exact; its interval says what it is
    /// worth for another one.
    pub(super) fn success_share(&self) -> CriterionResult {
        let totals = self.evidence.totals;
        let bad = totals.steps_failed + totals.steps_indeterminate + totals.steps_refused;
        let (all, good) = (totals.steps, totals.steps.saturating_sub(bad));
        let interval = wilson(good, all, self.confidence);
        let share = good as f64 / all.max(1) as f64;
        let wanted = shown(self.limit, Unit::Share);
        let (verdict, summary) = match () {
            () if all == 0 => (Verdict::Inconclusive, "no step was counted".to_owned()),
            () if share <= self.limit && self.limit < 1.0 || share < self.limit => (
                Verdict::Fail,
                format!(
                    "only {} of {} steps were acknowledged, {} (more than {wanted} is wanted)",
                    n(good),
                    n(all),
                    shown(share, Unit::Share)
                ),
            ),
            () if bad == 0 => (Verdict::Pass, format!("all {} steps were acknowledged", n(all))),
            () => (Verdict::Pass, format!("{} of {} steps were acknowledged", n(good), n(all))),
        };
        let kinds = [
            (totals.steps_failed, "failed"),
            (totals.steps_indeterminate, "ended without an answer"),
            (totals.steps_refused, "were refused"),
        ];
        CriterionResult {
            value: (all > 0).then_some(share),
            low: interval.map(|(low, _)| low),
            high: interval.map(|(_, high)| high),
            confidence: Some(self.confidence),
            samples: all,
            detectable: (all > 0).then(|| 1.0 / all as f64),
            evidence: kinds.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} steps {what}")).collect(),
            ..self.result("", verdict, summary)
        }
    }

    /// Judges the errors that no retry healed, or of kinds that are not expected at all.
    pub(super) fn unexpected_errors(&self) -> CriterionResult {
        let evidence = self.evidence;
        let mut groups: Vec<(u64, &FindingGroup)> =
            evidence.findings.iter().map(|group| (unexpected(group, evidence.tolerated), group)).collect();
        groups.retain(|(count, _)| *count > 0);
        groups.sort_by_key(|(count, group)| (std::cmp::Reverse(*count), group.first.at_ms));
        let known: u64 = groups.iter().map(|(count, _)| count).sum();
        let all = known + evidence.findings_ungrouped;
        let limit = self.limit as u64;
        let (verdict, summary) = match () {
            () if evidence.totals.steps == 0 && all <= limit => {
                (Verdict::Inconclusive, "no step was counted".to_owned())
            }
            () if all > limit => {
                let first = groups.iter().min_by_key(|(_, group)| group.first.at_ms);
                let first = first.map(|(_, group)| format!("; first: {}", group.first.message)).unwrap_or_default();
                (Verdict::Fail, format!("{} (limit {}){first}", counted(all, "unexpected error"), n(limit)))
            }
            () if all > 0 => (Verdict::Pass, format!("{} (limit {})", counted(all, "unexpected error"), n(limit))),
            () => (Verdict::Pass, "no unexpected error".to_owned()),
        };
        let line = |(count, group): &(u64, &FindingGroup)| format!("{} times {}", n(*count), group.cause);
        CriterionResult {
            value: Some(all as f64),
            samples: evidence.totals.steps,
            detectable: Some(1.0),
            evidence: groups.iter().map(line).collect(),
            ..self.result("", verdict, summary)
        }
    }

    /// Judges how often a connection was lost: each outage of the target once, and every reset outside of one.
    pub(super) fn disconnects(&self) -> CriterionResult {
        let evidence = self.evidence;
        let outages = evidence.outages.len() as u64 + evidence.outages_dropped;
        let resets: u64 = evidence
            .findings
            .iter()
            .filter(|group| group.first.kind == Kind::Reset)
            .map(|group| group.count.saturating_sub(self.in_outages(group)))
            .sum();
        let all = outages + resets;
        let limit = self.limit as u64;
        let parts =
            format!("{}, and {} outside of them", counted(outages, "outage"), counted(resets, "lost connection"));
        let (verdict, summary) = match () {
            () if evidence.totals.steps == 0 && all < limit => {
                (Verdict::Inconclusive, "no step was counted".to_owned())
            }
            () if all >= limit => {
                (Verdict::Fail, format!("{} (fewer than {} are wanted): {parts}", counted(all, "disconnect"), n(limit)))
            }
            () if all == 0 => (Verdict::Pass, "no disconnect".to_owned()),
            () => (Verdict::Pass, format!("{}: {parts}", counted(all, "disconnect"))),
        };
        CriterionResult {
            value: Some(all as f64),
            samples: evidence.totals.steps,
            detectable: Some(1.0),
            evidence: evidence.outages.iter().rev().take(5).map(|out| format!("outage: {}", out.reason)).collect(),
            ..self.result("", verdict, summary)
        }
    }

    /// Returns how many findings of a group lie in or around an outage, by the slots of its time line.
    fn in_outages(&self, group: &FindingGroup) -> u64 {
        let (begin, width) = (group.timeline_from_ms, group.timeline_slot_ms.max(1));
        let within = |from: i64, until: i64| {
            self.evidence.outages.iter().any(|out| {
                let end = out.until_ms.unwrap_or(i64::MAX - AFTER_MS);
                from <= end + AFTER_MS && until >= out.from_ms - BEFORE_MS
            })
        };
        let slots = (0i64..).zip(&group.timeline);
        slots
            .filter(|(at, _)| {
                let from = begin.saturating_add(at.saturating_mul(width));
                within(from, from.saturating_add(width))
            })
            .map(|(_, count)| *count)
            .sum()
    }
}

/// Returns how many findings of a group are a failure.
fn unexpected(group: &FindingGroup, tolerated: &[Kind]) -> u64 {
    let own = group.first.code.as_deref().is_some_and(|code| code.starts_with(OWN));
    match () {
        // What soakd itself is short of has limits of its own.
        () if own => 0,
        () if tolerated.contains(&group.first.kind) => group.count.saturating_sub(group.tolerated),
        () => group.count,
    }
}

fn n(count: u64) -> String {
    number(count as f64)
}

fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", n(count), if count == 1 { "" } else { "s" })
}
