//! `soakd run`: the daemon in the foreground, as systemd and people start it.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use tracing_subscriber::EnvFilter;

use super::EXIT_CONFIG;
use crate::app;
use crate::config::run::LogFormat;
use crate::config::{Config, Loaded, ProviderConfig, Scale, Span, TargetConfig, WorkloadConfig};
use crate::engine::setup::Setup;
use crate::observe::report::{self, Format};
use crate::target::embedded::plant::BUGS;
use crate::target::sync_sql::check_file;

/// Rows, iterations and databases of the demonstration.
const DEMO: (u32, u32, u32) = (2_000, 4, 4);

/// Runs soak cycles until the run ends; goes on with an unfinished run by itself.
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
    /// Print plain lines even on a terminal.
    #[arg(long)]
    plain: bool,
    /// Break the embedded target on purpose, to see that it is found; needs --testing.
    #[arg(long = "plant")]
    plants: Vec<String>,
    /// Permit planted bugs.
    #[arg(long)]
    testing: bool,
}

/// Runs the daemon, prints the report, and returns the exit code of its verdict.
pub fn run(args: RunArgs) -> anyhow::Result<u8> {
    let Some(setup) = prepare(&args)? else { return Ok(EXIT_CONFIG) };
    start_log(&setup.config);
    let state_dir = setup.config.run.state_dir.clone();
    let end = app::daemon(setup, args.fresh, args.plain)?;
    if let Some(snapshot) = &end.snapshot {
        print!("{}", report::render(snapshot, Format::Text));
        let dir = state_dir.join("reports").join(&snapshot.run.run);
        println!("\nReports: {}/report.txt, .md and .json", dir.display());
    }
    println!("{}: {}", end.verdict, end.because);
    Ok(end.verdict.exit_code())
}

/// Reads the settings; `None` when they are wrong, which was said.
fn prepare(args: &RunArgs) -> anyhow::Result<Option<Setup>> {
    if !args.plants.is_empty() && !args.testing {
        eprintln!("soakd: --plant breaks the embedded target on purpose; add --testing if that is what you want");
        return Ok(None);
    }
    if let Some(name) = args.plants.iter().find(|name| !BUGS.iter().any(|(known, _)| known == name)) {
        let known: Vec<&str> = BUGS.iter().map(|(known, _)| *known).collect();
        eprintln!("soakd: there is no bug {name:?} to plant; there are {}", known.join(", "));
        return Ok(None);
    }
    let loaded = match if args.demo { Ok(demo()?) } else { Config::load(&args.config) } {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(None);
        }
    };
    let Loaded { mut config, table, origin, .. } = loaded;
    if !args.plants.is_empty() && !matches!(config.target, TargetConfig::Embedded(_)) {
        eprintln!("soakd: --plant breaks the embedded target only, and target.cloudsync is configured");
        return Ok(None);
    }
    if let Some(cycles) = args.cycles {
        if cycles == 0 {
            eprintln!("soakd: --cycles 0 would test nothing; allowed: 1 or more");
            return Ok(None);
        }
        config.run.cycles = Some(cycles);
    }
    if let Some(dir) = &args.state_dir {
        config.run.state_dir.clone_from(dir);
    }
    if let ProviderConfig::Extension(extension) = &config.provider
        && let Err(refused) = check_file(&extension.path, extension.sha256.as_deref())
    {
        eprintln!("{origin}: provider.extension: {}", refused.classified.message);
        return Ok(None);
    }
    let program = std::env::current_exe().context("finding the soakd program itself")?;
    Ok(Some(Setup { config, table, program, plants: args.plants.clone(), testing: args.testing }))
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

fn start_log(config: &Config) {
    let filter = EnvFilter::try_new(&config.log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Json => log.json().init(),
        LogFormat::Auto | LogFormat::Text | LogFormat::Journal => log.with_ansi(false).with_target(false).init(),
    }
}
