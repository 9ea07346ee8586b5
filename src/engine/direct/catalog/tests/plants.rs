use super::*;

fn undo(part: &str, nth: u64) -> Vec<Plant> {
    vec![Plant::Undo { part: part.into(), nth, times: 1 }]
}

#[tokio::test]
async fn a_write_that_is_undone_behind_the_clients_back_is_found_with_its_dataset() {
    // One client, so that the fifth update is one that finds its row.
    let spec = CatalogSpec { datasets: 1, clients: 1, ..spec() };
    let rig = Rig::wal(spec, CacheMode::Correct, undo("UPDATE datasets", 5)).await;
    rig.all().await;
    let verified = rig.verified().await;
    let lost = check(&verified, "catalog.lost_updates");
    assert_eq!(lost.verdict, Some(Verdict::Fail));
    assert!(
        lost.evidence[0].starts_with("dataset_001: version 6 was acknowledged to concurrent_writers/"),
        "{lost:#?}"
    );
    assert!(lost.evidence.iter().any(|line| line.contains("writes are counted in it")), "{lost:#?}");
    let versions = check(&verified, "catalog.versions");
    assert!(versions.evidence[0].contains("1 fewer than were acknowledged"), "{versions:#?}");
    // A reader that began after the acknowledgement did not see it.
    assert_eq!(check(&verified, "catalog.staleness").verdict, Some(Verdict::Fail));
    assert_eq!(check(&verified, "catalog.journal").verdict, Some(Verdict::Pass));
}

#[tokio::test]
async fn a_catalog_version_that_is_not_raised_is_found() {
    let rig = Rig::wal(spec(), CacheMode::Correct, undo("UPDATE catalog_meta", 5)).await;
    assert_eq!(rig.all().await, [""; 0]);
    let verified = rig.verified().await;
    fails(&verified, &["catalog.versions"]);
    assert!(check(&verified, "catalog.versions").evidence[0].starts_with("the catalog is at version "));
}

#[tokio::test]
async fn a_version_that_somebody_else_raises_is_found() {
    let rig = Rig::wal(spec(), CacheMode::Correct, vec![]).await;
    rig.all().await;
    let other = Pool::new(PoolSpec { plants: vec![], ..rig.ground.pool.spec().clone() });
    let mut lease = other.get(Instant::now() + LIMIT).await.unwrap();
    lease.script("UPDATE datasets SET version = version + 1 WHERE name = 'dataset_003'").await.unwrap();
    let verified = rig.verified().await;
    fails(&verified, &["catalog.versions", "catalog.lost_updates"]);
    let versions = check(&verified, "catalog.versions");
    assert!(
        versions.evidence[0].starts_with("dataset_003 is at version ") && versions.evidence_total == 1,
        "{versions:#?}"
    );
    assert!(versions.evidence[0].contains("1 more than anybody was told of"), "{versions:#?}");
}

#[tokio::test]
async fn contents_that_somebody_else_changes_are_found() {
    let rig = Rig::wal(spec(), CacheMode::Correct, vec![]).await;
    rig.all().await;
    let mut lease = rig.ground.pool.get(Instant::now() + LIMIT).await.unwrap();
    lease.script("UPDATE datasets SET content = 'x' WHERE name = 'dataset_008'").await.unwrap();
    lease.script("INSERT INTO datasets VALUES ('zebra', 1, 'x', 0, 'x', 0)").await.unwrap();
    lease.script("DELETE FROM datasets WHERE name = 'dataset_002'").await.unwrap();
    drop(lease);
    let verified = rig.verified().await;
    fails(&verified, &["catalog.versions", "catalog.lost_updates"]);
    assert!(check(&verified, "catalog.lost_updates").evidence[0].starts_with("dataset_008: version "));
    let versions = &check(&verified, "catalog.versions").evidence;
    assert!(
        versions[0].starts_with("dataset_002 is gone") && versions[1].starts_with("zebra is no dataset"),
        "{versions:?}"
    );
}

#[tokio::test]
async fn a_cache_without_invalidation_is_found() {
    // Entries that never end, and no bound of staleness.
    let spec = CatalogSpec { cache_ttl_ms: 600_000, staleness_ms: 0, ..spec() };
    for (mode, fault) in [(CacheMode::Correct, false), (CacheMode::NoInvalidation, true)] {
        let rig = Rig::wal(spec.clone(), mode, vec![]).await;
        assert_eq!(rig.all().await, [""; 0]);
        let verified = rig.verified().await;
        if !fault {
            fails(&verified, &[]);
            continue;
        }
        for (name, words) in [
            ("catalog.read_your_writes", "read through the cache version "),
            ("catalog.staleness", "longer than is allowed after"),
            ("catalog.monotonic_reads", "after it had seen"),
        ] {
            let found = check(&verified, name);
            assert_eq!(found.verdict, Some(Verdict::Fail), "{found:#?}");
            assert!(found.evidence[0].starts_with("dataset_00") && found.evidence[0].contains(words), "{found:#?}");
        }
        assert_eq!(check(&verified, "catalog.versions").verdict, Some(Verdict::Pass));
        assert_eq!(check(&verified, "catalog.lost_updates").verdict, Some(Verdict::Pass));
    }
}

