//! Gauges: what holds at the moment of a scrape.

use std::collections::BTreeMap;

use super::Scrape;
use super::families::{Counts, Families, Fractions, Gauges, VERDICTS, by};
use crate::model::incident::Severity;
use crate::model::message::OutboxState;
use crate::model::status::{DaemonState, Health, RunStatus, ScheduleStatus, Usage};

/// Workers that have a label of their own.
const WORKERS_MAX: u32 = 64;
/// Channels, and schedules, that have a label of their own.
const NAMES_MAX: usize = 64;
/// Metrics that were measured.
const FIGURES_MAX: usize = 256;
/// Characters of a label value.
const NAME_CHARS_MAX: usize = 64;
/// The label of everything beyond a bound.
const OTHER: &str = "other";

const STATES: [DaemonState; 5] =
    [DaemonState::Starting, DaemonState::Idle, DaemonState::Running, DaemonState::Paused, DaemonState::Stopping];

impl Families {
    /// Sets every gauge to what holds now; labels of what is gone disappear.
    pub(super) fn set(&self, scrape: &Scrape) {
        let status = &scrape.status;
        put(&self.build, vec![("version", name(&status.soakd))], 1);
        for state in STATES {
            put(&self.state, by("state", &state), u64::from(state == status.state));
        }
        self.start_time.get_or_create(&Vec::new()).set(seconds(status.started_ms));
        for severity in [Severity::Warning, Severity::Failure] {
            let open = scrape.incidents_open.get(&severity).copied().unwrap_or(0);
            put(&self.incidents, by("severity", &severity), open);
        }
        self.run(status.run.as_ref());
        self.health(&status.health);
        self.outbox(&scrape.outbox);
        self.schedules(&status.schedules);
    }

    fn run(&self, run: Option<&RunStatus>) {
        for verdict in VERDICTS {
            let is = run.is_some_and(|run| run.verdict == Some(verdict));
            put(&self.run_verdict, by("verdict", &verdict), u64::from(is));
        }
        put(&self.run_cycle, Vec::new(), run.map_or(0, |run| run.cycle));
        self.run_rate.get_or_create(&Vec::new()).set(run.map_or(0.0, |run| run.rows_per_s));
        later(&self.last_pass, run.and_then(|run| run.last_pass_ms));
        later(&self.last_cycle, run.and_then(|run| run.last_cycle_ms));
    }

    fn health(&self, health: &Health) {
        let mut parts: BTreeMap<String, Usage> = BTreeMap::new();
        for usage in &health.parts {
            let sum = parts.entry(part(&usage.part)).or_default();
            sum.rss_bytes += usage.rss_bytes;
            sum.pss_bytes += usage.pss_bytes;
            sum.threads += usage.threads;
            sum.descriptors += usage.descriptors;
            sum.descriptors_max += usage.descriptors_max;
            sum.cpu_ms += usage.cpu_ms;
        }
        for gauges in [&self.rss, &self.pss, &self.threads, &self.fds, &self.max_fds] {
            gauges.clear();
        }
        self.cpu.clear();
        for (part, usage) in parts {
            let labels = || vec![("part", part.clone())];
            put(&self.rss, labels(), usage.rss_bytes);
            put(&self.pss, labels(), usage.pss_bytes);
            put(&self.threads, labels(), usage.threads);
            // Of another user's process the descriptors are not known.
            if usage.descriptors > 0 {
                put(&self.fds, labels(), usage.descriptors);
            }
            put(&self.max_fds, labels(), usage.descriptors_max);
            self.cpu.get_or_create(&labels()).inc_by(usage.cpu_ms as f64 / 1e3);
        }
        self.measured.clear();
        for (metric, value) in health.figures.iter().take(FIGURES_MAX) {
            self.measured.get_or_create(&vec![("metric", name(metric))]).set(*value);
        }
        // Before the first look nothing is known: a disk with 0 bytes left would be an alarm.
        if health.at_ms > 0 {
            put(&self.disk_free, Vec::new(), health.disk_free_bytes);
            put(&self.state_file, Vec::new(), health.state_file_bytes);
            put(&self.state_dir, Vec::new(), health.state_dir_bytes);
        }
    }

    fn outbox(&self, outbox: &OutboxState) {
        self.waiting.clear();
        for (channel, waiting) in bounded(outbox.waiting.iter().map(|(channel, n)| (channel.as_str(), *n))) {
            put(&self.waiting, vec![("channel", channel)], waiting);
        }
        let counts = |counts: &Counts, all: &BTreeMap<String, u64>| {
            again(counts, "channel", all.iter().map(|(channel, n)| (channel.as_str(), *n)));
        };
        counts(&self.delivered, &outbox.delivered);
        counts(&self.given_up, &outbox.given_up);
        self.oldest.clear();
        later(&self.oldest, outbox.oldest_ms);
    }

    fn schedules(&self, schedules: &[ScheduleStatus]) {
        self.next_run.clear();
        for schedule in schedules.iter().take(NAMES_MAX) {
            if let Some(next_ms) = schedule.next_ms {
                self.next_run.get_or_create(&vec![("schedule", name(&schedule.name))]).set(seconds(next_ms));
            }
        }
        again(&self.schedule_runs, "schedule", schedules.iter().map(|s| (s.name.as_str(), s.runs)));
        again(&self.schedule_skipped, "schedule", schedules.iter().map(|s| (s.name.as_str(), s.skipped)));
    }
}

fn put(gauges: &Gauges, labels: super::families::Labels, value: u64) {
    gauges.get_or_create(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
}

/// Sets a moment that only moves on.
fn later(gauge: &Fractions, at_ms: Option<i64>) {
    if let Some(at_ms) = at_ms {
        let gauge = gauge.get_or_create(&Vec::new());
        gauge.set(gauge.get().max(seconds(at_ms)));
    }
}

/// Sets counters that are kept elsewhere to what they are there.
fn again<'a>(counts: &Counts, label: &'static str, all: impl Iterator<Item = (&'a str, u64)>) {
    counts.clear();
    for (value, count) in bounded(all) {
        counts.get_or_create(&vec![(label, value)]).inc_by(count);
    }
}

/// Returns amounts by name, those beyond the bound summed up.
fn bounded<'a>(all: impl Iterator<Item = (&'a str, u64)>) -> BTreeMap<String, u64> {
    let mut out = BTreeMap::new();
    for (text, amount) in all {
        let mut label = name(text);
        if !out.contains_key(&label) && out.len() >= NAMES_MAX {
            label = OTHER.to_owned();
        }
        *out.entry(label).or_default() += amount;
    }
    out
}

/// Returns the label of a process.
fn part(of: &str) -> String {
    match of {
        "daemon" | "target" => of.to_owned(),
        of => match of.strip_prefix("worker-").and_then(|no| no.parse::<u32>().ok()) {
            Some(no) if (1..=WORKERS_MAX).contains(&no) => format!("worker-{no}"),
            _ => OTHER.to_owned(),
        },
    }
}

/// Returns a name from the configuration as a label value.
fn name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.:+".contains(c) { c } else { '_' };
    text.chars().take(NAME_CHARS_MAX).map(plain).collect()
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1e3
}
