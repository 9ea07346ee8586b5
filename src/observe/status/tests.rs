use super::*;
use crate::model::incident::{Incident, IncidentState, Severity};
use crate::model::status::WorkerState;
use crate::model::step::{Action, Step, StepOutcome, StepReport};
use crate::observe::report::sample;

pub(crate) fn incident(id: u64) -> Incident {
    Incident {
        id,
        run: "r".to_owned(),
        title: "server error: service unavailable".to_owned(),
        cause: "server/http5xx".to_owned(),
        causes: Default::default(),
        severity: Severity::Failure,
        state: IncidentState::Open,
        first: sample::a_finding(1000, 1),
        opened_ms: 1000,
        last_ms: 2000,
        resolved_ms: None,
        count: 7,
        cycle_first: 2,
        cycle_last: 3,
        clean_cycles: 0,
        evidence: vec!["db1_r3_4411".to_owned()],
        history: Vec::new(),
        told_ms: None,
        told_count: 0,
    }
}

fn started() -> (StatusBook, Snapshot) {
    let mut snapshot = sample::failing();
    snapshot.run.verdict = None;
    let mut book = StatusBook::new("soakd.toml", 0);
    let record = Box::new(snapshot.run.clone());
    assert!(book.take(&RunEvent::Started { record, resumed_at: None, steps_recovered: 0 }, 10));
    (book, snapshot)
}

fn run(book: &StatusBook) -> &RunStatus {
    book.status().run.as_ref().unwrap()
}

#[test]
fn a_run_is_followed_from_its_start_to_its_end() {
    let (mut book, snapshot) = started();
    assert_eq!(book.status().state, DaemonState::Running);
    assert_eq!((run(&book).verdict, run(&book).steps_planned), (None, 360));
    book.take(&RunEvent::Phase { cycle: 1, phase: Phase::Load, steps: Some(40) }, 20);
    book.take(&RunEvent::Progress { steps_done: 11, rows: 500, errors: 2 }, 1000);
    assert_eq!((run(&book).steps_done, run(&book).steps_planned, run(&book).errors), (11, 40, 2));
    for cycle in &snapshot.cycles[..2] {
        book.take(&RunEvent::Cycle(Box::new(cycle.clone())), 2000);
    }
    assert_eq!(run(&book).verdict, Some(Verdict::Fail));
    assert_eq!(run(&book).last_cycle_ms, Some(snapshot.cycles[1].ended_ms));
    assert_eq!(run(&book).last_pass_ms, Some(snapshot.cycles[0].ended_ms));
    book.take(&RunEvent::Phase { cycle: 2, phase: Phase::Load, steps: None }, 2100);
    assert_eq!((run(&book).steps_done, run(&book).errors), (0, 0));
    book.take(&RunEvent::Ended { verdict: Verdict::Fail, because: "cycles done".to_owned() }, 3000);
    assert_eq!((book.status().state, run(&book).phase), (DaemonState::Idle, Phase::Done));
    assert_eq!(book.status().now_ms, 3000);
}

#[test]
fn the_rate_follows_slowly_and_survives_a_count_that_begins_anew() {
    let (mut book, _) = started();
    book.take(&RunEvent::Phase { cycle: 1, phase: Phase::Load, steps: None }, 0);
    let mut at = |ms: i64, rows: u64| {
        book.take(&RunEvent::Progress { steps_done: 0, rows, errors: 0 }, ms);
        run(&book).rows_per_s
    };
    assert_eq!(at(0, 1000), 0.0);
    assert_eq!(at(1000, 2000), 1000.0);
    assert_eq!(at(1100, 9000), 1000.0, "too short to say something");
    let faster = at(2000, 4000);
    assert!(1000.0 < faster && faster < 2000.0, "{faster}");
    assert_eq!(at(3000, 0), faster, "a new count says nothing yet");
    assert!(at(3000 + 600_000, 0) < 1.0);
    assert!(at(1, 5).is_finite());
}

#[test]
fn what_the_state_file_knows_wins_over_missed_events() {
    let (mut book, snapshot) = started();
    let checkpoint = |snapshot: &Snapshot| RunEvent::Checkpoint {
        state_dir: "/x".into(),
        snapshot: Box::new(snapshot.clone()),
        runs: Vec::new(),
    };
    assert!(book.take(&checkpoint(&snapshot), 1));
    assert_eq!(run(&book).cycles_by_verdict, snapshot.cycles_by_verdict);
    assert_eq!(run(&book).last_pass_ms, Some(snapshot.cycles[2].ended_ms));
    let mut other = snapshot.clone();
    other.run.run = "another".to_owned();
    assert!(!book.take(&checkpoint(&other), 1));
    let mut resumed = StatusBook::new("", 0);
    resumed.recall(Some(&snapshot), [3, 4]);
    let record = Box::new(snapshot.run.clone());
    resumed.take(&RunEvent::Started { record, resumed_at: Some((4, Phase::Verify)), steps_recovered: 1 }, 5);
    assert_eq!((run(&resumed).cycle, run(&resumed).phase), (4, Phase::Verify));
    assert_eq!(run(&resumed).verdict, Some(Verdict::Fail));
    assert_eq!(resumed.status().incidents_open, 2);
}

