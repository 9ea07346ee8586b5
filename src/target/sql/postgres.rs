//! PostgreSQL over tokio-postgres. The connection has no task of its own: whoever waits for an answer moves the bytes as well,
//! so that a call costs no change of tasks, and a session that is dropped is closed at once.

mod connect;
mod error;
mod value;
mod wire;

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_core::Stream;
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::{timeout, timeout_at};
use tokio_postgres::{Client, NoTls, Statement};

use self::error::{closed, gone, late, misused, too_late, translated};
use self::value::row_of;
use self::wire::{Broken, Wire, together};
use super::pool::Remains;
use super::{Access, Isolation, Row, SqlError, SqlValue, Url, reads_only};

/// Longest time that a server is asked to stop a statement.
const CANCEL_LIMIT: Duration = Duration::from_secs(1);
/// Time that a rollback has after the deadline.
const GRACE: Duration = Duration::from_millis(500);

/// A connection to PostgreSQL.
pub(super) struct PostgresSession {
    /// None when it is lost.
    link: Option<Box<Link>>,
    place: String,
    deadline: Instant,
    /// A transaction is open.
    open: bool,
    /// A statement of the open transaction failed, so that the server would only take it back.
    failed: bool,
    /// A call is under way; after one that was given up, nothing more can be said of the connection.
    pending: bool,
    cancel: Option<JoinHandle<()>>,
}

struct Link {
    client: Client,
    wire: Wire,
    statements: HashMap<&'static str, Statement>,
}

impl Link {
    /// Says goodbye, and closes the socket.
    fn close(self) {
        let Self { client, mut wire, statements } = self;
        // In this order nothing is said about statements that end with the connection anyway.
        drop(client);
        drop(statements);
        wire.look();
    }
}

impl PostgresSession {
    pub(super) async fn open(
        url: &Url,
        isolation: Isolation,
        application: &str,
        deadline: Instant,
    ) -> Result<Self, SqlError> {
        let (client, wire) = connect::connect(url, isolation, application, deadline).await?;
        let link = Link { client, wire, statements: HashMap::new() };
        let place = url.place();
        Ok(Self {
            link: Some(Box::new(link)),
            place,
            deadline,
            open: false,
            failed: false,
            pending: false,
            cancel: None,
        })
    }

