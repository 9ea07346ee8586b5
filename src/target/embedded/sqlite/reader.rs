//! Everything that only reads: pulls, digests, row lists, administration queries.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, OptionalExtension, Row, Rows, params};
use tokio::sync::Semaphore;

use super::super::proto::Batch;
use super::super::token::{TokenError, judge};
use super::super::{Identity, JsonRows, Page, Pull, RowList, StoreError, now_ms};
use super::clients::{FORGET_AFTER_MS, group_of};
use super::schema::Layout;
use super::{cell_of, open_reader};
use crate::model::digest::{RowHasher, TableDigest, bucket_of};
use crate::model::ids::PROBE_PREFIX;
use crate::model::value::Cell;

/// Connections that may read at the same time.
const READERS: usize = 4;
/// Limits of one administration answer.
const MAX_SQL_ROWS: usize = 10_000;
const MAX_SQL_BYTES: usize = 8 << 20;

/// A few reading connections, opened when they are needed.
pub(super) struct Readers {
    path: PathBuf,
    layout: Arc<Layout>,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    pub(super) fn new(path: &Path, layout: Arc<Layout>) -> Self {
        Self { path: path.to_owned(), layout, idle: Mutex::default(), permits: Semaphore::new(READERS) }
    }

    pub(super) fn rls(&self) -> bool {
        self.layout.rls
    }

    /// Runs `work` on an idle connection, in one read transaction.
    pub(super) async fn run<T: Send + 'static>(
        readers: Arc<Self>,
        work: impl FnOnce(&Connection, &Layout) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pool = Arc::clone(&readers);
        let _permit = pool.permits.acquire().await.map_err(|_| StoreError::Closed)?;
        let done = tokio::task::spawn_blocking(move || {
            let idle = readers.idle.lock().map_err(|_| StoreError::Closed)?.pop();
            let connection = match idle {
                Some(connection) => connection,
                None => open_reader(&readers.path)?,
            };
            connection.prepare_cached("BEGIN")?.execute([])?;
            let result = work(&connection, &readers.layout);
            connection.prepare_cached("COMMIT")?.execute([])?;
            readers.idle.lock().map_err(|_| StoreError::Closed)?.push(connection);
            result
        });
        done.await.map_err(|error| StoreError::Failed(error.to_string()))?
    }
}

