//! What is open in this process and at the server.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::ledger::CatalogLedger;
use super::sql;
use crate::checker::catalog::{Cleanup, Figures};
use crate::engine::direct::course::Ground;
use crate::target::sql::{Backend, Pool, SqlError};
use crate::workload::catalog::dataset_name;

/// Longest wait for what ends a little later: a connection at the server, a thread.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Longest wait for what other parts of the process may hold as well.
const OTHERS_WAIT: Duration = Duration::from_secs(1);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Measures what is open with all sessions closed, when what earlier scenarios opened has ended.
pub(super) async fn before(ground: &Ground<CatalogLedger>) -> Result<Figures, SqlError> {
    let deadline = Instant::now() + WAIT_MAX.min(ground.limit);
    loop {
        let figures = look(ground).await?;
        if figures.connections.unwrap_or(0) <= figures.sessions || Instant::now() >= deadline {
            return Ok(figures);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Measures what is open afterwards, when all has been read once more.
pub(super) async fn after(ground: &Ground<CatalogLedger>, datasets: u32, before: Figures) -> Result<Cleanup, SqlError> {
    let readable = {
        let mut lease = ground.pool.get(Instant::now() + ground.limit).await?;
        let rows = sql::list(&mut lease, datasets + 1).await?;
        (1..=datasets).filter(|no| rows.iter().any(|(name, _)| *name == dataset_name(*no))).count() as u32
    };
    let started = Instant::now();
    loop {
        let after = look(ground).await?;
        // A connection whose session is still held does not end by itself.
        let held = after.sessions.saturating_sub(before.sessions);
        let ended = after.connections.unwrap_or(0) <= before.connections.unwrap_or(0) + held;
        let others = |figures: &Figures| figures.descriptors.saturating_sub(figures.database_descriptors);
        let quiet = others(&after) <= others(&before) && after.threads <= before.threads;
        let waited = started.elapsed();
        if (ended && (quiet || waited >= OTHERS_WAIT)) || waited >= WAIT_MAX.min(ground.limit) {
            return Ok(Cleanup { before, after, readable, datasets });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look(ground: &Ground<CatalogLedger>) -> Result<Figures, SqlError> {
    let pool = &ground.pool;
    let connections = match &pool.spec().backend {
        Backend::Sqlite { .. } => None,
        Backend::Postgres { .. } => {
            // Before the sessions are closed only this one may be there, after it is closed none.
            pool.close().await;
            let mut lease = pool.get(Instant::now() + ground.limit).await?;
            Some(sql::connections(&mut lease, &pool.spec().application, false).await?)
        }
    };
    pool.close().await;
    let (descriptors, database_descriptors) = descriptors(pool);
    let threads = fs::read_dir("/proc/self/task").map_or(0, |entries| entries.count() as u64);
    let sessions = u64::from(pool.counts().open);
    Ok(Figures { descriptors, threads, database_descriptors, sessions, connections })
}

/// Returns the descriptors of this process, and those that lead to the files of a SQLite database.
fn descriptors(pool: &Pool) -> (u64, u64) {
    let file = match &pool.spec().backend {
        Backend::Sqlite { path, .. } => Some(fs::canonicalize(path).unwrap_or_else(|_| path.clone())),
        Backend::Postgres { .. } => None,
    };
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return (0, 0) };
    // The directory itself is one of them, and is closed again.
    let links: Vec<PathBuf> = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
    let of_database = |link: &&PathBuf| {
        let link = link.as_os_str().as_bytes();
        let rest = file.as_ref().and_then(|file| link.strip_prefix(file.as_os_str().as_bytes()));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"-") || rest.starts_with(b" "))
    };
    let own = links.iter().filter(of_database).count();
    (links.len().saturating_sub(1) as u64, own as u64)
}
