//! `soakd run`: the daemon in the foreground, as systemd and people start it.

mod direct;

use std::io;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::{EXIT_CONFIG, EXIT_OK, state};
use crate::app::{self, Options};
use crate::config::{Config, Loaded, ProviderConfig, Scale, Span, SyncConfig, TargetConfig, WorkloadConfig};
use crate::engine::direct::spec::plant_problem;
use crate::observe::dashboard;
use crate::observe::log::{self, LogHandle};
use crate::observe::log_file::LogFile;
use crate::observe::report::{self, Format};
use crate::store::StoreError;
use crate::target::embedded::plant;
use crate::target::sync_sql::check_file;
pub use direct::{BackendArg, Direct, DirectArgs};

/// Rows, iterations and databases of the demonstration.
const DEMO: (u32, u32, u32) = (2_000, 4, 4);

/// Where the log goes in the state directory while the terminal shows the dashboard.
const LOG_FILE: &str = "logs/daemon.log";

/// Run soak cycles, continuously or by schedule; go on with an unfinished run
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Drive a database directly, without any configuration file: one cycle of the bank or of the catalog.
    #[arg(value_enum, conflicts_with_all = ["config", "demo"])]
    workload: Option<Direct>,
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
    /// Show a dashboard on the terminal; the log goes to logs/daemon.log in the state directory.
    #[arg(long, conflicts_with = "plain")]
    ui: bool,
    /// Break the embedded target, or the way to a database that is driven directly, on purpose, to see that it is found;
    /// needs --testing.
    #[arg(long = "plant")]
    plants: Vec<String>,
    /// Permit planted bugs and faster time.
    #[arg(long)]
    testing: bool,
    /// Let the daemon's clock run this many times as fast, to see weeks of schedules and digests in minutes; needs --testing.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    time_scale: u32,
    #[command(flatten)]
    direct: DirectArgs,
}

/// Runs the daemon, prints the report, and returns the exit code of its verdict.
pub fn run(args: RunArgs) -> anyhow::Result<u8> {
    let workload = args.workload;
    let Some((options, loaded)) = prepare(args)? else { return Ok(EXIT_CONFIG) };
    if let Some(why) = direct::switched_off(workload) {
        state::print(&mut io::stdout().lock(), &format!("{why}\n"))?;
        return Ok(EXIT_OK);
    }
    let mut config = loaded.config.clone();
    options.apply(&mut config);
    let ui = options.ui;
    let ended = app::daemon(options, loaded, if ui { log_file(&config)? } else { log::init(&config.log) })?;
    let mut text = String::new();
    if let Some(snapshot) = ended.snapshot.as_ref().filter(|_| !ended.scheduled) {
        text.push_str(&report::render(snapshot, Format::Text));
        let dir = config.run.state_dir.join("reports").join(&snapshot.run.run);
        text.push_str(&format!("\nReports: {}/report.txt, .md, .json and .html\n", dir.display()));
    }
    if let Some(shown) = &ended.shown {
        text.push_str(&format!("Log: {}\n\n", config.run.state_dir.join(LOG_FILE).display()));
        text.push_str(&dashboard::summary(shown));
    }
    text.push_str(&format!("{}: {}\n", ended.verdict, ended.because));
    let printed = state::print(&mut io::stdout().lock(), &text);
    // A terminal that went away with its dashboard takes nothing from the verdict.
    if !ui {
        printed?;
    }
    Ok(ended.verdict.exit_code())
}

/// Starts the log in its file: the terminal shows the dashboard.
fn log_file(config: &Config) -> anyhow::Result<LogHandle> {
    let dir = &config.run.state_dir;
    let file = LogFile::open(dir.join(LOG_FILE));
    let file = file.map_err(|source| StoreError::Directory { dir: dir.clone(), source })?;
    Ok(log::init_in(&config.log, file))
}

/// Reads the settings; `None` when they are wrong, which was said.
fn prepare(args: RunArgs) -> anyhow::Result<Option<(Options, Loaded)>> {
    if let Some(wrong) = wrong_usage(&args) {
        eprintln!("soakd: {wrong}");
        return Ok(None);
    }
    let Some(loaded) = load(&args)? else { return Ok(None) };
    let workload = loaded.config.workload.word();
    let planted = args.plants.iter().find_map(|text| match &loaded.config.target {
        TargetConfig::Sqlite(_) | TargetConfig::Postgres(_) => plant_problem(workload, text),
        TargetConfig::Embedded(_) | TargetConfig::Cloudsync(_) => plant::problem(text),
    });
    if let Some(problem) = planted {
        eprintln!("soakd: {problem}");
        return Ok(None);
    }
    if !args.plants.is_empty() && matches!(loaded.config.target, TargetConfig::Cloudsync(_)) {
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
        file: (!args.demo && args.workload.is_none()).then_some(args.config),
        cycles: args.cycles,
        state_dir: args.state_dir,
        fresh: args.fresh,
        plain: args.plain,
        ui: args.ui,
        program: std::env::current_exe().context("finding the soakd program itself")?,
        plants: args.plants,
        testing: args.testing,
        time_scale: args.time_scale,
    };
    Ok(Some((options, loaded)))
}

/// Returns the settings: of a file, of the demonstration, or of a workload and its options; `None` when they are wrong, which
/// was said.
fn load(args: &RunArgs) -> anyhow::Result<Option<Loaded>> {
    let said = match args.workload {
        Some(workload) => match args.direct.loaded(workload, args.state_dir.as_deref())? {
            Ok(loaded) => return Ok(Some(loaded)),
            Err(problems) => problems.iter().map(|problem| format!("soakd: {problem}")).collect::<Vec<_>>().join("\n"),
        },
        None if args.demo => return Ok(Some(demo()?)),
        None => match Config::load(&args.config) {
            Ok(loaded) => return Ok(Some(loaded)),
            Err(errors) => errors.to_string(),
        },
    };
    eprintln!("{said}");
    Ok(None)
}

/// Returns what is wrong with the arguments, if anything is.
fn wrong_usage(args: &RunArgs) -> Option<String> {
    if !args.plants.is_empty() && !args.testing {
        return Some("--plant breaks the embedded target on purpose; add --testing if that is what you want".into());
    }
    if args.time_scale > 1 && !args.testing {
        return Some("--time-scale makes times in reports wrong; add --testing if that is what you want".into());
    }
    if args.workload.is_none() && args.direct.is_given() {
        return Some(
            "options of a database that is driven directly need a workload: soakd run bank, or soakd run catalog"
                .into(),
        );
    }
    if let Some(Err(error)) = args.ui.then(dashboard::check) {
        return Some(error.to_string());
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
    config.log.level = "warn".into();
    let (rows, iterations, databases) = DEMO;
    let sync = SyncConfig {
        scale: Scale::Custom,
        rows: Some(rows),
        iterations: Some(iterations),
        databases: Some(databases),
        ..SyncConfig::default()
    };
    let table = crate::config::table::resolve(&sync.table);
    config.workload = WorkloadConfig::Sync(sync);
    match table {
        Ok(table) => Ok(Loaded::new(config, table, "the demonstration")),
        Err(_) => bail!("the built-in table is not valid"),
    }
}
