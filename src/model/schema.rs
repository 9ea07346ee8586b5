//! The synced table as soakd sees it: its columns, and which of them have a part to play.

use serde::{Deserialize, Serialize};

/// Storage kind of a column, after SQLite's affinity rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    Text,
    Integer,
    Real,
    Blob,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    pub name: String,
    /// The type as declared, for the server's own table.
    pub declared: String,
    pub kind: ColumnKind,
    /// Position in the primary key, from 1; 0 when not part of it.
    pub pk: u32,
    pub not_null: bool,
}

/// The table that a run syncs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    pub name: String,
    /// The `CREATE TABLE` statement, as the user wrote it.
    pub ddl: String,
    pub columns: Vec<Column>,
    /// Index of the text primary key column that holds the row key.
    pub key: usize,
    /// Index of the column that names a row's owner.
    pub owner: usize,
    /// Index of the text column that soakd stamps with the write that made the content.
    pub stamp: usize,
    /// Index of the integer column that every update increments.
    pub counter: usize,
}

/// The table of the hand-made test.
pub const SEED_DDL: &str =
    "CREATE TABLE test_sync (id TEXT PRIMARY KEY NOT NULL, user_id TEXT NOT NULL DEFAULT '', name TEXT, value INTEGER)";

impl TableSpec {
    /// Returns the seed's table.
    pub fn seed() -> Self {
        let column = |name: &str, declared: &str, kind, pk, not_null| Column {
            name: name.into(),
            declared: declared.into(),
            kind,
            pk,
            not_null,
        };
        Self {
            name: "test_sync".into(),
            ddl: SEED_DDL.into(),
            columns: vec![
                column("id", "TEXT", ColumnKind::Text, 1, true),
                column("user_id", "TEXT", ColumnKind::Text, 0, true),
                column("name", "TEXT", ColumnKind::Text, 0, false),
                column("value", "INTEGER", ColumnKind::Integer, 0, false),
            ],
            key: 0,
            owner: 1,
            stamp: 2,
            counter: 3,
        }
    }

    /// Returns the name of column `index`, quoted for SQL.
    pub fn quoted(&self, index: usize) -> String {
        quote(&self.columns[index].name)
    }

    /// Returns all column names, quoted and comma-separated, in table order.
    pub fn column_list(&self) -> String {
        (0..self.columns.len()).map(|i| self.quoted(i)).collect::<Vec<_>>().join(", ")
    }
}

/// Quotes an SQL identifier.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
