use super::*;
use crate::model::finding::{Kind, Side};
use crate::target::cluster::Cluster;

/// Makes a database, and returns its address.
async fn create(cluster: &Cluster, database: &str) -> String {
    let pool = Pool::new(on_postgres(cluster.url("postgres"), Isolation::ReadCommitted));
    let mut lease = pool.get(soon()).await.unwrap();
    lease.script(&format!("CREATE DATABASE {database}")).await.unwrap();
    cluster.url(database)
}

async fn on(cluster: &Cluster, database: &str, isolation: Isolation) -> Pool {
    Pool::new(on_postgres(create(cluster, database).await, isolation))
}

#[tokio::test]
async fn does_what_every_database_must() {
    let cluster = &Cluster::start();
    suite::holds(&on(cluster, "common", Isolation::ReadCommitted).await).await;
    types(cluster).await;
    deadlock(cluster).await;
    serialization(cluster).await;
    failed_transactions(cluster).await;
    deadlines(cluster).await;
    plants(cluster).await;
    addresses(cluster).await;
    connections(cluster).await;
}

async fn types(cluster: &Cluster) {
    let pool = on(cluster, "types", Isolation::ReadCommitted).await;
    let mut lease = pool.get(soon()).await.unwrap();
    lease.script("CREATE TABLE t (a SMALLINT, b INT, c REAL, d VARCHAR(9), e CHAR(3), f TIMESTAMP)").await.unwrap();
    let time = SqlValue::Time("2026-07-01T10:20:30.5Z".parse().unwrap());
    let row = vec![SqlValue::Int(-7), SqlValue::Int(1 << 30), SqlValue::Real(0.5), text("é"), text("abc"), time];
    lease.execute("INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6)", &row).await.unwrap();
    assert_eq!(lease.query("SELECT * FROM t", &[]).await.unwrap(), [row]);
    // Sums of whole numbers are NUMERIC, and whole numbers for us.
    for (sql, expected) in [
        ("SELECT SUM(n) FROM (VALUES (9000000000000000000::BIGINT), (-123456789)) v(n)", 8_999_999_999_876_543_211),
        ("SELECT SUM(n) FROM (VALUES (-10000::BIGINT), (-20000000)) v(n)", -20_010_000),
        ("SELECT 0::NUMERIC", 0),
        ("SELECT 10000.00::NUMERIC", 10_000),
    ] {
        assert_eq!(number(&mut lease, sql).await, expected);
    }
    let real = lease.query("SELECT -12345.25::NUMERIC, 0.0005::NUMERIC", &[]).await.unwrap().remove(0);
    assert_eq!((real[0].real(), real[1].real()), (Some(-12345.25), Some(0.0005)));
    for (sql, param) in [
        ("SELECT $1::SMALLINT", SqlValue::Int(40_000)),
        ("SELECT $1::BIGINT", text("1")),
        ("SELECT $1::TEXT", SqlValue::Int(1)),
    ] {
        let error = failed(lease.query(sql, &[param]).await);
        assert!(error.kind == Kind::Schema && !error.lost, "{error}");
    }
    let odd =
        "SELECT 1e30::NUMERIC, 'NaN'::NUMERIC, 'infinity'::TIMESTAMPTZ, '1 s'::INTERVAL, '{}'::JSON, '\\x00ff'::BYTEA";
    let shown: Vec<String> = lease.query(odd, &[]).await.unwrap()[0].iter().map(SqlValue::shown).collect();
    assert!(
        shown[0].starts_with("a numeric of 10 bytes: ") && shown[1].starts_with("a numeric of 8 bytes: "),
        "{shown:?}"
    );
    assert_eq!(shown[2], "a timestamptz of 8 bytes: 7fffffffffffffff");
    assert_eq!(shown[3], "an interval of 16 bytes: 00000000000f424000000000…");
    assert_eq!(shown[4..], ["a json of 2 bytes: 7b7d", "a bytea of 2 bytes: 00ff"]);
    // Tables that are made anew under statements that are prepared already.
    lease.script("DROP TABLE t; CREATE TABLE t (a BIGINT, b TEXT)").await.unwrap();
    assert_eq!(failed(lease.query("SELECT * FROM t", &[]).await).code.as_deref(), Some("0A000"));
    assert!(lease.query("SELECT * FROM t", &[]).await.unwrap().is_empty());
}

