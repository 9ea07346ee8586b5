//! Gathers what the checks need, and says what people know at the end of a cycle.

use std::collections::BTreeMap;
use std::time::Instant;

use super::ledger::{Begin, CatalogLedger};
use super::settle::line;
use super::sql::{self, Found};
use crate::checker::catalog::scenarios::{figures, histogram};
use crate::checker::catalog::{Activity, EVIDENCE_MAX, Evidence, Resolution, judge};
use crate::engine::direct::course::{Ground, Verified};
use crate::model::lane::Lane;
use crate::target::sql::{SqlError, SqlValue};
use crate::workload::catalog::{CatalogSpec, digest};

/// Holds the database against the ledger.
pub(super) async fn verify(ground: &Ground<CatalogLedger>, spec: &CatalogSpec) -> Result<Verified, SqlError> {
    let (rows, meta) = {
        let mut lease = ground.pool.get(Instant::now() + ground.limit).await?;
        sql::all(&mut lease, spec.datasets + EVIDENCE_MAX as u32).await?
    };
    let (count, content) = (rows.len() as u64, content(&rows));
    let (open, dropped) = ground.journal.open_operations();
    let mut evidence = ground.journal.with(|ledger| gathered(ledger, spec));
    evidence.meta = meta.as_ref().and_then(SqlValue::int);
    evidence.odd_meta = meta.map(|odd| format!("version is {}, no whole number", odd.shown()));
    evidence.journal.dropped = dropped;
    evidence.journal.open_total = open.len() as u64;
    evidence.journal.open = open.iter().take(EVIDENCE_MAX).map(|(op, begin)| line(*op, begin)).collect();
    for (_, begin) in &open {
        if let Begin::Write(dataset, ..) = begin
            && let Some(of) = evidence.datasets.get_mut(*dataset as usize - 1)
        {
            of.open += 1;
        }
    }
    for Found { name, row, odd } in rows {
        match evidence.datasets.iter_mut().find(|dataset| dataset.name == name) {
            Some(dataset) => (dataset.row, dataset.odd) = (Some(row), odd),
            None => evidence.strangers.push(name),
        }
    }
    Ok(Verified { checks: judge(&evidence), rows: count, content })
}

/// Returns a digest of everything that stands there.
fn content(rows: &[Found]) -> String {
    let text = |Found { name, row, odd }: &Found| {
        let state = &row.state;
        let (version, total) = (state.version, row.total);
        let odd: Vec<&str> = odd.version.iter().chain(&odd.others).map(String::as_str).collect();
        let (content, odd) = (&state.content, odd.join(", "));
        format!("{name} {version} {content} {total} {} {}{odd}", state.writer, state.operation)
    };
    let lines: Vec<String> = rows.iter().map(text).collect();
    digest(&lines.iter().map(String::as_bytes).collect::<Vec<_>>())
}

/// Returns what the ledger knows.
fn gathered(ledger: &CatalogLedger, spec: &CatalogSpec) -> Evidence {
    let [monotonic, own_writes, staleness] = ledger.watched.clone();
    Evidence {
        datasets: ledger.evidence(),
        twice: ledger.twice.clone(),
        monotonic,
        own_writes,
        staleness,
        staleness_ms: spec.staleness_ms,
        resolution: resolution(ledger, spec),
        cleanup_clients: spec.clients,
        cleanup: ledger.cleanup.clone(),
        activity: Activity {
            clients: spec.clients,
            successful_writes: ledger.counts(Lane::ConcurrentWriters).writes,
            reads: ledger.counts(Lane::ReadHeavy).reads,
            timed: ledger.timed,
            versions: ledger.distinct().1,
        },
        journal: ledger.journal(),
        ..Evidence::default()
    }
}

fn resolution(ledger: &CatalogLedger, spec: &CatalogSpec) -> Resolution {
    let clients = || (1..=spec.clients).map(|no| (no, ledger.clients.get(&no).copied().unwrap_or_default()));
    let of = |which: fn(bool, bool) -> bool| {
        clients().filter(|(_, c)| which(c.succeeded, c.gave_up)).map(|(no, _)| no).collect()
    };
    Resolution {
        clients: spec.clients,
        attempts_max: spec.attempts.max(1),
        attempts: attempts(ledger),
        unresolved: of(|succeeded, gave_up| gave_up && !succeeded),
        interrupted: of(|succeeded, gave_up| !gave_up && !succeeded),
    }
}

/// Returns the clients of the lock resolution that wrote, by their attempts.
fn attempts(ledger: &CatalogLedger) -> BTreeMap<u32, u32> {
    let mut attempts = BTreeMap::new();
    for client in ledger.clients.values().filter(|client| client.succeeded) {
        *attempts.entry(client.attempts).or_default() += 1;
    }
    attempts
}

/// Returns the lines that people know, scenario by scenario.
pub(super) fn lines(ledger: &CatalogLedger) -> Vec<String> {
    let mut lines = Vec::new();
    let mut scenario = |name: &str, more: &[String]| {
        lines.push(format!("{name}:"));
        lines.extend(more.iter().map(|line| format!("  {line}")));
    };
    let writes = |lane| {
        let counts = ledger.counts(lane);
        let mut said = vec![
            format!("Successful writes: {}", counts.writes),
            format!("Conflicts detected: {}", counts.conflicts),
            format!("Errors: {}", counts.errors),
        ];
        if counts.locked > 0 {
            said.insert(2, format!("Locked: {}", counts.locked));
        }
        said
    };
    scenario("concurrent_writers", &writes(Lane::ConcurrentWriters));
    let read = ledger.counts(Lane::ReadHeavy);
    let mut said = vec![format!("Total reads: {}", read.reads)];
    if let Some((reads, ms)) = ledger.timed {
        said.push(format!("Reads/sec: {:.1}", reads as f64 * 1_000.0 / ms.max(1) as f64));
    }
    said.push(format!("Errors: {}", read.errors + read.locked));
    scenario("read_heavy", &said);
    let mut said = writes(Lane::LockResolution);
    said.push(histogram(&attempts(ledger)));
    scenario("lock_resolution", &said);
    let readers = ledger.counts(Lane::CacheReaders);
    let mut said = writes(Lane::CacheWriters);
    said.pop();
    said.push(format!("Total reads: {}", readers.reads));
    said.push(format!("Unique versions observed: {}", ledger.distinct().0));
    said.push(format!("Errors: {}", readers.errors + readers.locked + ledger.counts(Lane::CacheWriters).errors));
    scenario("cache_race", &said);
    let mut said = writes(Lane::ConnectionCleanup);
    said.insert(1, format!("Total reads: {}", ledger.counts(Lane::ConnectionCleanup).reads));
    if let Some(cleanup) = &ledger.cleanup {
        said.extend(figures(&cleanup.before, &cleanup.after));
    }
    scenario("connection_cleanup", &said);
    lines
}
