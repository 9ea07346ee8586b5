//! A pool of sessions: as many as the workers share, opened when they are needed, replaced when they are lost.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::time::{timeout, timeout_at};

use super::plant::Plants;
use super::{Dialect, PoolSpec, Session, SqlError};
use crate::model::finding::{Kind, Side};

/// Longest wait for what closed sessions leave behind, each.
const REMAINS_LIMIT: Duration = Duration::from_secs(10);

/// Pools that were made in this process.
static POOLS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// True on a thread that has a runtime of its own.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Says that this thread has a runtime of its own: a connection that is opened here is moved by this thread alone, without any
/// change of threads between a question and its answer.
pub fn has_own_runtime() {
    ALONE.set(true);
}

/// The sessions that workers share. Its calls need a tokio runtime; a session of PostgreSQL needs the one that it was opened in.
pub struct Pool {
    spec: PoolSpec,
    /// Name of the threads that its sessions have of their own.
    thread: String,
    slots: Semaphore,
    /// Sessions that wait for work, each with the thread whose runtime it belongs to; `None` for the common one.
    idle: Mutex<Vec<(Option<ThreadId>, Session)>>,
    /// What lost sessions left behind.
    remains: Mutex<Vec<Remains>>,
    /// Sessions of leases that a planted fault keeps.
    leaked: Mutex<Vec<Session>>,
    open: AtomicU32,
    leased: AtomicU32,
    opened: AtomicU64,
    plants: Option<Arc<Plants>>,
}

/// What a pool holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolCounts {
    pub open: u32,
    pub leased: u32,
    /// Sessions opened since the start; more than `open` when some were lost.
    pub opened: u64,
}

/// A session that goes back to its pool when it is dropped, or out of the way if it is lost.
pub struct Lease<'a> {
    pool: &'a Pool,
    session: Option<Session>,
    slot: Option<SemaphorePermit<'a>>,
    leaks: bool,
}

/// What a closed session leaves behind for a while.
pub(super) enum Remains {
    /// A thread, and what ends with it.
    Thread(JoinHandle<()>, oneshot::Receiver<()>),
    /// A task that asks a server to stop a statement.
    Task(tokio::task::JoinHandle<()>),
}

impl Remains {
    fn is_over(&self) -> bool {
        match self {
            Self::Thread(thread, _) => thread.is_finished(),
            Self::Task(task) => task.is_finished(),
        }
    }

    async fn wait(self) {
        match self {
            Self::Thread(thread, ended) => {
                // A thread that is stuck in the kernel must not hold everybody else.
                if timeout(REMAINS_LIMIT, ended).await.is_ok() {
                    let _ = thread.join();
                }
            }
            Self::Task(task) => {
                let _ = timeout(REMAINS_LIMIT, task).await;
            }
        }
    }
}

impl Pool {
    /// Returns an empty pool; nothing is connected yet.
    pub fn new(spec: PoolSpec) -> Self {
        Self {
            // The kernel keeps 15 bytes of a name.
            thread: format!("soakd-sql-{:x}", POOLS.fetch_add(1, Ordering::Relaxed) & 0xf_ffff),
            slots: Semaphore::new(spec.size as usize),
            plants: Plants::new(&spec.plants).map(Arc::new),
            spec,
            idle: Mutex::default(),
            remains: Mutex::default(),
            leaked: Mutex::default(),
            open: AtomicU32::new(0),
            leased: AtomicU32::new(0),
            opened: AtomicU64::new(0),
        }
    }

    /// Returns how it was made.
    pub fn spec(&self) -> &PoolSpec {
        &self.spec
    }

    /// Returns the name of the threads that sessions of SQLite have of their own, which no other pool's have.
    pub fn thread(&self) -> &str {
        &self.thread
    }

