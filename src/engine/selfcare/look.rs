//! One look at soakd's processes, at the target and at the machine. What is slow to read is read once a minute, and its last
//! value stands in between: looking must not cost what it watches.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::engine::measure::figures::{self, Rates};
use crate::engine::measure::part::{Part, Scene};
use crate::model::status::Health;
use crate::probe::clock::{Clocks, Passed};
use crate::probe::files::{self, Sizes};
use crate::probe::missing::Missing;
use crate::probe::process::Reading;
use crate::probe::{clock, disk, process};

/// Time between two readings of what is slow.
const SLOW_EVERY: Duration = Duration::from_secs(60);
/// Time between two looks at the sizes of databases, of which there may be many.
const FILES_EVERY: Duration = Duration::from_secs(5);
/// Entries of the state directory that are looked at.
const ENTRIES_MAX: u64 = 200_000;

/// What can be read of a machine: this one, or one that a test makes up.
pub trait Machine: Send + 'static {
    /// Reads a process; `None` when it is gone. `slow` asks for what takes long to find out as well.
    fn process(&mut self, part: &str, pid: u32, slow: bool) -> Option<Reading>;
    /// Returns the sizes of a part's databases, if they are known.
    fn files(&mut self, _part: &Part) -> Option<Sizes> {
        None
    }
    /// Returns the free space of the state directory, if it can be read.
    fn disk_free(&mut self) -> Option<u64>;
    fn state_file(&mut self) -> u64;
    /// Returns what the state directory takes, unless it was stopped.
    fn state_dir(&mut self, stop: &dyn Fn() -> bool) -> Option<u64>;
    fn clocks(&mut self) -> Option<Clocks>;
}

/// The machine that soakd runs on.
#[derive(Debug)]
pub struct Host {
    state_dir: PathBuf,
    state_file: PathBuf,
    origin: Instant,
    /// Said once, and not at every look.
    missing: Missing,
}

impl Host {
    /// Returns the machine with the state directory that it is about.
    pub fn new(state_dir: PathBuf) -> Self {
        let state_file = state_dir.join(crate::store::FILE);
        Self { state_dir, state_file, origin: Instant::now(), missing: Missing::default() }
    }
}

impl Machine for Host {
    fn process(&mut self, part: &str, pid: u32, slow: bool) -> Option<Reading> {
        self.missing.take(part, process::read(part, pid, slow)).flatten()
    }

    fn files(&mut self, part: &Part) -> Option<Sizes> {
        self.missing.take(&format!("files of {}", part.name), files::databases(&part.databases))
    }

    fn disk_free(&mut self) -> Option<u64> {
        disk::free(&self.state_dir).ok()
    }

    fn state_file(&mut self) -> u64 {
        std::fs::metadata(&self.state_file).map_or(0, |meta| meta.len())
    }

    fn state_dir(&mut self, stop: &dyn Fn() -> bool) -> Option<u64> {
        let tree = disk::tree(&self.state_dir, ENTRIES_MAX, stop).ok()?;
        (tree.complete || tree.entries >= ENTRIES_MAX).then_some(tree.bytes)
    }

    fn clocks(&mut self) -> Option<Clocks> {
        clock::read(self.origin)
    }
}

/// What one look saw.
#[derive(Debug, Clone)]
pub struct Look {
    pub health: Health,
    /// What is kept as series, by name.
    pub figures: Vec<(String, f64)>,
    /// False when the free space could not be read.
    pub disk_known: bool,
    /// What happened to the clocks since the last look.
    pub passed: Passed,
}

/// Looks, and remembers what is slow to read.
#[derive(Debug)]
pub struct Sampler<M> {
    machine: M,
    /// Own share of memory by process id, as it was last read.
    pss: BTreeMap<u32, u64>,
    rates: Rates,
    state_dir_bytes: u64,
    slow_at: Option<Instant>,
    /// When the databases of each part were looked at last.
    files_at: BTreeMap<String, Instant>,
    /// The newest figures from outside that were taken over.
    outside: u64,
    /// What was measured last, by metric, of the parts that there are.
    latest: BTreeMap<String, f64>,
    clocks: Option<Clocks>,
}