/// Reads one page of changes: live rows and tombstones merged by their sequence numbers.
pub(super) fn pull(connection: &Connection, layout: &Layout, pull: &Pull) -> Result<Page, StoreError> {
    let group = group_of(&pull.identity, layout.rls);
    let everything = !layout.rls || pull.identity == Identity::Admin;
    let last: i64 = connection.prepare_cached("SELECT seq FROM soakd_sequence")?.query_row([], |row| row.get(0))?;
    let floor: i64 = connection
        .prepare_cached("SELECT coalesce(max(floor), 0) FROM soakd_floor WHERE ?1 OR owner = ?2")?
        .query_row(params![everything, group], |row| row.get(0))?;
    let known: Option<(i64, bool)> = connection
        .prepare_cached("SELECT id, pulled >= 0 AND seen_ms > ?3 FROM soakd_client WHERE owner = ?1 AND client = ?2")?
        .query_row(params![group, &pull.client, now_ms() - FORGET_AFTER_MS], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    // A client that is being remembered held back whatever it still needs, even in the middle of its first pull; of any
    // other one nobody knows what it missed. A watermark from the future belongs to another life of this store.
    let remembered = known.is_some_and(|(_, pulls)| pulls);
    if (!remembered && pull.after > 0 && pull.after < floor as u64) || pull.after > last as u64 {
        return Ok(Page { reset: true, ..Page::default() });
    }
    let origin = known.filter(|_| !pull.full).map_or(-1, |(id, _)| id);
    let (live, dead) = if everything {
        (&layout.live_after_all, &layout.tombstones_after_all)
    } else {
        (&layout.live_after, &layout.tombstones_after)
    };
    let (mut live, mut dead) = (connection.prepare_cached(live)?, connection.prepare_cached(dead)?);
    let after = pull.after as i64;
    let (live, dead) = if everything {
        (live.query(params![after, origin])?, dead.query(params![after, origin])?)
    } else {
        (live.query(params![after, origin, group])?, dead.query(params![after, origin, group])?)
    };
    merge(layout, live, dead, pull.limit_bytes, last as u64)
}

fn merge(layout: &Layout, mut live: Rows<'_>, mut dead: Rows<'_>, limit: usize, last: u64) -> Result<Page, StoreError> {
    let width = layout.spec.columns.len();
    let mut page = Page { next: last, ..Page::default() };
    let seq_at = |row: &Row<'_>, index: usize| row.get::<_, i64>(index).map(|seq| seq as u64);
    let mut live_row = live.next()?;
    let mut dead_row = dead.next()?;
    loop {
        let live_seq = live_row.map(|row| seq_at(row, width)).transpose()?;
        let dead_seq = dead_row.map(|row| seq_at(row, 1)).transpose()?;
        let (seq, row) = match (live_seq, dead_seq) {
            (None, None) => return Ok(page),
            (Some(seq), other) if other.is_none_or(|other| seq < other) => (seq, live_row),
            (_, Some(seq)) => (seq, dead_row),
            (Some(seq), None) => (seq, live_row),
        };
        let Some(row) = row else { return Ok(page) };
        if page.batch.size() >= limit {
            page.more = true;
            return Ok(page);
        }
        if live_seq == Some(seq) && dead_seq != Some(seq) {
            add_row(&mut page.batch, row, width, layout.spec.key)?;
            page.next = seq;
            live_row = live.next()?;
        } else {
            page.batch.delete(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?);
            page.next = seq;
            dead_row = dead.next()?;
        }
        // The page ends at the watermark unless it is cut.
        if live_row.is_none() && dead_row.is_none() {
            page.next = last;
        }
    }
}

fn add_row(batch: &mut Batch, row: &Row<'_>, width: usize, key: usize) -> Result<(), StoreError> {
    let key = row.get_ref(key)?.as_str().map_err(rusqlite::Error::from)?;
    let mut cells = [Cell::Null; 32];
    if width <= cells.len() {
        for (i, cell) in cells[..width].iter_mut().enumerate() {
            *cell = cell_of(row.get_ref(i)?);
        }
        batch.upsert(key, cells[..width].iter().copied());
    } else {
        let cells = (0..width).map(|i| row.get_ref(i).map(cell_of)).collect::<Result<Vec<_>, _>>()?;
        batch.upsert(key, cells.into_iter());
    }
    Ok(())
}

/// Calls `visit` with the key and the cells of every row that belongs to the content.
fn scan(
    connection: &Connection,
    layout: &Layout,
    owner: Option<&str>,
    mut visit: impl FnMut(&str, &[Cell<'_>]) -> bool,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(&layout.scan_of(owner.is_some()))?;
    let mut rows = match owner {
        Some(owner) => statement.query([owner])?,
        None => statement.query([])?,
    };
    let width = layout.spec.columns.len();
    while let Some(row) = rows.next()? {
        let cells = (0..width).map(|i| row.get_ref(i).map(cell_of)).collect::<Result<Vec<_>, _>>()?;
        let Cell::Text(key) = cells[layout.spec.key] else { continue };
        if !key.starts_with(PROBE_PREFIX) && !visit(key, &cells) {
            break;
        }
    }
    Ok(())
}

/// Computes a digest.
pub(super) fn digest(connection: &Connection, layout: &Layout, owner: Option<&str>) -> Result<TableDigest, StoreError> {
    let (mut digest, mut hasher) = (TableDigest::default(), RowHasher::default());
    scan(connection, layout, owner, |key, cells| {
        digest.add(key, hasher.hash(cells.iter().copied()));
        true
    })?;
    Ok(digest)
}

/// Lists rows of some buckets.
pub(super) fn rows(
    connection: &Connection,
    layout: &Layout,
    owner: Option<&str>,
    buckets: &[usize],
    limit: usize,
) -> Result<RowList, StoreError> {
    let wanted: HashSet<usize> = buckets.iter().copied().collect();
    let mut list = RowList::default();
    scan(connection, layout, owner, |key, cells| {
        if wanted.is_empty() || wanted.contains(&bucket_of(key)) {
            list.truncated = list.rows.len() >= limit;
            if !list.truncated {
                list.rows.push(cells.iter().map(|cell| cell.to_value()).collect());
            }
        }
        !list.truncated
    })?;
    Ok(list)
}

/// Looks a token up.
pub(super) fn find_token(connection: &Connection, hash: &[u8; 32]) -> Result<Result<String, TokenError>, StoreError> {
    let found = connection
        .prepare_cached("SELECT user_id, expires_ms, revoked FROM soakd_token WHERE hash = ?1")?
        .query_row([hash], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(found.map_or(Err(TokenError::Garbage), |(user, expires, revoked)| judge(user, expires, revoked, now_ms())))
}

/// Runs a statement that only reads; nothing when it would write.
pub(super) fn read_only_sql(connection: &Connection, sql: &str) -> Result<Option<JsonRows>, StoreError> {
    match connection.prepare(sql) {
        Ok(statement) if !statement.readonly() => Ok(None),
        // It may stand on something that only the writer can see or do: it has the last word.
        Err(_) => Ok(None),
        Ok(_) => run_sql(connection, sql).map(Some),
    }
}

/// Runs one statement and returns its rows as JSON.
pub(super) fn run_sql(connection: &Connection, sql: &str) -> Result<JsonRows, StoreError> {
    let bad = |error: rusqlite::Error| StoreError::BadRequest(error.to_string());
    let mut statement = connection.prepare(sql).map_err(bad)?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement.query([]).map_err(bad)?;
    let (mut list, mut size) = (JsonRows::new(), 0);
    while let Some(row) = rows.next().map_err(bad)? {
        let mut object = serde_json::Map::new();
        for (i, name) in names.iter().enumerate() {
            let value = json(cell_of(row.get_ref(i)?));
            size += name.len() + value.as_str().map_or(8, str::len);
            object.insert(name.clone(), value);
        }
        if list.len() >= MAX_SQL_ROWS || size > MAX_SQL_BYTES {
            return Err(StoreError::BadRequest(format!(
                "the answer has more than {MAX_SQL_ROWS} rows or {MAX_SQL_BYTES} bytes: ask for less"
            )));
        }
        list.push(object);
    }
    Ok(list)
}

fn json(cell: Cell<'_>) -> serde_json::Value {
    match cell {
        Cell::Null => serde_json::Value::Null,
        Cell::Int(n) => n.into(),
        Cell::Real(x) => x.into(),
        Cell::Text(text) => text.into(),
        Cell::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
    }
}
