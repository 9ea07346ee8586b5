//! Loads that end before their time: nothing that was met is lost, and nobody works on.

use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use serde::{Deserialize, Serialize, Serializer};

use super::*;
use crate::engine::direct::course::{Hand, LanePlan, Ledger, Op, Turn};
use crate::model::finding::Kind;
use crate::model::lane::End;
use crate::model::step::StepOutcome;
use crate::stats::latency::Latencies;
use crate::target::sql::{Backend, Journal as Mode};

/// What an operation writes down: a number, of which a negative one cannot be written.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Number(i64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 < 0 { Err(serde::ser::Error::custom("no room left")) } else { serializer.serialize_i64(self.0) }
    }
}

#[derive(Serialize, Deserialize)]
struct Nothing;

impl Ledger for Nothing {
    type Begin = Number;
    type Done = ();

    fn is_harmless(_: &Number) -> bool {
        false
    }

    fn begun(&mut self, _: Op, _: &Number) {}

    fn ended(&mut self, _: Op, _: &Number, _: End, (): &()) {}
}

/// Counts its operations, and lets the first one of the second second go wrong in some way.
struct Counting {
    turns: Arc<AtomicU64>,
    wrong: Wrong,
    stop: Arc<AtomicBool>,
}

#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Error,
    Journal,
    /// An error in the first operation, whereupon somebody stops the load.
    Stopped,
    Nothing,
}

struct Counter {
    ground: Ground<Nothing>,
    turns: Arc<AtomicU64>,
    wrong: Wrong,
    worker: u32,
    stop: Arc<AtomicBool>,
}

#[async_trait]
impl Hand for Counter {
    async fn turn(&mut self, _: Instant) -> Turn {
        let late = self.worker == 1 && self.ground.journal.steps().0 >= 1;
        let number = if late && self.wrong == Wrong::Journal { -1 } else { 1 };
        let op = match self.ground.journal.begin(Lane::Reader, self.worker, Number(number)) {
            Ok(op) => op,
            Err(error) => return Turn::unwritten(error),
        };
        self.turns.fetch_add(1, Ordering::SeqCst);
        self.ground.journal.end(op, End::Acknowledged, &());
        tokio::time::sleep(Duration::from_millis(1)).await;
        let stopped = self.wrong == Wrong::Stopped && self.worker == 1 && op.no == 1;
        if stopped {
            self.stop.store(true, Ordering::Relaxed);
        }
        if stopped || (late && self.wrong == Wrong::Error) {
            return Turn::met(SqlError::of_workload(Kind::Constraint, "a name is there twice"));
        }
        Turn::acknowledged()
    }
}

#[async_trait]
impl Course for Counting {
    type Ledger = Nothing;

    fn blocks(&self) -> Vec<Block> {
        let seconds = if matches!(self.wrong, Wrong::Stopped | Wrong::Nothing) { 2 } else { 30 };
        vec![Block { lanes: vec![LanePlan { lane: Lane::Reader, workers: 3, rate: 0.0 }], seconds: Some(seconds) }]
    }

    fn ledger(&self) -> Nothing {
        Nothing
    }

    async fn begin(&self, _: &Ground<Nothing>) -> Result<(), SqlError> {
        Ok(())
    }

    fn hand(&self, ground: &Ground<Nothing>, _: Lane, worker: u32) -> Box<dyn Hand> {
        let (turns, wrong, stop) = (Arc::clone(&self.turns), self.wrong, Arc::clone(&self.stop));
        Box::new(Counter { ground: ground.clone(), turns, wrong, worker, stop })
    }

    async fn settle(&self, _: &Ground<Nothing>) -> Result<Vec<String>, SqlError> {
        Ok(Vec::new())
    }

    async fn verify(&self, _: &Ground<Nothing>) -> Result<Verified, SqlError> {
        Ok(Verified::default())
    }
}

/// Loads a cycle; returns what came of it, the steps, and the operations begun when it returned and once more later.
fn loaded(wrong: Wrong, engine: Engine) -> (Result<Loaded, RunnerError>, Vec<StepReport>, Arc<AtomicU64>) {
    loaded_in(tempfile::tempdir().unwrap().path(), wrong, engine)
}

