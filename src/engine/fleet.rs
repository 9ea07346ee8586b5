//! The daemon's side of the workers: start, talk, watch, end. A worker that dies or falls silent is reported with its signal
//! and last log lines, and whoever waited for it is told; starting it again is the caller's decision.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::child::{self, LAST_WORDS_MAX, Part, describe};
use super::event::Beat;
use super::worker::protocol::{Command, Event, Hello, LINE_BYTES_MAX, PROTOCOL, Reply, Request};
use crate::model::finding::Classified;
use crate::model::ids::DbNo;
use crate::model::step::StepReport;

/// Log lines of a worker that are kept for the report of its death.
const LAST_LINES: usize = 12;
/// Longest log line that is kept.
const LOG_LINE_BYTES: u64 = 4096;

/// What workers tell the daemon without being asked.
#[derive(Debug)]
pub enum News {
    Step(Box<StepReport>),
    /// A log line, and the database that it is about.
    Log {
        db: Option<DbNo>,
        line: String,
    },
    NeedCredential {
        db: DbNo,
    },
    Gone(Death),
    /// Everything before this was taken in.
    Barrier(oneshot::Sender<()>),
}

/// How a worker ended.
#[derive(Debug, Clone)]
pub struct Death {
    pub worker: usize,
    pub databases: Vec<DbNo>,
    /// `signal 6 (SIGABRT)`, `exit code 1` …
    pub how: String,
    /// True if the daemon ended it because it was silent or stuck.
    pub stuck: bool,
    pub last_lines: Vec<String>,
}

/// Why a command was not answered.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("the worker is gone")]
    Gone,
    #[error("{}", .0.message)]
    Failed(Box<Classified>),
}

/// A worker ended before it was at work; its death was told as [`News::Gone`].
#[derive(Debug, thiserror::Error)]
#[error("a worker was not ready: {0}")]
pub struct Died(pub String);

/// How workers are started and watched.
#[derive(Debug, Clone)]
pub struct FleetSpec {
    pub program: PathBuf,
    pub silent_max: Duration,
    /// Longest time that one command may go without any event of its database.
    pub step_max: Duration,
    pub beat: Beat,
}

/// A running worker process.
pub struct Worker {
    pub index: usize,
    pub databases: Vec<DbNo>,
    pub pid: u32,
    /// What the worker said of itself: soakd and SQLite versions.
    pub versions: (String, String),
    stdin: tokio::sync::Mutex<ChildStdin>,
    shared: Arc<Shared>,
    step_max: Duration,
}

/// What the reader of a worker's pipe and its askers share.
struct Shared {
    pending: Mutex<Pending>,
    next_id: AtomicU64,
    rows: AtomicU64,
    alive: AtomicBool,
    last_heard: Mutex<Instant>,
    /// Time of the last event of each database.
    last_step: Mutex<BTreeMap<DbNo, Instant>>,
    kill: tokio::sync::Notify,
    last_lines: Mutex<VecDeque<String>>,
    step_max: Duration,
    beat: Beat,
}

impl Shared {
    /// Returns true while a command is in work whose deadline is not over: that is watched by its own rule.
    fn at_work(&self) -> bool {
        !lock(&self.pending).is_empty() && lock(&self.last_step).values().any(|at| at.elapsed() < self.step_max)
    }
}

type Pending = HashMap<u64, oneshot::Sender<Result<Reply, Classified>>>;

