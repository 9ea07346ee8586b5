//! Errors over time: of which databases, users and iterations, in which bursts and with which first cause, and whether they come
//! with outages, restarts or versions of the server more often than chance would have it.

use std::collections::BTreeMap;

use super::document::Document;
use super::spread::spread;
use super::words::{between, count, duration, moment, number, ranges, word};
use crate::model::record::{FindingGroup, Snapshot};
use crate::stats::share::at_least;

/// Errors below which there is nothing to lay out in time.
const ERRORS_MIN: u64 = 3;
/// Names, causes and bursts that are listed.
const NAMES_LISTED: usize = 8;
const CAUSES_LISTED: usize = 8;
const BURSTS_LISTED: usize = 10;
/// How long after an event errors may follow from it, and how long a burst may pause.
const AFTER_MS: i64 = 60_000;
/// Probability by chance below which errors are said to come with something.
const RARE: f64 = 0.01;

/// Adds the section, if there is enough to be laid out in time.
pub(super) fn over_time(doc: &mut Document, snapshot: &Snapshot) {
    let all: u64 = snapshot.findings.iter().map(|group| group.count).sum();
    if all < ERRORS_MIN {
        return;
    }
    doc.heading("Errors over time");
    if let Some(schedule) = &snapshot.run.schedule {
        doc.paragraph(format!("This is a run of the schedule {schedule}."));
    }
    by_name(doc, snapshot, "Database", |group| &group.by_db);
    by_name(doc, snapshot, "User", |group| &group.by_user);
    by_name(doc, snapshot, "Iteration", |group| &group.by_iter);
    let mut causes: Vec<&FindingGroup> = snapshot.findings.iter().filter(|group| group.count >= ERRORS_MIN).collect();
    causes.sort_by_key(|group| std::cmp::Reverse(group.count));
    for group in causes.into_iter().take(CAUSES_LISTED) {
        let text = format!("{} {}: {}", word(&group.first.side), word(&group.first.kind), group.first.message);
        doc.item("cause", text, beside(snapshot, group));
    }
    versions(doc, snapshot);
    bursts(doc, snapshot);
}

/// Adds a table of the names that had the most errors.
fn by_name(doc: &mut Document, snapshot: &Snapshot, title: &str, of: impl Fn(&FindingGroup) -> &BTreeMap<u32, u64>) {
    let mut sums: BTreeMap<u32, u64> = BTreeMap::new();
    for group in &snapshot.findings {
        of(group).iter().for_each(|(name, n)| *sums.entry(*name).or_default() += n);
    }
    let all: u64 = sums.values().sum();
    let mut rows: Vec<(u32, u64)> = sums.into_iter().collect();
    if rows.iter().all(|(name, _)| *name == 0) {
        return;
    }
    rows.sort_by_key(|(name, n)| (*name == 0, std::cmp::Reverse(*n), *name));
    let rest: Vec<(u32, u64)> = rows.split_off(rows.len().min(NAMES_LISTED));
    let share = |n: u64| format!("{} %", n * 100 / all.max(1));
    let name = |name: u32| if name == 0 { "none or others".to_owned() } else { name.to_string() };
    let mut rows: Vec<Vec<String>> = rows.into_iter().map(|(no, n)| vec![name(no), number(n), share(n)]).collect();
    if !rest.is_empty() {
        let n: u64 = rest.iter().map(|(_, n)| n).sum();
        rows.push(vec![format!("{} more", number(rest.len() as u64)), number(n), share(n)]);
    }
    doc.table(&[title, ">Errors", ">Share"], rows);
}

/// Returns how the errors of one cause lie in time, and what they come with.
fn beside(snapshot: &Snapshot, group: &FindingGroup) -> Vec<String> {
    let until = snapshot.run.ended_ms.unwrap_or(snapshot.made_ms);
    let shape = spread(group, snapshot.run.started_ms, until);
    let iterations: Vec<u32> = group.by_iter.keys().copied().filter(|iter| *iter != 0).collect();
    let mut lines = vec![shape.words()];
    if !iterations.is_empty() {
        lines.push(format!("in iterations {}", ranges(iterations)));
    }
    let outages: Vec<(i64, i64)> = snapshot
        .outages
        .iter()
        .map(|out| (out.from_ms, out.until_ms.unwrap_or(until).saturating_add(AFTER_MS)))
        .collect();
    let restarts: Vec<(i64, i64)> = snapshot
        .epochs
        .iter()
        .skip(1)
        .map(|epoch| (epoch.started_ms, epoch.started_ms.saturating_add(AFTER_MS)))
        .collect();
    let minute = "and the minute after";
    for (events, what) in [
        (outages, format!("within {} of the target {minute}", count(snapshot.outages.len() as u64, "outage"))),
        (
            restarts,
            format!("within a minute after {}", count(snapshot.epochs.len().max(1) as u64 - 1, "restart of soakd")),
        ),
    ] {
        let found = with_events(snapshot, group, &events).filter(|found| found.near > 0);
        lines.extend(found.map(|found| found.words(&what)));
    }
    lines
}

