//! A target that stops answering is an interval in the report, seen by a probe of its own, and its run goes on afterwards.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;

use std::time::Duration;

use daemon::{Daemon, children, configuration, list, report, run_command, send, small};
use rustix::process::Signal;

#[test]
fn a_target_that_is_silent_for_a_while_is_an_interval() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = format!(
        "[run]\nseed = 5\ncycles = 2\npause = \"4s\"\n{}[timeouts]\nprobe = \"1s\"\n",
        small("concurrent", (50, 3, 2), "")
    );
    let config = configuration(dir.path(), &text);
    let state = dir.path().join("state");
    let mut daemon = Daemon::start(&mut run_command(&config, &state, &[]));
    // Between two cycles nobody else talks to the target: only the probe can see that it is silent.
    daemon.line("cycle 1: PASS");
    let target = children(daemon.pid()).into_iter().find(|part| part.part == "target").expect("the target");
    send(target.pid, Signal::STOP);
    daemon.line("does not answer its liveness probe: no answer within 1s");
    assert!(daemon.lives_for(Duration::from_millis(300)));
    send(target.pid, Signal::CONT);
    let ended = daemon.end();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let report = report(&state);
    let outages = list(&report, "outages");
    assert_eq!(outages.len(), 1, "{outages:#?}");
    let at = |name: &str| outages[0][name].as_i64().unwrap_or_else(|| panic!("{name} is a time: {outages:#?}"));
    assert!(at("until_ms") > at("from_ms"), "{outages:#?}");
    assert!(ended.stdout.contains("no answer within 1s"), "the text report shows it: {}", ended.stdout);
}
