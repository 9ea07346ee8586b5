//! Tests of the state file: exact counting under replays, loss of un-synced writes, and every bad file.

mod bad_files;
mod bounds;
mod chain;
mod commit;
mod counting;
mod crash;
mod latency;
mod measures;
mod random;
mod series;
mod telling;

use std::collections::BTreeMap;

use super::*;
use crate::model::finding::{Finding, Kind, Side};
use crate::model::record::{CycleRecord, EpochRecord, Phase, RunRecord, ScaleRecord, Versions};
use crate::model::step::{Action, Step, StepOutcome, StepReport};
use crate::model::verdict::CheckResult;

pub(crate) const RUN: &str = "run-1";

pub(crate) fn a_run(run: &str, started_ms: i64) -> RunRecord {
    RunRecord {
        run: run.to_owned(),
        name: "test".to_owned(),
        schedule: None,
        seed: 7,
        started_ms,
        ended_ms: None,
        config: BTreeMap::from([("scale".to_owned(), "small".to_owned())]),
        scale: ScaleRecord {
            scale: "small".to_owned(),
            mode: "classic".to_owned(),
            provider: "native".to_owned(),
            target: "embedded".to_owned(),
            rls: true,
            rows: 1000,
            iterations: 5,
            databases: 4,
            users: 2,
            cycles_planned: Some(2),
            duration_planned_ms: None,
            steps_per_cycle: 180,
        },
        versions: Versions::default(),
        cycle: 1,
        phase: Phase::Load,
        observed_ms: 0,
        verdict: None,
        criteria: String::new(),
        ended_because: None,
    }
}

pub(super) fn a_finding(at_ms: i64, db: u32, message: &str) -> Finding {
    Finding {
        at_ms,
        cycle: 1,
        phase: "load".to_owned(),
        db: Some(db),
        user: None,
        iter: Some(1),
        step: Some(2),
        side: Side::Server,
        kind: Kind::Http5xx,
        code: Some("503".to_owned()),
        message: message.to_owned(),
        tolerated: true,
    }
}

pub(crate) fn a_step(cycle: u64, db: u32, no: u32) -> StepReport {
    let action = match no % 3 {
        0 => Action::Send,
        1 => Action::Insert { rows: 1000 },
        _ => Action::DeleteAll,
    };
    let outcome = if no.is_multiple_of(7) { StepOutcome::Indeterminate } else { StepOutcome::Acknowledged };
    StepReport {
        db,
        cycle,
        step: Step { no, iter: 1 + no / 9, action, crud_ops: u64::from(no) },
        outcome,
        rows: u64::from(no) * 10,
        moved: u64::from(no),
        bytes: 100,
        attempts: 1 + no % 2,
        started_ms: 1_000,
        late_us: 0,
        elapsed_us: u64::from(no * db),
        seq: None,
        findings: (0..no % 3).map(|n| a_finding(1_000 * i64::from(n), db, &format!("answer 50{n}"))).collect(),
        figures: None,
    }
}

pub(crate) fn a_cycle(cycle: u64, verdict: Verdict) -> CycleRecord {
    let check = |name: &str| CheckResult {
        check: name.to_owned(),
        verdict: Some(verdict),
        summary: "all 4 databases, the server and the model hold the same 2,000 rows".to_owned(),
        evidence: (0..4).map(|db| format!("db {db}: 2,000 rows, digest 9f86d081884c7d65, as the model says")).collect(),
        evidence_total: 4,
    };
    CycleRecord {
        cycle,
        started_ms: 1_760_000_000_000 + cycle as i64 * 60_000,
        ended_ms: 1_760_000_055_000 + cycle as i64 * 60_000,
        load_ms: 40_123,
        settle_ms: 5_456,
        verify_ms: 9_789,
        checkpoint_us: 12_345,
        settle_rounds: 2,
        steps: 180,
        steps_planned: 180,
        errors: 0,
        rows_final: 4_000,
        content: "9f86d081884c7d659a2feaa0c55ad015".to_owned(),
        epoch: 1,
        server: String::new(),
        checks_digest: String::new(),
        previous: String::new(),
        digest: String::new(),
        verdict,
        checks: ["convergence", "isolation.rows", "isolation.matrix", "isolation.tokens", "health", "steps"]
            .map(check)
            .to_vec(),
    }
}

#[test]
fn runs_and_epochs_are_kept_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.latest().unwrap(), None);
    let (mut old, new) = (a_run("a", 1), a_run("b", 2));
    store.begin_run(&old).unwrap();
    store.begin_run(&new).unwrap();
    assert!(matches!(store.begin_run(&new), Err(StoreError::RunExists { .. })));
    assert!(matches!(store.update_run(&a_run("c", 3)), Err(StoreError::UnknownRun { .. })));
    assert!(matches!(store.begin_run(&a_run("a\0b", 3)), Err(StoreError::BadName { .. })));
    assert_eq!(store.unfinished().unwrap(), Some(new.clone()));
    old.ended_ms = Some(9);
    old.verdict = Some(Verdict::Pass);
    store.end_run(&old).unwrap();
    assert_eq!(store.runs().unwrap(), [new, old.clone()]);
    let mut epoch = EpochRecord {
        epoch: 1,
        pid: 4,
        started_ms: 5,
        last_ms: 5,
        cycle: 1,
        phase: Phase::Load,
        clean_end: false,
        steps_recovered: 0,
    };
    store.begin_epoch("a", &epoch).unwrap();
    epoch.last_ms = 8;
    store.touch_epoch("a", &epoch).unwrap();
    drop(store);
    let store = Store::open_read(dir.path()).unwrap();
    assert_eq!(store.epochs("a").unwrap(), [epoch]);
    assert_eq!(store.epochs("b").unwrap(), []);
    assert_eq!(store.run("a").unwrap(), Some(old));
    assert_eq!(store.snapshot("nobody").unwrap(), None);
}

#[test]
fn a_reader_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let mut store = Store::open_read(dir.path()).unwrap();
    let error = store.begin_run(&a_run(RUN, 1)).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }) && !error.is_fatal());
}

#[test]
fn blobs_are_kept_up_to_a_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.begin_run(&a_run(RUN, 1)).unwrap();
    store.put_blob(RUN, "journal/1", b"one").unwrap();
    store.put_blob(RUN, "journal/1", b"two").unwrap();
    assert_eq!(store.blob(RUN, "journal/1").unwrap().as_deref(), Some(b"two".as_slice()));
    assert_eq!(store.blob(RUN, "journal/2").unwrap(), None);
    let error = store.put_blob(RUN, "big", &vec![0; BLOB_BYTES_MAX + 1]).unwrap_err();
    assert!(error.to_string().contains("4194305 bytes"), "{error}");
    assert!(store.commit_micros() > 0);
}