/// Takes a lock; what it guards stays valid even if a holder panicked.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker {
    /// Starts a worker process and waits for its hello.
    pub async fn start(
        spec: &FleetSpec,
        index: usize,
        hello: &Hello,
        news: mpsc::Sender<News>,
    ) -> anyhow::Result<Arc<Self>> {
        let Part { child, mut stdin, stdout, stderr } = child::start(&spec.program, &["worker"])?;
        let shared = Arc::new(Shared {
            pending: Mutex::default(),
            next_id: AtomicU64::new(1),
            rows: AtomicU64::new(0),
            alive: AtomicBool::new(true),
            last_heard: Mutex::new(Instant::now()),
            last_step: Mutex::default(),
            kill: tokio::sync::Notify::new(),
            last_lines: Mutex::default(),
            step_max: spec.step_max,
            beat: spec.beat.clone(),
        });
        let log = tokio::spawn(read_log(BufReader::new(stderr), Arc::clone(&shared), news.clone()));
        let mut reader = BufReader::new(stdout);
        let databases: Vec<DbNo> = hello.databases.iter().map(|d| d.db).collect();
        let greeted = async {
            stdin.write_all(format!("{}\n", serde_json::to_string(hello)?).as_bytes()).await?;
            read_line(&mut reader).await
        };
        let versions = match tokio::time::timeout(spec.silent_max, greeted).await {
            Ok(Ok(Some(line))) => {
                match serde_json::from_str(&line).context("the worker's first line is not a hello")? {
                    Event::Hello { protocol: PROTOCOL, soakd, sqlite } => (soakd, sqlite),
                    other => anyhow::bail!("the worker does not speak protocol {PROTOCOL}: {other:?}"),
                }
            }
            unready => {
                let stuck = unready.is_err();
                let death = buried((child, log), &shared, (index, databases), stuck).await;
                let why = format!("{}: {}", death.how, death.last_lines.join(" | "));
                // A closed channel means that the daemon is on its way out.
                let _ = news.send(News::Gone(death)).await;
                anyhow::bail!(Died(why));
            }
        };
        let pid = child.id().unwrap_or_default();
        let worker = Arc::new(Self {
            index,
            databases: databases.clone(),
            pid,
            versions,
            stdin: tokio::sync::Mutex::new(stdin),
            shared: Arc::clone(&shared),
            step_max: spec.step_max,
        });
        tokio::spawn(attend((child, log), reader, shared, news, (index, databases), spec.silent_max));
        Ok(worker)
    }

    /// Returns true while the process runs.
    pub fn alive(&self) -> bool {
        self.shared.alive.load(Ordering::Acquire)
    }

    /// Returns the rows written and moved since the worker started.
    pub fn rows(&self) -> u64 {
        self.shared.rows.load(Ordering::Relaxed)
    }

    /// Sends a command and waits for its answer; a command whose database is silent for too long costs the worker its life.
    pub async fn ask(&self, db: DbNo, command: Command) -> Result<Reply, AskError> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, mut answered) = oneshot::channel();
        lock(&self.shared.pending).insert(id, answer);
        lock(&self.shared.last_step).insert(db, Instant::now());
        if !self.alive() || self.write(&Request { id, db, command }).await.is_err() {
            lock(&self.shared.pending).remove(&id);
            return Err(AskError::Gone);
        }
        loop {
            match tokio::time::timeout(self.step_max, &mut answered).await {
                Ok(Ok(result)) => return result.map_err(|e| AskError::Failed(Box::new(e))),
                Ok(Err(_)) => return Err(AskError::Gone),
                Err(_) => {
                    let quiet = lock(&self.shared.last_step).get(&db).map_or(Duration::MAX, Instant::elapsed);
                    if quiet >= self.step_max {
                        self.shared.kill.notify_one();
                    }
                }
            }
        }
    }

    async fn write(&self, request: &Request) -> anyhow::Result<()> {
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        let mut stdin = self.stdin.lock().await;
        stdin.write_all(line.as_bytes()).await?;
        Ok(stdin.flush().await?)
    }
}

