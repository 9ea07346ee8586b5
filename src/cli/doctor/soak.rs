//! The small soak: two users with two databases each live through one cycle on the configured target, and every check must
//! hold, the probes of row-level security above all. It has a state directory of its own that is gone afterwards.

use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::super::check::CheckLine;
use super::DoctorArgs;
use crate::config::{Config, Loaded, Mode, Pace, ProviderConfig, Scale, StoreConfig, TargetConfig, WorkloadConfig};
use crate::model::record::Snapshot;
use crate::model::verdict::Verdict;
use crate::observe::report;
use crate::store::{Store, StoreError};

const NAME: &str = "small soak";
/// Rows, iterations and databases: two databases for each of two users.
const SIZE: (u32, u32, u32) = (20, 1, 4);
/// How long it may take.
const RUN_MAX: Duration = Duration::from_secs(180);
/// Time between two looks at whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What is kept of its last words.
const WORDS_MAX: u64 = 64 * 1024;
/// Parts of a configuration that the small soak takes over.
const SECTIONS: [&str; 6] = ["workload", "target", "provider", "timeouts", "retry", "verify"];

pub(super) fn examine(loaded: &Loaded, args: &DoctorArgs) -> CheckLine {
    let external = match &loaded.config.target {
        TargetConfig::Cloudsync(_) | TargetConfig::Postgres(_) => true,
        TargetConfig::Sqlite(sqlite) => sqlite.path.is_some(),
        TargetConfig::Embedded(embedded) => matches!(embedded.store, StoreConfig::Postgres(_)),
    };
    if external && !args.write {
        let detail = "it writes rows to the target, which is not soakd's own; permit it with --write";
        return CheckLine::skipped(NAME, detail);
    }
    if external && let Some(why) = under_way(&loaded.config.run.state_dir) {
        return CheckLine::skipped(NAME, format!("{why}, and two of them on one target disturb each other"));
    }
    match soak(&loaded.config, args) {
        Ok(line) => line,
        Err(error) => CheckLine::failed(NAME, format!("it could not be done: {error:#}")),
    }
}

/// Says what runs on the target now, if anything does or is about to.
fn under_way(state_dir: &Path) -> Option<&'static str> {
    match Store::open_read(state_dir).and_then(|store| store.unfinished()) {
        Ok(Some(_)) => Some("a run is unfinished"),
        Err(StoreError::Locked { .. }) => Some("a soakd is running"),
        _ => None,
    }
}

/// A directory that only its owner may read, and that goes with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("soakd-doctor-{}", uuid::Uuid::now_v7()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of it is in the directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn soak(config: &Config, args: &DoctorArgs) -> anyhow::Result<CheckLine> {
    let scratch = Scratch::make().context("making a directory for temporary files")?;
    let (file, state) = (scratch.0.join("soakd.toml"), scratch.0.join("state"));
    std::fs::write(&file, small(config, &state)?).with_context(|| format!("writing {}", file.display()))?;
    let mut command = Command::new(std::env::current_exe().context("finding the soakd program itself")?);
    command.args(["run", "--plain", "--config"]).arg(&file).arg("--state-dir").arg(&state);
    for plant in &args.plants {
        command.args(["--plant", plant]);
    }
    if args.testing {
        command.arg("--testing");
    }
    command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
    let begun = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("starting soakd")?;
    let errors = child.stderr.take().map(|pipe| std::thread::spawn(move || last_words(pipe)));
    let code = wait(&mut child)?;
    let words = errors.and_then(|reading| reading.join().ok()).unwrap_or_default();
    let Some(code) = code else {
        return Ok(CheckLine::failed(NAME, format!("it did not end within {RUN_MAX:?}; its last words: {words}")));
    };
    let newest = report::read_runs(&state).ok().and_then(|(runs, _)| runs.into_iter().next());
    let snapshot = newest.and_then(|run| report::read_run(&state, &run.run).ok());
    Ok(judge(snapshot, code, begun.elapsed(), &words))
}

