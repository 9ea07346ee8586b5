//! The thread that writes: applies pushes in arrival order, several to a durable transaction when they wait.

use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, Statement, params};
use tokio::sync::{mpsc, oneshot};

use super::super::policy::{Action, decide};
use super::super::proto::ChangeRef;
use super::super::token::NewToken;
use super::super::{Identity, JsonRows, Push, PushReply, Refusal, StoreError, Verb};
use super::clients::{Clients, Seen, group_of};
use super::schema::Layout;
use super::{Param, reader};
use crate::model::value::Cell;

/// Pushes that share one transaction at most.
const GROUP: usize = 16;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
pub(super) enum Command {
    Push(Box<Push>, Answer<PushReply>),
    Seen(Seen),
    /// As `Seen`, and it is on disk when it is answered.
    Register(Seen, Answer<()>),
    Sql(String, Answer<JsonRows>),
    AddToken(NewToken, Answer<()>),
    RevokeToken([u8; 32], Answer<bool>),
    Close(oneshot::Sender<()>),
}

/// The state of the writing thread.
pub(super) struct Writer {
    connection: Connection,
    layout: Arc<Layout>,
    clients: Clients,
    seq: u64,
}

impl Writer {
    /// Reads where the last life ended.
    pub(super) fn new(connection: Connection, layout: Arc<Layout>) -> rusqlite::Result<Self> {
        let seq: i64 = connection.query_row("SELECT seq FROM soakd_sequence", [], |row| row.get(0))?;
        let clients = Clients::load(&connection)?;
        Ok(Self { connection, layout, clients, seq: seq as u64 })
    }

    /// Works until it is closed or nobody can ask any more.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(first) = commands.blocking_recv() {
            let mut next = Some(first);
            while let Some(command) = next.take() {
                match command {
                    Command::Push(push, answer) => next = self.push_group(*push, answer, &mut commands),
                    // A watermark that is not saved only delays pruning.
                    Command::Seen(seen) => drop(self.seen(&seen)),
                    Command::Register(seen, answer) => drop(answer.send(self.seen(&seen))),
                    Command::Sql(sql, answer) => drop(answer.send(self.sql(&sql))),
                    Command::AddToken(token, answer) => drop(answer.send(self.add_token(&token))),
                    Command::RevokeToken(hash, answer) => drop(answer.send(self.revoke_token(&hash))),
                    Command::Close(answer) => {
                        commands.close();
                        let _ = answer.send(());
                    }
                }
            }
        }
        if let Err(error) = self.transaction(|_| Ok(())) {
            tracing::warn!(%error, "last watermarks were not saved");
        }
    }

    /// Applies a push and the pushes that already wait behind it; returns the first command that is something else.
    fn push_group(
        &mut self,
        first: Push,
        answer: Answer<PushReply>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Option<Command> {
        let mut waiting = vec![(first, answer)];
        let mut other = None;
        while waiting.len() < GROUP && other.is_none() {
            match commands.try_recv() {
                Ok(Command::Push(push, answer)) => waiting.push((*push, answer)),
                Ok(Command::Seen(seen)) => self.clients.seen(&seen, self.seq),
                Ok(command) => other = Some(command),
                Err(_) => break,
            }
        }
        let (pushes, answers): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        let done = self.transaction(|writer| Ok(pushes.iter().map(|push| writer.push(push)).collect::<Vec<_>>()));
        match done {
            Ok(replies) => answers.into_iter().zip(replies).for_each(|(answer, reply)| drop(answer.send(reply))),
            Err(error) => {
                let text = error.to_string();
                answers.into_iter().for_each(|answer| drop(answer.send(Err(StoreError::Failed(text.clone())))));
            }
        }
        other
    }

    /// Runs `work` in one durable transaction together with what clients are waiting to have saved.
    fn transaction<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let before = self.seq;
        let result = self.connection.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::from).and_then(|()| {
            let value = work(self)?;
            self.clients.save(&self.connection)?;
            self.connection.prepare_cached("UPDATE soakd_sequence SET seq = ?1")?.execute([self.seq as i64])?;
            self.connection.execute_batch("COMMIT")?;
            Ok(value)
        });
        if result.is_err() {
            if !self.connection.is_autocommit() {
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            // What was remembered in memory may not be in the file: read it again.
            self.seq = before;
            self.clients = Clients::load(&self.connection)?;
        }
        result
    }

    fn seen(&mut self, seen: &Seen) -> Result<(), StoreError> {
        self.clients.seen(seen, self.seq);
        if self.clients.wants_saving()
            && let Err(error) = self.transaction(|_| Ok(()))
        {
            tracing::warn!(%error, "watermark not saved");
            return Err(error);
        }
        Ok(())
    }

    /// Applies one batch, or repeats the answer it was given before.
    fn push(&mut self, push: &Push) -> Result<PushReply, StoreError> {
        let group = group_of(&push.identity, self.layout.rls).to_owned();
        let mut origin = 0;
        if !push.client.is_empty() {
            let client = self.clients.get(&group, &push.client);
            if push.batch_no == client.batch_no && push.batch_no > 0 {
                return PushReply::from_bytes(&client.reply).map_err(|e| StoreError::Failed(e.to_string()));
            }
            if push.batch_no < client.batch_no {
                let (client, last) = (push.client.clone(), client.batch_no);
                return Err(StoreError::OldBatch { client, got: push.batch_no, last });
            }
            origin = client.id;
        }
        let before = self.seq;
        self.connection.prepare_cached("SAVEPOINT batch")?.execute([])?;
        let layout = Arc::clone(&self.layout);
        let result = Apply::new(&self.connection, &layout, push, origin, self.seq).and_then(Apply::run);
        match result {
            Ok((reply, seq)) => {
                self.connection.prepare_cached("RELEASE batch")?.execute([])?;
                self.seq = seq;
                if !push.client.is_empty() {
                    self.clients.answered(&group, &push.client, push.batch_no, reply.to_bytes());
                }
                Ok(reply)
            }
            Err(error) => {
                self.connection.execute_batch("ROLLBACK TO batch; RELEASE batch")?;
                self.seq = before;
                Err(error)
            }
        }
    }

    fn sql(&mut self, sql: &str) -> Result<JsonRows, StoreError> {
        let rows = reader::run_sql(&self.connection, sql);
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
            return Err(StoreError::BadRequest("transactions cannot span statements here".into()));
        }
        self.layout.ensure(&self.connection)?;
        rows
    }

    fn add_token(&mut self, token: &NewToken) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO soakd_token (hash, user_id, name, expires_ms) VALUES (?1, ?2, ?3, ?4)",
            params![token.hash, token.user_id, token.name, token.expires_at_ms],
        )?;
        Ok(())
    }

    fn revoke_token(&mut self, hash: &[u8; 32]) -> Result<bool, StoreError> {
        Ok(self.connection.execute("UPDATE soakd_token SET revoked = 1 WHERE hash = ?1", [hash])? > 0)
    }
}

