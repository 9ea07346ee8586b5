//! Reports as people see them, and what no report may ever do.

pub(crate) mod schema;

use super::sample::{failing, inconclusive, passing};
use super::*;
use crate::model::verdict::Verdict;

#[test]
fn reports_look_as_they_did() {
    for (name, snapshot) in [("passing", passing()), ("failing", failing()), ("inconclusive", inconclusive())] {
        insta::assert_snapshot!(format!("{name}_text"), render(&snapshot, Format::Text));
        insta::assert_snapshot!(format!("{name}_markdown"), render(&snapshot, Format::Markdown));
        insta::assert_snapshot!(format!("{name}_json"), render(&snapshot, Format::Json));
    }
}

#[test]
fn text_is_narrow_and_has_no_control_characters() {
    let mut odd = failing();
    odd.run.name = "x".repeat(300);
    odd.outages[0].reason = "reason ".repeat(60);
    odd.cycles[1].cycle = 9_999_999;
    odd.findings[0].first.message = "\u{9b}2J\u{7f}\u{202e}\x1b]0;x\x07".to_owned();
    for snapshot in [passing(), failing(), inconclusive(), odd] {
        for format in [Format::Text, Format::Markdown, Format::Json] {
            let text = render(&snapshot, format);
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
        }
        let text = render(&snapshot, Format::Text);
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
            assert_eq!(line.trim_end(), line);
        }
    }
}

#[test]
fn markdown_escapes_what_comes_from_outside() {
    let text = render(&failing(), Format::Markdown);
    assert!(text.contains(r"database is locked \| \`BEGIN IMMEDIATE\` &lt;b&gt;3&lt;/b&gt;"), "{text}");
    assert!(text.contains(r"\`a\|b\`"), "{text}");
}

#[test]
fn the_reason_names_the_first_cause() {
    let reason = |snapshot: &Snapshot| headline(snapshot).reason;
    assert_eq!(reason(&passing()), "3 cycles passed every check that was exercised, and 2 criteria hold.");
    assert_eq!(reason(&failing()), "Convergence in cycle 2: 3 rows of user 1 differ: 2 lost, 1 resurrected.");
    let mut running = failing();
    running.run.verdict = None;
    running.run.phase = crate::model::record::Phase::Settle;
    running.epochs.iter_mut().for_each(|epoch| epoch.clean_end = false);
    assert_eq!(headline(&running).word, "UNFINISHED");
    assert!(reason(&running).ends_with("resurrected; now in settle of cycle 3."), "{}", reason(&running));
    running.epochs.iter_mut().for_each(|epoch| epoch.clean_end = true);
    assert_eq!(headline(&running).word, "STOPPED");
    let mut empty = inconclusive();
    empty.cycles.clear();
    empty.cycles_done = 0;
    assert_eq!(reason(&empty), "Stopped by SIGTERM, after 0 finished cycles.");
    let mut quiet = failing();
    quiet.cycles.iter_mut().for_each(|cycle| cycle.verdict = Verdict::Pass);
    assert!(reason(&quiet).starts_with("Criterion memory_slope: anonymous memory of the target grows 3.1 MiB/h"));
    quiet.judgement = None;
    assert!(reason(&quiet).starts_with("Client error (locked) in load of cycle 2: database is locked"));
}

#[test]
fn a_check_that_was_never_exercised_is_named_in_a_pass() {
    let mut snapshot = passing();
    snapshot.cycles.iter_mut().for_each(|cycle| cycle.checks[1].verdict = None);
    let reason = headline(&snapshot).reason;
    assert_eq!(
        reason,
        "3 cycles passed every check that was exercised, and 2 criteria hold; not exercised: isolation.matrix."
    );
    assert!(render(&snapshot, Format::Text).contains("[not exercised] isolation.matrix"));
}

#[test]
fn copies_are_whole_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut snapshot = failing();
    snapshot.run.name = "\u{9b}31m".to_owned();
    for _ in 0..2 {
        write_files(dir.path(), &snapshot, std::slice::from_ref(&snapshot.run)).unwrap();
    }
    assert_eq!(read_run(dir.path(), &snapshot.run.run).unwrap(), snapshot);
    assert_eq!(read_runs(dir.path()).unwrap(), (vec![snapshot.run.clone()], snapshot.made_ms));
    let own = dir.path().join("reports").join(&snapshot.run.run);
    let mut names: Vec<_> = std::fs::read_dir(own).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["report.json", "report.md", "report.txt"]);
    assert!(read_run(dir.path(), "../../etc").is_err());
}
