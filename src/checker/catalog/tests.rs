use super::*;

fn state(version: i64) -> State {
    State { version, content: format!("c{version}"), writer: "concurrent_writers/1".into(), operation: version }
}

fn dataset(name: &str, acknowledged: u64) -> Dataset {
    let last = state(1 + acknowledged as i64);
    let row = Some(Row { state: last.clone(), total: acknowledged as i64 });
    Dataset { name: name.into(), acknowledged, last, row, ..Dataset::default() }
}

fn seen(looked: u64) -> Watched {
    Watched { looked, ..Watched::default() }
}

/// Returns a cycle in which everything is as it must be.
fn clean() -> Evidence {
    let figures = Figures { descriptors: 12, threads: 3, connections: Some(0), ..Figures::default() };
    Evidence {
        datasets: vec![dataset("dataset_001", 7), dataset("dataset_002", 0)],
        meta: Some(8),
        monotonic: seen(5),
        own_writes: seen(4),
        staleness: seen(3),
        staleness_ms: 1_000,
        resolution: Resolution {
            clients: 10,
            attempts_max: 5,
            attempts: [(1, 7), (2, 2), (3, 1)].into(),
            ..Resolution::default()
        },
        cleanup_clients: 10,
        cleanup: Some(Cleanup { before: figures, after: figures, readable: 2, datasets: 2 }),
        activity: Activity { clients: 10, successful_writes: 7, reads: 500, timed: Some((500, 2_000)), versions: 4 },
        journal: Settled { operations: 520, acknowledged: 1, refused: 2, ..Settled::default() },
        ..Evidence::default()
    }
}

fn verdicts(evidence: &Evidence) -> Vec<(String, Option<Verdict>)> {
    judge(evidence).into_iter().map(|check| (check.check, check.verdict)).collect()
}

/// Plants something, and returns the one check that is no longer passed.
fn planted(plant: impl FnOnce(&mut Evidence)) -> CheckResult {
    let mut evidence = clean();
    plant(&mut evidence);
    let mut checks = judge(&evidence);
    checks.retain(|check| check.verdict != Some(Verdict::Pass));
    assert_eq!(checks.len(), 1, "{checks:#?}");
    checks.remove(0)
}

fn is(check: &CheckResult, name: &str, verdict: Verdict, evidence: &[&str]) {
    assert_eq!((check.check.as_str(), check.verdict), (name, Some(verdict)), "{check:#?}");
    assert_eq!(check.evidence, evidence, "{check:#?}");
}

#[test]
fn a_clean_cycle_passes_every_check() {
    let checks = judge(&clean());
    assert!(checks.iter().all(|check| check.verdict == Some(Verdict::Pass)), "{checks:#?}");
    let names: Vec<_> = checks.iter().map(|check| check.check.as_str()).collect();
    assert_eq!(
        names,
        [
            "catalog.versions",
            "catalog.lost_updates",
            "catalog.monotonic_reads",
            "catalog.read_your_writes",
            "catalog.staleness",
            "catalog.resolution",
            "catalog.cleanup",
            "catalog.activity",
            "catalog.journal"
        ]
    );
    assert!(checks[5].summary.ends_with("Attempts: 1×7 2×2 3×1"), "{}", checks[5].summary);
    assert!(checks[6].summary.ends_with("File descriptors: 12 -> 12, Threads: 3 -> 3, Server connections: 0 -> 0"));
}

#[test]
fn nothing_looked_at_is_not_a_pass_and_nobody_there_is_not_exercised() {
    let idle = Evidence {
        resolution: Resolution { clients: 2, ..Resolution::default() },
        cleanup_clients: 2,
        activity: Activity { clients: 2, ..Activity::default() },
        meta: Some(1),
        ..Evidence::default()
    };
    assert!(
        verdicts(&idle).iter().all(|(_, verdict)| *verdict == Some(Verdict::Inconclusive)),
        "{:?}",
        verdicts(&idle)
    );
    let nobody = verdicts(&Evidence { meta: Some(1), ..Evidence::default() });
    let exercised: Vec<_> = nobody.iter().filter(|(_, v)| v.is_some()).map(|(name, _)| name.as_str()).collect();
    assert_eq!(exercised, ["catalog.versions", "catalog.lost_updates", "catalog.journal"]);
    assert!(nobody.iter().all(|(_, verdict)| *verdict != Some(Verdict::Pass)));
}

