//! One SQLite connection and its calls, on whatever thread they are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, InterruptHandle, OpenFlags};

use super::SqliteSpec;
use crate::model::classify::sql::{sqlite, sqlite_name};
use crate::model::finding::{Kind, Side};
use crate::target::sql::value::time_text;
use crate::target::sql::{Access, Journal, Row, SqlError, SqlValue};

/// Prepared statements that are kept.
const STATEMENTS_MAX: usize = 64;
/// Steps of SQLite's machine between two looks at the clock.
const STEPS: i32 = 4000;
/// Calls of a writer between two looks at the clock, where the machine itself takes none.
const UNSEEN_MAX: u32 = 16;
/// Pause between two attempts to change the journal mode, for which SQLite does not always wait by itself.
const PAUSE: Duration = Duration::from_millis(2);

/// A connection that knows when it must have ended.
pub(super) struct Core {
    connection: Connection,
    path: String,
    busy: Duration,
    /// How long SQLite waits for a lock at present.
    waits: Duration,
    limit: Limit,
    /// Calls since the last look at the clock.
    unseen: u32,
    /// The transaction, if one is open, holds the lock of writers.
    writing: bool,
    lost: bool,
}

/// The moment at which statements are interrupted, in nanoseconds from `base`.
#[derive(Clone)]
struct Limit {
    base: Instant,
    at: Arc<AtomicU64>,
    given_up: Arc<AtomicBool>,
}

/// Breaks a connection off from another thread: what runs and what has not begun yet.
pub(super) struct Breaker {
    handle: InterruptHandle,
    limit: Limit,
}

impl Breaker {
    /// Lets the statement in work and all further ones end at once.
    pub(super) fn give_up(&self) {
        self.limit.given_up.store(true, Ordering::Relaxed);
        self.handle.interrupt();
    }
}

impl Limit {
    fn set(&self, deadline: Instant) {
        let at = deadline.saturating_duration_since(self.base).as_nanos();
        self.at.store(u64::try_from(at).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns how much time is left.
    fn left(&self) -> Duration {
        if self.given_up.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let now = u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.at.load(Ordering::Relaxed).saturating_sub(now))
    }
}

impl Core {
    pub(super) fn open(spec: &SqliteSpec, deadline: Instant) -> Result<Self, SqlError> {
        let path = spec.path.display().to_string();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection =
            Connection::open_with_flags(&spec.path, flags).map_err(|error| translated(&error, &path))?;
        let limit = Limit { base: Instant::now(), at: Arc::default(), given_up: Arc::default() };
        limit.set(deadline);
        let seen = limit.clone();
        connection
            .progress_handler(STEPS, Some(move || seen.left().is_zero()))
            .map_err(|error| translated(&error, &path))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        let busy = Duration::from_millis(spec.busy_ms.min(i32::MAX as u64));
        let mut core =
            Self { connection, path, busy, waits: Duration::MAX, limit, unseen: 0, writing: false, lost: false };
        core.guard()?;
        core.prepare_file(spec)?;
        Ok(core)
    }

    /// Sets what belongs to the file and to the connection, and finds out whether it can be worked with.
    fn prepare_file(&mut self, spec: &SqliteSpec) -> Result<(), SqlError> {
        if self.connection.is_readonly("main").map_err(|error| self.failed(&error))? {
            return Err(hinted(8, "the file can only be read", &self.path));
        }
        let first = self.connection.query_row("PRAGMA schema_version", [], |row| row.get::<_, i64>(0));
        first.map_err(|error| self.failed(&error))?;
        let (mode, synchronous) = match spec.journal {
            Journal::Rollback => ("delete", "FULL"),
            Journal::Wal => ("wal", "NORMAL"),
        };
        self.journal(mode)?;
        let keys = if spec.foreign_keys { "ON" } else { "OFF" };
        self.script(&format!("PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = {keys};"))
    }

