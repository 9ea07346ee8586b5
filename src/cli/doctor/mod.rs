//! `soakd doctor`: proves before a long run that everything which it will need works, by using it. Unlike `soakd check` it writes
//! (to the disk, to its own small soak, to whoever is to be told of failures), but never into the state of a run, and never into
//! an external target unless it was asked to.
//!
//! Every line is one proof, with what to do where it failed.

mod machine;
mod mail;
mod soak;
mod state;

use std::path::PathBuf;

use super::check::{self, CheckLine, Outcome, local};
use super::state::print;
use super::{EXIT_CONFIG, EXIT_FAIL, EXIT_OK};
use crate::config::{Config, Loaded, installed};

/// Prove that a machine and a target are fit for a long run
#[derive(Debug, Clone, clap::Args)]
pub struct DoctorArgs {
    /// The configuration file [default: soakd.toml, or /etc/soakd/soakd.toml if there is none here]
    #[arg(short, long, value_name = "FILE", env = "SOAKD_CONFIG", default_value_os_t = installed::default_config(), hide_default_value = true)]
    pub config: PathBuf,
    /// Send no mail and tell no webhook
    #[arg(long)]
    pub no_mail: bool,
    /// Permit a small soak on an external target: it writes rows there
    #[arg(long)]
    pub write: bool,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Break the embedded target of the small soak on purpose, to see that it is found; needs --testing
    #[arg(long = "plant", hide = true)]
    pub plants: Vec<String>,
    /// Permit planted bugs
    #[arg(long, hide = true)]
    pub testing: bool,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// Runs the command and returns its exit code.
pub fn run(args: DoctorArgs) -> anyhow::Result<u8> {
    let loaded = match Config::load(&args.config) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(EXIT_CONFIG);
        }
    };
    // An error means that a provider is installed already, which is all that is needed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Rendering a message takes a while and steps aside for others, which one thread alone cannot.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut out = std::io::stdout();
    let mut lines: Vec<CheckLine> = Vec::new();
    let mut say = |more: Vec<CheckLine>| -> anyhow::Result<()> {
        if args.format == Format::Text {
            more.iter().try_for_each(|line| print(&mut out, &format!("{}\n", text(line))))?;
        }
        lines.extend(more);
        Ok(())
    };
    let watch = machine::ClockWatch::begin();
    say(vec![
        CheckLine::ok("configuration", format!("{} holds together", loaded.origin)),
        local::table(&loaded.table),
    ])?;
    say(state::examine(&loaded.config))?;
    say(machine::limits(&loaded.config))?;
    say(runtime.block_on(check::examine_target(&loaded)))?;
    say(runtime.block_on(mail::examine(&loaded.config.notify, &loaded.origin, args.no_mail)))?;
    say(vec![soak::examine(&loaded, &args)])?;
    // Last, so that a jump during all of this is seen.
    say(vec![runtime.block_on(machine::clock(watch, &loaded.config))])?;
    let failed = lines.iter().filter(|line| line.outcome == Outcome::Failed).count();
    match args.format {
        Format::Json => print(&mut out, &json(&loaded, &lines, failed))?,
        Format::Text => print(&mut out, &format!("{}: {}\n", loaded.origin, conclusion(&lines, failed)))?,
    }
    Ok(if failed == 0 { EXIT_OK } else { EXIT_FAIL })
}

/// Returns the last line for people.
fn conclusion(lines: &[CheckLine], failed: usize) -> String {
    let count = |outcome| lines.iter().filter(|line| line.outcome == outcome).count();
    let rest = format!("{} warnings, {} skipped", count(Outcome::Warned), count(Outcome::Skipped));
    if failed == 0 {
        format!("fit for a long run ({rest})")
    } else {
        format!("not fit for a long run: {failed} failed ({rest})")
    }
}

/// Returns one line for people.
fn text(line: &CheckLine) -> String {
    let word = match line.outcome {
        Outcome::Ok => "OK",
        Outcome::Warned => "WARN",
        Outcome::Failed => "FAIL",
        Outcome::Skipped => "SKIPPED",
    };
    format!("{word:<8} {:<16} {}", line.name, line.detail)
}

/// Returns everything for machines.
fn json(loaded: &Loaded, lines: &[CheckLine], failed: usize) -> String {
    let all = serde_json::json!({ "config": loaded.origin, "fit": failed == 0, "checks": lines });
    serde_json::to_string_pretty(&all).unwrap_or_default() + "\n"
}
