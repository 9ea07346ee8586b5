//! Pushing: a batch as two set statements under the client's role, and row by row when PostgreSQL refuses something.

use std::collections::{HashMap, HashSet};

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Transaction};

use super::super::policy::{Grants, decide};
use super::super::{Identity, Push, PushReply, Refusal, StoreError, Verb, now_ms};
use super::schema::{Layout, ROLE};
use super::{describe, group_of};
use crate::model::schema::ColumnKind;
use crate::model::value::{Cell, Value};

/// One change, owned: the statements take arrays.
struct Change {
    key: String,
    cells: Option<Vec<Value>>,
    seq: i64,
}

/// Applies a batch once, in one transaction.
pub(super) async fn push(client: &mut Client, layout: &Layout, push: &Push) -> Result<PushReply, StoreError> {
    let group = group_of(&push.identity, layout);
    let transaction = client.transaction().await?;
    // Holding the counter until the commit makes numbers appear in commit order.
    let seq: i64 = transaction.query_one("SELECT seq FROM soakd_sequence FOR UPDATE", &[]).await?.get(0);
    let mut origin = 0i64;
    if !push.client.is_empty() {
        let row = transaction
            .query_one(
                "INSERT INTO soakd_client_state (owner, client, seen_ms) VALUES ($1, $2, $3) \
                 ON CONFLICT (owner, client) DO UPDATE SET seen_ms = $3 RETURNING id, batch, reply",
                &[&group, &push.client, &now_ms()],
            )
            .await?;
        let last = row.get::<_, i64>(1) as u64;
        if push.batch_no == last && last > 0 {
            let reply: Vec<u8> = row.get(2);
            return PushReply::from_bytes(&reply).map_err(|e| StoreError::Failed(e.to_string()));
        }
        if push.batch_no < last {
            return Err(StoreError::OldBatch { client: push.client.clone(), got: push.batch_no, last });
        }
        origin = row.get(0);
    }
    let mut apply =
        Apply { layout, push, origin, reply: PushReply { seq_first: seq as u64 + 1, ..PushReply::default() }, seq };
    let changes = apply.read()?;
    apply.run(&transaction, changes).await?;
    let Apply { mut reply, seq, .. } = apply;
    reply.seq_last = seq as u64;
    transaction.execute("UPDATE soakd_sequence SET seq = $1", &[&seq]).await?;
    if !push.client.is_empty() {
        let update = "UPDATE soakd_client_state SET batch = $1, reply = $2 WHERE id = $3";
        transaction.execute(update, &[&(push.batch_no as i64), &reply.to_bytes(), &origin]).await?;
    }
    transaction.commit().await?;
    Ok(reply)
}

struct Apply<'a> {
    layout: &'a Layout,
    push: &'a Push,
    origin: i64,
    reply: PushReply,
    seq: i64,
}

