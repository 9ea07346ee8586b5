//! The soakd program: arguments, TLS provider, dispatch, exit code.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use soakd::cli;

/// Soaks and breaks a database sync service on purpose, and proves after every cycle what held.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(cli::run::RunArgs),
    Baseline(cli::baseline::BaselineArgs),
    Check(cli::check::CheckArgs),
    Compare(cli::compare::CompareArgs),
    Doctor(cli::doctor::DoctorArgs),
    Export(cli::export::ExportArgs),
    Init(cli::init::InitArgs),
    Notify(cli::notify::NotifyArgs),
    Report(cli::report::ReportArgs),
    Runs(cli::runs::RunsArgs),
    Schedule(cli::schedule::ScheduleArgs),
    Target(cli::target::TargetArgs),
    Trend(cli::trend::TrendArgs),
    Verify(cli::verify::VerifyArgs),
    #[command(flatten)]
    Daemon(cli::daemon::DaemonCommand),
    #[command(hide = true)]
    Manual(cli::manual::ManualArgs),
    /// Run a worker for the daemon.
    #[command(hide = true)]
    Worker,
}

fn main() -> ExitCode {
    // Fails only if a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A file that has reached its size limit is an error with words, not the end by a signal. This fails on no system.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
    let args = match Cli::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no errors; anything else is wrong usage.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { cli::EXIT_CONFIG } else { cli::EXIT_OK });
        }
    };
    let result = match args.command {
        Command::Run(args) => cli::run::run(args),
        Command::Baseline(args) => cli::baseline::run(args),
        Command::Check(args) => cli::check::run(args),
        Command::Compare(args) => cli::compare::run(args),
        Command::Doctor(args) => cli::doctor::run(args),
        Command::Export(args) => cli::export::run(args),
        Command::Init(args) => cli::init::run(args),
        Command::Notify(args) => cli::notify::run(args),
        Command::Report(args) => cli::report::run(args),
        Command::Runs(args) => cli::runs::run(args),
        Command::Schedule(args) => cli::schedule::run(args),
        Command::Target(args) => cli::target::run(args).map(|()| cli::EXIT_OK),
        Command::Trend(args) => cli::trend::run(args),
        Command::Verify(args) => cli::verify::run(args),
        Command::Manual(args) => cli::manual::run(args, Cli::command()),
        Command::Daemon(command) => cli::daemon::run(command),
        Command::Worker => cli::worker::run(),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("soakd: {error:#}");
            ExitCode::from(cli::exit_code(&error))
        }
    }
}
