//! Figures of processes and files by the kinds of metrics. Pure: it turns what probes read into names and values.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::probe::files::Sizes;
use crate::probe::process::{Io, Reading};

/// Parts of which every kind is kept: the daemon, the target and some workers.
const PARTS_FULL: usize = 8;
/// Parts of which anything is kept; metrics and series are bounded in number.
const PARTS_MAX: usize = 20;
/// What is kept of the parts in between.
const KINDS_FEW: &[&str] = &["rss", "anon", "fds", "db", "wal", "metadata"];

/// Values by kind of metric.
pub type Figures = Vec<(&'static str, f64)>;

/// Returns whether a kind is kept of the part with this number.
pub fn is_kept(part: usize, kind: &str) -> bool {
    part < PARTS_FULL || (part < PARTS_MAX && KINDS_FEW.contains(&kind))
}

/// Returns what a reading of a process says; what it does not know is absent.
pub fn of_process(reading: &Reading) -> Figures {
    let mut figures = vec![("rss", reading.usage.rss_bytes as f64), ("threads", reading.usage.threads as f64)];
    let mut add = |kind, value: Option<u64>| figures.extend(value.map(|value| (kind, value as f64)));
    add("pss", (!reading.pss_is_rss).then_some(reading.usage.pss_bytes));
    add("anon", reading.anon);
    add("heap", reading.heap);
    add("fds", reading.descriptors.map(|descriptors| descriptors.total));
    let kinds = reading.descriptors.and_then(|descriptors| descriptors.kinds);
    add("fds_file", kinds.map(|kinds| kinds.files));
    add("fds_socket", kinds.map(|kinds| kinds.sockets));
    add("fds_pipe", kinds.map(|kinds| kinds.pipes));
    add("fds_other", kinds.map(|kinds| kinds.other));
    figures
}

/// Returns what the files of a part take; what it holds open of deleted files counts as temporary.
pub fn of_files(sizes: &Sizes, reading: Option<&Reading>) -> Figures {
    let mut figures = vec![("db", sizes.database as f64), ("wal", sizes.wal as f64)];
    let kinds = reading.and_then(|reading| reading.descriptors).and_then(|descriptors| descriptors.kinds);
    figures.extend(kinds.map(|kinds| ("temp", (sizes.journal + kinds.deleted_bytes) as f64)));
    figures
}

/// Makes rates of what only ever grows in the life of a process.
#[derive(Debug, Default)]
pub struct Rates(BTreeMap<u32, Last>);

#[derive(Debug, Clone, Copy)]
struct Last {
    at: Instant,
    cpu_ms: u64,
    io: Option<Io>,
}

impl Rates {
    /// Returns the rates since the same process was read before; none of a process that is new.
    pub fn since_last(&mut self, reading: &Reading, at: Instant) -> Figures {
        let now = Last { at, cpu_ms: reading.usage.cpu_ms, io: reading.io };
        let Some(last) = self.0.insert(reading.usage.pid, now) else { return Figures::new() };
        let seconds = at.saturating_duration_since(last.at).as_secs_f64();
        // A number that another process has now goes back, and says nothing.
        let grown = |now: u64, then: u64| now.checked_sub(then).filter(|_| seconds > 0.0).map(|grown| grown as f64);
        let mut figures = Figures::new();
        figures.extend(grown(now.cpu_ms, last.cpu_ms).map(|ms| ("cpu", ms / 1000.0 / seconds)));
        if let (Some(now), Some(then)) = (now.io, last.io) {
            let read = grown(now.read_bytes, then.read_bytes);
            figures.extend(read.map(|bytes| ("io_read", bytes / seconds)));
            let written = grown(now.write_bytes, then.write_bytes);
            figures.extend(written.map(|bytes| ("io_write", bytes / seconds)));
        }
        figures
    }

    /// Forgets processes that are not among these.
    pub fn keep(&mut self, is_there: impl Fn(u32) -> bool) {
        self.0.retain(|pid, _| is_there(*pid));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::status::Usage;
    use crate::probe::process::{Descriptors, Kinds};

    fn reading(cpu_ms: u64, io: Option<(u64, u64)>) -> Reading {
        Reading {
            usage: Usage { pid: 7, rss_bytes: 100, threads: 3, cpu_ms, ..Usage::default() },
            pss_is_rss: true,
            anon: None,
            heap: None,
            descriptors: None,
            io: io.map(|(read_bytes, write_bytes)| Io { read_bytes, write_bytes }),
            hidden: None,
        }
    }

    #[test]
    fn what_is_not_known_is_absent_and_not_zero() {
        let seen = reading(0, None);
        assert_eq!(of_process(&seen), [("rss", 100.0), ("threads", 3.0)]);
        let many = Reading { descriptors: Some(Descriptors { total: 9, kinds: None }), ..seen.clone() };
        assert_eq!(of_process(&many).last(), Some(&("fds", 9.0)));
        let sizes = Sizes { database: 5, wal: 2, journal: 1 };
        assert_eq!(of_files(&sizes, Some(&many)), [("db", 5.0), ("wal", 2.0)]);
        let kinds = Kinds { files: 1, deleted_bytes: 10, ..Kinds::default() };
        let known = Reading { descriptors: Some(Descriptors { total: 1, kinds: Some(kinds) }), ..seen };
        assert!(of_process(&known).contains(&("fds_file", 1.0)) && of_process(&known).contains(&("fds_socket", 0.0)));
        assert_eq!(of_files(&sizes, Some(&known))[2], ("temp", 11.0));
    }

    #[test]
    fn rates_need_two_readings_of_one_process() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        assert_eq!(rates.since_last(&reading(1000, Some((0, 0))), at(0)), []);
        let seen = rates.since_last(&reading(2000, Some((400, 100))), at(4));
        assert_eq!(seen, [("cpu", 0.25), ("io_read", 100.0), ("io_write", 25.0)]);
        assert_eq!(rates.since_last(&reading(2000, None), at(4)), [], "no time passed");
        assert_eq!(rates.since_last(&reading(3000, Some((1, 1))), at(5)), [("cpu", 1.0)]);
        // Another process that has the number now.
        assert_eq!(rates.since_last(&reading(10, Some((0, 5))), at(6)), [("io_write", 4.0)]);
        rates.keep(|_| false);
        assert_eq!(rates.since_last(&reading(20, None), at(7)), []);
    }
}