/// One batch on its way into the table.
struct Apply<'c> {
    layout: &'c Layout,
    push: &'c Push,
    /// The user whose policies count; none when no policy does.
    user: Option<&'c str>,
    origin: i64,
    seq: u64,
    reply: PushReply,
    upsert_same_owner: rusqlite::CachedStatement<'c>,
    upsert_any: rusqlite::CachedStatement<'c>,
    update_same_owner: rusqlite::CachedStatement<'c>,
    /// Whether the last row was there before: then the next one likely is too, and an update is tried first.
    updating: bool,
    delete_same_owner: rusqlite::CachedStatement<'c>,
    delete_any: rusqlite::CachedStatement<'c>,
    owner_of: rusqlite::CachedStatement<'c>,
    tombstone: rusqlite::CachedStatement<'c>,
}

impl<'c> Apply<'c> {
    fn new(
        connection: &'c Connection,
        layout: &'c Layout,
        push: &'c Push,
        origin: i64,
        seq: u64,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            layout,
            push,
            user: match &push.identity {
                Identity::User(user) if layout.rls => Some(user),
                _ => None,
            },
            origin,
            seq,
            reply: PushReply { seq_first: seq + 1, ..PushReply::default() },
            upsert_same_owner: connection.prepare_cached(&layout.upsert_same_owner)?,
            upsert_any: connection.prepare_cached(&layout.upsert_any)?,
            update_same_owner: connection.prepare_cached(&layout.update_same_owner)?,
            updating: true,
            delete_same_owner: connection.prepare_cached(&layout.delete_same_owner)?,
            delete_any: connection.prepare_cached(&layout.delete_any)?,
            owner_of: connection.prepare_cached(&layout.owner_of)?,
            tombstone: connection
                .prepare_cached("INSERT INTO soakd_tombstone (owner, seq, key, origin) VALUES (?1, ?2, ?3, ?4)")?,
        })
    }

    fn run(mut self) -> Result<(PushReply, u64), StoreError> {
        let mut cells = Vec::with_capacity(self.layout.spec.columns.len());
        let push = self.push;
        let mut changes = push.batch.changes();
        let bad = |e: super::super::proto::WireError| StoreError::BadRequest(e.to_string());
        while let Some(change) = changes.next(&mut cells).map_err(bad)? {
            if change.upsert { self.upsert(change, &cells)? } else { self.delete(change)? }
        }
        self.reply.seq_last = self.seq;
        Ok((self.reply, self.seq))
    }

    fn upsert(&mut self, change: ChangeRef<'_>, cells: &[Cell<'_>]) -> Result<(), StoreError> {
        let spec = &self.layout.spec;
        if cells.len() != spec.columns.len() || cells[spec.key] != Cell::Text(change.key) {
            return Err(StoreError::BadRequest(format!(
                "row {:?} does not fit table {}: {} columns and its key are expected",
                change.key,
                spec.name,
                spec.columns.len()
            )));
        }
        let new = owner_text(cells[spec.owner]);
        // A row in my name that is new or already mine is permitted by every policy, so one statement does it.
        if self.user.is_none_or(|user| user == new) {
            match self.upsert_mine(cells) {
                Ok(0) => {}
                Ok(_) => return self.accepted(),
                Err(error) => return self.refused(change.key, Verb::Insert, constraint(error)?),
            }
        }
        let old = read_owner(&mut self.owner_of, change.key)?;
        if let Some(user) = self.user
            && let Err(denied) = decide(user, old.as_deref(), Some(new), self.push.grants)
        {
            return self.refused(change.key, denied.verb, denied.reason.to_owned());
        }
        if let Err(error) = execute_row(&mut self.upsert_any, cells, self.seq + 1, self.origin) {
            return self.refused(change.key, Verb::Update, constraint(error)?);
        }
        match old {
            Some(old) if self.layout.rls && old != new => self.bury(&old, change.key),
            _ => self.accepted(),
        }
    }

    /// Stores a row that no policy can refuse; 0 when there is a row of another owner.
    fn upsert_mine(&mut self, cells: &[Cell<'_>]) -> rusqlite::Result<usize> {
        let (seq, origin) = (self.seq + 1, self.origin);
        if self.updating && execute_row(&mut self.update_same_owner, cells, seq, origin)? > 0 {
            return Ok(1);
        }
        self.updating = false;
        let upsert = if self.layout.rls { &mut self.upsert_same_owner } else { &mut self.upsert_any };
        execute_row(upsert, cells, seq, origin)
    }

    fn delete(&mut self, change: ChangeRef<'_>) -> Result<(), StoreError> {
        if !self.layout.rls {
            return if self.delete_any.execute([change.key])? > 0 {
                self.bury("", change.key)
            } else {
                self.accepted()
            };
        }
        if let Some(user) = self.user
            && self.delete_same_owner.execute([change.key, user])? > 0
        {
            return self.bury(user, change.key);
        }
        let old = read_owner(&mut self.owner_of, change.key)?;
        if let Some(user) = self.user {
            match decide(user, old.as_deref(), None, self.push.grants) {
                Err(denied) => return self.refused(change.key, denied.verb, denied.reason.to_owned()),
                Ok(Action::Nothing) => return self.accepted(),
                Ok(_) => {}
            }
        }
        let Some(old) = old else { return self.accepted() };
        self.delete_any.execute([change.key])?;
        self.bury(&old, change.key)
    }

    /// Counts a change and leaves a tombstone for the owner who loses the row.
    fn bury(&mut self, owner: &str, key: &str) -> Result<(), StoreError> {
        self.accepted()?;
        self.tombstone.execute(params![owner, self.seq as i64, key, self.origin])?;
        Ok(())
    }

    fn accepted(&mut self) -> Result<(), StoreError> {
        self.seq += 1;
        self.reply.applied += 1;
        Ok(())
    }

    fn refused(&mut self, key: &str, verb: Verb, reason: String) -> Result<(), StoreError> {
        self.reply.refused.push(Refusal { key: key.to_owned(), verb, reason });
        Ok(())
    }
}

