//! Rules of the workloads that drive a database themselves.

use super::Rules;
use crate::config::keys::nearest;
use crate::config::{BankConfig, CatalogConfig, Config, ProviderConfig};
use crate::model::finding::Kind;
use crate::model::lane::Lane;

impl Rules<'_> {
    /// Checks the bank.
    pub(super) fn bank(&mut self, config: &Config, bank: &BankConfig) {
        self.direct("bank", config);
        self.expected("bank", &bank.expected);
        if Lane::BANK.into_iter().all(|role| bank.workers_of(role) == 0) {
            self.report("workload.bank.workers", "no role has a worker, so nothing would be done", "1 to 200");
        }
        if let Some((what, instead)) = bank.too_long() {
            self.report("workload.bank.seconds", what, instead);
        }
    }

    /// Checks the catalog.
    pub(super) fn catalog(&mut self, config: &Config, catalog: &CatalogConfig) {
        self.direct("catalog", config);
        self.expected("catalog", &catalog.expected);
        let (clients, seconds) = CatalogConfig::BOUNDS;
        for (name, value, most) in [("clients", catalog.clients, clients), ("seconds", catalog.seconds, seconds)] {
            if value > most && !catalog.unbounded {
                self.report(
                    &format!("workload.catalog.{name}"),
                    format!("{value} is more than the {most} that the scenarios are made for"),
                    format!("1 to {most}, or unbounded = true"),
                );
            }
        }
    }

    /// Checks that the target is a database that can be driven without a sync service.
    fn direct(&mut self, workload: &str, config: &Config) {
        if !config.target.is_direct() {
            self.report(
                &format!("target.{}", config.target.word()),
                format!("the workload \"{workload}\" drives a database itself, and this is a sync service"),
                "[target.sqlite], [target.postgres], or no target for a SQLite file in the state directory",
            );
        }
        if matches!(config.provider, ProviderConfig::Extension(_)) {
            self.report(
                "provider.extension",
                format!("the workload \"{workload}\" syncs nothing and loads no extension"),
                "provider = \"native\", or no provider",
            );
        }
    }

    /// Checks that words among the expected errors are kinds; anything with a capital letter or a digit in front is a code.
    fn expected(&mut self, workload: &str, expected: &[String]) {
        let is_word = |name: &&String| name.starts_with(|c: char| c.is_ascii_lowercase());
        for name in expected.iter().filter(is_word) {
            let kind: Result<Kind, _> = serde_json::from_value(serde_json::Value::String(name.clone()));
            if kind.is_err() {
                let hint = nearest(name, KINDS.iter().copied());
                let hint = hint.map(|kind| format!("; did you mean \"{kind}\"?")).unwrap_or_default();
                self.report(
                    &format!("workload.{workload}.expected"),
                    format!("\"{name}\" is no kind of error{hint}"),
                    format!("{}, or a code such as \"40P01\" or \"SQLITE_BUSY\"", KINDS.join(", ")),
                );
            }
        }
    }
}

/// The kinds that a database driven directly can meet.
const KINDS: &[&str] = &[
    "locked",
    "busy",
    "deadlock",
    "serialization",
    "conflict",
    "insufficient_funds",
    "missing_account",
    "timeout",
    "refused",
    "reset",
    "constraint",
    "disk_full",
];

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn problems(text: &str) -> Vec<String> {
        let errors = Config::parse(text, "c.toml").expect_err("a refused configuration").to_string();
        errors.lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_kind_that_is_offered_exists() {
        let kinds = super::KINDS.iter().map(|kind| format!("\"{kind}\"")).collect::<Vec<_>>().join(", ");
        let text = format!("[workload.bank]\nexpected = [{kinds}, \"40P01\", \"SQLITE_BUSY\"]\n");
        assert!(Config::parse(&text, "c.toml").is_ok());
        let said = problems("[workload.bank]\nexpected = [\"deadlok\"]\n");
        assert!(said[0].contains("did you mean \"deadlock\"?"), "{said:?}");
    }

    #[test]
    fn a_direct_workload_takes_a_database_and_sync_a_service() {
        let loaded = Config::parse("[workload.bank]\n", "c.toml").expect("a good configuration");
        assert!(loaded.config.target.is_direct());
        let said = problems("[workload.catalog]\nclients = 51\nseconds = 301\n[target.embedded]\n");
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].starts_with("c.toml:2: workload.catalog.clients: 51 is more than the 50"), "{said:?}");
        let said = problems("[workload.sync]\n[target.sqlite]\n");
        assert!(said[0].contains("target.sqlite: the sync workload needs a sync service"), "{said:?}");
        let roles = "inserters = 0\ntransferrers = 0\nreaders = 0\ncheckers = 0\ndeleters = 0\n";
        assert!(problems(&format!("[workload.bank]\n{roles}"))[0].contains("no role has a worker"));
        let said = problems("[workload.bank]\nseconds = 13001\n");
        assert!(said[0].contains("1 to 13000, and more cycles"), "{said:?}");
        assert!(Config::parse("[workload.bank]\nseconds = 13000\n", "c.toml").is_ok());
        let unbounded = "[workload.catalog]\nclients = 51\nseconds = 301\nunbounded = true\n";
        assert!(Config::parse(unbounded, "c.toml").is_ok());
    }

    #[test]
    fn connections_follow_from_all_workers() {
        use crate::config::BankConfig;
        let bank = BankConfig { workers: 3, ..BankConfig::default() };
        let some = BankConfig { workers: 5, inserters: Some(1), deleters: Some(0), ..BankConfig::default() };
        let many = BankConfig { inserters: Some(200), ..BankConfig::default() };
        let own = BankConfig { pool: Some(7), ..BankConfig::default() };
        assert_eq!([bank, some, many, own].map(|bank| bank.connections()), [20, 21, 50, 7]);
    }

    #[test]
    fn a_schedule_may_run_another_workload() {
        let text = "[run]\ncycles = 1\n[workload.bank]\nseconds = 3\n[schedule.nightly]\ncron = \"@daily\"\n\
                    [schedule.nightly.workload.catalog]\nseconds = 5\n";
        let loaded = Config::parse(text, "c.toml").unwrap_or_else(|errors| panic!("{errors}"));
        let own = loaded.for_schedule("nightly").expect("a schedule").config;
        assert_eq!((loaded.config.workload.word(), own.workload.word()), ("bank", "catalog"));
    }
}
