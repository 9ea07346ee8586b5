//! Runs made up for tests of the reports.

mod compared;

use std::collections::BTreeMap;

use crate::model::finding::{Finding, Kind, Side};
use crate::model::judgement::{CriterionResult, Judgement, LatencySummary};
use crate::model::record::*;
use crate::model::verdict::{CheckResult, Verdict};

const START: i64 = 1_767_225_600_000;
const HASH: &str = "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9";

pub(crate) fn a_finding(at_ms: i64, db: u32) -> Finding {
    Finding {
        at_ms,
        cycle: 2,
        phase: "load".to_owned(),
        db: Some(db),
        user: Some(1),
        iter: Some(3),
        step: Some(14),
        side: Side::Server,
        kind: Kind::Http5xx,
        code: Some("503".to_owned()),
        message: "service unavailable (request 1181)".to_owned(),
        tolerated: true,
    }
}

fn check(name: &str, verdict: Option<Verdict>, summary: &str, evidence: &[&str]) -> CheckResult {
    CheckResult {
        check: name.to_owned(),
        verdict,
        summary: summary.to_owned(),
        evidence: evidence.iter().map(|line| (*line).to_owned()).collect(),
        evidence_total: evidence.len() as u64,
    }
}

fn cycle(no: u64) -> CycleRecord {
    CycleRecord {
        cycle: no,
        started_ms: START + (no as i64 - 1) * 95_000,
        ended_ms: START + no as i64 * 95_000,
        load_ms: 71_480,
        settle_ms: 2_110,
        verify_ms: 17_905,
        checkpoint_us: 48_000,
        settle_rounds: 2,
        steps: 360,
        steps_planned: 360,
        errors: 0,
        rows_final: 40_000,
        content: "3b1f9c60a5de7742".to_owned(),
        epoch: 1,
        server: String::new(),
        checks_digest: String::new(),
        previous: String::new(),
        digest: String::new(),
        verdict: Verdict::Pass,
        checks: vec![
            check(
                "convergence",
                Some(Verdict::Pass),
                "4 databases of 2 users hold what the model says",
                &[
                    "user 1: databases 1-2 and the server hold the same 20,000 rows, digest 3b1f9c60a5de7742",
                    "user 2: databases 3-4 and the server hold the same 20,000 rows, digest 90c1d5e2f8a34b06",
                ],
            ),
            check(
                "isolation.matrix",
                Some(Verdict::Pass),
                "all 8 foreign operations were refused",
                &[
                    "user 1 on rows of user 2: select, insert, update, delete refused",
                    "user 2 on rows of user 1: select, insert, update, delete refused",
                ],
            ),
            check("health", Some(Verdict::Pass), "360 of 360 steps counted, no error that is not expected", &[]),
        ],
    }
}

pub(crate) fn passing() -> Snapshot {
    let totals = Counters {
        steps: 1_080,
        crud_ops: 2_400_120,
        sync_ops: 720,
        rows_inserted: 1_200_000,
        rows_updated: 2_398_040,
        rows_deleted: 1_160_000,
        changes_sent: 3_600_000,
        changes_received: 3_587_212,
        bytes: 301_000_000,
        busy_us: 804_000_000,
        ..Counters::default()
    };
    let each = Counters { steps: 270, crud_ops: 600_030, sync_ops: 180, busy_us: 201_000_000, ..Counters::default() };
    let slowest_us = BTreeMap::from([("received".to_owned(), 1_840_000), ("inserted".to_owned(), 310_000)]);
    let database = |db| DbSummary {
        db,
        user: db.div_ceil(2),
        counters: each.clone(),
        rows_final: 20_000,
        slowest_us: slowest_us.clone(),
    };
    Snapshot {
        lanes: Default::default(),
        lines: Vec::new(),
        format: FORMAT,
        made_ms: START + 290_000,
        run: run(),
        epochs: vec![epoch(1, 0, 285_000, true)],
        totals,
        databases: (1..=4).map(database).collect(),
        cycles_done: 3,
        cycles_by_verdict: BTreeMap::from([(Verdict::Pass, 3)]),
        cycles: (1..=3).map(cycle).collect(),
        findings: Vec::new(),
        findings_ungrouped: 0,
        outages: Vec::new(),
        outages_dropped: 0,
        logs: BTreeMap::new(),
        judgement: Some(judgement()),
        latency: vec![
            latency("inserted", 120, 14_300),
            latency("received", 360, 1_104_000),
            latency("sent", 360, 512_000),
        ],
        baseline: None,
        receipt: String::new(),
        changes: Default::default(),
    }
}

