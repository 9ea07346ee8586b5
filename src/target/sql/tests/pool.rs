use super::*;
use crate::model::finding::{Kind, Side};

#[tokio::test]
async fn nobody_gets_more_sessions_than_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let pool = Pool::new(PoolSpec { size: 2, ..on_sqlite(&dir.path().join("a.db"), Engine::Threads) });
    let (one, two) = (pool.get(soon()).await.unwrap(), pool.get(soon()).await.unwrap());
    let error = failed(pool.get(brief()).await);
    assert_eq!((error.kind, error.side, error.lost), (Kind::Busy, Side::Soakd, false));
    assert!(error.message.starts_with("All 2 connections are in use (pool)"), "{error}");
    assert_eq!(pool.counts(), PoolCounts { open: 2, leased: 2, opened: 2 });
    // Whoever waits gets what is given back.
    let (three, ()) = tokio::join!(pool.get(soon()), async { drop(one) });
    assert_eq!(pool.counts(), PoolCounts { open: 2, leased: 2, opened: 2 });
    drop((two, three));
    assert_eq!(pool.counts(), PoolCounts { open: 2, leased: 0, opened: 2 });
}

#[tokio::test]
async fn what_cannot_be_opened_takes_no_slot() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("later/a.db");
    let pool = Pool::new(PoolSpec { size: 1, ..on_sqlite(&path, Engine::Async) });
    for _ in 0..3 {
        assert_eq!(failed(pool.get(soon()).await).kind, Kind::Config);
    }
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    drop(pool.get(soon()).await.unwrap());
    assert_eq!(pool.counts(), PoolCounts { open: 1, leased: 0, opened: 1 });
}

/// Counts are of the whole process, so this runs where nothing else does: in a process of its own.
#[test]
fn a_closed_pool_leaves_nothing_behind() {
    if std::env::var_os("SOAKD_TEST_ALONE").is_none() {
        let name = std::thread::current().name().unwrap().to_owned();
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let done = command.args(["--exact", &name]).env("SOAKD_TEST_ALONE", "1").output().unwrap();
        let words = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && words.contains("1 passed"), "{words}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let counts = || (entries("/proc/self/fd"), entries("/proc/self/task"));
        let before = counts();
        for engine in [Engine::Threads, Engine::Async] {
            let pool = Pool::new(on_sqlite(&dir.path().join("a.db"), engine));
            for _ in 0..3 {
                let mut leases = Vec::new();
                for _ in 0..4 {
                    leases.push(pool.get(soon()).await.unwrap());
                }
                let mut lease = leases.pop().unwrap();
                lease.script("CREATE TABLE IF NOT EXISTS a (n)").await.unwrap();
                lease.begin(Access::Write).await.unwrap();
                drop((lease, leases));
                assert!(counts().0 > before.0);
                pool.close().await;
                // The kernel takes a thread off its list a moment after it can be joined.
                until(async || counts() == before).await;
            }
            assert_eq!(pool.counts(), PoolCounts { open: 0, leased: 0, opened: 12 });
        }
    });
}
