//! What is forgotten, what never is, and that a crash in the midst of it leaves nothing behind.

use proptest::prelude::*;

use super::super::tests::{RUN, a_finding, a_run};
use super::*;
use crate::model::record::EpochRecord;
use crate::model::record::Phase;

const KEEP: Keep = Keep { runs: 3, age_ms: 1_000_000, databases: 2, bytes: 1000, log_bytes: 100 };

/// Returns a run that ended a millisecond after its start; `None`: that has not ended.
fn run(id: &str, started_ms: i64, verdict: Option<Verdict>) -> RunRecord {
    RunRecord { ended_ms: verdict.map(|_| started_ms + 1), verdict, ..a_run(id, started_ms) }
}

/// Returns the past of these runs, each with directories of some bytes.
fn past(runs: Vec<RunRecord>, bytes: u64) -> Past {
    let held: BTreeMap<String, Held> =
        runs.iter().map(|run| (run.run.clone(), Held { bytes, age_ms: ORPHAN_MS * 2 })).collect();
    Past { runs, databases: held.clone(), reports: held, now_ms: 1000, ..Past::default() }
}

fn ids(all: &BTreeSet<String>) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

#[test]
fn runs_beyond_the_number_and_the_age_go() {
    let pass = Some(Verdict::Pass);
    let runs = vec![run("e", 50, None), run("d", 40, pass), run("c", 30, pass), run("b", 20, pass), run("a", 10, pass)];
    let mut past = past(runs, 1);
    let planned = plan(&past, &KEEP);
    assert_eq!(planned.runs, ["a", "b"]);
    assert_eq!((ids(&planned.databases), ids(&planned.reports)), (vec!["a", "b"], vec!["a", "b"]));
    past.now_ms = 10_000_000;
    assert_eq!(plan(&past, &KEEP).runs, ["a", "b", "c"], "the newest one that ended stays, however old");
}

#[test]
fn the_baseline_stays_however_old_and_large() {
    let pass = Some(Verdict::Pass);
    let runs: Vec<_> = (0..5).rev().map(|n| run(&format!("r{n}"), n * 10, pass)).collect();
    let baseline = Some("r0".to_owned());
    for keep in [KEEP, Keep { age_ms: 0, ..KEEP }, Keep { bytes: 0, ..KEEP }] {
        let past = Past { baseline: baseline.clone(), ..past(runs.clone(), 100) };
        let planned = plan(&past, &keep);
        assert!(!planned.runs.contains(&"r0".to_owned()) && !planned.reports.contains("r0"), "{planned:?}");
        assert!(planned.runs.contains(&"r1".to_owned()));
    }
}

#[test]
fn databases_of_failing_runs_are_kept_before_those_of_passing_ones() {
    let (pass, fail) = (Some(Verdict::Pass), Some(Verdict::Fail));
    let runs = vec![run("e", 50, pass), run("d", 40, pass), run("c", 30, pass), run("b", 20, fail), run("a", 10, fail)];
    let planned = plan(&past(runs, 1), &Keep { runs: 10, ..KEEP });
    assert_eq!(planned.runs, [""; 0]);
    assert_eq!((ids(&planned.databases), planned.reports.len()), (vec!["a", "c", "d"], 0));
}

#[test]
fn the_oldest_go_until_the_size_is_kept() {
    let pass = Some(Verdict::Pass);
    let runs: Vec<_> = (0..5).rev().map(|n| run(&format!("r{n}"), n * 10, pass)).collect();
    let keep = Keep { runs: 10, databases: 10, bytes: 700, ..KEEP };
    let planned = plan(&past(runs.clone(), 100), &keep);
    assert_eq!((ids(&planned.databases), planned.runs.len()), (vec!["r0"], 0));
    let planned = plan(&past(runs, 100), &Keep { bytes: 150, ..keep });
    assert_eq!(ids(&planned.databases), ["r0", "r1", "r2", "r3"], "the newest one that ended counts for nothing");
    assert_eq!(planned.runs, ["r0", "r1", "r2"]);
}

#[test]
fn directories_of_no_known_run_go_after_a_day_and_logs_by_age() {
    let mut past = past(vec![run("a", 10, None)], 1);
    past.databases.insert("old".into(), Held { bytes: 1, age_ms: ORPHAN_MS + 1 });
    past.reports.insert("young".into(), Held { bytes: 1, age_ms: ORPHAN_MS });
    let log = |name: &str, bytes, modified_ms| OldLog { path: name.into(), bytes, modified_ms };
    past.logs = vec![log("w.log.1", 50, 9), log("w.log.2", 50, 5), log("w.log.3", 50, 1)];
    past.log_bytes = 20;
    let planned = plan(&past, &KEEP);
    assert_eq!((ids(&planned.databases), planned.reports.len()), (vec!["old"], 0));
    assert_eq!(planned.logs, [PathBuf::from("w.log.3"), PathBuf::from("w.log.2")]);
}

