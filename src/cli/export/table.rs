//! What an export is made of: tables of documented columns, and the sinks that write them. Each column says how its value is
//! had from a row, so that names, values and documentation cannot drift apart.

use std::io;

use serde::Serialize;

use crate::observe::report::words::word;

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    /// Milliseconds since 1970 in UTC.
    Time,
    Real,
    Text,
    Boolean,
}

impl Kind {
    /// Returns the word for it in the documentation.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Time => "time",
            Self::Real => "real",
            Self::Text => "text",
            Self::Boolean => "boolean",
        }
    }
}

/// One value; times are integers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Boolean(bool),
}

impl Cell {
    /// Makes the word that a value is written as in JSON.
    pub(super) fn word(value: impl Serialize) -> Self {
        Self::Text(word(&value))
    }

    /// Makes a text of a list or a map: its JSON.
    pub(super) fn json(value: &impl Serialize) -> Self {
        Self::Text(serde_json::to_string(value).unwrap_or_default())
    }

    /// Returns true if a column of this kind may hold it.
    fn suits(&self, kind: Kind, may_be_null: bool) -> bool {
        match self {
            Self::Null => may_be_null,
            Self::Integer(_) => matches!(kind, Kind::Integer | Kind::Time),
            Self::Real(_) => kind == Kind::Real,
            Self::Text(_) => kind == Kind::Text,
            Self::Boolean(_) => kind == Kind::Boolean,
        }
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u64> for Cell {
    /// Larger numbers than formats have room for become the largest one.
    fn from(value: u64) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Cell {
    /// What is no number is no value.
    fn from(value: f64) -> Self {
        if value.is_finite() { Self::Real(value) } else { Self::Null }
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&String> for Cell {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A column as formats and documentation need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) may_be_null: bool,
    pub(super) doc: &'static str,
}

/// A column of rows of a type, and how its value is had from one.
pub(super) struct Of<T> {
    column: Column,
    get: fn(&T) -> Cell,
}

/// Makes a column that always has a value.
pub(super) const fn column<T>(name: &'static str, kind: Kind, doc: &'static str, get: fn(&T) -> Cell) -> Of<T> {
    Of { column: Column { name, kind, may_be_null: false, doc }, get }
}

/// Makes a column that may be without a value.
pub(super) const fn maybe<T>(name: &'static str, kind: Kind, doc: &'static str, get: fn(&T) -> Cell) -> Of<T> {
    Of { column: Column { name, kind, may_be_null: true, doc }, get }
}

/// A table of rows of a type.
pub(super) struct Table<T: 'static> {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) columns: &'static [Of<T>],
}

/// A table as formats and documentation need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) columns: Vec<Column>,
}

impl<T> Table<T> {
    /// Returns the table without its rows.
    pub(super) fn shape(&self) -> Shape {
        Shape { name: self.name, doc: self.doc, columns: self.columns.iter().map(|of| of.column).collect() }
    }

    /// Returns the values of a row, as the columns say that they are; anything else is a mistake of soakd's.
    fn row(&self, of: &T) -> io::Result<Vec<Cell>> {
        let cells: Vec<Cell> = self.columns.iter().map(|column| (column.get)(of)).collect();
        match self.columns.iter().zip(&cells).find(|(of, cell)| !cell.suits(of.column.kind, of.column.may_be_null)) {
            None => Ok(cells),
            Some((of, cell)) => {
                Err(io::Error::other(format!("column {}.{} cannot hold {cell:?}", self.name, of.column.name)))
            }
        }
    }
}

/// Writes tables, one after another, in one format.
pub(super) trait Sink {
    /// Begins a table.
    fn begin(&mut self, shape: &Shape) -> io::Result<()>;
    /// Adds a row to the table that was begun last.
    fn row(&mut self, cells: &[Cell]) -> io::Result<()>;
    /// Ends the table.
    fn end(&mut self) -> io::Result<()>;
    /// Ends the export; nothing is kept back after it.
    fn finish(&mut self) -> io::Result<()>;
}

/// Why an export could not be made.
#[derive(Debug)]
pub(super) enum Failed {
    /// The state could not be read.
    Read(anyhow::Error),
    /// The output could not be written.
    Write(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self::Read(error)
    }
}

/// Writes a whole table.
pub(super) fn write<T: 'static>(
    sink: &mut dyn Sink,
    table: &Table<T>,
    rows: impl IntoIterator<Item = anyhow::Result<T>>,
) -> Result<(), Failed> {
    sink.begin(&table.shape())?;
    for row in rows {
        sink.row(&table.row(&row?)?)?;
    }
    Ok(sink.end()?)
}

/// Returns the documentation of tables as Markdown.
#[cfg(test)]
pub(super) fn documentation(shapes: &[Shape]) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for shape in shapes {
        let _ =
            write!(text, "\n### {}\n\n{}\n\n| column | type | what it is |\n|---|---|---|\n", shape.name, shape.doc);
        for column in &shape.columns {
            let null = if column.may_be_null { " or none" } else { "" };
            let _ = writeln!(text, "| `{}` | {}{null} | {} |", column.name, column.kind.word(), column.doc);
        }
    }
    text
}
