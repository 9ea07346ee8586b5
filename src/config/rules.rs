//! Rules that concern several keys at once. Pure: they see a configuration and which keys the file holds.

mod daemon;
mod direct;

use std::collections::{BTreeMap, BTreeSet};

use super::effective::line_of;
use super::problem::Problem;
use super::{Config, Mode, Pace, ProviderConfig, Scale, SyncConfig, TargetConfig, WorkloadConfig};

/// Collects what the rules find.
struct Rules<'a> {
    lines: &'a BTreeMap<String, usize>,
    /// Keys whose value was refused, so that a default stands in for it.
    refused: BTreeSet<&'a str>,
    problems: Vec<Problem>,
}

/// Checks all rules across keys; `lines` holds the line of every key that the file has, `found` what is wrong already.
pub(super) fn check(config: &Config, lines: &BTreeMap<String, usize>, found: &[Problem]) -> Vec<Problem> {
    let mut rules = Rules::new(lines, found);
    rules.run(config);
    rules.daemon(config);
    rules.problems
}

/// Checks the rules of one schedule's runs, whose own keys are laid over the file's.
pub(super) fn check_scheduled(config: &Config, lines: &BTreeMap<String, usize>, found: &[Problem]) -> Vec<Problem> {
    let mut rules = Rules::new(lines, found);
    rules.run(config);
    if !["run.cycles", "run.duration", "run.until"].iter().any(|key| rules.has(key)) {
        rules.report(
            "run.cycles",
            "the schedule's runs would never end, and no later one could begin",
            "cycles, duration or until, under [run] or in the schedule's own run section",
        );
    }
    rules.problems
}

impl<'a> Rules<'a> {
    fn new(lines: &'a BTreeMap<String, usize>, found: &'a [Problem]) -> Self {
        let refused = found.iter().map(|problem| problem.key.as_str()).collect();
        Self { lines, refused, problems: Vec::new() }
    }

    /// Checks the rules that every run must keep.
    fn run(&mut self, config: &Config) {
        match &config.workload {
            WorkloadConfig::Sync(sync) => {
                self.scale(sync);
                self.mode(sync);
                self.rate(config, sync);
                self.table(sync);
                self.target(config, sync);
            }
            WorkloadConfig::Bank(bank) => self.bank(config, bank),
            WorkloadConfig::Catalog(catalog) => self.catalog(config, catalog),
        }
        self.retry(config);
        self.quiet("run.quiet", &config.run.quiet);
    }

    fn has(&self, key: &str) -> bool {
        self.lines.contains_key(key)
    }

    /// Notes a problem at the line of the key, or of the nearest section around it that the file has.
    fn report(&mut self, key: &str, message: impl Into<String>, allowed: impl Into<String>) {
        let line = line_of(self.lines, key);
        self.problems.push(Problem { line, key: key.into(), message: message.into(), allowed: allowed.into() });
    }

    fn scale(&mut self, sync: &SyncConfig) {
        for (name, range) in [("rows", "1 to 1000000"), ("iterations", "1 to 10000"), ("databases", "1 to 1024")] {
            let key = format!("workload.sync.{name}");
            let custom = sync.scale == Scale::Custom;
            if custom && !self.has(&key) {
                self.report(&key, "scale = \"custom\" needs this key", range);
            } else if !custom && self.has(&key) && !self.refused.contains("workload.sync.scale") {
                self.report(
                    &key,
                    "only scale = \"custom\" takes this key; the other scales fix it",
                    "scale = \"custom\"",
                );
            }
        }
    }

    fn mode(&mut self, sync: &SyncConfig) {
        let (rows, _, databases) = sync.size();
        if sync.mode == Mode::Contended && databases < 3 {
            self.report(
                "workload.sync.mode",
                format!("\"contended\" needs a user with two databases, and with {databases} every user has one"),
                "at least 3 databases (scale \"medium\", \"large\" or \"custom\")",
            );
        }
        let deleted = u64::from(sync.deletes) * u64::from(sync.delete_rows);
        if sync.mode == Mode::Incremental && deleted > u64::from(rows) {
            self.report(
                "workload.sync.delete_rows",
                format!(
                    "{} deletes of {} rows are more than the {rows} rows there are",
                    sync.deletes, sync.delete_rows
                ),
                "deletes × delete_rows up to rows",
            );
        }
    }

