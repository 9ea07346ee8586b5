//! A run of 48 days at one cycle a minute, as the daemon keeps it: every cycle is closed in the state file with what it
//! measured, its reports are made again and again, and memory is looked at on the way. Run by `make bench`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use soakd::model::measure::CycleMeasures;
use soakd::model::record::{CycleRecord, Phase, RunRecord, ScaleRecord, Versions};
use soakd::model::verdict::{CheckResult, Verdict};
use soakd::observe::report;
use soakd::store::Store;

const RUN: &str = "019b7654-1111-7abc-8def-000000000048";
const START: i64 = 1_767_225_600_000;
const MINUTE: i64 = 60_000;
const CYCLES: u64 = 48 * 24 * 60;
/// Parts that are measured, and what is measured of each.
const PARTS: [&str; 6] = ["daemon", "target", "worker-1", "worker-2", "worker-3", "worker-4"];
const KINDS: [&str; 10] = ["rss", "pss", "anon", "heap", "fds", "fds_file", "fds_socket", "threads", "db", "wal"];
/// The state file may take this much for 48 days.
const FILE_MAX: u64 = 256 << 20;

fn run_record() -> RunRecord {
    RunRecord {
        run: RUN.to_owned(),
        name: "weeks".to_owned(),
        schedule: None,
        seed: 7,
        started_ms: START,
        ended_ms: None,
        config: BTreeMap::from([("run.name".to_owned(), "weeks".to_owned())]),
        scale: ScaleRecord {
            scale: "small".to_owned(),
            mode: "classic".to_owned(),
            provider: "native".to_owned(),
            target: "embedded".to_owned(),
            rls: true,
            rows: 1000,
            iterations: 5,
            databases: 4,
            users: 2,
            cycles_planned: None,
            duration_planned_ms: Some(CYCLES * MINUTE as u64),
            steps_per_cycle: 180,
        },
        versions: Versions::default(),
        cycle: 1,
        phase: Phase::Load,
        observed_ms: 0,
        criteria: String::new(),
        verdict: None,
        ended_because: None,
    }
}

fn cycle(no: u64) -> CycleRecord {
    let check = |name: &str| CheckResult {
        check: name.to_owned(),
        verdict: Some(Verdict::Pass),
        summary: "all 4 databases, the server and the model hold the same 2,000 rows".to_owned(),
        evidence: vec!["4 databases, the server and the model agree".to_owned()],
        evidence_total: 1,
    };
    let started_ms = START + (no as i64 - 1) * MINUTE;
    CycleRecord {
        cycle: no,
        started_ms,
        ended_ms: started_ms + 55_000,
        load_ms: 40_000 + no % 977,
        settle_ms: 5_000 + no % 331,
        verify_ms: 9_000,
        checkpoint_us: 12_000,
        settle_rounds: 2,
        steps: 180,
        steps_planned: 180,
        errors: 0,
        rows_final: 4_000,
        content: "9f86d081884c7d659a2feaa0c55ad015".to_owned(),
        epoch: 1,
        checks_digest: String::new(),
        server: "embedded 0.1.0".to_owned(),
        verdict: Verdict::Pass,
        checks: ["convergence.user1", "convergence.user2", "isolation.matrix", "health.errors"].map(check).to_vec(),
        previous: String::new(),
        digest: String::new(),
    }
}

/// Values that go up and down a little, the same in every run of this test.
fn measures(no: u64) -> CycleMeasures {
    let mut measures = CycleMeasures { cycle: no, at_ms: START + no as i64 * MINUTE, ..CycleMeasures::default() };
    for (at, part) in PARTS.iter().enumerate() {
        for (kind, name) in KINDS.iter().enumerate() {
            let noise = (no.wrapping_mul(2_654_435_761) >> (kind + at)) % 1000;
            measures.note(format!("{name}.{part}"), 4e7 + noise as f64 * 1e3, 1 + (no / 20_000) as u32);
        }
    }
    for (name, value) in
        [("latency_p50.sent", 0.004), ("latency_p99.sent", 0.02), ("throughput.rows", 9e3), ("converge", 5.0)]
    {
        measures.note(name, value * (1.0 + (no % 97) as f64 / 1000.0), 1);
    }
    measures
}

/// Returns what this process uses now, in KiB: resident memory and its largest so far.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// Makes all reports, as the daemon does, and returns the bytes of each.
fn reports(store: &Store, dir: &Path) -> (usize, u128) {
    let snapshot = store.snapshot(RUN).unwrap().unwrap();
    report::write_files(dir, &snapshot, std::slice::from_ref(&snapshot.run)).unwrap();
    let measures = store.measures(RUN).unwrap();
    let begun = Instant::now();
    let page = report::page(&snapshot, &measures, &[], chrono_tz::UTC);
    (page.len(), begun.elapsed().as_millis())
}

#[test]
#[ignore = "takes minutes; `make bench` runs it"]
fn forty_eight_days_take_no_more_memory_than_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let run = run_record();
    store.begin_run(&run).unwrap();
    let mut after_a_day = 0;
    let begun = Instant::now();
    for no in 1..=CYCLES {
        store.record_measures(RUN, &measures(no)).unwrap();
        store.finish_cycle(&run, &cycle(no), &BTreeMap::from([(1, no)])).unwrap();
        if no % 1440 == 0 {
            let (page, ms) = reports(&store, dir.path());
            let (rss, most) = memory();
            if [1, 2, 12, 24, 36, 48].contains(&(no / 1440)) {
                println!("day {:>2}: {rss} KiB, at most {most} KiB; page {page} bytes in {ms} ms", no / 1440);
            }
            if no == 2 * 1440 {
                after_a_day = most;
            }
            assert!(page <= 2 << 20, "the page has {page} bytes");
        }
    }
    let bytes = std::fs::metadata(dir.path().join(soakd::store::FILE)).unwrap().len();
    println!(
        "{CYCLES} cycles in {:.0} s: state file {:.1} MiB",
        begun.elapsed().as_secs_f64(),
        bytes as f64 / 1048576.0
    );
    assert!(bytes <= FILE_MAX, "{bytes} bytes");
    let most = memory().1;
    println!(
        "memory at most after two days {after_a_day} KiB, after 48 days {most} KiB, ratio {:.2}",
        most as f64 / after_a_day as f64
    );
}
