use std::sync::mpsc;

use super::*;
use crate::model::finding::Kind;

const ENGINES: [Engine; 2] = [Engine::Threads, Engine::Async];
const FOR_EVER: &str = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT COUNT(*) FROM c";

#[tokio::test]
async fn does_what_every_database_must() {
    for engine in ENGINES {
        for journal in [Journal::Rollback, Journal::Wal] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.db");
            let backend = Backend::Sqlite { path: path.clone(), journal, busy_ms: 5000, foreign_keys: true };
            suite::holds(&Pool::new(spec(backend, engine))).await;
            // The mode is the file's own.
            let other = rusqlite::Connection::open(&path).unwrap();
            let mode: String = other.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
            assert_eq!(mode, if journal == Journal::Wal { "wal" } else { "delete" });
        }
    }
}

#[tokio::test]
async fn foreign_keys_are_an_option() {
    for keys in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (path, journal) = (dir.path().join("a.db"), Journal::Rollback);
        let pool = Pool::new(spec(Backend::Sqlite { path, journal, busy_ms: 0, foreign_keys: keys }, Engine::Threads));
        let mut lease = pool.get(soon()).await.unwrap();
        let tables = "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a INTEGER REFERENCES a (id))";
        lease.script(tables).await.unwrap();
        let done = lease.execute("INSERT INTO b (a) VALUES ($1)", &[SqlValue::Int(9)]).await;
        let code = done.err().and_then(|error| error.code);
        assert_eq!(code.as_deref(), keys.then_some("SQLITE_CONSTRAINT_FOREIGNKEY"));
    }
}

#[tokio::test]
async fn a_lock_is_waited_for_until_the_deadline() {
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let pool = Pool::new(on_sqlite(&dir.path().join("a.db"), engine));
        let (mut one, mut two) = (pool.get(soon()).await.unwrap(), pool.get(soon()).await.unwrap());
        one.begin(Access::Write).await.unwrap();
        // The busy time is longer than what is left.
        two.until(brief());
        let begun = Instant::now();
        let error = failed(two.begin(Access::Write).await);
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        assert_eq!((error.kind, error.code.as_deref()), (Kind::Locked, Some("SQLITE_BUSY")), "{engine:?}");
        assert!(!error.lost && !error.uncertain && !two.is_lost());
        one.commit().await.unwrap();
        two.until(soon());
        two.begin(Access::Write).await.unwrap();
        two.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_reader_that_would_write_on_an_old_snapshot_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let pool = Pool::new(on_sqlite(&dir.path().join("a.db"), Engine::Threads));
    let (mut one, mut two) = (pool.get(soon()).await.unwrap(), pool.get(soon()).await.unwrap());
    one.script("CREATE TABLE a (n)").await.unwrap();
    two.begin(Access::Read).await.unwrap();
    two.query("SELECT n FROM a", &[]).await.unwrap();
    one.execute("INSERT INTO a VALUES (1)", &[]).await.unwrap();
    let error = failed(two.execute("INSERT INTO a VALUES (2)", &[]).await);
    assert_eq!((error.kind, error.code.as_deref()), (Kind::Locked, Some("SQLITE_BUSY_SNAPSHOT")));
}

