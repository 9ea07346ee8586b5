//! Criteria with a real state file: fixed before the run, judged in its midst and at its end, and told as incidents.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::broadcast;

use super::*;
use crate::config::Config;
use crate::engine::event::{Beat, OwnFindings};
use crate::model::incident::IncidentState;
use crate::model::measure::CycleMeasures;
use crate::store::Shared;
use crate::store::tests::{RUN, a_cycle, a_run, a_step};

const HOUR: i64 = 3_600_000;

fn setup(text: &str) -> Setup {
    let loaded = Config::parse(text, "/c.toml").unwrap_or_else(|errors| panic!("{errors}"));
    Setup {
        config: loaded.config,
        table: loaded.table,
        program: "soakd".into(),
        plants: Vec::new(),
        testing: true,
        clock: crate::clock::Clock::default(),
        beat: Beat::default(),
        own: OwnFindings::default(),
    }
}

struct Soak {
    _dir: tempfile::TempDir,
    setup: Setup,
    ledger: Arc<Ledger>,
    store: Shared,
    record: RunRecord,
}

impl Soak {
    /// Begins a run that drives the two databases of one user.
    fn begin(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let setup = setup(text);
        let mut store = Store::open(dir.path()).unwrap();
        let fixed = fix(&setup, 0);
        let record = RunRecord { criteria: fixed.hash(), ..a_run(RUN, 1) };
        store.begin_run(&record).unwrap();
        keep(&mut store, RUN, &fixed).unwrap();
        let shared = Shared::new(store);
        let ledger = Ledger::new(RUN.into(), shared.clone(), BTreeMap::new(), broadcast::channel(64).0);
        Self { _dir: dir, setup, ledger, store: shared, record }
    }

    fn judge(&mut self) -> anyhow::Result<Judge> {
        Judge::open(&self.setup, &self.ledger, &mut self.record)
    }

    /// Ends cycles of half an hour each, whose target has the memory that `mib` says for the hour.
    fn cycles(&mut self, judge: &mut Judge, cycles: std::ops::RangeInclusive<u64>, mib: impl Fn(f64) -> f64) {
        for no in cycles {
            let mut cycle = a_cycle(no, Verdict::Pass);
            cycle.started_ms = (no as i64 - 1) * HOUR / 2;
            cycle.ended_ms = no as i64 * HOUR / 2;
            let mut measures = CycleMeasures { cycle: no, at_ms: cycle.ended_ms, ..CycleMeasures::default() };
            let wobble = (no * 7919 % 13) as f64 / 26.0;
            for part in parts(&self.setup) {
                let grown = if part == "target" { mib(no as f64 / 2.0) } else { 0.0 };
                measures.note(format!("rss.{part}"), (60.0 + grown + wobble) * 1_048_576.0, 5);
                measures.note(format!("fds.{part}"), 20.0, 5);
            }
            self.record.cycle = no + 1;
            self.record.observed_ms = cycle.ended_ms as u64;
            let step = crate::model::step::StepReport { findings: Vec::new(), ..a_step(no, 1, 3) };
            self.ledger.record_steps(std::slice::from_ref(&step)).unwrap();
            self.store
                .with(|store| {
                    store.record_measures(RUN, &measures)?;
                    store.finish_cycle(&self.record, &cycle, &BTreeMap::new())
                })
                .unwrap();
            judge.after((&self.setup, &self.ledger), &self.record, &cycle).unwrap();
        }
    }

    /// Returns the titles of incidents, and whether they are open.
    fn incidents(&self) -> Vec<(String, bool)> {
        let all = self.store.with(|store| store.incidents(false, 100)).unwrap();
        all.into_iter().map(|incident| (incident.title, incident.state == IncidentState::Open)).collect()
    }

    fn last(&self) -> Judgement {
        self.store.with(|store| store.snapshot(RUN)).unwrap().unwrap().judgement.expect("a judgement")
    }
}

const QUIET: &str =
    "[criteria]\nskip = [\"wal_slope\", \"database_slope\", \"p99_drift\", \"throughput_drift\", \"budget\"]\n";

#[test]
fn a_leak_opens_one_incident_in_mid_run_and_fails_the_end() {
    let mut soak = Soak::begin(QUIET);
    let mut judge = soak.judge().unwrap();
    soak.cycles(&mut judge, 1..=29, |hour| 4.0 * hour);
    assert!(soak.incidents().is_empty());
    soak.cycles(&mut judge, 30..=60, |hour| 4.0 * hour);
    let [(title, open)] = &soak.incidents()[..] else { panic!("{:?}", soak.incidents()) };
    assert!(*open && title.starts_with("resident memory of the target grows 4"), "{title}");
    assert!(title.ends_with("MiB/h (limit 1 MiB/h)"), "{title}");
    assert_eq!(soak.last().hash, soak.record.criteria);
    assert_eq!(judge.at_end((&soak.setup, &soak.ledger), &soak.record).unwrap(), Some(Verdict::Fail));
    assert_eq!(soak.incidents().len(), 1);
    assert_eq!(soak.last().cycle, 60);
}

