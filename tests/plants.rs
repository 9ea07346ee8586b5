//! Every planted bug of the embedded target must be found by the real daemon, under its right name and with the right row,
//! and nothing else may be blamed; without a planted bug everything passes.

#![allow(clippy::unwrap_used)]

#[path = "support/soak.rs"]
mod soak;

use std::collections::BTreeSet;

use soak::{Ended, Soak};

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

fn planted(bug: &'static str, pace: &'static str) -> Ended {
    Soak { plants: vec![bug], pace, ..Soak::default() }.run()
}

fn is_victim(key: &str) -> bool {
    key.starts_with("db1_") && key.ends_with("_3")
}

/// Asserts that a cycle failed by these checks only.
fn assert_fails_by<const N: usize>(ended: &Ended, checks: [&str; N]) {
    ended.assert_code(1);
    assert_eq!(ended.cycle(1)["verdict"], "fail", "{}", ended.story());
    assert_eq!(ended.checks(1, "fail"), set(checks), "{}", ended.story());
    assert_eq!(ended.checks(1, "inconclusive"), set([]), "{}", ended.story());
}

/// Asserts that a convergence check blames rows of one class only, and returns (key, place) of each.
fn blamed_as(ended: &Ended, check: &str, class: &str) -> BTreeSet<(String, String)> {
    let blamed = ended.blamed(1, check);
    assert!(!blamed.is_empty() && blamed.iter().all(|(found, ..)| found == class), "{}", ended.story());
    blamed.into_iter().map(|(_, key, place)| (key, place)).collect()
}

fn pairs<const N: usize>(all: [(&str, &str); N]) -> BTreeSet<(String, String)> {
    all.map(|(key, place)| (key.to_owned(), place.to_owned())).into()
}

/// Asserts that exactly these lines of a check speak of something accepted.
fn assert_accepted<const N: usize>(ended: &Ended, check: &str, begin: [&str; N]) {
    let lines: Vec<String> = ended.evidence(1, check).into_iter().filter(|line| line.contains("ACCEPTED")).collect();
    assert_eq!(lines.len(), N, "{lines:#?}\n{}", ended.story());
    for begin in begin {
        assert!(lines.iter().any(|line| line.starts_with(begin)), "{begin}: {lines:#?}");
    }
}

#[test]
fn a_dropped_change_is_lost_everywhere_but_where_it_was_made() {
    let ended = planted("drop-change", "lockstep");
    assert_fails_by(&ended, ["convergence.user1"]);
    let all = [("db1_r3_3", "DB2"), ("db1_r3_3", "the reader of user 1"), ("db1_r3_3", "the server")];
    assert_eq!(blamed_as(&ended, "convergence.user1", "lost"), pairs(all));
    let ended = planted("drop-change", "concurrent");
    assert_fails_by(&ended, ["convergence.user1"]);
    assert!(blamed_as(&ended, "convergence.user1", "lost").iter().all(|(key, _)| is_victim(key)), "{}", ended.story());
}

#[test]
fn a_stale_row_is_stale_on_the_replicas_and_right_on_the_server() {
    let ended = planted("stale-row", "lockstep");
    assert_fails_by(&ended, ["convergence.user1"]);
    let stale = blamed_as(&ended, "convergence.user1", "stale");
    assert!(stale.contains(&("db1_r3_3".into(), "the reader of user 1".into())), "{}", ended.story());
    for pace in ["lockstep", "concurrent"] {
        let ended = planted("stale-row", pace);
        assert_fails_by(&ended, ["convergence.user1"]);
        let stale = blamed_as(&ended, "convergence.user1", "stale");
        assert!(stale.iter().all(|(key, place)| is_victim(key) && place != "the server"), "{}", ended.story());
    }
}

#[test]
fn a_deleted_row_that_returns_is_resurrected() {
    for pace in ["lockstep", "concurrent"] {
        let ended = planted("resurrect-row", pace);
        assert_fails_by(&ended, ["convergence.user1"]);
        let blamed = ended.blamed(1, "convergence.user1");
        // Side by side, the other database may update the row that is back, and lose that update when it is deleted again.
        let class = |found: &str| found == "resurrected" || (pace == "concurrent" && found == "stale");
        assert!(blamed.iter().all(|(found, key, _)| class(found) && is_victim(key)), "{}", ended.story());
        let first = |(found, key, _): &(String, String, String)| found == "resurrected" && key == "db1_r1_3";
        assert!(blamed.iter().any(first), "{}", ended.story());
    }
}

#[test]
fn a_row_under_a_second_key_is_duplicated() {
    for pace in ["lockstep", "concurrent"] {
        let ended = planted("duplicate-row", pace);
        assert_fails_by(&ended, ["convergence.user1"]);
        let twins = blamed_as(&ended, "convergence.user1", "duplicated");
        assert!(twins.iter().all(|(key, _)| key.starts_with("db1_") && key.ends_with("_900003")), "{}", ended.story());
        let told = ended.evidence(1, "convergence.user1");
        assert!(told.iter().all(|line| line.contains("its content is that of db1_") && line.ends_with("_3")));
    }
}