/// Makes a table of two rows.
async fn pair(pool: &Pool) {
    let mut lease = pool.get(soon()).await.unwrap();
    lease.script("CREATE TABLE a (id INT PRIMARY KEY, n BIGINT); INSERT INTO a VALUES (1, 0), (2, 0)").await.unwrap();
}

const ADD: &str = "UPDATE a SET n = n + 1 WHERE id = $1";

async fn deadlock(cluster: &Cluster) {
    let pool = on(cluster, "deadlock", Isolation::ReadCommitted).await;
    pair(&pool).await;
    let (mut one, mut two) = (pool.get(soon()).await.unwrap(), pool.get(soon()).await.unwrap());
    one.begin(Access::Write).await.unwrap();
    two.begin(Access::Write).await.unwrap();
    one.execute(ADD, &[SqlValue::Int(1)]).await.unwrap();
    two.execute(ADD, &[SqlValue::Int(2)]).await.unwrap();
    // Each now asks for what the other holds. Whoever is refused lets the other one go on.
    let ends = async |lease: &mut Session, id: i64| {
        let done = lease.execute(ADD, &[SqlValue::Int(id)]).await;
        if done.is_err() {
            lease.rollback().await;
        }
        done
    };
    let (first, second) = tokio::join!(ends(&mut one, 2), ends(&mut two, 1));
    let errors: Vec<SqlError> = [first, second].into_iter().filter_map(Result::err).collect();
    assert_eq!(errors.len(), 1);
    let error = &errors[0];
    assert_eq!((error.kind, error.code.as_deref()), (Kind::Deadlock, Some("40P01")));
    assert!(!error.lost && !error.uncertain);
}

async fn serialization(cluster: &Cluster) {
    for isolation in [Isolation::RepeatableRead, Isolation::Serializable] {
        let name = if isolation == Isolation::Serializable { "serializable" } else { "repeatable" };
        let pool = on(cluster, name, isolation).await;
        pair(&pool).await;
        let (mut one, mut two) = (pool.get(soon()).await.unwrap(), pool.get(soon()).await.unwrap());
        two.begin(Access::Write).await.unwrap();
        number(&mut two, "SELECT SUM(n) FROM a").await;
        one.execute(ADD, &[SqlValue::Int(1)]).await.unwrap();
        let error = failed(two.execute(ADD, &[SqlValue::Int(1)]).await);
        assert_eq!((error.kind, error.code.as_deref()), (Kind::Serialization, Some("40001")));
        two.rollback().await;
        assert_eq!(number(&mut two, "SELECT SUM(n) FROM a").await, 1);
    }
}

async fn failed_transactions(cluster: &Cluster) {
    let pool = on(cluster, "failed", Isolation::ReadCommitted).await;
    pair(&pool).await;
    let mut lease = pool.get(soon()).await.unwrap();
    lease.begin(Access::Write).await.unwrap();
    lease.execute(ADD, &[SqlValue::Int(1)]).await.unwrap();
    failed(lease.execute("INSERT INTO a VALUES (1, 1)", &[]).await);
    // The server would answer a COMMIT with ROLLBACK, and call it a success.
    let error = failed(lease.commit().await);
    assert!(error.code.as_deref() == Some("25P02") && !error.lost && !error.uncertain, "{error}");
    assert_eq!(number(&mut lease, "SELECT SUM(n) FROM a").await, 0);
    lease.begin(Access::Read).await.unwrap();
    let error = failed(lease.execute(ADD, &[SqlValue::Int(1)]).await);
    assert_eq!((error.kind, error.code.as_deref()), (Kind::Config, Some("25006")));
}

