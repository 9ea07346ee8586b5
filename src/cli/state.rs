//! Where the state is, and how commands read it: from the state file, or, while a run holds that file, from the daemon, or
//! from the copies of the last checkpoint if that does not answer.

mod exported;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::daemon::wait;
use crate::config::{ApiConfig, installed};
use crate::model::measure::{Measured, MetricPoints};
use crate::model::record::{CycleRecord, RunRecord, Snapshot};
use crate::observe::api::client::{AskError, Client, path};
use crate::observe::api::reachable_path;
use crate::observe::report::{self, Gathered};
use crate::store::{Store, StoreError};

/// State directory when nothing is said.
const DEFAULT_DIR: &str = "soakd-state";
/// Exit code for a run or a state that is not there.
pub(super) const NOT_THERE: u8 = 2;

/// Which state directory to read.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct StateArgs {
    /// Directory with the state file and the reports [default: soakd-state, or /var/lib/soakd if there is none here]
    #[arg(long, value_name = "DIR", env = "SOAKD_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// Configuration file, whose state directory is meant
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl StateArgs {
    /// Returns the directory: `--state-dir` before the configuration before the one here before the installed service's.
    pub(super) fn dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.state_dir {
            return Ok(dir.clone());
        }
        match self.setting("run", "state_dir")?.filter(|dir| dir != DEFAULT_DIR) {
            Some(dir) => Ok(dir.into()),
            None => Ok(self.file().and_then(|file| installed::state_dir(&file)).unwrap_or_else(|| DEFAULT_DIR.into())),
        }
    }

    /// Returns the configuration that is meant: the one given, or the installed service's where nothing else is to be found.
    fn file(&self) -> Option<PathBuf> {
        let nothing = self.state_dir.is_none() && !Path::new(DEFAULT_DIR).exists();
        self.config.clone().or_else(|| nothing.then(installed::config).flatten())
    }

    /// Returns the path of the socket that the configuration gives, if it gives one.
    pub(super) fn socket(&self) -> anyhow::Result<Option<PathBuf>> {
        Ok(self.setting("api", "socket")?.map(PathBuf::from))
    }

    /// Returns a text of the configuration; the rest of it may be wrong.
    fn setting(&self, section: &str, key: &str) -> anyhow::Result<Option<String>> {
        let Some(file) = self.file() else { return Ok(None) };
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read the configuration {}", file.display()))?;
        let table: toml::Table =
            text.parse().with_context(|| format!("the configuration {} is not TOML", file.display()))?;
        match table.get(section).and_then(|section| section.get(key)) {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => bail!("{section}.{key} in {} must be a string, not {other}", file.display()),
        }
    }
}

