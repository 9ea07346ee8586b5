//! `soakd baseline`: which run later ones are compared with. While a daemon holds the state file, it does what is asked.

use std::io;

use serde_json::json;

use super::daemon::wait;
use super::state::{self, NOT_THERE, State, StateArgs};
use super::{EXIT_FAIL, EXIT_OK, EXIT_UNAVAILABLE};
use crate::app::choose_baseline;
use crate::store::Store;

/// Choose the run that later runs are compared with
#[derive(Debug, Clone, clap::Args)]
pub struct BaselineArgs {
    #[command(subcommand)]
    pub command: BaselineCommand,
}

/// What to do about the baseline.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum BaselineCommand {
    /// Compare later runs with this one, which retention then keeps
    Set {
        /// Id of the run, or the beginning of it
        #[arg(value_name = "RUN")]
        run: String,
        #[command(flatten)]
        state: StateArgs,
    },
    /// Show which run it is
    Show {
        #[command(flatten)]
        state: StateArgs,
    },
    /// Compare later runs with none
    Clear {
        #[command(flatten)]
        state: StateArgs,
    },
}

/// Does what is asked, and says so.
pub fn run(args: BaselineArgs) -> anyhow::Result<u8> {
    let (state, wanted) = match &args.command {
        BaselineCommand::Set { run, state } => (state, Some(Some(run))),
        BaselineCommand::Clear { state } => (state, Some(None)),
        BaselineCommand::Show { state } => (state, None),
    };
    let dir = state.dir()?;
    let Some(opened) = State::open(dir.clone())? else {
        eprintln!("there is no soakd state in {}; give the --state-dir of a soakd run", dir.display());
        return Ok(NOT_THERE);
    };
    let Some(wanted) = wanted else { return show(&opened) };
    let picked = match wanted {
        None => None,
        Some(wanted) => match state::pick(&opened.runs()?, Some(wanted)) {
            Ok(run) => Some(run.run.clone()),
            Err(why) => {
                eprintln!("{why}");
                return Ok(NOT_THERE);
            }
        },
    };
    let said = match opened {
        State::Daemon(client) => Ok(wait(client.command("/v1/baseline", &json!({ "run": picked })))??),
        State::Copies { .. } => {
            eprintln!(
                "a soakd run holds the state file in {} and does not answer on its socket; try again",
                dir.display()
            );
            return Ok(EXIT_UNAVAILABLE);
        }
        State::File(reading) => {
            drop(reading);
            choose_baseline(&mut Store::open(&dir)?, picked.as_deref())
        }
    };
    match said {
        Ok(said) => {
            state::print(&mut io::stdout().lock(), &format!("{said}\n"))?;
            Ok(EXIT_OK)
        }
        Err(why) => {
            eprintln!("{why}");
            Ok(EXIT_FAIL)
        }
    }
}

fn show(state: &State) -> anyhow::Result<u8> {
    let Some(run) = state.baseline()? else {
        eprintln!("no baseline is set; `soakd baseline set RUN` sets one");
        return Ok(NOT_THERE);
    };
    let runs = state.runs()?;
    let record = runs.iter().find(|record| record.run == run);
    let name = record.map(|record| format!(" ({})", record.name)).unwrap_or_default();
    let server = record.map(|record| record.versions.server.as_str()).filter(|version| !version.is_empty());
    let server = server.map(|version| format!(", server {version}")).unwrap_or_default();
    state::print(&mut io::stdout().lock(), &format!("run {run}{name}{server}\n"))?;
    Ok(EXIT_OK)
}
