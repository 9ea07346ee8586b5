//! Judges whether a cycle ran as planned: every step counted, no error left unhealed, no part crashed.

use std::collections::BTreeMap;

use crate::model::finding::{Finding, Kind};
use crate::model::ids::DbNo;
use crate::model::verdict::{CheckResult, Verdict};

/// What the judge looks at.
#[derive(Debug, Default)]
pub struct Evidence {
    pub steps_planned: BTreeMap<DbNo, u64>,
    pub steps_done: BTreeMap<DbNo, u64>,
    /// Findings of this cycle, bounded; the total is beside it.
    pub findings: Vec<Finding>,
    pub findings_total: u64,
    /// Kinds that do not fail a cycle when a retry healed them.
    pub tolerated: Vec<Kind>,
    /// Databases that could not be brought to rest, with the reason.
    pub unsettled: Vec<String>,
}

/// Judges the steps: counted against planned.
pub fn judge_steps(evidence: &Evidence) -> CheckResult {
    let mut lines = Vec::new();
    for (db, planned) in &evidence.steps_planned {
        let done = evidence.steps_done.get(db).copied().unwrap_or(0);
        if done != *planned {
            lines.push(format!("DB{db}: {done} of {planned} steps"));
        }
    }
    let total: u64 = evidence.steps_planned.values().sum();
    let (verdict, summary) = if lines.is_empty() {
        (Verdict::Pass, format!("{total} of {total} steps counted, each exactly once"))
    } else {
        (Verdict::Fail, format!("steps are missing: {}", lines[0]))
    };
    let evidence_total = lines.len() as u64;
    CheckResult { check: "health.steps".into(), verdict: Some(verdict), summary, evidence: lines, evidence_total }
}

/// Judges the errors: those that a retry healed and that are of a tolerated kind are shown, all others fail the cycle.
pub fn judge_errors(evidence: &Evidence, evidence_max: usize) -> CheckResult {
    // What soakd itself is short of is judged by a check of its own.
    let tolerated = |f: &Finding| f.tolerated && (evidence.tolerated.contains(&f.kind) || f.is_own());
    let bad: Vec<&Finding> = evidence.findings.iter().filter(|f| !tolerated(f)).collect();
    let healed = evidence.findings.iter().filter(|f| tolerated(f) && !f.is_own()).count();
    let first = bad.iter().min_by_key(|f| f.at_ms);
    let (verdict, summary) = match first {
        Some(first) => (Verdict::Fail, format!("{} errors; first cause: {}", bad.len(), line(first))),
        None if evidence.findings_total > evidence.findings.len() as u64 => (
            Verdict::Inconclusive,
            format!("{} errors are too many to be looked at one by one", evidence.findings_total),
        ),
        None if healed > 0 => (Verdict::Pass, format!("no error left; {healed} were healed by retries")),
        None => (Verdict::Pass, "no error".into()),
    };
    let mut lines: Vec<String> = bad.iter().take(evidence_max).map(|f| line(f)).collect();
    lines.extend(evidence.unsettled.iter().cloned());
    let verdict =
        if evidence.unsettled.is_empty() { verdict } else { Verdict::worst([verdict, Verdict::Inconclusive]) };
    CheckResult {
        check: "health.errors".into(),
        verdict: Some(verdict),
        summary,
        evidence: lines,
        evidence_total: bad.len() as u64 + evidence.unsettled.len() as u64,
    }
}

fn line(finding: &Finding) -> String {
    let place = match (finding.db, finding.iter) {
        (Some(db), Some(iter)) => format!("[DB{db}][iter {iter}] "),
        (Some(db), None) => format!("[DB{db}] "),
        _ => String::new(),
    };
    format!("{place}{} ({})", finding.message, finding.cause().split(':').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Side;

    fn finding(kind: Kind, tolerated: bool) -> Finding {
        Finding {
            at_ms: 5,
            cycle: 1,
            phase: "load".into(),
            db: Some(2),
            user: Some(1),
            iter: Some(3),
            step: Some(4),
            side: Side::Network,
            kind,
            code: None,
            message: "connection refused".into(),
            tolerated,
        }
    }

    fn judged(findings: Vec<Finding>) -> CheckResult {
        let findings_total = findings.len() as u64;
        let tolerated = vec![Kind::Refused];
        judge_errors(&Evidence { findings, findings_total, tolerated, ..Evidence::default() }, 10)
    }

    #[test]
    fn a_healed_error_of_a_tolerated_kind_is_shown_and_any_other_fails() {
        assert_eq!(judged(vec![]).verdict, Some(Verdict::Pass));
        let healed = judged(vec![finding(Kind::Refused, true)]);
        assert_eq!(healed.verdict, Some(Verdict::Pass));
        assert!(healed.summary.contains("1 were healed"));
        assert_eq!(judged(vec![finding(Kind::Refused, false)]).verdict, Some(Verdict::Fail));
        let own = Finding { side: Side::Soakd, code: Some("own.disk_warn".into()), ..finding(Kind::DiskFull, true) };
        assert_eq!(judged(vec![own]).summary, "no error");
        let other = judged(vec![finding(Kind::Http5xx, true)]);
        assert_eq!(other.verdict, Some(Verdict::Fail));
        assert!(other.evidence[0].starts_with("[DB2][iter 3] connection refused"), "{other:?}");
    }

    #[test]
    fn a_missing_step_fails() {
        let mut evidence = Evidence::default();
        evidence.steps_planned.insert(1, 9);
        evidence.steps_done.insert(1, 9);
        assert_eq!(judge_steps(&evidence).verdict, Some(Verdict::Pass));
        evidence.steps_done.insert(1, 8);
        assert_eq!(judge_steps(&evidence).evidence, ["DB1: 8 of 9 steps"]);
    }
}
