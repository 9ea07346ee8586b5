//! Statuses made up for the dashboard, and what their screens look like.

mod keyed;
mod odd;
mod screens;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::model::record::Phase;
use crate::model::status::*;
use crate::model::verdict::Verdict;

/// 2026-01-01 00:00:00 UTC.
const START: i64 = 1_767_225_600_000;
const PLAIN: Paint = Paint { colours: false, blocks: true };

/// Draws a view and returns the text on the screen.
fn drawn(view: &View, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view)).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| row(y).trim_end().to_owned() + "\n").collect()
}

/// Returns a view that has seen the status grow up over half a minute.
fn seen(mode: Mode, paint: Paint, status: &Status) -> View {
    let mut view = View::new(mode, paint);
    for n in 0..30u64 {
        let mut earlier = status.clone();
        earlier.now_ms -= (29 - n as i64) * 1000;
        earlier.health.at_ms = earlier.now_ms;
        earlier.board.p99_us = status.board.p99_us * (20 + n * 7 % 11) / 30;
        for part in &mut earlier.health.parts {
            part.rss_bytes = part.rss_bytes * (60 + n) / 89;
        }
        for row in &mut earlier.board.workers {
            row.ops_per_s *= (25 + n * 5 % 7) as f64 / 31.0;
        }
        view.take(earlier);
    }
    view
}

fn row(name: &str, state: WorkerState, workers: u32, (ops, ops_per_s, p99_us): (u64, f64, u64)) -> WorkerRow {
    WorkerRow { name: name.into(), state, workers, ops, ops_per_s, p99_us, ..WorkerRow::default() }
}

fn checked(check: &str, verdict: Option<Verdict>, summary: &str) -> CheckLine {
    CheckLine { check: check.into(), verdict, summary: summary.into() }
}

fn met(at_s: i64, expected: bool, count: u64, text: &str) -> ErrorLine {
    ErrorLine { at_ms: START + at_s * 1000, expected, text: text.into(), count }
}

fn base(name: &str) -> Status {
    let part = |part: &str, mib: u64| Usage { part: part.into(), pid: 4711, rss_bytes: mib << 20, ..Usage::default() };
    Status {
        soakd: "0.1.0".into(),
        pid: 4711,
        started_ms: START,
        now_ms: START + 245_000,
        config: "/etc/soakd/soakd.toml".into(),
        state: DaemonState::Running,
        run: Some(RunStatus {
            run: "019b7654-1111-7abc-8def-000000000001".into(),
            name: name.into(),
            schedule: None,
            seed: 7,
            started_ms: START,
            cycle: 3,
            cycles_planned: Some(9),
            phase: Phase::Load,
            steps_done: 27,
            steps_planned: 60,
            rows_per_s: 0.0,
            errors: 0,
            cycles_by_verdict: [(Verdict::Pass, 2)].into(),
            verdict: Some(Verdict::Pass),
            last_cycle_ms: Some(START + 200_000),
            last_pass_ms: Some(START + 200_000),
        }),
        health: Health { at_ms: START, parts: vec![part("daemon", 61), part("target", 120)], ..Health::default() },
        ..Status::default()
    }
}