#[test]
fn incidents_are_counted_once_however_often_they_are_told() {
    let (mut book, _) = started();
    for change in [ChangeKind::Opened, ChangeKind::Reopened, ChangeKind::Renamed { before: "x".to_owned() }] {
        book.take(&RunEvent::Incident(Box::new(incident(5)), change), 1);
    }
    assert_eq!(book.status().incidents_open, 1);
    for _ in 0..2 {
        book.take(&RunEvent::Incident(Box::new(incident(5)), ChangeKind::Resolved), 1);
    }
    assert_eq!(book.status().incidents_open, 0);
}

#[test]
fn a_flood_of_findings_changes_nothing_that_is_shown() {
    let (mut book, _) = started();
    assert!(!book.take(&RunEvent::Finding(Box::new(sample::a_finding(0, 1))), 1));
    assert!(!book.take(&RunEvent::Log("line".to_owned()), 1));
    let because = vec!["low disk".to_owned()];
    assert!(book.take(&RunEvent::State(DaemonState::Paused, because.clone()), 1));
    assert_eq!((book.status().state, &book.status().paused_because), (DaemonState::Paused, &because));
}

/// Returns a step of a database that took a millisecond.
fn step(no: u32) -> StepReport {
    StepReport {
        db: 2,
        cycle: 1,
        step: Step { no, iter: 1, action: Action::Send, crud_ops: 1 },
        outcome: StepOutcome::Acknowledged,
        rows: 1,
        moved: 1,
        bytes: 1,
        attempts: 1,
        started_ms: 0,
        late_us: 0,
        elapsed_us: 1000,
        seq: None,
        findings: Vec::new(),
        figures: None,
    }
}

#[test]
fn the_board_is_written_down_now_and_then_and_whenever_something_else_changes() {
    let (mut book, snapshot) = started();
    book.take(&RunEvent::Phase { cycle: 1, phase: Phase::Load, steps: Some(40) }, 20);
    let steps = |numbers: std::ops::Range<u32>| RunEvent::Steps(std::sync::Arc::new(numbers.map(step).collect()));
    assert!(!book.take(&steps(1..3), 30), "not with every step");
    assert!(book.status().board.workers.is_empty());
    assert!(book.take(&steps(3..4), 30 + BOARD_EVERY_MS));
    let row = |book: &StatusBook| book.status().board.workers[0].clone();
    assert_eq!((row(&book).name.as_str(), row(&book).ops, row(&book).p99_us), ("DB2", 3, 1000));
    assert_eq!((row(&book).state, &book.status().board.target), (WorkerState::Running, &snapshot.run.scale.target));
    assert!(!book.take(&steps(4..5), 40 + BOARD_EVERY_MS));
    assert!(!book.take(&RunEvent::Finding(Box::new(sample::a_finding(7, 1))), 41 + BOARD_EVERY_MS));
    book.take(&RunEvent::Cycle(Box::new(snapshot.cycles[1].clone())), 50 + BOARD_EVERY_MS);
    let board = book.status().board.clone();
    assert_eq!((row(&book).ops, board.checks_of), (4, snapshot.cycles[1].cycle));
    assert_eq!(board.checks.len(), snapshot.cycles[1].checks.len());
    assert_eq!(
        (board.errors[0].text.as_str(), board.errors[0].expected),
        ("DB1: service unavailable (request 1181)", true)
    );
    book.take(&RunEvent::Ended { verdict: Verdict::Fail, because: "cycles done".to_owned() }, 9000);
    assert_eq!((row(&book).state, row(&book).ops_per_s), (WorkerState::Done, 0.0));
    assert_eq!(book.status().board.ended.as_deref(), Some("cycles done"));
    let mut resumed = StatusBook::new("", 0);
    resumed.recall(Some(&snapshot), []);
    assert_eq!(resumed.status().board.checks_of, snapshot.cycles.last().unwrap().cycle);
    let mut other = snapshot.run.clone();
    other.run = "another".to_owned();
    book.take(&RunEvent::Started { record: Box::new(other), resumed_at: None, steps_recovered: 0 }, 9500);
    let board = &book.status().board;
    assert!(board.workers.is_empty() && board.checks.is_empty() && board.errors.is_empty() && board.ended.is_none());
}
