//! Reading a configuration: text to checked settings, with everything that is wrong reported at once.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

use super::problem::{ConfigErrors, Problem};
use super::walk::Walk;
use super::{
    Config, ProviderConfig, RunConfig, SecretRef, SqliteConfig, StoreConfig, TargetConfig, effective, installed, rules,
    table,
};
use crate::model::schema::TableSpec;

/// Largest file that is read, for a configuration as for a table's DDL.
const MAX_FILE: u64 = 1 << 20;

/// Most problems that are listed: nobody reads more, and a file of another kind has thousands.
const MAX_PROBLEMS: usize = 100;

/// A configuration that holds together.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The settings: relative paths of files are joined to the file's directory, and `ddl_file` is read into `ddl`.
    pub config: Config,
    /// The synced table.
    pub table: TableSpec,
    /// The file as the user named it.
    pub origin: String,
    /// Settings and table of every schedule's runs.
    pub(super) schedules: BTreeMap<String, (Config, TableSpec)>,
}

impl Loaded {
    /// Returns a configuration that no file holds.
    pub fn new(config: Config, table: TableSpec, origin: &str) -> Self {
        Self { config, table, origin: origin.into(), schedules: BTreeMap::new() }
    }

    /// Sets the state directory where the file leaves it at the default.
    fn keep_state_in(&mut self, dir: &Path) {
        let unset = RunConfig::default().state_dir;
        for config in self.schedules.values_mut().map(|(config, _)| config).chain([&mut self.config]) {
            if config.run.state_dir == unset {
                config.run.state_dir = dir.to_owned();
            }
        }
    }
}

/// Settings and table of one merged tree, and what is wrong across its keys.
struct Settled {
    config: Config,
    table: Option<TableSpec>,
    problems: Vec<Problem>,
}

impl Config {
    /// Reads and checks a configuration file.
    pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
        let origin = path.display().to_string();
        let text = read_bounded(path).map_err(|why| {
            let hint = if why.kind() == std::io::ErrorKind::NotFound { "; `soakd init` writes one" } else { "" };
            let message = format!("the file cannot be read: {why}{hint}");
            let problem = Problem { line: 0, key: String::new(), message, allowed: String::new() };
            ConfigErrors { origin: origin.clone(), problems: vec![problem] }
        })?;
        let mut loaded = Self::parse(&text, &origin)?;
        if let Some(dir) = installed::state_dir(path) {
            loaded.keep_state_in(&dir);
        }
        Ok(loaded)
    }

    /// Checks the text of a configuration; `origin` is its file, which relative paths start from.
    pub fn parse(text: &str, origin: &str) -> Result<Loaded, ConfigErrors> {
        let mut walk = Walk::new(text);
        let (mut tree, syntax) = DeTable::parse_recoverable(text);
        for error in &syntax {
            let line = walk.line_at(error.span().map_or(0, |span| span.start));
            walk.report(line, "", format!("not valid TOML: {}", error.message().replace('\n', ", ")), "");
        }
        let failed = |mut problems: Vec<Problem>| {
            problems.sort_by(|a, b| (a.line, &a.key).cmp(&(b.line, &b.key)));
            problems.dedup();
            let more = problems.len().saturating_sub(MAX_PROBLEMS);
            if more > 0 {
                problems.truncate(MAX_PROBLEMS);
                let message = format!("and {more} more problems");
                problems.push(Problem { line: 0, key: String::new(), message, allowed: String::new() });
            }
            Err(ConfigErrors { origin: origin.into(), problems })
        };
        if !syntax.is_empty() {
            return failed(walk.problems);
        }
        walk.section("", tree.get_mut());
        let overrides = effective::take(tree.get_mut());
        let whole = tree.clone();
        let base = directory(origin);
        let settled = match settle(tree, &walk.lines, &walk.problems, &base, rules::check) {
            Ok(settled) => settled,
            Err((at, message)) => {
                walk.report(walk.line_at(at), "", message, "");
                return failed(walk.problems);
            }
        };
        let mut schedules = BTreeMap::new();
        let mut problems = settled.problems.clone();
        for (name, own) in overrides {
            let mut tree = whole.clone();
            effective::merge(tree.get_mut(), own);
            let lines = effective::lines(&walk.lines, &name);
            let found = effective::found(&walk.problems, &name);
            // What does not deserialize was refused, and stood in the file as a whole or was taken out by the walk.
            let Ok(run) = settle(tree, &lines, &found, &base, rules::check_scheduled) else { continue };
            let same = |one: &Problem| settled.problems.iter().any(|p| p.key == one.key && p.message == one.message);
            let new = run.problems.into_iter().filter(|problem| !same(problem));
            problems.extend(new.map(|problem| effective::own(problem, &name, &walk.lines)));
            schedules.extend(run.table.map(|table| (name, (run.config, table))));
        }
        walk.problems.extend(problems);
        match settled.table {
            Some(table) if walk.problems.is_empty() => {
                Ok(Loaded { config: settled.config, table, origin: origin.into(), schedules })
            }
            _ => failed(walk.problems),
        }
    }
}

