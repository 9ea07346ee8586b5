//! Whole comparisons: what is compared, what is refused, and what a planted slow-down and two runs of one build come to.

use super::*;
use crate::model::judgement::VersionSince;
use crate::model::measure::Value;
use crate::model::record::{Phase, Versions};
use crate::stats::compare::tests::Dice;

const METRICS: &[(&str, f64, f64)] = &[
    ("latency_p50.sent", 0.01, 0.02),
    ("latency_p90.sent", 0.02, 0.03),
    ("latency_p99.sent", 0.05, 0.06),
    ("latency_p50.received", 0.008, 0.02),
    ("throughput.sent", 100.0, 0.02),
    ("converge", 0.3, 0.05),
    ("rss.target", 6e7, 0.002),
    ("fds.target", 21.0, 0.0),
    ("db.target", 4e6, 0.0),
    ("rss.daemon", 4e7, 0.3),
    ("cycle", 3.0, 0.3),
];

fn a_run(run: &str, started_ms: i64) -> RunRecord {
    RunRecord {
        run: run.into(),
        name: "test".into(),
        schedule: None,
        seed: 7,
        started_ms,
        ended_ms: Some(started_ms + 1),
        config: BTreeMap::new(),
        scale: ScaleRecord {
            scale: "small".into(),
            mode: "classic".into(),
            provider: "native".into(),
            target: "embedded".into(),
            rls: true,
            rows: 1000,
            iterations: 5,
            databases: 4,
            users: 2,
            cycles_planned: Some(2),
            duration_planned_ms: None,
            steps_per_cycle: 180,
        },
        versions: Versions::default(),
        cycle: 1,
        phase: Phase::Done,
        observed_ms: 0,
        verdict: None,
        criteria: String::new(),
        ended_because: None,
    }
}

/// Measures of a run of `cycles` cycles whose times are `slower` times as long.
fn measures(dice: &mut Dice, cycles: u64, slower: impl Fn(u64) -> f64) -> Measures {
    let mut all = Measures::new();
    let run = dice.normal() * 0.007;
    for (name, level, noise) in METRICS {
        let (is_time, is_rate) = (name.starts_with("latency") || *name == "converge", name.starts_with("throughput"));
        for cycle in 1..=cycles {
            let speed = if is_time {
                slower(cycle)
            } else if is_rate {
                1.0 / slower(cycle)
            } else {
                1.0
            };
            let offset = if is_time || is_rate { run } else { 0.0 };
            let value = level * speed * (offset + noise * dice.normal()).exp();
            let point = Measured::one(cycle as i64 * 1000, cycle, &Value { value, life: 1 });
            all.entry((*name).to_owned()).or_default().push(point);
        }
        let errors = Measured::one(0, 1, &Value { value: 0.0, life: 1 });
        all.insert("errors".into(), (1..=cycles).map(|cycle| Measured { cycle, ..errors }).collect());
    }
    all
}

fn side<'a>(run: &'a RunRecord, measures: &'a Measures) -> Side<'a> {
    Side { run, cycles_done: measures.get("cycle").map_or(0, |points| points.len() as u64), measures }
}

fn runs() -> (RunRecord, RunRecord) {
    let (mut a, mut b) = (a_run("a", 0), a_run("b", 1));
    (a.versions.server, b.versions.server) = ("7a1b".into(), "8f3c".into());
    (a, b)
}

fn overall(dice: &mut Dice, slower: f64, cycles: u64) -> BaselineComparison {
    let (a, b) = runs();
    let (old, new) = (measures(dice, cycles, |_| 1.0), measures(dice, cycles, |_| slower));
    compare(&side(&a, &old), &side(&b, &new), &Settings::default(), 5)
}