    pub(super) fn until(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    pub(super) fn is_lost(&self) -> bool {
        self.pending || self.link.is_none()
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Finds out whether the server has closed the connection meanwhile.
    pub(super) fn look(&mut self) {
        if self.link.as_mut().is_some_and(|link| link.wire.look()) {
            self.lose();
        }
    }

    /// Gives the connection up where a transaction was left open: the server takes it back by itself.
    pub(super) fn tidy(&mut self) {
        if self.open {
            self.lose();
        }
    }

    pub(super) fn end(mut self) -> Option<Remains> {
        self.lose();
        self.cancel.take().map(Remains::Task)
    }

    pub(super) async fn begin(&mut self, access: Access) -> Result<(), SqlError> {
        if self.open {
            return Err(misused("A transaction is begun inside another one."));
        }
        let sql = match access {
            Access::Read => "BEGIN READ ONLY",
            Access::Write => "BEGIN",
        };
        self.simple(sql, false).await?;
        (self.open, self.failed) = (true, false);
        Ok(())
    }

    pub(super) async fn commit(&mut self) -> Result<(), SqlError> {
        if self.link.is_some() && !self.open {
            return Err(misused("There is no transaction that could be committed."));
        }
        if self.failed {
            self.rollback().await;
            return Err(error::aborted());
        }
        let done = self.simple("COMMIT", true).await;
        // A server that answers has ended it, whatever it answers.
        self.open = self.open && done.as_ref().is_err_and(|error| !error.lost && error.code.is_none());
        done
    }

    pub(super) async fn rollback(&mut self) {
        if !self.open || self.link.is_none() {
            self.open = false;
            return;
        }
        let deadline = self.deadline;
        self.deadline = deadline.max(Instant::now() + GRACE);
        if self.simple("ROLLBACK", false).await.is_err() {
            self.lose();
        }
        (self.deadline, self.open, self.failed) = (deadline, false, false);
    }

    pub(super) async fn execute(&mut self, sql: &'static str, params: &[SqlValue]) -> Result<u64, SqlError> {
        let (writes, deadline) = (!self.open && !reads_only(sql), self.deadline);
        let Link { client, wire, statements } = self.ready()?;
        let call = async {
            let statement = prepared(client, statements, sql, params).await?;
            Ok(client.execute_raw(&statement, params).await?)
        };
        let done = timeout_at(deadline.into(), together(wire, call)).await;
        self.settled(done, writes)
    }

    pub(super) async fn query(&mut self, sql: &'static str, params: &[SqlValue]) -> Result<Vec<Row>, SqlError> {
        self.rows(sql, params, usize::MAX).await
    }

    /// Inside a transaction the rest of the answer is thrown away as it comes in; outside, where a transaction of its own can
    /// hold a portal, the server never makes it.
    pub(super) async fn stream(
        &mut self,
        sql: &'static str,
        params: &[SqlValue],
        take: usize,
    ) -> Result<Vec<Row>, SqlError> {
        if self.open {
            return self.rows(sql, params, take).await;
        }
        let deadline = self.deadline;
        let most = i32::try_from(take).unwrap_or(i32::MAX).max(1);
        let Link { client, wire, statements } = self.ready()?;
        let call = async {
            let statement = prepared(client, statements, sql, params).await?;
            let transaction = client.build_transaction().read_only(true).start().await?;
            let portal = transaction.bind_raw(&statement, params).await?;
            let rows = transaction.query_portal(&portal, most).await?;
            drop(portal);
            transaction.rollback().await?;
            rows.iter().take(take).map(row_of).collect()
        };
        let done = timeout_at(deadline.into(), together(wire, call)).await;
        self.settled(done, false)
    }

    pub(super) async fn script(&mut self, sql: &str) -> Result<(), SqlError> {
        self.simple(sql, !self.open).await
    }

    async fn simple(&mut self, sql: &str, writes: bool) -> Result<(), SqlError> {
        let deadline = self.deadline;
        let Link { client, wire, .. } = self.ready()?;
        let call = async { Ok(client.batch_execute(sql).await?) };
        let done = timeout_at(deadline.into(), together(wire, call)).await;
        self.settled(done, writes)
    }

    async fn rows(&mut self, sql: &'static str, params: &[SqlValue], take: usize) -> Result<Vec<Row>, SqlError> {
        let (writes, deadline) = (!self.open && !reads_only(sql), self.deadline);
        let Link { client, wire, statements } = self.ready()?;
        let call = async {
            let statement = prepared(client, statements, sql, params).await?;
            let mut answer = pin!(client.query_raw(&statement, params).await?);
            let mut rows = Vec::new();
            while rows.len() < take
                && let Some(row) = poll_fn(|cx| answer.as_mut().poll_next(cx)).await
            {
                rows.push(row_of(&row?)?);
            }
            Ok(rows)
        };
        let done = timeout_at(deadline.into(), together(wire, call)).await;
        self.settled(done, writes)
    }

    /// Returns the connection for a call that begins now.
    fn ready(&mut self) -> Result<&mut Link, SqlError> {
        let usable = !self.pending && Instant::now() < self.deadline;
        match &mut self.link {
            Some(link) if usable => {
                self.pending = true;
                Ok(link)
            }
            Some(_) if !self.pending => Err(too_late()),
            _ => Err(gone(&self.place)),
        }
    }

    /// Takes in how a call ended.
    fn settled<T>(&mut self, done: Result<Result<T, Broken>, Elapsed>, writes: bool) -> Result<T, SqlError> {
        self.pending = false;
        let error = match done {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(Broken::Own(error))) => return Err(error),
            Ok(Err(Broken::Postgres(error))) => {
                self.failed |= self.open && error.as_db_error().is_some();
                translated(&error, &self.place)
            }
            Ok(Err(Broken::Closed(Some(error)))) => SqlError { lost: true, ..translated(&error, &self.place) },
            Ok(Err(Broken::Closed(None))) => closed(&self.place),
            Err(_) => {
                self.call_off();
                late(&self.place)
            }
        };
        if error.lost {
            self.lose();
        } else if matches!(error.code.as_deref(), Some("0A000" | "26000"))
            && let Some(link) = &mut self.link
        {
            // A plan no longer fits its tables, or somebody took the statements away.
            link.statements.clear();
        }
        Err(SqlError { uncertain: error.uncertain || (writes && error.lost), ..error })
    }

    /// Asks the server to stop what it is doing, without waiting for it.
    fn call_off(&mut self) {
        let Some(link) = &self.link else { return };
        let token = link.client.cancel_token();
        self.cancel = Some(tokio::spawn(async move {
            let _ = timeout(CANCEL_LIMIT, token.cancel_query(NoTls)).await;
        }));
    }

    fn lose(&mut self) {
        self.open = false;
        if let Some(link) = self.link.take() {
            link.close();
        }
    }
}

/// Returns a statement that is prepared, now or earlier.
async fn prepared(
    client: &Client,
    statements: &mut HashMap<&'static str, Statement>,
    sql: &'static str,
    params: &[SqlValue],
) -> Result<Statement, Broken> {
    let statement = match statements.get(sql) {
        Some(statement) => statement.clone(),
        None => {
            let statement = client.prepare(sql).await?;
            statements.insert(sql, statement.clone());
            statement
        }
    };
    let asked = statement.params().len();
    if asked != params.len() {
        let message = format!("A statement with {asked} parameters was given {} values.", params.len());
        return Err(misused(&message).into());
    }
    Ok(statement)
}