/// The rules across keys that a tree must keep.
type Check = fn(&Config, &BTreeMap<String, usize>, &[Problem]) -> Vec<Problem>;

/// Turns a walked tree into settings; the error is an offset in the file and what is wrong there.
fn settle(
    tree: Spanned<DeTable<'_>>,
    lines: &BTreeMap<String, usize>,
    found: &[Problem],
    base: &Path,
    check: Check,
) -> Result<Settled, (usize, String)> {
    let mut config = Config::deserialize(Deserializer::from(tree))
        .map_err(|error| (error.span().map_or(0, |span| span.start), error.message().replace('\n', ", ")))?;
    if config.workload.sync().is_none() && !lines.keys().any(|key| key.starts_with("target.")) {
        config.target = TargetConfig::Sqlite(SqliteConfig::default());
    }
    let mut problems = check(&config, lines, found);
    anchor(&mut config, base);
    const SECTION: &str = "workload.sync.table";
    // A table of which a key was refused already is not looked at.
    let refused = found.iter().chain(&problems).any(|problem| problem.key.starts_with(SECTION));
    let table = if refused { None } else { resolve_table(&mut config, SECTION, lines, &mut problems) };
    Ok(Settled { config, table, problems })
}

/// Returns the absolute directory of the configuration file.
fn directory(origin: &str) -> PathBuf {
    let path = std::path::absolute(origin).unwrap_or_else(|_| PathBuf::from(origin));
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Joins the relative paths of files that the configuration names to its own directory.
fn anchor(config: &mut Config, base: &Path) {
    let anchor_secret = |secret: &mut SecretRef| {
        if let SecretRef::File(path) = secret {
            *path = base.join(&*path);
        }
    };
    let notify = &mut config.notify;
    for webhook in notify.webhook.values_mut() {
        webhook.secret_address.iter_mut().chain(&mut webhook.token).for_each(anchor_secret);
    }
    notify.ping.iter_mut().flat_map(|ping| &mut ping.secret_address).for_each(anchor_secret);
    if let Some(mail) = &mut notify.mail {
        mail.password.iter_mut().for_each(anchor_secret);
        mail.ca_file.iter_mut().for_each(|path| *path = base.join(&*path));
    }
    config.observe.target_files.iter_mut().for_each(|path| *path = base.join(&*path));
    config.observe.target_postgres.iter_mut().for_each(anchor_secret);
    config.api.token.iter_mut().for_each(anchor_secret);
    config.api.socket.iter_mut().for_each(|path| *path = base.join(&*path));
    match &mut config.target {
        TargetConfig::Cloudsync(service) => service.api_key.iter_mut().for_each(anchor_secret),
        TargetConfig::Embedded(embedded) => {
            if let StoreConfig::Postgres(secret) = &mut embedded.store {
                anchor_secret(secret);
            }
        }
        TargetConfig::Sqlite(sqlite) => sqlite.path.iter_mut().for_each(|path| *path = base.join(&*path)),
        TargetConfig::Postgres(postgres) => anchor_secret(&mut postgres.url),
    }
    if let ProviderConfig::Extension(extension) = &mut config.provider {
        extension.path = base.join(&extension.path);
    }
    let table = config.workload.sync_mut().map(|sync| &mut sync.table);
    if let Some(path) = table.and_then(|table| table.ddl_file.as_mut()) {
        *path = base.join(&*path);
    }
}

/// Resolves the table, and notes what is wrong with it.
fn resolve_table(
    config: &mut Config,
    section: &str,
    lines: &BTreeMap<String, usize>,
    problems: &mut Vec<Problem>,
) -> Option<TableSpec> {
    let mut report = |name: &str, message: String, allowed: String| {
        let key = format!("{section}.{name}");
        problems.push(Problem { line: effective::line_of(lines, &key), key, message, allowed });
    };
    // A workload without a synced table has the one that nobody looks at.
    let Some(sync) = config.workload.sync_mut() else { return Some(TableSpec::seed()) };
    let source = if sync.table.ddl_file.is_some() { "ddl_file" } else { "ddl" };
    if let Some(path) = sync.table.ddl_file.take() {
        match read_bounded(&path) {
            Ok(text) => sync.table.ddl = Some(text),
            Err(why) => {
                let message = format!("{} cannot be read: {why}", path.display());
                report("ddl_file", message, "a file with one CREATE TABLE statement".into());
                return None;
            }
        }
    }
    match table::resolve(&sync.table) {
        Ok(table) => Some(table),
        Err(found) => {
            for problem in found {
                let name = if problem.key == "ddl" { source } else { problem.key };
                report(name, problem.message, problem.allowed);
            }
            None
        }
    }
}

/// Reads a small text file.
fn read_bounded(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if read as u64 > MAX_FILE {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}
