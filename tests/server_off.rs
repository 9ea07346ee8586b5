//! Where the server's own content is not read, the report says so, and the verdict comes from everything else.

#![allow(clippy::unwrap_used)]

#[path = "support/soak.rs"]
mod soak;

use soak::Soak;

fn soak() -> Soak {
    Soak { more: "[verify]\nserver = false\n".into(), ..Soak::default() }
}

#[test]
fn a_side_that_is_not_looked_at_is_shown_and_never_counted() {
    let ended = Soak { cycles: 2, pace: "concurrent", ..soak() }.run();
    ended.assert_passed(&["convergence.user1.server", "convergence.user2.server"]);
    let open = ended.check(1, "convergence.user1.server");
    assert_eq!(open["summary"], "not exercised: verify.server is off", "{open}");
    let proven = ended.check(1, "convergence.user1")["summary"].as_str().unwrap();
    // How many rows are left depends on who deleted last.
    assert!(proven.starts_with("3 replicas hold the same ") && !proven.contains("the server"), "{proven}");
    let matrix = ended.check(1, "isolation.matrix")["summary"].as_str().unwrap();
    assert!(matrix.contains("(readers looked at)"), "{matrix}");
    let (code, text, err) = soak::soakd(&["report", "-c", &ended.config()].map(str::to_owned), &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(text.to_lowercase().contains("not exercised") && text.contains("convergence.user1.server"), "{text}");
    let listed = ended.report["derived"]["not_exercised"].to_string();
    assert!(listed.contains("convergence.user1.server") && listed.contains("convergence.user2.server"), "{listed}");
}

#[test]
fn what_replicas_and_readers_show_is_enough_to_find_most_bugs() {
    for (bug, check, told) in [
        // Nobody but the database that wrote it has it: it never got anywhere.
        ("drop-change", "convergence.user1", "lost: db1_r3_3 in the reader of user 1: "),
        // Whether the server lost it or does not hand it out, nobody can tell without asking the server.
        ("stale-row", "convergence.user1", "lost: db1_r3_3 in the reader of user 1: "),
        ("duplicate-row", "convergence.user1", "duplicated: db1_r3_900003 in DB1: "),
        ("leak-foreign-row", "convergence.user2", "foreign: db1_r3_3 in the reader of user 2: "),
        (
            "forged-insert",
            "isolation.matrix",
            "insert: user 1 on row probe_2_1_insert of user 2: ACCEPTED: a database of user 2",
        ),
        (
            "forged-delete",
            "isolation.matrix",
            "delete: user 1 on row probe_2_1_delete of user 2: ACCEPTED: the row is gone",
        ),
    ] {
        let ended = Soak { plants: vec![bug], ..soak() }.run();
        ended.assert_code(1);
        let evidence = ended.evidence(1, check);
        assert!(evidence.iter().any(|line| line.starts_with(told)), "{told}: {evidence:#?}\n{}", ended.story());
        if check.starts_with("convergence") {
            let (class, _) = told.split_once(':').unwrap();
            assert!(ended.blamed(1, check).iter().all(|(found, ..)| found == class), "{evidence:#?}");
        }
    }
}