fn latency(action: &str, count: u64, p50_us: u64) -> LatencySummary {
    LatencySummary {
        action: action.to_owned(),
        count,
        p50_us,
        p90_us: p50_us * 5 / 4,
        p99_us: p50_us * 8 / 5,
        p999_us: p50_us * 5 / 3,
        max_us: p50_us * 5 / 3 + 17,
    }
}

fn result(criterion: &str, metric: &str, verdict: Option<Verdict>, summary: &str) -> CriterionResult {
    CriterionResult {
        criterion: criterion.to_owned(),
        metric: metric.to_owned(),
        verdict,
        summary: summary.to_owned(),
        limit: None,
        value: None,
        low: None,
        high: None,
        confidence: verdict.map(|_| 0.99),
        samples: 0,
        detectable: None,
        reaches_ms: None,
        evidence: Vec::new(),
    }
}

/// What the criteria of a short run come to.
fn judgement() -> Judgement {
    let short = "not judged: a run of 3 cycles is too short, 30 cycles and 3 h are needed; what is written in [criteria] is \
                 judged in any case";
    let share = result("success_share", "", Some(Verdict::Pass), "all 1,080 steps were acknowledged");
    let share = CriterionResult {
        limit: Some(0.99),
        value: Some(1.0),
        low: Some(0.9939),
        high: Some(1.0),
        samples: 1_080,
        detectable: Some(0.001),
        ..share
    };
    let errors = result("unexpected_errors", "", Some(Verdict::Pass), "no unexpected error");
    let errors =
        CriterionResult { limit: Some(0.0), value: Some(0.0), samples: 1_080, detectable: Some(1.0), ..errors };
    let slope = result("memory_slope", "", None, short);
    let step = result("memory_step", "", None, short);
    let p99 = result("p99", "", None, "not judged: there is no limit unless one is written in [criteria]");
    Judgement {
        at_ms: START + 284_500,
        cycle: 3,
        hash: HASH.to_owned(),
        results: vec![share, errors, slope, step, p99],
    }
}

/// What the criteria of a longer run may come to as well.
fn leaking() -> Vec<CriterionResult> {
    const MIB: f64 = 1_048_576.0;
    let text = "anonymous memory of the target grows 3.1 MiB/h (limit 1 MiB/h)";
    let leak = CriterionResult {
        limit: Some(MIB),
        value: Some(3_250_586.0),
        low: Some(2_516_582.0),
        high: Some(3_984_589.0),
        samples: 62,
        detectable: Some(1_677_722.0),
        reaches_ms: Some(START + 400_000_000),
        evidence: vec!["62 cycles over 24 h, without a warm-up; 58 samples used, worth 41 independent ones".to_owned()],
        ..result("memory_slope", "anon.target", Some(Verdict::Fail), text)
    };
    let flat = |part: &str, value: f64| CriterionResult {
        limit: Some(MIB),
        value: Some((value * MIB).round()),
        low: Some(-65_536.0),
        high: Some(196_608.0),
        samples: 62,
        detectable: Some(1_258_291.0),
        evidence: vec!["had failed after cycle 30: it grew 1.2 MiB/h (limit 1 MiB/h)".to_owned()],
        ..result(
            "memory_slope",
            &format!("anon.{part}"),
            Some(Verdict::Pass),
            &format!("anonymous memory of {part} does not grow more than 1 MiB/h ({value} MiB/h)"),
        )
    };
    let text = "99th percentile of latency of sent cannot be judged: it rose by 3 %, but only 19 % would have been found (limit 5 %)";
    let drift = CriterionResult {
        limit: Some(0.05),
        value: Some(0.03),
        low: Some(-0.06),
        high: Some(0.12),
        samples: 62,
        detectable: Some(0.19),
        ..result("p99_drift", "latency_p99.sent", Some(Verdict::Inconclusive), text)
    };
    let workers = (1..=4).map(|n| flat(&format!("worker-{n}"), f64::from(n) / 50.0));
    workers.chain([leak, drift]).collect()
}

fn run() -> RunRecord {
    RunRecord {
        run: "019b7654-1111-7abc-8def-000000000001".to_owned(),
        name: "nightly".to_owned(),
        schedule: None,
        seed: 8_231_117_204,
        started_ms: START,
        ended_ms: Some(START + 285_000),
        config: BTreeMap::from([
            ("run.cycles".to_owned(), "3".to_owned()),
            ("target.kind".to_owned(), "embedded".to_owned()),
            ("workload.sync.scale".to_owned(), "medium".to_owned()),
        ]),
        scale: ScaleRecord {
            scale: "medium".to_owned(),
            mode: "classic".to_owned(),
            provider: "native".to_owned(),
            target: "embedded sync server".to_owned(),
            rls: true,
            rows: 10_000,
            iterations: 10,
            databases: 4,
            users: 2,
            cycles_planned: Some(3),
            duration_planned_ms: None,
            steps_per_cycle: 360,
        },
        versions: Versions {
            soakd: "0.1.0".to_owned(),
            sqlite: "3.51.0".to_owned(),
            provider: "native 1".to_owned(),
            server: "embedded 0.1.0".to_owned(),
        },
        cycle: 3,
        phase: Phase::Done,
        observed_ms: 284_000,
        verdict: Some(Verdict::Pass),
        criteria: HASH.to_owned(),
        ended_because: Some("cycles done".to_owned()),
    }
}

