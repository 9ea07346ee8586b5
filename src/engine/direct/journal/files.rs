//! The files of a journal: its segments, and what they hold.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::{JournalError, Line, State};
use crate::engine::direct::course::Ledger;

/// Reads a segment; the last line of a process that was killed may be incomplete, and says nothing.
pub(super) fn replay<L: Ledger>(path: &Path, state: &mut State<L>) -> Result<(), JournalError> {
    let file = File::open(path).map_err(|error| failed(path, &error))?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(|error| failed(path, &error))?;
        if read == 0 || line.last() != Some(&b'\n') {
            return Ok(());
        }
        match serde_json::from_slice(&line).map_err(|error| failed(path, &error))? {
            Line::Begin(op, begin) => state.begin(op, begin),
            Line::End(op, end, done) => state.end(op, end, &done),
            Line::Step(report) => state.step(*report),
            Line::Carry(lane, figures, findings) => state.carry(lane, &figures, findings),
        }
    }
}

pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("journal-{number:06}.log"))
}

/// Returns the segments that there are, by number.
pub(super) fn segments(dir: &Path) -> Result<BTreeMap<u64, PathBuf>, JournalError> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(|error| failed(dir, &error))? {
        let path = entry.map_err(|error| failed(dir, &error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix("journal-").and_then(|rest| rest.strip_suffix(".log"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            found.insert(number, path);
        }
    }
    Ok(found)
}

pub(super) fn failed(place: &Path, cause: &impl std::fmt::Display) -> JournalError {
    JournalError { place: place.display().to_string(), cause: cause.to_string() }
}
