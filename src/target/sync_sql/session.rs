//! One session: a connection with a provider on it, from open to close.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::Value;
use secrecy::{ExposeSecret, SecretString};

use super::{Credential, Operation, Profile, Provider, ReceiveReport, SendReport, SessionSpec, SyncError};
use super::{answer, extension, native};
use crate::model::finding::{Follow, Kind, Side};

/// Calls that one receive may take.
pub(super) const RECEIVE_CALLS_MAX: u32 = 10_000;
/// Calls in a row that may bring nothing although the provider says that more is waiting.
pub(super) const RECEIVE_IDLE_MAX: u32 = 32;
/// Longest credential: providers cut a header line at 4,095 bytes, and a cut one is a wrong one.
pub(super) const CREDENTIAL_BYTES_MAX: usize = 3 * 1024;

/// An open session; closing it, in whatever way, always frees the provider's network and its memory.
pub struct SyncSession {
    /// `None` only after the close.
    conn: Option<Connection>,
    profile: Profile,
    version: String,
}

impl SyncSession {
    /// Opens the database, attaches the provider, makes the table and prepares it and the network.
    pub fn open(spec: &SessionSpec) -> Result<Self, SyncError> {
        let conn = connect(&spec.path, spec.busy_ms)?;
        let profile = match &spec.provider {
            Provider::Native => {
                make_table(&conn, spec)?;
                native::attach(&conn, spec)?;
                Profile::native()
            }
            Provider::Extension { path, entry_point, statements } => {
                let profile = Profile::with_overrides(statements)?;
                extension::load(&conn, path, entry_point)?;
                make_table(&conn, spec)?;
                profile
            }
        };
        // From here on every way out passes `drop`.
        let mut session = Self { conn: Some(conn), profile, version: String::new() };
        session.version = match session.call(Operation::Version, &[])? {
            Value::Text(version) => version,
            other => return Err(unexpected(Operation::Version, &other)),
        };
        session.call(Operation::Init, &[&spec.table.name])?;
        session.set_deadlines(spec)?;
        session.call(Operation::NetworkInit, &[&spec.address, &spec.database_id])?;
        Ok(session)
    }

    /// Returns the provider's version.
    pub fn provider_version(&self) -> &str {
        &self.version
    }

    /// Returns the profile in use.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Returns the connection, for reading and writing rows.
    pub fn conn(&self) -> &Connection {
        self.conn.as_ref().expect("a session has its connection until it is closed")
    }

    /// Returns the connection, for transactions.
    pub fn conn_mut(&mut self) -> &mut Connection {
        self.conn.as_mut().expect("a session has its connection until it is closed")
    }

    /// Gives the provider the credential that it shows to the service.
    pub fn set_credential(&mut self, credential: &Credential) -> Result<(), SyncError> {
        let (op, secret) = match credential {
            Credential::None => return Ok(()),
            Credential::Token(token) => (Operation::SetToken, token),
            Credential::ApiKey(key) => (Operation::SetApikey, key),
        };
        check_credential(op, secret)?;
        self.call(op, &[secret.expose_secret()]).map(drop)
    }

    /// Sends local changes.
    pub fn send(&mut self) -> Result<SendReport, SyncError> {
        answer::send(&self.call_text(Operation::Send)?)
    }

    /// Receives remote changes until the provider says that there are no more.
    pub fn receive(&mut self) -> Result<ReceiveReport, SyncError> {
        let mut report = ReceiveReport::default();
        let mut idle = 0;
        while report.calls < RECEIVE_CALLS_MAX && idle < RECEIVE_IDLE_MAX {
            let before = (report.rows, report.chunks);
            let text = self.call_text(Operation::Receive)?;
            if answer::receive(&text, &mut report)? {
                return Ok(report);
            }
            idle = if (report.rows, report.chunks) == before { idle + 1 } else { 0 };
        }
        let message = format!("more is waiting still after {} calls, the last {idle} brought nothing", report.calls);
        Err(SyncError::noticed("receive", Side::Server, Kind::Protocol, Follow::Retry, &message))
    }

    /// Makes every change pending again, and makes sure that it did.
    pub fn reset_position(&mut self) -> Result<(), SyncError> {
        self.call(Operation::Reset, &[])?;
        // The call returns success without writing when another connection holds the write lock.
        let position = self.setting("send_dbversion")?;
        match position.as_deref() {
            None | Some("0") => Ok(()),
            Some(other) => {
                let message = format!("the send position is still {other} after the reset, the database is locked");
                Err(SyncError::noticed("reset", Side::Client, Kind::Locked, Follow::Retry, &message))
            }
        }
    }

    /// Returns whether changes wait to be sent; a provider that cannot tell says yes.
    ///
    /// CloudSync asks the service and reads any junk answer as no: a no is a hint, never a proof.
    pub fn has_unsent(&mut self) -> Result<bool, SyncError> {
        if self.profile.statement(Operation::Unsent).is_none() {
            return Ok(true);
        }
        match self.call(Operation::Unsent, &[])? {
            Value::Integer(n) => Ok(n != 0),
            other => Err(unexpected(Operation::Unsent, &other)),
        }
    }

    /// Frees the provider's network and memory, then closes the connection.
    pub fn close(mut self) -> Result<(), SyncError> {
        self.shut()
    }

