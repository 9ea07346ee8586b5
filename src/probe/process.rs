//! One process as `/proc` shows it: memory, threads, open descriptors by kind, CPU time, what it read and wrote. What the
//! system does not let soakd see is absent; nothing that is not known becomes a zero.

mod descriptors;
#[cfg(test)]
mod tests;

use std::io::{BufRead, BufReader, Read};

use procfs::ProcError;
use procfs::process::{LimitValue, Process};

use crate::model::status::Usage;
pub use descriptors::{Descriptors, KINDS_MAX, Kinds};

/// Descriptors that a quick reading tells apart; each of them costs a system call.
const KINDS_QUICK: usize = 512;
/// Bytes of the memory map that are read to find the heap, which stands near its beginning.
const MAP_BYTES_MAX: u64 = 1 << 20;

/// What was read of a process.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub usage: Usage,
    /// True if the memory that it shares with others could not be told from its own: `pss_bytes` is `rss_bytes` then.
    pub pss_is_rss: bool,
    /// Memory that no file stands behind.
    pub anon: Option<u64>,
    /// What the allocator's main heap takes of memory; read with the slow things only.
    pub heap: Option<u64>,
    pub descriptors: Option<Descriptors>,
    pub io: Option<Io>,
    /// What the system does not let soakd see, and why.
    pub hidden: Option<String>,
}

/// What a process moved from and to disks since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Io {
    pub read_bytes: u64,
    pub write_bytes: u64,
}

/// A process that is there and cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("process {pid} ({part}) cannot be looked at: {why}; is /proc mounted, and without hidepid for soakd's user?")]
pub struct Unreadable {
    part: String,
    pid: u32,
    why: String,
}

/// Reads a process; `None` when it is gone. `slow` adds what takes long to find out: the share of shared memory, the heap, and
/// the kinds of very many descriptors.
pub fn read(part: &str, pid: u32, slow: bool) -> Result<Option<Reading>, Unreadable> {
    match measure(part, pid, slow) {
        Ok(reading) => Ok(reading),
        Err(ProcError::NotFound(_)) => Ok(None),
        // A process that ends while it is read answers with ESRCH.
        Err(ProcError::Io(why, _)) if why.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(None),
        Err(why) => Err(Unreadable { part: part.into(), pid, why: why.to_string() }),
    }
}

fn measure(part: &str, pid: u32, slow: bool) -> Result<Option<Reading>, ProcError> {
    let Ok(raw @ 1..) = i32::try_from(pid) else { return Ok(None) };
    let process = Process::new(raw)?;
    let stat = process.stat()?;
    // A process that nobody has waited for yet has nothing any more.
    if matches!(stat.state, 'Z' | 'X' | 'x') {
        return Ok(None);
    }
    let rss_bytes = stat.rss.saturating_mul(procfs::page_size());
    let shared = if slow { proportional(&process) } else { None };
    let limits = process.limits()?;
    let ticks = stat.utime.saturating_add(stat.stime);
    let (descriptors, hidden) = match descriptors::read(pid, if slow { KINDS_MAX } else { KINDS_QUICK }) {
        Ok(descriptors) => (Some(descriptors), None),
        Err(why) => (None, Some(format!("its descriptors, its input and output: {why}"))),
    };
    let usage = Usage {
        part: part.into(),
        pid,
        rss_bytes,
        pss_bytes: shared.unwrap_or(rss_bytes),
        threads: u64::try_from(stat.num_threads).unwrap_or_default(),
        // Not permitted for a process that may not be traced; then there is nothing to judge.
        descriptors: descriptors.map_or(0, |descriptors| descriptors.total),
        descriptors_max: match limits.max_open_files.soft_limit {
            LimitValue::Value(max) => max,
            LimitValue::Unlimited => u64::MAX,
        },
        cpu_ms: ticks.saturating_mul(1000) / procfs::ticks_per_second().max(1),
    };
    Ok(Some(Reading {
        usage,
        pss_is_rss: shared.is_none(),
        anon: anonymous(pid),
        heap: if slow { heap(pid) } else { None },
        descriptors,
        io: io(pid),
        hidden,
    }))
}

/// Returns the memory of a process with what it shares divided among those who share it.
fn proportional(process: &Process) -> Option<u64> {
    let maps = process.smaps_rollup().ok()?.memory_map_rollup;
    maps.0.first()?.extension.map.get("Pss").copied()
}

fn anonymous(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    kib(text.lines().find_map(|line| line.strip_prefix("RssAnon:"))?)
}

fn io(pid: u32) -> Option<Io> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok();
    Some(Io { read_bytes: value("read_bytes:")?, write_bytes: value("write_bytes:")? })
}

/// Returns what the heap takes of memory. The kernel makes the list as it is read, so that what stands behind is not paid for.
fn heap(pid: u32) -> Option<u64> {
    let map = std::fs::File::open(format!("/proc/{pid}/smaps")).ok()?;
    let mut lines = BufReader::with_capacity(4096, map.take(MAP_BYTES_MAX)).lines().map_while(Result::ok);
    lines.find(|line| line.ends_with("[heap]"))?;
    kib(lines.find_map(|line| line.strip_prefix("Rss:").map(str::to_owned))?.as_str())
}

/// Reads an amount such as ` 123 kB`.
fn kib(text: &str) -> Option<u64> {
    text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
