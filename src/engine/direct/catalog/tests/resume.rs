use super::super::ledger::{Begin, left};
use super::super::sql;
use super::*;
use crate::engine::direct::course::Op;

/// Begins a write as a client would, and leaves it there: with the change committed, or not.
async fn abandoned(rig: &Rig, worker: u32, dataset: u32, committed: bool) -> Op {
    let mut lease = rig.ground.pool.get(Instant::now() + LIMIT).await.unwrap();
    let row = sql::read(&mut lease, dataset).await.unwrap();
    let begin = Begin::Write(dataset, row.state.version, row.state.content.clone());
    let op = rig.ground.journal.begin(Lane::ConcurrentWriters, worker, begin).unwrap();
    if committed {
        let left = left(op, row.state.version, &row.state.content);
        let name = crate::workload::catalog::dataset_name(dataset);
        assert!(sql::replace(&mut lease, &name, &row, &left).await.unwrap());
    }
    op
}

/// Returns the next life of a rig.
fn killed(rig: Rig) -> Rig {
    let Rig { dir, ground, .. } = rig;
    let pool = ground.pool.spec().clone();
    drop(ground);
    Rig::again(dir, spec(), CacheMode::Correct, pool)
}

#[tokio::test]
async fn a_journal_that_was_left_in_mid_operation_is_resolved_by_looking() {
    let rig = Rig::wal(spec(), CacheMode::Correct, vec![]).await;
    rig.block(0, 1, 5).await;
    abandoned(&rig, 1, 1, true).await;
    abandoned(&rig, 2, 2, false).await;
    rig.ground.journal.begin(Lane::ReadHeavy, 1, Begin::Read(3)).unwrap();
    let rig = killed(rig);
    let before = rig.ground.journal.with(|ledger| ledger.counts(Lane::ConcurrentWriters).writes);
    // The read left no trace, as it had no effect.
    assert_eq!(rig.ground.journal.open_operations().0.len(), 2);
    assert_eq!(rig.all().await, [""; 0]);
    let verified = rig.verified().await;
    fails(&verified, &[]);
    assert!(check(&verified, "catalog.journal").summary.contains("a look decided 2: 1 had happened, 1 had not"));
    assert!(rig.ground.journal.with(|ledger| ledger.counts(Lane::ConcurrentWriters).writes) > before);
}

#[tokio::test]
async fn of_two_writes_of_one_version_the_next_one_tells_which_happened() {
    let rig = Rig::wal(spec(), CacheMode::Correct, vec![]).await;
    // Three that want to replace the same version; the second does, and others write over it.
    abandoned(&rig, 1, 1, false).await;
    let row = sql::read(&mut rig.ground.pool.get(Instant::now() + LIMIT).await.unwrap(), 1).await.unwrap();
    abandoned(&rig, 2, 1, true).await;
    rig.ground
        .journal
        .begin(Lane::ConcurrentWriters, 3, Begin::Write(1, row.state.version, row.state.content))
        .unwrap();
    abandoned(&rig, 4, 1, true).await;
    let rig = killed(rig);
    assert_eq!(rig.course.settle(&rig.ground).await.unwrap(), [""; 0]);
    let ledger = rig.ground.journal.with(|ledger| (ledger.settled, ledger.twice.broken, ledger.tops()[0]));
    assert_eq!(ledger, ([2, 2], 0, 3));
    assert_eq!(rig.course.verify(&rig.ground).await.unwrap().checks[0].verdict, Some(Verdict::Pass));
}

#[tokio::test]
async fn what_cannot_be_told_is_said_and_never_passes() {
    let rig = Rig::wal(spec(), CacheMode::Correct, vec![]).await;
    // Two that wanted the same version, and a third who is not in the journal has replaced it since.
    abandoned(&rig, 1, 1, false).await;
    abandoned(&rig, 2, 1, false).await;
    let mut lease = rig.ground.pool.get(Instant::now() + LIMIT).await.unwrap();
    lease.script("UPDATE datasets SET version = 3, total = 2, writer = 'x' WHERE name = 'dataset_001'").await.unwrap();
    drop(lease);
    let unsettled = rig.course.settle(&rig.ground).await.unwrap();
    assert_eq!(unsettled.len(), 2);
    assert!(unsettled[0].contains("dataset_001: whether concurrent_writers/1, operation 1 replaced version 1"));
    let verified = rig.course.verify(&rig.ground).await.unwrap();
    assert_eq!(check(&verified, "catalog.journal").verdict, Some(Verdict::Inconclusive));
    assert_ne!(check(&verified, "catalog.lost_updates").verdict, Some(Verdict::Pass));
}

#[tokio::test]
async fn a_client_of_the_lock_resolution_that_wrote_before_does_not_write_again() {
    let rig = Rig::wal(spec(), CacheMode::Correct, vec![]).await;
    rig.block(2, 1, 500).await;
    let writes = |rig: &Rig| rig.ground.journal.with(|ledger| ledger.counts(Lane::LockResolution).writes);
    assert_eq!(writes(&rig), 4);
    let rig = killed(rig);
    rig.block(2, 1, 500).await;
    assert_eq!(writes(&rig), 4);
    assert_eq!(check(&rig.verified().await, "catalog.resolution").verdict, Some(Verdict::Pass));
}

#[tokio::test]
async fn a_client_looks_first_whether_its_last_attempt_happened() {
    for committed in [true, false] {
        let rig = Rig::wal(spec(), CacheMode::Correct, vec![]).await;
        let mut lease = rig.ground.pool.get(Instant::now() + LIMIT).await.unwrap();
        let row = sql::read(&mut lease, 1).await.unwrap();
        let begin = Begin::Write(1, row.state.version, row.state.content.clone());
        let op = rig.ground.journal.begin(Lane::LockResolution, 1, begin).unwrap();
        // Somebody certainly wrote: this client, or another one.
        let other = if committed { op } else { Op { worker: 9, ..op } };
        let left = left(other, 1, &row.state.content);
        assert!(sql::replace(&mut lease, "dataset_001", &row, &left).await.unwrap());
        drop(lease);
        let rig = killed(rig);
        let mut hand = rig.course.hand(&rig.ground, Lane::LockResolution, 1);
        let mut turns = Vec::new();
        while turns.last().is_none_or(|turn: &Turn| !turn.done) && turns.len() < 20 {
            turns.push(hand.turn(Instant::now() + LIMIT).await);
        }
        assert_eq!(turns.len(), if committed { 1 } else { 2 });
        let client = rig.ground.journal.with(|ledger| ledger.clients[&1]);
        assert!(client.succeeded && !client.gave_up);
    }
}

#[tokio::test]
async fn what_was_measured_is_known_in_the_next_life() {
    let rig = Rig::wal(spec(), CacheMode::Correct, vec![]).await;
    assert_eq!(rig.all().await, [""; 0]);
    let lines = rig.course.lines(&rig.ground);
    let rig = killed(rig);
    assert_eq!(rig.course.lines(&rig.ground), lines);
    fails(&rig.verified().await, &[]);
}