/// Does the same in a directory, where an earlier life may have left something.
fn loaded_in(
    dir: &Path,
    wrong: Wrong,
    engine: Engine,
) -> (Result<Loaded, RunnerError>, Vec<StepReport>, Arc<AtomicU64>) {
    let (path, journal) = (dir.join("x.sqlite"), Mode::Wal);
    let spec = RunnerSpec {
        pool: PoolSpec {
            backend: Backend::Sqlite { path, journal, busy_ms: 100, foreign_keys: true },
            engine,
            size: 3,
            limit: Duration::from_secs(5),
            application: "soakd test".into(),
            plants: Vec::new(),
        },
        seed: 1,
        expected: Vec::new(),
        fail_fast: wrong != Wrong::Stopped,
        patience: Duration::from_secs(1),
        dir: dir.join("journal"),
        workload: "counting".into(),
    };
    let turns: Arc<AtomicU64> = Arc::default();
    let stop: Arc<AtomicBool> = Arc::default();
    let counting = Counting { turns: Arc::clone(&turns), wrong, stop: Arc::clone(&stop) };
    let mut runner = Runner::new(counting, spec).unwrap();
    runner.stop = stop;
    let told = Mutex::new(Vec::new());
    let loaded = runner.load(1, &|report| told.lock().unwrap().push(report));
    (loaded, told.into_inner().unwrap(), turns)
}

#[test]
fn what_ends_a_load_in_a_later_second_is_told_with_that_second() {
    for engine in [Engine::Threads, Engine::Async] {
        let (loaded, steps, turns) = loaded(Wrong::Error, engine);
        let Ok(Loaded::Failed(crash)) = loaded else { panic!("{loaded:?}") };
        assert_eq!((crash.place.as_str(), crash.cause.as_str()), ("reader 1", "a name is there twice"));
        assert!(steps.len() >= 2 && steps.iter().zip(1..).all(|(step, no)| step.step.no == no), "{steps:?}");
        let (last, before) = steps.split_last().unwrap();
        assert!(before.iter().all(|step| step.findings.is_empty()));
        assert_eq!(last.findings.len(), 1);
        assert_eq!(crash.lanes[0].1.unexpected["constraint"], 1);
        let counted: u64 = steps.iter().map(|step| step.step.crud_ops).sum();
        assert_eq!(counted, turns.load(Ordering::SeqCst), "every operation is counted, and none came later");
    }
}

#[test]
fn an_error_of_the_second_in_which_a_load_is_stopped_is_told_by_the_life_that_goes_on() {
    for engine in [Engine::Threads, Engine::Async] {
        let dir = tempfile::tempdir().unwrap();
        let (stopped, before, first) = loaded_in(dir.path(), Wrong::Stopped, engine);
        assert!(matches!(stopped, Ok(Loaded::Stopped)) && before.is_empty(), "{stopped:?} {before:?}");
        let (done, steps, second) = loaded_in(dir.path(), Wrong::Nothing, engine);
        assert!(matches!(done, Ok(Loaded::Done)) && steps.len() == 2, "{done:?} {steps:?}");
        assert!(steps[0].findings.len() == 1 && steps[1].findings.is_empty(), "{steps:?}");
        assert_eq!(steps[0].outcome, StepOutcome::Failed);
        let figures = |step: &StepReport| step.figures.clone().unwrap();
        assert_eq!(figures(&steps[0]).unexpected, [("constraint".to_owned(), 1)].into());
        let all = first.load(Ordering::SeqCst) + second.load(Ordering::SeqCst);
        let latencies: u64 =
            steps.iter().filter_map(|step| Some(Latencies::unpack(&figures(step).latency)?.count())).sum();
        assert_eq!((steps.iter().map(|step| step.step.crud_ops).sum::<u64>(), latencies), (all, all));
    }
}

#[test]
fn nobody_works_on_when_the_journal_cannot_be_written() {
    for engine in [Engine::Threads, Engine::Async] {
        let (loaded, _, turns) = loaded(Wrong::Journal, engine);
        let error = loaded.err().unwrap().to_string();
        assert!(error.contains("no room left") && error.contains("--fresh"), "{error}");
        // Every worker held the counter; with the last one gone nobody can raise it.
        assert_eq!(Arc::strong_count(&turns), 1);
    }
}
