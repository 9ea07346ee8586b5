//! Loads that end before their time: nothing that was met is lost, and nobody works on.

use std::sync::Mutex;

use async_trait::async_trait;
use serde::{Deserialize, Serialize, Serializer};

use super::*;
use crate::engine::direct::course::{Hand, LanePlan, Ledger, Op, Turn};
use crate::model::finding::Kind;
use crate::model::lane::End;
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
}

#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Error,
    Journal,
}

struct Counter {
    ground: Ground<Nothing>,
    turns: Arc<AtomicU64>,
    wrong: Wrong,
    worker: u32,
}

#[async_trait]
impl Hand for Counter {
    async fn turn(&mut self, _: Instant) -> Turn {
        self.turns.fetch_add(1, Ordering::SeqCst);
        let late = self.worker == 1 && self.ground.journal.steps().0 >= 1;
        let number = if late && self.wrong == Wrong::Journal { -1 } else { 1 };
        let op = self.ground.journal.begin(Lane::Reader, self.worker, Number(number));
        self.ground.journal.end(op, End::Acknowledged, &());
        tokio::time::sleep(Duration::from_millis(1)).await;
        if late && self.wrong == Wrong::Error {
            return Turn::met(SqlError::of_workload(Kind::Constraint, "a name is there twice"));
        }
        Turn::acknowledged()
    }
}

#[async_trait]
impl Course for Counting {
    type Ledger = Nothing;

    fn blocks(&self) -> Vec<Block> {
        vec![Block { lanes: vec![LanePlan { lane: Lane::Reader, workers: 3, rate: 0.0 }], seconds: Some(30) }]
    }

    fn ledger(&self) -> Nothing {
        Nothing
    }

    async fn begin(&self, _: &Ground<Nothing>) -> Result<(), SqlError> {
        Ok(())
    }

    fn hand(&self, ground: &Ground<Nothing>, _: Lane, worker: u32) -> Box<dyn Hand> {
        let (turns, wrong) = (Arc::clone(&self.turns), self.wrong);
        Box::new(Counter { ground: ground.clone(), turns, wrong, worker })
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
    let dir = tempfile::tempdir().unwrap();
    let (path, journal) = (dir.path().join("x.sqlite"), Mode::Wal);
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
        fail_fast: true,
        patience: Duration::from_secs(1),
        dir: dir.path().join("journal"),
        workload: "counting".into(),
    };
    let turns: Arc<AtomicU64> = Arc::default();
    let mut runner = Runner::new(Counting { turns: Arc::clone(&turns), wrong }, spec).unwrap();
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
        assert_eq!(steps.iter().map(|step| step.step.no).collect::<Vec<_>>(), [1, 2]);
        assert!(steps[0].findings.is_empty());
        assert_eq!(steps[1].findings.len(), 1);
        assert_eq!(crash.lanes[0].1.unexpected["constraint"], 1);
        let counted: u64 = steps.iter().map(|step| step.step.crud_ops).sum();
        assert_eq!(counted, turns.load(Ordering::SeqCst), "every operation is counted, and none came later");
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
