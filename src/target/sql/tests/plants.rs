use super::*;

const ADD: &str = "UPDATE a SET n = n + 1";
const ASK: &str = "SELECT n FROM a";

fn part(text: &str) -> String {
    text.into()
}

async fn planted(path: &Path, plants: Vec<Plant>) -> Pool {
    let pool = Pool::new(PoolSpec { plants, ..on_sqlite(path, Engine::Threads) });
    let mut lease = pool.get(soon()).await.unwrap();
    lease.script("CREATE TABLE a (n INTEGER); INSERT INTO a VALUES (0)").await.unwrap();
    drop(lease);
    pool
}

/// Adds one, and returns what the database says then.
async fn add(pool: &Pool, inside: bool) -> i64 {
    let mut lease = pool.get(soon()).await.unwrap();
    if inside {
        lease.begin(Access::Write).await.unwrap();
    }
    assert_eq!(lease.execute(ADD, &[]).await.unwrap(), 1);
    if inside {
        lease.commit().await.unwrap();
    }
    number(&mut lease, "SELECT MAX(n) FROM a").await
}

#[tokio::test]
async fn undone_and_doubled_writes_look_like_done_ones() {
    for inside in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let plants = vec![
            Plant::Undo { part: part("UPDATE a"), nth: 2, times: 2 },
            Plant::Twice { part: part("UPDATE a"), nth: 5, times: 1 },
        ];
        let pool = planted(&dir.path().join("a.db"), plants).await;
        let mut found = Vec::new();
        for _ in 0..6 {
            found.push(add(&pool, inside).await);
        }
        assert_eq!(found, [1, 1, 1, 2, 4, 5], "inside: {inside}");
    }
}

#[tokio::test]
async fn undone_queries_return_what_they_would_have_written() {
    let dir = tempfile::tempdir().unwrap();
    let plants = vec![Plant::Undo { part: part("RETURNING"), nth: 1, times: 1 }];
    let pool = planted(&dir.path().join("a.db"), plants).await;
    let mut lease = pool.get(soon()).await.unwrap();
    let sql = "INSERT INTO a VALUES (5) RETURNING n";
    assert_eq!(lease.query(sql, &[]).await.unwrap(), [vec![SqlValue::Int(5)]]);
    assert_eq!(number(&mut lease, "SELECT COUNT(*) FROM a").await, 1);
    lease.query(sql, &[]).await.unwrap();
    assert_eq!(number(&mut lease, "SELECT COUNT(*) FROM a").await, 2);
}

#[tokio::test]
async fn an_extra_row_is_in_the_answer_only() {
    let dir = tempfile::tempdir().unwrap();
    let plants = vec![Plant::Extra { part: part(ASK), nth: 2, times: 2 }];
    let pool = planted(&dir.path().join("a.db"), plants).await;
    let mut lease = pool.get(soon()).await.unwrap();
    let mut found = vec![lease.query(ASK, &[]).await.unwrap().len()];
    found.push(lease.query(ASK, &[]).await.unwrap().len());
    found.push(lease.stream(ASK, &[], 9).await.unwrap().len());
    found.push(lease.query(ASK, &[]).await.unwrap().len());
    assert_eq!(found, [1, 2, 2, 1]);
}

#[tokio::test]
async fn a_leaked_lease_is_never_given_back() {
    let dir = tempfile::tempdir().unwrap();
    // The first lease makes the table.
    let pool = planted(&dir.path().join("a.db"), vec![Plant::LeakLease { nth: 2 }]).await;
    for _ in 0..4 {
        drop(pool.get(soon()).await.unwrap());
    }
    assert_eq!(pool.counts(), PoolCounts { open: 2, leased: 1, opened: 2 });
    pool.close().await;
    assert_eq!(pool.counts(), PoolCounts { open: 1, leased: 1, opened: 2 });
}
