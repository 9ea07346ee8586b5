use super::*;
use crate::model::finding::{Kind, Side};
use crate::model::record::{ScaleRecord, Versions};
use crate::model::step::Step;

fn record(databases: u32, steps_per_cycle: u64) -> RunRecord {
    RunRecord {
        run: "r".into(),
        name: "nightly".into(),
        schedule: None,
        seed: 7,
        started_ms: 0,
        ended_ms: None,
        config: Default::default(),
        scale: ScaleRecord {
            scale: "small".into(),
            mode: "classic".into(),
            provider: "native".into(),
            target: "embedded".into(),
            rls: true,
            rows: 1,
            iterations: 1,
            databases,
            users: 1,
            cycles_planned: None,
            duration_planned_ms: None,
            steps_per_cycle,
        },
        versions: Versions::default(),
        cycle: 1,
        phase: Phase::Load,
        observed_ms: 0,
        criteria: String::new(),
        verdict: None,
        ended_because: None,
    }
}

fn begun(databases: u32, steps_per_cycle: u64) -> BoardBook {
    let mut book = BoardBook::default();
    book.started(&record(databases, steps_per_cycle), false);
    book
}

fn report(db: u32, action: Action, (started_ms, elapsed_us): (i64, u64)) -> StepReport {
    StepReport {
        db,
        cycle: 1,
        step: Step { no: 1, iter: 1, action, crud_ops: 1 },
        outcome: StepOutcome::Acknowledged,
        rows: 0,
        moved: 0,
        bytes: 0,
        attempts: 1,
        started_ms,
        late_us: 0,
        elapsed_us,
        seq: None,
        findings: Vec::new(),
        figures: None,
    }
}

/// Returns one second of a lane, in which every operation took this long.
fn second(lane: Lane, at_ms: i64, (ops, us): (u64, u64)) -> StepReport {
    let mut latency = Latencies::default();
    (0..ops).for_each(|_| latency.record(us));
    let figures = LaneFigures { workers: 3, acknowledged: ops, latency: latency.pack(), ..LaneFigures::default() };
    StepReport { figures: Some(Box::new(figures)), ..report(1, Action::Lane(lane), (at_ms - 1000, 1_000_000)) }
}

const LOAD: (DaemonState, Option<Phase>) = (DaemonState::Running, Some(Phase::Load));

fn shown(book: &mut BoardBook, doing: (DaemonState, Option<Phase>), now_ms: i64) -> Board {
    let mut board = Board::default();
    book.show(&mut board, doing, now_ms);
    board
}

fn finding(message: &str, at_ms: i64, tolerated: bool) -> Finding {
    Finding { tolerated, ..Finding::new(at_ms, 1, "load", (Side::Server, Kind::Other), message) }
}

#[test]
fn lanes_have_rows_with_the_rate_and_the_latency_of_the_last_seconds() {
    let mut book = begun(1, 600);
    for s in 1..=20 {
        let slow = if s <= 5 { 900_000 } else { 2_000 };
        book.steps(
            &[second(Lane::Reader, s * 1000, (500, slow)), second(Lane::Inserter, s * 1000, (40, 8_000))],
            s * 1000,
        );
    }
    let board = shown(&mut book, LOAD, 20_000);
    let rows: Vec<_> = board.workers.iter().map(|row| (row.name.as_str(), row.workers, row.ops)).collect();
    assert_eq!(rows, [("inserter", 3, 800), ("reader", 3, 10_000)], "in the order of the roles");
    let reader = &board.workers[1];
    assert_eq!(reader.ops_per_s, 500.0);
    assert!((1_990..=2_010).contains(&reader.p99_us), "the slow start is over: {}", reader.p99_us);
    assert!((7_990..=8_010).contains(&board.p99_us), "of all together: {}", board.p99_us);
    assert_eq!((reader.state, board.target.as_str()), (WorkerState::Running, "embedded"));
    let later = shown(&mut book, LOAD, 60_000);
    assert_eq!((later.workers[1].ops_per_s, later.workers[1].p99_us, later.p99_us), (0.0, 0, 0));
    assert_eq!((later.workers[1].state, later.workers[1].ops), (WorkerState::Done, 10_000), "its block is over");
}

