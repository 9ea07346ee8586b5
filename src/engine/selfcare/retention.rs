//! Carries out what [`crate::store::retention`] plans: at the start, after every run, and every hour. Only directories below
//! `runs` and `reports` that are named like runs are ever removed, links are not followed, and what cannot be removed is a
//! warning, never the end of anything.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::Listener;
use crate::clock::Clock;
use crate::config::RetentionConfig;
use crate::engine::ledger::{Ledger, finding};
use crate::model::finding::{Finding, Kind, Side};
use crate::model::record::RunRecord;
use crate::probe::disk;
use crate::store::retention::{Held, Keep, OldLog, Past, plan};
use crate::store::{Shared, StoreError};

/// Time between two sweeps, of the daemon's clock.
const EVERY: Duration = Duration::from_secs(3600);
/// Entries of one run's directory whose sizes are added up.
const ENTRIES_MAX: u64 = 100_000;
/// Errors of one sweep that are told.
const ERRORS_MAX: usize = 5;

/// The runs in the state file, whoever holds it.
pub trait Rows: Send + Sync {
    /// Returns all runs, the newest first.
    fn runs(&self) -> Result<Vec<RunRecord>, StoreError>;
    /// Returns the run that later ones are compared with.
    fn baseline(&self) -> Result<Option<String>, StoreError>;
    /// Removes some rows of a run; `0` means that none are left.
    fn forget_some(&self, run: &str) -> Result<u64, StoreError>;
}

impl Rows for Shared {
    fn runs(&self) -> Result<Vec<RunRecord>, StoreError> {
        self.with(|store| store.runs())
    }

    fn baseline(&self) -> Result<Option<String>, StoreError> {
        self.with(|store| store.baseline())
    }

    fn forget_some(&self, run: &str) -> Result<u64, StoreError> {
        self.with(|store| store.forget_some(run))
    }
}

impl Rows for Ledger {
    fn runs(&self) -> Result<Vec<RunRecord>, StoreError> {
        self.with(|store| store.runs())
    }

    fn baseline(&self) -> Result<Option<String>, StoreError> {
        self.with(|store| store.baseline())
    }

    fn forget_some(&self, run: &str) -> Result<u64, StoreError> {
        self.with(|store| store.forget_some(run))
    }
}

/// What one sweep removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    pub runs: u64,
    /// Directories with local databases.
    pub databases: u64,
    pub reports: u64,
    pub logs: u64,
    pub bytes: u64,
    /// What could not be removed, and why.
    pub errors: Vec<String>,
}

/// What retention works on and whom it tells.
pub struct Wires {
    pub state_dir: PathBuf,
    pub clock: Clock,
    /// What is to be kept; a reload may change it.
    pub keep: watch::Receiver<RetentionConfig>,
    pub rows: Arc<dyn Rows>,
    /// Told when a run has ended.
    pub ended: Arc<Notify>,
    pub listener: Listener,
}

/// Sweeps at once, after each end of a run, and every hour, until it is stopped.
pub async fn keep_up(wires: Wires, stop: CancellationToken) {
    loop {
        let (rows, dir, keep) = (Arc::clone(&wires.rows), wires.state_dir.clone(), wires.keep.borrow().clone());
        let (now_ms, halt) = (wires.clock.now_ms(), stop.clone());
        let sweeping = tokio::task::spawn_blocking(move || sweep(&*rows, &dir, &keep, now_ms, &|| halt.is_cancelled()));
        match sweeping.await {
            Ok(swept) => tell(&wires.listener, &swept),
            Err(error) => {
                tracing::error!("retention has ended: {error}");
                return;
            }
        }
        tokio::select! {
            () = wires.clock.sleep(EVERY) => {}
            () = wires.ended.notified() => {}
            () = stop.cancelled() => return,
        }
    }
}

fn tell(listener: &Listener, swept: &Swept) {
    let Swept { runs, databases, reports, logs, bytes, errors } = swept;
    if runs + databases + reports + logs > 0 {
        tracing::info!(runs, databases, reports, logs, mib = bytes >> 20, "retention removed what had its time");
    }
    if !errors.is_empty() {
        let warn = |text: &String| Finding {
            code: Some("own.retention".into()),
            tolerated: true,
            ..finding((listener.cycle)(), "-", (Side::Soakd, Kind::Other), text)
        };
        (listener.findings)(errors.iter().take(ERRORS_MAX).map(warn).collect());
    }
}