impl Apply<'_> {
    /// Reads the batch, and refuses rows that the columns cannot hold.
    fn read(&mut self) -> Result<Vec<Change>, StoreError> {
        let spec = &self.layout.spec;
        let (mut list, mut cells, mut changes) = (Vec::new(), Vec::new(), self.push.batch.changes());
        while let Some(change) = changes.next(&mut cells).map_err(|e| StoreError::BadRequest(e.to_string()))? {
            let key = change.key.to_owned();
            if !change.upsert {
                list.push(Change { key, cells: None, seq: 0 });
                continue;
            }
            if cells.len() != spec.columns.len() || cells[spec.key] != Cell::Text(change.key) {
                return Err(StoreError::BadRequest(format!(
                    "row {key:?} does not fit table {}: {} columns and its key are expected",
                    spec.name,
                    spec.columns.len()
                )));
            }
            let fitted =
                cells.iter().zip(&spec.columns).map(|(cell, column)| fit(*cell, column.kind).ok_or(&column.name));
            match fitted.collect::<Result<Vec<_>, _>>() {
                Ok(cells) => list.push(Change { key, cells: Some(cells), seq: 0 }),
                Err(column) => {
                    let reason =
                        format!("the table refuses the row: the value of {column} is not of the column's type");
                    self.reply.refused.push(Refusal { key, verb: Verb::Insert, reason });
                }
            }
        }
        Ok(list)
    }

    async fn run(&mut self, transaction: &Transaction<'_>, mut changes: Vec<Change>) -> Result<(), StoreError> {
        let distinct = changes.iter().map(|change| change.key.as_str()).collect::<HashSet<_>>().len() == changes.len();
        // An administrator may move rows between owners, and those need their old owners looked up.
        let sets = distinct && !(self.layout.rls && self.push.identity == Identity::Admin);
        if sets && self.in_sets(transaction, &mut changes).await? {
            return Ok(());
        }
        for change in &mut changes {
            self.one_row(transaction, change).await?;
        }
        Ok(())
    }

    async fn take_role(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        if let Identity::User(user) = &self.push.identity
            && self.layout.rls
        {
            transaction.execute("SELECT set_config('soakd.user_id', $1, true)", &[user]).await?;
            transaction.batch_execute(&format!("SET LOCAL ROLE {ROLE}")).await?;
        }
        Ok(())
    }

    /// Applies all changes at once; false when something was refused and nothing was applied.
    async fn in_sets(&mut self, transaction: &Transaction<'_>, changes: &mut [Change]) -> Result<bool, StoreError> {
        for (i, change) in changes.iter_mut().enumerate() {
            change.seq = self.seq + 1 + i as i64;
        }
        transaction.batch_execute("SAVEPOINT batch").await?;
        self.take_role(transaction).await?;
        let deletes: HashMap<&str, i64> =
            changes.iter().filter(|c| c.cells.is_none()).map(|c| (c.key.as_str(), c.seq)).collect();
        let keys: Vec<&str> = deletes.keys().copied().collect();
        let upserts: Vec<&Change> = changes.iter().filter(|c| c.cells.is_some()).collect();
        let done = match self.upsert(transaction, &upserts).await {
            Ok(()) if keys.is_empty() => Ok(Vec::new()),
            Ok(()) => transaction.query(&self.layout.delete, &[&keys]).await,
            Err(error) => Err(error),
        };
        let deleted = match done {
            Ok(rows) => rows,
            Err(error) if is_refusal(&error) => {
                transaction.batch_execute("ROLLBACK TO SAVEPOINT batch; RESET ROLE").await?;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        transaction.batch_execute("RESET ROLE").await?;
        let gone: HashSet<&str> = deleted.iter().map(|row| row.get::<_, &str>(0)).collect();
        let left: Vec<&str> = keys.iter().copied().filter(|key| !gone.contains(key)).collect();
        if !left.is_empty() && !transaction.query(&self.layout.existing, &[&left]).await?.is_empty() {
            // A policy hid these rows from the delete: they are refused one by one.
            transaction.batch_execute("ROLLBACK TO SAVEPOINT batch").await?;
            return Ok(false);
        }
        let owners: Vec<&str> = deleted.iter().map(|row| if self.layout.rls { owner(row, 1) } else { "" }).collect();
        let keys: Vec<&str> = deleted.iter().map(|row| row.get(0)).collect();
        let seqs: Vec<i64> = keys.iter().map(|key| deletes[key]).collect();
        self.bury(transaction, &owners, &seqs, &keys).await?;
        self.seq += changes.len() as i64;
        self.reply.applied += changes.len() as u64;
        Ok(true)
    }

    /// Applies one change, or finds out why PostgreSQL refuses it.
    async fn one_row(&mut self, transaction: &Transaction<'_>, change: &mut Change) -> Result<(), StoreError> {
        change.seq = self.seq + 1;
        let old =
            transaction.query_opt(&self.layout.owner_of, &[&change.key]).await?.map(|row| owner(&row, 0).to_owned());
        let mut refused = self.attempt(transaction, change, old.is_some(), true).await?;
        let new = change.cells.as_ref().map(|cells| match &cells[self.layout.spec.owner] {
            Value::Text(text) => text.as_str(),
            _ => "",
        });
        if let (Some((code, reason)), Identity::User(user)) = (refused.take(), &self.push.identity) {
            // PostgreSQL has decided; this only gives the refusal its verb, and planted bugs their way.
            let named = decide(user, old.as_deref(), new, Grants::default());
            let granted = named.is_err() && decide(user, old.as_deref(), new, self.push.grants).is_ok();
            refused = if granted && code == SqlState::INSUFFICIENT_PRIVILEGE {
                self.attempt(transaction, change, old.is_some(), false).await?
            } else {
                Some((code, reason))
            };
            if let Some((code, reason)) = &mut refused {
                let verb = match (&named, new, &old) {
                    (Err(denied), _, _) => denied.verb,
                    (_, None, _) => Verb::Delete,
                    (_, _, Some(_)) => Verb::Update,
                    _ => Verb::Insert,
                };
                if let (Err(denied), true) = (named, *code == SqlState::INSUFFICIENT_PRIVILEGE) {
                    *reason = format!("{}: {reason}", denied.reason);
                }
                self.reply.refused.push(Refusal { key: change.key.clone(), verb, reason: reason.clone() });
                return Ok(());
            }
        } else if let Some((_, reason)) = refused {
            self.reply.refused.push(Refusal { key: change.key.clone(), verb: Verb::Insert, reason });
            return Ok(());
        }
        self.seq += 1;
        self.reply.applied += 1;
        match old.filter(|old| new.is_none() || (self.layout.rls && new != Some(old.as_str()))) {
            Some(old) => {
                let owner = if self.layout.rls { old.as_str() } else { "" };
                self.bury(transaction, &[owner], &[change.seq], &[&change.key]).await
            }
            None => Ok(()),
        }
    }

    /// Tries one change under a savepoint; returns why it was refused.
    async fn attempt(
        &self,
        transaction: &Transaction<'_>,
        change: &Change,
        exists: bool,
        as_client: bool,
    ) -> Result<Option<(SqlState, String)>, StoreError> {
        transaction.batch_execute("SAVEPOINT one").await?;
        if as_client {
            self.take_role(transaction).await?;
        }
        let done = match change.cells {
            Some(_) => self.upsert(transaction, &[change]).await.map(|()| true),
            None => transaction
                .execute(&self.layout.delete, &[&[change.key.as_str()].as_slice()])
                .await
                .map(|n| n > 0 || !exists),
        };
        match done {
            Ok(true) => transaction.batch_execute("RESET ROLE; RELEASE SAVEPOINT one").await?,
            Ok(false) => {
                transaction.batch_execute("RESET ROLE; RELEASE SAVEPOINT one").await?;
                return Ok(Some((SqlState::INSUFFICIENT_PRIVILEGE, "the row is not visible to this user".into())));
            }
            Err(error) if is_refusal(&error) => {
                transaction.batch_execute("ROLLBACK TO SAVEPOINT one; RELEASE SAVEPOINT one; RESET ROLE").await?;
                let code = error.code().cloned().unwrap_or(SqlState::INTERNAL_ERROR);
                return Ok(Some((code, describe(&error))));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(None)
    }

    async fn upsert(&self, transaction: &Transaction<'_>, rows: &[&Change]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let columns = &self.layout.spec.columns;
        let cell = |row: &Change, i: usize| row.cells.as_ref().map_or(Value::Null, |cells| cells[i].clone());
        let mut params: Vec<Box<dyn ToSql + Sync + Send>> = Vec::with_capacity(columns.len() + 2);
        for (i, column) in columns.iter().enumerate() {
            let values = rows.iter().map(|row| cell(row, i));
            params.push(match column.kind {
                ColumnKind::Text => {
                    Box::new(values.map(|v| if let Value::Text(x) = v { Some(x) } else { None }).collect::<Vec<_>>())
                }
                ColumnKind::Integer => {
                    Box::new(values.map(|v| if let Value::Int(x) = v { Some(x) } else { None }).collect::<Vec<_>>())
                }
                ColumnKind::Real => {
                    Box::new(values.map(|v| if let Value::Real(x) = v { Some(x) } else { None }).collect::<Vec<_>>())
                }
                ColumnKind::Blob => {
                    Box::new(values.map(|v| if let Value::Blob(x) = v { Some(x) } else { None }).collect::<Vec<_>>())
                }
            });
        }
        params.push(Box::new(rows.iter().map(|row| row.seq).collect::<Vec<i64>>()));
        params.push(Box::new(self.origin));
        let borrowed: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| &**param as &(dyn ToSql + Sync)).collect();
        transaction.execute(&self.layout.upsert, &borrowed).await.map(drop)
    }

    async fn bury(
        &self,
        transaction: &Transaction<'_>,
        owners: &[&str],
        seqs: &[i64],
        keys: &[&str],
    ) -> Result<(), StoreError> {
        if !keys.is_empty() {
            let insert = "INSERT INTO soakd_tombstone (owner, seq, key, origin) \
                          SELECT u.*, $4::bigint FROM unnest($1::text[], $2::bigint[], $3::text[]) AS u";
            transaction.execute(insert, &[&owners, &seqs, &keys, &self.origin]).await?;
        }
        Ok(())
    }
}

fn owner(row: &tokio_postgres::Row, index: usize) -> &str {
    row.get::<_, Option<&str>>(index).unwrap_or_default()
}

/// Says whether the error concerns a row (a policy or a constraint) rather than the connection or the server.
fn is_refusal(error: &Error) -> bool {
    error.code().is_some_and(|code| *code == SqlState::INSUFFICIENT_PRIVILEGE || code.code().starts_with("23"))
}

/// Returns the value as the column's type holds it, if it can.
fn fit(cell: Cell<'_>, kind: ColumnKind) -> Option<Value> {
    match (cell, kind) {
        (Cell::Null, _) => Some(Value::Null),
        (Cell::Text(text), ColumnKind::Text) if !text.contains('\0') => Some(Value::Text(text.to_owned())),
        (Cell::Int(n), ColumnKind::Integer) => Some(Value::Int(n)),
        (Cell::Int(n), ColumnKind::Real) => Some(Value::Real(n as f64)),
        (Cell::Real(x), ColumnKind::Real) => Some(Value::Real(x)),
        (Cell::Blob(bytes), ColumnKind::Blob) => Some(Value::Blob(bytes.to_vec())),
        _ => None,
    }
}
