//! What sessions do the same, whatever they lead to.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::*;
use crate::model::finding::{Kind, Side};

/// Holds a pool with an empty database against all that is common.
pub(super) async fn holds(pool: &Pool) {
    values(pool).await;
    order_of_parameters(pool).await;
    uniqueness(pool).await;
    transactions(pool).await;
    streams(pool).await;
    mistakes(pool).await;
    nothing_begins_too_late(pool).await;
    assert_eq!(pool.counts().leased, 0);
    pool.close().await;
    assert_eq!(pool.counts().open, 0);
}

async fn values(pool: &Pool) {
    let mut lease = pool.get(soon()).await.unwrap();
    let types = match lease.dialect() {
        Dialect::Sqlite => ["INTEGER", "REAL", "TEXT", "INTEGER", "TEXT", "TEXT"],
        Dialect::Postgres => ["BIGINT", "DOUBLE PRECISION", "TEXT", "BOOLEAN", "UUID", "TIMESTAMPTZ"],
    };
    let [a, b, c, d, e, f] = types;
    let table = format!("CREATE TABLE kinds (n BIGINT PRIMARY KEY, a {a}, b {b}, c {c}, d {d}, e {e}, f {f})");
    lease.script(&table).await.unwrap();
    let time = |text: &str| SqlValue::Time(DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc));
    let rows = [
        [i64::MAX.into_value(), SqlValue::Real(0.1), text("é'\"\n\\ 漢"), SqlValue::Bool(true)],
        [i64::MIN.into_value(), SqlValue::Real(-1.5e308), text(""), SqlValue::Bool(false)],
        [SqlValue::Null, SqlValue::Null, SqlValue::Null, SqlValue::Null],
    ];
    let ids = [SqlValue::Uuid(Uuid::max()), SqlValue::Uuid(Uuid::now_v7()), SqlValue::Null];
    let times = [time("2026-07-01T10:20:30.123456Z"), time("1969-12-31T23:59:59.999999+02:00"), SqlValue::Null];
    for (n, ((row, id), time)) in rows.iter().zip(&ids).zip(&times).enumerate() {
        let mut params = vec![SqlValue::Int(n as i64)];
        params.extend(row.iter().chain([id, time]).cloned());
        let sql = "INSERT INTO kinds (n, a, b, c, d, e, f) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        assert_eq!(lease.execute(sql, &params).await.unwrap(), 1);
        let sql = "SELECT a, b, c, d, e, f FROM kinds WHERE n = $1";
        let found = lease.query(sql, &params[..1]).await.unwrap().remove(0);
        if params[1] == SqlValue::Null {
            assert_eq!(found, vec![SqlValue::Null; 6]);
            continue;
        }
        assert_eq!((found[0].int(), found[1].real()), (params[1].int(), params[2].real()));
        assert_eq!((found[2].text(), found[3].bool()), (params[3].text(), params[4].bool()));
        assert_eq!((found[4].uuid(), found[5].time()), (params[5].uuid(), params[6].time()));
        // A value is found by what it was written as.
        let sql = "SELECT COUNT(*) FROM kinds WHERE b = $1 AND d = $2 AND e = $3 AND f = $4";
        let found = lease.query(sql, &[params[2].clone(), params[4].clone(), id.clone(), time.clone()]).await.unwrap();
        assert_eq!(found[0][0].int(), Some(1), "row {n}");
    }
    assert_eq!(lease.execute("DELETE FROM kinds", &[]).await.unwrap(), 3);
    lease.script("DROP TABLE kinds").await.unwrap();
}

trait IntoValue {
    fn into_value(self) -> SqlValue;
}

impl IntoValue for i64 {
    fn into_value(self) -> SqlValue {
        SqlValue::Int(self)
    }
}

async fn order_of_parameters(pool: &Pool) {
    let mut lease = pool.get(soon()).await.unwrap();
    let sql = "SELECT CAST($2 AS TEXT), CAST($1 AS BIGINT), CAST($2 AS TEXT)";
    for n in 0..3 {
        let found = lease.query(sql, &[SqlValue::Int(n), text("second")]).await.unwrap();
        assert_eq!(found, [vec![text("second"), SqlValue::Int(n), text("second")]]);
    }
    for params in [&[SqlValue::Int(1)][..], &[SqlValue::Int(1), text("2"), text("3")]] {
        let error = failed(lease.query(sql, params).await);
        assert_eq!((error.side, error.lost, error.uncertain), (Side::Soakd, false, false), "{error}");
    }
    assert_eq!(number(&mut lease, "SELECT CAST(7 AS BIGINT)").await, 7);
}