#[test]
fn a_build_slower_by_a_tenth_is_worse_and_the_same_build_is_the_same() {
    let mut dice = Dice::new(17);
    let (mut worse, mut same) = (0, 0);
    for _ in 0..60 {
        worse += u32::from(overall(&mut dice, 1.1, 40).overall() == Change::Worse);
        same += u32::from(overall(&mut dice, 1.0, 40).overall() == Change::Same);
    }
    assert!(worse >= 57 && same >= 57, "worse {worse}, same {same} of 60");
    let found = overall(&mut dice, 1.1, 40);
    let names: Vec<&str> = found.with(Change::Worse).map(|change| change.metric.as_str()).collect();
    assert!(names.contains(&"latency_p50.sent") && names.contains(&"throughput.sent"), "{names:?}");
    assert!(found.changes.iter().all(|change| change.metric != "rss.daemon" && change.metric != "cycle"));
    assert_eq!(found.aspect(Aspect::Memory), Some(Change::Same));
    assert_eq!(found.aspect(Aspect::Errors), Some(Change::Same));
    assert_eq!(overall(&mut dice, 1.0 / 1.15, 40).overall(), Change::Better);
}

#[test]
fn a_leak_is_told_as_growth() {
    let mut dice = Dice::new(41);
    let (a, b) = runs();
    let (old, mut new) = (measures(&mut dice, 60, |_| 1.0), measures(&mut dice, 60, |_| 1.0));
    for point in new.get_mut("rss.target").unwrap() {
        point.mean *= 1.0 + 0.01 * point.cycle as f64;
    }
    let found = compare(&side(&a, &old), &side(&b, &new), &Settings::default(), 5);
    let growth = found.changes.iter().find(|change| change.metric == "growth.rss.target").unwrap();
    assert_eq!(growth.change, Change::Worse, "{growth:?}");
    assert!(growth.before.unwrap() < 0.02 && growth.after.unwrap() > 0.15, "{growth:?}");
    assert_eq!(found.overall(), Change::Worse);
}

#[test]
fn too_few_cycles_cannot_tell_and_say_so() {
    let found = overall(&mut Dice::new(3), 1.5, 5);
    assert_eq!(found.overall(), Change::CannotTell);
    assert!(found.changes[0].summary.starts_with("4 pairs of cycles after the warm-up"), "{:?}", found.changes[0]);
}

#[test]
fn what_cannot_be_compared_is_refused_with_every_reason() {
    let mut dice = Dice::new(5);
    let all = measures(&mut dice, 20, |_| 1.0);
    let (a, mut b) = runs();
    let refused = |b: &RunRecord, new: &Measures, anyway| {
        let settings = Settings { anyway, ..Settings::default() };
        compare(&side(&a, &all), &side(b, new), &settings, 5).refused
    };
    assert_eq!(refused(&b, &all, false), Vec::<String>::new());
    assert_eq!(refused(&a, &all, true), ["run a (test) is compared with itself"]);
    b.scale.rows += 1;
    b.config.insert("workload.sync.mode".into(), "contended".into());
    b.config.insert("log.level".into(), "debug".into());
    b.config.insert("provider.extension.path".into(), "/elsewhere".into());
    let told = refused(&b, &all, false);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("rows is ") && told[1].contains("workload.sync.mode is not set in the one and contended")
    );
    assert_eq!(refused(&b, &all, true), Vec::<String>::new());
    b.ended_because = Some("stopped by SIGTERM".into());
    let told = refused(&b, &Measures::new(), true);
    assert_eq!(told, ["run b (test) has no finished cycle (stopped by SIGTERM), so that there is nothing to compare"]);
    let unmeasured = Measures::from([("cycle".to_owned(), Vec::new())]);
    let side_b = Side { run: &b, cycles_done: 3, measures: &unmeasured };
    let told = compare(&side(&a, &all), &side_b, &Settings { anyway: true, ..Settings::default() }, 5).refused;
    assert!(told[0].starts_with("nothing was measured in run b"), "{told:?}");
}

