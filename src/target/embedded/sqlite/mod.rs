//! The SQLite store: a live table under its real name, a log of tombstones, one writer thread and a few readers.
//!
//! The writer owns the only writing connection and groups the pushes that wait into one durable transaction; pulls and
//! administration read on connections of their own and never queue behind it.

mod clients;
mod reader;
mod schema;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql};
use tokio::sync::{mpsc, oneshot};

use super::token::{NewToken, TokenError};
use super::{JsonRows, Page, Pull, Push, PushReply, RowList, Store, StoreError};
use crate::model::digest::TableDigest;
use crate::model::measure::Holdings;
use crate::model::schema::TableSpec;
use crate::model::value::Cell;
use reader::Readers;
use schema::Layout;
use writer::{Command, Writer};

/// Pages after which the write-ahead log is checkpointed.
const WAL_PAGES: u32 = 8000;
/// Commands that may wait for the writer before senders wait too.
const QUEUE: usize = 64;

/// The store.
pub struct SqliteStore {
    writer: mpsc::Sender<Command>,
    readers: Arc<Readers>,
}

impl SqliteStore {
    /// Opens the file, creates what is missing, and starts the writer.
    pub fn open(path: &Path, table: &TableSpec, rls: bool) -> Result<Self, StoreError> {
        Self::open_with(path, table, rls, None)
    }

    /// As [`Self::open`]; checkpoints the write-ahead log after `wal_pages`, and at 0 never.
    pub fn open_with(path: &Path, table: &TableSpec, rls: bool, wal_pages: Option<u32>) -> Result<Self, StoreError> {
        let place = path.display().to_string();
        let failed = |error: rusqlite::Error| StoreError::Open { place: place.clone(), cause: error.to_string() };
        let layout = Arc::new(Layout::new(table, rls));
        let connection = Connection::open(path).map_err(failed)?;
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA foreign_keys = OFF; \
                 PRAGMA wal_autocheckpoint = {}; PRAGMA journal_size_limit = 67108864; PRAGMA busy_timeout = 10000;",
                wal_pages.unwrap_or(WAL_PAGES)
            ))
            .map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(64);
        layout.ensure(&connection).map_err(failed)?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let writer = Writer::new(connection, Arc::clone(&layout)).map_err(failed)?;
        std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || writer.run(receiver))
            .map_err(|error| StoreError::Open { place: place.clone(), cause: error.to_string() })?;
        Ok(Self { writer: sender, readers: Arc::new(Readers::new(path, layout)) })
    }

    async fn ask<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Command,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.writer.send(make(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Layout) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        Readers::run(Arc::clone(&self.readers), work).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    async fn push(&self, push: Push) -> Result<PushReply, StoreError> {
        self.ask(|reply| Command::Push(Box::new(push), reply)).await
    }

    async fn pull(&self, pull: Pull) -> Result<Page, StoreError> {
        let seen = clients::Seen::of(&pull, self.readers.rls());
        if let (Some(seen), 0) = (&seen, pull.after) {
            // From its first page on, a client must find every tombstone that comes after it.
            self.ask(|reply| Command::Register(seen.clone(), reply)).await?;
        }
        let page = self.read(move |connection, layout| reader::pull(connection, layout, &pull)).await?;
        if let (Some(seen), false) = (seen, page.reset) {
            // A watermark that is lost only delays pruning, so a full queue is no reason to wait.
            let _ = self.writer.try_send(Command::Seen(seen));
        }
        Ok(page)
    }

    async fn digest(&self, owner: Option<String>) -> Result<TableDigest, StoreError> {
        self.read(move |connection, layout| reader::digest(connection, layout, owner.as_deref())).await
    }

    async fn rows(&self, owner: Option<String>, buckets: Vec<usize>, limit: usize) -> Result<RowList, StoreError> {
        self.read(move |connection, layout| reader::rows(connection, layout, owner.as_deref(), &buckets, limit)).await
    }

    async fn holdings(&self) -> Result<Holdings, StoreError> {
        self.read(|connection, layout| {
            let sql = layout.holdings.as_str();
            let count = |row: &rusqlite::Row<'_>, at| row.get::<_, i64>(at).map(|n| n.unsigned_abs());
            Ok(connection.query_row(sql, [], |row| {
                Ok(Holdings { rows: count(row, 0)?, tombstones: count(row, 1)?, metadata: count(row, 2)? })
            })?)
        })
        .await
    }

    async fn sql(&self, sql: String) -> Result<JsonRows, StoreError> {
        let text = sql.clone();
        match self.read(move |connection, _| reader::read_only_sql(connection, &text)).await? {
            Some(rows) => Ok(rows),
            None => self.ask(|reply| Command::Sql(sql, reply)).await,
        }
    }

    async fn add_token(&self, token: NewToken) -> Result<(), StoreError> {
        self.ask(|reply| Command::AddToken(token, reply)).await
    }

    async fn find_token(&self, hash: [u8; 32]) -> Result<Result<String, TokenError>, StoreError> {
        self.read(move |connection, _| reader::find_token(connection, &hash)).await
    }

    async fn revoke_token(&self, hash: [u8; 32]) -> Result<bool, StoreError> {
        self.ask(|reply| Command::RevokeToken(hash, reply)).await
    }

    async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.writer.send(Command::Close(reply)).await.is_ok() {
            let _ = answer.await;
        }
    }
}

/// Opens a connection that cannot write.
fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA busy_timeout = 10000; PRAGMA cache_size = -16384;")?;
    connection.set_prepared_statement_cache_capacity(16);
    Ok(connection)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A cell as a statement's parameter.
pub(super) struct Param<'a>(pub(super) Cell<'a>);

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Cell::Null => ValueRef::Null,
            Cell::Int(n) => ValueRef::Integer(n),
            Cell::Real(x) => ValueRef::Real(x),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Returns a statement's value as a cell; a text that is not UTF-8 becomes a blob.
pub fn cell_of(value: ValueRef<'_>) -> Cell<'_> {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(n) => Cell::Int(n),
        ValueRef::Real(x) => Cell::Real(x),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_or(Cell::Blob(bytes), Cell::Text),
        ValueRef::Blob(bytes) => Cell::Blob(bytes),
    }
}

#[cfg(test)]
mod tests;
