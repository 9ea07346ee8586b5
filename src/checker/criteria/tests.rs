//! Every judge fires on what was planted and not on a healthy run, and says so when it cannot tell.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::model::measure::Value;
use crate::stats::burn::Span;

mod drifts;
mod grows;

const START: i64 = 1_767_225_600_000;
const HOUR: i64 = 3_600_000;
const MIB: f64 = 1_048_576.0;

/// A made-up run of `cycles`, a day long.
struct Run {
    cycles: u64,
    written: Written,
    totals: Counters,
    findings: Vec<FindingGroup>,
    outages: Vec<Outage>,
    measures: BTreeMap<String, Vec<Measured>>,
    parts: Vec<String>,
    files: Vec<String>,
    latency: Vec<LatencySummary>,
    meter: Meter,
    random: ChaCha8Rng,
    look: Option<u64>,
    blind: Option<&'static str>,
}

impl Run {
    fn new(cycles: u64, seed: u64) -> Self {
        Self {
            cycles,
            written: Written::default(),
            totals: Counters { steps: cycles * 60, ..Counters::default() },
            findings: Vec::new(),
            outages: Vec::new(),
            measures: BTreeMap::new(),
            parts: Vec::new(),
            files: Vec::new(),
            latency: Vec::new(),
            meter: Meter::default(),
            random: ChaCha8Rng::seed_from_u64(seed),
            look: None,
            blind: None,
        }
    }

    /// Writes criteria.
    fn with(mut self, limits: &[(&str, f64)]) -> Self {
        self.written.limits.extend(limits.iter().map(|(name, limit)| ((*name).to_owned(), *limit)));
        self
    }

    fn normal(&mut self) -> f64 {
        let (a, b): (f64, f64) = (self.random.random(), self.random.random());
        (-2.0 * (1.0 - a).ln()).sqrt() * (2.0 * std::f64::consts::PI * b).cos()
    }

    fn at(&self, cycle: u64) -> i64 {
        START + 24 * HOUR * cycle as i64 / self.cycles.max(1) as i64
    }

    /// Measures a metric: the shape takes the hour and a standard normal value.
    fn measure(&mut self, metric: &str, shape: impl Fn(f64, f64) -> f64) {
        let mut points = Vec::new();
        for cycle in 1..=self.cycles {
            let at_ms = self.at(cycle);
            let value = shape((at_ms - START) as f64 / HOUR as f64, self.normal());
            points.push(Measured::one(at_ms, cycle, &Value { value, life: 7 }));
        }
        self.measures.insert(metric.to_owned(), points);
    }

    fn judged(&self) -> Judgement {
        let evidence = Evidence {
            now_ms: self.at(self.cycles),
            cycle: self.cycles,
            cycles_done: self.cycles,
            observed_ms: if self.cycles == 0 { 0 } else { 24 * HOUR as u64 },
            look: self.look,
            totals: &self.totals,
            findings: &self.findings,
            findings_ungrouped: 0,
            outages: &self.outages,
            outages_dropped: 0,
            tolerated: &[Kind::Timeout, Kind::Reset],
            measures: &self.measures,
            parts: &self.parts,
            files: &self.files,
            blind: self.blind,
            latency: &self.latency,
            meter: &self.meter,
            descriptors_max: Some(1024),
        };
        judge(&Fixed::new(&self.written, Planned::default()), &evidence)
    }

    /// Returns the results of one criterion.
    fn of(&self, criterion: &str) -> Vec<CriterionResult> {
        self.judged().results.into_iter().filter(|result| result.criterion == criterion).collect()
    }

    fn verdict(&self, criterion: &str) -> Option<Verdict> {
        let all = self.of(criterion);
        assert!(!all.is_empty(), "{criterion} has no result");
        all.iter().filter_map(|result| result.verdict).max()
    }
}

fn group(kind: Kind, tolerated: bool, times: &[i64]) -> FindingGroup {
    let finding = |at_ms: &i64| Finding {
        at_ms: *at_ms,
        cycle: 1,
        phase: "load".into(),
        db: Some(1),
        user: Some(1),
        iter: None,
        step: None,
        side: Side::Network,
        kind,
        code: None,
        message: "connection reset by peer".into(),
        tolerated,
    };
    let mut group = FindingGroup::new(finding(&times[0]));
    times[1..].iter().for_each(|at_ms| group.add(&finding(at_ms)));
    group
}

