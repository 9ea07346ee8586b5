use std::time::Instant;

use super::super::testing::{pull, push, shown};
use super::super::{Pull, Push, store_suite};
use super::*;
use crate::target::embedded::proto::Batch;

#[tokio::test]
async fn does_what_every_store_must() {
    let dir = tempfile::tempdir().unwrap();
    store_suite::run(|name| {
        let path = dir.path().join(name);
        async move { SqliteStore::open(&path, &TableSpec::seed(), true).unwrap() }
    })
    .await;
}

#[tokio::test]
async fn a_store_that_is_opened_again_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let open = || SqliteStore::open(&dir.path().join("s.db"), &TableSpec::seed(), true).unwrap();
    let store = open();
    let first = store.push(push("u1", "one", 1, &[("a", Some("u1"), 1), ("b", Some("u2"), 1)])).await.unwrap();
    // No close: as if the process had been killed.
    let again = open();
    assert_eq!(again.push(push("u1", "one", 1, &[("a", Some("u1"), 2)])).await.unwrap(), first);
    assert_eq!(again.push(push("u1", "one", 2, &[("c", Some("u1"), 3)])).await.unwrap().seq_first, 2);
    assert_eq!(shown(&again.pull(pull("u1", "two", 0)).await.unwrap().batch), ["a=1", "c=3"]);
}

#[tokio::test]
async fn pushes_at_the_same_time_all_count() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&dir.path().join("s.db"), &TableSpec::seed(), false).unwrap());
    let tasks = (0..40).map(|i| {
        let store = Arc::clone(&store);
        tokio::spawn(
            async move { store.push(push("", &format!("c{i}"), 1, &[(&format!("k{i}"), Some("u"), i)])).await },
        )
    });
    for task in tasks.collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap().unwrap().applied, 1);
    }
    let page = store.pull(pull("", "x", 0)).await.unwrap();
    assert_eq!((page.batch.len(), page.next), (40, 40));
}

#[tokio::test]
async fn one_statement_at_a_time_and_a_dropped_table_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("s.db"), &TableSpec::seed(), true).unwrap();
    for bad in [
        "BEGIN",
        "SELECT 1; DELETE FROM test_sync",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    ] {
        assert!(matches!(store.sql(bad.into()).await, Err(StoreError::BadRequest(_))), "{bad}");
    }
    store.sql("DROP TABLE test_sync".into()).await.unwrap();
    store.sql("CREATE TABLE IF NOT EXISTS test_sync (id TEXT PRIMARY KEY)".into()).await.unwrap();
    assert_eq!(store.push(push("u1", "one", 1, &[("a", Some("u1"), 1)])).await.unwrap().applied, 1);
}

#[tokio::test]
async fn the_log_is_checkpointed_unless_that_is_planted() {
    let mut sizes = Vec::new();
    for wal_pages in [Some(50), Some(0)] {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open_with(&dir.path().join("s.db"), &TableSpec::seed(), true, wal_pages).unwrap();
        for no in 1..=100 {
            store.push(push("u1", "one", no, &[(&format!("k{no}"), Some("u1"), 1)])).await.unwrap();
        }
        sizes.push(std::fs::metadata(dir.path().join("s.db-wal")).unwrap().len() / 4096);
    }
    assert!(sizes[0] < 100 && sizes[1] > 300, "{sizes:?}");
}

/// `cargo test --release -- --ignored --nocapture speed`: microseconds per row.
#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn speed_of_the_store() {
    const ROWS: usize = 1_000_000;
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("s.db"), &TableSpec::seed(), true).unwrap();
    let owner = crate::model::ids::user_id(1);
    let mut number = 0;
    for (what, value) in [("insert", Some(1)), ("update", Some(2)), ("delete", None)] {
        let mut spent = std::time::Duration::ZERO;
        for start in (0..ROWS).step_by(4000) {
            let mut batch = Batch::default();
            for i in start..start + 4000 {
                let key = format!("db1_r{}_{}", i / 100_000, i % 100_000);
                match value {
                    Some(n) => batch.upsert(
                        &key,
                        [Cell::Text(&key), Cell::Text(&owner), Cell::Text("w1.1.1"), Cell::Int(n)].into_iter(),
                    ),
                    None => batch.delete(&key),
                }
            }
            number += 1;
            let request = Push { batch, ..push(&owner, "one", number, &[]) };
            let begin = Instant::now();
            store.push(request).await.unwrap();
            spent += begin.elapsed();
        }
        println!("{what:>8}: {:.2} us/row", spent.as_secs_f64() * 1e6 / ROWS as f64);
        let (begin, mut after, mut rows) = (Instant::now(), (number - 250) * 4000, 0);
        loop {
            let page = store.pull(Pull { limit_bytes: 1 << 20, ..pull(&owner, "two", after) }).await.unwrap();
            (after, rows) = (page.next, rows + page.batch.len());
            if !page.more {
                break;
            }
        }
        println!("    pull: {:.2} us/row ({rows} rows)", begin.elapsed().as_secs_f64() * 1e6 / rows as f64);
    }
}
