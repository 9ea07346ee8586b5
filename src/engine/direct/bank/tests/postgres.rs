//! The bank on a throw-away PostgreSQL.

use super::*;
use crate::target::cluster::Cluster;

/// Runs a script on the server, outside the load.
async fn run(rig: &Rig, script: &str) {
    let mut session = rig.ground.pool.get(Instant::now() + rig.ground.limit).await.unwrap();
    session.script(script).await.unwrap();
}

async fn ask(rig: &Rig, query: &'static str) -> i64 {
    let mut session = rig.ground.pool.get(Instant::now() + rig.ground.limit).await.unwrap();
    session.query(query, &[]).await.unwrap()[0][0].int().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bank_on_postgres() {
    let cluster = Cluster::start();
    let url = cluster.url("postgres");
    clean(&url).await;
    without_references(&url).await;
    second_process(&url).await;
    odd_values(&url).await;
    lying_database(&url).await;
    hurried(&cluster).await;
    killed(&cluster).await;
}

async fn clean(url: &str) {
    for (isolation, engine) in [
        (Isolation::ReadCommitted, Engine::Async),
        (Isolation::RepeatableRead, Engine::Async),
        (Isolation::Serializable, Engine::Threads),
    ] {
        let rig = Parts { engine, ..Parts::postgres(url.to_owned(), isolation) }.rig();
        assert_eq!(rig.load(40).await, Vec::<String>::new());
        all_pass(&rig.verified().await);
        assert_eq!(ask(&rig, "SELECT count(*) FROM accounts").await, rig.ground.journal.with(|ledger| ledger.count()));
    }
}

async fn without_references(url: &str) {
    let parts = Parts::postgres(url.to_owned(), Isolation::ReadCommitted);
    let rig = Parts { foreign_keys: false, ..parts }.rig();
    rig.in_turn(20).await;
    let checks = rig.verified().await;
    assert!(only(&checks, &["bank.orphans"])[0].contains(", by transferrer "));
}

async fn second_process(url: &str) {
    for (fault, checks) in [
        (
            "UPDATE accounts SET balance = balance - 5 WHERE id = (SELECT max(to_account) FROM transfers)",
            ["bank.balances", "bank.money"].as_slice(),
        ),
        (
            "INSERT INTO accounts (name, balance, ref_id, interest_rate, risk_score, created_at)
             VALUES ('Phantom', 0, gen_random_uuid(), 1.0, '', now())",
            &["bank.accounts", "bank.names"],
        ),
        ("UPDATE transfers SET amount = amount + 1 WHERE id = (SELECT max(id) FROM transfers)", &["bank.transfers"]),
        (
            "UPDATE accounts SET created_at = created_at + interval '1 microsecond' WHERE id = (SELECT max(id) FROM accounts)",
            &["bank.names"],
        ),
        (
            "ALTER TABLE accounts DROP CONSTRAINT accounts_name_key;
             INSERT INTO accounts (name, balance, ref_id, interest_rate, risk_score, created_at)
             SELECT name, 0, ref_id, interest_rate, risk_score, created_at FROM accounts ORDER BY id DESC LIMIT 1",
            &["bank.names", "bank.accounts", "bank.balances"],
        ),
    ] {
        let rig = Parts::postgres(url.to_owned(), Isolation::ReadCommitted).rig();
        assert_eq!(rig.load(12).await, Vec::<String>::new());
        run(&rig, fault).await;
        assert_eq!(only(&rig.verified().await, checks).len(), 1);
    }
}

/// Values of types that nobody here writes: in one row, and in all of a column.
async fn odd_values(url: &str) {
    for (fault, check, what) in [
        (
            "UPDATE transfers SET created_at = 'infinity' WHERE id = (SELECT max(id) FROM transfers)",
            "bank.transfers",
            "created_at is a timestamptz of 8 bytes: 7fffffffffffffff, no moment",
        ),
        (
            "ALTER TABLE transfers ALTER COLUMN ref_id TYPE bytea USING decode(left(ref_id::text, 2), 'hex')",
            "bank.transfers",
            "ref_id is a bytea of 1 byte: ",
        ),
        (
            "ALTER TABLE accounts ALTER COLUMN risk_score TYPE json USING '{}'",
            "bank.names",
            "risk_score is a json of 2 bytes: 7b7d, not ",
        ),
        (
            "ALTER TABLE accounts ALTER COLUMN balance DROP DEFAULT, ALTER COLUMN balance TYPE numeric USING 'NaN'",
            "bank.balances",
            "balance 0 is ",
        ),
    ] {
        let rig = Parts::postgres(url.to_owned(), Isolation::ReadCommitted).rig();
        assert_eq!(rig.load(12).await, Vec::<String>::new());
        run(&rig, fault).await;
        let checks = rig.verified().await;
        let found = checks.iter().find(|found| found.check == check).unwrap();
        assert_eq!(found.verdict, Some(Verdict::Fail), "{}", shown(&checks));
        assert!(found.evidence.iter().any(|line| line.contains(what)), "{what}: {}", shown(&checks));
    }
}

async fn lying_database(url: &str) {
    let credit = "SET balance = balance +";
    for (plant, checks) in [
        (Plant::Undo { part: credit.into(), nth: 9, times: 1 }, ["bank.balances", "bank.money"].as_slice()),
        (Plant::Twice { part: credit.into(), nth: 9, times: 1 }, &["bank.balances", "bank.money"]),
        (Plant::Extra { part: "ORDER BY name LIMIT".into(), nth: 1, times: u64::MAX }, &["bank.reads"]),
    ] {
        let workers = BankWorkers { deleter: 0, ..BankWorkers::each(2) };
        let parts = Parts::postgres(url.to_owned(), Isolation::RepeatableRead);
        let rig = Parts { plants: vec![plant], workers, ..parts }.rig();
        assert_eq!(rig.load(15).await, Vec::<String>::new());
        assert!(!only(&rig.verified().await, checks).is_empty());
    }
}

/// The server is killed under the load: what was under way may have happened or not, and is found out by looking.
async fn killed(cluster: &Cluster) {
    let rig = Parts::postgres(cluster.url("postgres"), Isolation::ReadCommitted).rig();
    rig.bank.begin(&rig.ground).await.unwrap();
    let kill = async {
        while rig.ground.journal.with(|ledger| ledger.sums.transfers) < 20 {
            tokio::task::yield_now().await;
        }
        tokio::task::block_in_place(|| cluster.kill());
    };
    let (errors, ()) = tokio::join!(rig.more(200), kill);
    assert!(!errors.is_empty(), "nobody met the restart");
    cluster.restart();
    assert_eq!(rig.more(10).await, Vec::<String>::new());
    all_pass(&rig.verified().await);
}

async fn hurried(cluster: &Cluster) {
    let rig = Parts::postgres(cluster.url("postgres"), Isolation::ReadCommitted).rig();
    rig.load(5).await;
    // What goes on in another database of the same server is not waited for.
    run(&rig, "CREATE DATABASE elsewhere").await;
    let elsewhere = Parts::postgres(cluster.url("elsewhere"), Isolation::ReadCommitted).rig();
    let mut other = elsewhere.ground.pool.get(Instant::now() + elsewhere.ground.limit).await.unwrap();
    other.begin(Access::Write).await.unwrap();
    other.query("SELECT 1", &[]).await.unwrap();
    let open = rig.hurried(40, 8_000).await;
    assert!(open > 0, "every operation came to its end");
    all_pass(&rig.verified().await);
}
