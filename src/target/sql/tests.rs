mod plants;
mod pool;
mod postgres;
mod sqlite;
mod suite;

use std::path::Path;
use std::time::{Duration, Instant};

use super::*;

/// Returns a deadline that no test is to reach.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Returns a deadline that is to be reached.
fn brief() -> Instant {
    Instant::now() + Duration::from_secs(1)
}

fn spec(backend: Backend, engine: Engine) -> PoolSpec {
    let (limit, application) = (Duration::from_secs(60), "soakd test".into());
    PoolSpec { backend, engine, size: 4, limit, application, plants: Vec::new() }
}

fn on_sqlite(path: &Path, engine: Engine) -> PoolSpec {
    let (path, journal) = (path.to_owned(), Journal::Wal);
    spec(Backend::Sqlite { path, journal, busy_ms: 60_000, foreign_keys: true }, engine)
}

fn on_postgres(url: String, isolation: Isolation) -> PoolSpec {
    spec(Backend::Postgres { url: Url(url), isolation }, Engine::Async)
}

fn text(text: &str) -> SqlValue {
    SqlValue::Text(text.into())
}

async fn number(session: &mut Session, sql: &'static str) -> i64 {
    session.query(sql, &[]).await.unwrap()[0][0].int().unwrap()
}

/// Returns the error of something of which the value says nothing.
fn failed<T>(done: Result<T, SqlError>) -> SqlError {
    done.err().expect("it was to fail")
}

/// Waits for what others do, without a look at the clock that would decide anything.
async fn until(mut reached: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !reached().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never happened");
        tokio::task::yield_now().await;
    }
}

fn entries(dir: &str) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

#[test]
fn ports_are_those_of_addresses_with_one() {
    let ports = |url: &str| Url(url.into()).ports();
    assert_eq!(ports("postgres://me@host/db"), [5432]);
    assert_eq!(ports("postgres://me@host:6000,other:6001/db"), [6000, 6001]);
    assert_eq!(ports("hostaddr=127.0.0.1 port=7 user=me"), [7]);
    assert!(ports("host=/run/postgresql port=6000 user=me").is_empty() && ports("nonsense").is_empty());
}
