//! Makes a database one run's own: what an earlier run left is dropped, and what is not soakd's is left alone.

use tokio_postgres::Transaction;

use super::{connect, describe, place};
use crate::model::schema::{TableSpec, quote};
use crate::target::embedded::StoreError;

/// Tables that soakd keeps beside the synced one.
const SIDE_TABLES: &str = "soakd_sequence, soakd_tombstone, soakd_client_state, soakd_floor, soakd_token";

/// Empties the database unless it belongs to this run already.
pub(in super::super) async fn claim(url: &str, table: &TableSpec, run: &str) -> Result<(), StoreError> {
    let mut client = connect(url).await?;
    let failed = |error: tokio_postgres::Error| StoreError::Open { place: place(url), cause: describe(&error) };
    let transaction = client.transaction().await.map_err(failed)?;
    let free = take(&transaction, table, run).await.map_err(failed)?;
    if !free {
        let cause = format!(
            "the table {} is there already and was not made by soakd; give the target a database of its own",
            quote(&table.name)
        );
        return Err(StoreError::Open { place: place(url), cause });
    }
    transaction.commit().await.map_err(failed)
}

/// Returns false if the table is somebody else's.
async fn take(transaction: &Transaction<'_>, table: &TableSpec, run: &str) -> Result<bool, tokio_postgres::Error> {
    let name = quote(&table.name);
    transaction
        .batch_execute(
            "SELECT pg_advisory_xact_lock(7310011); \
             CREATE TABLE IF NOT EXISTS soakd_run (one integer PRIMARY KEY CHECK (one = 1), run text NOT NULL)",
        )
        .await?;
    let owner = transaction.query_opt("SELECT run FROM soakd_run", &[]).await?;
    if owner.is_some_and(|row| row.get::<_, &str>(0) == run) {
        return Ok(true);
    }
    let there = "SELECT to_regclass($1) IS NOT NULL, to_regclass('soakd_sequence') IS NOT NULL";
    let row = transaction.query_one(there, &[&name]).await?;
    let (table_there, ours): (bool, bool) = (row.get(0), row.get(1));
    if table_there && !ours {
        return Ok(false);
    }
    transaction.batch_execute(&format!("DROP TABLE IF EXISTS {name}, {SIDE_TABLES}")).await?;
    let insert = "INSERT INTO soakd_run VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET run = $1";
    transaction.execute(insert, &[&run]).await?;
    Ok(true)
}
