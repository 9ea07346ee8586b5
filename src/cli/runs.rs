//! `soakd runs`: the runs in the state file, the newest first.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use super::state::{self, NOT_THERE, State, StateArgs};
use crate::observe::report;

/// What the list looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum RunsFormat {
    #[default]
    Text,
    Json,
}

/// List all runs
#[derive(Debug, Clone, Default, clap::Args)]
pub struct RunsArgs {
    /// What the list looks like
    #[arg(long, value_enum, default_value_t)]
    pub format: RunsFormat,
    #[command(flatten)]
    pub state: StateArgs,
}

/// Prints the list of runs.
pub fn run(args: RunsArgs) -> anyhow::Result<u8> {
    show(&args, &mut io::stdout().lock())
}

fn show(args: &RunsArgs, out: &mut impl Write) -> anyhow::Result<u8> {
    let dir = args.state.dir()?;
    let Some(state) = State::open(dir.clone())? else {
        eprintln!("there is no soakd state in {}; give the --state-dir of a soakd run", dir.display());
        return Ok(NOT_THERE);
    };
    let runs = state.runs()?;
    let made_ms = match &state {
        State::File(_) | State::Daemon(_) => now_ms(),
        State::Copies { made_ms, .. } => *made_ms,
    };
    state.say_age(made_ms);
    state::print(
        out,
        &match args.format {
            RunsFormat::Text => report::runs_text(&runs, made_ms),
            RunsFormat::Json => report::runs_json(&runs, made_ms),
        },
    )?;
    Ok(0)
}

pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn runs_are_listed_if_there_is_a_state() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateArgs { state_dir: Some(dir.path().to_owned()), config: None };
        let args = RunsArgs { format: RunsFormat::Text, state };
        let mut out = Vec::new();
        assert_eq!(show(&args, &mut out).unwrap(), 2);
        drop(Store::open(dir.path()).unwrap());
        assert_eq!(show(&args, &mut out).unwrap(), 0);
        assert_eq!(show(&RunsArgs { format: RunsFormat::Json, ..args }, &mut out).unwrap(), 0);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("There is no run yet.\n{\n  \"format\": 3"), "{text}");
    }
}