async fn deadlines(cluster: &Cluster) {
    let pool = on(cluster, "deadlines", Isolation::ReadCommitted).await;
    pair(&pool).await;
    const SLEEP: &str = "SELECT pg_sleep(60)";
    const WRITE: &str = "WITH s AS (SELECT pg_sleep(60)) UPDATE a SET n = 9 FROM s";
    for (sql, open, uncertain) in [(SLEEP, false, false), (WRITE, false, true), (WRITE, true, false)] {
        let mut lease = pool.get(soon()).await.unwrap();
        if open {
            lease.begin(Access::Write).await.unwrap();
        }
        lease.until(brief());
        let error = failed(if sql == SLEEP {
            lease.query(sql, &[]).await.map(drop)
        } else {
            lease.execute(sql, &[]).await.map(drop)
        });
        assert_eq!((error.kind, error.lost, error.uncertain), (Kind::Timeout, true, uncertain), "{sql}");
        assert!(lease.is_lost());
        lease.rollback().await;
        let error = failed(lease.query("SELECT 1", &[]).await);
        assert_eq!((error.kind, error.lost, error.uncertain), (Kind::Reset, true, false));
    }
    // The server was asked to stop, and did.
    let mut lease = pool.get(soon()).await.unwrap();
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()";
    until(async || number(&mut lease, sql).await == 0).await;
    assert_eq!(number(&mut lease, "SELECT SUM(n) FROM a").await, 0);
    assert_eq!(pool.counts(), PoolCounts { open: 1, leased: 1, opened: 4 });
}

async fn plants(cluster: &Cluster) {
    let plants = vec![
        Plant::Undo { part: "UPDATE a".into(), nth: 2, times: 1 },
        Plant::Twice { part: "UPDATE a".into(), nth: 3, times: 1 },
    ];
    let pool = Pool::new(PoolSpec { plants, ..on_postgres(create(cluster, "plants").await, Isolation::ReadCommitted) });
    pair(&pool).await;
    let mut lease = pool.get(soon()).await.unwrap();
    let mut found = Vec::new();
    for n in 0..4 {
        let inside = n % 2 == 1;
        if inside {
            lease.begin(Access::Write).await.unwrap();
        }
        assert_eq!(lease.execute(ADD, &[SqlValue::Int(1)]).await.unwrap(), 1);
        if inside {
            lease.commit().await.unwrap();
        }
        found.push(number(&mut lease, "SELECT SUM(n) FROM a").await);
    }
    assert_eq!(found, [1, 1, 3, 4]);
}

async fn addresses(cluster: &Cluster) {
    let good = create(cluster, "rights").await;
    let pool = Pool::new(on_postgres(good.clone(), Isolation::ReadCommitted));
    let mut lease = pool.get(soon()).await.unwrap();
    lease.script("CREATE TABLE mine (n INT); CREATE ROLE guest LOGIN; CREATE ROLE nobody NOLOGIN").await.unwrap();
    let user = |name: &str| good.replace("postgres@", &format!("{name}@"));
    for (url, kind, code, words) in [
        ("mysql://localhost/x".into(), Kind::Config, None, "It looks like postgres://"),
        ("host=localhost port=x password=secret".into(), Kind::Config, None, "It looks like postgres://"),
        ("postgres://u:secret@127.0.0.1:1/x".into(), Kind::Refused, None, "No server is there"),
        ("postgres://u:secret@nowhere.invalid/x".into(), Kind::Resolve, None, "Correct the address"),
        (cluster.url("missing"), Kind::Config, Some("3D000"), "Create the database"),
        (user("nobody"), Kind::Auth, Some("28000"), "Correct user and password"),
        (user("stranger"), Kind::Auth, Some("28000"), "Correct user and password"),
        (format!("{good}?sslmode=require"), Kind::Tls, None, "take sslmode out"),
    ] {
        let error = failed(Pool::new(on_postgres(url.clone(), Isolation::ReadCommitted)).get(soon()).await);
        assert_eq!((error.kind, error.code.as_deref()), (kind, code), "{url}: {error}");
        assert!(error.message.contains(words) && !error.message.contains("secret"), "{error}");
        assert!(error.lost && !error.uncertain);
    }
    let guest = Pool::new(on_postgres(user("guest"), Isolation::ReadCommitted));
    let error = failed(guest.get(soon()).await.unwrap().query("SELECT n FROM mine", &[]).await);
    assert_eq!((error.kind, error.code.as_deref(), error.lost), (Kind::Denied, Some("42501"), false));
    assert!(error.message.contains("Give the user of the address the rights"), "{error}");
}