impl<M: Machine> Sampler<M> {
    /// Returns a sampler that has seen nothing yet.
    pub fn new(machine: M) -> Self {
        Self {
            machine,
            pss: BTreeMap::new(),
            rates: Rates::default(),
            state_dir_bytes: 0,
            slow_at: None,
            files_at: BTreeMap::new(),
            outside: 0,
            latest: BTreeMap::new(),
            clocks: None,
        }
    }

    /// Looks at the daemon and at the other parts; parts that are gone are left out.
    pub fn look(&mut self, scene: &Scene, now_ms: i64, stop: &dyn Fn() -> bool) -> Look {
        let slow = self.slow_at.is_none_or(|at| at.elapsed() >= SLOW_EVERY);
        if slow {
            self.slow_at = Some(Instant::now());
            self.state_dir_bytes = self.machine.state_dir(stop).unwrap_or(self.state_dir_bytes);
        }
        let mut health = Health { at_ms: now_ms, ..Health::default() };
        let mut figures = Vec::new();
        let daemon = Part::daemon();
        for (index, part) in std::iter::once(&daemon).chain(&scene.parts).enumerate() {
            let (reading, mut kinds) = self.process(part, slow);
            if !part.databases.is_empty() && figures::is_kept(index, "db") {
                kinds.extend(self.files(part, reading.as_ref()));
            }
            health.parts.extend(reading.map(|reading| reading.usage));
            kinds.retain(|(kind, _)| figures::is_kept(index, kind));
            figures.extend(kinds.into_iter().map(|(kind, value)| (format!("{kind}.{}", part.name), value)));
        }
        self.files_at.retain(|name, _| scene.parts.iter().any(|part| part.name == *name));
        let there = |pid| health.parts.iter().any(|usage| usage.pid == pid);
        self.pss.retain(|pid, _| there(*pid));
        self.rates.keep(there);
        if std::mem::replace(&mut self.outside, scene.taken) != scene.taken {
            figures.extend(scene.figures.iter().cloned());
        }
        let free = self.machine.disk_free();
        health.disk_free_bytes = free.unwrap_or(0);
        health.state_file_bytes = self.machine.state_file();
        health.state_dir_bytes = self.state_dir_bytes;
        figures.extend(free.map(|free| ("disk.free".into(), free as f64)));
        figures.push(("state.file".into(), health.state_file_bytes as f64));
        // What is slow to read keeps its value until it is read again.
        let names: Vec<&str> = std::iter::once(&daemon).chain(&scene.parts).map(|part| part.name.as_str()).collect();
        self.latest.retain(|metric, _| {
            let of_part = names.contains(&metric.rsplit_once('.').map_or("", |(_, part)| part));
            of_part || scene.figures.iter().any(|(told, _)| told == metric)
        });
        self.latest.extend(figures.iter().cloned());
        health.figures.clone_from(&self.latest);
        let clocks = self.machine.clocks();
        let passed = match (self.clocks, clocks) {
            (Some(before), Some(now)) => before.until(now),
            _ => Passed::default(),
        };
        self.clocks = clocks.or(self.clocks);
        Look { health, figures, disk_known: free.is_some(), passed }
    }

    /// Returns the figures of a part's databases, unless they were looked at a moment ago.
    fn files(&mut self, part: &Part, reading: Option<&Reading>) -> figures::Figures {
        if self.files_at.get(&part.name).is_some_and(|at| at.elapsed() < FILES_EVERY) {
            return Vec::new();
        }
        self.files_at.insert(part.name.clone(), Instant::now());
        self.machine.files(part).map_or_else(Vec::new, |sizes| figures::of_files(&sizes, reading))
    }

    /// Reads a part's process, if it has one and that is there, and returns its figures beside.
    fn process(&mut self, part: &Part, slow: bool) -> (Option<Reading>, figures::Figures) {
        let Some(pid) = part.pid else { return (None, Vec::new()) };
        let slow = slow || !self.pss.contains_key(&pid);
        let Some(mut reading) = self.machine.process(&part.name, pid, slow) else { return (None, Vec::new()) };
        let mut kinds = figures::of_process(&reading);
        kinds.extend(self.rates.since_last(&reading, Instant::now()));
        if slow {
            self.pss.insert(pid, reading.usage.pss_bytes);
        }
        reading.usage.pss_bytes = self.pss.get(&pid).copied().unwrap_or(reading.usage.pss_bytes);
        (Some(reading), kinds)
    }
}
