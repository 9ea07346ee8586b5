//! Everything that reads: pulls under the client's role, digests, row lists, administration statements.

use std::collections::HashSet;

use tokio_postgres::{Client, IsolationLevel, Row};

use super::super::{HELD_MAX, Identity, JsonRows, Page, Pull, RowList, StoreError, now_ms};
use super::schema::{Layout, ROLE};
use super::{describe, group_of};
use crate::model::digest::{RowHasher, TableDigest, bucket_of};
use crate::model::ids::PROBE_PREFIX;
use crate::model::schema::ColumnKind;
use crate::model::value::Value;

/// Rows that one page reads of each kind at most.
const PAGE_ROWS: i64 = 20_000;
/// Rows that one administration answer has at most.
const MAX_SQL_ROWS: usize = 10_000;
/// A client that was not seen for this long no longer holds tombstones back.
const FORGET_AFTER_MS: i64 = 7 * 86_400_000;
/// A client that only ever pushed is forgotten after this long.
const FORGET_PUSHER_AFTER_MS: i64 = 3_600_000;
/// Sequence numbers that a group's floor moves at once.
const PRUNE_STEP: i64 = 5_000;

/// Reads one page of changes.
pub(super) async fn pull(client: &mut Client, layout: &Layout, pull: &Pull) -> Result<Page, StoreError> {
    let group = group_of(&pull.identity, layout);
    let everything = layout.rls && pull.identity == Identity::Admin;
    let transaction =
        client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await?;
    let last: i64 = transaction.query_one("SELECT seq FROM soakd_sequence", &[]).await?.get(0);
    let floor = "SELECT coalesce(max(floor), 0) FROM soakd_floor WHERE $1 OR owner = $2";
    let floor: i64 = transaction.query_one(floor, &[&everything, &group]).await?.get(0);
    let after = pull.after as i64;
    let known = "SELECT id, pulled >= 0 AND seen_ms > $3 FROM soakd_client_state WHERE owner = $1 AND client = $2";
    let known = transaction.query_opt(known, &[&group, &pull.client, &(now_ms() - FORGET_AFTER_MS)]).await?;
    // A client that is being remembered held back whatever it still needs, even in the middle of its first pull; of any
    // other one nobody knows what it missed. A watermark from the future belongs to another life of this store.
    let remembered = known.as_ref().is_some_and(|row| row.get(1));
    if (!remembered && after > 0 && after < floor) || after > last {
        return Ok(Page { reset: true, ..Page::default() });
    }
    let origin: i64 = known.filter(|_| !pull.full).map_or(-1, |row| row.get(0));
    let dead_owner = (!everything).then_some(group);
    let dead = transaction.query(&layout.tombstones, &[&after, &origin, &dead_owner, &PAGE_ROWS]).await?;
    let live_owner = match &pull.identity {
        Identity::User(user) if layout.rls => {
            transaction.execute("SELECT set_config('soakd.user_id', $1, true)", &[user]).await?;
            transaction.batch_execute(&format!("SET LOCAL ROLE {ROLE}")).await?;
            Some(user.as_str())
        }
        _ => None,
    };
    let live = transaction.query(&layout.live, &[&after, &origin, &live_owner, &PAGE_ROWS]).await?;
    transaction.commit().await?;
    Ok(merge(layout, &live, &dead, pull.limit_bytes, last as u64))
}

fn merge(layout: &Layout, live: &[Row], dead: &[Row], limit: usize, last: u64) -> Page {
    let width = layout.spec.columns.len();
    let mut changes: Vec<(i64, &Row, bool)> = live.iter().map(|row| (row.get(width), row, true)).collect();
    changes.extend(dead.iter().map(|row| (row.get(1), row, false)));
    changes.sort_by_key(|(seq, ..)| *seq);
    // Behind the end of a list that was cut, the other list alone does not tell the order.
    let end = |rows: &[Row], index: usize| {
        (rows.len() as i64 >= PAGE_ROWS).then(|| rows.last().map_or(0, |row| row.get::<_, i64>(index)))
    };
    let bound = end(live, width).into_iter().chain(end(dead, 1)).min();
    let mut page = Page { next: last, ..Page::default() };
    let mut taken = 0;
    for (seq, row, is_live) in changes {
        if page.batch.size() >= limit || bound.is_some_and(|bound| seq > bound) {
            page.more = true;
            break;
        }
        if is_live {
            let cells = values(layout, row);
            page.batch.upsert(row.get(layout.spec.key), cells.iter().map(Value::cell));
        } else {
            page.batch.delete(row.get(0));
        }
        taken = seq as u64;
    }
    if page.more || bound.is_some() {
        (page.more, page.next) = (true, taken);
    }
    page
}

fn values(layout: &Layout, row: &Row) -> Vec<Value> {
    let columns = layout.spec.columns.iter().enumerate();
    columns
        .map(|(i, column)| match column.kind {
            ColumnKind::Text => row.get::<_, Option<String>>(i).map_or(Value::Null, Value::Text),
            ColumnKind::Integer => row.get::<_, Option<i64>>(i).map_or(Value::Null, Value::Int),
            ColumnKind::Real => row.get::<_, Option<f64>>(i).map_or(Value::Null, Value::Real),
            ColumnKind::Blob => row.get::<_, Option<Vec<u8>>>(i).map_or(Value::Null, Value::Blob),
        })
        .collect()
}

