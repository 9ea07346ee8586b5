//! The verdict of a run and the one sentence that says why.

use std::collections::BTreeSet;

use super::criteria;
use super::words::{count, number, word};
use crate::model::record::{CycleRecord, Snapshot};
use crate::model::verdict::Verdict;

/// What a report begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// `PASS`, `FAIL`, `INCONCLUSIVE`, `ABORTED`; before the end `UNFINISHED`, or `STOPPED` if it was asked to.
    pub word: String,
    /// One sentence.
    pub reason: String,
}

/// Returns the verdict as a word and its reason; the first cause comes first.
pub fn headline(snapshot: &Snapshot) -> Headline {
    let Some(verdict) = snapshot.run.verdict else {
        let so_far = snapshot.cycles_by_verdict.keys().max();
        let state = match so_far {
            None => "no cycle is finished yet".to_owned(),
            Some(Verdict::Pass) => format!("{} finished, all passed so far", count(snapshot.cycles_done, "cycle")),
            Some(worst) => {
                let cause = first_cause(snapshot, *worst).unwrap_or_else(|| "see the cycles below".to_owned());
                format!("{} finished, {worst} so far: {cause}", count(snapshot.cycles_done, "cycle"))
            }
        };
        let at = format!("in {} of cycle {}", snapshot.run.phase.word(), number(snapshot.run.cycle));
        let stopped = snapshot.epochs.last().is_some_and(|epoch| epoch.clean_end);
        let (word, now) = if stopped { ("STOPPED", "the next `soakd run` goes on") } else { ("UNFINISHED", "now") };
        return Headline { word: word.to_owned(), reason: sentence(&format!("{state}; {now} {at}")) };
    };
    let ended = snapshot.run.ended_because.as_deref().unwrap_or("it ended without a reason");
    let reason = match verdict {
        Verdict::Pass => passed(snapshot),
        Verdict::Aborted => first_cause(snapshot, verdict)
            .unwrap_or_else(|| format!("{ended}, after {}", count(snapshot.cycles_done, "finished cycle"))),
        _ => first_cause(snapshot, verdict)
            .or_else(|| criteria::first_with(snapshot, verdict))
            .or_else(|| first_error(snapshot))
            .unwrap_or_else(|| format!("{ended}, after {}", count(snapshot.cycles_done, "finished cycle"))),
    };
    Headline { word: verdict.to_string(), reason: sentence(&reason) }
}

fn passed(snapshot: &Snapshot) -> String {
    let open = not_exercised(snapshot);
    let held = snapshot.judgement.iter().flat_map(|judgement| &judgement.results);
    let held: BTreeSet<&str> =
        held.filter(|r| r.verdict == Some(Verdict::Pass)).map(|r| r.criterion.as_str()).collect();
    let mut reason = format!("{} passed every check that was exercised", count(snapshot.cycles_done, "cycle"));
    if !held.is_empty() {
        let verb = if held.len() == 1 { "holds" } else { "hold" };
        reason.push_str(&format!(", and {} {verb}", criteria::counted(held.len())));
    }
    if !open.is_empty() {
        let names: Vec<_> = open.into_iter().collect();
        reason.push_str(&format!("; not exercised: {}", names.join(", ")));
    }
    reason
}

/// Returns the names of checks that were not exercised in any cycle shown.
pub(super) fn not_exercised(snapshot: &Snapshot) -> BTreeSet<String> {
    let checks = || snapshot.cycles.iter().flat_map(|cycle| &cycle.checks);
    let ran: BTreeSet<_> = checks().filter(|check| check.verdict.is_some()).map(|check| &check.check).collect();
    checks().map(|check| &check.check).filter(|name| !ran.contains(name)).cloned().collect()
}

/// Returns the first check with this verdict, in words.
fn first_cause(snapshot: &Snapshot, verdict: Verdict) -> Option<String> {
    let named = |cycle: &CycleRecord| {
        let check = cycle.checks.iter().find(|check| check.verdict == Some(verdict))?;
        Some(format!("{} in cycle {}: {}", check.check, number(cycle.cycle), check.summary.trim_end_matches('.')))
    };
    snapshot.cycles.iter().filter(|cycle| cycle.verdict == verdict).find_map(named)
}

fn first_error(snapshot: &Snapshot) -> Option<String> {
    let group = snapshot.findings.iter().find(|group| group.count > group.tolerated)?;
    let first = &group.first;
    Some(format!(
        "{} error ({}) in {} of cycle {}: {}",
        word(&first.side),
        word(&first.kind),
        first.phase,
        number(first.cycle),
        first.message
    ))
}

fn sentence(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    let Some(first) = chars.next() else { return String::new() };
    format!("{}{}.", first.to_uppercase(), chars.as_str())
}
