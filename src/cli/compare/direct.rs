//! `soakd compare --workload bank --on sqlite,postgres`: one workload with one seed on several databases, side by side.

mod scratch;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, bail};
use clap::Args;

use self::scratch::Scratch;
use crate::cli::run::{BackendArg, Direct, DirectArgs};
use crate::config::Loaded;
use crate::direct::{RunResult, Stopped, run_spec};
use crate::engine::direct::spec::Handles;
use crate::engine::setup::direct_spec;
use crate::model::verdict::Verdict;
use crate::observe::report::{self, Column, ComparisonFormat, LaneColumn, SideBySide};

/// Which workload is compared on which databases.
#[derive(Debug, Clone, Default, Args)]
pub struct OnArgs {
    /// Run this workload on several databases instead, and set the results side by side
    #[arg(long, value_enum)]
    pub workload: Option<Direct>,
    /// The databases for --workload; postgres needs --url or SOAKD_DATABASE_URL
    #[arg(long, value_enum, value_delimiter = ',', requires = "workload", default_values = ["sqlite-rollback", "sqlite"])]
    pub on: Vec<BackendArg>,
    #[command(flatten)]
    pub direct: DirectArgs,
}

impl OnArgs {
    /// Returns the settings of every database, or everything that is wrong with them.
    fn all(&self, workload: Direct, dir: &Path) -> anyhow::Result<Result<Vec<Loaded>, Vec<String>>> {
        let (mut all, mut wrong) = (Vec::new(), Vec::new());
        if self.direct.backend.is_some() {
            wrong.push("--backend names one database; a comparison takes --on with several".to_owned());
        }
        for (index, backend) in self.on.iter().enumerate() {
            let mut args = DirectArgs { backend: Some(*backend), ..self.direct.clone() };
            args.seed.get_or_insert(1);
            if *backend != BackendArg::Postgres {
                (args.url, args.isolation) = (None, None);
            }
            match args.loaded(workload, Some(&dir.join(index.to_string())))? {
                Ok(loaded) => all.push(loaded),
                Err(problems) => wrong.extend(problems),
            }
        }
        wrong.dedup();
        Ok(if wrong.is_empty() { Ok(all) } else { Err(wrong) })
    }

    /// Runs the workload on one database after the other; `None` if the arguments are wrong, which was said.
    fn compared(&self, workload: Direct, scratch: &Scratch) -> anyhow::Result<Option<SideBySide>> {
        match self.all(workload, &scratch.dir)? {
            Ok(all) => side_by_side(&all, scratch).map(Some),
            Err(problems) => {
                problems.iter().for_each(|problem| eprintln!("soakd: {problem}"));
                Ok(None)
            }
        }
    }
}

fn side_by_side(all: &[Loaded], scratch: &Scratch) -> anyhow::Result<SideBySide> {
    let mut columns = Vec::new();
    let (mut workload, mut seed) = ("", 0);
    for (index, loaded) in all.iter().enumerate() {
        if scratch.stop.load(Ordering::Relaxed) {
            bail!(Stopped);
        }
        let place = scratch.dir.join(index.to_string());
        std::fs::create_dir_all(&place).with_context(|| format!("making {}", place.display()))?;
        seed = loaded.config.run.seed.unwrap_or(1);
        let spec = direct_spec(&loaded.config, &place, seed)?.context("the workload drives a database itself")?;
        workload = loaded.config.workload.word();
        eprintln!("{workload} on {} …", spec.backend.name());
        let handles = Handles { stop: Arc::clone(&scratch.stop), ..Handles::default() };
        let result = run_spec(spec, handles)?;
        if let Some(crash) = &result.crash {
            scratch.kept.store(true, Ordering::Relaxed);
            let path = crash.write(&place, &result.version, &loaded.config)?;
            eprintln!("soakd: {}: {}; crash report: {}", crash.place, crash.cause, path.display());
        }
        columns.push(column(result));
    }
    Ok(SideBySide { workload: workload.into(), seed, columns })
}

fn column(result: RunResult) -> Column {
    let verdict = result.verdict();
    let quantile = |lane, share| result.latency.get(&lane).map_or(0, |latency| latency.quantile(share));
    let lanes = result.lanes.iter().map(|(lane, figures)| {
        let figures = figures.clone();
        (*lane, LaneColumn { figures, p50_us: quantile(*lane, 0.5), p99_us: quantile(*lane, 0.99) })
    });
    Column {
        verdict,
        lanes: lanes.collect(),
        backend: result.backend,
        version: result.version,
        elapsed_ms: result.elapsed.as_millis() as u64,
        checks: result.checks,
        errors: result.errors.into_iter().chain(result.unsettled).collect(),
    }
}

/// Prints the comparison, and returns its worst verdict.
pub(super) fn run(args: &OnArgs, workload: Direct, format: ComparisonFormat) -> anyhow::Result<Option<Verdict>> {
    let scratch = Arc::new(Scratch::new(std::env::temp_dir()));
    scratch.watch_signals()?;
    let compared = args.compared(workload, &scratch);
    scratch.clear();
    let all = match compared {
        Ok(Some(all)) => all,
        Ok(None) => return Ok(None),
        Err(error) if error.is::<Stopped>() => {
            eprintln!("soakd: the comparison was stopped before its end, so there is nothing to compare");
            return Ok(Some(Verdict::Aborted));
        }
        Err(error) => return Err(error),
    };
    crate::cli::state::print(&mut std::io::stdout().lock(), &report::side_by_side(&all, format))?;
    Ok(Some(all.verdict()))
}