/// Reads a worker's events until the pipe closes, watches for silence, then says how it ended.
async fn attend(
    child: (Child, JoinHandle<()>),
    mut reader: BufReader<tokio::process::ChildStdout>,
    shared: Arc<Shared>,
    news: mpsc::Sender<News>,
    (worker, databases): (usize, Vec<DbNo>),
    silent_max: Duration,
) {
    let mut stuck = false;
    loop {
        let read = tokio::select! {
            read = tokio::time::timeout(silent_max, read_line(&mut reader)) => read,
            () = shared.kill.notified() => { stuck = true; break; }
        };
        let Ok(read) = read else {
            stuck = true;
            break;
        };
        let Ok(Some(line)) = read else { break };
        *lock(&shared.last_heard) = Instant::now();
        match serde_json::from_str::<Event>(&line) {
            Ok(event) => take(event, &shared, &news).await,
            Err(error) => {
                lock(&shared.last_lines).push_back(format!("unreadable event: {error}"));
                break;
            }
        }
    }
    // Nobody may ask any more before those who wait are told.
    shared.alive.store(false, Ordering::Release);
    let death = buried(child, &shared, (worker, databases), stuck).await;
    let _ = news.send(News::Gone(death)).await;
    lock(&shared.pending).clear();
}

/// Waits for the end of a worker that is of no use any more, and says how it came.
async fn buried(
    (mut child, log): (Child, JoinHandle<()>),
    shared: &Shared,
    (worker, databases): (usize, Vec<DbNo>),
    stuck: bool,
) -> Death {
    if stuck {
        // A process that cannot be killed is already gone.
        let _ = child.start_kill();
    }
    let how = match tokio::time::timeout(Duration::from_secs(5), child.wait()).await {
        Ok(Ok(status)) => describe(status),
        Ok(Err(error)) => format!("its end could not be read: {error}"),
        Err(_) => {
            let _ = child.start_kill();
            child.wait().await.map(describe).unwrap_or_default()
        }
    };
    // Its last words may still be in the pipe.
    let _ = tokio::time::timeout(LAST_WORDS_MAX, log).await;
    Death { worker, databases, how, stuck, last_lines: lock(&shared.last_lines).iter().cloned().collect() }
}

/// Takes in one event.
async fn take(event: Event, shared: &Shared, news: &mpsc::Sender<News>) {
    match event {
        Event::Step(report) => {
            lock(&shared.last_step).insert(report.db, Instant::now());
            // A closed channel means that the daemon is on its way out.
            let _ = news.send(News::Step(Box::new(report))).await;
        }
        Event::Pulse { rows } => {
            shared.rows.store(rows, Ordering::Relaxed);
            if shared.at_work() {
                shared.beat.on();
            }
        }
        Event::NeedCredential { db } => {
            let _ = news.send(News::NeedCredential { db }).await;
        }
        Event::Reply { id, result } => {
            if let Some(answer) = lock(&shared.pending).remove(&id) {
                let _ = answer.send(result);
            }
        }
        Event::Hello { .. } => {}
    }
}

/// Reads one line of bounded length.
async fn read_line(reader: &mut BufReader<tokio::process::ChildStdout>) -> anyhow::Result<Option<String>> {
    let mut line = String::new();
    let read = (&mut *reader).take(LINE_BYTES_MAX as u64).read_line(&mut line).await?;
    anyhow::ensure!(read < LINE_BYTES_MAX, "a worker's line is longer than {LINE_BYTES_MAX} bytes");
    Ok((read > 0).then_some(line))
}

/// Passes a worker's log on, line by line.
async fn read_log(mut stderr: BufReader<tokio::process::ChildStderr>, shared: Arc<Shared>, news: mpsc::Sender<News>) {
    loop {
        let mut bytes = Vec::new();
        match (&mut stderr).take(LOG_LINE_BYTES).read_until(b'\n', &mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        {
            let mut last = lock(&shared.last_lines);
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line.clone());
        }
        // A full channel drops log lines rather than stopping the worker at its pipe.
        let _ = news.try_send(News::Log { db: database_of(&line), line });
    }
}

/// Returns the number in the first `[DB<N>]` of a log line.
fn database_of(line: &str) -> Option<DbNo> {
    let rest = &line[line.find("[DB")? + 3..];
    rest[..rest.find(']')?].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_name_their_database() {
        assert_eq!(database_of("12:00 INFO [DB12][iter 3] deleted, count=5"), Some(12));
        assert_eq!(database_of("no database"), None);
        assert_eq!(database_of("[DBx] and [DB"), None);
    }
}
