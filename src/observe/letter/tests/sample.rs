//! Letters made up for tests: a run of 41 cycles that loses rows, and what people are told of it.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use crate::model::finding::{Kind, Side};
use crate::model::incident::*;
use crate::model::message::{Message, OutboxState, Subject};
use crate::model::record::*;
use crate::model::verdict::Verdict;
use crate::observe::letter::Letter;
use crate::observe::report::html::sample::{short, weeks};
use crate::observe::report::sample::{a_finding, failing, passing};

pub(super) const START: i64 = 1_767_225_600_000;
const CYCLE_MS: i64 = 290_000;

/// A run of `cycles` cycles, of which those in `bad` failed.
fn long(mut snapshot: Snapshot, cycles: u64, bad: &[u64]) -> Snapshot {
    let (good, failed) = (snapshot.cycles[0].clone(), failing().cycles[1].clone());
    let made = |no: u64| {
        let mut cycle = if bad.contains(&no) { failed.clone() } else { good.clone() };
        let extra = (no * 7919 % 23) as i64 * 900;
        cycle.cycle = no;
        cycle.started_ms = START + (no as i64 - 1) * CYCLE_MS;
        cycle.ended_ms = cycle.started_ms + 262_000 + extra + if bad.contains(&no) { 24_000 } else { 0 };
        cycle.load_ms = 201_480 + extra.unsigned_abs();
        cycle
    };
    snapshot.cycles = (1..=cycles).map(made).collect();
    snapshot.cycles_done = cycles;
    let failed = bad.len() as u64;
    snapshot.cycles_by_verdict = [(Verdict::Pass, cycles - failed), (Verdict::Fail, failed)].into();
    snapshot.cycles_by_verdict.retain(|_, n| *n > 0);
    snapshot.made_ms = START + cycles as i64 * CYCLE_MS;
    snapshot.run.observed_ms = cycles * CYCLE_MS as u64 - 41_000;
    snapshot.run.cycle = cycles;
    snapshot.run.schedule = Some("nightly".to_owned());
    snapshot.run.scale.cycles_planned = Some(96);
    snapshot
}

pub(super) fn broken() -> Snapshot {
    let mut snapshot = long(failing(), 41, &[41]);
    snapshot.run.verdict = None;
    snapshot.run.ended_ms = None;
    snapshot.run.ended_because = None;
    snapshot.run.phase = Phase::Verify;
    snapshot.epochs.iter_mut().for_each(|epoch| epoch.clean_end = false);
    let at = START + 40 * CYCLE_MS + 90_000;
    let healed = |n: i64| a_finding(START + n * 1_100_000, 1 + (n % 4) as u32);
    let mut group = FindingGroup::new(healed(1));
    (2..10).for_each(|n| group.add(&healed(n)));
    let mut crash = FindingGroup::new(lost(at));
    (1..12).for_each(|n| crash.add(&lost(at + n * 4_000)));
    snapshot.findings = vec![group, crash];
    snapshot.outages =
        vec![Outage { from_ms: at - 380_000, until_ms: Some(at - 61_000), reason: "connection refused".to_owned() }];
    let mut tail = LogTail::default();
    (0..90).for_each(|n| tail.push(format!("[DB2][iter {}] updated, count={}", 1 + n / 9, 10_000 + n)));
    tail.push("[DB2][iter 10] received 19,997 rows, 3 fewer than sent".to_owned());
    snapshot.logs = BTreeMap::from([(1, tail.clone()), (2, tail)]);
    snapshot
}

fn lost(at_ms: i64) -> crate::model::finding::Finding {
    let mut finding = a_finding(at_ms, 2);
    finding.cycle = 41;
    finding.phase = "verify".to_owned();
    finding.side = Side::Server;
    finding.kind = Kind::Divergence;
    finding.code = None;
    finding.tolerated = false;
    finding.message = "convergence: 3 rows are not as they must be; first: lost: DB2 row db1_r3_4411".to_owned();
    finding
}

pub(super) fn incident() -> Incident {
    let at = START + 40 * CYCLE_MS + 90_000;
    let first = lost(at);
    let row = |n: u32| format!("lost: db1_r3_{n} in DB2: not there; acknowledged: value 7 of DB1 (update 3), user 1");
    Incident {
        id: 7,
        run: failing().run.run,
        title: "3 rows lost on DB2".to_owned(),
        cause: first.cause(),
        causes: BTreeMap::from([
            (first.cause(), 12),
            ("server/http5xx: service unavailable (request #)".to_owned(), 38),
            ("network/refused: connection refused (#.#.#.#:#)".to_owned(), 214),
        ]),
        severity: Severity::Failure,
        state: IncidentState::Open,
        first,
        opened_ms: at,
        last_ms: at + 44_000,
        resolved_ms: None,
        count: 264,
        cycle_first: 41,
        cycle_last: 41,
        clean_cycles: 0,
        evidence: (4411..4414)
            .map(row)
            .chain([
                "resurrected: db2_r9_17 in the server: holds value 3; its deletion by DB2 was acknowledged".to_owned()
            ])
            .collect(),
        history: vec![
            Change { at_ms: at - 12_000, cycle: 41, what: ChangeKind::Opened },
            Change {
                at_ms: at,
                cycle: 41,
                what: ChangeKind::Renamed { before: "connection refused by 127.0.0.1:8090".to_owned() },
            },
        ],
        told_ms: None,
        told_count: 0,
    }
}