#[test]
fn a_rate_is_right_from_the_first_seconds_on_and_after_the_clock_went_back() {
    let mut book = begun(1, 600);
    let mut rate = |s: i64, now_ms: i64| {
        book.steps(&[second(Lane::Reader, s * 1000, (500, 100))], now_ms);
        shown(&mut book, LOAD, now_ms).workers[0].ops_per_s
    };
    assert_eq!(rate(101, 101_000), 500.0);
    for s in 102..140 {
        assert_eq!(rate(s, s * 1000), 500.0, "after {s} s");
    }
    assert_eq!(rate(51, 51_000), 500.0, "an hour that comes again is no reason for a wrong rate");
    assert!(rate(i64::MAX / 2000, 52_000).is_finite() && rate(-5, 52_500).is_finite());
}

#[test]
fn databases_beyond_the_bound_share_a_row() {
    let mut book = begun(60, 600);
    for db in 1..=60 {
        let mut bad = report(db, Action::Send, (0, u64::from(db) * 1000));
        bad.late_us = 500;
        bad.findings = vec![finding("lost", 0, false), finding("busy", 0, true)];
        book.steps(&[bad, report(db, Action::Wait { ms: 9 }, (0, 9_000_000))], 1000);
    }
    let board = shown(&mut book, LOAD, 1000);
    assert_eq!(board.workers.len(), DATABASES_MAX as usize + 1);
    let names: Vec<_> = board.workers.iter().map(|row| row.name.as_str()).collect();
    assert_eq!((names[0], names[15], names[16]), ("DB1", "DB16", "others"));
    let others = &board.workers[16];
    assert_eq!((others.workers, others.ops, others.expected, others.unexpected), (44, 88, 44, 44));
    assert_eq!(board.workers[0].p99_us, 1500, "from the intended start, and without the wait");
    assert_eq!(board.workers.iter().map(|row| row.ops).sum::<u64>(), 120);
}

#[test]
fn states_say_who_works_waits_is_done_or_down() {
    let mut book = begun(2, 4);
    let mut failed = report(2, Action::Send, (0, 10));
    failed.outcome = StepOutcome::Failed;
    book.steps(&[report(1, Action::Send, (0, 10)), failed], 1000);
    let states = |book: &mut BoardBook, daemon, phase| {
        shown(book, (daemon, phase), 1000).workers.iter().map(|row| row.state).collect::<Vec<_>>()
    };
    use WorkerState::{Done, Down, Running, Waiting};
    assert_eq!(states(&mut book, DaemonState::Running, Some(Phase::Load)), [Running, Down]);
    assert_eq!(states(&mut book, DaemonState::Paused, Some(Phase::Load)), [Waiting, Down]);
    book.steps(&[report(1, Action::Send, (0, 10)), report(2, Action::Send, (0, 10))], 1500);
    assert_eq!(states(&mut book, DaemonState::Running, Some(Phase::Load)), [Done, Done], "two steps of two");
    assert_eq!(states(&mut book, DaemonState::Running, Some(Phase::Verify)), [Waiting, Waiting]);
    book.load_begins();
    assert_eq!(states(&mut book, DaemonState::Running, Some(Phase::Load)), [Waiting, Waiting]);
    book.ended("cycles done");
    assert_eq!(states(&mut book, DaemonState::Idle, Some(Phase::Done)), [Done, Done]);
    assert_eq!(shown(&mut book, LOAD, 1500).ended.as_deref(), Some("cycles done"));
    book.started(&record(2, 4), true);
    let board = shown(&mut book, LOAD, 1600);
    assert_eq!((board.ended, board.workers.len()), (None, 2), "the same run goes on");
    book.started(&record(2, 4), false);
    assert!(shown(&mut book, LOAD, 1600).workers.is_empty(), "another one begins with nothing");
}