#[tokio::test]
async fn a_lease_that_is_never_given_back_is_found_with_figures() {
    let rig = Rig::wal(spec(), CacheMode::Correct, vec![Plant::LeakLease { nth: 4 }]).await;
    // The first lease made the tables.
    rig.block(4, 1, 500).await;
    let verified = rig.verified().await;
    let cleanup = check(&verified, "catalog.cleanup");
    assert_eq!(cleanup.verdict, Some(Verdict::Fail), "{cleanup:#?}");
    assert!(
        cleanup.evidence.iter().any(|line| line.starts_with("File descriptors of the database: 0 -> ")),
        "{cleanup:#?}"
    );
    assert!(cleanup.evidence.contains(&"1 session was never given back".to_owned()), "{cleanup:#?}");
    assert!(cleanup.summary.contains("File descriptors: "), "{cleanup:#?}");
}

#[tokio::test]
async fn a_lease_that_an_earlier_scenario_never_gave_back_is_found_too() {
    let rig = Rig::wal(spec(), CacheMode::Correct, vec![Plant::LeakLease { nth: 9 }]).await;
    assert_eq!(rig.all().await, [""; 0]);
    let verified = rig.verified().await;
    fails(&verified, &["catalog.cleanup"]);
    assert_eq!(check(&verified, "catalog.cleanup").evidence, ["1 session was never given back"]);
}

/// Runs the clean-up of connections while a thread with a name begins and does not end; returns what is found of it.
async fn with_thread(name: &str, work: impl FnOnce(&Rig) -> Option<Box<dyn Hand>>, rig: &Rig) -> Vec<String> {
    // Short, because it is waited for in vain.
    let hasty = Ground { limit: Duration::from_secs(5), ..rig.ground.clone() };
    rig.course.between(&hasty, 4, false).await.unwrap();
    let (told, hears) = tokio::sync::oneshot::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (mut hand, runtime) = (work(rig), Handle::current());
    let stuck = move || {
        if let Some(hand) = &mut hand {
            runtime.block_on(hand.turn(Instant::now() + LIMIT));
        }
        told.send(()).unwrap();
        let _ = gone.recv();
    };
    let thread = std::thread::Builder::new().name(name.into()).spawn(stuck).unwrap();
    hears.await.unwrap();
    rig.course.between(&hasty, 4, true).await.unwrap();
    drop(go);
    thread.join().unwrap();
    check(&rig.verified().await, "catalog.cleanup").evidence.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_does_not_end_is_found_if_it_is_of_the_database_layer() {
    let rig = Rig::wal(spec(), CacheMode::Correct, vec![]).await;
    let session = rig.ground.pool.thread().to_owned();
    let none = |_: &Rig| None;
    assert_eq!(with_thread(&session, none, &rig).await, ["Threads of SQLite connections: 0 -> 1"]);
    let worker = |rig: &Rig| Some(rig.course.hand(&rig.ground, Lane::ConnectionCleanup, 1));
    assert_eq!(with_thread("connection_cleanup-1", worker, &rig).await, ["Threads of workers: 0 -> 1"]);
    // Neither a thread of something else, nor one of another run.
    for other in ["tokio-rt-worker", "soakd-sql-zzzz", "connection_cleanup-1"] {
        assert_eq!(with_thread(other, none, &rig).await, [""; 0], "{other}");
    }
}

#[tokio::test]
async fn a_client_that_spends_its_attempts_is_found() {
    let rig = Rig::wal(CatalogSpec { attempts: 1, ..spec() }, CacheMode::Correct, vec![]).await;
    let mut hand = rig.course.hand(&rig.ground, Lane::LockResolution, 1);
    let turn = unresolved(&rig, &mut hand).await;
    assert!(turn.done && turn.notes.contains(&("unresolved", 1)) && turn.notes.contains(&("conflicts", 1)), "{turn:?}");
    let verified = rig.verified().await;
    let resolution = check(&verified, "catalog.resolution");
    assert_eq!(
        (resolution.verdict, resolution.evidence[0].as_str()),
        (Some(Verdict::Fail), "client 1 spent its 1 attempts")
    );
}

/// Lets a client meet a conflict for certain: a trigger changes the version before its own update sees the row.
async fn unresolved(rig: &Rig, hand: &mut Box<dyn Hand>) -> Turn {
    let mut lease = rig.ground.pool.get(Instant::now() + LIMIT).await.unwrap();
    let trigger = "CREATE TRIGGER rival BEFORE UPDATE ON datasets BEGIN SELECT raise(IGNORE); END";
    lease.script(trigger).await.unwrap();
    drop(lease);
    let turn = hand.turn(Instant::now() + LIMIT).await;
    let mut lease = rig.ground.pool.get(Instant::now() + LIMIT).await.unwrap();
    lease.script("DROP TRIGGER rival").await.unwrap();
    turn
}
