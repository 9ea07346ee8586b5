//! The machine: its clock, and what it permits soakd in files, threads and memory.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use chrono::Utc;
use procfs::Current;

use super::super::check::CheckLine;
use crate::config::Config;
use crate::engine::setup::Setup;
use crate::probe::clock::{self, Clocks, Synchronised};
use crate::probe::limits;

/// Nothing that this program proves can have happened before it was written: 2026-01-01.
const PLAUSIBLE_FROM_MS: i64 = 1_767_225_600_000;
/// A clock beyond 2100 is wrong.
const PLAUSIBLE_UNTIL_MS: i64 = 4_102_444_800_000;
/// How long a question to the system's time service may take.
const ASK_MAX: Duration = Duration::from_secs(3);

/// Descriptors that the daemon needs beside its workers, and for each of them.
const DAEMON_DESCRIPTORS: u64 = 96;
const WORKER_DESCRIPTORS: u64 = 8;
/// Descriptors that a worker needs, and for each of its databases.
const BASE_DESCRIPTORS: u64 = 32;
const DATABASE_DESCRIPTORS: u64 = 16;
/// Threads of the daemon and the target, and of one worker with one database.
const BASE_THREADS: u64 = 64;
const WORKER_THREADS: u64 = 6;
/// Memory of the daemon with the target, of a worker, and of one of its databases.
const BASE_MEMORY: u64 = 192 << 20;
const WORKER_MEMORY: u64 = 24 << 20;
const DATABASE_MEMORY: u64 = 8 << 20;
/// Size that no file which soakd writes stays below for weeks.
const FILE_SIZE: u64 = 1 << 30;

/// The clocks at the start of everything.
pub(super) struct ClockWatch {
    origin: Instant,
    first: Option<Clocks>,
}

impl ClockWatch {
    pub(super) fn begin() -> Self {
        let origin = Instant::now();
        Self { origin, first: clock::read(origin) }
    }
}

/// Judges the clock: plausible, steady meanwhile, and kept by something.
pub(super) async fn clock(watch: ClockWatch, config: &Config) -> CheckLine {
    const NAME: &str = "clock";
    const ADVICE: &str = "start a time service, such as systemd-timesyncd or chrony";
    let now = Utc::now();
    let shown = now.format("%F %T UTC");
    if !(PLAUSIBLE_FROM_MS..PLAUSIBLE_UNTIL_MS).contains(&now.timestamp_millis()) {
        return CheckLine::failed(NAME, format!("it shows {shown}, which cannot be; {ADVICE}"));
    }
    let jump = watch.first.zip(clock::read(watch.origin)).map(|(first, last)| first.until(last).jump_ms);
    let jump_max = i64::try_from(config.limits.clock_jump.get().as_millis()).unwrap_or(i64::MAX);
    match jump {
        Some(jump) if jump.abs() >= jump_max => {
            let detail = format!("it was set by {jump} ms while this ran; see that only one time service sets it");
            return CheckLine::failed(NAME, detail);
        }
        Some(_) => {}
        None => return CheckLine::warned(NAME, format!("it shows {shown}; /proc/uptime cannot be read to see jumps")),
    }
    let mut kept = clock::synchronised(Path::new("/run"));
    if kept == Synchronised::Unknown {
        kept = ask_timedated().await;
    }
    match kept {
        Synchronised::Yes(by) => CheckLine::ok(NAME, format!("it shows {shown}, kept by {by}")),
        Synchronised::No(why) => CheckLine::warned(NAME, format!("it shows {shown}, but {why}; {ADVICE}")),
        Synchronised::Unknown => CheckLine::warned(
            NAME,
            format!("it shows {shown}; whether something keeps it right is not known; {ADVICE}"),
        ),
    }
}

/// Asks systemd, which asks the kernel, whether any time service keeps the clock.
async fn ask_timedated() -> Synchronised {
    let asked = tokio::process::Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(ASK_MAX, asked).await {
        Ok(Ok(answer)) if answer.stdout == b"yes\n" => Synchronised::Yes("a time service that the system knows"),
        Ok(Ok(answer)) if answer.stdout == b"no\n" => Synchronised::No("no time service has set it"),
        _ => Synchronised::Unknown,
    }
}

/// Holds what soakd will need against what it may have.
pub(super) fn limits(config: &Config) -> Vec<CheckLine> {
    let need = Need::of(config);
    let (own, group) = (limits::own(), limits::group());
    vec![
        descriptors(&need, own.descriptors),
        tasks(&need, own.processes, group.tasks),
        memory(&need, config, group.memory),
        file_size(own.file_size),
        core(own.core),
    ]
}

/// What a run needs at least.
struct Need {
    workers: u64,
    descriptors: u64,
    tasks: u64,
    memory: u64,
}

