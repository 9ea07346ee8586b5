use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::*;
use crate::model::finding::{Finding, Kind, Side};
use crate::model::status::{DaemonState, Health, RunStatus, ScheduleStatus, Usage};
use crate::model::step::{Action, Step, StepOutcome, StepReport};
use crate::model::verdict::Verdict;
use crate::observe::report::sample;
use crate::observe::status::StatusBook;

/// Series that the metrics may ever have, whatever happens.
const SERIES_MAX: usize = 2500;

fn report(action: Action, rows: u64, elapsed_us: u64) -> StepReport {
    StepReport {
        db: 1,
        cycle: 1,
        step: Step { no: 1, iter: 1, action, crud_ops: rows },
        outcome: StepOutcome::Acknowledged,
        rows,
        moved: rows,
        bytes: 10,
        attempts: 2,
        started_ms: 0,
        late_us: 0,
        elapsed_us,
        seq: None,
        findings: Vec::new(),
        figures: None,
    }
}

fn usage(part: String) -> Usage {
    Usage { part, rss_bytes: 1024, descriptors: 9, cpu_ms: 1500, ..Usage::default() }
}

/// A daemon that has lived through something of every kind.
fn lived() -> (Metrics, Scrape) {
    let (metrics, snapshot) = (Metrics::new(), sample::failing());
    let mut book = StatusBook::new("soakd.toml", 1_767_225_600_000);
    let record = Box::new(snapshot.run.clone());
    let mut take = |event: RunEvent| {
        metrics.take(&event);
        book.take(&event, 1_767_225_700_000);
    };
    take(RunEvent::Started { record, resumed_at: None, steps_recovered: 0 });
    take(RunEvent::Steps(Arc::new(vec![report(Action::Insert { rows: 5 }, 5, 2000), report(Action::Send, 7, 9)])));
    take(RunEvent::Finding(Box::new(sample::a_finding(0, 1))));
    snapshot.cycles.iter().for_each(|cycle| take(RunEvent::Cycle(Box::new(cycle.clone()))));
    let health = Health {
        at_ms: 5,
        parts: ["daemon", "target", "worker-1"].map(|part| usage(part.to_owned())).into(),
        figures: BTreeMap::from([("anon.target".to_owned(), 512.5)]),
        ..Health::default()
    };
    take(RunEvent::Health(Box::new(health)));
    take(RunEvent::Schedules(vec![ScheduleStatus {
        name: "nightly".to_owned(),
        cron: "0 2 * * *".to_owned(),
        zone: "Europe/Berlin".to_owned(),
        next_ms: Some(1_767_312_000_000),
        last_ms: None,
        runs: 3,
        skipped: 1,
        queued: false,
    }]));
    let by = |n: u64| BTreeMap::from([("mail".to_owned(), n), ("webhook.chat".to_owned(), n)]);
    let outbox = OutboxState {
        waiting: by(2),
        delivered: by(9),
        given_up: by(1),
        oldest_ms: Some(1_767_225_650_000),
        last_error: None,
    };
    let incidents_open = BTreeMap::from([(Severity::Failure, 1)]);
    (metrics, Scrape { status: book.status().clone(), outbox, incidents_open })
}

/// Names of all metrics that a text declares.
fn names(plain: &str) -> BTreeSet<String> {
    let named = |line: &str| line.strip_prefix("# TYPE ")?.split_once(' ').map(|(name, _)| name.to_owned());
    plain.lines().filter_map(named).collect()
}

