//! One process as `/proc` shows it: memory, threads, open descriptors, CPU time.

use procfs::ProcError;
use procfs::process::{LimitValue, Process};

use crate::model::status::Usage;

/// What was read of a process.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub usage: Usage,
    /// True if the memory that it shares with others could not be told from its own: `pss_bytes` is `rss_bytes` then.
    pub pss_is_rss: bool,
}

/// A process that is there and cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("process {pid} ({part}) cannot be looked at: {why}; is /proc mounted, and without hidepid for soakd's user?")]
pub struct Unreadable {
    part: String,
    pid: u32,
    why: String,
}

/// Reads a process; `None` when it is gone. The share of shared memory is slow to find out, and asked for on its own.
pub fn read(part: &str, pid: u32, pss: bool) -> Result<Option<Reading>, Unreadable> {
    match measure(part, pid, pss) {
        Ok(reading) => Ok(reading),
        Err(ProcError::NotFound(_)) => Ok(None),
        // A process that ends while it is read answers with ESRCH.
        Err(ProcError::Io(why, _)) if why.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(None),
        Err(why) => Err(Unreadable { part: part.into(), pid, why: why.to_string() }),
    }
}

fn measure(part: &str, pid: u32, pss: bool) -> Result<Option<Reading>, ProcError> {
    let Ok(raw @ 1..) = i32::try_from(pid) else { return Ok(None) };
    let process = Process::new(raw)?;
    let stat = process.stat()?;
    // A process that nobody has waited for yet has nothing any more.
    if matches!(stat.state, 'Z' | 'X' | 'x') {
        return Ok(None);
    }
    let rss_bytes = stat.rss.saturating_mul(procfs::page_size());
    let shared = if pss { proportional(&process) } else { None };
    let limits = process.limits()?;
    let ticks = stat.utime.saturating_add(stat.stime);
    let usage = Usage {
        part: part.into(),
        pid,
        rss_bytes,
        pss_bytes: shared.unwrap_or(rss_bytes),
        threads: u64::try_from(stat.num_threads).unwrap_or_default(),
        // Not permitted for a process that may not be traced; then there is nothing to judge.
        descriptors: process.fd_count().map_or(0, |count| count as u64),
        descriptors_max: match limits.max_open_files.soft_limit {
            LimitValue::Value(max) => max,
            LimitValue::Unlimited => u64::MAX,
        },
        cpu_ms: ticks.saturating_mul(1000) / procfs::ticks_per_second().max(1),
    };
    Ok(Some(Reading { usage, pss_is_rss: shared.is_none() }))
}

/// Returns the memory of a process with what it shares divided among those who share it.
fn proportional(process: &Process) -> Option<u64> {
    let maps = process.smaps_rollup().ok()?.memory_map_rollup;
    maps.0.first()?.extension.map.get("Pss").copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_read_and_grows_with_what_it_opens() {
        let before = read("daemon", std::process::id(), true).expect("it can be read").expect("it is there");
        assert!(!before.pss_is_rss);
        let usage = before.usage;
        assert!(usage.rss_bytes > 1 << 20 && usage.pss_bytes > 1 << 19 && usage.pss_bytes < usage.rss_bytes * 2);
        assert!(usage.threads >= 1 && usage.descriptors >= 3 && usage.descriptors_max > usage.descriptors);
        let held: Vec<_> = (0..300).map(|_| std::fs::File::open("/dev/null").expect("a file")).collect();
        let after = read("daemon", std::process::id(), false).expect("it can be read").expect("it is there");
        // Other tests open and close files of their own meanwhile.
        assert!(after.usage.descriptors >= usage.descriptors + 200, "{after:?}");
        assert!(after.pss_is_rss);
        drop(held);
    }

    #[test]
    fn a_process_that_is_gone_or_was_not_waited_for_is_nothing() {
        let mut child = std::process::Command::new("true").spawn().expect("a child");
        let pid = child.id();
        // Until it is waited for, it is a zombie at last.
        while read("worker-1", pid, true).expect("no error").is_some() {
            std::thread::yield_now();
        }
        child.wait().expect("its end");
        assert_eq!(read("worker-1", pid, true).expect("no error"), None);
        assert_eq!(read("worker-1", 0, true).expect("no error"), None);
        assert_eq!(read("worker-1", u32::MAX, true).expect("no error"), None);
    }
}
