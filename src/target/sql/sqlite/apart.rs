//! A SQLite connection on a thread of its own, for callers that may not be held.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;

use super::SqliteSpec;
use super::core::{Breaker, Core};
use crate::model::finding::{Kind, Side};
use crate::target::sql::pool::Remains;
use crate::target::sql::{Access, Row, SqlError, SqlValue};

/// Time after the deadline in which the thread should have seen it itself.
const GRACE: Duration = Duration::from_millis(if cfg!(test) { 10_000 } else { 500 });

/// What the thread is asked to do.
pub(super) enum Call {
    Begin(Access),
    Commit,
    Rollback,
    Execute(&'static str, Vec<SqlValue>),
    Query(&'static str, Vec<SqlValue>, usize),
    Script(String),
    /// Takes an open transaction back, without an answer.
    Tidy,
}

/// What it answers.
pub(super) enum Answer {
    Done,
    Count(u64),
    Rows(Vec<Row>),
}

impl Answer {
    pub(super) fn count(self) -> u64 {
        match self {
            Self::Count(n) => n,
            _ => 0,
        }
    }

    pub(super) fn rows(self) -> Vec<Row> {
        match self {
            Self::Rows(rows) => rows,
            _ => Vec::new(),
        }
    }
}

struct Job {
    call: Call,
    deadline: Option<Instant>,
}

struct Reply {
    answer: Result<Answer, SqlError>,
    /// A transaction is open.
    open: bool,
    lost: bool,
}

/// The caller's end of the thread.
pub(super) struct Apart {
    jobs: SyncSender<Job>,
    replies: mpsc::Receiver<Reply>,
    thread: JoinHandle<()>,
    /// Ends with the thread.
    ended: oneshot::Receiver<()>,
    breaker: Breaker,
    /// A call is under way; after one that was given up, nothing more can be said of the connection.
    pending: bool,
    open: bool,
    lost: bool,
}

impl Apart {
    pub(super) async fn open(spec: SqliteSpec, deadline: Instant) -> Result<Self, SqlError> {
        let (jobs, work) = sync_channel(2);
        let (answer, replies) = mpsc::channel(1);
        let (opened, ready) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name(spec.thread.clone()).spawn(move || {
            // Dropped last, when the file is closed.
            let _end = end;
            let core = match Core::open(&spec, deadline) {
                Ok(core) => core,
                Err(error) => {
                    let _ = opened.send(Err(error));
                    return;
                }
            };
            if opened.send(Ok(core.breaker())).is_ok() {
                serve(core, &work, &answer);
            }
        });
        let thread = thread.map_err(|error| gone(format!("A thread for SQLite cannot be started: {error}.")))?;
        let breaker = match timeout_at((deadline + GRACE).into(), ready).await {
            Ok(Ok(Ok(breaker))) => breaker,
            Ok(Ok(Err(error))) => {
                // It has said its last word.
                let _ = thread.join();
                return Err(error);
            }
            Ok(Err(_)) => return Err(gone("The thread of a SQLite connection broke down.".into())),
            Err(_) => return Err(late()),
        };
        Ok(Self { jobs, replies, thread, ended, breaker, pending: false, open: false, lost: false })
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost || self.pending
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) async fn call(&mut self, call: Call, deadline: Option<Instant>) -> Result<Answer, SqlError> {
        if self.is_lost() {
            return Err(gone("The SQLite connection was given up earlier.".into()));
        }
        let writes = match &call {
            Call::Commit => true,
            Call::Execute(..) | Call::Script(_) => !self.open,
            Call::Query(sql, ..) => !self.open && !crate::target::sql::reads_only(sql),
            Call::Begin(_) | Call::Rollback | Call::Tidy => false,
        };
        if self.jobs.try_send(Job { call, deadline }).is_err() {
            self.lost = true;
            return Err(gone("The thread of a SQLite connection has ended.".into()));
        }
        self.pending = true;
        let reply = match deadline {
            Some(deadline) => timeout_at((deadline + GRACE).into(), self.replies.recv()).await,
            None => Ok(self.replies.recv().await),
        };
        match reply {
            Ok(Some(reply)) => {
                self.pending = false;
                (self.open, self.lost) = (reply.open, reply.lost);
                reply.answer
            }
            Ok(None) => {
                self.lost = true;
                let error = gone("The thread of a SQLite connection broke down.".into());
                Err(SqlError { uncertain: writes, ..error })
            }
            Err(_) => {
                self.lost = true;
                Err(SqlError { uncertain: writes, ..late() })
            }
        }
    }

    pub(super) async fn rollback(&mut self, deadline: Option<Instant>) {
        if self.open && !self.is_lost() {
            let deadline = deadline.map(|deadline| deadline.max(Instant::now()));
            self.lost |= self.call(Call::Rollback, deadline).await.is_err();
        }
    }

    pub(super) fn tidy(&mut self) {
        if self.open && !self.is_lost() {
            self.open = false;
            self.lost = self.jobs.try_send(Job { call: Call::Tidy, deadline: None }).is_err();
        }
    }

    pub(super) fn end(self) -> Remains {
        if self.pending {
            self.breaker.give_up();
        }
        Remains::Thread(self.thread, self.ended)
    }
}

/// Does what is asked until nobody can ask any more.
fn serve(mut core: Core, work: &Receiver<Job>, replies: &mpsc::Sender<Reply>) {
    while let Ok(Job { call, deadline }) = work.recv() {
        if let Some(deadline) = deadline {
            core.until(deadline);
        }
        let answer = match call {
            Call::Begin(access) => core.begin(access).map(|()| Answer::Done),
            Call::Commit => core.commit().map(|()| Answer::Done),
            Call::Execute(sql, params) => core.execute(sql, &params).map(Answer::Count),
            Call::Query(sql, params, take) => core.query(sql, &params, take).map(Answer::Rows),
            Call::Script(sql) => core.script(&sql).map(|()| Answer::Done),
            Call::Rollback => {
                core.rollback();
                Ok(Answer::Done)
            }
            Call::Tidy => {
                core.rollback();
                if core.is_lost() {
                    return;
                }
                continue;
            }
        };
        let reply = Reply { answer, open: core.is_open(), lost: core.is_lost() };
        if replies.blocking_send(reply).is_err() {
            return;
        }
    }
}

fn gone(message: String) -> SqlError {
    SqlError { side: Side::Soakd, kind: Kind::Crash, code: None, message, lost: true, uncertain: false }
}

fn late() -> SqlError {
    let message = "SQLite did not end in time, not even when it was interrupted; the connection is given up.";
    SqlError {
        side: Side::Soakd,
        kind: Kind::Timeout,
        code: None,
        message: message.into(),
        lost: true,
        uncertain: false,
    }
}