/// Returns the owner that a cell names; anything but a text names nobody.
fn owner_text(cell: Cell<'_>) -> &str {
    match cell {
        Cell::Text(text) => text,
        _ => "",
    }
}

fn read_owner(statement: &mut Statement<'_>, key: &str) -> rusqlite::Result<Option<String>> {
    let mut rows = statement.query([key])?;
    rows.next()?.map(|row| Ok(row.get::<_, Option<String>>(0)?.unwrap_or_default())).transpose()
}

fn execute_row(statement: &mut Statement<'_>, cells: &[Cell<'_>], seq: u64, origin: i64) -> rusqlite::Result<usize> {
    for (i, cell) in cells.iter().enumerate() {
        statement.raw_bind_parameter(i + 1, Param(*cell))?;
    }
    statement.raw_bind_parameter(cells.len() + 1, seq as i64)?;
    statement.raw_bind_parameter(cells.len() + 2, origin)?;
    statement.raw_execute()
}

/// Returns what a row violates; any other error concerns the whole batch.
fn constraint(error: rusqlite::Error) -> Result<String, StoreError> {
    match &error {
        rusqlite::Error::SqliteFailure(code, _)
            if matches!(code.code, ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) =>
        {
            Ok(format!("the table refuses the row: {error}"))
        }
        _ => Err(error.into()),
    }
}
