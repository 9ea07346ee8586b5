//! What the real daemon measures: at the quiet end of every cycle and in between, of all its parts, of both stores.

#![allow(clippy::unwrap_used)]

#[path = "../src/target/cluster.rs"]
#[allow(dead_code, reason = "every test program uses its part of it")]
mod cluster;
#[path = "support/soak.rs"]
mod soak;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cluster::Cluster;
use soak::{Ended, Soak};
use soakd::engine::measure::part::{Part, Scene};
use soakd::engine::selfcare::look::{Host, Sampler};
use soakd::model::measure::Measured;
use soakd::model::metric;
use soakd::model::series::Moment;
use soakd::probe::postgres::{Figures, Postgres};
use soakd::store::Store;

/// Returns the state file of a run that ended, and what it measured.
fn measured(ended: &Ended) -> (Store, BTreeMap<String, Vec<Measured>>) {
    let store = Store::open_read(Path::new(&ended.state())).unwrap();
    let run = store.latest().unwrap().unwrap().run;
    let measures = store.measures(&run).unwrap();
    (store, measures)
}

/// Asserts that every cycle has a value of each of these metrics, and that every metric is one that is known.
fn assert_measured(ended: &Ended, measures: &BTreeMap<String, Vec<Measured>>, cycles: u64, kinds: &[&str], part: &str) {
    for kind in kinds {
        let name = if part.is_empty() { (*kind).to_owned() } else { format!("{kind}.{part}") };
        let cycles_seen: Vec<u64> = measures.get(&name).into_iter().flatten().map(|point| point.cycle).collect();
        assert_eq!(cycles_seen, (1..=cycles).collect::<Vec<_>>(), "{name}: {:?}\n{}", measures.keys(), ended.story());
    }
    let unknown: Vec<&String> = measures.keys().filter(|name| metric::parse(name).is_none()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

const PROCESS: &[&str] =
    &["rss", "pss", "anon", "heap", "threads", "fds", "fds_file", "fds_socket", "fds_pipe", "fds_other"];
const FILES: &[&str] = &["db", "wal", "temp"];

#[test]
fn every_cycle_is_measured_at_its_quiet_end_and_samples_are_kept_in_between() {
    let soak = Soak { cycles: 3, rls: true, more: "[observe]\nevery = \"100ms\"\n".into(), ..Soak::default() };
    let ended = soak.run();
    ended.assert_passed(&[]);
    let (store, measures) = measured(&ended);
    assert_measured(&ended, &measures, 3, PROCESS, "daemon");
    for part in ["target", "worker-1", "worker-2", "worker-5"] {
        assert_measured(&ended, &measures, 3, PROCESS, part);
        assert_measured(&ended, &measures, 3, FILES, part);
        // Between the first two quiet ends there is a whole cycle.
        assert!(measures[&format!("cpu.{part}")].iter().all(|point| point.cycle > 1 && point.mean < 4.0), "{part}");
    }
    assert_measured(&ended, &measures, 3, &["rows", "tombstones", "metadata"], "target");
    assert_measured(&ended, &measures, 3, &["metadata"], "worker-1");
    assert_measured(&ended, &measures, 3, &["deleted"], "");
    let values = |name: &str| measures[name].iter().map(|point| point.mean).collect::<Vec<_>>();
    assert!(values("deleted").windows(2).all(|two| two[1] > two[0]), "{:?}", values("deleted"));
    assert!(values("rows.target").iter().all(|rows| *rows > 0.0) && values("rss.target")[0] > 1e6);
    for part in ["target", "worker-1"] {
        let (db, wal) = (values(&format!("db.{part}")), values(&format!("wal.{part}")));
        assert!(db[0] >= 4096.0 && db[0] + wal[0] > 20_000.0, "{part}: {db:?} {wal:?}");
    }
    let lives = |name: &str| measures[name].iter().map(|point| point.life).collect::<BTreeSet<_>>();
    assert_eq!((lives("rss.target").len(), lives("db.target")), (1, BTreeSet::from([1])));
    assert!(lives("rss.target") != lives("rss.worker-1") && !lives("rss.target").contains(&1));
    // The free-running samples.
    let names = store.series_names().unwrap();
    for name in ["rss.daemon", "cpu.target", "anon.worker-1", "fds.target", "wal.target", "db.worker-2", "state.file"] {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
        assert!(!store.series(name, 0, i64::MAX).unwrap().is_empty(), "{name}");
    }
    let samples = store.series("rss.daemon", 0, i64::MAX).unwrap();
    assert!(samples.len() > 3 && samples.windows(2).all(|two| two[0].0 < two[1].0), "{samples:?}");
    assert!(!ended.err.contains("not measured"), "{}", ended.story());
}

#[test]
fn a_postgresql_store_is_measured_and_its_loss_is_no_zero() {
    let cluster = Cluster::start();
    let more = "[target.embedded]\nstore = { postgres = { env = \"SOAKD_TEST_POSTGRES\" } }\n".to_owned();
    let env = vec![("SOAKD_TEST_POSTGRES".to_owned(), cluster.url("postgres"))];
    let ended = Soak { cycles: 2, more, env, ..Soak::default() }.run();
    ended.assert_passed(&[]);
    let (_, measures) = measured(&ended);
    let kinds = ["pg_connections", "pg_locks", "pg_waits", "pg_dead", "pg_bloat", "pg_db", "wal", "temp"];
    assert_measured(&ended, &measures, 2, &kinds, "target");
    assert_measured(&ended, &measures, 2, &["rss", "fds_socket", "rows", "tombstones", "metadata"], "target");
    assert!(measures["pg_connections.target"][0].mean >= 1.0 && measures["pg_db.target"][0].mean > 1e6);
    assert!(!measures.contains_key("db.target"), "a PostgreSQL has no SQLite file");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(dead_rows_locks_and_connections_show(cluster));
}

/// Reads until a figure is as it is awaited: the server's statistics lag behind.
async fn until(postgres: &mut Postgres, what: &str, is: impl Fn(&Figures) -> bool) -> Figures {
    for _ in 0..100 {
        // A server on a busy machine may take longer than a read waits.
        if let Ok(figures) = postgres.read().await
            && is(&figures)
        {
            return figures;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{what}: {:?}", postgres.read().await)
}

async fn dead_rows_locks_and_connections_show(cluster: Cluster) {
    let connect = async || {
        let (client, connection) =
            tokio_postgres::connect(&cluster.url("postgres"), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    };
    let mut postgres = Postgres::new(&cluster.url("postgres")).unwrap();
    let before = until(&mut postgres, "nobody", |figures| figures.connections == 0).await;
    assert_eq!((before.locks, before.waiting), (0, 0), "its own connection does not count");
    let (one, two) = (connect().await, connect().await);
    one.batch_execute(
        "CREATE TABLE t (x int, y text) WITH (autovacuum_enabled = off); \
         INSERT INTO t SELECT n, repeat('y', 100) FROM generate_series(1, 10000) n; UPDATE t SET x = x + 1;",
    )
    .await
    .unwrap();
    let dead = until(&mut postgres, "dead rows", |figures| figures.dead_rows >= before.dead_rows + 10_000).await;
    let bytes = |figures: &Figures| figures.dead_bytes.unwrap();
    assert!(bytes(&dead) > bytes(&before) + 100_000.0 && dead.database_bytes > before.database_bytes, "{dead:?}");
    assert!(dead.server_bytes.is_some_and(|(wal, _)| wal > 1 << 20));
    one.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE;").await.unwrap();
    let waiting = tokio::spawn(async move { two.batch_execute("SELECT * FROM t LIMIT 1").await });
    let locked = until(&mut postgres, "a lock that is awaited", |figures| figures.waiting == 1).await;
    assert!(locked.locks >= 2 && locked.connections == 2, "{locked:?}");
    assert_eq!(locked.dead_bytes, None, "the size of a locked table is not known, and is no zero");
    one.batch_execute("COMMIT").await.unwrap();
    waiting.await.unwrap().unwrap();
    one.batch_execute("VACUUM t").await.unwrap();
    let vacuumed = until(&mut postgres, "no dead rows", |figures| figures.dead_rows <= before.dead_rows).await;
    assert_eq!(vacuumed.waiting, 0);
    drop((one, cluster));
    let error = postgres.read().await.expect_err("the server is gone");
    assert!(!error.to_string().is_empty());
    let error = postgres.read().await.expect_err("and stays gone").to_string();
    assert!(error.contains("refused"), "{error}");
}

/// A daemon, a target and four workers, each with databases: what the default configuration samples every second.
#[test]
fn sampling_every_second_costs_next_to_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let database = dir.path().join("a.db");
    std::fs::write(&database, [0; 4096]).unwrap();
    let mut children: Vec<_> =
        (0..5).map(|_| std::process::Command::new("sleep").arg("600").spawn().unwrap()).collect();
    let names = ["target", "worker-1", "worker-2", "worker-3", "worker-4"];
    let mut scene = Scene::default();
    for (name, child) in names.iter().zip(&children) {
        let part = Part { name: (*name).into(), pid: Some(child.id()), databases: vec![database.clone()] };
        scene.parts.push(part);
    }
    // CPU time of this thread, in ticks: what others do beside it does not count.
    let ticks = || {
        let text = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let fields: Vec<u64> =
            text[text.rfind(')').unwrap() + 1..].split_whitespace().map(|f| f.parse().unwrap_or(0)).collect();
        fields[11] + fields[12]
    };
    let mut sampler = Sampler::new(Host::new(dir.path().to_owned()));
    sampler.look(&scene, 0, &|| false);
    const SECONDS: i64 = 600;
    let mut waiting: Vec<Moment> = Vec::new();
    let before = ticks();
    for second in 0..SECONDS {
        let look = sampler.look(&scene, second * 1000, &|| false);
        assert_eq!(look.health.parts.len(), 6);
        waiting.push(Moment { at_ms: second * 1000, values: look.figures });
        if waiting.len() == 30 {
            store.record_moments(&std::mem::take(&mut waiting)).unwrap();
        }
    }
    let ms = (ticks() - before) * 10;
    children.iter_mut().for_each(|child| {
        child.kill().unwrap();
        child.wait().unwrap();
    });
    println!(
        "{SECONDS} seconds of samples cost {ms} ms of CPU time: {:.3} % of a core",
        ms as f64 / SECONDS as f64 / 10.0
    );
    // Half a percent of a core; this is the slow build of the tests.
    assert!(ms < SECONDS as u64 * 5, "{SECONDS} seconds of samples cost {ms} ms of CPU time");
}
