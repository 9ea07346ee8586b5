//! Judges soakd itself: what its processes use and what the machine has left, sample by sample, against fixed limits. A limit
//! that is exceeded is one finding, however long that lasts, and a short peak is none. Judgement of trends over hours, such as
//! a leak that is still far from any limit, is another matter with a history of its own; it can be fed from the same samples.

use std::collections::BTreeMap;

use crate::model::finding::{Finding, Kind, Side};
use crate::model::status::Health;
use crate::model::verdict::{CheckResult, Verdict};

/// Consecutive samples beyond a limit that make it count, and within it that end that.
const SAMPLES: u32 = 3;
/// Share of a limit below which an excess is over: hysteresis, so that a value at the limit is one excess and not many.
const BACK_BELOW: f64 = 0.9;
/// The same for free space, which must rise above its limit by this.
const BACK_ABOVE: f64 = 1.1;
/// Name of the check.
pub const CHECK: &str = "own.limits";

/// What soakd may use; `0` judges nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    pub daemon_memory: u64,
    pub worker_memory: u64,
    pub threads: u64,
    /// Share of the permitted descriptors.
    pub descriptors: f64,
    pub disk_warn: u64,
    pub disk_pause: u64,
    pub state_file: u64,
    pub clock_jump_ms: u64,
}

/// One look at everything.
#[derive(Debug, Clone)]
pub struct Sample<'a> {
    pub health: &'a Health,
    /// Directory that the free space is of, for the messages.
    pub state_dir: &'a str,
    /// False when the free space could not be read.
    pub disk_known: bool,
    pub cycle: u64,
    /// By how much the wall clock was set since the last look.
    pub clock_jump_ms: i64,
}

/// One limit of one part, over time.
#[derive(Debug, Clone, Copy, Default)]
struct Excess {
    /// The process that it is about: another one starts afresh.
    pid: u32,
    beyond: u32,
    within: u32,
    said: bool,
    /// The cycle in which it was last said.
    cycle: u64,
    /// The look at which it was last judged.
    look: u64,
}

impl Excess {
    /// Takes in one sample; true when the excess is to be said: once, and again in every further cycle that it lasts.
    fn take(&mut self, beyond: bool, back: bool, (samples, cycle): (u32, u64)) -> bool {
        self.beyond = if beyond { self.beyond.saturating_add(1) } else { 0 };
        self.within = if back { self.within.saturating_add(1) } else { 0 };
        if self.within >= SAMPLES {
            self.said = false;
        }
        let say = self.beyond >= samples && (!self.said || self.cycle != cycle);
        if say {
            self.cycle = cycle;
        }
        self.said |= say;
        say
    }
}

/// What is known of soakd's excesses.
#[derive(Debug)]
pub struct Own {
    limits: Limits,
    excesses: BTreeMap<(&'static str, String), Excess>,
    look: u64,
    paused: bool,
}

/// One value and the limit that it is held against.
struct Measure<'a> {
    code: &'static str,
    part: &'a str,
    pid: u32,
    value: u64,
    limit: u64,
}

impl Own {
    /// Returns a judge that has seen nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, excesses: BTreeMap::new(), look: 0, paused: false }
    }

    /// Puts other limits in force; an excess that was said is not said again.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Judges one sample; returns what is to be said.
    pub fn judge(&mut self, sample: &Sample<'_>) -> Vec<Finding> {
        self.look += 1;
        let mut said = Vec::new();
        for measure in measures(&self.limits, sample.health) {
            if self.above(&measure, sample.cycle) {
                said.push((Kind::Other, measure.code, over_text(&measure, &self.limits)));
            }
        }
        if sample.disk_known {
            said.extend(self.disk(sample));
        }
        let jump = sample.clock_jump_ms;
        if self.limits.clock_jump_ms > 0 && jump.unsigned_abs() >= self.limits.clock_jump_ms {
            let way = if jump < 0 { "back" } else { "forward" };
            let seconds = jump.unsigned_abs().div_ceil(1000);
            let text = format!(
                "the system's clock was set {way} by {seconds} s; times before and after do not compare, and schedules go by the \
                 new time: see that one time service, and nothing else, sets the clock of this machine"
            );
            said.push((Kind::Other, "own.clock", text));
        }
        let look = self.look;
        // A part that was not seen for a while is gone.
        self.excesses.retain(|_, excess| excess.look + u64::from(SAMPLES) > look);
        said.into_iter().map(|(kind, code, text)| finding(sample, kind, code, &text)).collect()
    }

    /// Returns why cycles are to wait, while free space is short.
    pub fn pause(&self, sample: &Sample<'_>) -> Option<String> {
        self.paused.then(|| {
            format!(
                "only {} are free in {} (limits.disk_pause is {}); cycles wait until there is more",
                size(sample.health.disk_free_bytes),
                sample.state_dir,
                size(self.limits.disk_pause),
            )
        })
    }

    fn above(&mut self, measure: &Measure<'_>, cycle: u64) -> bool {
        let Measure { code, part, pid, value, limit } = *measure;
        let look = self.look;
        let excess = self.excesses.entry((code, part.to_owned())).or_default();
        if excess.pid != pid {
            *excess = Excess { pid, ..Excess::default() };
        }
        excess.look = look;
        excess.take(value > limit, (value as f64) < limit as f64 * BACK_BELOW, (SAMPLES, cycle))
    }

    /// Judges free space: little of it is worth a word after some samples, and hardly any stops new cycles at once.
    fn disk(&mut self, sample: &Sample<'_>) -> Vec<(Kind, &'static str, String)> {
        let free = sample.health.disk_free_bytes;
        let Limits { disk_warn, disk_pause, .. } = self.limits;
        let look = self.look;
        let mut say = |code, limit: u64, samples| {
            let excess = self.excesses.entry((code, String::new())).or_default();
            excess.look = look;
            excess.take(free < limit, free as f64 >= limit as f64 * BACK_ABOVE, (samples, sample.cycle))
        };
        let (warn, pause) = (say("own.disk_warn", disk_warn, SAMPLES), say("own.disk_pause", disk_pause, 1));
        if free < disk_pause {
            self.paused = true;
        } else if free as f64 >= disk_pause as f64 * BACK_ABOVE {
            self.paused = false;
        }
        let dir = sample.state_dir;
        let advice = "make room there, or lower [retention]";
        let mut said = Vec::new();
        if pause {
            let (free, limit) = (size(free), size(disk_pause));
            let text = format!("only {free} are free in {dir} (limits.disk_pause is {limit}): cycles wait; {advice}");
            said.push((Kind::DiskFull, "own.disk_pause", text));
        }
        // What stops the cycles needs no second word.
        if warn && free >= disk_pause {
            let (free, limit) = (size(free), size(disk_warn));
            let text = format!("only {free} are free in {dir} (limits.disk_warn is {limit}); {advice}");
            said.push((Kind::DiskFull, "own.disk_warn", text));
        }
        said
    }
}