fn epoch(no: u32, from: i64, until: i64, clean_end: bool) -> EpochRecord {
    EpochRecord {
        epoch: no,
        pid: 4000 + no,
        started_ms: START + from,
        last_ms: START + until,
        cycle: u64::from(no),
        phase: Phase::Load,
        clean_end,
        steps_recovered: u64::from(no - 1) * 3,
    }
}

pub(crate) fn failing() -> Snapshot {
    let mut snapshot = passing();
    snapshot.run.verdict = Some(Verdict::Fail);
    snapshot.judgement.iter_mut().for_each(|judgement| judgement.results.splice(2.., leaking()).for_each(drop));
    snapshot.run.observed_ms = 243_000;
    snapshot.baseline = Some(compared::comparison());
    snapshot.changes = compared::changes();
    snapshot.cycles_by_verdict = BTreeMap::from([(Verdict::Pass, 2), (Verdict::Fail, 1)]);
    let bad = &mut snapshot.cycles[1];
    bad.verdict = Verdict::Fail;
    bad.errors = 41;
    bad.steps = 359;
    bad.checks[0] = check(
        "convergence",
        Some(Verdict::Fail),
        "3 rows of user 1 differ: 2 lost, 1 resurrected",
        &[
            "lost: db1_r3_4411, acknowledged by database 1, missing in database 2 and on the server",
            "lost: db1_r3_4412, acknowledged by database 1, missing in database 2 and on the server",
            "resurrected: db2_r9_17, deleted and acknowledged, back on the server with name \u{1b}[31m`a|b`\n",
        ],
    );
    bad.checks[0].evidence_total = 31;
    bad.checks.push(check("isolation.tokens", None, "not exercised: the target takes no tokens", &[]));
    let mut group = FindingGroup::new(a_finding(START + 100_000, 1));
    (1..38).for_each(|n| group.add(&a_finding(START + 100_000 + n * 130, 1 + (n % 2) as u32)));
    let mut open = a_finding(START + 150_000, 3);
    open.side = Side::Client;
    open.kind = Kind::Locked;
    open.code = Some("5".to_owned());
    open.tolerated = false;
    open.message = "database is locked | `BEGIN IMMEDIATE` <b>3</b>".to_owned();
    let mut locked = FindingGroup::new(open.clone());
    for at in [20_000, 90_000] {
        open.at_ms = START + 150_000 + at;
        locked.add(&open);
    }
    snapshot.findings = vec![group, locked];
    snapshot.totals.errors = 41;
    snapshot.totals.retries = 38;
    snapshot.totals.steps_failed = 1;
    snapshot.databases[0].counters.errors = 19;
    snapshot.epochs = vec![epoch(1, 0, 120_000, false), epoch(2, 161_000, 285_000, true)];
    snapshot.outages = vec![Outage {
        from_ms: START + 99_500,
        until_ms: Some(START + 106_200),
        reason: "connection refused".to_owned(),
    }];
    let mut tail = LogTail::default();
    (0..90).for_each(|n| tail.push(format!("[DB1][iter {}] updated, count={}", 1 + n / 9, 10_000 + n)));
    snapshot.logs = BTreeMap::from([(1, tail), (2, LogTail::default())]);
    snapshot
}

pub(crate) fn inconclusive() -> Snapshot {
    let mut snapshot = passing();
    snapshot.run.verdict = Some(Verdict::Inconclusive);
    snapshot.run.ended_because = Some("stopped by SIGTERM".to_owned());
    snapshot.cycles.truncate(1);
    snapshot.cycles_done = 1;
    snapshot.cycles_by_verdict = BTreeMap::from([(Verdict::Inconclusive, 1)]);
    snapshot.cycles[0].verdict = Verdict::Inconclusive;
    let why = "the server's content could not be read: connection refused (127.0.0.1:8090)";
    snapshot.cycles[0].checks[0] = check("convergence", Some(Verdict::Inconclusive), why, &[]);
    snapshot
}
