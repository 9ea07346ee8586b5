//! Reads a replica's whole content once: digest, states as runs, and rows that must not be there.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::protocol::Scan;
use crate::checker::strange::StrangeRow;
use crate::model::content::{self, Reading, Stamp};
use crate::model::digest::{RowHasher, TableDigest};
use crate::model::ids::{PROBE_PREFIX, RowClass};
use crate::model::journal::{StateRun, Version};
use crate::model::schema::TableSpec;
use crate::model::value::{Cell, Value};
use crate::target::embedded::cell_of;

/// Strange rows that one scan lists.
const STRANGE_MAX: usize = 100;

/// Collects states row by row and merges neighbours.
#[derive(Default)]
pub struct RunBuilder {
    runs: Vec<StateRun>,
}

impl RunBuilder {
    /// Adds one row.
    pub fn push(&mut self, class: RowClass, row: u32, version: Version) {
        if let Some(last) = self.runs.last_mut()
            && last.class == class
            && last.version == version
            && last.last.checked_add(1) == Some(row)
        {
            last.last = row;
            return;
        }
        self.runs.push(StateRun { class, first: row, last: row, version });
    }

    /// Returns the runs by class and row, neighbours merged.
    pub fn finish(mut self) -> Vec<StateRun> {
        self.runs.sort_unstable_by_key(|run| (run.class, run.first));
        let mut merged: Vec<StateRun> = Vec::with_capacity(self.runs.len().min(1024));
        for run in self.runs {
            match merged.last_mut() {
                Some(last)
                    if last.class == run.class
                        && last.version == run.version
                        && last.last.checked_add(1) == Some(run.first) =>
                {
                    last.last = run.last;
                }
                _ => merged.push(run),
            }
        }
        merged
    }
}

/// Reads everything: what verification compares.
pub fn full(conn: &Connection, table: &TableSpec, seed: u64, owner: Option<&str>) -> rusqlite::Result<Scan> {
    let mut hasher = RowHasher::default();
    let mut digest = TableDigest::default();
    let mut builder = RunBuilder::default();
    let (mut strange, mut strange_total) = (Vec::new(), 0);
    let sql = format!("SELECT {} FROM {}", table.column_list(), crate::model::schema::quote(&table.name));
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let columns = table.columns.len();
    while let Some(row) = rows.next()? {
        let mut cells = Vec::with_capacity(columns);
        for i in 0..columns {
            cells.push(cell_of(row.get_ref(i)?));
        }
        let reading = content::read(table, seed, &cells);
        if reading == Reading::Probe {
            continue;
        }
        if let Cell::Text(key) = cells[table.key] {
            digest.add(key, hasher.hash(cells.iter().copied()));
        }
        let foreign = owner.is_some_and(|owner| cells[table.owner] != Cell::Text(owner));
        match reading {
            Reading::Valid { key, stamp, depth } if !foreign => {
                builder.push(key.class(), key.row, Version { stamp, depth });
            }
            _ => {
                strange_total += 1;
                if strange.len() < STRANGE_MAX {
                    strange.push(StrangeRow::from_cells(table, &cells, foreign));
                }
            }
        }
    }
    Ok(Scan { digest, states: builder.finish(), strange, strange_total })
}

/// Reads only the states: what a write step is about to change.
pub fn states(conn: &Connection, table: &TableSpec, seed: u64) -> rusqlite::Result<Vec<StateRun>> {
    let mut builder = RunBuilder::default();
    let sql = format!(
        "SELECT {}, {}, {} FROM {}",
        table.quoted(table.key),
        table.quoted(table.stamp),
        table.quoted(table.counter),
        crate::model::schema::quote(&table.name)
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    // Neighbouring rows carry the same stamp: its text is read once per change.
    let mut last_stamp: (String, Option<Stamp>) = (String::new(), None);
    while let Some(row) = rows.next()? {
        let (ValueRef::Text(key), ValueRef::Text(stamp), ValueRef::Integer(counter)) =
            (row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?)
        else {
            continue;
        };
        let Ok(key_text) = std::str::from_utf8(key) else { continue };
        if last_stamp.0.as_bytes() != stamp {
            let text = String::from_utf8_lossy(stamp).into_owned();
            let parsed = Stamp::parse(&text);
            last_stamp = (text, parsed);
        }
        let (Some(key), Some(stamp)) = (crate::model::ids::RowKey::parse(key_text), last_stamp.1) else { continue };
        let depth = counter.wrapping_sub(content::base(seed, key_text));
        if !content::is_depth(depth) {
            // Not a row of ours under this key: it has no history, and the full scan names it.
            continue;
        }
        builder.push(key.class(), key.row, Version { stamp, depth });
    }
    Ok(builder.finish())
}

/// Reads the rows of some buckets, or all probe and foreign rows when `buckets` is `None`.
pub fn rows(
    conn: &Connection,
    table: &TableSpec,
    limit: usize,
    wanted: impl Fn(&[Cell<'_>]) -> bool,
) -> rusqlite::Result<(Vec<Vec<Value>>, u64)> {
    let sql = format!("SELECT {} FROM {}", table.column_list(), crate::model::schema::quote(&table.name));
    let mut statement = conn.prepare_cached(&sql)?;
    let mut found = statement.query([])?;
    let (mut out, mut total) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        let mut cells = Vec::with_capacity(table.columns.len());
        for i in 0..table.columns.len() {
            cells.push(cell_of(row.get_ref(i)?));
        }
        if !wanted(&cells) {
            continue;
        }
        total += 1;
        if out.len() < limit {
            out.push(cells.into_iter().map(Cell::to_value).collect());
        }
    }
    Ok((out, total))
}

/// Counts the rows that the sync functions keep for themselves, in the tables that are named as theirs.
pub fn metadata(conn: &Connection) -> rusqlite::Result<u64> {
    let mut tables = conn.prepare_cached(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND (name LIKE 'cloudsync\\_%' ESCAPE '\\' \
         OR name LIKE '%\\_cloudsync' ESCAPE '\\' OR name IN ('soakd_outbox', 'soakd_client_state'))",
    )?;
    let names: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    names.iter().try_fold(0, |sum, name| {
        let sql = format!("SELECT count(*) FROM {}", crate::model::schema::quote(name));
        Ok(sum + conn.query_row(&sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs())
    })
}

/// Returns true for the rows of isolation probes.
pub fn is_probe(table: &TableSpec, cells: &[Cell<'_>]) -> bool {
    matches!(cells[table.key], Cell::Text(key) if key.starts_with(PROBE_PREFIX))
}
