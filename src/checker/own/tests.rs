//! Every limit fires on a planted series and stays silent on a noisy healthy one.

use proptest::prelude::*;

use super::*;
use crate::model::status::Usage;

const MIB: u64 = 1 << 20;

fn limits() -> Limits {
    Limits {
        daemon_memory: 256 * MIB,
        worker_memory: 1024 * MIB,
        threads: 128,
        descriptors: 0.8,
        disk_warn: 2048 * MIB,
        disk_pause: 512 * MIB,
        state_file: 512 * MIB,
        clock_jump_ms: 5000,
    }
}

/// Returns the health of a machine on which all is well.
fn well() -> Health {
    let usage = |part: &str, pid| Usage {
        part: part.into(),
        pid,
        rss_bytes: 100 * MIB,
        pss_bytes: 90 * MIB,
        threads: 20,
        descriptors: 100,
        descriptors_max: 1024,
        cpu_ms: 1,
    };
    Health {
        at_ms: 1,
        parts: vec![usage("daemon", 10), usage("target", 11), usage("worker-1", 12), usage("worker-2", 13)],
        disk_free_bytes: 10_000 * MIB,
        state_file_bytes: MIB,
        state_dir_bytes: MIB,
        ..Health::default()
    }
}

fn sample(health: &Health, clock_jump_ms: i64) -> Sample<'_> {
    Sample { health, state_dir: "/var/lib/soakd", disk_known: true, cycle: 3, clock_jump_ms }
}

/// Returns the codes of what is said sample by sample.
fn said(own: &mut Own, series: &[Health]) -> Vec<Vec<String>> {
    let codes = |found: Vec<Finding>| found.into_iter().filter_map(|f| f.code).collect();
    series.iter().map(|health| codes(own.judge(&sample(health, 0)))).collect()
}

