//! Where the state is, and how commands read it: from the state file, or from the copies while a run holds that file.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::model::record::{RunRecord, Snapshot};
use crate::observe::report;
use crate::store::{Store, StoreError};

/// State directory when nothing is said.
const DEFAULT_DIR: &str = "soakd-state";
/// Exit code for a run or a state that is not there.
pub(super) const NOT_THERE: u8 = 2;

/// Which state directory to read.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct StateArgs {
    /// Directory with the state file and the reports
    #[arg(long, value_name = "DIR", env = "SOAKD_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// Configuration file that names the state directory in [run]
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl StateArgs {
    /// Returns the directory: `--state-dir` before the configuration before the default.
    pub(super) fn dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.state_dir {
            return Ok(dir.clone());
        }
        let Some(file) = &self.config else { return Ok(DEFAULT_DIR.into()) };
        let text =
            fs::read_to_string(file).with_context(|| format!("cannot read the configuration {}", file.display()))?;
        let table: toml::Table =
            text.parse().with_context(|| format!("the configuration {} is not TOML", file.display()))?;
        match table.get("run").and_then(|run| run.get("state_dir")) {
            None => Ok(DEFAULT_DIR.into()),
            Some(toml::Value::String(dir)) => Ok(dir.into()),
            Some(other) => bail!("run.state_dir in {} must be a string, not {other}", file.display()),
        }
    }
}

/// What can be read of the state at this moment.
pub(super) enum State {
    File(Store),
    /// A run holds the state file; these are the copies of its last checkpoint.
    Copies {
        dir: PathBuf,
        runs: Vec<RunRecord>,
        made_ms: i64,
    },
}

impl State {
    /// Opens the state of a directory; `Ok(None)` if there is none.
    pub(super) fn open(dir: PathBuf) -> anyhow::Result<Option<Self>> {
        match Store::open_read(&dir) {
            Ok(store) => Ok(Some(Self::File(store))),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(locked @ StoreError::Locked { .. }) => match report::read_runs(&dir) {
                Ok((runs, made_ms)) => Ok(Some(Self::Copies { dir, runs, made_ms })),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    Err(anyhow::Error::from(locked).context("the run has not reached its first checkpoint yet"))
                }
                Err(e) => Err(e).context("cannot read the reports of the run that holds the state file"),
            },
            Err(e) => Err(e.into()),
        }
    }

    /// Returns all runs, the newest first.
    pub(super) fn runs(&self) -> anyhow::Result<Vec<RunRecord>> {
        match self {
            Self::File(store) => Ok(store.runs()?),
            Self::Copies { runs, .. } => Ok(runs.clone()),
        }
    }

    /// Returns all that is known of a run.
    pub(super) fn snapshot(&self, run: &str) -> anyhow::Result<Option<Snapshot>> {
        match self {
            Self::File(store) => Ok(store.snapshot(run)?),
            Self::Copies { dir, .. } => match report::read_run(dir, run) {
                Ok(snapshot) => Ok(Some(snapshot)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(e).with_context(|| format!("cannot read the report of run {run}")),
            },
        }
    }

    /// Says on the error output how old the figures are, if they are copies.
    pub(super) fn say_age(&self, made_ms: i64) {
        if matches!(self, Self::Copies { .. }) {
            eprintln!("as of the last checkpoint, {} UTC: a soakd run holds the state file", report::clock(made_ms));
        }
    }
}

/// Returns the run that a unique prefix of its id means, or the newest; the error says what there is.
pub(super) fn pick<'a>(runs: &'a [RunRecord], wanted: Option<&str>) -> Result<&'a RunRecord, String> {
    let Some(wanted) = wanted else { return runs.first().ok_or_else(|| "there is no run yet".to_owned()) };
    let found: Vec<_> = runs.iter().filter(|run| run.run.starts_with(wanted)).collect();
    match found.as_slice() {
        [] => Err(format!("there is no run {wanted:?}; `soakd runs` lists those that are")),
        [one] => Ok(one),
        several => several.iter().find(|run| run.run == wanted).copied().ok_or_else(|| {
            let ids: Vec<_> = several.iter().take(5).map(|run| run.run.as_str()).collect();
            format!("{wanted:?} means {} runs ({}); give more of the id", several.len(), ids.join(", "))
        }),
    }
}

/// Prints text; a reader that went away, such as `head`, is no error.
pub(super) fn print(out: &mut impl Write, text: &str) -> anyhow::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(e).context("cannot write to the standard output"),
        _ => Ok(()),
    }
}
