//! `soakd report`: the report of one run, from the state file or from the copies of the last checkpoint.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;

use super::state::{self, NOT_THERE, State, StateArgs};
use crate::observe::report::{self, Format};

/// Print the report of a run
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ReportArgs {
    /// Id of the run, or the beginning of it; the newest run if not given
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// What the report looks like
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// File to write it to, in place of the standard output
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub state: StateArgs,
}

/// Prints the report; the exit code says whether there was one, not what it says.
pub fn run(args: ReportArgs) -> anyhow::Result<u8> {
    show(&args, &mut io::stdout().lock())
}

fn show(args: &ReportArgs, out: &mut impl Write) -> anyhow::Result<u8> {
    let Some((state, picked)) = state::found(&args.state, args.run.as_deref())? else { return Ok(NOT_THERE) };
    let Some(report) = made(&state, &picked.run, args.format)? else {
        eprintln!("run {} has no report before its first checkpoint", picked.run);
        return Ok(NOT_THERE);
    };
    match &args.out {
        Some(file) => fs::write(file, report).with_context(|| {
            format!("cannot write the report to {}; check that the directory is there", file.display())
        })?,
        None => state::print(out, &report)?,
    }
    Ok(0)
}

/// Returns the report of a run in a form, if there is one.
fn made(state: &State, run: &str, format: Format) -> anyhow::Result<Option<String>> {
    if format == Format::Html {
        return state.page(run);
    }
    let Some(snapshot) = state.snapshot(run)? else { return Ok(None) };
    state.say_age(snapshot.made_ms);
    Ok(Some(report::render(&snapshot, format)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::report::sample;
    use crate::store::Store;

    fn args(dir: &std::path::Path, run: Option<&str>) -> ReportArgs {
        let state = StateArgs { state_dir: Some(dir.to_owned()), config: None };
        ReportArgs { run: run.map(str::to_owned), format: Format::Json, out: None, state }
    }

    #[test]
    fn a_run_is_found_by_its_beginning_and_its_absence_has_a_code() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(show(&args(dir.path(), None), &mut Vec::new()).unwrap(), 2);
        let mut store = Store::open(dir.path()).unwrap();
        drop(store);
        assert_eq!(show(&args(dir.path(), None), &mut Vec::new()).unwrap(), 2);
        store = Store::open(dir.path()).unwrap();
        let snapshot = sample::failing();
        store.begin_run(&snapshot.run).unwrap();
        drop(store);
        for found in [None, Some("019b"), Some(snapshot.run.run.as_str())] {
            assert_eq!(show(&args(dir.path(), found), &mut Vec::new()).unwrap(), 0, "{found:?}");
        }
        assert_eq!(show(&args(dir.path(), Some("x")), &mut Vec::new()).unwrap(), 2);
    }

    #[test]
    fn while_a_run_holds_the_file_the_copies_answer() {
        let dir = tempfile::tempdir().unwrap();
        let _holder = Store::open(dir.path()).unwrap();
        let error = show(&args(dir.path(), None), &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("has not reached its first checkpoint"), "{error}");
        let snapshot = sample::passing();
        report::write_files(dir.path(), &snapshot, std::slice::from_ref(&snapshot.run)).unwrap();
        assert_eq!(show(&args(dir.path(), None), &mut Vec::new()).unwrap(), 0);
        assert_eq!(show(&args(dir.path(), Some("0")), &mut Vec::new()).unwrap(), 0);
        assert_eq!(show(&args(dir.path(), Some("../")), &mut Vec::new()).unwrap(), 2);
    }

    #[test]
    fn a_page_is_written_to_a_file_from_the_state_or_from_its_copy() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let snapshot = sample::failing();
        store.begin_run(&snapshot.run).unwrap();
        drop(store);
        let to = dir.path().join("page.html");
        let mut wanted = args(dir.path(), None);
        (wanted.format, wanted.out) = (Format::Html, Some(to.clone()));
        let mut printed = Vec::new();
        assert_eq!(show(&wanted, &mut printed).unwrap(), 0);
        let page = std::fs::read_to_string(&to).unwrap();
        assert!(page.starts_with("<!DOCTYPE html>") && printed.is_empty(), "{page}");
        wanted.out = Some(dir.path().join("gone/page.html"));
        let error = show(&wanted, &mut printed).unwrap_err().to_string();
        assert!(error.contains("gone/page.html; check that the directory is there"), "{error}");
        let _holder = Store::open(dir.path()).unwrap();
        report::write_files(dir.path(), &snapshot, std::slice::from_ref(&snapshot.run)).unwrap();
        wanted.out = None;
        assert_eq!(show(&wanted, &mut printed).unwrap(), 2, "no page yet");
        report::write_page(dir.path(), &snapshot.run.run, &page).unwrap();
        assert_eq!(show(&wanted, &mut printed).unwrap(), 0);
        assert_eq!(String::from_utf8(printed).unwrap(), page);
    }

    #[test]
    fn an_ambiguous_beginning_is_refused_with_what_it_means() {
        let (mut a, mut b) = (sample::passing().run, sample::passing().run);
        a.run = "abc".to_owned();
        b.run = "abcd".to_owned();
        let runs = [a, b];
        assert_eq!(state::pick(&runs, Some("abc")).unwrap().run, "abc");
        assert_eq!(state::pick(&runs, Some("abcd")).unwrap().run, "abcd");
        let why = state::pick(&runs, Some("ab")).unwrap_err();
        assert_eq!(why, "\"ab\" means 2 runs (abc, abcd); give more of the id");
    }

    #[test]
    fn the_configuration_names_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("soakd.toml");
        let with = |text: &str| {
            std::fs::write(&file, text).unwrap();
            StateArgs { state_dir: None, config: Some(file.clone()) }.dir()
        };
        assert_eq!(with("[run]\nstate_dir = \"/var/lib/soakd\"").unwrap().to_str(), Some("/var/lib/soakd"));
        assert_eq!(with("").unwrap().to_str(), Some("soakd-state"));
        assert!(with("[run]\nstate_dir = 3").unwrap_err().to_string().contains("must be a string"));
        assert!(with("[run").is_err());
    }
}
