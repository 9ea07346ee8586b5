//! The metrics that soakd keeps: their names, units, and which way is worse. A metric is called `KIND.PART`, as in `rss.target`
//! or `latency_p99.send`; a kind that has no parts stands alone, as in `converge`.

/// What a value counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Count,
    Seconds,
    PerSecond,
    /// A part of 1.
    Share,
}

/// Which way a metric gets worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worse {
    Up,
    Down,
    /// It says nothing by itself.
    Neither,
}

/// One kind of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub name: &'static str,
    pub unit: Unit,
    pub worse: Worse,
    /// What it is, in words that are followed by "of PART".
    pub words: &'static str,
}

const fn kind(name: &'static str, unit: Unit, worse: Worse, words: &'static str) -> Kind {
    Kind { name, unit, worse, words }
}

/// All kinds.
pub const KINDS: &[Kind] = &[
    kind("rss", Unit::Bytes, Worse::Up, "resident memory"),
    kind("pss", Unit::Bytes, Worse::Up, "proportional memory"),
    kind("anon", Unit::Bytes, Worse::Up, "anonymous memory"),
    kind("heap", Unit::Bytes, Worse::Up, "heap"),
    kind("fds", Unit::Count, Worse::Up, "open descriptors"),
    kind("fds_file", Unit::Count, Worse::Up, "open files"),
    kind("fds_socket", Unit::Count, Worse::Up, "open sockets"),
    kind("fds_pipe", Unit::Count, Worse::Up, "open pipes"),
    kind("fds_other", Unit::Count, Worse::Up, "other open descriptors"),
    kind("threads", Unit::Count, Worse::Up, "threads"),
    kind("cpu", Unit::Share, Worse::Up, "share of one processor core"),
    kind("io_read", Unit::PerSecond, Worse::Up, "bytes read per second"),
    kind("io_write", Unit::PerSecond, Worse::Up, "bytes written per second"),
    kind("db", Unit::Bytes, Worse::Up, "database files"),
    kind("wal", Unit::Bytes, Worse::Up, "write-ahead log"),
    kind("temp", Unit::Bytes, Worse::Up, "temporary files"),
    kind("rows", Unit::Count, Worse::Neither, "rows"),
    kind("tombstones", Unit::Count, Worse::Up, "tombstones"),
    kind("metadata", Unit::Count, Worse::Up, "rows of metadata"),
    kind("deleted", Unit::Count, Worse::Neither, "rows deleted since the start"),
    kind("pg_connections", Unit::Count, Worse::Up, "connections"),
    kind("pg_locks", Unit::Count, Worse::Up, "locks held or awaited"),
    kind("pg_waits", Unit::Count, Worse::Up, "locks awaited"),
    kind("pg_dead", Unit::Count, Worse::Up, "dead rows"),
    kind("pg_bloat", Unit::Bytes, Worse::Up, "bytes of dead rows"),
    kind("pg_db", Unit::Bytes, Worse::Up, "database size"),
    // What the configuration asks for by name; counters as their growth per second.
    kind("custom", Unit::Count, Worse::Up, "metric"),
    kind("latency_p50", Unit::Seconds, Worse::Up, "median latency"),
    kind("latency_p90", Unit::Seconds, Worse::Up, "90th percentile of latency"),
    kind("latency_p99", Unit::Seconds, Worse::Up, "99th percentile of latency"),
    kind("latency_max", Unit::Seconds, Worse::Up, "largest latency"),
    kind("throughput", Unit::PerSecond, Worse::Down, "operations per second"),
    kind("converge", Unit::Seconds, Worse::Up, "time to converge"),
    kind("cycle", Unit::Seconds, Worse::Up, "length of a cycle"),
    kind("growth", Unit::Share, Worse::Up, "growth within the run"),
    kind("errors", Unit::Count, Worse::Up, "errors"),
    kind("retries", Unit::Count, Worse::Up, "retries"),
];

