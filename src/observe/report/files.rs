//! Copies of the reports on disk: written at every checkpoint, and read while a run holds the state file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Format, json, render};
use crate::model::record::{FORMAT, RunRecord, Snapshot};

/// Largest copy that is read back.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Name of a run's page.
const PAGE: &str = "report.html";

/// All runs, as `runs.json` and `soakd runs --format json` hold them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Runs {
    format: u32,
    made_ms: i64,
    runs: Vec<RunRecord>,
}

/// Writes `report.txt`, `report.md` and `report.json` of a run, and `runs.json`; each file is whole at any moment.
pub fn write_files(state_dir: &Path, snapshot: &Snapshot, runs: &[RunRecord]) -> io::Result<()> {
    let all = reports(state_dir);
    let own = own_dir(state_dir, &snapshot.run.run)?;
    fs::create_dir_all(&own)?;
    for (name, format) in [("report.txt", Format::Text), ("report.md", Format::Markdown), ("report.json", Format::Json)]
    {
        replace(&own.join(name), render(snapshot, format).as_bytes())?;
    }
    replace(&all.join("runs.json"), runs_json(runs, snapshot.made_ms).as_bytes())
}

/// Writes `report.html` of a run beside its other reports.
pub fn write_page(state_dir: &Path, run: &str, page: &str) -> io::Result<()> {
    let own = own_dir(state_dir, run)?;
    fs::create_dir_all(&own)?;
    replace(&own.join(PAGE), page.as_bytes())
}

/// Reads the page of a run as it was last written.
pub fn read_page(state_dir: &Path, run: &str) -> io::Result<String> {
    let path = own_dir(state_dir, run)?.join(PAGE);
    if fs::metadata(&path)?.len() > BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{} is too large", path.display())));
    }
    fs::read_to_string(&path)
}

/// Renders the list of runs.
pub fn runs_json(runs: &[RunRecord], made_ms: i64) -> String {
    let runs = Runs { format: FORMAT, made_ms, runs: runs.to_vec() };
    json::pretty(&serde_json::to_value(&runs).unwrap_or_default())
}

/// Reads the copy of a run's snapshot.
pub fn read_run(state_dir: &Path, run: &str) -> io::Result<Snapshot> {
    let path = own_dir(state_dir, run)?.join("report.json");
    snapshot_of(parse(&path)?).map_err(|e| odd(&path, &e))
}

/// Returns the snapshot that a JSON report was made from.
pub fn snapshot_of(mut report: Value) -> serde_json::Result<Snapshot> {
    if let Some(fields) = report.as_object_mut() {
        fields.remove("derived");
    }
    serde_json::from_value(report)
}

/// Reads the copy of the list of runs, and when it was made.
pub fn read_runs(state_dir: &Path) -> io::Result<(Vec<RunRecord>, i64)> {
    let runs: Runs = parse(&reports(state_dir).join("runs.json"))?;
    Ok((runs.runs, runs.made_ms))
}

fn reports(state_dir: &Path) -> PathBuf {
    state_dir.join("reports")
}

/// Returns the directory of a run; an id that is not a plain name has none.
fn own_dir(state_dir: &Path, run: &str) -> io::Result<PathBuf> {
    let plain = !run.is_empty() && run.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !plain || run.starts_with('.') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("run {run:?} cannot name a directory")));
    }
    Ok(reports(state_dir).join(run))
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<T> {
    if fs::metadata(path)?.len() > BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{} is too large", path.display())));
    }
    serde_json::from_slice(&fs::read(path)?).map_err(|e| odd(path, &e))
}

fn odd(path: &Path, error: &serde_json::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
}

/// Replaces a file in one step, so that a reader never sees half of it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let fresh = PathBuf::from(name);
    let mut file = File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    drop(file);
    fs::rename(&fresh, path)
}