#[tokio::test]
async fn a_statement_that_runs_for_ever_is_interrupted() {
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let pool = Pool::new(on_sqlite(&dir.path().join("a.db"), engine));
        let mut lease = pool.get(soon()).await.unwrap();
        lease.script("CREATE TABLE a (n)").await.unwrap();
        lease.begin(Access::Write).await.unwrap();
        lease.execute("INSERT INTO a VALUES (1)", &[]).await.unwrap();
        lease.until(brief());
        let error = failed(lease.query(FOR_EVER, &[]).await);
        assert_eq!((error.kind, error.code.as_deref()), (Kind::Timeout, Some("SQLITE_INTERRUPT")), "{engine:?}");
        assert!(!error.lost && !error.uncertain);
        lease.rollback().await;
        // A rollback gives no time back.
        assert_eq!(failed(lease.query(FOR_EVER, &[]).await).kind, Kind::Timeout);
        lease.until(soon());
        assert_eq!(number(&mut lease, "SELECT COUNT(*) FROM a").await, 0);
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_takes_its_session_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let pool = Pool::new(on_sqlite(&dir.path().join("a.db"), Engine::Async));
    let mut lease = pool.get(soon()).await.unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(20), lease.query(FOR_EVER, &[])).await;
    assert!(given_up.is_err() && lease.is_lost());
    assert!(failed(lease.query("SELECT 1", &[]).await).lost);
    drop(lease);
    let mut lease = pool.get(soon()).await.unwrap();
    assert_eq!(number(&mut lease, "SELECT 1").await, 1);
    assert_eq!(pool.counts(), PoolCounts { open: 1, leased: 1, opened: 2 });
    drop(lease);
    // The statement of the first session would run for ever; closing ends it.
    pool.close().await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let corrupt = dir.path().join("corrupt.db");
    std::fs::write(&corrupt, [b'x'; 9000]).unwrap();
    let cases = [
        (corrupt, Kind::Corrupt, "SQLITE_NOTADB", "is not a sound SQLite database"),
        (dir.path().join("missing/a.db"), Kind::Config, "SQLITE_CANTOPEN", "Look whether its directory exists"),
        (dir.path().to_owned(), Kind::Config, "SQLITE_CANTOPEN", "whether it is a file"),
    ];
    for engine in ENGINES {
        for (path, kind, code, words) in &cases {
            let pool = Pool::new(on_sqlite(path, engine));
            let error = failed(pool.get(soon()).await);
            let found = error.code.clone().unwrap_or_default();
            assert!(error.kind == *kind && found.starts_with(code) && error.message.contains(words), "{error}");
            assert!(error.message.contains(path.to_str().unwrap()), "{error}");
            assert_eq!(pool.counts(), PoolCounts::default());
        }
    }
}

#[tokio::test]
async fn a_file_that_can_only_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE a (n)").unwrap();
    let mut rights = std::fs::metadata(&path).unwrap().permissions();
    rights.set_readonly(true);
    std::fs::set_permissions(&path, rights).unwrap();
    // Rights do not stop root.
    let file = if std::fs::OpenOptions::new().write(true).open(&path).is_ok() { None } else { Some(path) };
    let Some(path) = file else { return };
    let error = failed(Pool::new(on_sqlite(&path, Engine::Threads)).get(soon()).await);
    assert_eq!((error.kind, error.code.as_deref()), (Kind::Config, Some("SQLITE_READONLY")));
    assert!(error.message.contains("Let the user that soakd runs as write"), "{error}");
}

#[test]
fn many_threads_open_a_new_file_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let pool = Pool::new(PoolSpec { size: 8, ..on_sqlite(&dir.path().join("a.db"), Engine::Threads) });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (said, heard) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let (pool, handle, said) = (&pool, runtime.handle().clone(), said.clone());
            scope.spawn(move || {
                let done = handle.block_on(async {
                    let mut lease = pool.get(soon()).await?;
                    lease.begin(Access::Write).await?;
                    lease.script("CREATE TABLE IF NOT EXISTS a (n)").await?;
                    lease.execute("INSERT INTO a VALUES (1)", &[]).await?;
                    lease.commit().await
                });
                said.send(done).unwrap();
            });
        }
    });
    drop(said);
    assert!(heard.iter().all(|done| done == Ok(())));
    let mut lease = runtime.block_on(pool.get(soon())).unwrap();
    assert_eq!(runtime.block_on(number(&mut lease, "SELECT COUNT(*) FROM a")), 8);
}

#[tokio::test]
async fn values_of_other_types_are_described_and_never_written() {
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let pool = Pool::new(on_sqlite(&dir.path().join("a.db"), engine));
        let mut lease = pool.get(soon()).await.unwrap();
        let row = lease.query("SELECT x'00ff', CAST(x'ff' AS TEXT), zeroblob(1000), 1", &[]).await.unwrap().remove(0);
        let shown: Vec<String> = row.iter().map(SqlValue::shown).collect();
        let zeros = format!("a blob of 1000 bytes: {}…", "00".repeat(12));
        assert_eq!(shown, ["a blob of 2 bytes: 00ff", "text that is not UTF-8 of 1 byte: ff", &zeros, "1"]);
        let odd = &row[0];
        assert!(odd.int().is_none() && odd.real().is_none() && odd.text().is_none() && odd.bool().is_none());
        assert!(odd.uuid().is_none() && odd.time().is_none());
        let error = failed(lease.query("SELECT $1", &row[..1]).await);
        assert!(error.message.contains("cannot be written") && !error.lost, "{error}");
    }
}
