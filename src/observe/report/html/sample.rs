//! Runs made up for the page: one of 30 cycles, and one of seven weeks at a cycle a minute, thinned as the state file does it.

use std::collections::BTreeMap;

use crate::model::finding::{Finding, Kind, Side};
use crate::model::incident::{Change, ChangeKind, Incident, IncidentState, Severity};
use crate::model::judgement::{CriterionResult, Judgement, LatencySummary, VersionSince};
use crate::model::measure::{Measured, POINTS_MAX, Value, halved};
use crate::model::record::*;
use crate::model::verdict::Verdict;
use crate::observe::figures::Measures;
use crate::observe::report::sample::{a_finding, failing};

pub(crate) const START: i64 = 1_767_225_600_000;
const MINUTE: i64 = 60_000;
const DAY: i64 = 1440 * MINUTE;
const MIB: f64 = 1_048_576.0;

/// Everything that a page is made from.
pub(crate) struct Sample {
    pub(crate) snapshot: Snapshot,
    pub(crate) measures: Measures,
    pub(crate) incidents: Vec<Incident>,
}

impl Sample {
    pub(crate) fn page(&self) -> String {
        super::page(&self.snapshot, &self.measures, &self.incidents, chrono_tz::Tz::UTC)
    }
}

/// Returns a value between 0 and 1 that depends on its input alone.
fn chance(seed: u64) -> f64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// About a bell curve around 0.
fn noise(seed: u64) -> f64 {
    (0..4).map(|n| chance(seed.wrapping_mul(4).wrapping_add(n))).sum::<f64>() - 2.0
}

/// Keeps a bounded number of points of a metric, merged two and two, as the state file does.
pub(crate) fn kept(values: impl Iterator<Item = (i64, u64, f64, u32)>) -> Vec<Measured> {
    let (mut points, mut stride): (Vec<Measured>, u32) = (Vec::new(), 1);
    for (at_ms, cycle, value, life) in values {
        let point = Measured::one(at_ms, cycle, &Value { value, life });
        if let Some(last) = points.last_mut().filter(|last| last.life == life && last.samples < stride) {
            last.merge(&point);
            continue;
        }
        if points.len() >= POINTS_MAX {
            points = halved(&points);
            stride *= 2;
        }
        points.push(point);
    }
    points
}

/// The shape of a run: when cycles end, and when things were started anew.
struct Shape {
    cycles: u64,
    cycle_ms: i64,
    /// Days on which soakd came back, each after some minutes.
    restarts: Vec<(f64, i64)>,
    /// Days on which the target was started with another version.
    releases: Vec<f64>,
}

impl Shape {
    fn at(&self, cycle: u64) -> i64 {
        START + cycle as i64 * self.cycle_ms
    }

    fn day(&self, cycle: u64) -> f64 {
        (self.at(cycle) - START) as f64 / DAY as f64
    }

    /// Which life of something a cycle is in, if it is in one.
    fn epoch(&self, cycle: u64) -> Option<u32> {
        let day = self.day(cycle);
        let down = |(at, minutes): &(f64, i64)| day >= *at && day < at + *minutes as f64 / 1440.0;
        (!self.restarts.iter().any(down)).then(|| 1 + self.restarts.iter().filter(|(at, _)| day >= *at).count() as u32)
    }

    fn release(&self, cycle: u64) -> u32 {
        self.releases.iter().filter(|at| self.day(cycle) >= **at).count() as u32
    }

    fn metric(&self, seed: u64, of_target: bool, value: impl Fn(f64, u64) -> f64) -> Vec<Measured> {
        kept((1..=self.cycles).filter_map(|cycle| {
            let epoch = self.epoch(cycle)?;
            let life = if of_target { 100 + self.release(cycle) } else { epoch };
            Some((
                self.at(cycle),
                cycle,
                value(self.day(cycle), seed.wrapping_mul(1_000_003).wrapping_add(cycle)),
                life,
            ))
        }))
    }

