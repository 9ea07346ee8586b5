//! One connection, whatever it leads to.

use std::sync::Arc;
use std::time::Instant;

use super::plant::{Fault, Plants};
use super::pool::Remains;
use super::postgres::PostgresSession;
use super::sqlite::{SqliteSession, SqliteSpec};
use super::{Access, Backend, Dialect, PoolSpec, Row, SqlError, SqlValue};

/// One connection. Statements are prepared once and kept.
pub struct Session {
    link: Link,
    plants: Option<Arc<Plants>>,
}

enum Link {
    Sqlite(SqliteSession),
    Postgres(PostgresSession),
}

impl Session {
    pub(super) async fn open(
        (spec, thread): (&PoolSpec, &str),
        plants: Option<Arc<Plants>>,
        deadline: Instant,
    ) -> Result<Self, SqlError> {
        let link = match &spec.backend {
            Backend::Sqlite { path, journal, busy_ms, foreign_keys } => {
                let (path, journal, busy_ms, foreign_keys) = (path.clone(), *journal, *busy_ms, *foreign_keys);
                let file = SqliteSpec { path, journal, busy_ms, foreign_keys, thread: thread.to_owned() };
                Link::Sqlite(SqliteSession::open(file, spec.engine, deadline).await?)
            }
            Backend::Postgres { url, isolation } => {
                Link::Postgres(PostgresSession::open(url, *isolation, &spec.application, deadline).await?)
            }
        };
        Ok(Self { link, plants })
    }

    /// Returns which SQL it speaks.
    pub fn dialect(&self) -> Dialect {
        match &self.link {
            Link::Sqlite(_) => Dialect::Sqlite,
            Link::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Sets when the operation in work must have ended: no later call lasts longer than until then.
    pub fn until(&mut self, deadline: Instant) {
        match &mut self.link {
            Link::Sqlite(session) => session.until(deadline),
            Link::Postgres(session) => session.until(deadline),
        }
    }

    /// Returns true if the connection can be used no further.
    pub fn is_lost(&self) -> bool {
        match &self.link {
            Link::Sqlite(session) => session.is_lost(),
            Link::Postgres(session) => session.is_lost(),
        }
    }

    /// Begins a transaction.
    pub async fn begin(&mut self, access: Access) -> Result<(), SqlError> {
        match &mut self.link {
            Link::Sqlite(session) => session.begin(access).await,
            Link::Postgres(session) => session.begin(access).await,
        }
    }

    /// Commits; an error that is `uncertain` leaves open whether it happened.
    pub async fn commit(&mut self) -> Result<(), SqlError> {
        match &mut self.link {
            Link::Sqlite(session) => session.commit().await,
            Link::Postgres(session) => session.commit().await,
        }
    }

    /// Takes the transaction back, if there is one; a connection that cannot is lost.
    pub async fn rollback(&mut self) {
        match &mut self.link {
            Link::Sqlite(session) => session.rollback().await,
            Link::Postgres(session) => session.rollback().await,
        }
    }

    /// Runs a statement and returns how many rows it changed.
    pub async fn execute(&mut self, sql: &'static str, params: &[SqlValue]) -> Result<u64, SqlError> {
        match self.planted(sql) {
            Some(Fault::Undo) => {
                let alone = self.hold().await?;
                let done = self.run(sql, params).await;
                self.take_back(alone).await?;
                done
            }
            Some(Fault::Twice) => {
                let done = self.run(sql, params).await?;
                self.run(sql, params).await.map(|_| done)
            }
            Some(Fault::Extra) | None => self.run(sql, params).await,
        }
    }

    /// Runs a query and returns all rows; `RETURNING` is a query too.
    pub async fn query(&mut self, sql: &'static str, params: &[SqlValue]) -> Result<Vec<Row>, SqlError> {
        match self.planted(sql) {
            Some(Fault::Undo) => {
                let alone = self.hold().await?;
                let done = self.rows(sql, params).await;
                self.take_back(alone).await?;
                done
            }
            Some(Fault::Twice) => {
                let done = self.rows(sql, params).await?;
                self.rows(sql, params).await.map(|_| done)
            }
            Some(Fault::Extra) => self.rows(sql, params).await.map(with_extra),
            None => self.rows(sql, params).await,
        }
    }

    /// Begins to stream the rows of a query, and abandons it after the first `take`.
    pub async fn stream(&mut self, sql: &'static str, params: &[SqlValue], take: usize) -> Result<Vec<Row>, SqlError> {
        let fault = self.planted(sql);
        let rows = match &mut self.link {
            Link::Sqlite(session) => session.stream(sql, params, take).await,
            Link::Postgres(session) => session.stream(sql, params, take).await,
        };
        if fault == Some(Fault::Extra) { rows.map(with_extra) } else { rows }
    }

    /// Runs a script of statements without parameters and without results.
    pub async fn script(&mut self, sql: &str) -> Result<(), SqlError> {
        match &mut self.link {
            Link::Sqlite(session) => session.script(sql).await,
            Link::Postgres(session) => session.script(sql).await,
        }
    }

    async fn run(&mut self, sql: &'static str, params: &[SqlValue]) -> Result<u64, SqlError> {
        match &mut self.link {
            Link::Sqlite(session) => session.execute(sql, params).await,
            Link::Postgres(session) => session.execute(sql, params).await,
        }
    }

    async fn rows(&mut self, sql: &'static str, params: &[SqlValue]) -> Result<Vec<Row>, SqlError> {
        match &mut self.link {
            Link::Sqlite(session) => session.query(sql, params).await,
            Link::Postgres(session) => session.query(sql, params).await,
        }
    }

    fn planted(&self, sql: &str) -> Option<Fault> {
        self.plants.as_ref()?.at(sql)
    }

    /// Marks where to go back to; returns true if that needed a transaction of its own.
    async fn hold(&mut self) -> Result<bool, SqlError> {
        let alone = match &self.link {
            Link::Sqlite(session) => !session.is_open(),
            Link::Postgres(session) => !session.is_open(),
        };
        if alone {
            self.begin(Access::Write).await?;
        }
        self.script("SAVEPOINT soakd_plant").await.map(|()| alone)
    }

    async fn take_back(&mut self, alone: bool) -> Result<(), SqlError> {
        if alone {
            self.rollback().await;
            return Ok(());
        }
        self.script("ROLLBACK TO SAVEPOINT soakd_plant; RELEASE SAVEPOINT soakd_plant").await
    }

    /// Finds out whether a connection that nobody used for a while is still there.
    pub(super) fn look(&mut self) {
        if let Link::Postgres(session) = &mut self.link {
            session.look();
        }
    }

    /// Takes back what the user of a lease left open.
    pub(super) fn tidy(&mut self) {
        match &mut self.link {
            Link::Sqlite(session) => session.tidy(),
            Link::Postgres(session) => session.tidy(),
        }
    }

    /// Closes the connection; what is returned has to be waited for.
    pub(super) fn end(self) -> Option<Remains> {
        match self.link {
            Link::Sqlite(session) => session.end(),
            Link::Postgres(session) => session.end(),
        }
    }
}

fn with_extra(mut rows: Vec<Row>) -> Vec<Row> {
    rows.extend(rows.last().cloned());
    rows
}
