//! Parquet: one file for each table in a directory, in groups of rows, compressed with Snappy, which every reader knows.

use std::fs::File;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

use super::table::{Cell, Column, Kind, Shape, Sink};

/// A group of rows is written when it has so many of them, or texts of so many bytes.
const GROUP_ROWS: usize = 8192;
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// Writes Parquet files.
pub(super) struct Parquet {
    dir: PathBuf,
    file: Option<SerializedFileWriter<File>>,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    bytes: usize,
}

impl Parquet {
    /// Writes into a directory that is there.
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), file: None, columns: Vec::new(), rows: Vec::new(), bytes: 0 }
    }

    /// Writes the rows that are gathered as one group.
    fn group(&mut self) -> io::Result<()> {
        let rows = mem::take(&mut self.rows);
        self.bytes = 0;
        let Some(file) = self.file.as_mut().filter(|_| !rows.is_empty()) else { return Ok(()) };
        let mut group = file.next_row_group().map_err(plain)?;
        for (at, column) in self.columns.iter().enumerate() {
            let Some(mut writer) = group.next_column().map_err(plain)? else { break };
            write_column(&mut writer, column, &rows, at).map_err(plain)?;
            writer.close().map_err(plain)?;
        }
        group.close().map(drop).map_err(plain)
    }
}

impl Sink for Parquet {
    fn begin(&mut self, shape: &Shape) -> io::Result<()> {
        let docs = shape.columns.iter().map(|column| (column.name, column.doc.into()));
        let docs: serde_json::Map<String, serde_json::Value> = docs.map(|(name, doc)| (name.to_owned(), doc)).collect();
        let told =
            [("soakd.table", shape.doc.to_owned()), ("soakd.columns", serde_json::Value::from(docs).to_string())];
        let told = told.map(|(name, text)| KeyValue::new(name.to_owned(), text));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("soakd ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(told.into()))
            .build();
        let schema = parse_message_type(&schema(shape)).map_err(plain)?;
        let file = File::create(self.dir.join(format!("{}.parquet", shape.name)))?;
        let file = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).map_err(plain)?;
        self.file = Some(file);
        self.columns.clone_from(&shape.columns);
        Ok(())
    }

    fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        let texts = cells.iter().map(|cell| if let Cell::Text(text) = cell { text.len() } else { 0 });
        self.bytes += texts.sum::<usize>();
        self.rows.push(cells.to_vec());
        if self.rows.len() >= GROUP_ROWS || self.bytes >= GROUP_BYTES { self.group() } else { Ok(()) }
    }

    fn end(&mut self) -> io::Result<()> {
        self.group()?;
        match self.file.take() {
            Some(file) => file.close().map(drop).map_err(plain),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the schema of a table as Parquet writes it down.
fn schema(shape: &Shape) -> String {
    let mut text = format!("message {} {{", shape.name);
    for column in &shape.columns {
        let often = if column.may_be_null { "OPTIONAL" } else { "REQUIRED" };
        let (kind, meaning) = match column.kind {
            Kind::Integer => ("INT64", ""),
            Kind::Time => ("INT64", " (TIMESTAMP(MILLIS,true))"),
            Kind::Real => ("DOUBLE", ""),
            Kind::Text => ("BINARY", " (STRING)"),
            Kind::Boolean => ("BOOLEAN", ""),
        };
        text.push_str(&format!(" {often} {kind} {}{meaning};", column.name));
    }
    text + " }"
}

fn write_column(
    writer: &mut SerializedColumnWriter<'_>,
    column: &Column,
    rows: &[Vec<Cell>],
    at: usize,
) -> Result<(), ParquetError> {
    let cells = || rows.iter().map(move |row| &row[at]);
    match column.kind {
        Kind::Integer | Kind::Time => batch::<Int64Type>(writer, column, cells(), |cell| match cell {
            Cell::Integer(n) => Some(*n),
            _ => None,
        }),
        Kind::Real => batch::<DoubleType>(writer, column, cells(), |cell| match cell {
            Cell::Real(x) => Some(*x),
            _ => None,
        }),
        Kind::Text => batch::<ByteArrayType>(writer, column, cells(), |cell| match cell {
            Cell::Text(text) => Some(ByteArray::from(text.as_str())),
            _ => None,
        }),
        Kind::Boolean => batch::<BoolType>(writer, column, cells(), |cell| match cell {
            Cell::Boolean(is) => Some(*is),
            _ => None,
        }),
    }
}

/// Writes the values of one column, and where there are none.
fn batch<'a, T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    column: &Column,
    cells: impl Iterator<Item = &'a Cell>,
    value: fn(&Cell) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let (mut values, mut there) = (Vec::new(), Vec::new());
    for value in cells.map(value) {
        there.push(i16::from(value.is_some()));
        values.extend(value);
    }
    let there = column.may_be_null.then_some(there.as_slice());
    writer.typed::<T>().write_batch(values.as_slice(), there, None).map(drop)
}

/// Returns what the system said, where an error comes from it.
fn plain(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