#[test]
fn a_leaked_row_is_foreign_to_the_user_who_sees_it() {
    for pace in ["lockstep", "concurrent"] {
        let ended = planted("leak-foreign-row", pace);
        // That user 2 may not change the rows that it should not even see is told by the server itself.
        assert_fails_by(&ended, ["convergence.user2", "isolation.matrix", "health.errors"]);
        let foreign = blamed_as(&ended, "convergence.user2", "foreign");
        assert!(foreign.iter().all(|(key, _)| is_victim(key)), "{}", ended.story());
        let places = ["DB3", "DB4", "the reader of user 2"];
        assert!(foreign.iter().all(|(_, place)| places.contains(&place.as_str())), "{}", ended.story());
        assert!(foreign.iter().any(|(key, _)| key == "db1_r3_3"), "{}", ended.story());
        let matrix = ended.evidence(1, "isolation.matrix");
        assert!(matrix.iter().all(|line| line.starts_with("select: user 2 sees row db1_")), "{}", ended.story());
        let once: BTreeSet<&String> = matrix.iter().collect();
        assert_eq!(once.len(), matrix.len(), "{}", ended.story());
        let refused = ended.evidence(1, "health.errors");
        assert!(
            refused.iter().all(|l| l.contains("/denied)") && (l.contains("DB3") || l.contains("DB4"))),
            "{refused:#?}"
        );
    }
}

#[test]
fn a_verb_that_is_not_refused_is_named_with_both_users() {
    let cases: [(&str, &[&str]); 4] = [
        ("forged-insert", &["insert"]),
        // Taking a row over is an update of somebody else's row too.
        ("forged-update", &["update", "update (owner change: take)"]),
        ("forged-delete", &["delete"]),
        ("forged-owner", &["update (owner change: give)"]),
    ];
    for (bug, verbs) in cases {
        let ended = planted(bug, "lockstep");
        assert_fails_by(&ended, ["isolation.matrix"]);
        let lines = ended.evidence(1, "isolation.matrix");
        let expected: Vec<String> = verbs
            .iter()
            .flat_map(|verb| [(1, 2), (2, 1)].map(|(one, two)| format!("{verb}: user {one} on row probe_{two}_{one}_")))
            .collect();
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for begin in expected {
            assert!(lines.iter().any(|l| l.starts_with(&begin) && l.contains("ACCEPTED")), "{begin}: {lines:#?}");
        }
    }
}

#[test]
fn a_credential_that_is_not_refused_is_named() {
    let cases = [("no-token", "no credential"), ("expired-token", "expired token"), ("revoked-token", "revoked token")];
    for (bug, credential) in cases {
        let ended = planted(bug, "lockstep");
        assert_fails_by(&ended, ["isolation.credentials"]);
        assert_accepted(&ended, "isolation.credentials", [credential]);
    }
}

#[test]
fn what_was_acknowledged_and_never_committed_is_lost() {
    // With this seed DB3 is the last to update, and its push is the one that goes missing.
    let ended = Soak { plants: vec!["ack-before-commit"], iterations: 2, ..Soak::default() }.run();
    assert_fails_by(&ended, ["convergence.user2", "health.errors"]);
    let places = ["DB3", "DB4", "the reader of user 2"];
    let all = places.map(|place| [("db3_r2_1", place), ("db4_r2_1", place)]);
    let all = all.as_flattened().iter().map(|(key, place)| ((*key).to_owned(), (*place).to_owned())).collect();
    assert_eq!(blamed_as(&ended, "convergence.user2", "lost"), all, "{}", ended.story());
    for line in ended.evidence(1, "convergence.user2") {
        assert!(line.contains("and the 59 rows after it"), "{line}");
        assert!(line.contains("holds the state of DB4 cycle 1 step 16") && line.contains("expected the state of DB3"));
    }
    let crash = &ended.evidence(1, "health.errors")[0];
    assert!(crash.starts_with("the embedded target ended by signal 6 (SIGABRT)"), "{crash}");
}

#[test]
fn a_fault_is_blamed_on_the_cycle_in_which_it_happens() {
    let ended = Soak { plants: vec!["drop-change"], cycles: 2, ..Soak::default() }.run();
    ended.assert_code(1);
    for cycle in [1, 2] {
        assert_eq!(ended.checks(cycle, "fail"), set(["convergence.user1"]), "{}", ended.story());
        assert!(
            ended.blamed(cycle, "convergence.user1").iter().all(|(class, key, _)| class == "lost" && is_victim(key))
        );
    }
}

fn passes(seed: u64, mode: &'static str, pace: &'static str, rls: bool) {
    let ended = Soak { seed, mode, pace, rls, ..Soak::default() }.run();
    ended.assert_passed(if rls { &[] } else { &["isolation.matrix"] });
}

#[test]
fn without_a_planted_bug_everything_passes_in_lockstep() {
    for (seed, rls) in [(7, true), (8, false), (9, true)] {
        for mode in ["classic", "incremental", "contended"] {
            passes(seed, mode, "lockstep", rls);
        }
    }
}

#[test]
fn without_a_planted_bug_everything_passes_concurrently() {
    for (seed, rls) in [(7, true), (8, false), (9, true)] {
        for mode in ["classic", "incremental", "contended"] {
            passes(seed, mode, "concurrent", rls);
        }
    }
    let ended = Soak { cycles: 2, pace: "concurrent", mode: "contended", ..Soak::default() }.run();
    ended.assert_passed(&[]);
}

#[test]
fn bugs_are_planted_by_their_names_and_on_request_only() {
    let run = |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let (code, out, err) = soak::soakd(&args, &[]);
        assert_eq!((code, out.as_str()), (Some(64), ""), "{err}");
        err
    };
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state").display().to_string();
    let err = run(&["run", "--demo", "--state-dir", &state, "--plant", "drop-change"]);
    assert!(err.contains("--plant breaks the embedded target on purpose; add --testing"), "{err}");
    let err = run(&["run", "--demo", "--state-dir", &state, "--plant", "drop-chance", "--testing"]);
    assert!(err.contains("\"drop-chance\"") && err.contains("leak-foreign-row, drop-change"), "{err}");
    assert!(err.contains("ack-before-commit"), "{err}");
    assert!(!dir.path().join("state").exists(), "a refused start leaves nothing behind");
}
