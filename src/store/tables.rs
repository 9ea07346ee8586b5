//! Tables, keys and JSON values. Keys are plain bytes, `run 0x00 number…` with numbers big-endian, so that the order of keys
//! is the order of numbers and a run is one range.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, TableHandle};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;

/// A table of JSON values by byte key.
pub(super) type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;
/// An open table for reading.
pub(super) type RowsRead = ReadOnlyTable<&'static [u8], &'static [u8]>;
/// An open table for writing.
pub(super) type RowsMut<'txn> = Table<'txn, &'static [u8], &'static [u8]>;

pub(super) const META: Rows = TableDefinition::new("meta");
pub(super) const RUNS: Rows = TableDefinition::new("runs");
pub(super) const PROGRESS: Rows = TableDefinition::new("progress");
pub(super) const EPOCHS: Rows = TableDefinition::new("epochs");
pub(super) const STEPS: Rows = TableDefinition::new("steps");
pub(super) const DATABASES: Rows = TableDefinition::new("databases");
pub(super) const CYCLES: Rows = TableDefinition::new("cycles");
/// Cycles that are neither recent nor pinned, without evidence. Not in [`CYCLES`]: shrunk in place, each would keep its page.
pub(super) const THINNED: Rows = TableDefinition::new("cycles_thinned");
pub(super) const FINDINGS: Rows = TableDefinition::new("findings");
pub(super) const OUTAGES: Rows = TableDefinition::new("outages");
pub(super) const LOGS: Rows = TableDefinition::new("logs");
pub(super) const BLOBS: Rows = TableDefinition::new("blobs");
/// Incidents by number; not by run, because one may last longer than a run.
pub(super) const INCIDENTS: Rows = TableDefinition::new("incidents");
/// Messages that still have to be delivered, by number.
pub(super) const OUTBOX: Rows = TableDefinition::new("outbox");
/// Small values of the daemon's own that belong to no run, by name.
pub(super) const DAEMON: Rows = TableDefinition::new("daemon");
/// Measured values by name and time, thinned with age.
pub(super) const SERIES: Rows = TableDefinition::new("series");

/// Values of each cycle by metric, and in bounded blocks.
pub(super) const MEASURES: Rows = TableDefinition::new("measures");
/// Latencies by action: of the cycle in work, and of the whole run.
pub(super) const LATENCY: Rows = TableDefinition::new("latency");

/// All tables, so that they exist from the first transaction on and a reader never misses one.
pub(super) const ALL: [Rows; 18] = [
    META, RUNS, PROGRESS, EPOCHS, STEPS, DATABASES, CYCLES, THINNED, FINDINGS, OUTAGES, LOGS, BLOBS, INCIDENTS, OUTBOX,
    DAEMON, SERIES, MEASURES, LATENCY,
];

/// Key of the format number in [`META`].
pub(super) const FORMAT_KEY: &[u8] = b"format";
/// Longest run id or name within a key.
pub(super) const NAME_BYTES_MAX: usize = 512;

/// Returns the key of numbers within a run.
pub(super) fn key(run: &str, numbers: &[u64]) -> Vec<u8> {
    let mut key = Vec::with_capacity(run.len() + 1 + numbers.len() * 8);
    key.extend_from_slice(run.as_bytes());
    key.push(0);
    for number in numbers {
        key.extend_from_slice(&number.to_be_bytes());
    }
    key
}

/// Returns the key of a name within a run.
pub(super) fn named(run: &str, name: &str) -> Vec<u8> {
    let mut key = key(run, &[]);
    key.extend_from_slice(name.as_bytes());
    key
}

/// Returns the key just after all keys of a run.
pub(super) fn end(run: &str) -> Vec<u8> {
    let mut key = run.as_bytes().to_vec();
    key.push(1);
    key
}

/// Refuses names that could break out of their part of a key.
pub(super) fn checked(name: &str) -> Result<&str, StoreError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        let name = name.chars().take(80).collect();
        return Err(StoreError::BadName { name, max: NAME_BYTES_MAX });
    }
    Ok(name)
}

/// Opens a table for reading; `None` in a file of a format that did not have it yet.
pub(super) fn if_there(txn: &ReadTransaction, name: Rows) -> Result<Option<RowsRead>, StoreError> {
    match txn.open_table(name) {
        Ok(table) => Ok(Some(table)),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads one value.
pub(super) fn get<T: DeserializeOwned>(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    name: Rows,
    key: &[u8],
) -> Result<Option<T>, StoreError> {
    table.get(key)?.map(|value| parse(name, value.value())).transpose()
}

/// Writes one value.
pub(super) fn put<T: Serialize>(table: &mut RowsMut<'_>, name: Rows, key: &[u8], value: &T) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(value).map_err(|e| StoreError::record(name.name(), e))?;
    table.insert(key, bytes.as_slice())?;
    Ok(())
}

/// Reads all values from one key up to, not including, another.
pub(super) fn scan<T: DeserializeOwned>(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    name: Rows,
    from: &[u8],
    until: &[u8],
) -> Result<Vec<T>, StoreError> {
    table.range(from..until)?.map(|row| parse(name, row?.1.value())).collect()
}

/// Reads the first values from one key up to, not including, another; at most `max`.
pub(super) fn scan_first<T: DeserializeOwned>(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    name: Rows,
    (from, until): (&[u8], &[u8]),
    max: usize,
) -> Result<Vec<T>, StoreError> {
    table.range(from..until)?.take(max).map(|row| parse(name, row?.1.value())).collect()
}

/// Returns number `index` of a key made by [`key`].
pub(super) fn number(run: &str, key: &[u8], index: usize) -> Option<u64> {
    let at = run.len() + 1 + index * 8;
    Some(u64::from_be_bytes(key.get(at..at + 8)?.try_into().ok()?))
}

/// Reads a value from its bytes.
pub(super) fn parse<T: DeserializeOwned>(name: Rows, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|e| StoreError::record(name.name(), e))
}
