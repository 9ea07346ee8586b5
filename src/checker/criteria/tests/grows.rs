//! Memory, descriptors, write-ahead log and database.

use super::*;

fn memory(shape: impl Fn(f64, f64) -> f64) -> Run {
    let mut run = Run::new(60, 3);
    run.parts = vec!["target".into()];
    run.measure("rss.target", |hour, noise| shape(hour, noise) * MIB);
    run
}

#[test]
fn memory_that_grows_fails_and_memory_that_does_not_passes() {
    let leak = memory(|hour, noise| 80.0 + 3.0 * hour + 0.3 * noise);
    let [result] = &leak.of("memory_slope")[..] else { panic!() };
    assert_eq!((result.verdict, result.samples), (Some(Verdict::Fail), 60), "{result:?}");
    assert!((result.value.unwrap() / MIB - 3.0).abs() < 0.2, "{result:?}");
    assert!(result.low < result.value && result.value < result.high && result.detectable.is_some());
    let flat = memory(|_, noise| 80.0 + 0.3 * noise);
    assert_eq!(flat.verdict("memory_slope"), Some(Verdict::Pass), "{:?}", flat.of("memory_slope"));
    let few = Run { cycles: 20, ..memory(|_, noise| 80.0 + 0.3 * noise) }.with(&[("memory_slope", MIB)]);
    assert_eq!(few.verdict("memory_step"), None);
}

#[test]
fn a_leak_is_found_in_thirty_odd_cycles() {
    let mut run = Run::new(40, 5).with(&[("memory_slope", MIB)]);
    run.parts = vec!["target".into()];
    run.measure("rss.target", |hour, noise| (80.0 + 3.0 * hour + 0.5 * noise) * MIB);
    assert_eq!(run.verdict("memory_slope"), Some(Verdict::Fail), "{:?}", run.of("memory_slope"));
    run.measure("rss.target", |_, noise| (80.0 + 0.5 * noise) * MIB);
    assert_eq!(run.verdict("memory_slope"), Some(Verdict::Pass), "{:?}", run.of("memory_slope"));
    run.measure("rss.target", |_, noise| (80.0 + 400.0 * noise) * MIB);
    assert_eq!(run.verdict("memory_slope"), Some(Verdict::Inconclusive), "{:?}", run.of("memory_slope"));
}

#[test]
fn a_lasting_rise_at_once_is_a_step_and_no_slope() {
    let step = memory(|hour, noise| if hour < 12.0 { 80.0 } else { 240.0 } + 0.5 * noise);
    let [result] = &step.of("memory_step")[..] else { panic!() };
    assert_eq!(result.verdict, Some(Verdict::Fail), "{result:?}");
    assert!((result.value.unwrap() / MIB - 160.0).abs() < 3.0, "{result:?}");
    assert_eq!(step.verdict("memory_slope"), Some(Verdict::Pass), "{:?}", step.of("memory_slope"));
    let flat = memory(|_, noise| 80.0 + 0.5 * noise);
    assert_eq!(flat.verdict("memory_step"), Some(Verdict::Pass), "{:?}", flat.of("memory_step"));
}

#[test]
fn a_ceiling_is_for_every_cycle_and_gives_a_forecast() {
    let run = memory(|hour, noise| 80.0 + 3.0 * hour + 0.3 * noise).with(&[("memory_ceiling", 1000.0 * MIB)]);
    assert_eq!(run.verdict("memory_ceiling"), Some(Verdict::Pass));
    let reaches = run.of("memory_slope")[0].reaches_ms.expect("a forecast");
    let hours = (reaches - START) as f64 / HOUR as f64;
    assert!((250.0..370.0).contains(&hours), "{hours}");
    let run = run.with(&[("memory_ceiling", 100.0 * MIB)]);
    assert_eq!(run.verdict("memory_ceiling"), Some(Verdict::Fail));
    assert_eq!(Run::new(60, 1).verdict("memory_ceiling"), None, "it has no limit by default");
}

