//! Failure, incident and message are one commit: after a power cut at any moment all of them are there, or none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::crash::Backend;
use super::telling::{a_store, failure, policy, subjects, waiting};
use super::*;
use crate::model::incident::{ChangeKind, IncidentState};
use crate::model::message::Subject;
use crate::store::Shared;

/// Everything that writes failures down, one after another; returns how many commits were acknowledged.
fn work(backend: &Backend) -> (u32, Result<(), StoreError>) {
    let mut acknowledged = 0;
    let mut all = || {
        let mut store = Store::with_backend(backend.clone())?;
        store.set_policy(policy(&["mail"]));
        let mut step = a_step(1, 1, 3);
        step.findings = vec![failure(1, Kind::Auth, "unknown key")];
        store.record_steps(RUN, &[step])?;
        acknowledged += 1;
        store.record_findings(RUN, &[failure(2, Kind::Schema, "no such column")])?;
        acknowledged += 1;
        let mut cycle = a_cycle(1, Verdict::Pass);
        cycle.verdict = Verdict::Fail;
        cycle.checks[0].verdict = Some(Verdict::Fail);
        store.finish_cycle(&a_run(RUN, 1), &cycle, &BTreeMap::new())?;
        acknowledged += 1;
        let mut run = a_run(RUN, 1);
        run.ended_ms = Some(9);
        store.end_run(&run)?;
        acknowledged += 1;
        Ok(())
    };
    let done = all();
    (acknowledged, done)
}

#[test]
fn a_power_cut_at_any_moment_leaves_all_of_a_failure_or_nothing() {
    let mut calls = 0;
    let mut left = BTreeSet::new();
    loop {
        let backend = Backend::default();
        Store::with_backend(backend.clone()).unwrap().begin_run(&a_run(RUN, 1)).unwrap();
        backend.0.lock().unwrap().calls_left = Some(calls);
        let (acknowledged, done) = work(&backend);
        backend.0.lock().unwrap().cut(u64::from(calls).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let store = Store::with_backend(backend).unwrap();
        let snapshot = store.snapshot(RUN).unwrap().unwrap();
        let ended = snapshot.run.ended_ms.is_some();
        // One group of findings for each of the first two, a record for the third, the end for the fourth.
        let commits = snapshot.findings.len() as u32 + snapshot.cycles.len() as u32 + u32::from(ended);
        assert!(commits == acknowledged || commits == acknowledged + 1, "{commits} of {acknowledged} after {calls}");
        let incidents = store.incidents(true, 9).unwrap();
        assert_eq!(incidents.len() as u32, commits.min(3), "after {calls} calls: {incidents:#?}");
        assert_eq!(subjects(&store, "mail").len() as u32, commits, "after {calls} calls");
        assert_eq!(waiting(&store).iter().map(|m| &m.key).collect::<BTreeSet<_>>().len() as u32, commits);
        left.insert(commits);
        if done.is_ok() {
            break;
        }
        calls += 1;
    }
    assert_eq!(left, BTreeSet::from([0, 1, 2, 3, 4]), "the cuts must have met every commit");
}

#[test]
fn a_commit_that_fails_leaves_nothing_in_memory_either() {
    let (_dir, mut store) = a_store(policy(&["mail"]));
    store.record_findings(RUN, &[failure(1, Kind::Auth, "unknown key")]).unwrap();
    store.take_changes();
    let failed = store.write_told(|txn, desk| {
        desk.add(txn, RUN, &[failure(2, Kind::Auth, "unknown key"), failure(2, Kind::Schema, "no such column")])?;
        Err::<(), _>(StoreError::UnknownRun { run: "x".into() })
    });
    assert!(failed.is_err() && store.take_changes().is_empty());
    store.record_findings(RUN, &[failure(3, Kind::Auth, "unknown key")]).unwrap();
    let incidents = store.incidents(false, 9).unwrap();
    assert_eq!((incidents.len(), incidents[0].count, waiting(&store).len()), (1, 2, 1));
}

#[test]
fn ten_thousand_failures_are_one_incident_one_message_and_a_small_file() {
    let (dir, mut store) = a_store(policy(&["mail"]));
    store.durability = Durability::None;
    let crash = "the embedded target ended by signal 9; its last lines: ready";
    store.record_findings(RUN, &[failure(0, Kind::Crash, crash)]).unwrap();
    let size = |store: &mut Store| {
        store.durability = Durability::Immediate;
        store.record_findings(RUN, &[failure(1, Kind::Crash, crash)]).unwrap();
        store.durability = Durability::None;
        (
            fs::metadata(dir.path().join(FILE)).unwrap().len(),
            serde_json::to_vec(&store.incident(1).unwrap()).unwrap().len(),
        )
    };
    let mut sizes = Vec::new();
    for n in 0..10_000u32 {
        let mut step = a_step(1, 1, n + 1);
        let kind = [Kind::Refused, Kind::Reset, Kind::Timeout, Kind::Http5xx][n as usize % 4];
        step.findings = vec![failure(i64::from(n) * 6, kind, &format!("call {n} to port 4000 failed"))];
        store.record_steps(RUN, &[step]).unwrap();
        if n % 2_500 == 2_499 {
            sizes.push(size(&mut store));
        }
    }
    let incidents = store.incidents(false, 9).unwrap();
    assert_eq!((incidents.len(), incidents[0].count), (1, 10_005));
    assert_eq!(incidents[0].title, "the embedded target ended by signal 9");
    assert_eq!(subjects(&store, "mail"), [Subject::Opened { incident: 1 }]);
    assert_eq!(store.take_changes().len(), 1);
    let (file, incident) = sizes[3];
    assert!(file < 8 << 20 && incident < 16_000 && incident < sizes[0].1 + 64, "{sizes:?}");
}

#[test]
fn an_outage_is_part_of_an_incident_across_commits() {
    use crate::model::record::Outage;
    let (_dir, mut store) = a_store(policy(&["mail"]));
    let from_ms = store.clock().now_ms();
    let outage = |until_ms| Outage { from_ms, until_ms, reason: "no connection".into() };
    store.record_outages(RUN, &[outage(None)]).unwrap();
    store.record_findings(RUN, &[failure(from_ms + 700, Kind::Timeout, "no answer")]).unwrap();
    store.record_outages(RUN, &[outage(Some(from_ms + 20_000))]).unwrap();
    let changes: Vec<_> = store.take_changes().into_iter().map(|(i, what)| (i.title, what)).collect();
    let title = "the target does not answer its liveness probe: no connection".to_owned();
    assert_eq!(changes, [(title, ChangeKind::Opened)]);
    assert_eq!((store.incidents(true, 9).unwrap()[0].count, waiting(&store).len()), (2, 1));
    assert_eq!(store.incident(1).unwrap().unwrap().state, IncidentState::Open);
}

#[test]
fn the_state_file_can_be_shared_with_and_without_a_runtime() {
    let (_dir, store) = a_store(policy(&["mail"]));
    let shared = Shared::new(store);
    let count = |shared: &Shared| shared.with(|store| Ok(store.runs()?.len())).unwrap();
    assert_eq!(count(&shared), 1);
    for mut builder in [tokio::runtime::Builder::new_current_thread(), tokio::runtime::Builder::new_multi_thread()] {
        let runtime = builder.build().unwrap();
        let theirs = shared.clone();
        assert_eq!(runtime.block_on(async { count(&shared) }), 1);
        assert_eq!(runtime.block_on(async { tokio::spawn(async move { count(&theirs) }).await.unwrap() }), 1);
    }
}