#[test]
fn errors_are_counted_by_cause_and_the_unexpected_ones_stay() {
    let mut book = begun(1, 600);
    book.finding(&finding("row db1_r1_1 is lost", 5, false));
    book.finding(&finding("row db1_r1_2 is lost", 9, false));
    for n in 0..40u8 {
        let name: String = [char::from(b'a' + n / 26), char::from(b'a' + n % 26)].iter().collect();
        book.finding(&finding(&format!("healed {name}"), 100 + i64::from(n), true));
    }
    let board = shown(&mut book, LOAD, 1000);
    assert_eq!(board.errors.len(), ERRORS_MAX);
    let lost = board.errors.last().unwrap();
    assert_eq!((lost.count, lost.at_ms, lost.expected, lost.text.as_str()), (2, 9, false, "row db1_r1_1 is lost"));
    assert_eq!(board.errors[0].text, "healed bn", "the last one first");
}

#[test]
fn errors_of_lanes_are_counted_by_name_unless_findings_tell_more() {
    let mut book = begun(1, 600);
    let mut report = second(Lane::Transferrer, 1000, (10, 100));
    let figures = report.figures.as_mut().unwrap();
    figures.expected.insert("deadlock (40P01)".into(), 5);
    figures.unexpected.insert("other (XX000)".into(), 2);
    book.steps(std::slice::from_ref(&report), 1000);
    report.findings = vec![finding("internal error", 2000, false)];
    book.steps(std::slice::from_ref(&report), 2000);
    let board = shown(&mut book, LOAD, 2000);
    let row = &board.workers[0];
    assert_eq!((row.ops, row.expected, row.unexpected), (20, 10, 4));
    let mut told: Vec<_> = board.errors.iter().map(|e| (e.text.as_str(), e.expected, e.count)).collect();
    told.sort_unstable();
    assert_eq!(told, [("transferrer: deadlock (40P01)", true, 10), ("transferrer: other (XX000)", false, 2)]);
}

#[test]
fn checks_are_bounded_and_failures_come_first() {
    let mut book = begun(1, 600);
    let check = |n: usize| CheckResult {
        check: format!("check{n}"),
        verdict: [Some(Verdict::Pass), None, Some(Verdict::Inconclusive), Some(Verdict::Fail)][n % 4],
        summary: "x".repeat(5_000),
        evidence: Vec::new(),
        evidence_total: 0,
    };
    let cycle = CycleRecord {
        cycle: 3,
        started_ms: 0,
        ended_ms: 1,
        load_ms: 0,
        settle_ms: 0,
        verify_ms: 0,
        checkpoint_us: 0,
        settle_rounds: 0,
        steps: 0,
        steps_planned: 0,
        errors: 0,
        rows_final: 0,
        content: String::new(),
        epoch: 1,
        server: String::new(),
        verdict: Verdict::Fail,
        checks: (0..40).map(check).collect(),
        checks_digest: String::new(),
        previous: String::new(),
        digest: String::new(),
    };
    book.cycle(&cycle);
    let board = shown(&mut book, LOAD, 1);
    assert_eq!((board.checks_of, board.checks.len()), (3, CHECKS_MAX));
    let verdicts: Vec<_> = board.checks.iter().map(|check| check.verdict).collect();
    assert_eq!(
        (verdicts[0], verdicts[9], verdicts[10]),
        (Some(Verdict::Fail), Some(Verdict::Fail), Some(Verdict::Inconclusive))
    );
    assert!(verdicts.iter().all(|verdict| *verdict != Some(Verdict::Pass)));
    assert!(board.checks.iter().all(|check| check.summary.len() <= TEXT_CHARS_MAX));
}

#[test]
fn a_restart_knows_the_last_checks_and_errors() {
    let mut record = record(2, 4);
    record.ended_because = Some("stopped".into());
    let groups: Vec<_> = (0..30u8)
        .map(|n| {
            let mut group =
                FindingGroup::new(finding(&format!("kind {}", char::from(b'a' + n)), i64::from(n), n % 2 == 0));
            group.count = 7;
            group.tolerated *= 7;
            group
        })
        .collect();
    let mut book = BoardBook::default();
    book.recall(&record, &[], &groups);
    let board = shown(&mut book, (DaemonState::Idle, Some(Phase::Done)), 100);
    assert_eq!((board.errors.len(), board.errors[0].at_ms, board.errors[0].count), (ERRORS_MAX, 29, 7));
    assert_eq!((board.errors[0].expected, board.errors[1].expected), (false, true));
    assert_eq!(board.ended.as_deref(), Some("stopped"));
}
