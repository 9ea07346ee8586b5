//! Sections about a run that several kinds of mail share: what was running, outages, log lines, and how to get there again.

use std::collections::BTreeSet;

use super::Letter;
use super::charts::Charts;
use super::page::Page;
use super::subject::so_far;
use super::words::{ago, length, line, moment};
use crate::model::ids::DbNo;
use crate::model::incident::Incident;
use crate::model::record::{LogTail, Outage, ScaleRecord, Snapshot};
use crate::model::verdict::Verdict;
use crate::observe::report::headline;
use crate::observe::report::words::{between, count, number, ranges};

/// How far around an incident outages are looked for.
const AROUND_MS: i64 = 30 * 60_000;
/// Outages listed.
const OUTAGES_MAX: usize = 10;
/// Databases whose log is shown, and lines of the beginning and of the end of each.
const LOGS_MAX: usize = 2;
const LOG_LINES: usize = 10;

/// Adds what was running when an incident was seen, or what a summary is about.
pub(super) fn running(page: &mut Page, letter: &Letter, incident: Option<&Incident>) {
    page.heading("What was running");
    let Some(snapshot) = &letter.snapshot else {
        page.paragraph("No run is kept any more that this could be said of.");
        return;
    };
    let (run, scale) = (&snapshot.run, &snapshot.run.scale);
    if let Some(other) = incident.filter(|incident| incident.run != run.run) {
        page.paragraph(format!(
            "The incident was seen in run {}; the newest run is another one:",
            line(&other.run, 60)
        ));
    }
    let state = match run.verdict {
        Some(verdict) => format!("ended: {verdict} ({})", run.ended_because.as_deref().unwrap_or("no reason is known")),
        None => format!("in {} of cycle {}, {} so far", run.phase.word(), number(run.cycle), so_far(snapshot)),
    };
    let (size, mode, target) = scaled(scale);
    let mut facts = vec![
        ("Run", format!("{} ({})", run.name, run.run)),
        ("Schedule", run.schedule.clone().unwrap_or_else(|| "none, started by hand or continuous".to_owned())),
        ("Started", format!("{}, {}", moment(run.started_ms, letter.zone), ago(run.started_ms, letter.now_ms))),
        ("State", state),
        ("Seed", run.seed.to_string()),
        ("Scale", size),
        ("Mode", mode),
        ("Target", target),
        ("Versions", versions(snapshot)),
        ("Criteria", criteria(snapshot)),
        ("Machine", letter.host.clone()),
    ];
    if !snapshot.receipt.is_empty() {
        // Kept in a mailbox, it tells whether a receipt was rewritten since then.
        facts.push(("Receipt", line(&snapshot.receipt, 64)));
    }
    page.facts(facts);
}

/// Returns size, mode and target of a run.
fn scaled(scale: &ScaleRecord) -> (String, String, String) {
    let (rows, iterations) = (number(scale.rows.into()), number(scale.iterations.into()));
    if scale.is_direct() {
        let workers = count(scale.users.into(), "worker");
        let size = format!("{}: {rows} rows at the start, {iterations} s, {workers}", scale.scale);
        return (size, scale.mode.clone(), scale.provider.clone());
    }
    let (databases, users) = (count(scale.databases.into(), "database"), count(scale.users.into(), "user"));
    let size = format!("{}: {rows} rows × {iterations} iterations, {databases}, {users}", scale.scale);
    let rls = if scale.rls { "on" } else { "off" };
    let mode = format!("{}, row-level security {rls}", scale.mode);
    (size, mode, format!("{}, {} provider", scale.target, scale.provider))
}

/// Returns how many criteria came to what, and what the first that failed says.
fn criteria(snapshot: &Snapshot) -> String {
    let Some(judgement) = &snapshot.judgement else { return "not judged yet".to_owned() };
    let of = |verdict| judgement.results.iter().filter(move |result| result.verdict == Some(verdict));
    let counts = [(Verdict::Fail, "fail"), (Verdict::Inconclusive, "cannot be told"), (Verdict::Pass, "hold")];
    let counts = counts.map(|(verdict, what)| (of(verdict).count() as u64, what));
    let counts: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", number(*n))).collect();
    match (counts.is_empty(), of(Verdict::Fail).next()) {
        (true, _) => "none is judged".to_owned(),
        (false, Some(failed)) => format!("{}; {}", counts.join(", "), line(&failed.summary, 160)),
        (false, None) => counts.join(", "),
    }
}

