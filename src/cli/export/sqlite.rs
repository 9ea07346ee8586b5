//! SQLite: one database with all tables. What the columns are stands in the text of the tables, where `.schema` shows it, and
//! in the table `columns`.

use std::io;
use std::path::Path;

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, ToSql, params_from_iter};

use super::table::{Cell, Kind, Shape, Sink};

/// Kept as `PRAGMA user_version`.
const FORMAT: u32 = 1;

/// Writes a database.
pub(super) struct Sqlite {
    database: Connection,
    insert: String,
}

impl Sqlite {
    /// Begins a database in a file that is not there yet.
    pub(super) fn new(file: &Path) -> io::Result<Self> {
        let database = Connection::open(file).map_err(plain)?;
        // Nobody sees the file before it is whole, so that a rollback is never needed.
        database
            .execute_batch(&format!(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA user_version = {FORMAT}; BEGIN"
            ))
            .map_err(plain)?;
        Ok(Self { database, insert: String::new() })
    }
}

impl Sink for Sqlite {
    fn begin(&mut self, shape: &Shape) -> io::Result<()> {
        let mut sql = format!("CREATE TABLE {} (", shape.name);
        let last = shape.columns.len().saturating_sub(1);
        for (at, column) in shape.columns.iter().enumerate() {
            let kind = match column.kind {
                Kind::Integer | Kind::Time | Kind::Boolean => "INTEGER",
                Kind::Real => "REAL",
                Kind::Text => "TEXT",
            };
            let null = if column.may_be_null { "" } else { " NOT NULL" };
            let comma = if at == last { "" } else { "," };
            sql.push_str(&format!("\n  {} {kind}{null}{comma} -- {}", column.name, column.doc));
        }
        sql.push_str("\n)");
        self.database.execute_batch(&sql).map_err(plain)?;
        let marks = vec!["?"; shape.columns.len()].join(", ");
        self.insert = format!("INSERT INTO {} VALUES ({marks})", shape.name);
        Ok(())
    }

    fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        let mut insert = self.database.prepare_cached(&self.insert).map_err(plain)?;
        insert.execute(params_from_iter(cells)).map(drop).map_err(plain)
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.database.execute_batch("COMMIT").map_err(plain)?;
        self.database.flush_prepared_statement_cache();
        Ok(())
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Null => rusqlite::types::Null.to_sql(),
            Self::Integer(n) => n.to_sql(),
            Self::Real(x) => x.to_sql(),
            Self::Text(text) => text.to_sql(),
            Self::Boolean(is) => is.to_sql(),
        }
    }
}

/// Returns an error of SQLite as one of the system where it is one.
fn plain(error: rusqlite::Error) -> io::Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => io::Error::new(io::ErrorKind::StorageFull, error),
        _ => io::Error::other(error),
    }
}
