//! What is open in this process and at the server: what the database layer holds is judged, all else is shown.

use std::time::{Duration, Instant};

use super::ledger::CatalogLedger;
use super::process::{self, Crew};
use super::sql;
use crate::checker::catalog::{Cleanup, Figures};
use crate::engine::direct::course::Ground;
use crate::target::sql::{Backend, SqlError};

/// Longest wait for what ends a little later: a connection at the server, a thread.
const WAIT_MAX: Duration = Duration::from_secs(if cfg!(test) { 8 } else { 30 });
/// Longest wait for what other parts of the process may hold as well.
const OTHERS_WAIT: Duration = Duration::from_secs(1);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Measures what is open with all sessions closed, when what earlier scenarios opened has ended.
pub(super) async fn before(ground: &Ground<CatalogLedger>, crew: &Crew) -> Result<Figures, SqlError> {
    let deadline = Instant::now() + WAIT_MAX.min(ground.limit);
    loop {
        let figures = look(ground, crew).await?;
        if has_ended(&figures, &Figures::default()) || Instant::now() >= deadline {
            return Ok(figures);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Measures what is open afterwards, when all has been read once more.
pub(super) async fn after(
    ground: &Ground<CatalogLedger>,
    crew: &Crew,
    datasets: u32,
    before: Figures,
) -> Result<Cleanup, SqlError> {
    let readable = {
        let mut lease = ground.pool.get(Instant::now() + ground.limit).await?;
        sql::readable(&mut lease, datasets).await?
    };
    let started = Instant::now();
    loop {
        let after = look(ground, crew).await?;
        let others = |figures: &Figures| figures.descriptors.saturating_sub(figures.database_descriptors);
        let quiet = others(&after) <= others(&before) && after.threads <= before.threads;
        let waited = started.elapsed();
        if (has_ended(&after, &before) && (quiet || waited >= OTHERS_WAIT)) || waited >= WAIT_MAX.min(ground.limit) {
            return Ok(Cleanup { before, after, readable, datasets });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Returns true if nothing more is there than before, but for what sessions hold that do not end by themselves.
fn has_ended(now: &Figures, before: &Figures) -> bool {
    let held = now.sessions.saturating_sub(before.sessions);
    now.connections.unwrap_or(0) <= before.connections.unwrap_or(0) + held
        && now.sockets <= before.sockets + held
        && now.session_threads <= before.session_threads + held
        && now.worker_threads <= before.worker_threads
}

async fn look(ground: &Ground<CatalogLedger>, crew: &Crew) -> Result<Figures, SqlError> {
    let pool = &ground.pool;
    let (mut connections, mut others) = (None, Vec::new());
    if let Backend::Postgres { .. } = &pool.spec().backend {
        // Before the sessions are closed only this one may be there, after it is closed none.
        pool.close().await;
        let mut lease = pool.get(Instant::now() + ground.limit).await?;
        others = sql::others(&mut lease).await?;
        connections = Some(sql::connections(&mut lease, false).await?);
    }
    pool.close().await;
    let links = process::descriptors();
    let (database_descriptors, sockets) = match &pool.spec().backend {
        Backend::Sqlite { path, .. } => (process::of_file(&links, path), 0),
        Backend::Postgres { url, .. } => (0, process::sockets(&links, &url.ports(), &others)),
    };
    Ok(Figures {
        // The directory itself is one of them, and is closed again.
        descriptors: links.len().saturating_sub(1) as u64,
        threads: process::threads(),
        database_descriptors,
        sockets,
        session_threads: process::threads_named(pool.thread()),
        worker_threads: crew.alive(),
        sessions: u64::from(pool.counts().open),
        connections,
    })
}
