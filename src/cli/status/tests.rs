use std::collections::BTreeMap;

use super::*;
use crate::model::record::Phase;
use crate::model::status::{DaemonState, Health, ScheduleStatus, Usage};
use crate::model::verdict::Verdict;

const NOW: i64 = 1_767_225_600_000;

fn status() -> Status {
    Status {
        soakd: "0.1.0".to_owned(),
        pid: 4711,
        started_ms: NOW - 273_600_000,
        now_ms: NOW,
        config: "/etc/soakd/soakd.toml".to_owned(),
        state: DaemonState::Paused,
        paused_because: vec!["by hand\u{1b}[31m".to_owned()],
        run: Some(RunStatus {
            run: "019b".to_owned(),
            name: "nightly".to_owned(),
            schedule: Some("nights".to_owned()),
            seed: 7,
            started_ms: NOW - 3_720_000,
            cycle: 12,
            cycles_planned: Some(100),
            phase: Phase::Load,
            steps_done: 120,
            steps_planned: 360,
            rows_per_s: 12_345.6,
            errors: 2,
            cycles_by_verdict: BTreeMap::from([(Verdict::Pass, 10), (Verdict::Fail, 1)]),
            verdict: Some(Verdict::Fail),
            last_cycle_ms: None,
            last_pass_ms: Some(NOW - 245_000),
        }),
        schedules: vec![ScheduleStatus {
            name: "nights".to_owned(),
            cron: "0 2 * * *".to_owned(),
            zone: "UTC".to_owned(),
            next_ms: Some(NOW + 7_200_000),
            last_ms: None,
            runs: 4,
            skipped: 1,
            queued: true,
        }],
        incidents_open: 0,
        health: Health {
            at_ms: 1,
            parts: vec![Usage { part: "daemon".to_owned(), rss_bytes: 36_176_691, ..Usage::default() }],
            disk_free_bytes: 1 << 40,
            state_file_bytes: 900,
            state_dir_bytes: 5 << 20,
            ..Health::default()
        },
        ..Status::default()
    }
}

#[test]
fn the_page_answers_what_people_ask() {
    let text = page(&status(), &[]);
    let expected = "\
soakd 0.1.0, process 4711, up 3d 04h, /etc/soakd/soakd.toml

State      paused: by hand\u{fffd}[31m
Run        nightly (019b), seed 7, schedule nights, since 1h 02m
Cycle      12 of 100, load, 120 of 360 steps (33 %), 12,345 rows/s, 2 errors
Verdict    FAIL (10 PASS, 1 FAIL)
Last pass  2025-12-31 23:55:55 UTC (4m 05s ago)
Schedule   nights: next run 2026-01-01 02:00:00 UTC (in 2h 00m), one is queued, 1 left out
Incidents  0 open
Outbox     0 waiting, 0 delivered
Memory     daemon 34.5 MiB
Disk       1.0 TiB free; state file 900 B, state directory 5.0 MiB
";
    assert_eq!(text, expected);
}

#[test]
fn a_daemon_that_has_just_started_has_a_page_too() {
    let text = page(&Status::default(), &[]);
    assert!(text.contains("State      starting\nRun        none yet\n"), "{text}");
    assert!(text.contains("Memory     not measured yet"), "{text}");
}