/// Turns what is left of the small soak into a line.
fn judge(snapshot: Option<Snapshot>, code: i32, took: Duration, words: &str) -> CheckLine {
    let Some(snapshot) = snapshot else {
        return CheckLine::failed(
            NAME,
            format!("it ended with code {code} and left no report; its last words: {words}"),
        );
    };
    let checks: Vec<_> = snapshot.cycles.iter().flat_map(|cycle| &cycle.checks).collect();
    if snapshot.run.verdict == Some(Verdict::Pass) && code == 0 {
        let proven = checks.iter().filter(|check| check.verdict == Some(Verdict::Pass)).count();
        let isolation = checks.iter().filter(|check| check.check.starts_with("isolation")).count();
        let took = took.as_secs_f64();
        return CheckLine::ok(
            NAME,
            format!("PASS in {took:.1} s: {proven} checks hold, {isolation} of them of isolation"),
        );
    }
    let bad = checks.iter().filter(|check| check.verdict.is_some_and(|verdict| verdict != Verdict::Pass));
    let why: Vec<String> = bad.take(3).map(|check| format!("{}: {}", check.check, check.summary)).collect();
    let verdict = snapshot.run.verdict.map_or_else(|| "no verdict".into(), |verdict| verdict.to_string());
    let why = if why.is_empty() { words.to_owned() } else { why.join("; ") };
    CheckLine::failed(NAME, format!("{verdict}: {}", crate::model::finding::cut(&why)))
}

/// Waits for the end, and ends it when it takes too long; `None` then.
fn wait(child: &mut Child) -> anyhow::Result<Option<i32>> {
    let until = Instant::now() + RUN_MAX;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().context("waiting for soakd")? {
            return Ok(Some(status.code().unwrap_or(-1)));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    // It may have ended this very moment.
    let _ = child.kill();
    child.wait().context("waiting for soakd")?;
    Ok(None)
}

/// Reads to the end and keeps the last lines.
fn last_words(mut pipe: impl Read) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = pipe.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..read]);
        if kept.len() as u64 > WORDS_MAX {
            kept.drain(..kept.len() / 2);
        }
    }
    let text = String::from_utf8_lossy(&kept).into_owned();
    let lines: Vec<&str> = text.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

/// Length of the load of a database that is driven directly.
const SECONDS: u32 = 2;

/// Returns the configuration of the small soak as TOML: the user's own, with a small workload. Secrets stay references.
fn small(config: &Config, state: &Path) -> anyhow::Result<String> {
    let mut config = config.clone();
    config.verify.isolation = true;
    if let TargetConfig::Embedded(embedded) = &mut config.target {
        // A daemon may have the configured one.
        embedded.port = None;
    }
    match &mut config.workload {
        WorkloadConfig::Sync(sync) => {
            sync.scale = Scale::Custom;
            (sync.rows, sync.iterations, sync.databases) = (Some(SIZE.0), Some(SIZE.1), Some(SIZE.2));
            (sync.mode, sync.pace) = (Mode::Classic, Pace::Concurrent);
        }
        WorkloadConfig::Bank(bank) => bank.seconds = bank.seconds.min(SECONDS),
        WorkloadConfig::Catalog(catalog) => catalog.seconds = catalog.seconds.min(SECONDS),
    }
    let whole = toml::Table::try_from(&config).context("writing the configuration of the small soak")?;
    let mut table: toml::Table = whole.into_iter().filter(|(name, _)| SECTIONS.contains(&name.as_str())).collect();
    if matches!(config.provider, ProviderConfig::Native) {
        table.insert("provider".into(), "native".into());
    }
    // Seed, quiet hours and the like are the real run's own.
    let run = [("name", "doctor".into()), ("cycles", 1.into()), ("state_dir", state.display().to_string().into())];
    table.insert(
        "run".into(),
        toml::Table::from_iter(run.map(|(key, value): (&str, toml::Value)| (key.to_owned(), value))).into(),
    );
    table.insert("log".into(), toml::Table::from_iter([("level".to_owned(), "warn".into())]).into());
    toml::to_string(&table).context("writing the configuration of the small soak")
}
