//! What the real daemon writes to standard error, in each form, and that levels hold.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;

use daemon::{configuration, ended, run_command};
use serde_json::Value;

/// Returns what a short run writes to standard error.
fn stderr_of(log: &str) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let config = configuration(dir.path(), &settings(log));
    let ended = ended(&mut run_command(&config, &dir.path().join("state"), &[]));
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    ended.stderr
}

fn settings(log: &str) -> String {
    format!(
        "[run]\nseed = 8\ncycles = 1\n[workload.sync]\nscale = \"custom\"\nrows = 20\niterations = 1\ndatabases = 2\n\
         [log]\n{log}"
    )
}

/// Returns the phases that lines of JSON tell of.
fn phases(stderr: &str) -> Vec<String> {
    let lines = stderr.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .inspect(|line| {
            let time = line["timestamp"].as_str().expect("a time");
            chrono::DateTime::parse_from_rfc3339(time).expect("a time as RFC 3339 writes it");
            assert_eq!(line["level"], "info", "{line}");
            assert!(line["target"].as_str().is_some_and(|target| target.starts_with("soakd::")), "{line}");
        })
        .filter(|line| line["message"] == "phase" && line["fields"]["cycle"] == 1)
        .filter_map(|line| line["fields"]["phase"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn machines_get_one_json_object_per_line() {
    for log in ["format = \"json\"\n", "level = \"info\"\n"] {
        let stderr = stderr_of(log);
        assert!(phases(&stderr).starts_with(&["load".into(), "settle".into(), "verify".into()]), "{log}: {stderr}");
    }
}

#[test]
fn people_get_text_even_through_a_pipe_if_they_say_so() {
    let stderr = stderr_of("format = \"text\"\n");
    assert!(stderr.contains("  INFO phase cycle=1 phase=load\n"), "{stderr}");
    assert!(!stderr.contains('\x1b'), "colours are for terminals: {stderr:?}");
}

#[test]
fn levels_by_module_hold() {
    let off = stderr_of("format = \"json\"\nlevel = \"info,soakd::engine::cycle=warn\"\n");
    assert!(phases(&off).is_empty() && off.contains("soakd::engine::life"), "{off}");
    let only = stderr_of("format = \"json\"\nlevel = \"error,soakd::engine::cycle=info\"\n");
    assert!(!phases(&only).is_empty() && !only.contains("soakd::engine::life"), "{only}");
}

#[test]
fn under_the_journal_lines_carry_their_priority() {
    if Path::new("/run/systemd/journal/socket").exists() {
        println!("\n*** SKIPPED: a journal runs here, which would get the lines\n");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let config = configuration(dir.path(), &settings(""));
    let path = dir.path().join("stderr");
    let file = File::create(&path).expect("a file");
    let place = file.metadata().expect("its place");
    let status = run_command(&config, &dir.path().join("state"), &[])
        .env("JOURNAL_STREAM", format!("{}:{}", place.dev(), place.ino()))
        .stdout(Stdio::null())
        .stderr(file)
        .status()
        .expect("the daemon runs");
    let said = std::fs::read_to_string(&path).expect("what it said");
    assert!(status.success(), "{said}");
    assert!(said.contains("<6>phase cycle=1 phase=load\n"), "{said}");
}
