//! A worker process: reads commands, hands each to the thread of its database, writes events, and ends with its parent.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::database::{Database, Shared};
use super::direct::DirectDatabase;
use super::protocol::{Command, Event, Hello, LINE_BYTES_MAX, PROTOCOL, Reply, Request};

/// Commands that may wait for one database; the daemon never has more than a few in flight.
const COMMANDS_MAX: usize = 64;
/// Events that may wait for the pipe.
const EVENTS_MAX: usize = 256;
/// How often the worker says that it is alive.
const PULSE: Duration = Duration::from_secs(1);

/// Exit code of a worker one of whose threads panicked, as Rust's own.
const PANICKED: i32 = 101;

/// Runs a worker on standard input and output until the parent closes the pipe.
pub fn run() -> anyhow::Result<()> {
    die_with_parent()?;
    leave_signals_to_the_daemon()?;
    let mut input = BufReader::new(std::io::stdin());
    let hello: Hello = match read_line(&mut input)? {
        Some(line) => serde_json::from_str(&line).context("the first line is not a hello of this protocol")?,
        None => return Ok(()),
    };
    if hello.protocol != PROTOCOL {
        bail!(
            "the daemon speaks protocol {}, this worker speaks {PROTOCOL}: both must be the same soakd",
            hello.protocol
        );
    }
    let (events, outgoing) = sync_channel(EVENTS_MAX);
    let shared = Arc::new(Shared {
        plan: hello.plan,
        rate: hello.rate,
        retry: hello.retry,
        events: events.clone(),
        stop: Arc::new(AtomicBool::new(false)),
        rows: AtomicU64::new(0),
    });
    let writer = {
        let shared = Arc::clone(&shared);
        thread::Builder::new().name("events".into()).spawn(move || write_events(&outgoing, &shared))?
    };
    events.send(Event::Hello {
        protocol: PROTOCOL,
        soakd: env!("CARGO_PKG_VERSION").into(),
        sqlite: rusqlite::version().into(),
    })?;
    let mut databases: BTreeMap<u32, SyncSender<Request>> = BTreeMap::new();
    let mut threads = Vec::new();
    for spec in hello.databases {
        let (sender, commands) = sync_channel(COMMANDS_MAX);
        databases.insert(spec.db, sender);
        let name = format!("db{}", spec.db);
        if let Some(direct) = hello.direct.clone() {
            let (shared, spec) = (Arc::clone(&shared), *direct);
            let database = DirectDatabase { spec, shared, commands, runner: None, unsettled: Vec::new() };
            threads.push(thread::Builder::new().name(name).spawn(move || {
                let _guard = EndWithPanic;
                database.run();
            })?);
            continue;
        }
        let database = Database { spec, shared: Arc::clone(&shared), commands, session: None, waiting: Vec::new() };
        threads.push(thread::Builder::new().name(name).spawn(move || {
            let _guard = EndWithPanic;
            database.run();
        })?);
    }
    let outcome = dispatch(&mut input, &databases, &shared);
    shared.stop.store(true, Ordering::Relaxed);
    drop(databases);
    for thread in threads {
        // One that panicked has ended the process.
        let _ = thread.join();
    }
    drop((events, shared));
    if writer.join().is_err() {
        bail!("the event writer panicked");
    }
    outcome
}

/// Ends the process when a database's thread panics: the daemon hears of it at once, and not when a deadline is over.
struct EndWithPanic;

impl Drop for EndWithPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::exit(PANICKED);
        }
    }
}

/// Hands requests to their databases until the pipe closes.
fn dispatch(
    input: &mut impl BufRead,
    databases: &BTreeMap<u32, SyncSender<Request>>,
    shared: &Shared,
) -> anyhow::Result<()> {
    while let Some(line) = read_line(input)? {
        let request: Request = serde_json::from_str(&line).context("a line from the daemon is not a request")?;
        if matches!(request.command, Command::Stop | Command::Go) {
            shared.stop.store(matches!(request.command, Command::Stop), Ordering::Relaxed);
            shared.events.send(Event::Reply { id: request.id, result: Ok(Reply::Done) })?;
            continue;
        }
        let Some(database) = databases.get(&request.db) else {
            bail!("the daemon asked for database {}, which is not of this worker", request.db);
        };
        if database.send(request).is_err() {
            bail!("a database thread has ended before the daemon was done with it");
        }
    }
    Ok(())
}

/// Reads one line of bounded length; `None` at the end.
fn read_line(input: &mut impl BufRead) -> anyhow::Result<Option<String>> {
    let mut line = String::new();
    let read = input.take(LINE_BYTES_MAX as u64).read_line(&mut line).context("reading from the daemon")?;
    if read == LINE_BYTES_MAX {
        bail!("a line from the daemon is longer than {LINE_BYTES_MAX} bytes");
    }
    Ok((read > 0).then_some(line))
}

/// Writes events as they come, and a pulse every second even when there are none.
fn write_events(outgoing: &Receiver<Event>, shared: &Arc<Shared>) {
    // The shared state holds a sender; only weak access lets the channel close when the databases are done.
    let shared = Arc::downgrade(shared);
    let mut out = std::io::stdout().lock();
    let mut next_pulse = Instant::now() + PULSE;
    loop {
        let event = match outgoing.recv_timeout(next_pulse.saturating_duration_since(Instant::now())) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => {
                next_pulse = Instant::now() + PULSE;
                let Some(shared) = shared.upgrade() else { return };
                Event::Pulse { rows: shared.rows.load(Ordering::Relaxed) }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let written = serde_json::to_writer(&mut out, &event).map_err(std::io::Error::from);
        if written.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).is_err() {
            // The parent is gone; the kernel ends this process too.
            return;
        }
    }
}

/// Asks the kernel to end this process when its parent ends, and ends at once if that has happened already.
pub fn die_with_parent() -> anyhow::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::KILL)).context("asking to die with the parent")?;
    if getppid() != parent {
        bail!("the parent ended before this process was set up");
    }
    Ok(())
}

/// Ignores the signals that ask the daemon to stop: whoever sends them to all processes of a service means the daemon, which
/// ends its parts when the step in work is done.
pub fn leave_signals_to_the_daemon() -> anyhow::Result<()> {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::default())
            .context("ignoring signals that are meant for the daemon")?;
    }
    Ok(())
}
