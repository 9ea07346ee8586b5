//! The reports on disk: written after every checkpoint and at the end of a run, one at a time, and never an older one over a
//! newer one.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::record::{RunRecord, Snapshot};
use crate::observe::report;

/// Whoever writes reports; copies of it take turns.
#[derive(Debug, Clone, Default)]
pub(super) struct Reports(Arc<Mutex<Option<(String, i64)>>>);

impl Reports {
    /// Writes the reports of a run and the list of all runs, unless newer ones were written already.
    pub(super) fn write(&self, state_dir: &Path, snapshot: &Snapshot, runs: &[RunRecord]) -> io::Result<()> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (run, made_ms) = (&snapshot.run.run, snapshot.made_ms);
        if last.as_ref().is_some_and(|(last, at_ms)| (last, *at_ms) > (run, made_ms)) {
            return Ok(());
        }
        tokio::task::block_in_place(|| report::write_files(state_dir, snapshot, runs))?;
        *last = Some((run.clone(), made_ms));
        Ok(())
    }
}
