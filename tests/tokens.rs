//! Tokens expire in a long run: they are renewed ahead of time, and where one expires in the middle of a step the step gets
//! a new one. Neither is an error.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;

use daemon::{configuration, ended, report, run_command, small};

#[test]
fn a_run_outlives_its_tokens() {
    let dir = tempfile::tempdir().expect("a directory");
    // Each iteration waits longer than a token lives, so that every receive after a wait meets an expired one.
    let text = format!(
        "[run]\nseed = 4\ncycles = 2\n{}[target.embedded]\ntoken_life = \"2s\"\n",
        small("concurrent", (40, 2, 4), "")
    );
    let text = text.replace("scale =", "mode = \"incremental\"\nwait = \"2500ms\"\nscale =");
    let config = configuration(dir.path(), &text);
    let state = dir.path().join("state");
    let ended = ended(&mut run_command(&config, &state, &[]));
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let report = report(&state);
    assert_eq!(report["totals"]["errors"], 0, "{}", report["totals"]);
    let retries = report["totals"]["retries"].as_u64().expect("a count");
    assert!(retries >= 8, "tokens did expire in mid-step: {retries}");
}
