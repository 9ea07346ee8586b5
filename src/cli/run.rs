//! `soakd run`: the daemon in the foreground, as systemd and people start it.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::EXIT_CONFIG;
use crate::app::{self, Options};
use crate::config::{Config, Loaded, ProviderConfig, Scale, Span, TargetConfig, WorkloadConfig};
use crate::observe::log;
use crate::observe::report::{self, Format};
use crate::target::embedded::plant;
use crate::target::sync_sql::check_file;

/// Rows, iterations and databases of the demonstration.
const DEMO: (u32, u32, u32) = (2_000, 4, 4);

/// Run soak cycles, continuously or by schedule; go on with an unfinished run
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Configuration file.
    #[arg(short, long, env = "SOAKD_CONFIG", default_value = "soakd.toml")]
    config: PathBuf,
    /// Give up an unfinished run and start anew.
    #[arg(long)]
    fresh: bool,
    /// Run a small soak on the embedded target, without any configuration.
    #[arg(long, conflicts_with = "config")]
    demo: bool,
    /// End after this many cycles, in place of run.cycles.
    #[arg(long)]
    cycles: Option<u64>,
    /// Directory for state, databases and reports, in place of run.state_dir.
    #[arg(long, env = "SOAKD_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// Print progress as plain lines, even on a terminal; without it there are none where the log is for machines.
    #[arg(long)]
    plain: bool,
    /// Break the embedded target on purpose, to see that it is found; needs --testing.
    #[arg(long = "plant")]
    plants: Vec<String>,
    /// Permit planted bugs and faster time.
    #[arg(long)]
    testing: bool,
    /// Let the daemon's clock run this many times as fast, to see weeks of schedules and digests in minutes; needs --testing.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    time_scale: u32,
}

/// Runs the daemon, prints the report, and returns the exit code of its verdict.
pub fn run(args: RunArgs) -> anyhow::Result<u8> {
    let Some((options, loaded)) = prepare(args)? else { return Ok(EXIT_CONFIG) };
    let mut config = loaded.config.clone();
    options.apply(&mut config);
    let ended = app::daemon(options, loaded, log::init(&config.log))?;
    if let Some(snapshot) = ended.snapshot.as_ref().filter(|_| !ended.scheduled) {
        print!("{}", report::render(snapshot, Format::Text));
        let dir = config.run.state_dir.join("reports").join(&snapshot.run.run);
        println!("\nReports: {}/report.txt, .md, .json and .html", dir.display());
    }
    println!("{}: {}", ended.verdict, ended.because);
    Ok(ended.verdict.exit_code())
}

/// Reads the settings; `None` when they are wrong, which was said.
fn prepare(args: RunArgs) -> anyhow::Result<Option<(Options, Loaded)>> {
    if let Some(wrong) = wrong_usage(&args) {
        eprintln!("soakd: {wrong}");
        return Ok(None);
    }
    let loaded = match if args.demo { Ok(demo()?) } else { Config::load(&args.config) } {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(None);
        }
    };
    if !args.plants.is_empty() && !matches!(loaded.config.target, TargetConfig::Embedded(_)) {
        eprintln!("soakd: --plant breaks the embedded target only, and target.cloudsync is configured");
        return Ok(None);
    }
    if let ProviderConfig::Extension(extension) = &loaded.config.provider
        && let Err(refused) = check_file(&extension.path, extension.sha256.as_deref())
    {
        eprintln!("{}: provider.extension: {}", loaded.origin, refused.classified.message);
        return Ok(None);
    }
    let options = Options {
        file: (!args.demo).then_some(args.config),
        cycles: args.cycles,
        state_dir: args.state_dir,
        fresh: args.fresh,
        plain: args.plain,
        program: std::env::current_exe().context("finding the soakd program itself")?,
        plants: args.plants,
        testing: args.testing,
        time_scale: args.time_scale,
    };
    Ok(Some((options, loaded)))
}

/// Returns what is wrong with the arguments, if anything is.
fn wrong_usage(args: &RunArgs) -> Option<String> {
    if !args.plants.is_empty() && !args.testing {
        return Some("--plant breaks the embedded target on purpose; add --testing if that is what you want".into());
    }
    if args.time_scale > 1 && !args.testing {
        return Some("--time-scale makes times in reports wrong; add --testing if that is what you want".into());
    }
    if let Some(problem) = args.plants.iter().find_map(|text| plant::problem(text)) {
        return Some(problem);
    }
    (args.cycles == Some(0)).then(|| "--cycles 0 would test nothing; allowed: 1 or more".into())
}

/// Returns the settings of the demonstration: row-level security on, two users with two databases each.
fn demo() -> anyhow::Result<Loaded> {
    let mut config = Config::default();
    config.run.name = "demo".into();
    config.run.state_dir = "soakd-state/demo".into();
    config.run.cycles = Some(3);
    config.run.pause = Span::from_secs(0);
    let WorkloadConfig::Sync(sync) = &mut config.workload;
    sync.scale = Scale::Custom;
    (sync.rows, sync.iterations, sync.databases) = (Some(DEMO.0), Some(DEMO.1), Some(DEMO.2));
    config.log.level = "warn".into();
    match crate::config::table::resolve(&sync.table.clone()) {
        Ok(table) => Ok(Loaded::new(config, table, "the demonstration")),
        Err(_) => bail!("the built-in table is not valid"),
    }
}