    /// Does both clean-ups whatever the other says: leaving one out leaks sockets or memory.
    fn shut(&mut self) -> Result<(), SyncError> {
        if self.conn.is_none() {
            return Ok(());
        }
        let cleaned = self.call(Operation::Cleanup, &[]);
        let terminated = self.call(Operation::Terminate, &[]);
        let closed = match self.conn.take().map(Connection::close) {
            Some(Err((_conn, error))) => Err(SyncError::local("close", &error)),
            _ => Ok(()),
        };
        cleaned.and(terminated).map(drop).and(closed)
    }

    fn call_text(&self, op: Operation) -> Result<String, SyncError> {
        match self.call(op, &[])? {
            Value::Text(text) => Ok(text),
            other => Err(unexpected(op, &other)),
        }
    }

    fn call(&self, op: Operation, values: &[&str]) -> Result<Value, SyncError> {
        let during = op.key();
        let Some(sql) = self.profile.statement(op) else {
            return Err(SyncError::config(during, "the profile has no statement for it"));
        };
        self.query(sql, values).map_err(|error| match op {
            Operation::Send | Operation::Receive | Operation::Unsent => SyncError::remote(during, &error),
            _ => SyncError::local(during, &error),
        })
    }

    /// Runs a statement with as many of the values as it has places for, and returns its first value.
    fn query(&self, sql: &str, values: &[&str]) -> rusqlite::Result<Value> {
        // Not cached: the provider must not find statements of ours when it terminates.
        let mut statement = self.conn().prepare(sql)?;
        for (i, value) in values.iter().enumerate().take(statement.parameter_count()) {
            statement.raw_bind_parameter(i + 1, value)?;
        }
        let mut rows = statement.raw_query();
        let value = match rows.next()? {
            Some(row) => row.get(0)?,
            None => Value::Null,
        };
        // Nothing more is expected, but a statement that is not run to its end does not commit.
        while rows.next()?.is_some() {}
        Ok(value)
    }

    /// Returns a stored setting as text, where the profile can read one.
    fn setting(&self, key: &str) -> Result<Option<String>, SyncError> {
        let Some(sql) = self.profile.statement(Operation::Get) else { return Ok(None) };
        match self.query(sql, &[key]).map_err(|error| SyncError::local("get", &error))? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Integer(n) => Ok(Some(n.to_string())),
            Value::Real(x) => Ok(Some(x.to_string())),
            Value::Blob(_) => Err(SyncError::config("get", "the setting is a blob")),
        }
    }

    /// Sets the provider's deadlines in whole seconds, and reads them back: setting fails silently under a lock.
    fn set_deadlines(&self, spec: &SessionSpec) -> Result<(), SyncError> {
        if self.profile.statement(Operation::Set).is_none() {
            return Ok(());
        }
        let request = spec.request_ms.div_ceil(1000).max(1).to_string();
        let connect = spec.connect_ms.div_ceil(1000).max(1).to_string();
        let settings = [
            ("network_connect_timeout", &connect),
            ("network_request_timeout", &request),
            ("network_artifact_timeout", &request),
        ];
        for (key, value) in settings {
            self.call(Operation::Set, &[key, value])?;
            if self.profile.statement(Operation::Get).is_some() && self.setting(key)?.as_ref() != Some(value) {
                let message = format!("{key} was not stored, another connection holds the database");
                return Err(SyncError::noticed("set", Side::Client, Kind::Locked, Follow::Retry, &message));
            }
        }
        Ok(())
    }
}

impl Drop for SyncSession {
    fn drop(&mut self) {
        if let Err(error) = self.shut() {
            tracing::debug!(%error, "a session was not closed cleanly");
        }
    }
}

/// Opens the file as the distributions' shell does, in WAL mode.
fn connect(path: &Path, busy_ms: u64) -> Result<Connection, SyncError> {
    const OPENING: &str = "opening the local database";
    let refused = |why: &str| SyncError::config(OPENING, &format!("{} {why}", path.display()));
    if path.is_dir() {
        return Err(refused("is a directory; name a file"));
    }
    if path.parent().is_some_and(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()) {
        return Err(refused("is in a directory that does not exist; create it first"));
    }
    let prepare = || {
        let conn = Connection::open(path)?;
        conn.busy_timeout(Duration::from_millis(busy_ms))?;
        conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        conn.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = OFF;")?;
        Ok(conn)
    };
    prepare().map_err(|error: rusqlite::Error| {
        let mut error = SyncError::local(OPENING, &error);
        error.classified.message =
            crate::model::finding::cut(&format!("{}: {}", path.display(), error.classified.message));
        error
    })
}

fn make_table(conn: &Connection, spec: &SessionSpec) -> Result<(), SyncError> {
    let exists = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
    let make = || match conn.prepare(exists)?.exists([&spec.table.name])? {
        true => Ok(()),
        false => conn.execute_batch(&spec.table.ddl),
    };
    make().map_err(|error| SyncError::local("creating the table", &error))
}

/// Refuses what would break the header that the credential is copied into.
fn check_credential(op: Operation, secret: &SecretString) -> Result<(), SyncError> {
    let text = secret.expose_secret();
    let why = match text {
        "" => "the credential is empty",
        _ if text.len() > CREDENTIAL_BYTES_MAX => {
            "the credential is longer than 3 KiB, which would be cut off silently"
        }
        _ if text.chars().any(char::is_control) => "the credential holds a line break or control character",
        _ if text.trim() != text => "the credential starts or ends with a space",
        _ => return Ok(()),
    };
    Err(SyncError::config(op.key(), why))
}

fn unexpected(op: Operation, value: &Value) -> SyncError {
    let message =
        format!("the provider answered with a value of type {}, which has no meaning here", value.data_type());
    SyncError::noticed(op.key(), Side::Client, Kind::Protocol, Follow::Fail, &message)
}
