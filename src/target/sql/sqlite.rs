//! SQLite: on the calling thread, or on a thread of its own.

mod apart;
mod core;

use std::path::PathBuf;
use std::time::Instant;

use self::apart::{Answer, Apart, Call};
use self::core::Core;
use super::pool::Remains;
use super::{Access, Engine, Journal, Row, SqlError, SqlValue};

/// How a file is opened.
#[derive(Debug, Clone)]
pub(super) struct SqliteSpec {
    pub path: PathBuf,
    pub journal: Journal,
    pub busy_ms: u64,
    pub foreign_keys: bool,
    /// Name of the thread of a connection that has one.
    pub thread: String,
}

/// A connection to a SQLite file.
pub(super) struct SqliteSession {
    place: Place,
    deadline: Option<Instant>,
}

/// Where the calls run.
enum Place {
    Here(Box<Core>),
    Apart(Apart),
}

impl SqliteSession {
    /// Opens a file, and makes it if it is missing.
    pub(super) async fn open(spec: SqliteSpec, engine: Engine, deadline: Instant) -> Result<Self, SqlError> {
        let place = match engine {
            Engine::Threads => Place::Here(Box::new(Core::open(&spec, deadline)?)),
            Engine::Async => Place::Apart(Apart::open(spec, deadline).await?),
        };
        Ok(Self { place, deadline: Some(deadline) })
    }

    pub(super) fn until(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
        if let Place::Here(core) = &mut self.place {
            core.until(deadline);
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        match &self.place {
            Place::Here(core) => core.is_lost(),
            Place::Apart(apart) => apart.is_lost(),
        }
    }

    /// Returns true if a transaction is open.
    pub(super) fn is_open(&self) -> bool {
        match &self.place {
            Place::Here(core) => core.is_open(),
            Place::Apart(apart) => apart.is_open(),
        }
    }

    pub(super) async fn begin(&mut self, access: Access) -> Result<(), SqlError> {
        match &mut self.place {
            Place::Here(core) => core.begin(access),
            Place::Apart(apart) => apart.call(Call::Begin(access), self.deadline).await.map(drop),
        }
    }

    pub(super) async fn commit(&mut self) -> Result<(), SqlError> {
        match &mut self.place {
            Place::Here(core) => core.commit(),
            Place::Apart(apart) => apart.call(Call::Commit, self.deadline).await.map(drop),
        }
    }

    pub(super) async fn rollback(&mut self) {
        match &mut self.place {
            Place::Here(core) => core.rollback(),
            Place::Apart(apart) => apart.rollback(self.deadline).await,
        }
    }

    pub(super) async fn execute(&mut self, sql: &'static str, params: &[SqlValue]) -> Result<u64, SqlError> {
        match &mut self.place {
            Place::Here(core) => core.execute(sql, params),
            Place::Apart(apart) => {
                apart.call(Call::Execute(sql, params.to_vec()), self.deadline).await.map(Answer::count)
            }
        }
    }

    pub(super) async fn query(&mut self, sql: &'static str, params: &[SqlValue]) -> Result<Vec<Row>, SqlError> {
        self.stream(sql, params, usize::MAX).await
    }

    pub(super) async fn stream(
        &mut self,
        sql: &'static str,
        params: &[SqlValue],
        take: usize,
    ) -> Result<Vec<Row>, SqlError> {
        match &mut self.place {
            Place::Here(core) => core.query(sql, params, take),
            Place::Apart(apart) => {
                apart.call(Call::Query(sql, params.to_vec(), take), self.deadline).await.map(Answer::rows)
            }
        }
    }

    pub(super) async fn script(&mut self, sql: &str) -> Result<(), SqlError> {
        match &mut self.place {
            Place::Here(core) => core.script(sql),
            Place::Apart(apart) => apart.call(Call::Script(sql.to_owned()), self.deadline).await.map(drop),
        }
    }

    /// Takes back what the user of a lease left open.
    pub(super) fn tidy(&mut self) {
        match &mut self.place {
            Place::Here(core) => core.rollback(),
            Place::Apart(apart) => apart.tidy(),
        }
    }

    /// Closes the connection; what is returned has to be waited for.
    pub(super) fn end(self) -> Option<Remains> {
        match self.place {
            Place::Here(_) => None,
            Place::Apart(apart) => Some(apart.end()),
        }
    }
}