    fn measures(&self, leak: impl Fn(f64) -> f64) -> Measures {
        let mut all = Measures::new();
        let slow = |seed: u64| 1.0 + if chance(seed ^ 77) > 0.997 { 14.0 * chance(seed ^ 5) } else { 0.0 };
        let warm = |day: f64| 6.0 * (1.0 - (-day * 30.0).exp());
        all.insert(
            "rss.target".into(),
            self.metric(1, true, |day, seed| (61.0 + warm(day) + leak(day) + 1.2 * noise(seed)) * MIB),
        );
        all.insert("rss.daemon".into(), self.metric(2, false, |_, seed| (38.0 + 0.3 * noise(seed)) * MIB));
        for worker in 1..=4u64 {
            let base = 22.0 + 2.0 * worker as f64;
            all.insert(
                format!("rss.worker-{worker}"),
                self.metric(2 + worker, false, |_, seed| (base + 0.8 * noise(seed)) * MIB),
            );
        }
        for (no, (action, ms)) in
            [("sent", 12.0), ("received", 21.0), ("inserted", 2.4), ("updated", 3.1)].into_iter().enumerate()
        {
            for (kind, factor) in [("p50", 1.0), ("p90", 1.9), ("p99", 5.5)] {
                let wild = if kind == "p99" { 1.0 } else { 0.02 };
                let seed = 20 + no as u64;
                let value = |_: f64, seed: u64| {
                    ms * factor * (1.0 + 0.06 * noise(seed)) * (1.0 + wild * (slow(seed) - 1.0)) / 1e3
                };
                all.insert(format!("latency_{kind}.{action}"), self.metric(seed, false, value));
            }
        }
        all.insert("throughput.steps".into(), self.metric(39, false, |_, seed| 4.4 + 0.2 * noise(seed)));
        all.insert(
            "throughput.rows".into(),
            self.metric(40, false, |day, seed| 5_200.0 - 6.0 * day + 180.0 * noise(seed)),
        );
        all.insert("converge".into(), self.metric(41, false, |_, seed| 2.1 * slow(seed) + 0.2 * noise(seed)));
        all.insert("cycle".into(), self.metric(42, false, |_, seed| 41.0 + 1.5 * noise(seed) + slow(seed)));
        all.insert(
            "fds.target".into(),
            self.metric(43, true, |day, seed| (44.0 + leak(day) / 6.0 + 2.0 * noise(seed)).round()),
        );
        all.insert("fds.daemon".into(), self.metric(44, false, |_, seed| (31.0 + noise(seed)).round()));
        all.insert("threads.target".into(), self.metric(45, true, |_, _| 9.0));
        all.insert(
            "db.target".into(),
            self.metric(46, true, |day, seed| (310.0 + 3.0 * day.sqrt() + noise(seed)) * MIB),
        );
        all.insert("wal.target".into(), self.metric(47, true, |_, seed| (2.0 + 6.0 * chance(seed)) * MIB));
        all.insert("cpu.target".into(), self.metric(48, true, |_, seed| 0.31 + 0.02 * noise(seed)));
        all.insert("io_write.target".into(), self.metric(49, true, |_, seed| (3.4 + 0.4 * noise(seed)) * MIB));
        all
    }

    fn epochs(&self) -> Vec<EpochRecord> {
        let ends = self.restarts.iter().map(|(day, _)| *day).chain([self.day(self.cycles)]);
        let starts =
            std::iter::once(0.0).chain(self.restarts.iter().map(|(day, minutes)| day + *minutes as f64 / 1440.0));
        let ms = |day: f64| START + (day * DAY as f64) as i64;
        let epoch = |(no, (from, until)): (u32, (f64, f64))| EpochRecord {
            epoch: no,
            pid: 4000 + no,
            started_ms: ms(from),
            last_ms: ms(until),
            cycle: 1 + ((from * DAY as f64) as i64 / self.cycle_ms) as u64,
            phase: Phase::Load,
            clean_end: no % 2 == 0,
            steps_recovered: u64::from(no - 1) * 3,
        };
        (1..).zip(starts.zip(ends)).map(epoch).collect()
    }

    fn cycle(&self, no: u64, bad: bool) -> CycleRecord {
        let mut cycle = failing().cycles[usize::from(bad)].clone();
        cycle.cycle = no;
        cycle.started_ms = self.at(no - 1);
        cycle.ended_ms = self.at(no) - self.cycle_ms / 9;
        cycle.epoch = self.epoch(no).unwrap_or(1);
        cycle.server =
            ["embedded 0.1.0", "embedded 0.2.0", "embedded 0.2.1"][self.release(no).min(2) as usize].to_owned();
        cycle
    }
}

fn group(first: Finding, times: impl Iterator<Item = i64>) -> FindingGroup {
    let mut group = FindingGroup::new(first.clone());
    times.for_each(|at_ms| group.add(&Finding { at_ms, ..first.clone() }));
    group
}

fn finding(at_ms: i64, side: Side, kind: Kind, tolerated: bool, message: &str) -> Finding {
    let code = None;
    Finding { at_ms, side, kind, tolerated, code, message: message.to_owned(), ..a_finding(at_ms, 2) }
}