    fn rate(&mut self, config: &Config, sync: &SyncConfig) {
        let Some(rate) = sync.rate else { return };
        if sync.pace == Pace::Lockstep {
            self.report(
                "workload.sync.rate",
                "with pace = \"lockstep\" a step waits for those of other databases and has no time of its own",
                "pace = \"concurrent\", or no rate",
            );
        }
        if config.timeouts.step.get().as_secs_f64() * rate <= 1.0 {
            self.report(
                "workload.sync.rate",
                format!(
                    "at {rate} a second, a step follows the last one later than timeouts.step, {}",
                    config.timeouts.step
                ),
                "a rate above 1 / timeouts.step",
            );
        }
    }

    fn table(&mut self, sync: &SyncConfig) {
        if sync.table.ddl.is_some() && sync.table.ddl_file.is_some() {
            self.report("workload.sync.table.ddl_file", "ddl gives the table already", "ddl or ddl_file");
        }
    }

    fn target(&mut self, config: &Config, sync: &SyncConfig) {
        let extension = matches!(config.provider, ProviderConfig::Extension(_));
        match &config.target {
            TargetConfig::Embedded(_) if extension => self.report(
                "provider.extension",
                "the embedded target is not driven through the extension: its licence lets it talk to its vendor's service only",
                "[target.cloudsync] with the extension, or [target.embedded] with provider = \"native\"",
            ),
            TargetConfig::Embedded(_) => {}
            TargetConfig::Sqlite(_) | TargetConfig::Postgres(_) => self.report(
                &format!("target.{}", config.target.word()),
                "the sync workload needs a sync service, and this is a plain database",
                "[target.embedded] or [target.cloudsync], or [workload.bank] or [workload.catalog] for this target",
            ),
            TargetConfig::Cloudsync(service) => {
                if !extension && !self.has("provider.extension") {
                    self.report(
                        "target.cloudsync",
                        "this target is driven through the vendor's extension only, and none is configured",
                        "[provider.extension] with its path",
                    );
                }
                if service.api_key.is_none() && !self.has("target.cloudsync.api_key") {
                    let why = if sync.rls {
                        "needed to issue a token for every user (workload.sync.rls is on)"
                    } else {
                        "needed as the credential (workload.sync.rls is off)"
                    };
                    self.report("target.cloudsync.api_key", why, super::keys::SECRET_FORMS);
                }
                if sync.rls && service.gateway.is_none() && !self.has("target.cloudsync.gateway") {
                    self.report(
                        "target.cloudsync.gateway",
                        "needed to issue a token for every user (workload.sync.rls is on)",
                        "an address such as \"https://xyz.sqlite.cloud\", or rls = false",
                    );
                }
            }
        }
    }

    fn retry(&mut self, config: &Config) {
        if config.retry.first > config.retry.max {
            self.report(
                "retry.first",
                format!("{} is longer than retry.max, {}", config.retry.first, config.retry.max),
                "a time up to retry.max",
            );
        }
        let wait = config.workload.sync().map(|sync| ("workload.sync.wait", sync.wait));
        for (key, time) in wait.into_iter().chain([("timeouts.request", config.timeouts.request)]) {
            if time >= config.timeouts.step {
                self.report(
                    key,
                    format!("{time} is not shorter than timeouts.step, {}", config.timeouts.step),
                    "a time below timeouts.step",
                );
            }
        }
        if config.timeouts.connect > config.timeouts.request {
            self.report(
                "timeouts.connect",
                format!("{} is longer than timeouts.request, {}", config.timeouts.connect, config.timeouts.request),
                "a time up to timeouts.request",
            );
        }
    }
}
