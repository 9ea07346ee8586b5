//! Readers of the engine's events: each has its own queue, may lag behind, and ends when everything was read.

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::reports::Reports;
use crate::engine::event::RunEvent;
use crate::observe::log::redacted;
use crate::observe::log_file::LogFile;
use crate::observe::progress::Progress;

/// A reader's end of the events: yields what there is, and ends when the daemon is over and everything was read.
pub(super) struct Feed {
    pub(super) events: broadcast::Receiver<RunEvent>,
    pub(super) over: CancellationToken,
}

/// What a reader gets.
pub(super) enum Fed {
    Event(RunEvent),
    /// The reader was too slow and missed this many events.
    Missed(u64),
}

impl Feed {
    /// Returns the next event, or `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Fed> {
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

/// Shows people in front of a terminal how the run goes.
pub(super) async fn show(mut feed: Feed, plain: bool) {
    let mut progress = Progress::new(plain);
    while let Some(fed) = feed.next().await {
        if let Fed::Event(event) = fed {
            progress.show(&event);
        }
    }
}

/// Keeps the workers' log lines in a file.
pub(super) async fn write_log(mut feed: Feed, mut log: LogFile) {
    while let Some(fed) = feed.next().await {
        let written = match fed {
            Fed::Event(RunEvent::Log(line)) => log.line(&redacted(&line)),
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

/// Writes the reports of every checkpoint.
pub(super) async fn write_reports(mut feed: Feed, reports: Reports) {
    while let Some(fed) = feed.next().await {
        if let Fed::Event(RunEvent::Checkpoint { state_dir, snapshot, runs }) = fed
            && let Err(error) = reports.write(&state_dir, &snapshot, &runs)
        {
            tracing::error!("reports cannot be written to {}: {error:#}", state_dir.display());
        }
    }
}