#[test]
fn runs_of_one_version_show_how_much_they_deviate() {
    let mut dice = Dice::new(9);
    let quiet: Vec<Measures> = (0..6).map(|_| measures(&mut dice, 30, |_| 1.0)).collect();
    let wild: Vec<Measures> = (0..6).map(|no| measures(&mut dice, 30, |_| 1.0 + f64::from(no % 3) * 0.08)).collect();
    let learnt = |all: &[Measures]| between(&[all.iter().collect()])["latency_p50.sent"];
    assert!(learnt(&quiet) < 0.02 && learnt(&quiet) > 0.005, "{}", learnt(&quiet));
    assert!(learnt(&wild) > 0.04, "{}", learnt(&wild));
    assert!(between(&[vec![&quiet[0]]]).is_empty());
    // What deviates so much is not called worse for a tenth.
    let (a, b) = runs();
    let (old, new) = (measures(&mut dice, 40, |_| 1.0), measures(&mut dice, 40, |_| 1.1));
    let settings = Settings { between: between(&[wild.iter().collect()]), ..Settings::default() };
    assert_ne!(compare(&side(&a, &old), &side(&b, &new), &settings, 5).overall(), Change::Worse);
}

fn version(cycle: u64, server: &str) -> VersionSince {
    VersionSince { cycle, at_ms: cycle as i64 * 1000, server: server.into() }
}

#[test]
fn what_got_slower_with_a_version_is_told_with_that_version() {
    let mut dice = Dice::new(21);
    let slower = measures(&mut dice, 60, |cycle| if cycle < 41 { 1.0 } else { 1.12 });
    let versions = [version(1, "7a1b"), version(41, "8f3c")];
    let shifts = within::shifts(&slower, &versions, true);
    assert!(shifts.len() >= 3 && shifts.iter().all(|shift| shift.since.as_deref() == Some("8f3c")), "{shifts:?}");
    assert!(shifts.iter().all(|shift| shift.change == Change::Worse && shift.cycle.abs_diff(41) <= 3));
    let told = findings::of_shifts(&shifts, &[], (7, 60));
    assert!(told[0].message.ends_with(" since server version 8f3c (cycle 41)"), "{}", told[0].message);
    assert!(told[0].message.contains(" more metrics"), "{}", told[0].message);
    assert_eq!(findings::of_shifts(&shifts, &shifts, (7, 60)), [], "told once");
    // The same without a version is a change, and nobody's fault.
    let nobody = within::shifts(&slower, &versions[..1], true);
    assert!(!nobody.is_empty() && nobody.iter().all(|shift| shift.since.is_none()));
    assert_eq!(findings::of_shifts(&nobody, &[], (7, 60)), []);
    assert_eq!(within::shifts(&slower, &versions[..1], false), []);
}

#[test]
fn a_version_that_changes_nothing_is_not_blamed_and_a_repair_is_seen() {
    let mut dice = Dice::new(22);
    let blamed = (0..40)
        .filter(|_| {
            !within::shifts(&measures(&mut dice, 60, |_| 1.0), &[version(1, "a"), version(31, "b")], true).is_empty()
        })
        .count();
    assert!(blamed <= 2, "{blamed} of 40");
    let repaired = measures(&mut dice, 90, |cycle| if (31..61).contains(&cycle) { 1.2 } else { 1.0 });
    let versions = [version(1, "a"), version(31, "b"), version(61, "c")];
    let shifts = within::shifts(&repaired, &versions, false);
    assert!(findings::is_recovered(&shifts), "{shifts:?}");
    let still = measures(&mut dice, 60, |cycle| if cycle < 31 { 1.0 } else { 1.2 });
    assert!(!findings::is_recovered(&within::shifts(&still, &versions[..2], false)));
}

#[test]
fn a_version_is_looked_at_ever_more_rarely() {
    let due: Vec<u64> = (1..100).filter(|since| within::is_due(*since)).collect();
    assert_eq!(due, [6, 8, 12, 16, 24, 32, 48, 64, 96]);
}

#[test]
fn findings_name_the_gravest_first_and_stay_few() {
    let found = overall(&mut Dice::new(33), 1.3, 40);
    let told = findings::of_comparison(&found, (9, 40));
    let worse = found.with(Change::Worse).count();
    assert_eq!(told.len(), worse);
    assert!(told[0].message.ends_with("since server version 8f3c (baseline run a)"), "{}", told[0].message);
    assert!(told[0].message.contains(&format!(" and {} more metrics", worse - 1)), "{}", told[0].message);
    assert_eq!(findings::of_comparison(&overall(&mut Dice::new(34), 1.0, 40), (9, 40)), []);
}