#[test]
fn what_was_not_measured_names_its_probe() {
    let mut run = memory(|_, noise| 80.0 + 0.3 * noise);
    run.parts.push("worker-2".into());
    let all = run.of("memory_slope");
    let missing = all.iter().find(|result| result.metric == "rss.worker-2").expect("a result");
    assert_eq!(missing.verdict, Some(Verdict::Inconclusive));
    assert_eq!(missing.summary, "resident memory of worker-2 was not measured: its probe gave nothing");
    run.measure("rss.worker-2", |_, _| f64::NAN);
    assert_eq!(run.verdict("memory_slope"), Some(Verdict::Inconclusive));
    // An outside target is only asked for by who wrote the criterion.
    let mut outside = Run::new(60, 3);
    outside.parts = vec!["daemon".into()];
    outside.blind = Some("nothing says which process it is");
    outside.measure("rss.daemon", |_, noise| (30.0 + 0.1 * noise) * MIB);
    assert_eq!(outside.verdict("memory_slope"), Some(Verdict::Pass));
    assert!(outside.of("memory_slope").iter().any(|r| r.verdict.is_none() && r.summary.contains("not observable")));
    let written = outside.with(&[("memory_slope", MIB)]);
    assert_eq!(written.verdict("memory_slope"), Some(Verdict::Inconclusive));
}

#[test]
fn what_a_process_allocates_is_preferred_to_what_it_maps() {
    let mut run = memory(|hour, noise| 80.0 + 3.0 * hour + 0.3 * noise);
    run.measure("anon.target", |_, noise| (40.0 + 0.2 * noise) * MIB);
    let [result] = &run.of("memory_slope")[..] else { panic!() };
    assert_eq!((result.metric.as_str(), result.verdict), ("anon.target", Some(Verdict::Pass)), "{result:?}");
    // A metric that covers a few cycles only is not.
    run.measures.get_mut("anon.target").expect("points").truncate(10);
    assert_eq!(run.of("memory_slope")[0].metric, "rss.target");
}

#[test]
fn descriptors_and_the_log_must_not_grow() {
    let mut run = Run::new(50, 9).with(&[("wal_slope", MIB), ("descriptors_slope", 1.0)]);
    (run.parts, run.files) = (vec!["target".into()], vec!["target".into()]);
    run.measure("fds.target", |_, noise| (20.0 + 0.6 * noise).round());
    run.measure("wal.target", |_, noise| (4.0 + 0.3 * noise.abs()) * MIB);
    assert_eq!(run.verdict("descriptors_slope"), Some(Verdict::Pass), "{:?}", run.of("descriptors_slope"));
    assert_eq!(run.verdict("wal_slope"), Some(Verdict::Pass), "{:?}", run.of("wal_slope"));
    run.measure("fds.target", |hour, noise| (20.0 + 4.0 * hour + 0.6 * noise).round());
    run.measure("wal.target", |hour, noise| (4.0 + 6.0 * hour + 0.3 * noise) * MIB);
    let [result] = &run.of("descriptors_slope")[..] else { panic!() };
    assert_eq!(result.verdict, Some(Verdict::Fail), "{result:?}");
    assert!(result.summary.starts_with("open descriptors of the target grows ") && result.reaches_ms.is_some());
    assert_eq!(run.verdict("wal_slope"), Some(Verdict::Fail), "{:?}", run.of("wal_slope"));
    run.measure("fds.target", |_, _| 20.0);
    assert_eq!(run.verdict("descriptors_slope"), Some(Verdict::Pass), "{:?}", run.of("descriptors_slope"));
}

#[test]
fn growth_that_rows_and_deletes_explain_is_none() {
    let mut run = Run::new(60, 11).with(&[("database_slope", MIB)]);
    run.files = vec!["target".into()];
    run.measure("deleted.target", |hour, _| 100_000.0 * hour);
    // Each delete leaves a tombstone of 100 bytes.
    run.measure("db.target", |hour, noise| 50.0 * MIB + 100.0 * 100_000.0 * hour + 0.1 * noise * MIB);
    assert_eq!(run.verdict("database_slope"), Some(Verdict::Pass), "{:?}", run.of("database_slope"));
    assert!(run.of("database_slope")[0].evidence.iter().any(|line| line.contains("explain 100 B each")));
    run.measures.remove("deleted.target");
    assert_eq!(run.verdict("database_slope"), Some(Verdict::Fail), "{:?}", run.of("database_slope"));
}