/// Returns everything that has an upper limit.
fn measures<'a>(limits: &Limits, health: &'a Health) -> Vec<Measure<'a>> {
    let mut all = Vec::with_capacity(health.parts.len() * 2 + 2);
    for usage in &health.parts {
        let (part, pid) = (usage.part.as_str(), usage.pid);
        let mut add = |code, value, limit: u64| {
            if limit > 0 {
                all.push(Measure { code, part, pid, value, limit });
            }
        };
        // The target is the system under test: its memory is not soakd's.
        match part {
            "daemon" => {
                add("own.memory", usage.rss_bytes, limits.daemon_memory);
                add("own.threads", usage.threads, limits.threads);
            }
            _ if part.starts_with("worker") => {
                add("own.memory", usage.rss_bytes, limits.worker_memory);
            }
            _ => continue,
        }
        let descriptors = (usage.descriptors_max as f64 * limits.descriptors) as u64;
        add("own.descriptors", usage.descriptors, descriptors);
    }
    if limits.state_file > 0 {
        let (value, limit) = (health.state_file_bytes, limits.state_file);
        all.push(Measure { code: "own.state_file", part: "state file", pid: 0, value, limit });
    }
    all
}

fn over_text(measure: &Measure<'_>, limits: &Limits) -> String {
    let Measure { code, part, pid, value, limit } = *measure;
    match code {
        "own.memory" => {
            let key = if part == "daemon" { "limits.daemon_memory" } else { "limits.worker_memory" };
            let (value, limit) = (size(value), size(limit));
            format!(
                "{part} (pid {pid}) uses {value} of memory, and {key} is {limit}; raise it if the workload needs that much"
            )
        }
        "own.threads" => {
            format!(
                "{part} (pid {pid}) has {value} threads, and limits.threads is {limit}; raise it if the workload needs that many"
            )
        }
        "own.descriptors" => {
            let share = limits.descriptors;
            format!(
                "{part} (pid {pid}) has {value} files open, more than {share} (limits.descriptors) of what it may; raise \
                 LimitNOFILE= of the service"
            )
        }
        _ => {
            let (value, limit) = (size(value), size(limit));
            format!(
                "the state file has {value}, and limits.state_file is {limit}; lower retention.runs, or raise the limit"
            )
        }
    }
}

fn finding(sample: &Sample<'_>, kind: Kind, code: &str, text: &str) -> Finding {
    Finding {
        code: Some(code.into()),
        // The sync service is none the worse for it: it is a criterion of its own.
        tolerated: true,
        ..Finding::new(sample.health.at_ms, sample.cycle, "-", (Side::Soakd, kind), text)
    }
}

/// Writes a size for people.
fn size(bytes: u64) -> String {
    if bytes >= 10 << 30 { format!("{}GiB", bytes >> 30) } else { format!("{}MiB", bytes >> 20) }
}

/// Judges a cycle: soakd kept within its limits, or it did not. Little space and a clock that was set are the machine's
/// matter, and are shown without failing anything.
pub fn judge_cycle(findings: &[Finding], evidence_max: usize) -> CheckResult {
    let own: Vec<&Finding> = findings.iter().filter(|finding| finding.is_own()).collect();
    let used = ["own.memory", "own.threads", "own.descriptors", "own.state_file"];
    let beyond = own.iter().find(|f| f.code.as_deref().is_some_and(|code| used.contains(&code)));
    let (verdict, summary) = match (beyond, own.first()) {
        (Some(first), _) => (Verdict::Fail, format!("soakd exceeded a limit of its own: {}", first.message)),
        (None, Some(first)) => (Verdict::Pass, format!("soakd kept within its limits, but {}", first.message)),
        (None, None) => (Verdict::Pass, "soakd kept within its limits".into()),
    };
    CheckResult {
        check: CHECK.into(),
        verdict: Some(verdict),
        summary,
        evidence: own.iter().take(evidence_max).map(|f| f.message.clone()).collect(),
        evidence_total: own.len() as u64,
    }
}

#[cfg(test)]
mod tests;
