//! The reports on disk: written after every checkpoint and at the end of a run, one at a time, and never an older one over a
//! newer one. The page with its charts costs more than the rest together: it is written once a quarter of an hour, and at the end.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::model::record::{RunRecord, Snapshot};
use crate::observe::report::{self, Gathered};
use crate::store::Shared;

/// How old the page of a run under way may become.
const PAGE_EVERY: Duration = Duration::from_secs(15 * 60);

/// Whoever writes reports; copies of it take turns.
#[derive(Debug, Clone)]
pub(super) struct Reports {
    store: Shared,
    written: Arc<Mutex<Written>>,
}

#[derive(Debug, Default)]
struct Written {
    /// Run and time of the newest reports.
    last: Option<(String, i64)>,
    /// Run of the newest page, and when that was written.
    page: Option<(String, Instant)>,
}

impl Reports {
    pub(super) fn new(store: Shared) -> Self {
        Self { store, written: Arc::default() }
    }

    /// Writes the reports of a run and the list of all runs, unless newer ones were written already.
    pub(super) fn write(&self, state_dir: &Path, snapshot: &Snapshot, runs: &[RunRecord]) -> anyhow::Result<()> {
        tokio::task::block_in_place(|| self.all(state_dir, snapshot, runs, false))
    }

    /// Writes the reports of a run that is over, or stopped for now.
    pub(super) fn write_last(&self, state_dir: &Path, snapshot: &Snapshot, runs: &[RunRecord]) -> anyhow::Result<()> {
        tokio::task::block_in_place(|| self.all(state_dir, snapshot, runs, true))
    }

    fn all(&self, state_dir: &Path, snapshot: &Snapshot, runs: &[RunRecord], end: bool) -> anyhow::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let (run, made_ms) = (&snapshot.run.run, snapshot.made_ms);
        if written.last.as_ref().is_some_and(|(last, at_ms)| (last, *at_ms) > (run, made_ms)) {
            return Ok(());
        }
        report::write_files(state_dir, snapshot, runs)?;
        written.last = Some((run.clone(), made_ms));
        let fresh = written.page.as_ref().is_some_and(|(of, at)| of == run && at.elapsed() < PAGE_EVERY);
        if end || !fresh {
            self.page(state_dir, run)?;
            written.page = Some((run.clone(), Instant::now()));
        }
        Ok(())
    }

    fn page(&self, state_dir: &Path, run: &str) -> anyhow::Result<()> {
        let gathered = self.store.with(|store| Gathered::read(store, run)).context("reading what the page shows")?;
        let Some(gathered) = gathered else { return Ok(()) };
        report::write_page(state_dir, run, &gathered.page()).map_err(|e: io::Error| e.into())
    }
}