fn memory() -> BTreeMap<String, Vec<(i64, f64)>> {
    let mib = 1_048_576.0;
    let part = |base: f64, slope: f64| {
        (0..140i64)
            .map(|n| (START + n * 85_000, (base + slope * n as f64 + (n * 37 % 11) as f64 / 4.0) * mib))
            .collect()
    };
    [("rss.daemon", 38.0, 0.01), ("rss.target", 61.0, 0.62), ("rss.worker-1", 24.0, 0.0), ("rss.worker-2", 27.0, 0.02)]
        .into_iter()
        .map(|(name, base, slope)| (name.to_owned(), part(base, slope)))
        .collect()
}

pub(super) fn letter(subject: Subject) -> Letter {
    let now_ms = START + 41 * CYCLE_MS;
    Letter {
        message: Message {
            id: 12,
            key: "019b7654-1111-7abc-8def-0000000000aa".to_owned(),
            subject,
            run: Some(failing().run.run),
            made_ms: now_ms - 20_000,
            due_ms: now_ms - 10_000,
            channels: BTreeMap::new(),
        },
        now_ms,
        zone: Tz::Europe__Berlin,
        host: "testbox".to_owned(),
        config: "/etc/soakd/soakd.toml".to_owned(),
        state_dir: "/var/lib/soakd".to_owned(),
        incident: None,
        incidents: Vec::new(),
        snapshot: Some(broken()),
        series: memory(),
        measures: BTreeMap::new(),
        faults: vec!["network: 250 ms delay on every answer, since 15:02".to_owned()],
        outbox: OutboxState::default(),
    }
}

pub(super) fn opened() -> Letter {
    Letter { incident: Some(incident()), ..letter(Subject::Opened { incident: 7 }) }
}

pub(super) fn reopened() -> Letter {
    let mut letter = Letter { incident: Some(incident()), ..letter(Subject::Reopened { incident: 7 }) };
    letter.now_ms += 11_520_000;
    letter
}

pub(super) fn resolved() -> Letter {
    let mut letter = Letter { incident: Some(over()), ..letter(Subject::Resolved { incident: 7 }) };
    letter.snapshot = Some(long(broken(), 46, &[41]));
    letter.now_ms = START + 46 * CYCLE_MS;
    letter.message.made_ms = letter.now_ms;
    letter.faults.clear();
    letter
}

fn over() -> Incident {
    let mut one = incident();
    let at = START + 46 * CYCLE_MS;
    one.state = IncidentState::Resolved;
    one.resolved_ms = Some(at);
    one.clean_cycles = 5;
    one.history.push(Change { at_ms: at, cycle: 46, what: ChangeKind::Resolved });
    one
}

pub(super) fn digest() -> Letter {
    let until_ms = START + 41 * CYCLE_MS;
    let mut letter = letter(Subject::Digest { from_ms: until_ms - 86_400_000, until_ms });
    let mut warning = incident();
    warning.id = 5;
    warning.title = "memory of target grows by 26 MiB an hour".to_owned();
    warning.severity = Severity::Warning;
    warning.opened_ms = START + 3_600_000;
    warning.cycle_first = 12;
    warning.evidence = vec!["61 MiB at 01:00, 147 MiB at 04:18; r² 0.98 over 140 measurements".to_owned()];
    (warning.count, warning.told_count) = (9, 3);
    let mut old = over();
    (old.id, old.resolved_ms) = (3, Some(until_ms - 7_200_000));
    old.title = "service unavailable for 4 min".to_owned();
    letter.incidents = vec![warning, incident(), old];
    letter.outbox.waiting = BTreeMap::from([("webhook.chat".to_owned(), 3)]);
    letter.outbox.oldest_ms = Some(until_ms - 5_400_000);
    letter.outbox.last_error = Some("hooks.example.org: connection refused".to_owned());
    letter
}

pub(super) fn summary() -> Letter {
    let mut letter = letter(Subject::Summary { run: failing().run.run, ended: true });
    let mut snapshot = long(passing(), 96, &[]);
    snapshot.run.ended_ms = Some(START + 96 * CYCLE_MS);
    letter.now_ms = START + 96 * CYCLE_MS + 4_000;
    letter.message.made_ms = letter.now_ms;
    letter.faults.clear();
    letter.snapshot = Some(snapshot);
    letter
}

/// The summary of a run of thirty cycles that were measured.
pub(super) fn measured() -> Letter {
    let sample = short();
    let now_ms = sample.snapshot.made_ms + 60_000;
    Letter {
        now_ms,
        snapshot: Some(sample.snapshot),
        measures: sample.measures,
        incidents: sample.incidents,
        ..summary()
    }
}

/// The summary of a run of seven weeks.
pub(super) fn of_weeks() -> Letter {
    let sample = weeks(48);
    let now_ms = sample.snapshot.made_ms + 60_000;
    Letter {
        now_ms,
        snapshot: Some(sample.snapshot),
        measures: sample.measures,
        incidents: sample.incidents,
        ..summary()
    }
}
