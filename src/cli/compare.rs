//! `soakd compare`: one run against another, or several against the first, a verdict for every metric.

mod direct;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::runs::now_ms;
use super::state::{self, State, StateArgs};
use super::{EXIT_CONFIG, EXIT_FAIL, EXIT_OK};
use crate::checker::regression::{self, Measures, PEERS_MAX, Settings, Side};
use crate::model::judgement::Change;
use crate::model::record::Snapshot;
use crate::model::verdict::Verdict;
use crate::observe::report::{self, Compared, ComparisonFormat, Comparisons};

pub use direct::OnArgs;

/// Exit code when it cannot be told.
const EXIT_UNKNOWN: u8 = 2;
/// Runs that are compared with the first one at most.
const RUNS_MAX: usize = 20;

/// Compare runs: is the later one better, the same or worse, metric by metric; or one workload on several databases
///
/// The exit code is 0 if no run is worse, 1 if one is, and 2 if it cannot be told.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct CompareArgs {
    /// The runs, the earlier one first: the beginning of an id, `baseline`, or DIR:ID for a run of another state directory
    #[arg(value_name = "RUN", required_unless_present = "workload", conflicts_with = "workload", num_args = 2..)]
    pub runs: Vec<String>,
    /// What the comparison looks like
    #[arg(long, value_enum, default_value_t)]
    pub format: ComparisonFormat,
    /// Shift from which on a difference matters, in percent [default: 5 for latency and throughput, 10 for the rest]
    #[arg(long, value_name = "PERCENT")]
    pub margin: Option<f64>,
    /// Compare runs of different workloads, scales or targets, too
    #[arg(long)]
    pub anyway: bool,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub on: OnArgs,
}

/// A run that was found, with what was measured of it.
struct Found {
    dir: PathBuf,
    snapshot: Snapshot,
    measures: Measures,
}

/// The state directories that runs come from, each opened once.
#[derive(Default)]
struct States(BTreeMap<PathBuf, State>);

/// A run that is not there, or cannot be told from others; the message says what there is.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotFound(String);

/// Prints the comparison; the exit code says what it came to.
pub fn run(args: CompareArgs) -> anyhow::Result<u8> {
    if let Some(workload) = args.on.workload {
        let verdict = direct::run(&args.on, workload, args.format)?;
        return Ok(verdict.map_or(EXIT_CONFIG, Verdict::exit_code));
    }
    if args.margin.is_some_and(|percent| !(0.1..=100.0).contains(&percent)) {
        eprintln!("--margin must be from 0.1 to 100 percent");
        return Ok(EXIT_CONFIG);
    }
    if args.runs.len() > RUNS_MAX + 1 {
        eprintln!("{} runs are too many; the first can be compared with {RUNS_MAX} others at a time", args.runs.len());
        return Ok(EXIT_CONFIG);
    }
    let all = match compared(&args) {
        Ok(all) => all,
        Err(error) if error.is::<NotFound>() => {
            eprintln!("{error}");
            return Ok(EXIT_CONFIG);
        }
        Err(error) => return Err(error),
    };
    state::print(&mut io::stdout().lock(), &report::compared(&all, args.format))?;
    Ok(exit_code(&all))
}

fn exit_code(all: &Comparisons) -> u8 {
    if all.after.iter().any(|(_, comparison)| !comparison.refused.is_empty()) {
        return EXIT_CONFIG;
    }
    match all.overall() {
        Change::Better | Change::Same => EXIT_OK,
        Change::Worse => EXIT_FAIL,
        Change::CannotTell => EXIT_UNKNOWN,
    }
}

