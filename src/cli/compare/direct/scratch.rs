//! Where a comparison works: a directory for temporary files that is gone with it, however it ends, unless a crash report lies
//! there.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::model::verdict::Verdict;

/// The directory, and what decides on it.
pub(super) struct Scratch {
    pub(super) dir: PathBuf,
    /// Set when something in it is to be looked at.
    pub(super) kept: AtomicBool,
    /// Set when the comparison is to end early.
    pub(super) stop: Arc<AtomicBool>,
}

impl Scratch {
    /// Returns one of its own below this directory; nothing is made yet.
    pub(super) fn new(below: PathBuf) -> Self {
        let dir = below.join(format!("soakd-compare-{}", uuid::Uuid::now_v7()));
        Self { dir, kept: AtomicBool::new(false), stop: Arc::default() }
    }

    /// Watches signals for the rest of the process's life: the first asks for a good end, the second ends at once.
    pub(super) fn watch_signals(self: &Arc<Self>) -> anyhow::Result<()> {
        let mut signals = Signals::new([SIGINT, SIGTERM]).context("watching signals")?;
        let scratch = Arc::clone(self);
        let watch = move || {
            for _ in signals.forever() {
                if scratch.stop.swap(true, Ordering::Relaxed) {
                    scratch.clear();
                    std::process::exit(i32::from(Verdict::Aborted.exit_code()));
                }
                eprintln!("soakd: stopping after the operations in work; a second signal stops at once");
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(watch).context("watching signals")?;
        Ok(())
    }

    /// Removes the directory, or says where it is if it is to be kept.
    pub(super) fn clear(&self) {
        if self.kept.load(Ordering::Relaxed) {
            eprintln!("soakd: {} is kept for its crash report", self.dir.display());
            return;
        }
        // What is left of it is in the directory for temporary files. Whoever still writes there may be quicker once.
        if std::fs::remove_dir_all(&self.dir).is_err() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_crash_report_is_kept() {
        let below = tempfile::tempdir().unwrap();
        for kept in [false, true] {
            let scratch = Scratch::new(below.path().to_owned());
            std::fs::create_dir_all(scratch.dir.join("0/journal")).unwrap();
            scratch.kept.store(kept, Ordering::Relaxed);
            scratch.clear();
            assert_eq!(scratch.dir.exists(), kept);
        }
    }
}