/// Plants something into a healthy sample.
type Plant = (&'static str, fn(&mut Health));

const PLANTS: [Plant; 6] = [
    ("own.memory", |h| (h.parts[0].rss_bytes, h.parts[0].pss_bytes) = (300 * MIB, 280 * MIB)),
    ("own.memory", |h| (h.parts[2].rss_bytes, h.parts[2].pss_bytes) = (2000 * MIB, 2000 * MIB)),
    ("own.threads", |h| h.parts[0].threads = 129),
    ("own.descriptors", |h| h.parts[3].descriptors = 900),
    ("own.state_file", |h| h.state_file_bytes = 513 * MIB),
    ("own.disk_warn", |h| h.disk_free_bytes = 2047 * MIB),
];

#[test]
fn every_excess_is_said_once_at_its_third_sample_and_again_after_it_was_over() {
    for (code, plant) in PLANTS {
        let mut bad = well();
        plant(&mut bad);
        let mut own = Own::new(limits());
        let mut series = vec![well(); 2];
        series.extend(vec![bad.clone(); 20]);
        series.extend(vec![well(); 3]);
        series.extend(vec![bad; 3]);
        let said = said(&mut own, &series);
        let at: Vec<usize> = (0..said.len()).filter(|at| !said[*at].is_empty()).collect();
        assert_eq!(at, [4, 27], "{code}: {said:?}");
        assert_eq!(said[4], [code]);
    }
}

#[test]
fn a_peak_of_two_samples_and_a_large_target_are_no_excess() {
    for (code, plant) in PLANTS {
        let mut bad = well();
        plant(&mut bad);
        let series: Vec<Health> = (0..30).map(|at| if at % 3 == 0 { well() } else { bad.clone() }).collect();
        assert!(said(&mut Own::new(limits()), &series).iter().all(Vec::is_empty), "{code}");
    }
    let mut health = well();
    (health.parts[1].rss_bytes, health.parts[1].pss_bytes) = (u64::MAX, u64::MAX);
    assert!(said(&mut Own::new(limits()), &vec![health; 9]).iter().all(Vec::is_empty));
}

#[test]
fn a_value_about_its_limit_is_one_excess() {
    let mut own = Own::new(limits());
    let at = |mib: u64| {
        let mut health = well();
        (health.parts[0].rss_bytes, health.parts[0].pss_bytes) = (mib * MIB, mib * MIB);
        health
    };
    let series: Vec<Health> =
        [vec![at(260); 3], (0..40).map(|i| at(if i % 8 < 4 { 250 } else { 260 })).collect()].concat();
    assert_eq!(said(&mut own, &series).concat(), ["own.memory"]);
}

#[test]
fn another_process_of_the_same_part_starts_afresh() {
    let mut own = Own::new(limits());
    let mut bad = well();
    PLANTS[1].1(&mut bad);
    assert_eq!(said(&mut own, &vec![bad.clone(); 5]).concat().len(), 1);
    bad.parts[2].pid = 99;
    assert_eq!(said(&mut own, &vec![bad; 5]).concat().len(), 1);
}

#[test]
fn hardly_any_space_pauses_at_once_and_only_more_space_lifts_that() {
    let mut own = Own::new(limits());
    let mut pause = |free_mib: u64| {
        let mut health = well();
        health.disk_free_bytes = free_mib * MIB;
        let found = own.judge(&sample(&health, 0));
        (found.into_iter().filter_map(|f| f.code).collect::<Vec<_>>(), own.pause(&sample(&health, 0)))
    };
    assert_eq!(pause(513).1, None);
    let (codes, why) = pause(300);
    assert_eq!(codes, ["own.disk_pause"]);
    assert_eq!(
        why.as_deref(),
        Some("only 300MiB are free in /var/lib/soakd (limits.disk_pause is 512MiB); cycles wait until there is more")
    );
    assert!(pause(520).1.is_some(), "within the hysteresis");
    assert_eq!(pause(564).1, None);
    assert_eq!(pause(563).1, None);
    assert!(pause(511).1.is_some());
}

#[test]
fn free_space_that_could_not_be_read_is_not_judged() {
    let mut own = Own::new(limits());
    let mut health = well();
    health.disk_free_bytes = 0;
    let unknown = Sample { disk_known: false, ..sample(&health, 0) };
    assert!((0..5).all(|_| own.judge(&unknown).is_empty()));
    assert_eq!(own.pause(&unknown), None);
}

#[test]
fn a_clock_that_is_set_is_said_each_time_and_a_drift_is_not() {
    let mut own = Own::new(limits());
    for (jump, times) in [(4999, 0), (-4999, 0), (5000, 1), (-3_600_000, 1), (i64::MIN, 1), (0, 0)] {
        assert_eq!(own.judge(&sample(&well(), jump)).len(), times, "{jump}");
    }
}

#[test]
fn a_cycle_is_judged_by_what_soakd_used_and_not_by_the_machine() {
    let mut own = Own::new(limits());
    let mut short = well();
    short.disk_free_bytes = MIB;
    let disk = own.judge(&sample(&short, 9000));
    assert_eq!(disk.len(), 2);
    assert!(disk.iter().all(Finding::is_own));
    let judged = judge_cycle(&disk, 10);
    assert_eq!((judged.verdict, judged.evidence.len()), (Some(Verdict::Pass), 2));
    assert_eq!(judge_cycle(&[], 10).summary, "soakd kept within its limits");
    let mut large = well();
    PLANTS[0].1(&mut large);
    let found: Vec<Finding> = (0..3).flat_map(|_| own.judge(&sample(&large, 0))).collect();
    assert_eq!(judge_cycle(&found, 10).verdict, Some(Verdict::Fail));
}

proptest! {
    #[test]
    fn noise_below_the_limits_says_nothing(
        noise in prop::collection::vec((0..=256u64, 0..=1024u64, 0..=128u64, 0..=819u64, 2048..=9000u64, -4999..=4999i64), 1..200),
    ) {
        let mut own = Own::new(limits());
        for (daemon, worker, threads, descriptors, free, jump) in noise {
            let mut health = well();
            health.parts[0] = Usage { pss_bytes: daemon * MIB, rss_bytes: daemon * MIB, threads, descriptors, ..health.parts[0].clone() };
            health.parts[2] = Usage { pss_bytes: worker * MIB, rss_bytes: worker * MIB, descriptors, ..health.parts[2].clone() };
            health.disk_free_bytes = free * MIB;
            prop_assert!(own.judge(&sample(&health, jump)).is_empty());
            prop_assert!(own.pause(&sample(&health, jump)).is_none());
        }
    }

    #[test]
    fn an_excess_after_any_noise_is_said_within_three_samples_and_once(
        noise in prop::collection::vec(0..=256u64, 0..50), above in 257..100_000u64, lasts in 3..100usize,
    ) {
        let mut own = Own::new(limits());
        let at = |mib: u64| {
            let mut health = well();
            (health.parts[0].rss_bytes, health.parts[0].pss_bytes) = (mib * MIB, mib * MIB);
            health
        };
        let before: Vec<Health> = noise.into_iter().map(at).collect();
        prop_assert!(said(&mut own, &before).concat().is_empty());
        let during = said(&mut own, &vec![at(above); lasts]);
        prop_assert_eq!(during[..3].concat().len(), 1);
        prop_assert_eq!(during.concat().len(), 1);
    }
}