async fn connections(cluster: &Cluster) {
    // The name of the run stands, whatever the address says.
    let url = create(cluster, "connections").await + "?application_name=theirs";
    let pool = Pool::new(on_postgres(url, Isolation::ReadCommitted));
    let mut leases = Vec::new();
    for _ in 0..4 {
        leases.push(pool.get(soon()).await.unwrap());
    }
    let watcher = on(cluster, "watcher", Isolation::ReadCommitted).await;
    let mut watch = watcher.get(soon()).await.unwrap();
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = 'connections' AND application_name = 'soakd test'";
    assert_eq!(number(&mut watch, sql).await, 4);
    leases[0].begin(Access::Write).await.unwrap();
    drop(leases);
    assert_eq!(pool.counts(), PoolCounts { open: 3, leased: 0, opened: 4 });
    pool.close().await;
    until(async || number(&mut watch, sql).await == 0).await;
}

#[tokio::test]
async fn a_server_that_goes_away_leaves_no_doubt_where_there_is_none() {
    let cluster = Cluster::start();
    let pool = on(&cluster, "away", Isolation::ReadCommitted).await;
    pair(&pool).await;
    let mut leases = Vec::new();
    for _ in 0..4 {
        leases.push(pool.get(soon()).await.unwrap());
    }
    let [mut reader, mut writer, mut inside, mut idle] = <[_; 4]>::try_from(leases).ok().unwrap();
    inside.begin(Access::Write).await.unwrap();
    inside.execute(ADD, &[SqlValue::Int(1)]).await.unwrap();
    number(&mut idle, "SELECT COUNT(*) FROM a").await;
    drop(idle);
    cluster.kill();
    for (error, uncertain) in [
        (failed(reader.query("SELECT n FROM a", &[]).await), false),
        (failed(writer.execute(ADD, &[SqlValue::Int(2)]).await), true),
        (failed(inside.commit().await), true),
    ] {
        assert_eq!((error.kind, error.side), (Kind::Reset, Side::Network), "{error}");
        assert_eq!((error.lost, error.uncertain), (true, uncertain), "{error}");
    }
    drop((reader, writer, inside));
    assert_eq!(failed(pool.get(soon()).await).kind, Kind::Refused);
    cluster.restart();
    // Not even the session that was not in use comes back.
    let mut lease = pool.get(soon()).await.unwrap();
    assert_eq!(number(&mut lease, "SELECT SUM(n) FROM a").await, 0);
    assert_eq!(pool.counts(), PoolCounts { open: 1, leased: 1, opened: 5 });
    frozen(lease).await;
}

/// A server process that stands still: the call ends in time, and nobody knows what became of the commit.
async fn frozen(mut lease: Lease<'_>) {
    use rustix::process::{Pid, Signal, kill_process};
    let pid = number(&mut lease, "SELECT pg_backend_pid()").await;
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    lease.begin(Access::Write).await.unwrap();
    lease.execute(ADD, &[SqlValue::Int(1)]).await.unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    lease.until(brief());
    let error = failed(lease.commit().await);
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!((error.kind, error.lost, error.uncertain), (Kind::Timeout, true, true), "{error}");
}
