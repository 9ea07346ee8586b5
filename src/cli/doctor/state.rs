//! The state directory: can it be written, does it keep what it acknowledges, is there room, does the state file open.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::check::{CheckLine, Outcome, local};
use crate::config::Config;
use crate::probe::disk::{self, FileSystem};
use crate::store::{Store, StoreError};

/// Writes that are timed.
const SYNCS: usize = 20;
/// A durable write that takes longer than this makes every step wait.
const SYNC_SLOW: Duration = Duration::from_millis(100);

pub(super) fn examine(config: &Config) -> Vec<CheckLine> {
    let dir = &config.run.state_dir;
    let there = local::existing(dir);
    let first = local::state_dir(dir);
    let usable = first.outcome == Outcome::Ok;
    let mut lines = vec![if usable { owner(dir, first) } else { advised(first) }];
    lines.push(space(config, &there));
    lines.push(file_system(&there));
    lines.push(if usable {
        syncs(&there)
    } else {
        CheckLine::skipped("durable writes", "nothing can be written there")
    });
    lines.push(state_file(dir));
    lines
}

fn advised(mut line: CheckLine) -> CheckLine {
    line.detail.push_str("; give it to the user that soakd runs as, or set run.state_dir to another place");
    line
}

/// Warns when the directory is somebody else's: what root may write, the service's user may not.
fn owner(dir: &Path, line: CheckLine) -> CheckLine {
    let own = rustix::process::geteuid().as_raw();
    match std::fs::metadata(dir) {
        Ok(meta) if meta.uid() != own => CheckLine::warned(
            line.name,
            format!(
                "{}, but it belongs to user {} and this is user {own}; run this as the user that soakd runs as, as in \
                 `sudo -u soakd soakd doctor`",
                line.detail,
                meta.uid()
            ),
        ),
        _ => line,
    }
}

/// Compares the free space with what a run takes, and with what makes cycles wait.
fn space(config: &Config, there: &Path) -> CheckLine {
    let line = local::disk_space(config);
    if line.outcome != Outcome::Ok {
        let detail = format!("{}; make room, or lower the scale of the workload", line.detail);
        return CheckLine { detail, ..line };
    }
    let free = disk::free(there).unwrap_or(0);
    let (pause, warn) = (config.limits.disk_pause, config.limits.disk_warn);
    let left = free.saturating_sub(local::disk_need(config));
    if left < pause.get() {
        let detail =
            format!("{}; then less than limits.disk_pause ({pause}) is left and cycles wait: make room", line.detail);
        CheckLine::failed(line.name, detail)
    } else if left < warn.get() {
        let detail = format!("{}; then less than limits.disk_warn ({warn}) is left", line.detail);
        CheckLine::warned(line.name, detail)
    } else {
        line
    }
}

fn file_system(there: &Path) -> CheckLine {
    const NAME: &str = "file system";
    match disk::file_system(there) {
        Ok(FileSystem::Disk) => CheckLine::ok(NAME, format!("{} is on a local disk", there.display())),
        Ok(FileSystem::Memory(kind)) => CheckLine::warned(
            NAME,
            format!(
                "{} is on {kind}: a restart of the machine loses the run; set run.state_dir to a disk",
                there.display()
            ),
        ),
        Ok(FileSystem::Network(kind)) => CheckLine::warned(
            NAME,
            format!(
                "{} is on {kind}: SQLite and the state file need locks and syncs that such file systems may not keep; set \
                 run.state_dir to a local disk",
                there.display()
            ),
        ),
        Err(why) => CheckLine::failed(NAME, format!("{}: {why}", there.display())),
    }
}

/// Times durable writes to a file that is removed again.
fn syncs(there: &Path) -> CheckLine {
    const NAME: &str = "durable writes";
    let path = there.join(format!(".soakd-doctor-{}", uuid::Uuid::now_v7()));
    let timed = timed(&path);
    // It was made above, or could not be.
    let _ = std::fs::remove_file(&path);
    let (median, worst) = match timed {
        Ok(times) => times,
        Err(why) => return CheckLine::failed(NAME, format!("a file in {} cannot be written: {why}", there.display())),
    };
    let figures = format!("{median:.1?} in the middle, {worst:.1?} at worst");
    if median > SYNC_SLOW {
        CheckLine::warned(NAME, format!("{figures}: every step waits for one; a faster disk makes for more load"))
    } else {
        CheckLine::ok(NAME, figures)
    }
}

fn timed(path: &Path) -> std::io::Result<(Duration, Duration)> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    times.sort();
    Ok((times[SYNCS / 2], times[SYNCS - 1]))
}

/// Opens the state file as reports do, unless a daemon has it.
fn state_file(dir: &Path) -> CheckLine {
    const NAME: &str = "state file";
    match Store::open_read(dir).and_then(|store| store.runs()) {
        Ok(runs) => match runs.iter().find(|run| run.ended_ms.is_none()) {
            Some(run) => CheckLine::ok(
                NAME,
                format!("{} runs; {} is unfinished, and `soakd run` goes on with it", runs.len(), run.run),
            ),
            None => CheckLine::ok(NAME, format!("{} runs, all of them ended", runs.len())),
        },
        Err(StoreError::NotFound { .. }) => CheckLine::ok(NAME, "there is none yet"),
        Err(StoreError::Locked { .. }) => CheckLine::ok(NAME, "a soakd is running and has it; it was left alone"),
        Err(why) => CheckLine::failed(NAME, why.to_string()),
    }
}
