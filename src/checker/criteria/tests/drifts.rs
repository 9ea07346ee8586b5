//! Latency, throughput and convergence.

use super::*;

/// A run whose latency has this noise and shape.
fn latency(cycles: u64, seed: u64, noise: f64, shape: impl Fn(f64) -> f64) -> Run {
    let mut run = Run::new(cycles, seed).with(&[("p99_drift", 0.05), ("throughput_drift", 0.1)]);
    run.measure("latency_p99.sent", |hour, normal| 0.04 * shape(hour) * (noise * normal).exp());
    run.measure("latency_p99.inserted", |hour, normal| 0.01 * (1.0 + hour) * (noise * normal).exp());
    run.measure("throughput", |hour, normal| 900.0 / shape(hour) * (noise * normal).exp());
    run
}

#[test]
fn a_step_of_a_tenth_fails_and_five_healthy_runs_pass() {
    let slower = |seed| latency(50, seed, 0.03, |hour| if hour < 12.0 { 1.0 } else { 1.1 }).of("p99_drift");
    let found = (1..=10).filter(|seed| slower(*seed)[0].verdict == Some(Verdict::Fail)).count();
    assert!(found >= 9, "{found} of 10");
    let [result] = &slower(2)[..] else { panic!("{:?}", slower(2)) };
    assert_eq!(result.metric, "latency_p99.sent");
    assert!((result.value.unwrap() - 0.1).abs() < 0.04 && result.detectable.unwrap() < 0.12, "{result:?}");
    for seed in 1..=5 {
        let healthy = latency(50, seed, 0.03, |_| 1.0);
        assert_eq!(healthy.verdict("p99_drift"), Some(Verdict::Pass), "{seed}: {:?}", healthy.of("p99_drift"));
        assert_eq!(healthy.verdict("throughput_drift"), Some(Verdict::Pass), "{:?}", healthy.of("throughput_drift"));
    }
}

#[test]
fn a_service_that_takes_a_fifth_longer_loses_throughput() {
    let slower = latency(60, 2, 0.03, |hour| 1.0 + 0.6 * hour / 24.0);
    let [result] = &slower.of("throughput_drift")[..] else { panic!() };
    assert_eq!(result.verdict, Some(Verdict::Fail), "{result:?}");
    assert!((0.15..0.35).contains(&result.value.unwrap()), "{result:?}");
    assert!(result.summary.starts_with("operations per second fell by "), "{}", result.summary);
    let faster = latency(60, 2, 0.03, |hour| 1.0 / (1.0 + 0.6 * hour / 24.0));
    assert_eq!(faster.verdict("throughput_drift"), Some(Verdict::Pass));
    assert_eq!(faster.verdict("p99_drift"), Some(Verdict::Pass));
}

#[test]
fn too_much_noise_and_too_few_cycles_cannot_be_judged() {
    let noisy = latency(50, 3, 0.4, |_| 1.0);
    let [result] = &noisy.of("p99_drift")[..] else { panic!() };
    assert_eq!(result.verdict, Some(Verdict::Inconclusive), "{result:?}");
    assert!(result.summary.contains("would have been found (limit 5 %)") && result.detectable.unwrap() > 0.1);
    assert_eq!(latency(29, 3, 0.03, |_| 1.0).verdict("p99_drift"), Some(Verdict::Inconclusive));
    let mut broken = latency(50, 3, 0.03, |_| 1.0);
    broken.measure("latency_p99.sent", |_, _| f64::NAN);
    assert_eq!(broken.verdict("p99_drift"), Some(Verdict::Inconclusive));
    // Nobody wrote it, and a hundred cycles are asked for.
    let mut plain = latency(50, 3, 0.03, |_| 1.0);
    plain.written = Written::default();
    assert_eq!(plain.verdict("p99_drift"), None);
}

fn summary(count: u64, p99_us: u64) -> LatencySummary {
    LatencySummary {
        action: "sent".into(),
        count,
        p50_us: p99_us / 4,
        p90_us: p99_us / 2,
        p99_us,
        p999_us: p99_us * 2,
        max_us: p99_us * 3,
    }
}

#[test]
fn a_percentile_is_judged_where_there_are_enough_calls() {
    let mut run = Run::new(50, 1).with(&[("p99", 0.25)]);
    run.latency = vec![summary(5_000, 100_000)];
    let [result] = &run.of("p99")[..] else { panic!() };
    assert_eq!((result.verdict, result.value, result.samples), (Some(Verdict::Pass), Some(0.1), 5_000));
    assert!(result.low.unwrap() < 0.1 && result.high.unwrap() > 0.1 && result.high.unwrap() < 0.2, "{result:?}");
    run.latency = vec![summary(5_000, 300_000)];
    assert_eq!(run.of("p99")[0].summary, "the 99th percentile of sent is 300 ms (limit 250 ms)");
    assert_eq!(run.verdict("p99"), Some(Verdict::Fail));
    run.latency = vec![summary(300, 100_000)];
    assert_eq!(run.verdict("p99"), Some(Verdict::Inconclusive), "{:?}", run.of("p99"));
    run.latency = vec![LatencySummary { action: "inserted".into(), ..summary(5_000, 9) }];
    assert_eq!(run.verdict("p99"), Some(Verdict::Inconclusive));
}

#[test]
fn every_cycle_has_to_converge_in_time() {
    let mut run = Run::new(50, 1).with(&[("converge", 2.0)]);
    run.measure("converge", |_, noise| 1.0 + 0.1 * noise);
    assert_eq!(run.verdict("converge"), Some(Verdict::Pass), "{:?}", run.of("converge"));
    run.measure("converge", |hour, _| if hour > 23.0 { 2.5 } else { 1.0 });
    assert_eq!(run.of("converge")[0].summary, "convergence took up to 2.5 s (limit 2 s)");
}
