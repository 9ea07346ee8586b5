//! One look at soakd's processes and at the machine. What is slow to read is read once a minute, and its last value stands in
//! between: looking must not cost what it watches.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::model::status::Health;
use crate::probe::clock::{Clocks, Passed};
use crate::probe::process::Reading;
use crate::probe::{clock, disk, process};

/// Time between two readings of what is slow.
const SLOW_EVERY: Duration = Duration::from_secs(60);
/// Entries of the state directory that are looked at.
const ENTRIES_MAX: u64 = 200_000;

/// What can be read of a machine: this one, or one that a test makes up.
pub trait Machine: Send + 'static {
    /// Reads a process; `None` when it is gone.
    fn process(&mut self, part: &str, pid: u32, pss: bool) -> Option<Reading>;
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
    complained: bool,
}

impl Host {
    /// Returns the machine with the state directory that it is about.
    pub fn new(state_dir: PathBuf) -> Self {
        let state_file = state_dir.join(crate::store::FILE);
        Self { state_dir, state_file, origin: Instant::now(), complained: false }
    }
}

impl Machine for Host {
    fn process(&mut self, part: &str, pid: u32, pss: bool) -> Option<Reading> {
        match process::read(part, pid, pss) {
            Ok(reading) => reading,
            Err(error) => {
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::warn!("{error}");
                }
                None
            }
        }
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
    state_dir_bytes: u64,
    slow_at: Option<Instant>,
    clocks: Option<Clocks>,
}

impl<M: Machine> Sampler<M> {
    /// Returns a sampler that has seen nothing yet.
    pub fn new(machine: M) -> Self {
        Self { machine, pss: BTreeMap::new(), state_dir_bytes: 0, slow_at: None, clocks: None }
    }

    /// Looks at the daemon and at the other parts; parts that are gone are left out.
    pub fn look(&mut self, parts: &[(String, u32)], now_ms: i64, stop: &dyn Fn() -> bool) -> Look {
        let slow = self.slow_at.is_none_or(|at| at.elapsed() >= SLOW_EVERY);
        if slow {
            self.slow_at = Some(Instant::now());
            self.state_dir_bytes = self.machine.state_dir(stop).unwrap_or(self.state_dir_bytes);
        }
        let own = ("daemon".to_owned(), std::process::id());
        let mut health = Health { at_ms: now_ms, ..Health::default() };
        for (part, pid) in std::iter::once(&own).chain(parts) {
            let Some(Reading { mut usage, .. }) = self.machine.process(part, *pid, slow || !self.pss.contains_key(pid))
            else {
                continue;
            };
            if slow || !self.pss.contains_key(pid) {
                self.pss.insert(*pid, usage.pss_bytes);
            }
            usage.pss_bytes = self.pss.get(pid).copied().unwrap_or(usage.pss_bytes);
            health.parts.push(usage);
        }
        self.pss.retain(|pid, _| health.parts.iter().any(|usage| usage.pid == *pid));
        let free = self.machine.disk_free();
        health.disk_free_bytes = free.unwrap_or(0);
        health.state_file_bytes = self.machine.state_file();
        health.state_dir_bytes = self.state_dir_bytes;
        let clocks = self.machine.clocks();
        let passed = match (self.clocks, clocks) {
            (Some(before), Some(now)) => before.until(now),
            _ => Passed::default(),
        };
        self.clocks = clocks.or(self.clocks);
        Look { health, disk_known: free.is_some(), passed }
    }
}
