//! Somebody else's native code crashes in one worker: a finding with its signal and last lines, and not the end of the run.

#![allow(clippy::unwrap_used)]

#[path = "support/extension.rs"]
mod extension;
#[path = "support/soak.rs"]
mod soak;

use std::collections::BTreeSet;

use soak::Soak;

#[test]
fn a_crash_in_the_extension_is_a_finding_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    // The id of a run, which is part of the path, may hold `db2` too.
    let library = extension::compile_abort_extension_in(dir.path(), "/db2.sqlite");
    let key = dir.path().join("key");
    std::fs::write(&key, "not-a-real-key").unwrap();
    // An address that was free a moment ago refuses connections.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let more = format!(
        "[target.cloudsync]\naddress = \"http://127.0.0.1:{port}\"\ndatabase_id = \"none\"\napi_key = {{ file = {key:?} }}\n\
         [provider.extension]\npath = {library:?}\nentry_point = \"sqlite3_abort_init\"\n\
         statements = {{ set = \"\", get = \"\" }}\n\
         [retry]\nrestarts_per_cycle = 2\n[verify]\nisolation = false\n"
    );
    let soak = Soak { databases: 3, databases_per_worker: Some(1), rls: false, cycles: 2, more, ..Soak::default() };
    for pace in ["concurrent", "lockstep"] {
        let ended = Soak { pace, ..soak.clone() }.run();
        ended.assert_code(1);
        for cycle in [1, 2] {
            assert_eq!(ended.cycle(cycle)["verdict"], "fail", "{}", ended.story());
            let missing = ended.evidence(cycle, "health.steps");
            assert_eq!(missing, ["DB2: 1 of 27 steps"], "{}", ended.story());
            // Without the journal of DB2 nobody can say what must be there.
            let convergence = ended.check(cycle, "convergence.all");
            assert_eq!(convergence["verdict"], "inconclusive", "{}", ended.story());
            assert!(convergence["summary"].as_str().unwrap().contains("DB2 could not be read"), "{convergence}");
            assert_eq!(
                ended.checks(cycle, "none"),
                BTreeSet::from(["convergence.all.server", "isolation"].map(str::to_owned))
            );
            let errors = ended.evidence(cycle, "health.errors");
            assert!(errors.iter().all(|line| line.contains("DB2")), "{errors:#?}");
            let crashes = errors.iter().filter(|l| l.contains("signal 6 (SIGABRT)")).count();
            assert_eq!(crashes, if cycle == 1 { 3 } else { 2 }, "{errors:#?}");
            assert!(errors.iter().any(|l| l.contains("left down until the next cycle")), "{errors:#?}");
            assert!(errors.iter().any(|l| l.contains("DB2 could not be brought to rest")), "{errors:#?}");
        }
        let groups = ended.report["findings"].as_array().unwrap();
        let crash = groups.iter().find(|g| g["first"]["message"].as_str().unwrap().contains("SIGABRT")).unwrap();
        assert_eq!((&crash["first"]["kind"], &crash["first"]["db"]), (&"crash".into(), &2.into()), "{crash}");
        let message = crash["first"]["message"].as_str().unwrap();
        assert!(message.starts_with("the worker of DB2 ended by signal 6 (SIGABRT); its last lines: "), "{message}");
        assert!(message.contains("the extension gives up"), "{message}");
        for database in ended.report["databases"].as_array().unwrap() {
            let steps = if database["db"] == 2 { 2 } else { 54 };
            assert_eq!(database["counters"]["steps"], steps, "{}", ended.story());
        }
        assert_eq!(ended.report["cycles_done"], 2, "{}", ended.story());
        assert_eq!(ended.report["epochs"][0]["clean_end"], true, "{}", ended.story());
    }
}
