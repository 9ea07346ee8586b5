//! Sending: batches of net effects from the outbox, each acknowledged before its entries go.

use std::collections::HashSet;

use serde_json::json;
use xxhash_rust::xxh3::xxh3_128;

use super::super::PushReply;
use super::super::proto::{Batch, PushRequest};
use super::super::sqlite::cell_of;
use super::state::{ClientState, read_state, write_state};
use super::{ClientError, Refusal};
use crate::model::schema::quote;

/// Limits of one batch.
const BATCH_ENTRIES: i64 = 4_000;
const BATCH_BYTES: usize = 1 << 20;
/// Refusals that one answer lists; all are counted.
const MAX_REFUSED: usize = 1_000;

/// One batch that is on its way: outbox entries up to `upto` under the number `number`.
struct Flight {
    number: i64,
    upto: i64,
    batch: Batch,
}

impl ClientState {
    /// Sends everything that waits, and returns what became of it.
    pub(super) fn send(&mut self) -> Result<serde_json::Value, ClientError> {
        self.network()?;
        let (mut chunks, mut bytes, mut rows, mut refused_count) = (0u64, 0u64, 0u64, 0u64);
        let mut refused: Vec<Refusal> = Vec::new();
        let mut seq: Option<(u64, u64)> = None;
        // What is written from now on is the next call's business, so that this call ends.
        let (goal, _) = self.versions()?;
        while let Some(flight) = self.next_flight(goal)? {
            let count = flight.batch.len() as u64;
            let (reply, sent) = self.fly(flight)?;
            (chunks, rows, bytes) = (chunks + 1, rows + count, bytes + sent);
            seq = Some((seq.map_or(reply.seq_first, |(first, _)| first), reply.seq_last));
            refused_count += reply.refused.len() as u64;
            refused.extend(reply.refused.into_iter().take(MAX_REFUSED - refused.len().min(MAX_REFUSED)));
        }
        let (local, server) = self.versions()?;
        let mut answer = json!({
            "status": "synced", "localVersion": local, "serverVersion": server,
            "chunks": chunks, "bytes": bytes, "rows": rows, "refused": refused,
        });
        if let Some((first, last)) = seq {
            answer["seq"] = json!([first, last]);
        }
        if let Some(refusal) = answer["refused"].get(0).cloned() {
            answer["lastFailure"] = json!({
                "code": "refused", "retryable": false,
                "message": format!("{refused_count} changes were refused, the first: {refusal}"),
            });
        }
        Ok(answer)
    }

    /// Sends one batch and notes that the server has it; returns its answer and the bytes that were sent.
    fn fly(&mut self, flight: Flight) -> Result<(PushReply, u64), ClientError> {
        let client = self.client_id().to_owned();
        let frame = PushRequest { client, batch_no: flight.number as u64, batch: flight.batch }.encode();
        let sent = frame.len() as u64;
        let reply = PushReply::decode(&self.network()?.post("/v1/push", frame)?)?;
        self.acknowledged(flight.number, flight.upto)?;
        Ok((reply, sent))
    }

    /// Sends the batch again whose answer was lost, if there is one. Until it is known to have arrived, nobody can tell whether
    /// a received change to one of its rows is older or newer than it.
    pub(super) fn repeat_flight(&mut self) -> Result<(), ClientError> {
        let in_doubt: Option<i64> = read_state(&self.connection, "inflight")?;
        if let Some(upto) = in_doubt
            && let Some(flight) = self.next_flight(upto)?
        {
            let (reply, _) = self.fly(flight)?;
            for refusal in reply.refused.iter().take(8) {
                tracing::warn!("a row that was sent again is refused: {refusal:?}");
            }
        }
        Ok(())
    }

    /// Plans the next batch durably, so that a retry after a lost answer carries the same number for the same entries.
    fn next_flight(&mut self, goal: i64) -> Result<Option<Flight>, ClientError> {
        let acked: i64 = read_state(&self.connection, "acked")?.unwrap_or(0);
        let planned: Option<i64> = read_state(&self.connection, "inflight")?;
        let number: i64 = read_state(&self.connection, "batch")?.unwrap_or(0) + 1;
        if acked >= goal && planned.is_none() {
            return Ok(None);
        }
        let (batch, upto) = self.read_batch(acked, planned.unwrap_or(i64::MAX), planned.is_some())?;
        if planned.is_none() {
            if upto == acked {
                // Only rows without a key are left, and those cannot be synced.
                write_state(&self.connection, "acked", goal)?;
                return Ok(None);
            }
            write_state(&self.connection, "inflight", upto)?;
        }
        Ok(Some(Flight { number, upto: planned.unwrap_or(upto), batch }))
    }

    /// Reads the net effect of the entries after `acked`: the row's content now, or its absence.
    fn read_batch(&self, acked: i64, upto: i64, whole: bool) -> Result<(Batch, i64), ClientError> {
        let (table, key) = (quote(&self.table.name), self.table.quoted(self.table.key));
        let width = self.table.columns.len();
        let columns = (0..width).map(|i| format!("t.{}", self.table.quoted(i))).collect::<Vec<_>>().join(", ");
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT o.seq, o.key, {columns} FROM soakd_outbox AS o LEFT JOIN {table} AS t ON t.{key} = o.key \
             WHERE o.seq > ?1 AND o.seq <= ?2 AND o.key IS NOT NULL ORDER BY o.seq LIMIT ?3"
        ))?;
        let mut rows = statement.query([acked, upto, BATCH_ENTRIES])?;
        let (mut batch, mut last, mut seen) = (Batch::default(), acked, HashSet::new());
        while let Some(row) = rows.next()? {
            if !whole && batch.size() >= BATCH_BYTES {
                break;
            }
            last = row.get(0)?;
            let key = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
            if !seen.insert(xxh3_128(key.as_bytes())) {
                continue;
            }
            if row.get_ref(2 + self.table.key)? == rusqlite::types::ValueRef::Null {
                batch.delete(key);
            } else {
                let cells = (0..width).map(|i| row.get_ref(2 + i).map(cell_of)).collect::<Result<Vec<_>, _>>()?;
                batch.upsert(key, cells.into_iter());
            }
        }
        Ok((batch, last))
    }

    /// Drops what the server has, and keeps its last entry as a mark so that numbers are never used twice.
    fn acknowledged(&mut self, number: i64, upto: i64) -> Result<(), ClientError> {
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.prepare_cached("DELETE FROM soakd_outbox WHERE seq < ?1")?.execute([upto])?;
        transaction
            .prepare_cached("INSERT OR REPLACE INTO soakd_outbox (seq, key) VALUES (?1, NULL)")?
            .execute([upto])?;
        write_state(&transaction, "acked", upto)?;
        write_state(&transaction, "batch", number)?;
        transaction.prepare_cached("DELETE FROM soakd_client_state WHERE name = 'inflight'")?.execute([])?;
        Ok(transaction.commit()?)
    }
}