/// How often errors of a cause fall together with some events.
struct Coincidence {
    near: u64,
    all: u64,
    /// Bursts that began there, and all of them.
    bursts: (u64, u64),
    /// Errors that chance would put there.
    expected: f64,
    p: f64,
}

impl Coincidence {
    fn words(&self, what: &str) -> String {
        let by = match self.p {
            p if p < 0.000_1 => "p < 0.0001".to_owned(),
            p if p < RARE => format!("p = {p:.4}"),
            p => format!("p = {p:.2}, which chance explains"),
        };
        let (near, all) = (number(self.near), number(self.all));
        let bursts = format!("{} of {}", number(self.bursts.0), count(self.bursts.1, "burst"));
        let expected = crate::model::quantity::number(self.expected);
        format!("{near} of {all} errors, {bursts}, {what} ({expected} errors expected by chance, {by})")
    }
}

/// Counts the errors near events, and tells how likely that is. Errors that follow each other within a minute are one burst, and
/// it is bursts that are drawn: each begins near an event as often as the time around events is long.
fn with_events(snapshot: &Snapshot, group: &FindingGroup, events: &[(i64, i64)]) -> Option<Coincidence> {
    if events.is_empty() {
        return None;
    }
    let width = group.timeline_slot_ms.max(1);
    let from = snapshot.run.started_ms.min(group.timeline_from_ms);
    let until = snapshot.run.ended_ms.unwrap_or(snapshot.made_ms).max(group.last_ms).max(from.saturating_add(1));
    let meets = |begin: i64| events.iter().any(|(start, end)| begin <= *end && begin.saturating_add(width) >= *start);
    let begin = |at: i64| group.timeline_from_ms.saturating_add(at.saturating_mul(width));
    let held: Vec<(i64, u64)> =
        (0i64..).zip(&group.timeline).filter(|(_, n)| **n > 0).map(|(at, n)| (begin(at), *n)).collect();
    let (mut begun, mut last) = (Vec::new(), i64::MIN / 2);
    for (at, _) in &held {
        if *at > last.saturating_add(width.saturating_add(AFTER_MS)) {
            begun.push(*at);
        }
        last = *at;
    }
    // The time around events, each moment once, widened by what a slot leaves open.
    let mut windows: Vec<(i64, i64)> = events
        .iter()
        .map(|(start, end)| (start.saturating_sub(width).max(from), (*end).min(until)))
        .filter(|(a, b)| b > a)
        .collect();
    windows.sort_unstable();
    let (mut covered, mut reached) = (0i64, i64::MIN);
    for (start, end) in windows {
        covered = end.saturating_sub(start.max(reached)).max(0).saturating_add(covered);
        reached = reached.max(end);
    }
    let share = (covered as f64 / until.saturating_sub(from).max(1) as f64).clamp(0.0, 1.0);
    let all: u64 = held.iter().map(|(_, n)| n).sum();
    let bursts = (begun.iter().filter(|at| meets(**at)).count() as u64, begun.len() as u64);
    Some(Coincidence {
        near: held.iter().filter(|(at, _)| meets(*at)).map(|(_, n)| n).sum(),
        all,
        bursts,
        expected: share * all as f64,
        p: at_least(bursts.0, bursts.1, share),
    })
}

/// Adds how often cycles had errors, by version of the server.
fn versions(doc: &mut Document, snapshot: &Snapshot) {
    let mut by: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for cycle in &snapshot.cycles {
        let (cycles, with, errors) = by.entry(&cycle.server).or_default();
        (*cycles, *with, *errors) =
            (*cycles + 1, *with + u64::from(cycle.errors > 0), errors.saturating_add(cycle.errors));
    }
    if by.len() < 2 {
        return;
    }
    let all = by.values().fold((0, 0), |(cycles, with), (c, w, _)| (cycles + c, with + w));
    let row = |(version, (cycles, with, errors)): (&&str, &(u64, u64, u64))| {
        let share = all.1 as f64 / all.0.max(1) as f64;
        let p = at_least(*with, *cycles, share);
        let name = if version.is_empty() { "not told" } else { version };
        let odd = if p < RARE { format!("more than chance (p = {p:.4})") } else { "no more than chance".to_owned() };
        vec![name.to_owned(), number(*cycles), number(*with), number(*errors), odd]
    };
    doc.table(&["Server", ">Cycles kept", ">With errors", ">Errors", "By version"], by.iter().map(row).collect());
}

/// A stretch of time with errors that pauses for no longer than a minute.
struct Burst<'a> {
    from_ms: i64,
    until_ms: i64,
    errors: u64,
    causes: Vec<&'a FindingGroup>,
    /// The cause that was seen first.
    first: (i64, &'a FindingGroup),
}

