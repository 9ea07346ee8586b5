//! What the scenarios promise, and how operations with an unknown end were settled.

use std::collections::BTreeMap;

use super::{Activity, Cleanup, Figures, Resolution, Settled, counted, not_exercised, said, shown};
use crate::model::verdict::{CheckResult, Verdict};

/// Reads per second that the read-heavy scenario promises to exceed.
const READS_PER_SECOND: u64 = 10;

/// Every client of the lock resolution must have written within its attempts.
pub(super) fn resolution(resolution: &Resolution) -> CheckResult {
    let check = "resolution";
    if resolution.clients == 0 {
        return not_exercised(check, "there were no clients");
    }
    let (clients, most) = (resolution.clients, resolution.attempts_max);
    let succeeded: u32 = resolution.attempts.values().sum();
    if !resolution.unresolved.is_empty() {
        let lines: Vec<_> =
            resolution.unresolved.iter().map(|no| format!("client {no} spent its {most} attempts")).collect();
        let total = lines.len() as u64;
        let summary = format!("{total} of {clients} clients spent their {most} attempts; {}", attempts(resolution));
        return shown(check, Verdict::Fail, summary, lines, total);
    }
    if succeeded < clients {
        let lines: Vec<_> =
            resolution.interrupted.iter().map(|no| format!("client {no} was interrupted by another error")).collect();
        let total = lines.len() as u64;
        let summary = format!("only {succeeded} of {clients} clients came to an end; {}", attempts(resolution));
        return shown(check, Verdict::Inconclusive, summary, lines, total);
    }
    if let Some(over) = resolution.attempts.keys().find(|n| **n > most) {
        return said(check, Verdict::Fail, format!("a client took {over} attempts, and {most} are allowed"));
    }
    let summary = format!("all {clients} clients wrote within {most} attempts; {}", attempts(resolution));
    said(check, Verdict::Pass, summary)
}

fn attempts(resolution: &Resolution) -> String {
    histogram(&resolution.attempts)
}

/// Returns clients by attempts as people read them: `Attempts: 1×7 2×2 3×1`.
pub fn histogram(attempts: &BTreeMap<u32, u32>) -> String {
    let parts: Vec<_> = attempts.iter().map(|(attempts, clients)| format!("{attempts}×{clients}")).collect();
    format!("Attempts: {}", if parts.is_empty() { "none".into() } else { parts.join(" ") })
}

/// After the connection cleanup all must be readable, and nothing of it open.
pub(super) fn cleanup(clients: u32, cleanup: Option<&Cleanup>) -> CheckResult {
    let check = "cleanup";
    if clients == 0 {
        return not_exercised(check, "there were no clients");
    }
    let Some(cleanup) = cleanup else {
        let why = "what was open before and after was not measured in one go: the scenario was interrupted".into();
        return said(check, Verdict::Inconclusive, why);
    };
    let (before, after) = (&cleanup.before, &cleanup.after);
    let mut lines = Vec::new();
    if cleanup.readable < cleanup.datasets {
        lines.push(format!("{} of {} datasets could be read", cleanup.readable, cleanup.datasets));
    }
    let mut compare = |what: &str, before: u64, after: u64| {
        if after > before {
            lines.push(format!("{what}: {before} -> {after}"));
        }
    };
    compare("File descriptors of the database", before.database_descriptors, after.database_descriptors);
    compare("Sockets to the server", before.sockets, after.sockets);
    compare("Threads of SQLite connections", before.session_threads, after.session_threads);
    compare("Threads of workers", before.worker_threads, after.worker_threads);
    compare("Server connections", before.connections.unwrap_or(0), after.connections.unwrap_or(0));
    // Whatever scenario took it: with all given back, none may be open.
    if after.sessions > 0 {
        lines.push(format!("{} never given back", counted(after.sessions, "session was", "sessions were")));
    }
    let total = lines.len() as u64;
    let figures = figures(before, after).join(", ");
    if total > 0 {
        let summary = format!("the scenario left something open, or not readable; {figures}");
        return shown(check, Verdict::Fail, summary, lines, total);
    }
    if cleanup.datasets == 0 {
        return said(check, Verdict::Inconclusive, format!("there was nothing to be read; {figures}"));
    }
    let summary =
        format!("all {} datasets could be read, and nothing of it was left open; {figures}", cleanup.datasets);
    said(check, Verdict::Pass, summary)
}