/// Removes what has had its time. A run's files go before its rows: what a crash leaves is found again.
pub fn sweep(rows: &dyn Rows, state_dir: &Path, keep: &RetentionConfig, now_ms: i64, stop: &dyn Fn() -> bool) -> Swept {
    let mut swept = Swept::default();
    let (runs_dir, reports_dir) = (state_dir.join("runs"), state_dir.join("reports"));
    // Directories first: whatever is in them was in the state file before.
    let databases = survey(&runs_dir, &mut swept.errors, stop);
    let reports = survey(&reports_dir, &mut swept.errors, stop);
    let (logs, log_bytes) = logs(&state_dir.join("logs"));
    let (runs, baseline) = match rows.runs().and_then(|runs| Ok((runs, rows.baseline()?))) {
        Ok(known) => known,
        Err(error) => {
            swept.errors.push(format!("retention cannot read the runs: {error}"));
            return swept;
        }
    };
    let past = Past { runs, databases, reports, logs, log_bytes, baseline, now_ms };
    let plan = plan(&past, &kept(keep));
    let mut failed: Vec<&str> = Vec::new();
    for (all, held, dir, count) in [
        (&plan.databases, &past.databases, &runs_dir, &mut swept.databases),
        (&plan.reports, &past.reports, &reports_dir, &mut swept.reports),
    ] {
        for run in all.iter().take_while(|_| !stop()) {
            match remove_run(dir, run) {
                Ok(()) => {
                    *count += 1;
                    swept.bytes += held.get(run).map_or(0, |held| held.bytes);
                }
                Err(error) => {
                    failed.push(run);
                    swept.errors.push(cannot(&dir.join(run), &error));
                }
            }
        }
    }
    for path in plan.logs.iter().take_while(|_| !stop()) {
        match std::fs::remove_file(path) {
            Ok(()) => {
                swept.logs += 1;
                swept.bytes += past.logs.iter().find(|log| log.path == *path).map_or(0, |log| log.bytes);
            }
            Err(error) => swept.errors.push(cannot(path, &error)),
        }
    }
    for run in plan.runs.iter().filter(|run| !failed.contains(&run.as_str())).take_while(|_| !stop()) {
        match forget(rows, run) {
            Ok(()) => swept.runs += 1,
            Err(error) => swept.errors.push(format!("run {run} cannot be forgotten: {error}")),
        }
    }
    swept
}

fn cannot(path: &Path, error: &io::Error) -> String {
    format!("retention cannot remove {}: {error}; remove it by hand, or give it to soakd's user", path.display())
}

/// Removes a run's rows, bit by bit, so that others get at the state file in between.
fn forget(rows: &dyn Rows, run: &str) -> Result<(), StoreError> {
    while rows.forget_some(run)? > 0 {}
    Ok(())
}

fn kept(config: &RetentionConfig) -> Keep {
    Keep {
        runs: config.runs as usize,
        age_ms: i64::try_from(config.age.get().as_millis()).unwrap_or(i64::MAX),
        databases: config.databases as usize,
        bytes: config.size.get(),
        log_bytes: config.logs.get(),
    }
}

/// Returns true if a name is the id of a run, in the one spelling that soakd gives it.
fn is_run_id(name: &str) -> bool {
    uuid::Uuid::try_parse(name).is_ok_and(|id| id.hyphenated().to_string() == name)
}

/// Returns true if a path is a directory itself, and not a link to one.
fn is_real_dir(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// Returns the runs' directories below a directory.
fn survey(dir: &Path, errors: &mut Vec<String>, stop: &dyn Fn() -> bool) -> BTreeMap<String, Held> {
    if !is_real_dir(dir) {
        if dir.exists() {
            errors.push(format!("retention leaves {} alone: it is no directory of its own, but a link", dir.display()));
        }
        return BTreeMap::new();
    }
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            errors.push(format!("retention cannot read {}: {error}", dir.display()));
            return BTreeMap::new();
        }
    };
    let own = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let path = entry.path();
        if !is_run_id(&name) || !is_real_dir(&path) {
            return None;
        }
        let bytes = disk::tree(&path, ENTRIES_MAX, stop).map_or(0, |tree| tree.bytes);
        let age = entry.metadata().ok()?.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        let age_ms = age.and_then(|age| i64::try_from(age.as_millis()).ok()).unwrap_or(0);
        Some((name, Held { bytes, age_ms }))
    });
    own.collect()
}

/// Removes one run's directory; one that is gone already is fine.
fn remove_run(dir: &Path, run: &str) -> io::Result<()> {
    let path = dir.join(run);
    if !is_run_id(run) || !is_real_dir(dir) || !is_real_dir(&path) {
        return if path.symlink_metadata().is_ok() { Err(io::ErrorKind::NotADirectory.into()) } else { Ok(()) };
    }
    // Links below it are removed and not followed.
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Returns the logs that were set aside, and the bytes of those that are written.
fn logs(dir: &Path) -> (Vec<OldLog>, u64) {
    let (mut old, mut current) = (Vec::new(), 0u64);
    let entries = if is_real_dir(dir) { std::fs::read_dir(dir).ok() } else { None };
    for entry in entries.into_iter().flatten().flatten() {
        let (Ok(meta), Ok(name)) = (entry.metadata(), entry.file_name().into_string()) else { continue };
        if !meta.is_file() {
            continue;
        }
        let number = name.rsplit_once(".log.").map(|(_, number)| number);
        if number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())) {
            let since = meta.modified().ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
            let modified_ms = since.and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0);
            old.push(OldLog { path: entry.path(), bytes: meta.len(), modified_ms });
        } else {
            current += meta.len();
        }
    }
    (old, current)
}
