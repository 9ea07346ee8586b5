//! The metrics themselves, and how events are counted.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use serde::Serialize;

use crate::engine::event::RunEvent;
use crate::model::record::{Counters, CycleRecord};
use crate::model::step::{Action, StepReport};
use crate::model::verdict::Verdict;

/// Label names and values.
pub(super) type Labels = Vec<(&'static str, String)>;
/// A whole number that goes up and down, by label.
pub(super) type Gauges = Family<Labels, Gauge>;
/// A fraction that goes up and down, by label.
pub(super) type Fractions = Family<Labels, Gauge<f64, std::sync::atomic::AtomicU64>>;
/// A count, by label.
pub(super) type Counts = Family<Labels, Counter>;
/// A sum of fractions, by label.
pub(super) type Sums = Family<Labels, Counter<f64, std::sync::atomic::AtomicU64>>;
type Times = Family<Labels, Histogram, fn() -> Histogram>;

/// All verdicts.
pub(super) const VERDICTS: [Verdict; 4] = [Verdict::Pass, Verdict::Inconclusive, Verdict::Aborted, Verdict::Fail];
/// Operations that rows are counted by.
const OPS: [&str; 5] = ["inserted", "updated", "deleted", "sent", "received"];
/// Steps last from a millisecond to minutes.
const STEP_S: [f64; 14] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0];
/// Settling and saving last from some milliseconds to an hour.
const SPAN_S: [f64; 12] = [0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];
/// Cycles last from a second to half a day.
const CYCLE_S: [f64; 12] = [1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 43_200.0];

/// Every metric with its place in the registry.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) registry: Registry,
    pub(super) build: Gauges,
    pub(super) state: Gauges,
    pub(super) start_time: Fractions,
    cycles: Counts,
    runs: Counts,
    steps: Counts,
    rows: Counts,
    retries: Counts,
    bytes: Counts,
    errors: Counts,
    missed: Counts,
    step_time: Times,
    cycle_time: Times,
    settle_time: Times,
    checkpoint_time: Times,
    pub(super) run_verdict: Gauges,
    pub(super) run_cycle: Gauges,
    pub(super) run_rate: Fractions,
    pub(super) last_pass: Fractions,
    pub(super) last_cycle: Fractions,
    pub(super) measured: Fractions,
    pub(super) rss: Gauges,
    pub(super) pss: Gauges,
    pub(super) threads: Gauges,
    pub(super) fds: Gauges,
    pub(super) max_fds: Gauges,
    pub(super) cpu: Sums,
    pub(super) disk_free: Gauges,
    pub(super) state_file: Gauges,
    pub(super) state_dir: Gauges,
    pub(super) incidents: Gauges,
    pub(super) waiting: Gauges,
    pub(super) delivered: Counts,
    pub(super) given_up: Counts,
    pub(super) oldest: Fractions,
    pub(super) next_run: Fractions,
    pub(super) schedule_runs: Counts,
    pub(super) schedule_skipped: Counts,
}

/// Registers one metric and returns it.
fn add<M: Metric + Clone + Default>(to: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    to.register(name, help, metric.clone());
    metric
}

/// Registers one histogram and returns it.
fn times(to: &mut Registry, name: &str, help: &str, make: fn() -> Histogram) -> Times {
    let metric = Times::new_with_constructor(make);
    to.register(name, help, metric.clone());
    metric
}