#[test]
fn a_healthy_run_passes_and_an_alarm_that_no_longer_holds_is_resolved_and_shown() {
    let mut soak = Soak::begin(QUIET);
    let mut judge = soak.judge().unwrap();
    soak.cycles(&mut judge, 1..=60, |_| 0.0);
    assert!(soak.incidents().is_empty());
    assert_eq!(
        judge.at_end((&soak.setup, &soak.ledger), &soak.record).unwrap(),
        Some(Verdict::Pass),
        "{:?}",
        soak.last()
    );
    // A verdict of an earlier look that the whole run does not confirm.
    let mut wrong = soak.last();
    let slope = |judgement: &Judgement| {
        judgement.results.iter().position(|r| r.criterion == "memory_slope" && r.metric == "rss.target").unwrap()
    };
    let at = slope(&wrong);
    wrong.results[at].verdict = Some(Verdict::Fail);
    wrong.results[at].summary = "it grew".into();
    let alarms = criteria::alarms(&wrong);
    soak.ledger.with(|store| store.put_judgement(RUN, &wrong, &alarms, &[])).unwrap();
    assert_eq!(soak.incidents(), [("it grew".to_owned(), true)]);
    // No clean cycle resolves it: only the criterion itself can.
    soak.cycles(&mut judge, 61..=62, |_| 0.0);
    assert_eq!(soak.incidents(), [("it grew".to_owned(), true)]);
    assert_eq!(judge.at_end((&soak.setup, &soak.ledger), &soak.record).unwrap(), Some(Verdict::Pass));
    assert_eq!(soak.incidents(), [("it grew".to_owned(), false)]);
    let last = soak.last();
    let shown = &last.results[slope(&last)].evidence;
    assert!(shown.contains(&"had failed after cycle 60: it grew".to_owned()), "{shown:?}");
}

#[test]
fn a_run_goes_on_with_the_criteria_that_it_began_with() {
    let mut soak = Soak::begin("[criteria]\nmemory_slope = \"3MiB\"\n");
    let mut judge = soak.judge().unwrap();
    soak.cycles(&mut judge, 1..=35, |_| 0.0);
    let metered = judge.meter.clone();
    // The next life reads what was fixed, and makes up for what was not written down.
    soak.setup = setup("[criteria]\nmemory_slope = \"9MiB\"\n");
    let taken_up = soak.judge().unwrap();
    assert_eq!(taken_up.fixed.criteria["memory_slope"].limit, Some(3.0 * 1_048_576.0));
    assert_eq!((taken_up.metered, &taken_up.meter), (35, &metered));
    // Nobody moves a limit in the state file.
    let moved = fix(&soak.setup, 0);
    soak.store.with(|store| keep(store, RUN, &moved)).unwrap();
    let error = soak.judge().err().expect("a refusal").to_string();
    assert!(error.contains("are not those that it began with"), "{error}");
}

#[test]
fn a_run_of_an_older_version_gets_criteria_when_it_is_taken_up() {
    let mut soak = Soak::begin("");
    soak.record.criteria.clear();
    let judge = soak.judge().unwrap();
    assert_eq!(soak.record.criteria, judge.fixed.hash());
}

#[test]
fn the_planned_length_decides_what_is_judged() {
    let judged = |text: &str| {
        let fixed = fix(&setup(text), 1_800_000_000_000);
        fixed.criteria["memory_slope"].judged.clone()
    };
    assert!(matches!(judged("[run]\ncycles = 3\n"), criteria::Judged::Not { .. }));
    assert!(matches!(judged("[run]\nduration = \"10m\"\n"), criteria::Judged::Not { .. }));
    assert!(matches!(judged("[run]\nuntil = \"2020-01-01\"\n"), criteria::Judged::Not { .. }));
    assert!(matches!(judged("[run]\nduration = \"48d\"\n"), criteria::Judged::From { .. }));
    assert!(matches!(judged(""), criteria::Judged::From { .. }));
    assert_eq!(judged("[run]\ncycles = 3\n[criteria]\nmemory_slope = \"0B\"\n"), criteria::Judged::Always);
}

#[test]
fn a_judgement_costs_little() {
    let mut soak = Soak::begin(QUIET);
    let mut judge = soak.judge().unwrap();
    soak.cycles(&mut judge, 1..=400, |_| 0.0);
    assert!(soak.incidents().is_empty(), "{:?}", soak.incidents());
    let begun = std::time::Instant::now();
    judge.at_end((&soak.setup, &soak.ledger), &soak.record).unwrap();
    eprintln!("judged in {:?}", begun.elapsed());
}
