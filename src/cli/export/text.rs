//! JSON and CSV: texts that are written as the rows come.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::table::{Cell, Column, Shape, Sink};

/// Format number of exports.
const FORMAT: u32 = 1;

/// Writes one JSON document with a list of objects for each table.
pub(super) struct Json<W> {
    out: W,
    columns: Vec<Column>,
    rows: u64,
}

impl<W: Write> Json<W> {
    /// Begins the document.
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        write!(out, "{{\"format\":{FORMAT},\"soakd\":{}", Value::from(env!("CARGO_PKG_VERSION")))?;
        Ok(Self { out, columns: Vec::new(), rows: 0 })
    }
}

impl<W: Write> Sink for Json<W> {
    fn begin(&mut self, shape: &Shape) -> io::Result<()> {
        self.columns.clone_from(&shape.columns);
        self.rows = 0;
        write!(self.out, ",\n\"{}\":[", shape.name)
    }

    fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        self.out.write_all(if self.rows == 0 { b"\n" } else { b",\n" })?;
        self.rows += 1;
        for (at, (column, cell)) in self.columns.iter().zip(cells).enumerate() {
            let value = match cell {
                Cell::Null => Value::Null,
                Cell::Integer(n) => (*n).into(),
                Cell::Real(x) => (*x).into(),
                Cell::Text(text) => text.as_str().into(),
                Cell::Boolean(is) => (*is).into(),
            };
            write!(self.out, "{}\"{}\":{value}", if at == 0 { '{' } else { ',' }, column.name)?;
        }
        self.out.write_all(b"}")
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.write_all(b"]")
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.write_all(b"}\n")?;
        self.out.flush()
    }
}

/// Writes one CSV file for each table into a directory; the first line has the names, and no value is an empty one.
pub(super) struct Csv {
    dir: PathBuf,
    table: Option<csv::Writer<BufWriter<File>>>,
}

impl Csv {
    /// Writes into a directory that is there.
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), table: None }
    }

    fn record(&mut self, fields: impl Iterator<Item = String>) -> io::Result<()> {
        match &mut self.table {
            Some(table) => table.write_record(fields.map(String::into_bytes)).map_err(plain),
            None => Ok(()),
        }
    }
}

impl Sink for Csv {
    fn begin(&mut self, shape: &Shape) -> io::Result<()> {
        let file = File::create(self.dir.join(format!("{}.csv", shape.name)))?;
        self.table = Some(csv::Writer::from_writer(BufWriter::new(file)));
        self.record(shape.columns.iter().map(|column| column.name.to_owned()))
    }

    fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        self.record(cells.iter().map(|cell| match cell {
            Cell::Null => String::new(),
            Cell::Integer(n) => n.to_string(),
            // The shortest text that reads as the same number, as in JSON.
            Cell::Real(x) => Value::from(*x).to_string(),
            Cell::Text(text) => text.clone(),
            Cell::Boolean(is) => is.to_string(),
        }))
    }

    fn end(&mut self) -> io::Result<()> {
        match self.table.take() {
            Some(mut table) => table.flush(),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns what the system said, without the wrapping of the CSV crate.
fn plain(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
