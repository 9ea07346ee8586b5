//! Databases that are driven directly, by the real program: the bank and the catalog pass on healthy databases, find what is
//! planted, and say what is wrong with their input.

#![allow(clippy::unwrap_used)]

#[path = "../src/target/cluster.rs"]
#[allow(dead_code, reason = "every test program uses its part of it")]
mod cluster;
#[path = "support/direct.rs"]
mod direct;

use cluster::Cluster;
use direct::{Direct, Ended};

/// Asserts that everything that can be checked was checked and holds, and that no error was unexpected.
fn passed(ended: &Ended, lanes: &[&str]) {
    ended.assert_code(0);
    assert_eq!(ended.unexpected(), 0, "{}", ended.out);
    for lane in lanes {
        assert!(ended.lane(lane)["acknowledged"].as_u64() > Some(0), "{lane}:\n{}", ended.out);
    }
}

const ROLES: [&str; 5] = ["inserter", "transferrer", "reader", "checker", "deleter"];
const SCENARIOS: [&str; 6] =
    ["concurrent_writers", "read_heavy", "lock_resolution", "cache_writers", "cache_readers", "connection_cleanup"];

#[test]
fn the_bank_passes_on_sqlite_with_both_engines() {
    for (engine, backend, workers) in
        [("threads", "sqlite", "3"), ("async", "sqlite-rollback", "3"), ("async", "sqlite", "10")]
    {
        let bank =
            Direct::new("bank --seconds 3").with(&["--engine", engine, "--backend", backend, "--workers", workers]);
        let ended = bank.run();
        passed(&ended, &ROLES);
        assert_eq!(ended.check("bank.money")["verdict"], "pass", "{}", ended.out);
        let steps = ended.report["totals"]["steps"].as_u64();
        assert_eq!(steps, Some(15), "a step for every role and second:\n{}", ended.out);
    }
}

#[test]
fn the_bank_and_the_catalog_pass_on_postgresql_with_both_engines() {
    let cluster = Cluster::start();
    let url = cluster.url("postgres");
    for (engine, isolation) in [("threads", "read-committed"), ("async", "serializable")] {
        let words = ["--backend", "postgres", "--engine", engine, "--isolation", isolation, "--url", &url];
        passed(&Direct::new("bank --seconds 2").with(&words).run(), &ROLES);
        passed(&Direct::new("catalog --seconds 2 --clients 6").with(&words).run(), &SCENARIOS);
    }
}

#[test]
fn without_foreign_keys_the_orphans_are_found() {
    let ended = Direct::new("bank --seconds 2 --no-foreign-keys").run();
    ended.assert_code(1);
    assert_eq!(ended.check("bank.orphans")["verdict"], "fail");
    assert!(ended.evidence("bank.orphans").contains("transfer "), "{}", ended.out);
    assert_eq!(ended.check("bank.money")["verdict"], "pass", "money is conserved all the same:\n{}", ended.out);
}

#[test]
fn the_catalog_passes_on_sqlite_and_prints_the_lines_that_people_know() {
    let catalog = Direct::new("catalog --seconds 2 --clients 6");
    let ended = catalog.run();
    passed(&ended, &SCENARIOS);
    for line in ["Successful writes: ", "Conflicts detected: ", "Reads/sec: ", "Unique versions observed: "] {
        assert!(ended.out.contains(line), "{line} is missing:\n{}", ended.out);
    }
    assert_eq!(ended.check("catalog.versions")["verdict"], "pass");
}

#[test]
fn what_is_planted_in_front_of_the_database_is_found() {
    for (workload, plant, check, word) in [
        ("bank --seconds 3", "lost-update", "bank.balances", "account "),
        ("bank --seconds 3", "double-credit", "bank.balances", "account "),
        ("bank --seconds 3", "phantom-read", "bank.reads", "phantom"),
        ("bank --seconds 3", "lost-batch-half", "bank.batches", "inserter"),
        ("catalog --seconds 1 --clients 6", "lost-update", "catalog.lost_updates", "dataset_"),
        ("catalog --seconds 2 --clients 6", "stale-cache", "catalog.read_your_writes", "dataset_"),
        ("catalog --seconds 1 --clients 6", "leaked-connection", "catalog.cleanup", "->"),
    ] {
        let ended = Direct::new(workload).with(&["--testing", "--plant", plant]).run();
        ended.assert_code(1);
        assert_eq!(ended.check(check)["verdict"], "fail", "{plant}:\n{}", ended.out);
        let told = format!("{} {}", ended.check(check)["summary"], ended.evidence(check));
        assert!(told.contains(word), "{plant}: {told}");
    }
}