/// What can be read of the state at this moment.
pub(super) enum State {
    File(Box<Store>),
    /// A run holds the state file, and answers itself.
    Daemon(Client),
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
            Ok(store) => Ok(Some(Self::File(Box::new(store)))),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(locked @ StoreError::Locked { .. }) => match beside(&dir) {
                Ok(client) => Ok(Some(Self::Daemon(client))),
                Err(_) => Self::copies(dir, locked).map(Some),
            },
            Err(e) => Err(e.into()),
        }
    }

    /// Reads the copies of the last checkpoint.
    fn copies(dir: PathBuf, locked: StoreError) -> anyhow::Result<Self> {
        match report::read_runs(&dir) {
            Ok((runs, made_ms)) => Ok(Self::Copies { dir, runs, made_ms }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(anyhow::Error::from(locked).context("the run has not reached its first checkpoint yet"))
            }
            Err(e) => Err(e).context("cannot read the reports of the run that holds the state file"),
        }
    }

    /// Returns all runs, the newest first.
    pub(super) fn runs(&self) -> anyhow::Result<Vec<RunRecord>> {
        match self {
            Self::File(store) => Ok(store.runs()?),
            Self::Daemon(client) => {
                let mut all: serde_json::Value = wait(client.get("/v1/runs"))??;
                Ok(serde_json::from_value(all["runs"].take()).map_err(|e| AskError::Odd(e.to_string()))?)
            }
            Self::Copies { runs, .. } => Ok(runs.clone()),
        }
    }

    /// Returns all that is known of a run.
    pub(super) fn snapshot(&self, run: &str) -> anyhow::Result<Option<Snapshot>> {
        match self {
            Self::File(store) => Ok(store.snapshot(run)?),
            Self::Daemon(client) => match wait(client.get(&format!("/v1/runs/{run}/report?format=json")))? {
                Ok(report) => Ok(Some(report::snapshot_of(report).map_err(|e| AskError::Odd(e.to_string()))?)),
                Err(AskError::Refused { status: 404, .. }) => Ok(None),
                Err(e) => Err(e.into()),
            },
            Self::Copies { dir, .. } => match report::read_run(dir, run) {
                Ok(snapshot) => Ok(Some(snapshot)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(e).with_context(|| format!("cannot read the report of run {run}")),
            },
        }
    }

    /// Returns the page of a run; as a copy it is the one that was last written.
    pub(super) fn page(&self, run: &str) -> anyhow::Result<Option<String>> {
        match self {
            Self::File(store) => Ok(Gathered::read(store, run)?.map(|gathered| gathered.page())),
            Self::Daemon(client) => {
                match wait(client.text(&path(&["v1", "runs", run, "report"], &[("format", "html")])))? {
                    Ok(page) => Ok(Some(page)),
                    Err(AskError::Refused { status: 404, .. }) => Ok(None),
                    Err(e) => Err(e.into()),
                }
            }
            Self::Copies { dir, .. } => match report::read_page(dir, run) {
                Ok(page) => {
                    eprintln!("as it was last written: a soakd run holds the state file");
                    Ok(Some(page))
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(e).with_context(|| format!("cannot read the page of run {run}")),
            },
        }
    }

    /// Returns what was measured of a run's cycles, by metric; the copies of the last checkpoint do not have it.
    pub(super) fn measures(&self, run: &str) -> anyhow::Result<BTreeMap<String, Vec<Measured>>> {
        let client = match self {
            Self::File(store) => return Ok(store.measures(run)?),
            Self::Daemon(client) => client,
            Self::Copies { .. } => return Err(only_the_daemon("what was measured")),
        };
        let (mut all, mut after) = (BTreeMap::new(), Some(String::new()));
        while let Some(last) = after {
            let asked = path(&["v1", "runs", run, "measures"], &[("after", &last)]);
            let page: MeasuresPage = wait(client.get(&asked))??;
            all.extend(page.metrics.into_iter().map(|one| (one.metric, one.points)));
            after = page.next_after.filter(|next| *next > last);
        }
        Ok(all)
    }

    /// Returns some closed cycles of a run, those that follow a cycle; `None` after the last one.
    pub(super) fn cycles_after(&self, run: &str, after: u64) -> anyhow::Result<Option<Vec<CycleRecord>>> {
        let cycles = match self {
            Self::File(store) => store.cycles_after(run, after, CYCLES_READ)?,
            Self::Daemon(client) => {
                let (after, max) = (after.to_string(), CYCLES_READ.to_string());
                let asked = path(&["v1", "runs", run, "cycles"], &[("after", &after), ("limit", &max)]);
                wait(client.get::<CyclesPage>(&asked))??.cycles
            }
            Self::Copies { .. } => return Err(only_the_daemon("all of its cycles")),
        };
        Ok(Some(cycles).filter(|cycles| !cycles.is_empty()))
    }

    /// Goes through all closed cycles of a run, the oldest first, some of them in memory at a time.
    pub(super) fn cycles<'a>(&'a self, run: &'a str) -> impl Iterator<Item = anyhow::Result<CycleRecord>> + 'a {
        let mut after = Some(0);
        let pages = std::iter::from_fn(move || match self.cycles_after(run, after?) {
            Ok(page) => {
                after = page.as_ref().and_then(|page| page.last()).map(|last| last.cycle);
                page.map(Ok)
            }
            Err(error) => {
                after = None;
                Some(Err(error))
            }
        });
        pages.flat_map(|page| {
            let (page, error) = page.map_or_else(|error| (Vec::new(), Some(Err(error))), |page| (page, None));
            page.into_iter().map(Ok).chain(error)
        })
    }

    /// Returns the run that later ones are compared with.
    pub(super) fn baseline(&self) -> anyhow::Result<Option<String>> {
        match self {
            Self::File(store) => Ok(store.baseline()?),
            Self::Daemon(client) => {
                let mut answer: serde_json::Value = wait(client.get("/v1/baseline"))??;
                Ok(serde_json::from_value(answer["run"].take()).map_err(|e| AskError::Odd(e.to_string()))?)
            }
            Self::Copies { .. } => Err(only_the_daemon("the baseline")),
        }
    }

    /// Says on the error output how old the figures are, if they are copies.
    pub(super) fn say_age(&self, made_ms: i64) {
        if matches!(self, Self::Copies { .. }) {
            eprintln!("as of the last checkpoint, {} UTC: a soakd run holds the state file", report::clock(made_ms));
        }
    }
}

/// Cycles that are read at a time: as many as one answer of the daemon may have.
const CYCLES_READ: usize = 500;

/// What is read of a page of cycles.
#[derive(Deserialize)]
struct CyclesPage {
    cycles: Vec<CycleRecord>,
}

/// What is read of a page of metrics.
#[derive(Deserialize)]
struct MeasuresPage {
    metrics: Vec<MetricPoints>,
    next_after: Option<String>,
}

/// Returns why something cannot be said while the daemon is silent.
fn only_the_daemon(what: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "a soakd run holds the state file and does not answer on its socket; the copies of its last checkpoint do not have \
         {what}: see `soakd status`, or try again when the run has ended"
    )
}

/// Finds the daemon that holds the state file of a directory.
fn beside(dir: &Path) -> Result<Client, AskError> {
    Client::open(&reachable_path(&ApiConfig::default(), dir))
}

/// Opens the state of a directory and finds a run in it; if one of the two is not there, that is said, and `None` returned.
pub(super) fn found(state: &StateArgs, wanted: Option<&str>) -> anyhow::Result<Option<(State, RunRecord)>> {
    let dir = state.dir()?;
    let Some(state) = State::open(dir.clone())? else {
        eprintln!("there is no soakd state in {}; give the --state-dir of a soakd run", dir.display());
        return Ok(None);
    };
    let runs = state.runs()?;
    match pick(&runs, wanted) {
        Ok(run) => {
            let run = run.clone();
            Ok(Some((state, run)))
        }
        Err(why) => {
            eprintln!("{why}");
            Ok(None)
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