fn series(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn events_become_the_figures_that_they_should() {
    let (metrics, scrape) = lived();
    metrics.missed(4);
    let text = metrics.render(&scrape, false);
    for line in [
        "soakd_cycles_total{verdict=\"pass\"} 2",
        "soakd_cycles_total{verdict=\"fail\"} 1",
        "soakd_cycles_total{verdict=\"aborted\"} 0",
        "soakd_steps_total{action=\"insert\",outcome=\"acknowledged\"} 1",
        "soakd_rows_total{op=\"inserted\"} 5",
        "soakd_rows_total{op=\"sent\"} 7",
        "soakd_step_retries_total 2",
        "soakd_errors_total{side=\"server\",kind=\"http5xx\"} 1",
        "soakd_step_duration_seconds_bucket{le=\"0.005\",action=\"insert\"} 1",
        "soakd_cycle_duration_seconds_sum 285.0",
        "soakd_run_verdict{verdict=\"fail\"} 1",
        "soakd_run_verdict{verdict=\"pass\"} 0",
        "soakd_daemon_state{state=\"running\"} 1",
        "soakd_last_pass_timestamp_seconds 1767225885.0",
        "soakd_process_resident_memory_bytes{part=\"worker-1\"} 1024",
        "soakd_measured{metric=\"anon.target\"} 512.5",
        "soakd_process_cpu_seconds_total{part=\"daemon\"} 1.5",
        "soakd_incidents_open{severity=\"failure\"} 1",
        "soakd_incidents_open{severity=\"warning\"} 0",
        "soakd_outbox_messages{channel=\"mail\"} 2",
        "soakd_outbox_delivered_total{channel=\"webhook.chat\"} 9",
        "soakd_events_missed_total 4",
        "soakd_schedule_next_timestamp_seconds{schedule=\"nightly\"} 1767312000.0",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
    let sorted = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(sorted(&metrics.render(&scrape, false)), sorted(&text), "a second scrape counts nothing again");
}

#[test]
fn nothing_is_claimed_before_it_is_known() {
    let text = Metrics::new().render(&Scrape::default(), false);
    for absent in ["last_pass", "disk_free", "measured", "outbox_oldest", "process_resident"] {
        let sampled = |line: &str| line.starts_with("soakd_") && line.contains(absent);
        assert!(!text.lines().any(sampled), "{absent} in\n{text}");
    }
    assert!(text.contains("soakd_cycles_total{verdict=\"pass\"} 0"));
}

#[test]
fn labels_stay_bounded_whatever_comes() {
    let (metrics, mut scrape) = lived();
    let kinds = [Kind::Locked, Kind::Timeout, Kind::Divergence, Kind::Other, Kind::Crash];
    for n in 0..10_000_usize {
        let odd = Finding {
            side: [Side::Client, Side::Server, Side::Network, Side::Soakd][n % 4],
            kind: kinds[n % 5],
            code: Some(format!("{n}")),
            message: format!("row \"{n}\"\n\u{202e}{{x=\"{n}\"}}"),
            ..sample::a_finding(n as i64, n as u32)
        };
        metrics.take(&RunEvent::Finding(Box::new(odd)));
        let n = n as u32;
        let actions = [Action::Insert { rows: n }, Action::Wait { ms: n.into() }, Action::DeleteRandom { count: n }];
        metrics.take(&RunEvent::Steps(Arc::new(vec![report(actions[n as usize % 3], n.into(), u64::MAX)])));
    }
    let many = |n: usize| (format!("odd \"{n}\"\n{}", "x".repeat(n % 200)), 1);
    scrape.outbox.waiting = (0..10_000).map(many).collect();
    scrape.status.health.parts = (0..10_000).map(|n| usage(format!("worker-{n}"))).collect();
    scrape.status.health.figures = (0..10_000).map(|n| (format!("odd \"{n}\".x"), 1.0)).collect();
    let schedule = scrape.status.schedules[0].clone();
    scrape.status.schedules =
        (0..10_000).map(|n| ScheduleStatus { name: format!("s{n}"), ..schedule.clone() }).collect();
    let text = metrics.render(&scrape, false);
    assert!(series(&text) < SERIES_MAX, "{} series", series(&text));
    let soakd = |line: &str| line.starts_with("soakd_") || line.starts_with("# ");
    assert!(text.lines().all(soakd), "a line break got through");
    assert!(
        text.contains("soakd_process_resident_memory_bytes{part=\"other\"}"),
        "workers beyond the bound are summed"
    );
    assert!(text.contains("soakd_outbox_messages{channel=\"other\"}"));
}

#[test]
fn promtool_accepts_both_forms_of_what_is_shown() {
    let (metrics, scrape) = lived();
    let open = metrics.render(&scrape, true);
    assert!(open.ends_with("# EOF\n") && open.contains("# TYPE soakd_cycles counter\n"));
    let plain = metrics.render(&scrape, false);
    assert!(!plain.contains("# EOF") && plain.contains("# TYPE soakd_cycles_total counter\n"));
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = started else {
        eprintln!("*** SKIPPED: promtool is not installed (Debian: apt-get install prometheus)");
        return;
    };
    promtool.stdin.take().unwrap().write_all(plain.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn every_state_and_verdict_is_one_series() {
    let (metrics, mut scrape) = lived();
    let states =
        [DaemonState::Starting, DaemonState::Idle, DaemonState::Running, DaemonState::Paused, DaemonState::Stopping];
    for state in states {
        scrape.status.state = state;
        let run = scrape.status.run.as_mut().unwrap();
        *run = RunStatus { verdict: Some(Verdict::Aborted), ..run.clone() };
        let text = metrics.render(&scrape, false);
        let of = |name: &str| text.lines().filter(|line| line.starts_with(name) && line.ends_with(" 1")).count();
        assert_eq!((of("soakd_daemon_state{"), of("soakd_run_verdict{")), (1, 1), "{text}");
    }
}

#[tokio::test]
async fn a_reader_that_is_too_slow_says_how_much_it_missed() {
    let metrics = Arc::new(Metrics::new());
    let (sender, events) = broadcast::channel(4);
    for _ in 0..10 {
        sender.send(RunEvent::Finding(Box::new(sample::a_finding(0, 1)))).unwrap();
    }
    drop(sender);
    keep(Arc::clone(&metrics), events, CancellationToken::new()).await;
    let text = metrics.render(&Scrape::default(), false);
    assert!(text.contains("soakd_events_missed_total 6\n"), "{text}");
    assert!(text.contains("soakd_errors_total{side=\"server\",kind=\"http5xx\"} 4\n"), "{text}");
}

/// Returns every metric that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let word = |from: &str| from.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    text.match_indices("soakd_").map(|(at, _)| word(&text[at..])).collect()
}

#[test]
fn rules_and_dashboard_ask_for_metrics_that_there_are() {
    let (metrics, scrape) = lived();
    let known = names(&metrics.render(&scrape, false));
    assert!(known.len() > 30, "{known:?}");
    let is_known = |name: &str| {
        let part = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        known.contains(name) || part.is_some_and(|name| known.contains(name))
    };
    let dashboard = include_str!("../../../deploy/grafana-dashboard.json");
    let rules = include_str!("../../../deploy/alerts.yml");
    for (file, text) in
        [("alerts", rules), ("their tests", include_str!("../../../deploy/alerts.test.yml")), ("dashboard", dashboard)]
    {
        let asked = named(text);
        assert!(asked.len() > 10, "{file} asks for {asked:?} only");
        let unknown: Vec<_> = asked.iter().filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "{file}: there is no {unknown:?}");
    }
    let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() >= 12);
    for panel in panels {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{}", panel["title"]);
    }
}