#[test]
fn fail_fast_ends_at_the_first_error_with_a_crash_report_and_keeps_the_database() {
    let file = "[run]\ncycles = 3\nseed = 7\n[workload.catalog]\nseconds = 30\nclients = 6\nfail_fast = true\nexpected = [\"locked\"]\n";
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.toml");
    let state = dir.path().join("state");
    std::fs::write(&config, file).unwrap();
    let mut run = Direct::new("-c");
    run.args = ["run", "--plain", "-c", config.to_str().unwrap(), "--state-dir", state.to_str().unwrap()]
        .map(str::to_owned)
        .to_vec();
    let ended = run.run();
    ended.assert_code(1);
    let crashes: Vec<_> = std::fs::read_dir(state.join("crashes")).unwrap().flatten().collect();
    assert_eq!(crashes.len(), 1, "{}", ended.out);
    let report = std::fs::read_to_string(crashes[0].path()).unwrap();
    for wanted in [
        "What      ",
        "Where     concurrent_writers",
        "Seed      7",
        "Unexpected errors\n",
        "conflict",
        "Expected errors\n",
        "Last operations of every worker",
        "workload.catalog.fail_fast = true",
        "SQLite 3.",
    ] {
        assert!(report.contains(wanted), "{wanted} is missing:\n{report}");
    }
    let database = report.lines().find_map(|line| line.strip_prefix("Database  ")).unwrap();
    let path = database.strip_suffix(" (kept)").unwrap();
    assert!(std::path::Path::new(path).exists(), "{path}");
}

#[test]
fn one_workload_on_several_databases_side_by_side() {
    let cluster = Cluster::start();
    let mut run = Direct::new("x");
    run.args = ["compare", "--workload", "bank", "--on", "sqlite-rollback,sqlite,postgres", "--seconds", "1", "--url"]
        .map(str::to_owned)
        .to_vec();
    run.args.push(cluster.url("postgres"));
    let ended = run.run();
    ended.assert_code(0);
    for wanted in
        ["sqlite (rollback)", "sqlite (wal)", "postgres (read committed)", "transferrer", "p99", "bank.orphans"]
    {
        assert!(ended.out.contains(wanted), "{wanted} is missing:\n{}", ended.out);
    }
}

/// Returns a comparison of the bank whose temporary files are in a directory of its own.
fn comparison(words: &[&str]) -> (Direct, std::path::PathBuf) {
    let mut run = Direct::new("x");
    let dir = run.dir.path().join("temporary");
    std::fs::create_dir(&dir).unwrap();
    run.args = ["compare", "--workload", "bank"].into_iter().chain(words.iter().copied()).map(str::to_owned).collect();
    run.env = vec![("TMPDIR".into(), dir.display().to_string())];
    (run, dir)
}

/// Returns all files below a directory that are there when they are looked at.
fn files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_comparison_that_is_stopped_leaves_nothing_behind() {
    let url = "postgres://me:hunter2hunter2@127.0.0.1:1/x";
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let (run, dir) = comparison(&["--on", "sqlite,postgres", "--seconds", "600", "--url", url]);
        let mut child = run.start();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(120);
        while !files(&dir).iter().any(|path| path.extension().is_some_and(|end| end == "log")) {
            assert!(child.try_wait().unwrap().is_none() && std::time::Instant::now() < until, "{}", run.output());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        for path in files(&dir) {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
            assert!(!text.contains("hunter2"), "{} holds the password", path.display());
        }
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        let ended = run.end(child);
        ended.assert_code(2);
        assert!(ended.out.contains("was stopped before its end"), "{}", ended.out);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "{}", ended.out);
    }
}

#[test]
fn a_comparison_keeps_its_crash_report() {
    let (run, dir) = comparison(&["--on", "sqlite", "--seconds", "2", "--no-foreign-keys", "--fail-fast"]);
    let ended = run.run();
    ended.assert_code(1);
    let kept = files(&dir);
    let report = kept.iter().find(|path| path.parent().is_some_and(|dir| dir.ends_with("crashes"))).unwrap();
    assert!(ended.out.contains(&report.display().to_string()), "{}", ended.out);
    let text = std::fs::read_to_string(report).unwrap();
    assert!(text.contains("bank.orphans") && text.contains("SQLite 3."), "{text}");
    assert!(kept.iter().any(|path| path.ends_with("direct.sqlite")), "{kept:?}");
}

#[test]
fn the_catalog_takes_what_it_is_asked_for_or_says_why_not() {
    let mut off = Direct::new("catalog --clients 6");
    off.env = vec![("RUN_STRESS_TESTS".into(), "0".into())];
    let ended = off.run();
    ended.assert_code(0);
    assert!(ended.out.contains("Nothing was run, because RUN_STRESS_TESTS"), "{}", ended.out);
    assert!(!off.state().exists(), "{}", ended.out);
    for words in [&["--clients", "60"][..], &["--clients", "60", "--seconds", "301"]] {
        let ended = Direct::new("catalog").with(words).run();
        ended.assert_code(64);
        assert!(ended.out.contains("add --unbounded"), "{}", ended.out);
    }
    let many = Direct::new("catalog --clients 60 --seconds 1 --unbounded --engine async").run();
    assert!(many.lane("concurrent_writers")["workers"] == 60, "{}", many.out);
    let long = Direct::new("bank --seconds 13001").run();
    long.assert_code(64);
    assert!(long.out.contains("more cycles"), "{}", long.out);
}