/// Reads the runs and compares them.
fn compared(args: &CompareArgs) -> anyhow::Result<Comparisons> {
    let mut states = States::default();
    let all = args.runs.iter().map(|wanted| states.find(wanted, &args.state)).collect::<anyhow::Result<Vec<_>>>()?;
    let Some((first, others)) = all.split_first() else { bail!("no run is given") };
    let mut after = Vec::new();
    for found in others {
        let groups = states.peers(first, found)?;
        let groups: Vec<Vec<&Measures>> = groups.iter().map(|group| group.iter().collect()).collect();
        let settings = Settings {
            margin: args.margin.map(|percent| percent / 100.0),
            anyway: args.anyway,
            between: regression::between(&groups),
        };
        let comparison = regression::compare(&first.side(), &found.side(), &settings, now_ms());
        after.push((found.told(), comparison));
    }
    Ok(Comparisons { before: first.told(), after })
}

impl Found {
    fn side(&self) -> Side<'_> {
        Side { run: &self.snapshot.run, cycles_done: self.snapshot.cycles_done, measures: &self.measures }
    }

    /// Returns what should be known of the run beside its figures.
    fn told(&self) -> Compared {
        let run = &self.snapshot.run;
        let name = regression::named(run);
        let because = run.ended_because.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let mut notes = Vec::new();
        match run.verdict {
            None => notes.push(format!("{name} has not ended; it is compared as far as it is")),
            Some(Verdict::Aborted) => {
                notes.push(format!("{name} was aborted{because}; its finished cycles are compared"))
            }
            Some(Verdict::Fail) => {
                notes.push(format!("{name} failed its checks; its figures may be those of a faulty run"))
            }
            Some(Verdict::Pass | Verdict::Inconclusive) => {}
        }
        Compared { run: run.clone(), cycles_done: self.snapshot.cycles_done, notes }
    }
}

impl States {
    /// Finds a run by what the user calls it.
    fn find(&mut self, wanted: &str, args: &StateArgs) -> anyhow::Result<Found> {
        let (dir, id) = match wanted.rsplit_once(':') {
            Some((dir, id)) if !dir.is_empty() => (PathBuf::from(dir), id),
            _ => (args.dir()?, wanted),
        };
        let state = self.open(&dir)?;
        let runs = state.runs()?;
        let id = match id {
            "baseline" => state.baseline()?.ok_or_else(|| {
                NotFound(format!("no baseline is set in {}; `soakd baseline set RUN` sets one", dir.display()))
            })?,
            id => id.to_owned(),
        };
        let run = state::pick(&runs, Some(id.as_str()).filter(|id| !id.is_empty())).map_err(NotFound)?.run.clone();
        let Some(snapshot) = state.snapshot(&run)? else {
            bail!(NotFound(format!("run {run} has no report before its first checkpoint")));
        };
        state.say_age(snapshot.made_ms);
        let measures = state.measures(&run).with_context(|| format!("reading what was measured of run {run}"))?;
        Ok(Found { dir, snapshot, measures })
    }

    fn open(&mut self, dir: &Path) -> anyhow::Result<&State> {
        if !self.0.contains_key(dir) {
            let opened = State::open(dir.to_owned())?;
            let none = || {
                NotFound(format!("there is no soakd state in {}; give the --state-dir of a soakd run", dir.display()))
            };
            self.0.insert(dir.to_owned(), opened.ok_or_else(none)?);
        }
        Ok(&self.0[dir])
    }

    /// Returns what was measured of further runs of the same versions, from which it is learnt how much such runs deviate.
    /// Where both runs are of one version, the later one is not among them: it is what is asked about.
    fn peers(&mut self, before: &Found, after: &Found) -> anyhow::Result<Vec<Vec<Measures>>> {
        let (a, b) = (&before.snapshot.run, &after.snapshot.run);
        let mut groups = vec![self.group(before, &[&a.run, &b.run])?];
        if a.versions != b.versions {
            groups.push(self.group(after, &[&a.run, &b.run])?);
        }
        Ok(groups)
    }

    fn group(&mut self, of: &Found, not: &[&String]) -> anyhow::Result<Vec<Measures>> {
        let state = self.open(&of.dir)?;
        let run = &of.snapshot.run;
        let mut group = vec![of.measures.clone()];
        for other in regression::peers(&state.runs()?, run, not).take(PEERS_MAX) {
            group.push(state.measures(&other.run)?);
        }
        Ok(group)
    }
}

#[cfg(test)]
mod tests;