#[test]
fn versions_beyond_the_acknowledged_writes_are_found() {
    let check = planted(|evidence| evidence.meta = Some(9));
    let line = "the catalog is at version 9 instead of 8 (1 + 7 acknowledged writes): 1 more than anybody was told of";
    is(&check, "catalog.versions", Verdict::Fail, &[line]);
    let check = planted(|evidence| evidence.meta = None);
    is(&check, "catalog.versions", Verdict::Fail, &["the catalog's own version is gone"]);
    let check = planted(|evidence| evidence.datasets[0].row = None);
    is(&check, "catalog.versions", Verdict::Fail, &["dataset_001 is gone; it must be at version 8"]);
    let check = planted(|evidence| evidence.strangers.push("zebra".into()));
    is(&check, "catalog.versions", Verdict::Fail, &["zebra is no dataset of the catalog"]);
}

/// Plants something that both checks of rows find, and returns the evidence of the second.
fn lost(plant: impl FnOnce(&mut Row)) -> Vec<String> {
    let mut evidence = clean();
    plant(evidence.datasets[0].row.as_mut().unwrap());
    let check = rows::lost_updates(&evidence);
    assert_eq!(check.verdict, Some(Verdict::Fail));
    check.evidence
}

#[test]
fn lost_updates_are_found_with_dataset_version_and_writer() {
    let by = "concurrent_writers/1, operation";
    assert_eq!(
        lost(|row| row.state = state(7)),
        [format!("dataset_001: version 8 was acknowledged to {by} 8, and version 7 by {by} 7 stands there")]
    );
    assert_eq!(
        lost(|row| row.state.content = "x".into()),
        [format!("dataset_001: version 8 was acknowledged to {by} 8 with content c8, and holds x by {by} 8")]
    );
    assert_eq!(
        lost(|row| row.state = state(9)),
        [format!("dataset_001: version 9 by {by} 9 stands over the last acknowledged one (8, by {by} 8)")]
    );
    assert_eq!(lost(|row| row.total = 6), ["dataset_001: 6 writes are counted in it, 7 were acknowledged"]);
    let check = planted(|evidence| (0..50).for_each(|n| evidence.twice.found(|| format!("version {n} twice"))));
    assert_eq!((check.check.as_str(), check.evidence.len(), check.evidence_total), ("catalog.lost_updates", 20, 50));
    // What a dataset begins with must stand there until it is written.
    let check = planted(|evidence| evidence.datasets[1].row.as_mut().unwrap().state.content = "x".into());
    assert!(check.evidence[0].starts_with("dataset_002: version 1 was acknowledged to"));
}

#[test]
fn open_writes_make_doubt_and_only_as_much_as_they_may_have_done() {
    let with = |open, version| {
        let mut evidence = clean();
        evidence.datasets[0].open = open;
        evidence.datasets[0].row = Some(Row { state: state(version), total: version - 1 });
        evidence.meta = Some(version);
        (rows::versions(&evidence).verdict.unwrap(), rows::lost_updates(&evidence).verdict.unwrap())
    };
    use Verdict::*;
    assert_eq!(with(1, 9), (Inconclusive, Inconclusive));
    assert_eq!(with(1, 8), (Pass, Pass));
    assert_eq!((with(1, 10), with(1, 7), with(0, 9)), ((Fail, Fail), (Fail, Fail), (Fail, Fail)));
}

#[test]
fn reads_that_break_a_rule_are_found() {
    let broken = |watched: &mut Watched| (0..30).for_each(|n| watched.found(|| format!("read {n}")));
    for (check, name) in [
        (planted(|evidence| broken(&mut evidence.monotonic)), "catalog.monotonic_reads"),
        (planted(|evidence| broken(&mut evidence.own_writes)), "catalog.read_your_writes"),
        (planted(|evidence| broken(&mut evidence.staleness)), "catalog.staleness"),
    ] {
        assert_eq!((check.check.as_str(), check.verdict), (name, Some(Verdict::Fail)));
        assert_eq!((check.evidence.len(), check.evidence[0].as_str(), check.evidence_total), (20, "read 0", 30));
    }
    let check = planted(|evidence| evidence.staleness = seen(0));
    is(&check, "catalog.staleness", Verdict::Inconclusive, &[]);
}