/// Notes how far a client has pulled, and prunes the tombstones that nobody needs any more.
pub(super) async fn note(client: &mut Client, layout: &Layout, pull: &Pull) -> Result<(), StoreError> {
    let group = group_of(&pull.identity, layout);
    // One that starts from zero needs no tombstone up to now: what it will read has not been deleted. One that was
    // forgotten and is behind the floor has missed some, and stays forgotten until it starts from zero.
    let upsert = "INSERT INTO soakd_client_state AS c (owner, client, pulled, seen_ms) \
                  VALUES ($1, $2, CASE WHEN $3::bigint = 0 THEN (SELECT seq FROM soakd_sequence) ELSE $3::bigint END, $4) \
                  ON CONFLICT (owner, client) DO UPDATE SET seen_ms = $4, \
                  pulled = CASE WHEN $3::bigint = 0 AND c.pulled >= 0 THEN c.pulled ELSE greatest(c.pulled, excluded.pulled) END \
                  WHERE c.pulled >= 0 OR $3::bigint = 0 OR $3::bigint >= coalesce((SELECT floor FROM soakd_floor WHERE owner = $1), 0)";
    client.execute(upsert, &[&group, &pull.client, &(pull.after as i64), &now_ms()]).await?;
    let floors = "SELECT coalesce((SELECT min(pulled) FROM soakd_client_state WHERE owner = $1 AND pulled >= 0 AND seen_ms > $2), 0), \
                  coalesce((SELECT floor FROM soakd_floor WHERE owner = $1), 0), \
                  coalesce((SELECT max(pulled) FROM soakd_client_state WHERE owner = $1), 0)";
    let row = client.query_one(floors, &[&group, &(now_ms() - FORGET_AFTER_MS)]).await?;
    let (least, floor, most): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    // A client that is too far behind starts over rather than holding back what all others are done with.
    let bound = most - HELD_MAX as i64;
    let least = least.max(bound);
    if least >= floor + PRUNE_STEP {
        let transaction = client.transaction().await?;
        let forget = "UPDATE soakd_client_state SET pulled = -1 WHERE owner = $1 AND pulled < $2";
        transaction.execute(forget, &[&group, &bound]).await?;
        transaction.execute("DELETE FROM soakd_tombstone WHERE owner = $1 AND seq <= $2", &[&group, &least]).await?;
        let upsert = "INSERT INTO soakd_floor VALUES ($1, $2) ON CONFLICT (owner) DO UPDATE SET floor = $2";
        transaction.execute(upsert, &[&group, &least]).await?;
        let forget = "DELETE FROM soakd_client_state WHERE seen_ms < $1 OR (pulled < 0 AND seen_ms < $2)";
        let now = now_ms();
        transaction.execute(forget, &[&(now - FORGET_AFTER_MS), &(now - FORGET_PUSHER_AFTER_MS)]).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// Calls `visit` with every row that belongs to the content; stops when it says so.
async fn scan(
    client: &mut Client,
    layout: &Layout,
    owner: Option<String>,
    mut visit: impl FnMut(&str, Vec<Value>) -> bool,
) -> Result<(), StoreError> {
    let transaction = client.transaction().await?;
    let portal = transaction.bind(&layout.scan, &[&owner]).await?;
    loop {
        let rows = transaction.query_portal(&portal, 5_000).await?;
        for row in &rows {
            let key: &str = row.get(layout.spec.key);
            if !key.starts_with(PROBE_PREFIX) && !visit(key, values(layout, row)) {
                return Ok(());
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
    }
}

/// Computes a digest.
pub(super) async fn digest(
    client: &mut Client,
    layout: &Layout,
    owner: Option<String>,
) -> Result<TableDigest, StoreError> {
    let (mut digest, mut hasher) = (TableDigest::default(), RowHasher::default());
    scan(client, layout, owner, |key, cells| {
        digest.add(key, hasher.hash(cells.iter().map(Value::cell)));
        true
    })
    .await?;
    Ok(digest)
}

/// Lists rows of some buckets.
pub(super) async fn rows(
    client: &mut Client,
    layout: &Layout,
    owner: Option<String>,
    buckets: &[usize],
    limit: usize,
) -> Result<RowList, StoreError> {
    let wanted: HashSet<usize> = buckets.iter().copied().collect();
    let mut list = RowList::default();
    scan(client, layout, owner, |key, cells| {
        if wanted.is_empty() || wanted.contains(&bucket_of(key)) {
            list.truncated = list.rows.len() >= limit;
            if !list.truncated {
                list.rows.push(cells);
            }
        }
        !list.truncated
    })
    .await?;
    Ok(list)
}

/// Runs one statement as the administrator; queries answer with JSON rows.
pub(super) async fn sql(client: &mut Client, sql: &str) -> Result<JsonRows, StoreError> {
    let bad = |error: tokio_postgres::Error| StoreError::BadRequest(describe(&error));
    let text = sql.trim().trim_end_matches(';');
    let word = text.split_whitespace().next().unwrap_or_default().to_lowercase();
    let transaction = client.transaction().await?;
    if !matches!(word.as_str(), "select" | "with" | "values" | "table") {
        transaction.execute(text, &[]).await.map_err(bad)?;
        transaction.commit().await?;
        return Ok(JsonRows::new());
    }
    let wrapped = format!("SELECT to_jsonb(q) FROM ({text}) AS q LIMIT {}", MAX_SQL_ROWS + 1);
    let rows = transaction.query(&wrapped, &[]).await.map_err(bad)?;
    transaction.commit().await?;
    if rows.len() > MAX_SQL_ROWS {
        return Err(StoreError::BadRequest(format!("the answer has more than {MAX_SQL_ROWS} rows: ask for less")));
    }
    Ok(rows.iter().filter_map(|row| row.get::<_, serde_json::Value>(0).as_object().cloned()).collect())
}
