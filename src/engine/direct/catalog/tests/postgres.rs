use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::ledger::{Begin, left};
use super::super::sql;
use super::*;
use crate::target::cluster::Cluster;
use crate::target::sql::{Access, Isolation, Url};

fn pool(cluster: &Cluster, database: &str, isolation: Isolation, engine: Engine) -> PoolSpec {
    let backend = Backend::Postgres { url: Url(cluster.url(database)), isolation };
    let application = format!("soakd {database}");
    PoolSpec { backend, engine, size: 8, limit: LIMIT, application, plants: vec![] }
}

/// Returns connections that have the name of those to a database, and lead to another one.
fn elsewhere(cluster: &Cluster, database: &str) -> Pool {
    let application = format!("soakd {database}");
    Pool::new(PoolSpec { application, ..pool(cluster, "postgres", Isolation::ReadCommitted, Engine::Async) })
}

/// Returns a rig on a database of its own.
async fn rig(cluster: &Cluster, database: &str, isolation: Isolation, engine: Engine, plants: Vec<Plant>) -> Rig {
    let admin = Pool::new(pool(cluster, "postgres", Isolation::ReadCommitted, engine));
    let mut lease = admin.get(Instant::now() + LIMIT).await.unwrap();
    lease.script(&format!("CREATE DATABASE {database}")).await.unwrap();
    drop(lease);
    let spec = |_: &Path| PoolSpec { plants, ..pool(cluster, database, isolation, engine) };
    Rig::on(super::spec(), CacheMode::Correct, spec).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_holds_on_postgresql() {
    let cluster = Cluster::start();
    for (database, isolation, engine) in [
        ("threads", Isolation::ReadCommitted, Engine::Threads),
        ("tasks", Isolation::ReadCommitted, Engine::Async),
        ("repeatable", Isolation::RepeatableRead, Engine::Async),
        ("serializable", Isolation::Serializable, Engine::Async),
    ] {
        let rig = rig(&cluster, database, isolation, engine, vec![]).await;
        assert_eq!(rig.all().await, [""; 0], "{database}");
        let verified = rig.verified().await;
        fails(&verified, &[]);
        let cleanup = &check(&verified, "catalog.cleanup").summary;
        assert!(cleanup.ends_with("Server connections: 0 -> 0"), "{cleanup}");
    }
    leaked_connection(&cluster).await;
    leaked_socket(&cluster).await;
    write_under_way(&cluster).await;
}

async fn leaked_connection(cluster: &Cluster) {
    let plants = vec![Plant::LeakLease { nth: 5 }];
    let rig = rig(cluster, "leaky", Isolation::ReadCommitted, Engine::Async, plants).await;
    let elsewhere = elsewhere(cluster, "leaky");
    let _lease = elsewhere.get(Instant::now() + LIMIT).await.unwrap();
    rig.block(4, 1, 500).await;
    let verified = rig.verified().await;
    let cleanup = check(&verified, "catalog.cleanup");
    assert_eq!(cleanup.verdict, Some(Verdict::Fail), "{cleanup:#?}");
    let left = ["Sockets to the server: 0 -> 1", "Server connections: 0 -> 1", "1 session was never given back"];
    assert_eq!(cleanup.evidence, left, "{cleanup:#?}");
}

/// A socket that the server has closed is still open here, and one of another application is nothing of the database layer.
async fn leaked_socket(cluster: &Cluster) {
    for leaks in [true, false] {
        let database = if leaks { "closed" } else { "others" };
        let rig = rig(cluster, database, Isolation::ReadCommitted, Engine::Async, vec![]).await;
        rig.course.between(&rig.ground, 4, false).await.unwrap();
        let other = Pool::new(pool(cluster, "postgres", Isolation::ReadCommitted, Engine::Async));
        let mut stranger = other.get(Instant::now() + LIMIT).await.unwrap();
        if leaks {
            std::mem::forget(rig.ground.pool.get(Instant::now() + LIMIT).await.unwrap());
            let end = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = 'closed'";
            assert_eq!(stranger.query(end, &[]).await.unwrap().len(), 1);
        }
        rig.course.between(&rig.ground, 4, true).await.unwrap();
        drop(stranger);
        let verified = rig.verified().await;
        let cleanup = check(&verified, "catalog.cleanup");
        let left = ["Sockets to the server: 0 -> 1", "1 session was never given back"];
        assert_eq!(cleanup.evidence, if leaks { &left[..] } else { &[] }, "{cleanup:#?}");
    }
}

/// A write of an earlier life that a server is still busy with is waited for.
async fn write_under_way(cluster: &Cluster) {
    let rig = rig(cluster, "busy", Isolation::ReadCommitted, Engine::Async, vec![]).await;
    let deadline = Instant::now() + LIMIT;
    let mut lease = rig.ground.pool.get(deadline).await.unwrap();
    let row = sql::read(&mut lease, 1).await.unwrap();
    let op =
        rig.ground.journal.begin(Lane::ConcurrentWriters, 1, Begin::Write(1, 1, row.state.content.clone())).unwrap();
    let mine = left(op, 1, &row.state.content);
    let script = format!(
        "BEGIN; UPDATE datasets SET version = 2, content = '{}', total = 1, writer = '{}', operation = {} \
         WHERE name = 'dataset_001'; UPDATE catalog_meta SET version = 2; SELECT pg_sleep(0.5); COMMIT",
        mine.content, mine.writer, mine.operation
    );
    let earlier = Pool::new(rig.ground.pool.spec().clone());
    let busy = tokio::spawn(async move {
        earlier.get(deadline).await.unwrap().script(&script).await.unwrap();
    });
    let at_work =
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'soakd busy' AND query LIKE 'BEGIN%pg_sleep%'";
    while lease.query(at_work, &[]).await.unwrap().is_empty() && !busy.is_finished() {
        tokio::task::yield_now().await;
    }
    drop(lease);
    assert_eq!(rig.course.settle(&rig.ground).await.unwrap(), [""; 0]);
    busy.await.unwrap();
    assert_eq!(rig.ground.journal.with(|ledger| ledger.settled), [1, 0]);
    let verified = rig.course.verify(&rig.ground).await.unwrap();
    assert_eq!(check(&verified, "catalog.versions").verdict, Some(Verdict::Pass));
    // Sessions that were left in mid-transaction are told, not waited for in vain.
    let mut lease = rig.ground.pool.get(deadline).await.unwrap();
    lease.begin(Access::Write).await.unwrap();
    sql::read(&mut lease, 1).await.unwrap();
    let hasty = Ground { limit: Duration::from_secs(5), ..rig.ground.clone() };
    let elsewhere = elsewhere(cluster, "busy");
    let mut other = elsewhere.get(deadline).await.unwrap();
    other.begin(Access::Write).await.unwrap();
    other.query("SELECT 1", &[]).await.unwrap();
    let told = rig.course.settle(&hasty).await.unwrap();
    assert_eq!(told, ["1 connections were still at work when the time for settling was over"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_and_comes_back_loses_nothing_that_was_acknowledged() {
    let cluster = Arc::new(Cluster::start());
    let rig = rig(&cluster, "killed", Isolation::ReadCommitted, Engine::Async, vec![]).await;
    rig.block(0, 1, 5).await;
    let back = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (1..=4)
        .map(|worker| {
            let mut hand = rig.course.hand(&rig.ground, Lane::ConcurrentWriters, worker);
            let back = Arc::clone(&back);
            tokio::spawn(async move {
                let mut after = 0;
                while after < 10 {
                    after += usize::from(back.load(Ordering::Relaxed));
                    let turn = hand.turn(Instant::now() + LIMIT).await;
                    if turn.error.is_some_and(|error| error.kind != Kind::Conflict) {
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    let server = Arc::clone(&cluster);
    tokio::task::spawn_blocking(move || {
        server.kill();
        server.restart();
    })
    .await
    .unwrap();
    back.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.unwrap();
    }
    // The lock resolution begins with a server that is away, and waits for it.
    let server = Arc::clone(&cluster);
    tokio::task::spawn_blocking(move || server.kill()).await.unwrap();
    let server = Arc::clone(&cluster);
    let restart = tokio::task::spawn_blocking(move || server.restart());
    let turns = rig.block(2, 1, 500).await;
    restart.await.unwrap();
    assert!(turns.iter().all(|(_, turn)| turn.notes.iter().all(|(note, _)| *note != "unresolved")));
    rig.block(1, 1, 25).await;
    rig.block(3, 4, 10).await;
    rig.block(4, 1, 500).await;
    let verified = rig.verified().await;
    fails(&verified, &[]);
}