#[test]
fn clients_that_spend_their_attempts_are_found_and_interrupted_ones_are_doubt() {
    let without = |evidence: &mut Evidence| {
        evidence.resolution.attempts.remove(&3);
    };
    let check = planted(|evidence| {
        without(evidence);
        evidence.resolution.unresolved = vec![4];
    });
    is(&check, "catalog.resolution", Verdict::Fail, &["client 4 spent its 5 attempts"]);
    let check = planted(|evidence| {
        without(evidence);
        evidence.resolution.interrupted = vec![4];
    });
    is(&check, "catalog.resolution", Verdict::Inconclusive, &["client 4 was interrupted by another error"]);
    let check = planted(|evidence| evidence.resolution.attempts = [(1, 9), (6, 1)].into());
    is(&check, "catalog.resolution", Verdict::Fail, &[]);
}

#[test]
fn what_is_left_open_is_found_with_its_figures() {
    let with = |change: fn(&mut Cleanup)| planted(|evidence| change(evidence.cleanup.as_mut().unwrap()));
    let check = with(|cleanup| cleanup.after.connections = Some(2));
    is(&check, "catalog.cleanup", Verdict::Fail, &["Server connections: 0 -> 2"]);
    let check = with(|cleanup| cleanup.after.database_descriptors = 1);
    is(&check, "catalog.cleanup", Verdict::Fail, &["File descriptors of the database: 0 -> 1"]);
    let check = with(|cleanup| cleanup.after.sockets = 3);
    is(&check, "catalog.cleanup", Verdict::Fail, &["Sockets to the server: 0 -> 3"]);
    let check = with(|cleanup| cleanup.after.session_threads = 2);
    is(&check, "catalog.cleanup", Verdict::Fail, &["Threads of SQLite connections: 0 -> 2"]);
    let check = with(|cleanup| (cleanup.before.worker_threads, cleanup.after.worker_threads) = (1, 2));
    is(&check, "catalog.cleanup", Verdict::Fail, &["Threads of workers: 1 -> 2"]);
    let check = with(|cleanup| cleanup.after.sessions = 1);
    is(&check, "catalog.cleanup", Verdict::Fail, &["1 session was never given back"]);
    let check = with(|cleanup| cleanup.readable = 1);
    is(&check, "catalog.cleanup", Verdict::Fail, &["1 of 2 datasets could be read"]);
    let check = planted(|evidence| evidence.cleanup = None);
    is(&check, "catalog.cleanup", Verdict::Inconclusive, &[]);
}

#[test]
fn what_others_hold_open_is_shown_and_not_judged() {
    let mut evidence = clean();
    let after = &mut evidence.cleanup.as_mut().unwrap().after;
    (after.descriptors, after.threads) = (90, 40);
    let check = judge(&evidence).remove(6);
    assert_eq!(check.verdict, Some(Verdict::Pass));
    assert!(check.summary.contains("File descriptors: 12 -> 90, Threads: 3 -> 40"), "{}", check.summary);
}

#[test]
fn scenarios_that_did_too_little_prove_nothing() {
    let with = |change: fn(&mut Activity)| planted(|evidence| change(&mut evidence.activity));
    let check = with(|activity| activity.successful_writes = 0);
    is(&check, "catalog.activity", Verdict::Inconclusive, &["no concurrent write succeeded"]);
    let check = with(|activity| activity.timed = Some((20, 2_000)));
    let slow = "the read-heavy scenario read 10.0 times a second, and more than 10 are promised";
    is(&check, "catalog.activity", Verdict::Inconclusive, &[slow]);
    let check = with(|activity| activity.versions = 1);
    let one = "readers saw 1 version of one dataset through the cache, and more than 1 is promised";
    is(&check, "catalog.activity", Verdict::Inconclusive, &[one]);
    let mut short = clean();
    // In less than a second no rate is promised.
    short.activity.timed = Some((5, 900));
    assert_eq!(scenarios::activity(&short.activity).verdict, Some(Verdict::Pass));
    assert_eq!(with(|activity| (activity.reads, activity.timed) = (0, None)).evidence_total, 1);
}

#[test]
fn operations_without_a_known_end_never_pass() {
    let with = |change: fn(&mut Settled)| planted(|evidence| change(&mut evidence.journal));
    let check = with(|settled| (settled.open, settled.open_total) = (vec!["a write".into()], 1));
    is(&check, "catalog.journal", Verdict::Inconclusive, &["a write"]);
    let check = with(|settled| settled.dropped = 3);
    is(&check, "catalog.journal", Verdict::Inconclusive, &["3 operations with an unknown end were too many to keep"]);
    let check = with(|settled| settled.untold = 1);
    assert_eq!((check.verdict, check.evidence.len()), (Some(Verdict::Inconclusive), 1));
    assert_eq!(with(|settled| settled.operations = 0).evidence_total, 0);
}
