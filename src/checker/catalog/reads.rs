//! What clients may see while others write.

use super::{Evidence, Watched, counted, not_exercised, said, shown};
use crate::model::verdict::{CheckResult, Verdict};

/// A client never sees an older version of a dataset than it saw before.
pub(super) fn monotonic(evidence: &Evidence) -> CheckResult {
    let right = "looked back at a dataset that the client had seen, and none went back".into();
    let wrong = "went back to an older version than the client had seen";
    watched("monotonic_reads", evidence, &evidence.monotonic, right, wrong)
}

/// A client that wrote a version never reads an older one.
pub(super) fn own_writes(evidence: &Evidence) -> CheckResult {
    let right = "of datasets that the client itself had written showed its write".into();
    let wrong = "did not show what the client itself had written";
    watched("read_your_writes", evidence, &evidence.own_writes, right, wrong)
}

/// A read shows what was acknowledged before it began: at once, or through the cache after the bound.
pub(super) fn staleness(evidence: &Evidence) -> CheckResult {
    let bound = evidence.staleness_ms;
    let right = format!(
        "showed every write acknowledged before they began (through the cache: {bound} ms or more before they began)"
    );
    let wrong = "did not show a write that had been acknowledged for longer than is allowed";
    watched("staleness", evidence, &evidence.staleness, right, wrong)
}

fn watched(check: &str, evidence: &Evidence, watched: &Watched, right: String, wrong: &str) -> CheckResult {
    if watched.broken > 0 {
        let summary = format!("{} {wrong}", counted(watched.broken, "read", "reads"));
        return shown(check, Verdict::Fail, summary, watched.first.clone(), watched.broken);
    }
    if evidence.activity.clients == 0 {
        return not_exercised(check, "there were no clients");
    }
    if watched.looked == 0 {
        let why = "no read was there to be held against this rule, so that nothing is proven".into();
        return said(check, Verdict::Inconclusive, why);
    }
    said(check, Verdict::Pass, format!("{} {right}", counted(watched.looked, "read", "reads")))
}