fn incident(id: u64, opened_ms: i64, hours: f64, severity: Severity, title: &str) -> Incident {
    let first = finding(opened_ms, Side::Server, Kind::Divergence, false, title);
    let resolved_ms = (hours > 0.0).then_some(opened_ms + (hours * 3.6e6) as i64);
    let last_ms = resolved_ms.unwrap_or(opened_ms + 900_000);
    Incident {
        id,
        run: failing().run.run,
        title: title.to_owned(),
        cause: first.cause(),
        causes: BTreeMap::from([(first.cause(), 12)]),
        severity,
        state: if resolved_ms.is_some() { IncidentState::Resolved } else { IncidentState::Open },
        first,
        opened_ms,
        last_ms,
        resolved_ms,
        count: 12 + id * 7,
        cycle_first: (opened_ms - START) as u64 / 60_000,
        cycle_last: (last_ms - START) as u64 / 60_000,
        clean_cycles: 3,
        evidence: vec![
            "lost: db1_r3_4411 in DB2: not there; acknowledged: value 7 of DB1 (update 3), user 1".to_owned(),
        ],
        history: vec![Change { at_ms: opened_ms, cycle: 1, what: ChangeKind::Opened }],
        told_ms: None,
        told_count: 0,
    }
}

fn judged(limit: f64, value: f64, verdict: Verdict, at_ms: i64, cycle: u64) -> Judgement {
    let result = |criterion: &str, metric: &str, verdict: Option<Verdict>, summary: &str| CriterionResult {
        criterion: criterion.to_owned(),
        metric: metric.to_owned(),
        verdict,
        summary: summary.to_owned(),
        limit: verdict.map(|_| limit),
        value: verdict.map(|_| value),
        low: verdict.map(|_| value * 0.9),
        high: verdict.map(|_| value * 1.1),
        confidence: Some(0.95),
        samples: cycle,
        detectable: None,
        reaches_ms: None,
        evidence: Vec::new(),
    };
    let grows = if verdict == Verdict::Fail {
        "grows by 497 KiB per hour from 21 January on, more than the limit of 100 KiB"
    } else {
        "does not grow by more than 100 KiB per hour"
    };
    Judgement {
        at_ms,
        cycle,
        hash: "5f0c9a41b7e2d3486ac1".to_owned(),
        results: vec![
            result("memory_slope", "rss.target", Some(verdict), grows),
            result("memory_slope", "rss.daemon", Some(Verdict::Pass), "does not grow by more than 100 KiB per hour"),
            result("wal_size", "wal.target", Some(Verdict::Pass), "was 8 MiB at most"),
            result("reconnects", "", None, "not judged: this workload holds no connection open"),
        ],
    }
}

/// A run of 30 cycles that ended well enough.
pub(crate) fn short() -> Sample {
    let shape = Shape { cycles: 30, cycle_ms: 95_000, restarts: vec![], releases: vec![] };
    let mut snapshot = failing();
    let end = shape.at(30) + 4_000;
    snapshot.cycles = (1..=30).map(|no| shape.cycle(no, no == 14)).collect();
    snapshot.cycles_done = 30;
    snapshot.cycles_by_verdict = BTreeMap::from([(Verdict::Pass, 29), (Verdict::Fail, 1)]);
    snapshot.epochs = shape.epochs();
    (snapshot.run.ended_ms, snapshot.made_ms, snapshot.run.cycle) = (Some(end), end, 30);
    snapshot.run.observed_ms = (end - START) as u64 - 1_500;
    snapshot.run.scale.cycles_planned = Some(30);
    snapshot.judgement = Some(judged(1e5, 4.1e3, Verdict::Pass, end, 30));
    snapshot.latency = latencies();
    let incidents = vec![incident(1, START + 14 * 95_000, 0.2, Severity::Failure, "3 rows lost on DB2")];
    Sample { snapshot, measures: shape.measures(|_| 0.0), incidents }
}

fn latencies() -> Vec<LatencySummary> {
    let one = |action: &str, p50_us: u64| LatencySummary {
        action: action.to_owned(),
        count: 1_204_331,
        p50_us,
        p90_us: p50_us * 2,
        p99_us: p50_us * 6,
        p999_us: p50_us * 30,
        max_us: p50_us * 400,
    };
    vec![one("sent", 12_100), one("received", 21_400), one("inserted", 2_400), one("updated", 3_100)]
}

