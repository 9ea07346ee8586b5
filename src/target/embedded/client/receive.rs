//! Receiving: pages of changes, applied with the watermark in one transaction each.
//!
//! A received change never overwrites a row with a local change that waits: the local one arrives later and wins.

use std::collections::HashSet;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde_json::json;
use xxhash_rust::xxh3::xxh3_128;

use super::super::Page;
use super::super::proto::PullRequest;
use super::super::sqlite::Param;
use super::ClientError;
use super::state::{ClientState, read_state, write_state};
use crate::model::schema::{TableSpec, quote};

/// Limits of one call.
const PAGES: usize = 16;
const PAGE_BYTES: u64 = 1 << 20;

impl ClientState {
    /// Fetches and applies a bounded number of pages.
    pub(super) fn receive(&mut self) -> Result<serde_json::Value, ClientError> {
        self.repeat_flight()?;
        let (mut rows, mut chunks, mut bytes, mut complete) = (0, 0, 0, false);
        while chunks < PAGES && !complete {
            let after: i64 = read_state(&self.connection, "pulled")?.unwrap_or(0);
            let full = read_state::<i64>(&self.connection, "full")?.is_some();
            let client = self.client_id().to_owned();
            let request = PullRequest { client, after: after as u64, limit_bytes: PAGE_BYTES, full };
            let answer = self.network()?.post("/v1/pull", request.encode())?;
            let page = Page::decode(&answer)?;
            (chunks, bytes) = (chunks + 1, bytes + answer.len());
            if page.reset {
                self.start_afresh()?;
                continue;
            }
            rows += self.apply(&page, full)?;
            complete = !page.more;
        }
        let tables = if rows > 0 { vec![self.table.name.clone()] } else { Vec::new() };
        Ok(json!({"rows": rows, "tables": tables, "chunks": chunks, "bytes": bytes, "complete": complete}))
    }

    /// Starts from zero, because the server no longer remembers what was deleted in the meantime.
    fn start_afresh(&mut self) -> Result<(), ClientError> {
        self.connection.execute_batch(
            "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS soakd_resync (key TEXT PRIMARY KEY) WITHOUT ROWID; DELETE FROM soakd_resync; \
             INSERT OR REPLACE INTO soakd_client_state VALUES ('pulled', 0), ('full', 1), ('resync', 1); COMMIT;",
        )?;
        Ok(())
    }

    fn apply(&mut self, page: &Page, full: bool) -> Result<usize, ClientError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let resync = full && read_state::<i64>(&transaction, "resync")?.is_some();
        let pending = pending_keys(&transaction)?;
        let applied = apply_changes(&transaction, &self.table, page, &pending, resync)?;
        if full && !page.more {
            if resync {
                drop_unseen(&transaction, &self.table)?;
            }
            transaction.execute("DELETE FROM soakd_client_state WHERE name IN ('full', 'resync')", [])?;
        }
        write_state(&transaction, "pulled", page.next as i64)?;
        transaction.commit()?;
        Ok(applied)
    }
}

/// Returns the hashes of the keys that wait to be sent.
fn pending_keys(connection: &Connection) -> Result<HashSet<u128>, ClientError> {
    let acked: i64 = read_state(connection, "acked")?.unwrap_or(0);
    let mut statement = connection.prepare_cached("SELECT key FROM soakd_outbox WHERE seq > ?1 AND key IS NOT NULL")?;
    let mut rows = statement.query([acked])?;
    let mut pending = HashSet::new();
    while let Some(row) = rows.next()? {
        pending.insert(xxh3_128(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?.as_bytes()));
    }
    Ok(pending)
}

fn apply_changes(
    transaction: &Transaction<'_>,
    table: &TableSpec,
    page: &Page,
    pending: &HashSet<u128>,
    resync: bool,
) -> Result<usize, ClientError> {
    let (name, key) = (quote(&table.name), table.quoted(table.key));
    let marks = (1..=table.columns.len()).map(|i| format!("?{i}")).collect::<Vec<_>>().join(", ");
    let others = (0..table.columns.len()).filter(|i| *i != table.key);
    let sets: Vec<String> = others.map(|i| format!("{0} = excluded.{0}", table.quoted(i))).collect();
    let mut upsert = transaction.prepare_cached(&format!(
        "INSERT INTO {name} ({}) VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {}",
        table.column_list(),
        sets.join(", ")
    ))?;
    let mut delete = transaction.prepare_cached(&format!("DELETE FROM {name} WHERE {key} = ?1"))?;
    let (mut cells, mut applied) = (Vec::new(), 0);
    let mut changes = page.batch.changes();
    while let Some(change) = changes.next(&mut cells)? {
        if resync && change.upsert {
            transaction.prepare_cached("INSERT OR IGNORE INTO soakd_resync VALUES (?1)")?.execute([change.key])?;
        }
        if !pending.is_empty() && pending.contains(&xxh3_128(change.key.as_bytes())) {
            continue;
        }
        applied += 1;
        if !change.upsert {
            delete.execute([change.key])?;
            continue;
        }
        if cells.len() != table.columns.len() {
            let (found, wanted) = (cells.len(), table.columns.len());
            return Err(ClientError::Usage(format!(
                "the server's row {:?} has {found} columns, not {wanted}",
                change.key
            )));
        }
        for (i, cell) in cells.iter().enumerate() {
            upsert.raw_bind_parameter(i + 1, Param(*cell))?;
        }
        upsert.raw_execute()?;
    }
    Ok(applied)
}

/// Deletes the rows that the server does not have, except those that wait to be sent.
fn drop_unseen(transaction: &Transaction<'_>, table: &TableSpec) -> Result<(), ClientError> {
    let (name, key) = (quote(&table.name), table.quoted(table.key));
    transaction.execute_batch(&format!(
        "DELETE FROM {name} WHERE {key} NOT IN (SELECT key FROM soakd_resync) \
         AND {key} NOT IN (SELECT key FROM soakd_outbox WHERE key IS NOT NULL); DROP TABLE soakd_resync;"
    ))?;
    Ok(())
}