proptest! {
    #[test]
    fn what_must_stay_stays_and_a_second_plan_is_empty(
        verdicts in prop::collection::vec((0..4u8, 0..500u64, 0..500u64, any::<bool>()), 0..20),
        runs in 0..5usize, databases in 0..5usize, bytes in 0..2000u64, age_ms in 0..100i64,
    ) {
        let keep = Keep { runs, age_ms, databases, bytes, log_bytes: 0 };
        let mut past = Past { now_ms: 150, ..Past::default() };
        for (n, (verdict, one, other, there)) in verdicts.iter().enumerate() {
            let verdict = [None, Some(Verdict::Pass), Some(Verdict::Fail), Some(Verdict::Aborted)][usize::from(*verdict)];
            let id = format!("r{n:02}");
            past.runs.insert(0, run(&id, n as i64, verdict));
            if *there {
                past.databases.insert(id.clone(), Held { bytes: *one, age_ms: 0 });
                past.reports.insert(id, Held { bytes: *other, age_ms: 0 });
            }
        }
        let planned = plan(&past, &keep);
        for run in past.runs.iter().filter(|run| run.ended_ms.is_none()) {
            prop_assert!(!planned.runs.contains(&run.run) && !planned.databases.contains(&run.run) && !planned.reports.contains(&run.run));
        }
        if let Some(newest) = past.runs.iter().find(|run| run.ended_ms.is_some()) {
            prop_assert!(!planned.runs.contains(&newest.run) && !planned.reports.contains(&newest.run));
            prop_assert!(databases == 0 || !planned.databases.contains(&newest.run));
        }
        past.runs.retain(|run| !planned.runs.contains(&run.run));
        past.databases.retain(|id, _| !planned.databases.contains(id));
        past.reports.retain(|id, _| !planned.reports.contains(id));
        prop_assert!(plan(&past, &keep).is_empty(), "{:?}", plan(&past, &keep));
    }
}

/// Returns how many rows of a run there are in all tables.
fn rows(store: &Store, run: &str) -> usize {
    let (from, until) = (key(run, &[]), tables::end(run));
    store
        .read(|txn| {
            let mut rows = 0;
            for table in tables::ALL {
                rows += txn.open_table(table)?.range(from.as_slice()..until.as_slice())?.count();
            }
            Ok(rows)
        })
        .unwrap()
}

fn filled(store: &mut Store, id: &str) {
    let mut record = a_run(id, 5);
    store.begin_run(&record).unwrap();
    let findings: Vec<_> = (0..150).map(|n| a_finding(n, 1, &"x".repeat(n as usize))).collect();
    store.record_findings(id, &findings).unwrap();
    for n in 0..700 {
        store.durability = redb::Durability::None;
        store.put_blob(id, &format!("blob-{n}"), b"value").unwrap();
    }
    store.durability = redb::Durability::Immediate;
    let epoch = EpochRecord {
        epoch: 1,
        pid: 1,
        started_ms: 1,
        last_ms: 1,
        cycle: 1,
        phase: Phase::Load,
        clean_end: true,
        steps_recovered: 0,
    };
    store.begin_epoch(id, &epoch).unwrap();
    record.ended_ms = Some(9);
    store.end_run(&record).unwrap();
}

#[test]
fn a_run_is_forgotten_in_bounded_steps_and_its_neighbours_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    for id in [RUN, "run-10", "run"] {
        filled(&mut store, id);
    }
    let (before, beside) = (rows(&store, RUN), rows(&store, "run-10"));
    assert!(before > BATCH && store.run(RUN).unwrap().is_some());
    assert_eq!(store.forget_some(RUN).unwrap(), BATCH as u64);
    assert!(store.run(RUN).unwrap().is_some(), "it is found again after a crash here");
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.forget_run(RUN).unwrap(), (before - BATCH) as u64);
    assert_eq!((rows(&store, RUN), store.run(RUN).unwrap()), (0, None));
    assert_eq!(store.forget_run(RUN).unwrap(), 0);
    assert_eq!((rows(&store, "run-10"), store.runs().unwrap().len()), (beside, 2));
}

#[test]
fn a_run_that_has_not_ended_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.begin_run(&a_run(RUN, 1)).unwrap();
    assert!(matches!(store.forget_run(RUN), Err(StoreError::Unfinished { .. })));
    assert!(rows(&store, RUN) > 0);
}