/// Returns what was open before and after, as people know it: `File descriptors: 12 -> 12`.
pub fn figures(before: &Figures, after: &Figures) -> Vec<String> {
    let mut lines = vec![
        format!("File descriptors: {} -> {}", before.descriptors, after.descriptors),
        format!("Threads: {} -> {}", before.threads, after.threads),
    ];
    if let (Some(before), Some(after)) = (before.connections, after.connections) {
        lines.push(format!("Server connections: {before} -> {after}"));
    }
    lines
}

/// The scenarios must have done what they are for; otherwise nothing is proven.
pub(super) fn activity(activity: &Activity) -> CheckResult {
    let check = "activity";
    if activity.clients == 0 {
        return not_exercised(check, "there were no clients");
    }
    let mut idle = Vec::new();
    if activity.successful_writes == 0 {
        idle.push("no concurrent write succeeded".to_owned());
    }
    let rate = activity.timed.map(|(reads, ms)| (reads as f64 * 1_000.0 / ms.max(1) as f64, ms));
    match rate {
        None if activity.reads == 0 => idle.push("the read-heavy scenario read nothing".into()),
        Some((rate, ms)) if ms >= 1_000 && rate <= READS_PER_SECOND as f64 => {
            idle.push(format!("the read-heavy scenario read {rate:.1} times a second, and more than 10 are promised"));
        }
        Some(_) if activity.reads == 0 => idle.push("the read-heavy scenario read nothing".into()),
        _ => {}
    }
    if activity.versions <= 1 {
        idle.push(format!(
            "readers saw {} of one dataset through the cache, and more than 1 is promised",
            counted(activity.versions, "version", "versions")
        ));
    }
    if !idle.is_empty() {
        let total = idle.len() as u64;
        let summary = "the scenarios did too little to prove anything".into();
        return shown(check, Verdict::Inconclusive, summary, idle, total);
    }
    let rate = rate.map(|(rate, _)| format!(", {rate:.0} reads a second")).unwrap_or_default();
    let summary = format!(
        "{} succeeded{rate}, up to {} of one dataset seen through the cache",
        counted(activity.successful_writes, "concurrent write", "concurrent writes"),
        counted(activity.versions, "version", "versions"),
    );
    said(check, Verdict::Pass, summary)
}

/// Every operation must have an end that is known.
pub(super) fn journal(settled: &Settled) -> CheckResult {
    let check = "journal";
    let mut lines = settled.open.clone();
    let mut total = settled.open_total;
    if settled.dropped > 0 {
        lines.insert(0, format!("{} operations with an unknown end were too many to keep", settled.dropped));
        total += 1;
    }
    if settled.untold > 0 {
        let what = counted(settled.untold, "acknowledged write", "acknowledged writes");
        lines.insert(0, format!("{what} could not be told from others: too many versions are missing"));
        total += 1;
    }
    if total > 0 {
        let summary = "the end of some operations is not known, even after a look".into();
        return shown(check, Verdict::Inconclusive, summary, lines, total);
    }
    if settled.operations == 0 {
        return said(check, Verdict::Inconclusive, "no operation was journalled, so that nothing is proven".into());
    }
    let looked = settled.acknowledged + settled.refused;
    let summary = format!(
        "the end of all {} operations is known; a look decided {looked}: {} had happened, {} had not",
        settled.operations, settled.acknowledged, settled.refused
    );
    said(check, Verdict::Pass, summary)
}
