//! Runs the cycles of one direct workload: opens the journal, lets the workers work second by second, reports every second as a
//! step, settles and verifies. It knows no daemon: a worker process and a test drive it alike.

#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::course::{Block, Course, Ground, Verified};
use super::crash::Crash;
use super::driver::{self, Shift};
use super::journal::{Journal, JournalError};
use super::tally::{Expected, Tally};
use crate::model::lane::{Lane, LaneFigures};
use crate::model::step::StepReport;
use crate::model::verdict::{CheckResult, Verdict};
use crate::target::sql::{Dialect, Engine, Pool, PoolSpec, SqlError};

use watch::Watch;

/// What a runner is made with.
#[derive(Debug, Clone)]
pub struct RunnerSpec {
    pub pool: PoolSpec,
    pub seed: u64,
    pub expected: Vec<String>,
    pub fail_fast: bool,
    /// How long the database may be away before that is an error.
    pub patience: Duration,
    /// Directory of the journal.
    pub dir: PathBuf,
    /// What the workload is called.
    pub workload: String,
}

/// What a runner cannot do.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    #[error("{what}: {cause}")]
    Database { what: &'static str, cause: SqlError },
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{0} workers ended by a panic, which the log tells of; this is a fault of soakd")]
    Panicked(u32),
    #[error("{what}: {cause}")]
    Machine { what: &'static str, cause: std::io::Error },
}

/// How a load ended.
#[derive(Debug)]
pub enum Loaded {
    Done,
    /// Somebody asked for it; the rest is done when it is loaded again.
    Stopped,
    /// At the first unexpected error, as it was to.
    Failed(Box<Crash>),
}

/// How the work of a block ended.
enum Worked {
    Whole,
    Stopped,
    /// At the first unexpected error.
    Failed,
}

/// What both kinds of workloads can do for whoever drives them.
pub trait Drive: Send {
    /// Takes the steps of a cycle that are not done yet, and tells of every one.
    fn load(&mut self, cycle: u64, tell: &dyn Fn(StepReport)) -> Result<Loaded, RunnerError>;
    /// Returns the reports of the steps that were done last.
    fn reports(&mut self, cycle: u64) -> Result<Vec<StepReport>, RunnerError>;
    /// Waits until nothing is under way any more; returns what could not be settled.
    fn settle(&mut self, cycle: u64) -> Result<Vec<String>, RunnerError>;
    /// Holds the database against what was acknowledged.
    fn verify(&mut self, cycle: u64) -> Result<Verified, RunnerError>;
    /// Returns the lines that people know of a cycle.
    fn lines(&self) -> Vec<String>;
    /// Returns name and version of the database: `SQLite 3.50.2`.
    fn version(&mut self) -> Result<String, RunnerError>;
    /// Returns the report of a cycle with a failed check, if the load is one that ends at its first failure.
    fn crash_of(&self, checks: &[CheckResult]) -> Option<Crash>;
    /// Closes all connections.
    fn close(&mut self);
}

/// Returns the steps of one cycle with these blocks.
pub fn steps(blocks: &[Block]) -> u32 {
    blocks.iter().map(|block| block.seconds.unwrap_or(1) * block.lanes.len() as u32).sum()
}

/// The runner of one course.
pub struct Runner<C: Course> {
    course: Arc<C>,
    spec: RunnerSpec,
    runtime: Runtime,
    pool: Arc<Pool>,
    ground: Option<Ground<C::Ledger>>,
    /// Asks the load to stop after the operations in work.
    pub stop: Arc<AtomicBool>,
    /// Operations done since the start.
    pub operations: Arc<AtomicU64>,
    /// Figures by lane since the start.
    pub totals: BTreeMap<Lane, LaneFigures>,
}

impl<C: Course> Runner<C> {
    /// Returns a runner; nothing is connected yet.
    pub fn new(course: C, spec: RunnerSpec) -> Result<Self, RunnerError> {
        let mut builder = match spec.pool.engine {
            // The connections of threads live on a thread of their own.
            Engine::Threads => tokio::runtime::Builder::new_multi_thread(),
            Engine::Async => tokio::runtime::Builder::new_current_thread(),
        };
        let runtime = builder
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|cause| RunnerError::Machine { what: "starting the runtime", cause })?;
        let pool = Arc::new(Pool::new(spec.pool.clone()));
        Ok(Self {
            course: Arc::new(course),
            spec,
            runtime,
            pool,
            ground: None,
            stop: Arc::default(),
            operations: Arc::default(),
            totals: BTreeMap::new(),
        })
    }

    /// Returns what the cycle works on, as it begins or as an earlier life left it.
    fn ground(&mut self, cycle: u64) -> Result<Ground<C::Ledger>, RunnerError> {
        let ground = self.opened(cycle)?;
        if !ground.journal.is_begun() {
            let begun = self.runtime.block_on(self.course.begin(&ground));
            begun.map_err(|cause| RunnerError::Database { what: "making the tables", cause })?;
            ground.journal.note_begun()?;
        }
        Ok(ground)
    }

    /// Returns the same without a look at the database.
    fn opened(&mut self, cycle: u64) -> Result<Ground<C::Ledger>, RunnerError> {
        if let Some(ground) = self.ground.as_ref().filter(|ground| ground.cycle == cycle) {
            return Ok(ground.clone());
        }
        let journal = Arc::new(Journal::open(&self.spec.dir, cycle, self.course.ledger())?);
        let (seed, limit) = (self.spec.seed, self.spec.pool.limit);
        let ground = Ground { pool: Arc::clone(&self.pool), journal, cycle, seed, limit };
        self.ground = Some(ground.clone());
        Ok(ground)
    }

    /// Runs one block from the second that it has come to.
    fn block(
        &mut self,
        ground: &Ground<C::Ledger>,
        (index, block, base): (usize, &Block, u32),
        tell: &dyn Fn(StepReport),
    ) -> Result<Loaded, RunnerError> {
        let course = Arc::clone(&self.course);
        let between = |over| {
            let noted = self.runtime.block_on(course.between(ground, index, over));
            noted.map_err(|cause| RunnerError::Database { what: "between two scenarios", cause })
        };
        between(false)?;
        let lanes = block.lanes.iter().map(|plan| plan.lane);
        let tally = Arc::new(Tally::new(ground.cycle, Expected::new(&self.spec.expected), self.spec.patience, lanes));
        let done = ground.journal.steps().0.saturating_sub(base) / block.lanes.len().max(1) as u32;
        let left = block.seconds.map(|seconds| Duration::from_secs(u64::from(seconds - done)));
        let shift = Arc::new(Shift {
            tally: Arc::clone(&tally),
            stop: Arc::clone(&self.stop),
            fail_fast: self.spec.fail_fast,
            over: AtomicBool::new(false),
            ends: left.map(|left| Instant::now() + left),
            operations: Arc::clone(&self.operations),
        });
        let mut totals = std::mem::take(&mut self.totals);
        let mut watch = Watch {
            ground: ground.clone(),
            block,
            base,
            tally: &tally,
            tell,
            since: Instant::now(),
            totals: &mut totals,
        };
        let worked = self.runtime.block_on(self.work(&mut watch, &shift, done));
        match &worked {
            Ok(Worked::Failed) => {
                tally.decide(true);
                watch.rest()?;
            }
            Ok(Worked::Stopped) => {
                tally.decide(false);
                watch.carry();
            }
            Ok(Worked::Whole) | Err(_) => {}
        }
        self.totals = totals;
        Ok(match worked? {
            Worked::Failed => Loaded::Failed(Box::new(self.first_crash(ground, &tally))),
            Worked::Whole => {
                between(true)?;
                Loaded::Done
            }
            Worked::Stopped => Loaded::Stopped,
        })
    }

    /// Lets the workers work, and waits until the last of them has ended, however the load ended.
    async fn work(
        &self,
        watch: &mut Watch<'_, C::Ledger>,
        shift: &Arc<Shift>,
        done: u32,
    ) -> Result<Worked, RunnerError> {
        let workers: u32 = watch.block.lanes.iter().map(|plan| plan.workers).sum();
        let (done_by, mut ended) = mpsc::channel(workers.max(1) as usize);
        let engine = self.spec.pool.engine;
        let started = driver::start(&*self.course, (&watch.ground, watch.block), Arc::clone(shift), engine, done_by);
        let worked = match started {
            Ok(()) => self.seconds(watch, shift, (done, workers), &mut ended).await,
            Err(cause) => Err(RunnerError::Machine { what: "starting the workers", cause }),
        };
        if !matches!(worked, Ok(Worked::Whole)) {
            // Nobody may go on behind the back of whoever looks at the database next.
            shift.over.store(true, Ordering::Relaxed);
            while ended.recv().await.is_some() {}
        }
        worked
    }

    /// Closes second after second.
    async fn seconds(
        &self,
        watch: &mut Watch<'_, C::Ledger>,
        shift: &Shift,
        (done, mut working): (u32, u32),
        ended: &mut mpsc::Receiver<()>,
    ) -> Result<Worked, RunnerError> {
        let started = Instant::now();
        let seconds = watch.block.seconds.unwrap_or(1);
        for second in done..seconds {
            let last = second + 1 == seconds;
            let over = started + Duration::from_secs(u64::from(second - done) + 1);
            let mut over = std::pin::pin!(tokio::time::sleep_until(over.into()));
            // The last second ends with its last operation.
            while working > 0 {
                tokio::select! {
                    one = ended.recv() => match one {
                        Some(()) => working -= 1,
                        None => return Err(RunnerError::Panicked(working)),
                    },
                    () = &mut over, if !last => break,
                }
            }
            if shift.over.load(Ordering::Relaxed) {
                return Ok(Worked::Failed);
            }
            if shift.stop.load(Ordering::Relaxed) {
                return Ok(Worked::Stopped);
            }
            if last {
                self.heal(watch.tally).await;
            }
            watch.tally.decide(last);
            watch.second(second)?;
        }
        Ok(Worked::Whole)
    }

    /// Gives a database that does not answer the rest of its time.
    async fn heal(&self, tally: &Tally) {
        let until = Instant::now() + self.spec.patience;
        while tally.is_waiting() && Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
            if self.pool.get(Instant::now() + self.spec.pool.limit).await.is_ok() {
                return tally.answered();
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Returns the report of a load that ended at its first unexpected error.
    fn first_crash(&self, ground: &Ground<C::Ledger>, tally: &Tally) -> Crash {
        let Some(first) = tally.first() else { return self.crash(ground, String::new(), String::new(), 0) };
        self.crash(ground, first.error.to_string(), format!("{} {}", first.lane, first.worker), first.at_ms)
    }

    fn crash(&self, ground: &Ground<C::Ledger>, cause: String, place: String, at_ms: i64) -> Crash {
        let recent = ground.journal.recent().into_iter();
        Crash {
            at_ms,
            cause,
            place,
            seed: self.spec.seed,
            workload: self.spec.workload.clone(),
            backend: self.spec.pool.backend.name(),
            database: self.spec.pool.backend.place(),
            lanes: self.totals.iter().map(|(lane, figures)| (lane.to_string(), figures.clone())).collect(),
            recent: recent.map(|(lane, worker, lines)| (format!("{lane} {worker}"), lines)).collect(),
            journal: self.spec.dir.display().to_string(),
        }
    }
}

impl<C: Course> Drive for Runner<C> {
    fn load(&mut self, cycle: u64, tell: &dyn Fn(StepReport)) -> Result<Loaded, RunnerError> {
        let ground = self.ground(cycle)?;
        let course = Arc::clone(&self.course);
        let mut base = 0;
        for (index, block) in course.blocks().iter().enumerate() {
            let end = base + steps(std::slice::from_ref(block));
            if ground.journal.steps().0 < end {
                match self.block(&ground, (index, block, base), tell)? {
                    Loaded::Done => {}
                    other => return Ok(other),
                }
            }
            base = end;
        }
        Ok(Loaded::Done)
    }

    fn reports(&mut self, cycle: u64) -> Result<Vec<StepReport>, RunnerError> {
        Ok(self.opened(cycle)?.journal.steps().1)
    }

    fn settle(&mut self, cycle: u64) -> Result<Vec<String>, RunnerError> {
        let ground = self.ground(cycle)?;
        let settled = self.runtime.block_on(self.course.settle(&ground));
        settled.map_err(|cause| RunnerError::Database { what: "settling", cause })
    }

    fn verify(&mut self, cycle: u64) -> Result<Verified, RunnerError> {
        let ground = self.ground(cycle)?;
        let verified = self.runtime.block_on(self.course.verify(&ground));
        verified.map_err(|cause| RunnerError::Database { what: "reading the database for its verification", cause })
    }

    fn lines(&self) -> Vec<String> {
        self.ground.as_ref().map(|ground| self.course.lines(ground)).unwrap_or_default()
    }

    fn version(&mut self) -> Result<String, RunnerError> {
        let (name, sql) = match self.spec.pool.backend.dialect() {
            Dialect::Sqlite => ("SQLite", "SELECT sqlite_version()"),
            Dialect::Postgres => ("PostgreSQL", "SELECT current_setting('server_version')"),
        };
        let until = Instant::now() + self.spec.pool.limit;
        let asked = self.runtime.block_on(async { self.pool.get(until).await?.query(sql, &[]).await });
        let rows = asked.map_err(|cause| RunnerError::Database { what: "connecting to the database", cause })?;
        let version = rows.first().and_then(|row| row.first()).and_then(|value| value.text()).unwrap_or_default();
        Ok(format!("{name} {version}"))
    }

    fn crash_of(&self, checks: &[CheckResult]) -> Option<Crash> {
        let failed = checks.iter().find(|check| check.verdict == Some(Verdict::Fail))?;
        let ground = self.ground.as_ref().filter(|_| self.spec.fail_fast)?;
        let mut cause = failed.summary.clone();
        failed.evidence.iter().take(3).for_each(|line| cause = format!("{cause}; {line}"));
        Some(self.crash(ground, cause, failed.check.clone(), chrono::Utc::now().timestamp_millis()))
    }

    fn close(&mut self) {
        self.runtime.block_on(self.pool.close());
    }
}