impl Need {
    fn of(config: &Config) -> Self {
        // Only the configuration decides how databases are divided among workers.
        let setup = Setup {
            clock: crate::clock::Clock::default(),
            beat: crate::engine::event::Beat::default(),
            own: crate::engine::event::OwnFindings::default(),
            config: config.clone(),
            table: crate::model::schema::TableSpec::seed(),
            program: Default::default(),
            plants: Vec::new(),
            testing: false,
        };
        let groups = setup.groups();
        let workers = groups.len() as u64;
        let databases: u64 = groups.iter().map(|group| group.len() as u64).sum();
        let largest = groups.iter().map(|group| group.len() as u64).max().unwrap_or(0);
        Self {
            workers,
            descriptors: (DAEMON_DESCRIPTORS + WORKER_DESCRIPTORS * workers)
                .max(BASE_DESCRIPTORS + DATABASE_DESCRIPTORS * largest),
            tasks: BASE_THREADS + WORKER_THREADS * workers + databases,
            memory: BASE_MEMORY + WORKER_MEMORY * workers + DATABASE_MEMORY * databases,
        }
    }
}

fn descriptors(need: &Need, limit: Option<u64>) -> CheckLine {
    const NAME: &str = "open files";
    let Need { descriptors, .. } = need;
    match limit {
        Some(limit) if limit < *descriptors => CheckLine::failed(
            NAME,
            format!(
                "a process may open {limit}, and about {descriptors} are needed; raise it with `ulimit -n`, or LimitNOFILE= of \
                 the service"
            ),
        ),
        Some(limit) => CheckLine::ok(NAME, format!("a process may open {limit}, about {descriptors} are needed")),
        None => CheckLine::ok(NAME, "unlimited"),
    }
}

fn tasks(need: &Need, user: Option<u64>, group: Option<u64>) -> CheckLine {
    const NAME: &str = "processes";
    let Need { tasks, workers, .. } = need;
    // Root is not held to the limit of a user.
    let user = user.filter(|_| !rustix::process::geteuid().is_root());
    match user.into_iter().chain(group).min() {
        Some(limit) if limit < *tasks => CheckLine::failed(
            NAME,
            format!(
                "{limit} processes and threads are permitted, and about {tasks} are needed for {workers} workers; raise it with \
                 `ulimit -u`, or TasksMax= and LimitNPROC= of the service"
            ),
        ),
        Some(limit) => {
            CheckLine::ok(NAME, format!("{limit} processes and threads are permitted, about {tasks} are needed"))
        }
        None => CheckLine::ok(NAME, format!("unlimited; about {tasks} processes and threads are needed")),
    }
}

fn memory(need: &Need, config: &Config, group: Option<u64>) -> CheckLine {
    const NAME: &str = "memory";
    let Need { memory, workers, .. } = need;
    let mib = |bytes: u64| bytes >> 20;
    let own = &config.limits;
    let allowed = own.daemon_memory.get().saturating_add(own.worker_memory.get().saturating_mul(*workers));
    if let Some(limit) = group {
        let had = format!("the control group has {} MiB, and about {} MiB are needed", mib(limit), mib(*memory));
        if limit < *memory {
            return CheckLine::failed(
                NAME,
                format!("{had}; raise MemoryMax= of the service, or lower the number of databases"),
            );
        }
        if limit < allowed {
            let detail = format!(
                "{had}; [limits] permits {} MiB in all, so the kernel may end a process before soakd says that it is large",
                mib(allowed)
            );
            return CheckLine::warned(NAME, detail);
        }
        return CheckLine::ok(NAME, had);
    }
    match procfs::Meminfo::current().ok().and_then(|info| info.mem_available) {
        Some(available) if available < *memory => CheckLine::warned(
            NAME,
            format!("{} MiB are available now, and about {} MiB are needed", mib(available), mib(*memory)),
        ),
        Some(available) => {
            CheckLine::ok(NAME, format!("{} MiB are available, about {} MiB are needed", mib(available), mib(*memory)))
        }
        None => CheckLine::skipped(NAME, "/proc/meminfo cannot be read"),
    }
}

fn file_size(limit: Option<u64>) -> CheckLine {
    const NAME: &str = "file size";
    match limit {
        Some(limit) if limit < FILE_SIZE => CheckLine::failed(
            NAME,
            format!(
                "a file may have {} MiB, and databases grow beyond that in weeks; raise it with `ulimit -f`, or LimitFSIZE= of \
                 the service",
                limit >> 20
            ),
        ),
        Some(limit) => CheckLine::ok(NAME, format!("a file may have {} MiB", limit >> 20)),
        None => CheckLine::ok(NAME, "unlimited"),
    }
}

/// Says what becomes of a crash; a core file of soakd holds the secrets that it had in memory.
fn core(limit: Option<u64>) -> CheckLine {
    const NAME: &str = "core files";
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let pattern: String = pattern.trim().chars().filter(|c| !c.is_control()).take(60).collect();
    // A program behind a pipe gets them whatever the limit is.
    if limit == Some(0) && !pattern.starts_with('|') {
        return CheckLine::ok(NAME, "none are written");
    }
    CheckLine::ok(NAME, format!("a crash goes to {pattern:?}; it holds secrets from memory, so keep it to yourself"))
}