#[test]
fn steps_that_are_not_acknowledged_are_counted() {
    let mut run = Run::new(50, 1);
    let [result] = &run.of("success_share")[..] else { panic!() };
    assert_eq!((result.verdict, result.value, result.samples), (Some(Verdict::Pass), Some(1.0), 3000));
    assert!(result.low.unwrap() > 0.99 && result.confidence == Some(0.99));
    run.totals.steps_failed = 29;
    assert_eq!(run.verdict("success_share"), Some(Verdict::Pass));
    run.totals.steps_indeterminate = 1;
    let [result] = &run.of("success_share")[..] else { panic!() };
    assert_eq!(result.verdict, Some(Verdict::Fail));
    assert_eq!(result.summary, "only 2,970 of 3,000 steps were acknowledged, 99 % (more than 99 % is wanted)");
    run.totals = Counters::default();
    assert_eq!(run.verdict("success_share"), Some(Verdict::Inconclusive));
}

#[test]
fn errors_that_nobody_expected_fail_and_expected_ones_do_not() {
    let mut run = Run::new(50, 1);
    assert_eq!(run.verdict("unexpected_errors"), Some(Verdict::Pass));
    run.findings = vec![group(Kind::Timeout, true, &[5, 6])];
    assert_eq!(run.verdict("unexpected_errors"), Some(Verdict::Pass));
    run.findings.push(group(Kind::Http5xx, true, &[9]));
    let [result] = &run.of("unexpected_errors")[..] else { panic!() };
    assert_eq!((result.verdict, result.value), (Some(Verdict::Fail), Some(1.0)));
    assert!(result.summary.ends_with("(limit 0); first: connection reset by peer"), "{}", result.summary);
    run = run.with(&[("unexpected_errors", 1.0)]);
    assert_eq!(run.verdict("unexpected_errors"), Some(Verdict::Pass));
    run.findings.push(group(Kind::Timeout, false, &[9]));
    assert_eq!(run.verdict("unexpected_errors"), Some(Verdict::Fail));
}

#[test]
fn an_outage_is_one_disconnect_with_all_that_it_breaks() {
    let mut run = Run::new(50, 1);
    let outage = |from_ms| Outage { from_ms, until_ms: Some(from_ms + 5_000), reason: "refused".into() };
    run.outages = (0..9).map(|n| outage(START + n * HOUR)).collect();
    let around: Vec<i64> = (0..20).map(|n| START + n * 100).collect();
    run.findings = vec![group(Kind::Reset, true, &around)];
    let [result] = &run.of("disconnects")[..] else { panic!() };
    assert_eq!((result.verdict, result.value), (Some(Verdict::Pass), Some(9.0)), "{}", result.summary);
    run.findings.push(group(Kind::Reset, true, &[START + HOUR / 2]));
    let [result] = &run.of("disconnects")[..] else { panic!() };
    assert_eq!((result.verdict, result.value), (Some(Verdict::Fail), Some(10.0)), "{}", result.summary);
}

#[test]
fn a_budget_is_judged_over_hours() {
    let mut run = Run::new(50, 1);
    assert_eq!(run.verdict("budget"), Some(Verdict::Inconclusive), "nothing was metered");
    let burn = |errors: u64| {
        let mut meter = Meter::default();
        for minute in 0..600 {
            let from_ms = START + minute * 60_000;
            let errors = if minute > 300 { errors } else { 0 };
            meter.add(Span { from_ms, until_ms: from_ms + 60_000, errors, operations: 100 }, 0.99);
        }
        meter
    };
    run.meter = burn(0);
    assert_eq!(run.verdict("budget"), Some(Verdict::Pass));
    run.meter = burn(30);
    let [result] = &run.of("budget")[..] else { panic!() };
    assert_eq!(result.verdict, Some(Verdict::Fail), "{}", result.summary);
    assert!(result.summary.contains("24.9 times as fast as it lasts over 6 h and 30 min (limit 6)"), "{result:?}");
}