    /// Waits for a session, at most until the deadline, and sets that as the deadline of what is done with it.
    pub async fn get(&self, deadline: Instant) -> Result<Lease<'_>, SqlError> {
        let slot = match self.slots.try_acquire() {
            Ok(slot) => slot,
            Err(_) => match timeout_at(deadline.into(), self.slots.acquire()).await {
                Ok(slot) => slot.expect("invariant: slots are never closed"),
                Err(_) => return Err(self.all_in_use()),
            },
        };
        let mut session = match self.at_hand() {
            Some(session) => session,
            None => {
                let session = Session::open((&self.spec, &self.thread), self.plants.clone(), deadline).await?;
                self.open.fetch_add(1, Ordering::Relaxed);
                self.opened.fetch_add(1, Ordering::Relaxed);
                session
            }
        };
        session.until(deadline);
        self.leased.fetch_add(1, Ordering::Relaxed);
        let leaks = self.plants.as_ref().is_some_and(|plants| plants.leaks());
        Ok(Lease { pool: self, session: Some(session), slot: Some(slot), leaks })
    }

    /// Returns how many sessions there are.
    pub fn counts(&self) -> PoolCounts {
        PoolCounts {
            open: self.open.load(Ordering::Relaxed),
            leased: self.leased.load(Ordering::Relaxed),
            opened: self.opened.load(Ordering::Relaxed),
        }
    }

    /// Closes all sessions that are not leased, and waits until they are gone.
    pub async fn close(&self) {
        let idle = std::mem::take(&mut *locked(&self.idle));
        idle.into_iter().for_each(|(_, session)| self.bury(session));
        let remains = std::mem::take(&mut *locked(&self.remains));
        for one in remains {
            one.wait().await;
        }
    }

    /// Returns a session that waits for work, if there is one that still can be used.
    fn at_hand(&self) -> Option<Session> {
        loop {
            let mut session = self.take_idle()?;
            session.look();
            if !session.is_lost() {
                return Some(session);
            }
            self.bury(session);
        }
    }

    /// Takes the session of this runtime that was used last. Where there is none, and no room for another, one of another
    /// runtime is closed.
    fn take_idle(&self) -> Option<Session> {
        let (home, mut idle) = (self.home(), locked(&self.idle));
        if let Some(at) = idle.iter().rposition(|(of, _)| *of == home) {
            return Some(idle.remove(at).1);
        }
        if self.open.load(Ordering::Relaxed) >= self.spec.size && !idle.is_empty() {
            let (_, other) = idle.remove(0);
            drop(idle);
            self.bury(other);
        }
        None
    }

    /// Returns whose runtime a session belongs to that is opened here; SQLite needs none.
    fn home(&self) -> Option<ThreadId> {
        let apart = self.spec.backend.dialect() == Dialect::Postgres && ALONE.get();
        apart.then(|| std::thread::current().id())
    }

    /// Closes the sessions of this thread's own runtime, which is about to end.
    pub fn leave(&self) {
        let Some(home) = self.home() else { return };
        let mut idle = locked(&self.idle);
        let (mine, others) = std::mem::take(&mut *idle).into_iter().partition(|(of, _)| *of == Some(home));
        *idle = others;
        drop(idle);
        let mine: Vec<(Option<ThreadId>, Session)> = mine;
        mine.into_iter().for_each(|(_, session)| self.bury(session));
    }

    fn bury(&self, session: Session) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(left) = session.end() {
            let mut remains = locked(&self.remains);
            remains.retain(|one| !one.is_over());
            remains.push(left);
        }
    }

    fn all_in_use(&self) -> SqlError {
        let message = format!(
            "All {} connections are in use (pool): none was given back in time. Let operations have more time, let the \
             pool be larger, or run fewer workers.",
            self.spec.size
        );
        SqlError { side: Side::Soakd, kind: Kind::Busy, code: None, message, lost: false, uncertain: false }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        if self.leaks {
            locked(&self.pool.leaked).push(session);
            if let Some(slot) = self.slot.take() {
                slot.forget();
            }
            return;
        }
        session.tidy();
        // Counted before the slot is free, so that there are never more sessions than slots.
        self.pool.leased.fetch_sub(1, Ordering::Relaxed);
        if session.is_lost() {
            self.pool.bury(session);
        } else {
            locked(&self.pool.idle).push((self.pool.home(), session));
        }
    }
}

impl Deref for Lease<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("invariant: a lease holds its session until it is dropped")
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("invariant: a lease holds its session until it is dropped")
    }
}