    fn journal(&mut self, wanted: &str) -> Result<(), SqlError> {
        let begun = Instant::now();
        let ask = |connection: &Connection, sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0));
        loop {
            let found = match ask(&self.connection, "PRAGMA journal_mode") {
                Ok(mode) if mode != wanted => ask(&self.connection, &format!("PRAGMA journal_mode = {wanted}")),
                other => other,
            };
            let error = match found {
                Ok(mode) if mode == wanted => return Ok(()),
                Ok(mode) => {
                    let message = format!(
                        "The database file {} keeps the journal mode {mode} where {wanted} is needed: close the \
                         programs that have it open, or put it where SQLite can use {wanted}.",
                        self.path
                    );
                    return Err(self::error(Side::Client, Kind::Config, None, message));
                }
                Err(error) => self.failed(&error),
            };
            if error.kind != Kind::Locked || begun.elapsed() >= self.busy || self.limit.left().is_zero() {
                return Err(error);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Returns what can break the connection off from another thread.
    pub(super) fn breaker(&self) -> Breaker {
        Breaker { handle: self.connection.get_interrupt_handle(), limit: self.limit.clone() }
    }

    pub(super) fn until(&mut self, deadline: Instant) {
        self.limit.set(deadline);
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Returns true if a transaction is open.
    pub(super) fn is_open(&self) -> bool {
        !self.connection.is_autocommit()
    }

    pub(super) fn begin(&mut self, access: Access) -> Result<(), SqlError> {
        let sql = match access {
            Access::Read => "BEGIN DEFERRED",
            Access::Write => "BEGIN IMMEDIATE",
        };
        self.execute(sql, &[])?;
        self.writing = access == Access::Write;
        Ok(())
    }

    pub(super) fn commit(&mut self) -> Result<(), SqlError> {
        self.guard()?;
        let done = self.connection.prepare_cached("COMMIT").and_then(|mut statement| statement.raw_execute());
        match done {
            Ok(_) => Ok(()),
            Err(error) => Err(SqlError { uncertain: is_io(&error), ..self.failed(&error) }),
        }
    }

    /// Takes an open transaction back; that it may do after the deadline too.
    pub(super) fn rollback(&mut self) {
        if self.connection.is_autocommit() {
            return;
        }
        let deadline = self.limit.at.swap(u64::MAX, Ordering::Relaxed);
        let done = self.connection.prepare_cached("ROLLBACK").and_then(|mut statement| statement.raw_execute());
        self.limit.at.store(deadline, Ordering::Relaxed);
        self.lost |= done.is_err() && !self.connection.is_autocommit();
    }

    pub(super) fn execute(&mut self, sql: &'static str, params: &[SqlValue]) -> Result<u64, SqlError> {
        self.run(sql, params, |statement| statement.raw_execute().map(|n| n as u64).map_err(Met::Sqlite))
    }

    pub(super) fn query(&mut self, sql: &'static str, params: &[SqlValue], take: usize) -> Result<Vec<Row>, SqlError> {
        self.run(sql, params, |statement| {
            let columns = statement.column_count();
            let mut rows = statement.raw_query();
            let mut out = Vec::new();
            while out.len() < take
                && let Some(row) = rows.next().map_err(Met::Sqlite)?
            {
                let mut values = Row::with_capacity(columns);
                for i in 0..columns {
                    values.push(value(row.get_ref(i).map_err(Met::Sqlite)?));
                }
                out.push(values);
            }
            Ok(out)
        })
    }

    pub(super) fn script(&mut self, sql: &str) -> Result<(), SqlError> {
        self.guard()?;
        let alone = self.connection.is_autocommit();
        self.connection
            .execute_batch(sql)
            .map_err(|error| SqlError { uncertain: alone && is_io(&error), ..self.failed(&error) })
    }

    fn run<T>(
        &mut self,
        sql: &'static str,
        params: &[SqlValue],
        work: impl FnOnce(&mut CachedStatement<'_>) -> Result<T, Met>,
    ) -> Result<T, SqlError> {
        let alone = self.connection.is_autocommit();
        self.unseen += 1;
        // A writer, who waits for locks only when it begins and ends, need not look at the clock at every call between.
        if alone || !self.writing || self.unseen >= UNSEEN_MAX {
            self.guard()?;
        }
        let done = self.connection.prepare_cached(sql).map_err(Met::Sqlite).and_then(|mut statement| {
            bind(&mut statement, params)?;
            work(&mut statement)
        });
        done.map_err(|met| match met {
            Met::Own(error) => error,
            Met::Sqlite(error) => SqlError { uncertain: alone && is_io(&error), ..self.failed(&error) },
        })
    }

    /// Lets nothing begin after the deadline, and nothing wait for a lock until after it.
    fn guard(&mut self) -> Result<(), SqlError> {
        self.unseen = 0;
        let left = self.limit.left();
        if left.is_zero() {
            let message = "The time of the operation was over before this statement began.";
            return Err(error(Side::Soakd, Kind::Timeout, None, message.into()));
        }
        let waits = self.busy.min(left);
        if waits != self.waits {
            self.connection.busy_timeout(waits).map_err(|error| self.failed(&error))?;
            self.waits = waits;
        }
        Ok(())
    }

    fn failed(&self, error: &rusqlite::Error) -> SqlError {
        translated(error, &self.path)
    }
}

/// What a statement can meet.
enum Met {
    Sqlite(rusqlite::Error),
    Own(SqlError),
}

/// Binds values by the numbers in the names: SQLite itself numbers `$2` and `$1` as it meets them.
fn bind(statement: &mut CachedStatement<'_>, params: &[SqlValue]) -> Result<(), Met> {
    let mut most = 0;
    for index in 1..=statement.parameter_count() {
        let number = statement.parameter_name(index).and_then(|name| name.get(1..)?.parse::<usize>().ok());
        let value = number.and_then(|number| params.get(number.checked_sub(1)?));
        let Some(value) = value else { return Err(miscounted(index, params.len())) };
        most = most.max(number.unwrap_or_default());
        match value {
            SqlValue::Null => statement.raw_bind_parameter(index, rusqlite::types::Null),
            SqlValue::Bool(truth) => statement.raw_bind_parameter(index, i64::from(*truth)),
            SqlValue::Int(n) => statement.raw_bind_parameter(index, *n),
            SqlValue::Real(x) => statement.raw_bind_parameter(index, *x),
            SqlValue::Text(text) => statement.raw_bind_parameter(index, text.as_str()),
            SqlValue::Uuid(uuid) => {
                let mut buffer = uuid::Uuid::encode_buffer();
                statement.raw_bind_parameter(index, &*uuid.hyphenated().encode_lower(&mut buffer))
            }
            SqlValue::Time(time) => statement.raw_bind_parameter(index, time_text(*time)),
            SqlValue::Other(what) => return Err(mistaken(format!("{what} cannot be written."))),
        }
        .map_err(Met::Sqlite)?;
    }
    if most == params.len() { Ok(()) } else { Err(miscounted(most, params.len())) }
}

fn miscounted(asked: usize, given: usize) -> Met {
    mistaken(format!("A statement with {asked} parameters was given {given} values."))
}

fn mistaken(message: String) -> Met {
    Met::Own(error(Side::Soakd, Kind::Other, None, message))
}

fn value(value: ValueRef<'_>) -> SqlValue {
    match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(n) => SqlValue::Int(n),
        ValueRef::Real(x) => SqlValue::Real(x),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => SqlValue::Text(text.to_owned()),
            Err(_) => SqlValue::other("text that is not UTF-8", bytes),
        },
        ValueRef::Blob(bytes) => SqlValue::other("a blob", bytes),
    }
}

/// Returns true if the file system failed: what reached the file is not known.
fn is_io(error: &rusqlite::Error) -> bool {
    code_of(error).is_some_and(|code| code & 0xff == 10)
}

fn code_of(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}

fn translated(met: &rusqlite::Error, path: &str) -> SqlError {
    let text = match met {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        other => other.to_string(),
    };
    match code_of(met) {
        Some(code) => hinted(code, &text, path),
        // Everything without a code is a mistake in how the driver is called.
        None => error(Side::Soakd, Kind::Other, None, text),
    }
}

/// Returns an error by its code, with what people can do where they can do something.
fn hinted(code: i32, text: &str, path: &str) -> SqlError {
    let (side, kind) = sqlite(code);
    let message = match code & 0xff {
        8 => format!(
            "The database {path} cannot be written: {text}. Let the user that soakd runs as write the file and its \
             directory, or give another path."
        ),
        14 => format!(
            "The database {path} cannot be opened: {text}. Look whether its directory exists, whether soakd may write \
             there, and whether it is a file."
        ),
        11 | 26 => format!(
            "The file {path} is not a sound SQLite database: {text}. Give another path, or move the file away and let \
             soakd make a new one."
        ),
        13 => format!("There is no room left for {path}: {text}. Make room, or give a path on another disk."),
        _ => text.to_owned(),
    };
    error(side, kind, Some(sqlite_name(code)), message)
}

fn error(side: Side, kind: Kind, code: Option<String>, message: String) -> SqlError {
    SqlError { side, kind, code, message, lost: false, uncertain: false }
}