#[test]
fn a_short_run_is_judged_by_what_it_can_prove() {
    let run = Run::new(3, 1);
    let all = run.judged();
    assert_eq!(all.verdict(), Some(Verdict::Pass), "{all:?}");
    let judged: Vec<&str> = all.results.iter().filter(|r| r.verdict.is_some()).map(|r| r.criterion.as_str()).collect();
    assert_eq!(judged, ["success_share", "unexpected_errors", "disconnects"]);
    let why = &run.of("memory_slope")[0].summary;
    assert!(why.starts_with("not judged: 3 cycles in 24 h are too few, 30 cycles and 3 h are needed"), "{why}");
    // What is written is judged in any case.
    for name in ["memory_slope", "memory_step", "memory_ceiling", "descriptors_slope", "wal_slope", "database_slope"]
        .into_iter()
        .chain(["p99", "p99_drift", "throughput_drift", "converge", "budget"])
    {
        let run = Run::new(3, 1).with(&[(name, 0.5)]);
        assert_eq!(run.verdict(name), Some(Verdict::Inconclusive), "{name}: {:?}", run.of(name));
        assert_eq!(run.judged().verdict(), Some(Verdict::Inconclusive));
        let mut left_out = run;
        left_out.written.skip = vec![name.to_owned()];
        assert_eq!(left_out.verdict(name), None);
    }
}

#[test]
fn nothing_at_all_is_no_pass() {
    let mut run = Run::new(0, 1);
    run.totals = Counters::default();
    assert_eq!(run.judged().verdict(), Some(Verdict::Inconclusive));
}

#[test]
fn looks_are_further_and_further_apart_and_stricter() {
    let looks: Vec<(u64, u64)> = (0..=2000).filter_map(|n| Some((n, look_at(n)?))).collect();
    assert_eq!(looks[..4], [(30, 1), (33, 2), (37, 3), (41, 4)]);
    assert!(looks.len() < 50 && looks.windows(2).all(|two| two[1].1 == two[0].1 + 1));
    let sum: f64 = (1..100_000).map(|look| spent(Some(look))).sum();
    assert!((0.999..=1.0).contains(&sum), "{sum}");
    assert_eq!(spent(None), 1.0);
}

#[test]
fn alarms_name_the_part_and_an_older_one_is_remembered() {
    let mut run = Run::new(100, 1);
    run.parts = vec!["target".into(), "worker-1".into()];
    run.measure("rss.target", |hour, noise| (100.0 + 5.0 * hour + 0.2 * noise) * MIB);
    run.measure("rss.worker-1", |_, noise| (50.0 + 0.2 * noise) * MIB);
    let judgement = run.judged();
    let [alarm] = &alarms(&judgement)[..] else { panic!("{:?}", alarms(&judgement)) };
    assert_eq!((alarm.side, alarm.kind), (Side::Server, Kind::Criterion));
    assert_eq!(alarm.code.as_deref(), Some("criterion.memory_slope.target"));
    assert!(alarm.message.starts_with("resident memory of the target grows "), "{}", alarm.message);
    assert!(alarm.message.ends_with(" MiB/h (limit 1 MiB/h)"), "{}", alarm.message);
    assert!(held(&judgement).contains(&"criterion.memory_slope.worker-1".to_owned()));
    // Unexpected errors have incidents of their own, each by its cause.
    let mut counted = judgement.clone();
    counted.results[0].criterion = "unexpected_errors".into();
    counted.results[0].verdict = Some(Verdict::Fail);
    assert_eq!(alarms(&counted).len(), alarms(&judgement).len());
    run.measure("anon.target", |_, noise| (100.0 + 0.2 * noise) * MIB);
    let mut later = run.judged();
    remember(&mut later, &judgement);
    let result = later.results.iter().find(|r| r.metric == "anon.target" && r.criterion == "memory_slope").unwrap();
    assert_eq!(result.verdict, Some(Verdict::Pass));
    assert!(result.evidence.iter().any(|line| line.starts_with("had failed after cycle 100: ")), "{result:?}");
    let mut last = run.judged();
    remember(&mut last, &later);
    assert_eq!(last.results.iter().flat_map(|r| &r.evidence).filter(|line| line.starts_with(EARLIER)).count(), 1);
}

#[test]
fn results_are_bounded_and_failures_stay() {
    let mut run = Run::new(40, 1);
    run.parts = (0..200).map(|n| format!("worker-{n}")).collect();
    run.measure("rss.worker-199", |hour, noise| (100.0 + 9.0 * hour + 0.2 * noise) * MIB);
    let judgement = run.judged();
    assert!(judgement.results.len() <= RESULTS_MAX);
    assert_eq!(judgement.verdict(), Some(Verdict::Fail));
    for result in &judgement.results {
        assert!(result.evidence.len() <= EVIDENCE_MAX);
        let finite = [result.value, result.low, result.high, result.detectable];
        assert!(finite.into_iter().flatten().all(f64::is_finite), "{result:?}");
    }
}