pub(super) fn versions(snapshot: &Snapshot) -> String {
    let versions = &snapshot.run.versions;
    let named = [
        ("soakd ", &versions.soakd),
        ("SQLite ", &versions.sqlite),
        ("provider ", &versions.provider),
        ("server ", &versions.server),
    ];
    let known = named.into_iter().filter(|(_, version)| !version.is_empty());
    known.map(|(name, version)| format!("{name}{}", line(version, 80))).collect::<Vec<_>>().join(", ")
}

/// Adds the outages around an incident, and the faults that are injected now.
pub(super) fn surroundings(page: &mut Page, letter: &Letter, incident: &Incident) {
    page.heading("Outages and faults around it");
    let (from, until) = (incident.opened_ms.saturating_sub(AROUND_MS), incident.last_ms.saturating_add(AROUND_MS));
    let overlaps = |out: &&Outage| out.from_ms <= until && out.until_ms.is_none_or(|end| end >= from);
    let near: Vec<&Outage> = letter.snapshot.iter().flat_map(|snapshot| &snapshot.outages).filter(overlaps).collect();
    if near.is_empty() {
        page.paragraph("The target answered all the time, from 30 minutes before it was first seen to 30 minutes after it was last seen.");
    }
    outages(page, letter, near.into_iter());
    if letter.faults.is_empty() {
        page.paragraph("soakd injects no fault now.");
    } else {
        page.paragraph("Faults that soakd injects now:");
        page.list(letter.faults.iter().map(String::as_str));
    }
}

/// Adds a table of outages, the last ones.
pub(super) fn outages<'a>(page: &mut Page, letter: &Letter, all: impl ExactSizeIterator<Item = &'a Outage>) {
    let skipped = all.len().saturating_sub(OUTAGES_MAX);
    if skipped > 0 {
        page.paragraph(format!(
            "{} not listed; the JSON report has all that are kept.",
            count(skipped as u64, "earlier outage")
        ));
    }
    let rows = all.skip(skipped).map(|out| {
        let lasted = length(between(out.from_ms, out.until_ms.unwrap_or(letter.now_ms)));
        let lasted = if out.until_ms.is_none() { format!("{lasted}, still lasts") } else { lasted };
        vec![moment(out.from_ms, letter.zone), lasted, out.reason.clone()]
    });
    page.table(&["No answer from", "For", "Reason"], rows);
}

/// Adds charts, and says which are missing.
pub(super) fn trends(page: &mut Page, charts: &Charts) {
    page.heading("Trends");
    for (caption, image) in &charts.drawn {
        page.chart(&image.cid, caption, &image.alt);
    }
    if !charts.missing.is_empty() {
        page.paragraph(format!("Not drawn: {}", charts.missing.join(" ")));
    }
}

/// Returns the databases that an incident concerns, those that it names first.
pub(super) fn concerned(incident: &Incident, snapshot: Option<&Snapshot>) -> Vec<DbNo> {
    let mut all: Vec<DbNo> = incident.first.db.into_iter().collect();
    for text in std::iter::once(&incident.title).chain(&incident.evidence) {
        all.extend(named(text));
    }
    let groups = snapshot.iter().flat_map(|snapshot| &snapshot.findings);
    let mut counted: Vec<(u64, DbNo)> = groups
        .filter(|group| incident.causes.contains_key(&group.cause) || group.cause == incident.cause)
        .flat_map(|group| group.by_db.iter().map(|(db, n)| (*n, *db)))
        .collect();
    counted.sort_by(|a, b| b.cmp(a));
    all.extend(counted.into_iter().map(|(_, db)| db));
    let mut seen = BTreeSet::from([0]);
    all.retain(|db| seen.insert(*db));
    all
}