impl Families {
    /// Registers all metrics.
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("soakd");
        let r = &mut registry;
        let families = Self {
            build: add(r, "build_info", "Version of soakd, always 1"),
            state: add(r, "daemon_state", "1 for what the daemon does now, 0 for what it does not"),
            start_time: add(r, "daemon_start_time_seconds", "When the daemon started"),
            cycles: add(r, "cycles", "Finished cycles by verdict"),
            runs: add(r, "runs", "Ended runs by verdict"),
            steps: add(r, "steps", "Counted steps by action and outcome"),
            rows: add(r, "rows", "Rows written, and changes sent and received"),
            retries: add(r, "step_retries", "Attempts beyond the first one"),
            bytes: add(r, "transferred_bytes", "Bytes sent and received, as far as the provider tells"),
            errors: add(r, "errors", "Errors met by side and kind"),
            missed: add(r, "events_missed", "Events that a slow reader missed"),
            step_time: times(r, "step_duration_seconds", "Time that steps took from their intended start", || {
                Histogram::new(STEP_S)
            }),
            cycle_time: times(r, "cycle_duration_seconds", "Time that cycles took", || Histogram::new(CYCLE_S)),
            settle_time: times(r, "settle_seconds", "Time until nothing moved any more", || Histogram::new(SPAN_S)),
            checkpoint_time: times(r, "checkpoint_seconds", "Time that the durable commits of a cycle took", || {
                Histogram::new(SPAN_S)
            }),
            run_verdict: add(r, "run_verdict", "1 for the verdict of the run so far, 0 for the others"),
            run_cycle: add(r, "run_cycle", "Cycle in work, or the last one"),
            run_rate: add(r, "run_rows_per_second", "Rows per second of the load, smoothed"),
            last_pass: add(r, "last_pass_timestamp_seconds", "When a cycle passed last; absent if none did"),
            last_cycle: add(r, "last_cycle_timestamp_seconds", "When a cycle was finished last; absent if none was"),
            rss: add(r, "process_resident_memory_bytes", "Resident memory by part"),
            pss: add(r, "process_proportional_memory_bytes", "Resident memory by part, shared pages divided"),
            threads: add(r, "process_threads", "Threads by part"),
            fds: add(r, "process_open_fds", "Open file descriptors by part"),
            max_fds: add(r, "process_max_fds", "Permitted file descriptors by part"),
            cpu: add(r, "process_cpu_seconds", "Processor time by part"),
            measured: add(r, "measured", "What was measured last, by metric; what cannot be measured is absent"),
            disk_free: add(r, "disk_free_bytes", "Free space where the state is kept"),
            state_file: add(r, "state_file_bytes", "Size of the state file"),
            state_dir: add(r, "state_dir_bytes", "Size of everything in the state directory"),
            incidents: add(r, "incidents_open", "Open incidents by severity"),
            waiting: add(r, "outbox_messages", "Messages that wait for delivery by channel"),
            delivered: add(r, "outbox_delivered", "Delivered messages by channel"),
            given_up: add(r, "outbox_given_up", "Messages by channel that were given up"),
            oldest: add(r, "outbox_oldest_timestamp_seconds", "When the oldest waiting message was made"),
            next_run: add(r, "schedule_next_timestamp_seconds", "When a schedule begins its next run"),
            schedule_runs: add(r, "schedule_runs", "Runs that a schedule began"),
            schedule_skipped: add(r, "schedule_skipped", "Runs that a schedule left out"),
            registry,
        };
        families.at_zero();
        families
    }

    /// Makes the counters whose labels are known: a rate over a counter that appears at 1 would be 0.
    fn at_zero(&self) {
        for verdict in VERDICTS {
            drop(self.cycles.get_or_create(&by("verdict", &verdict)));
            drop(self.runs.get_or_create(&by("verdict", &verdict)));
        }
        for op in OPS {
            drop(self.rows.get_or_create(&vec![("op", op.to_owned())]));
        }
        for single in [&self.missed, &self.retries, &self.bytes] {
            drop(single.get_or_create(&Vec::new()));
        }
    }

    /// Counts what an event says.
    pub(super) fn take(&self, event: &RunEvent) {
        match event {
            RunEvent::Steps(reports) => reports.iter().for_each(|report| self.step(report)),
            RunEvent::Finding(finding) => {
                let labels = vec![("side", word(&finding.side)), ("kind", word(&finding.kind))];
                self.errors.get_or_create(&labels).inc();
            }
            RunEvent::Cycle(cycle) => self.cycle(cycle),
            RunEvent::Ended { verdict, .. } => drop(self.runs.get_or_create(&by("verdict", verdict)).inc()),
            _ => {}
        }
    }

    /// Counts events that were missed.
    pub(super) fn missed(&self, events: u64) {
        self.missed.get_or_create(&Vec::new()).inc_by(events);
    }

    fn step(&self, report: &StepReport) {
        let action = action(report.step.action).to_owned();
        let labels = vec![("action", action.clone()), ("outcome", word(&report.outcome))];
        self.steps.get_or_create(&labels).inc();
        self.step_time.get_or_create(&vec![("action", action)]).observe(report.latency_us() as f64 / 1e6);
        let mut one = Counters::default();
        one.count(report);
        let amounts = [one.rows_inserted, one.rows_updated, one.rows_deleted, one.changes_sent, one.changes_received];
        for (op, amount) in OPS.into_iter().zip(amounts).filter(|(_, amount)| *amount > 0) {
            self.rows.get_or_create(&vec![("op", op.to_owned())]).inc_by(amount);
        }
        self.retries.get_or_create(&Vec::new()).inc_by(one.retries);
        self.bytes.get_or_create(&Vec::new()).inc_by(one.bytes);
    }

    fn cycle(&self, cycle: &CycleRecord) {
        self.cycles.get_or_create(&by("verdict", &cycle.verdict)).inc();
        let lasted = (cycle.ended_ms - cycle.started_ms).max(0) as f64 / 1e3;
        self.cycle_time.get_or_create(&Vec::new()).observe(lasted);
        self.settle_time.get_or_create(&Vec::new()).observe(cycle.settle_ms as f64 / 1e3);
        self.checkpoint_time.get_or_create(&Vec::new()).observe(cycle.checkpoint_us as f64 / 1e6);
        let ended = cycle.ended_ms as f64 / 1e3;
        self.last_cycle.get_or_create(&Vec::new()).set(ended);
        if cycle.verdict == Verdict::Pass {
            self.last_pass.get_or_create(&Vec::new()).set(ended);
        }
    }
}

/// Returns one label whose value is a plain enum.
pub(super) fn by(name: &'static str, value: &impl Serialize) -> Labels {
    vec![(name, word(value))]
}

/// Returns the word that a plain enum is stored as.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "other".to_owned(),
    }
}

/// Returns the name of an action, whatever its figures are.
fn action(action: Action) -> &'static str {
    match action {
        Action::DeleteAll => "delete_all",
        Action::Insert { .. } => "insert",
        Action::Fill { .. } => "fill",
        Action::UpdateAll => "update_all",
        Action::DeleteRandom { .. } => "delete_random",
        Action::Contend { .. } => "contend",
        Action::Send => "send",
        Action::Receive => "receive",
        Action::Wait { .. } => "wait",
        Action::Lane(lane) => lane.word(),
    }
}