/// Actions on soakd's own databases, whose latency is this machine's and not the service's.
const LOCAL: &[&str] = &["inserted", "updated", "deleted", "contended", "filled", "waited"];

/// What a metric tells of, where two runs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    Latency,
    Throughput,
    Convergence,
    Errors,
    Memory,
    Descriptors,
    Storage,
}

impl Aspect {
    /// All aspects, in the order in which people ask for them.
    pub const ALL: [Self; 7] = [
        Self::Latency,
        Self::Throughput,
        Self::Convergence,
        Self::Errors,
        Self::Memory,
        Self::Descriptors,
        Self::Storage,
    ];

    /// Returns the aspect of a metric; `None` for one that two runs are not compared by: what soakd's own processes use says
    /// nothing of the service and neither does how long its own databases take, the largest latency is a single value, and the
    /// length of a cycle a sum of others.
    pub fn of(metric: &str) -> Option<Self> {
        let (kind, part) = parse(metric)?;
        if kind.worse == Worse::Neither || part == "daemon" || part.starts_with("worker") {
            return None;
        }
        match kind.name {
            "latency_p50" | "latency_p90" | "latency_p99" => (!LOCAL.contains(&part)).then_some(Self::Latency),
            "throughput" => Some(Self::Throughput),
            "converge" => Some(Self::Convergence),
            "errors" | "retries" => Some(Self::Errors),
            "rss" | "pss" | "anon" | "heap" => Some(Self::Memory),
            // How much the second half of a run has more of it than the first.
            "growth" => Self::of(part).filter(|aspect| *aspect == Self::Memory),
            "fds" | "threads" | "pg_connections" => Some(Self::Descriptors),
            "db" | "pg_db" | "tombstones" | "metadata" => Some(Self::Storage),
            _ => None,
        }
    }

    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Throughput => "throughput",
            Self::Convergence => "time to converge",
            Self::Errors => "errors",
            Self::Memory => "memory",
            Self::Descriptors => "descriptors and threads",
            Self::Storage => "storage",
        }
    }
}

/// Splits a metric into its kind and its part; `None` for a name that is no metric.
pub fn parse(metric: &str) -> Option<(&'static Kind, &str)> {
    let (name, part) = metric.split_once('.').unwrap_or((metric, ""));
    KINDS.iter().find(|kind| kind.name == name).map(|kind| (kind, part))
}

/// Says what a metric is, for people: `resident memory of the target`.
pub fn words(metric: &str) -> String {
    let Some((kind, part)) = parse(metric) else { return metric.to_owned() };
    match part {
        part if kind.name == "custom" => format!("{part} as the target tells it"),
        "" => kind.words.to_owned(),
        part if kind.name == "growth" => format!("growth of {}", words(part)),
        "daemon" => format!("{} of the daemon", kind.words),
        "target" => format!("{} of the target", kind.words),
        part => format!("{} of {part}", kind.words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_different_names_and_metrics_are_said_in_words() {
        let names: std::collections::BTreeSet<_> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
        assert_eq!(words("rss.target"), "resident memory of the target");
        assert_eq!(words("latency_p99.send"), "99th percentile of latency of send");
        assert_eq!(words("custom.queue_length"), "queue_length as the target tells it");
        assert_eq!(words("converge"), "time to converge");
        assert_eq!(words("growth.rss.target"), "growth of resident memory of the target");
        assert_eq!(words("unheard.of"), "unheard.of");
        assert_eq!(parse("pg_bloat.target").map(|(kind, part)| (kind.unit, part)), Some((Unit::Bytes, "target")));
        assert_eq!(parse("rssx.target"), None);
        assert_eq!(Aspect::of("latency_p99.sent"), Some(Aspect::Latency));
        for not in [
            "rss.daemon",
            "rss.worker-1",
            "latency_p50.inserted",
            "rows.target",
            "latency_max.sent",
            "cycle",
            "unheard",
        ] {
            assert_eq!(Aspect::of(not), None, "{not}");
        }
    }
}
