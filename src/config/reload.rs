//! What a running daemon cannot take over from a changed configuration file. Pure; it compares two that hold together.

use std::path::PathBuf;

use super::{Loaded, differing, flatten};

/// Which run is under way, if one is: its settings must stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnderWay<'a> {
    Nothing,
    /// A run of the file as a whole.
    File,
    /// A run of this schedule.
    Schedule(&'a str),
}

/// Returns why the new configuration cannot take the place of the old one, one sentence for every key.
pub fn reload_refusals(old: &Loaded, new: &Loaded, under_way: UnderWay<'_>) -> Vec<String> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let (was, is) = (&old.config, &new.config);
    let fixed = [
        ("run.state_dir", Some(was.run.state_dir.display().to_string()), Some(is.run.state_dir.display().to_string())),
        ("api.socket", path(&was.api.socket), path(&is.api.socket)),
        ("api.listen", was.api.listen.map(|at| at.to_string()), is.api.listen.map(|at| at.to_string())),
    ];
    let mut refusals: Vec<String> = fixed
        .into_iter()
        .filter(|(_, was, is)| was != is)
        .map(|(key, was, is)| {
            let (was, is) = (was.unwrap_or_else(none), is.unwrap_or_else(none));
            format!("{key} cannot change from {was} to {is} while the daemon runs; restart it for that")
        })
        .collect();
    let (was, is) = match under_way {
        UnderWay::Nothing => return refusals,
        UnderWay::File => (flatten(was), flatten(is)),
        UnderWay::Schedule(name) => match (old.for_schedule(name), new.for_schedule(name)) {
            (Some(was), Some(is)) => (flatten(&was.config), flatten(&is.config)),
            (_, None) => {
                refusals.push(format!("schedule.{name} cannot go while a run of it is under way; stop the run first"));
                return refusals;
            }
            // A run of a schedule that the old file did not have is not one that this file could disturb.
            (None, Some(_)) => return refusals,
        },
    };
    let changed = differing(&was, &is).into_iter();
    refusals.extend(changed.map(|(key, was, is)| {
        format!("{key} cannot change from {was} to {is} while a run is under way; stop the run first")
    }));
    refusals
}

fn none() -> String {
    "(not set)".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn loaded(text: &str) -> Loaded {
        Config::parse(text, "/c.toml").unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn what_may_change_is_taken_over() {
        let old = loaded("");
        let new = loaded(
            "[run]\ncycles = 9\npause = \"1m\"\nquiet = [\"22:00-06:00\"]\nzone = \"Europe/Berlin\"\nstop_on_fail = true\n\
             [log]\nlevel = \"debug\"\n[limits]\nthreads = 99\n[retention]\nruns = 3\n[observe]\nevery = \"2s\"\n[notify]\nresolve_after = 9\n\
             [api]\ntoken = { env = \"T\" }\n[schedule.nightly]\ncron = \"@daily\"\n",
        );
        assert_eq!(reload_refusals(&old, &new, UnderWay::File), Vec::<String>::new());
    }

    #[test]
    fn places_cannot_change_while_the_daemon_lives() {
        let new = loaded("[run]\nstate_dir = \"/other\"\n[api]\nsocket = \"/s\"\nlisten = \"127.0.0.1:1\"\n");
        let expected = [
            "run.state_dir cannot change from soakd-state to /other while the daemon runs; restart it for that",
            "api.socket cannot change from (not set) to /s while the daemon runs; restart it for that",
            "api.listen cannot change from (not set) to 127.0.0.1:1 while the daemon runs; restart it for that",
        ];
        assert_eq!(reload_refusals(&loaded(""), &new, UnderWay::Nothing), expected);
    }

    #[test]
    fn a_test_cannot_change_while_it_is_under_way() {
        let (old, new) = (loaded("[run]\nseed = 1\n"), loaded("[run]\nseed = 2\n"));
        assert_eq!(reload_refusals(&old, &new, UnderWay::Nothing), Vec::<String>::new());
        let expected = ["run.seed cannot change from 1 to 2 while a run is under way; stop the run first"];
        assert_eq!(reload_refusals(&old, &new, UnderWay::File), expected);
    }

    #[test]
    fn a_schedule_is_compared_by_what_its_runs_do() {
        let base = "[schedule.nightly]\ncron = \"@daily\"\n[schedule.nightly.run]\ncycles = 1\nseed = 5\n";
        let (old, new) = (loaded(base), loaded(&format!("{base}[run]\nseed = 2\n[verify]\nevidence = 9\n")));
        let said = reload_refusals(&old, &new, UnderWay::Schedule("nightly"));
        assert_eq!(said, ["verify.evidence cannot change from 50 to 9 while a run is under way; stop the run first"]);
        let gone = reload_refusals(&old, &loaded(""), UnderWay::Schedule("nightly"));
        assert_eq!(gone, ["schedule.nightly cannot go while a run of it is under way; stop the run first"]);
    }
}
