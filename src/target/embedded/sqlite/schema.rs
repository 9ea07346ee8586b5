//! The SQLite store's tables and statements, made from the synced table's columns.

use rusqlite::Connection;

use crate::model::schema::{ColumnKind, TableSpec, quote};

/// Everything that depends on the synced table.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) spec: TableSpec,
    pub(super) rls: bool,
    pub(super) create: String,
    /// Inserts a row or replaces it; with row-level security only when its owner stays.
    pub(super) upsert_same_owner: String,
    /// Inserts a row or replaces it, whoever owns it.
    pub(super) upsert_any: String,
    /// Replaces a row that is there; with row-level security only when its owner stays.
    pub(super) update_same_owner: String,
    pub(super) owner_of: String,
    pub(super) delete_same_owner: String,
    pub(super) delete_any: String,
    pub(super) live_after: String,
    pub(super) live_after_all: String,
    pub(super) tombstones_after: String,
    pub(super) tombstones_after_all: String,
    pub(super) scan: String,
    pub(super) holdings: String,
}

const SIDE_TABLES: &str = "
CREATE TABLE IF NOT EXISTS soakd_tombstone (owner TEXT NOT NULL, seq INTEGER NOT NULL, key TEXT NOT NULL, origin INTEGER NOT NULL, PRIMARY KEY (owner, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS soakd_client (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, client TEXT NOT NULL, pulled INTEGER NOT NULL, seen_ms INTEGER NOT NULL, batch INTEGER NOT NULL, reply BLOB, UNIQUE (owner, client));
CREATE TABLE IF NOT EXISTS soakd_floor (owner TEXT PRIMARY KEY, floor INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS soakd_sequence (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS soakd_token (hash BLOB PRIMARY KEY, user_id TEXT NOT NULL, name TEXT NOT NULL, expires_ms INTEGER, revoked INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
INSERT OR IGNORE INTO soakd_sequence VALUES (1, 0);
";

impl Layout {
    /// Builds the statements.
    pub(super) fn new(spec: &TableSpec, rls: bool) -> Self {
        let (table, key, owner) = (quote(&spec.name), spec.quoted(spec.key), spec.quoted(spec.owner));
        let (columns, width) = (spec.column_list(), spec.columns.len());
        let index = quote(&format!("soakd_pull_{}", spec.name));
        let group = if rls { format!("{owner}, ") } else { String::new() };
        let definitions: Vec<String> = (0..width).map(|i| definition(spec, i)).collect();
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {table} ({}, _seq INTEGER NOT NULL DEFAULT 0, _origin INTEGER NOT NULL DEFAULT 0, \
             PRIMARY KEY ({key})) WITHOUT ROWID; \
             CREATE INDEX IF NOT EXISTS {index} ON {table} ({group}_seq, _origin); {SIDE_TABLES}",
            definitions.join(", ")
        );
        let marks = (1..=width + 2).map(|i| format!("?{i}")).collect::<Vec<_>>().join(", ");
        let sets: Vec<String> =
            (0..width).filter(|i| *i != spec.key).map(|i| format!("{0} = excluded.{0}", spec.quoted(i))).collect();
        let upsert_any = format!(
            "INSERT INTO {table} ({columns}, _seq, _origin) VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {}, \
             _seq = excluded._seq, _origin = excluded._origin",
            sets.join(", ")
        );
        let new_values: Vec<String> =
            (0..width).filter(|i| *i != spec.key).map(|i| format!("{} = ?{}", spec.quoted(i), i + 1)).collect();
        let stays = if rls { format!(" AND {owner} = ?{}", spec.owner + 1) } else { String::new() };
        let update_same_owner = format!(
            "UPDATE {table} SET {}, _seq = ?{}, _origin = ?{} WHERE {key} = ?{}{stays}",
            new_values.join(", "),
            width + 1,
            width + 2,
            spec.key + 1
        );
        let same_owner = if rls { format!(" WHERE {table}.{owner} = excluded.{owner}") } else { String::new() };
        let row_columns = (0..width).map(|i| format!("r.{}", spec.quoted(i))).collect::<Vec<_>>().join(", ");
        // The index alone says which rows are wanted, so that a client's own rows are skipped without being read.
        let live = |condition: &str| {
            format!(
                "SELECT {row_columns}, i._seq FROM {table} AS i INDEXED BY {index} CROSS JOIN {table} AS r ON r.{key} = i.{key} \
                 WHERE {condition} i._seq > ?1 AND i._origin <> ?2 ORDER BY i._seq"
            )
        };
        // A row that lives again under the same owner makes its old tombstone void.
        let tombstones = |condition: &str, alive: &str| {
            format!(
                "SELECT d.key, d.seq FROM soakd_tombstone AS d WHERE {condition} d.seq > ?1 AND d.origin <> ?2 \
                 AND NOT EXISTS (SELECT 1 FROM {table} AS r WHERE r.{key} = d.key{alive}) ORDER BY d.seq"
            )
        };
        let all_rows = if rls { live("").replace(&format!(" INDEXED BY {index}"), "") } else { live("") };
        Self {
            create,
            upsert_same_owner: format!("{upsert_any}{same_owner}"),
            upsert_any,
            update_same_owner,
            owner_of: format!("SELECT {owner} FROM {table} WHERE {key} = ?1"),
            delete_same_owner: format!("DELETE FROM {table} WHERE {key} = ?1 AND {owner} = ?2"),
            delete_any: format!("DELETE FROM {table} WHERE {key} = ?1"),
            live_after: live(&format!("i.{owner} = ?3 AND")),
            live_after_all: all_rows,
            tombstones_after: tombstones("d.owner = ?3 AND", &format!(" AND r.{owner} = ?3")),
            tombstones_after_all: tombstones(if rls { "" } else { "d.owner = '' AND" }, ""),
            scan: format!("SELECT {columns} FROM {table}"),
            holdings: format!(
                "SELECT (SELECT count(*) FROM {table}), (SELECT count(*) FROM soakd_tombstone), \
                 (SELECT count(*) FROM soakd_client) + (SELECT count(*) FROM soakd_token) + (SELECT count(*) FROM soakd_floor)"
            ),
            spec: spec.clone(),
            rls,
        }
    }

    /// Creates what is missing.
    pub(super) fn ensure(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute_batch(&self.create)
    }

    /// Returns the condition for one owner's rows.
    pub(super) fn scan_of(&self, owner: bool) -> String {
        if owner {
            format!("{} WHERE {} = ?1", self.scan, self.spec.quoted(self.spec.owner))
        } else {
            self.scan.clone()
        }
    }
}

/// Returns the definition of a column: its storage kind, so that a value keeps its type.
fn definition(spec: &TableSpec, index: usize) -> String {
    let column = &spec.columns[index];
    let kind = match column.kind {
        ColumnKind::Text => "TEXT",
        ColumnKind::Integer => "INTEGER",
        ColumnKind::Real => "REAL",
        ColumnKind::Blob => "BLOB",
    };
    format!("{} {kind}{}", quote(&column.name), if column.not_null { " NOT NULL" } else { "" })
}