fn bank() -> Status {
    use WorkerState::Running;
    let mut status = base("bank");
    let mut deleter = row("deleter", Running, 3, (61_220, 251.3, 1_900));
    deleter.expected = 14;
    let mut transferrer = row("transferrer", Running, 3, (1_204_811, 4_921.7, 12_300));
    transferrer.expected = 8_123;
    status.board = Board {
        target: "postgres".into(),
        workers: vec![
            row("inserter", Running, 3, (98_400, 402.0, 8_450)),
            transferrer,
            row("reader", Running, 3, (312_004, 1_275.2, 900)),
            row("checker", Running, 3, (2_410_077, 9_843.1, 410)),
            deleter,
        ],
        p99_us: 9_120,
        checks_of: 2,
        checks: vec![
            checked("money", Some(Verdict::Pass), "the sum of 1,204 accounts is 1,204,000.00, as it was"),
            checked("balances", Some(Verdict::Pass), "every balance is what was there and came, less what went"),
            checked("orphans", Some(Verdict::Pass), "every transfer has both its accounts"),
            checked("names", Some(Verdict::Pass), "no name occurs twice"),
            checked("batches", Some(Verdict::Pass), "every batch of 20 is there as a whole or not at all"),
        ],
        errors: vec![
            met(244, true, 8_007, "transferrer: insufficient_funds"),
            met(231, true, 116, "transferrer: serialization_failure (40001)"),
            met(120, true, 14, "deleter: missing_account"),
        ],
        ..Board::default()
    };
    status
}

fn sync() -> Status {
    let mut status = base("nightly");
    let run = status.run.as_mut().unwrap();
    (run.steps_done, run.steps_planned, run.rows_per_s, run.errors) = (2_140, 6_480, 18_204.0, 4);
    let state = |db: u32| match db {
        3 => WorkerState::Down,
        7 => WorkerState::Done,
        _ => WorkerState::Running,
    };
    let mut workers: Vec<_> = (1..=16)
        .map(|db| row(&format!("DB{db}"), state(db), 1, (120 + u64::from(db), 2.5 + f64::from(db % 5) / 2.0, 41_000)))
        .collect();
    workers[2].unexpected = 1;
    workers.push(row("others", WorkerState::Running, 44, (5_611, 108.4, 73_400)));
    status.board = Board {
        target: "embedded".into(),
        workers,
        p99_us: 71_000,
        checks_of: 2,
        checks: vec![
            checked("isolation.matrix", None, "row-level security is off, so that nobody is kept from anything"),
            checked("convergence", Some(Verdict::Pass), "60 databases hold the same 40,000 rows"),
            checked("health", Some(Verdict::Pass), "SQLite finds nothing wrong in 60 files"),
        ],
        errors: vec![met(240, false, 1, "DB3: database disk image is malformed"), met(180, true, 3, "HTTP 503")],
        ..Board::default()
    };
    status
}

fn idle() -> Status {
    let schedule = |name: &str, next_s: Option<i64>| ScheduleStatus {
        name: name.into(),
        cron: "0 2 * * *".into(),
        zone: "UTC".into(),
        next_ms: next_s.map(|s| START + s * 1000),
        last_ms: None,
        runs: 12,
        skipped: 1,
        queued: false,
    };
    Status {
        run: None,
        state: DaemonState::Idle,
        schedules: vec![schedule("nightly", Some(7_200)), schedule("weekly", Some(500_000)), schedule("once", None)],
        ..base("")
    }
}

fn failed() -> Status {
    let mut status = bank();
    let run = status.run.as_mut().unwrap();
    (run.phase, run.verdict, run.cycle) = (Phase::Done, Some(Verdict::Fail), 3);
    run.cycles_by_verdict.insert(Verdict::Fail, 1);
    status.state = DaemonState::Stopping;
    status.incidents_open = 1;
    let board = &mut status.board;
    board.target = "sqlite".into();
    for row in &mut board.workers {
        (row.state, row.ops_per_s, row.p99_us) = (WorkerState::Done, 0.0, 0);
    }
    board.workers[4].unexpected = 2;
    board.checks_of = 3;
    board.checks[2] = checked(
        "orphans",
        Some(Verdict::Fail),
        "1,107 of 1,204 transfers name an account that is not there; the first one is transfer 18, sender 7",
    );
    board.checks.sort_by_key(|check| check.verdict != Some(Verdict::Fail));
    board.errors.insert(0, met(245, false, 2, "deleter: constraint (SQLITE_CONSTRAINT_FOREIGNKEY)"));
    board.ended = Some("a cycle failed, and run.stop_on_fail is set".into());
    status
}