/// Adds the bursts, each with the cause that began it.
fn bursts(doc: &mut Document, snapshot: &Snapshot) {
    let mut slots: Vec<(i64, i64, u64, &FindingGroup)> = Vec::new();
    for group in &snapshot.findings {
        for (at, n) in (0i64..).zip(&group.timeline).filter(|(_, n)| **n > 0) {
            let begin = group.timeline_from_ms.saturating_add(at.saturating_mul(group.timeline_slot_ms));
            let end = begin.saturating_add(group.timeline_slot_ms).min(group.last_ms.max(begin));
            slots.push((begin, end, *n, group));
        }
    }
    slots.sort_by_key(|(begin, _, _, group)| (*begin, group.first.at_ms));
    let mut bursts: Vec<Burst<'_>> = Vec::new();
    for (begin, end, n, group) in slots {
        match bursts.last_mut().filter(|burst| begin <= burst.until_ms.saturating_add(AFTER_MS)) {
            Some(burst) => {
                burst.until_ms = burst.until_ms.max(end);
                burst.errors += n;
                if !burst.causes.iter().any(|known| known.cause == group.cause) {
                    burst.causes.push(group);
                }
            }
            None => bursts.push(Burst {
                from_ms: begin,
                until_ms: end,
                errors: n,
                causes: vec![group],
                first: (begin, group),
            }),
        }
    }
    bursts.retain(|burst| burst.errors >= ERRORS_MIN);
    if bursts.is_empty() {
        return;
    }
    let shown = bursts.len().min(BURSTS_LISTED);
    let which = if shown < bursts.len() { format!(", of which the first {shown} are listed") } else { String::new() };
    doc.paragraph(format!(
        "{} (errors that are at most a minute apart){which}; what was seen first is most likely the cause of the rest:",
        count(bursts.len() as u64, "burst")
    ));
    let row = |burst: &Burst<'_>| {
        let first = &burst.first.1.first;
        vec![
            moment(burst.from_ms).trim_end_matches(" UTC").to_owned(),
            duration(between(burst.from_ms, burst.until_ms)),
            number(burst.errors),
            number(burst.causes.len() as u64),
            format!("{} {}: {}", word(&first.side), word(&first.kind), first.message),
        ]
    };
    let rows = bursts.iter().take(BURSTS_LISTED).map(row).collect();
    doc.table(&["From (UTC)", ">Length", ">Errors", ">Causes", "First cause"], rows);
}

#[cfg(test)]
mod tests {
    use super::super::sample::{a_finding, failing};
    use super::*;

    const START: i64 = 1_767_225_600_000;
    const HOUR: i64 = 3_600_000;

    fn day(times: impl IntoIterator<Item = i64>) -> (Snapshot, FindingGroup) {
        let mut snapshot = failing();
        snapshot.run.ended_ms = Some(START + 24 * HOUR);
        snapshot.epochs.truncate(1);
        let mut times = times.into_iter();
        let mut group = FindingGroup::new(a_finding(times.next().unwrap(), 1));
        times.for_each(|at| group.add(&a_finding(at, 1)));
        (snapshot, group)
    }

    #[test]
    fn errors_behind_outages_are_no_chance_and_errors_anywhere_are() {
        let events: Vec<(i64, i64)> =
            (1..=6).map(|n| (START + n * 3 * HOUR, START + n * 3 * HOUR + AFTER_MS)).collect();
        let (snapshot, group) = day((1..=6).flat_map(|n| (0..5).map(move |k| START + n * 3 * HOUR + k * 9_000)));
        let found = with_events(&snapshot, &group, &events).unwrap();
        assert_eq!((found.near, found.all), (30, 30));
        assert!(found.p < 0.001 && found.expected < 12.0, "{} {}", found.p, found.expected);
        assert!(found.words("near").starts_with("30 of 30 errors, 6 of 6 bursts, near ("), "{}", found.words("near"));
        let (snapshot, group) = day((0..24).map(|n| START + n * HOUR + 1_900_000));
        let found = with_events(&snapshot, &group, &events).unwrap();
        assert!(found.p > RARE, "{} of {}, {}", found.near, found.all, found.p);
        assert!(found.words("near").contains("which chance explains"));
        assert!(with_events(&snapshot, &group, &[]).is_none());
    }

    #[test]
    fn one_burst_is_one_event_however_many_errors_it_has() {
        let (snapshot, group) = day((0..500).map(|n| START + 5 * HOUR + n));
        let found = with_events(&snapshot, &group, &[(START + 5 * HOUR - 500, START + 8 * HOUR)]).unwrap();
        assert_eq!((found.near, found.all), (500, 500));
        assert!(found.p > 0.1, "{}", found.p);
    }
}