async fn uniqueness(pool: &Pool) {
    let mut lease = pool.get(soon()).await.unwrap();
    lease.script("CREATE TABLE once (name TEXT UNIQUE)").await.unwrap();
    let sql = "INSERT INTO once (name) VALUES ($1)";
    lease.execute(sql, &[text("a")]).await.unwrap();
    let error = failed(lease.execute(sql, &[text("a")]).await);
    let code = match lease.dialect() {
        Dialect::Sqlite => "SQLITE_CONSTRAINT_UNIQUE",
        Dialect::Postgres => "23505",
    };
    assert_eq!((error.kind, error.code.as_deref()), (Kind::Constraint, Some(code)));
    assert_eq!(error.name(), format!("constraint ({code})"));
    assert!(!error.lost && !error.uncertain);
    // Written again with RETURNING, as a query.
    let sql = "INSERT INTO once (name) VALUES ($1) RETURNING name";
    assert_eq!(lease.query(sql, &[text("b")]).await.unwrap(), [vec![text("b")]]);
    assert_eq!(number(&mut lease, "SELECT COUNT(*) FROM once").await, 2);
}

async fn transactions(pool: &Pool) {
    let mut lease = pool.get(soon()).await.unwrap();
    let (insert, count) = ("INSERT INTO once (name) VALUES ($1)", "SELECT COUNT(*) FROM once");
    lease.begin(Access::Write).await.unwrap();
    lease.execute(insert, &[text("c")]).await.unwrap();
    lease.rollback().await;
    lease.rollback().await;
    assert_eq!(number(&mut lease, count).await, 2);
    lease.begin(Access::Write).await.unwrap();
    lease.execute(insert, &[text("c")]).await.unwrap();
    lease.commit().await.unwrap();
    let error = failed(lease.commit().await);
    assert!(!error.lost && !error.uncertain, "{error}");
    assert_eq!(number(&mut lease, count).await, 3);
    // What a lease leaves open is taken back before the next one has the session.
    lease.begin(Access::Write).await.unwrap();
    lease.execute(insert, &[text("d")]).await.unwrap();
    drop(lease);
    let mut lease = pool.get(soon()).await.unwrap();
    lease.begin(Access::Read).await.unwrap();
    assert_eq!(number(&mut lease, count).await, 3);
    lease.commit().await.unwrap();
}

async fn streams(pool: &Pool) {
    let mut lease = pool.get(soon()).await.unwrap();
    lease.script("CREATE TABLE many (n BIGINT)").await.unwrap();
    let sql =
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < $1) INSERT INTO many SELECT n FROM c";
    assert_eq!(lease.execute(sql, &[SqlValue::Int(20_000)]).await.unwrap(), 20_000);
    let sql = "SELECT n FROM many WHERE n > $1 ORDER BY n";
    for inside in [false, true] {
        if inside {
            lease.begin(Access::Read).await.unwrap();
        }
        for take in [0, 1, 7, 7, 19_000] {
            let rows = lease.stream(sql, &[SqlValue::Int(5)], take).await.unwrap();
            assert_eq!(rows.len(), take);
            assert!(rows.iter().zip(6..).all(|(row, n)| row[0] == SqlValue::Int(n)));
            assert_eq!(number(&mut lease, "SELECT COUNT(*) FROM many").await, 20_000);
        }
        assert_eq!(lease.stream(sql, &[SqlValue::Int(19_990)], 100).await.unwrap().len(), 10);
        if inside {
            lease.commit().await.unwrap();
        }
    }
    // Nothing of an abandoned stream keeps others from writing.
    assert_eq!(lease.execute("DELETE FROM many", &[]).await.unwrap(), 20_000);
}

async fn mistakes(pool: &Pool) {
    let mut lease = pool.get(soon()).await.unwrap();
    let error = failed(lease.query("SELECT nothing FROM nowhere", &[]).await);
    assert!(!error.lost && !error.uncertain && error.message.contains("nowhere"), "{error}");
    lease.begin(Access::Write).await.unwrap();
    let error = failed(lease.begin(Access::Write).await);
    assert!(!error.lost, "{error}");
    lease.rollback().await;
    assert_eq!(number(&mut lease, "SELECT COUNT(*) FROM once").await, 3);
}

async fn nothing_begins_too_late(pool: &Pool) {
    let mut lease = pool.get(soon()).await.unwrap();
    lease.begin(Access::Write).await.unwrap();
    lease.execute("DELETE FROM once", &[]).await.unwrap();
    lease.until(Instant::now());
    let error = failed(lease.commit().await);
    assert_eq!((error.kind, error.lost, error.uncertain), (Kind::Timeout, false, false));
    // Taking back is never too late.
    lease.rollback().await;
    assert!(!lease.is_lost());
    lease.until(soon());
    assert_eq!(number(&mut lease, "SELECT COUNT(*) FROM once").await, 3);
}
