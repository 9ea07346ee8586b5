//! Wires settings, state file, engine and observers; ends on a signal in good order, and on a second one at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::engine::event::RunEvent;
use crate::engine::run::{RunEnd, run};
use crate::engine::setup::Setup;
use crate::observe::log_file::LogFile;
use crate::observe::progress::Progress;
use crate::observe::report;
use crate::store::Store;

/// Events that a reader may lag behind before it misses some.
const EVENTS_MAX: usize = 4096;

/// How long readers may take for their last events.
const READERS_MAX: Duration = Duration::from_secs(1);
/// How long an idle thread is kept: longer than any run.
const THREADS_STAY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Runs the daemon until its run ends or is stopped.
pub fn daemon(setup: Setup, fresh: bool, plain: bool) -> anyhow::Result<RunEnd> {
    let state_dir = setup.config.run.state_dir.clone();
    let store = Store::open(&state_dir)?;
    let stop = stop_on_signals()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Workers and target are to die with the daemon, and for the kernel that is the thread which started them: a thread
        // that has nothing to do for a while must not end.
        .thread_keep_alive(THREADS_STAY)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let (events, for_screen) = broadcast::channel(EVENTS_MAX);
    let (for_log, for_reports) = (events.subscribe(), events.subscribe());
    let log = LogFile::open(state_dir.join("logs/workers.log"))
        .with_context(|| format!("opening the log in {}", state_dir.display()))?;
    let end = runtime.block_on(async {
        let over = CancellationToken::new();
        let feed = |events| Feed { events, over: over.clone() };
        let readers = [
            tokio::spawn(show(feed(for_screen), plain)),
            tokio::spawn(write_log(feed(for_log), log)),
            tokio::spawn(write_reports(feed(for_reports))),
        ];
        let end = run(setup, store, fresh, events, stop).await;
        over.cancel();
        // A reader that panicked has said so, and one that waits for a part which hangs has nothing more to read.
        let all = async {
            for reader in readers {
                let _ = reader.await;
            }
        };
        let _ = tokio::time::timeout(READERS_MAX, all).await;
        end
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    let end = end?;
    if let Some(snapshot) = &end.snapshot {
        report::write_files(&state_dir, snapshot, &end.runs)
            .with_context(|| format!("writing reports to {}", state_dir.join("reports").display()))?;
    }
    Ok(end)
}

/// Returns a token that the first SIGINT or SIGTERM cancels; the second one ends the process at once.
fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let armed = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Registered before the flag is set by the same signal: only the second one finds it armed.
        signal_hook::flag::register_conditional_shutdown(signal, 2, Arc::clone(&armed)).context("watching signals")?;
        signal_hook::flag::register(signal, Arc::clone(&armed)).context("watching signals")?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("watching signals")?;
    let token = stop.clone();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            tracing::warn!(signal, "stopping after the step in work; a second signal stops at once");
            token.cancel();
        }
    })?;
    Ok(stop)
}

/// A reader's end of the events: yields what there is, and ends when the run is over and everything was read.
struct Feed {
    events: broadcast::Receiver<RunEvent>,
    over: CancellationToken,
}

/// What a reader gets.
enum Fed {
    Event(RunEvent),
    /// The reader was too slow and missed this many events.
    Missed(u64),
}

impl Feed {
    async fn next(&mut self) -> Option<Fed> {
        let received = tokio::select! {
            biased;
            received = self.events.recv() => received,
            () = self.over.cancelled() => return None,
        };
        match received {
            Ok(event) => Some(Fed::Event(event)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Fed::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

async fn show(mut feed: Feed, plain: bool) {
    let mut progress = Progress::new(plain);
    while let Some(fed) = feed.next().await {
        if let Fed::Event(event) = fed {
            progress.show(&event);
        }
    }
}

async fn write_log(mut feed: Feed, mut log: LogFile) {
    while let Some(fed) = feed.next().await {
        let written = match fed {
            Fed::Event(RunEvent::Log(line)) => log.line(&line),
            Fed::Event(RunEvent::Phase { .. } | RunEvent::Cycle(_) | RunEvent::Progress { .. }) => log.flush(),
            Fed::Event(_) => Ok(()),
            Fed::Missed(missed) => log.line(&format!("({missed} events were missed here)")),
        };
        if let Err(error) = written {
            tracing::error!("the workers' log cannot be written: {error}; no more lines are kept");
            return;
        }
    }
    // Nobody is left to tell.
    let _ = log.flush();
}

async fn write_reports(mut feed: Feed) {
    while let Some(fed) = feed.next().await {
        if let Fed::Event(RunEvent::Checkpoint { state_dir, snapshot, runs }) = fed {
            let written = tokio::task::block_in_place(|| report::write_files(&state_dir, &snapshot, &runs));
            if let Err(error) = written {
                tracing::error!("reports cannot be written to {}: {error}", state_dir.display());
            }
        }
    }
}