/// A run of `days` days with a leak in one version of the target, restarts, outages and errors of many kinds.
pub(crate) fn weeks(days: u64) -> Sample {
    let ms = |day: f64| START + (day * DAY as f64) as i64;
    let scale = days as f64 / 48.0;
    let restarts =
        [(6.2, 14), (17.5, 380), (29.9, 25), (30.1, 6), (41.0, 55)].map(|(day, minutes)| (day * scale, minutes));
    let releases = vec![20.0 * scale, 33.0 * scale];
    let shape = Shape { cycles: days * 1440, cycle_ms: MINUTE, restarts: restarts.to_vec(), releases };
    let leak = |day: f64| if day >= 20.0 * scale && day < 33.0 * scale { 12.0 * (day / scale - 20.0) } else { 0.0 };
    let mut snapshot = failing();
    let end = shape.at(shape.cycles);
    let pinned = [7.3, 21.9, 31.2].map(|day| (day * scale * 1440.0) as u64);
    let last = shape.cycles - 49..=shape.cycles;
    snapshot.cycles =
        pinned.iter().map(|no| shape.cycle(*no, true)).chain(last.map(|no| shape.cycle(no, false))).collect();
    snapshot.cycles_done = shape.cycles - 480;
    snapshot.cycles_by_verdict = BTreeMap::from([(Verdict::Pass, shape.cycles - 483), (Verdict::Fail, 3)]);
    snapshot.epochs = shape.epochs();
    (snapshot.run.ended_ms, snapshot.made_ms, snapshot.run.cycle) = (Some(end), end, shape.cycles);
    snapshot.run.observed_ms = (end - START) as u64 - 480 * 60_000;
    (snapshot.run.scale.cycles_planned, snapshot.run.scale.duration_planned_ms) = (None, Some(days * DAY as u64));
    let outages = [3.3, 9.1, 17.5, 17.6, 22.0, 28.4, 31.2, 31.3, 44.4].map(|day| day * scale);
    let outage = |(no, day): (usize, &f64)| Outage {
        from_ms: ms(*day),
        until_ms: Some(ms(*day) + (9 + 37 * no as i64) * MINUTE),
        reason: "connection refused".to_owned(),
    };
    snapshot.outages = outages.iter().enumerate().map(outage).collect();
    snapshot.findings = found(days, &outages);
    snapshot.totals.errors = snapshot.findings.iter().map(|group| group.count).sum();
    let since = [(0.0, "embedded 0.1.0"), (20.0, "embedded 0.2.0"), (33.0, "embedded 0.2.1")];
    let version = |(day, server): (f64, &str)| VersionSince {
        cycle: 1 + (day * scale * 1440.0) as u64,
        at_ms: ms(day * scale),
        server: server.to_owned(),
    };
    snapshot.changes.versions = since.map(version).into();
    snapshot.judgement = Some(judged(1e5, 5.09e5, Verdict::Fail, end, shape.cycles));
    snapshot.latency = latencies();
    let titles = [
        "3 rows lost on DB2",
        "connection refused by 127.0.0.1:8090",
        "memory of target grows by 497 KiB an hour",
        "1 worker ended by SIGSEGV",
    ];
    let incidents = (1..=14u64).map(|id| {
        let severity = if id % 4 == 3 { Severity::Warning } else { Severity::Failure };
        let opened = ms((3.2 * id as f64 + 0.1) * scale);
        incident(id, opened, if id == 11 { 0.0 } else { 3.0 + 30.0 * chance(id) }, severity, titles[id as usize % 4])
    });
    Sample { snapshot, measures: shape.measures(leak), incidents: incidents.collect() }
}

fn found(days: u64, outages: &[f64]) -> Vec<FindingGroup> {
    let ms = |day: f64| START + (day * DAY as f64) as i64;
    let even = |n: u64, seed: u64| {
        (0..n).map(move |at| START + ((at as f64 + chance(seed + at)) / n as f64 * (days * DAY as u64) as f64) as i64)
    };
    let bursts = || outages.iter().flat_map(|day| (0..140).map(move |n| ms(*day) + n * 4_100));
    let one = |side, kind, tolerated, message: &str, times: Vec<i64>| {
        group(finding(times[0], side, kind, tolerated, message), times.into_iter().skip(1))
    };
    vec![
        one(Side::Network, Kind::Refused, true, "connection refused (127.0.0.1:8090)", bursts().collect()),
        one(Side::Server, Kind::Http5xx, true, "service unavailable (request 1181)", even(640, 1).collect()),
        one(Side::Client, Kind::Locked, true, "database is locked", even(310, 9_000).collect()),
        one(Side::Network, Kind::Timeout, true, "no answer within 30 s", bursts().step_by(5).collect()),
        one(Side::Client, Kind::Busy, true, "database is busy", even(90, 70_000).collect()),
        one(
            Side::Server,
            Kind::Divergence,
            false,
            "convergence: 3 rows are not as they must be",
            even(3, 800).collect(),
        ),
        one(Side::Client, Kind::Crash, false, "worker 2 ended by SIGSEGV", even(2, 5).collect()),
        one(Side::Soakd, Kind::Other, true, "the state file took 1.2 s to commit", even(12, 300).collect()),
    ]
}