/// Returns the databases that a text names as `DB7` or `database 7`.
fn named(text: &str) -> Vec<DbNo> {
    let text: String = text.chars().take(1000).collect();
    let numbers =
        ["DB", "database "].into_iter().flat_map(|word| text.match_indices(word).map(move |(at, _)| at + word.len()));
    let number = |at: usize| {
        let digits: String = text[at..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    numbers.filter_map(number).collect()
}

/// Adds the first and last log lines of databases.
pub(super) fn logs(page: &mut Page, snapshot: Option<&Snapshot>, databases: &[DbNo]) {
    let tails = || snapshot.iter().flat_map(|snapshot| &snapshot.logs).filter(|(_, tail)| !tail.first.is_empty());
    let mut shown: Vec<(&DbNo, &LogTail)> =
        databases.iter().filter_map(|db| tails().find(|(known, _)| *known == db)).take(LOGS_MAX).collect();
    if databases.is_empty() {
        shown = tails().take(1).collect();
    }
    if shown.is_empty() {
        page.heading("Log lines");
        page.paragraph("No log line is kept of the databases concerned.");
        return;
    }
    page.heading("Log lines, first and last");
    for (db, tail) in shown {
        page.paragraph(format!("Database {db}:"));
        let (lines, dropped) = ends(tail);
        let gap = format!("… {} in between …", count(dropped, "line"));
        let (first, last) = lines.split_at(lines.len().min(LOG_LINES));
        let gap = (dropped > 0).then_some(gap.as_str());
        page.verbatim(first.iter().copied().chain(gap).chain(last.iter().copied()));
    }
}

/// Returns the first and the last lines, and how many are left out between them.
fn ends(tail: &LogTail) -> (Vec<&str>, u64) {
    let all: Vec<&str> = tail.first.iter().chain(&tail.last).map(String::as_str).collect();
    if all.len() <= 2 * LOG_LINES {
        return (all, tail.dropped);
    }
    let hidden = (all.len() - 2 * LOG_LINES) as u64;
    let last = all.len() - LOG_LINES;
    (all[..LOG_LINES].iter().chain(&all[last..]).copied().collect(), tail.dropped.saturating_add(hidden))
}

/// Adds what to put where and what to start to get the same run again.
pub(super) fn again(page: &mut Page, letter: &Letter, cycle: Option<u64>) {
    page.heading("How to reproduce");
    let Some(snapshot) = &letter.snapshot else {
        page.paragraph("The run is not kept any more, and its seed with it.");
        return;
    };
    let run = &snapshot.run;
    let cycle = cycle.filter(|cycle| *cycle > 0);
    let until = cycle.map(|cycle| format!(" --cycles {cycle}")).unwrap_or_default();
    let config = shell_word(&letter.config);
    let mut commands = vec![format!("cp {config} again.toml")];
    commands.push(format!("# in again.toml, below [run]:   seed = {}", run.seed));
    if let Some(schedule) = &run.schedule {
        commands.push(format!("# and what stands in [schedule.{}.…] goes to the main sections", line(schedule, 64)));
    }
    commands.push(format!("soakd run -c again.toml --state-dir soakd-again --fresh{until}"));
    page.verbatim(commands.iter().map(String::as_str));
    let upto = cycle
        .map(|cycle| format!("Every cycle has its own plan from the seed, so it runs up to cycle {}. ", number(cycle)));
    let pace = if run.config.get("workload.sync.pace").is_some_and(|pace| pace.contains("lockstep")) {
        "The pace is lockstep: the same rows are written in the same order."
    } else {
        "The pace is concurrent: the steps are the same, their order in time is not; `pace = \"lockstep\"` below \
         [workload.sync] fixes the order as well."
    };
    page.paragraph(format!(
        "{}{pace} With a service that the daemon uses too, stop the daemon first: two runs on the same tables disturb each other.",
        upto.unwrap_or_default()
    ));
}

/// Returns a word that a shell takes as it is.
fn shell_word(text: &str) -> String {
    let text = line(if text.is_empty() { "soakd.toml" } else { text }, 200);
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@".contains(c));
    if plain { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Adds where the reports are, and what is attached.
pub(super) fn reports(page: &mut Page, letter: &Letter, attached: Result<(), &str>) {
    page.heading("Where to read on");
    let Some(snapshot) = &letter.snapshot else {
        page.verbatim([format!("soakd runs -c {}", shell_word(&letter.config)).as_str()]);
        return;
    };
    let run = line(&snapshot.run.run, 80);
    let dir = if letter.state_dir.is_empty() { "STATE_DIR".to_owned() } else { line(&letter.state_dir, 200) };
    page.verbatim([
        format!("{dir}/reports/{run}/report.txt").as_str(),
        format!("soakd report -c {} {run}", shell_word(&letter.config)).as_str(),
    ]);
    match attached {
        Ok(()) => page.paragraph(
            "The JSON report of the run is attached: all checks, causes, cycles and log lines that are kept.",
        ),
        Err(why) => page.paragraph(why),
    }
}

/// Returns the databases of a run with errors, in words.
pub(super) fn databases(numbers: &[DbNo]) -> String {
    let sorted: BTreeSet<DbNo> = numbers.iter().copied().collect();
    line(&ranges(sorted), 200)
}

/// Returns the headline of a run as a sentence.
pub(super) fn reason(snapshot: &Snapshot) -> String {
    headline(snapshot).reason
}
