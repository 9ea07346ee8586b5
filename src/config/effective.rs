//! What a schedule's runs do differently: its own sections, laid over the rest of the file key by key.
//!
//! Pure; it merges trees and moves problems to the keys that caused them. What is right and wrong stands in the rules.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use super::{Loaded, keys};

/// Sections of a schedule that belong to its runs.
const SECTIONS: [&str; 4] = ["run", "workload", "verify", "criteria"];

/// A section that is replaced as a whole: columns of one table say nothing about another.
const TABLE: &str = "workload.sync.table";

/// Figures that belong to a custom scale, and go with it.
const FIGURES: [&str; 3] = ["rows", "iterations", "databases"];

impl Loaded {
    /// Returns the configuration of one schedule's runs.
    pub fn for_schedule(&self, name: &str) -> Option<Self> {
        let (config, table) = self.schedules.get(name)?.clone();
        Some(Self { config, table, origin: self.origin.clone(), schedules: BTreeMap::new() })
    }
}

/// Takes out of every schedule what it overrides.
pub(super) fn take<'i>(tree: &mut DeTable<'i>) -> BTreeMap<String, DeTable<'i>> {
    let Some(DeValue::Table(schedules)) = tree.get_mut("schedule").map(|entry| entry.get_mut()) else {
        return BTreeMap::new();
    };
    let mut taken = BTreeMap::new();
    for (name, schedule) in schedules.iter_mut() {
        let mut own = DeTable::new();
        if let DeValue::Table(schedule) = schedule.get_mut() {
            for section in SECTIONS {
                own.extend(schedule.remove_entry(section));
            }
        }
        taken.insert(name.get_ref().to_string(), own);
    }
    taken
}

/// Lays a schedule's sections over the whole file.
pub(super) fn merge<'i>(whole: &mut DeTable<'i>, own: DeTable<'i>) {
    let scale = below(&own, &["workload", "sync", "scale"]);
    if scale.is_some_and(|scale| !matches!(scale, DeValue::String(text) if text == "custom"))
        && let Some(DeValue::Table(workload)) = whole.get_mut("workload").map(|entry| entry.get_mut())
        && let Some(DeValue::Table(sync)) = workload.get_mut("sync").map(|entry| entry.get_mut())
    {
        FIGURES.iter().for_each(|figure| drop(sync.remove(*figure)));
    }
    // Another workload takes the place of the file's.
    if let Some(DeValue::Table(mine)) = own.get("workload").map(|entry| entry.get_ref())
        && let Some(DeValue::Table(workload)) = whole.get_mut("workload").map(|entry| entry.get_mut())
    {
        for kind in keys::names_below("workload").into_iter().filter(|_| !mine.is_empty()) {
            if !mine.contains_key(kind) {
                workload.remove(kind);
            }
        }
    }
    lay("", whole, own);
}

fn lay<'i>(path: &str, under: &mut DeTable<'i>, over: DeTable<'i>) {
    for (key, mut entry) in over {
        let full = if path.is_empty() { key.get_ref().to_string() } else { format!("{path}.{}", key.get_ref()) };
        match (under.get_mut(key.get_ref().as_ref()).map(|entry| entry.get_mut()), entry.get_mut()) {
            (Some(DeValue::Table(below)), DeValue::Table(above)) if full != TABLE => {
                lay(&full, below, std::mem::take(above));
            }
            // `workload = {}` names no kind, and the default stays.
            (None, DeValue::Table(above)) if full == "workload" && above.is_empty() => {}
            _ => {
                under.remove(key.get_ref().as_ref());
                under.insert(key, entry);
            }
        }
    }
}

fn below<'t, 'i>(table: &'t DeTable<'i>, path: &[&str]) -> Option<&'t DeValue<'i>> {
    let (first, rest) = path.split_first()?;
    let value = table.get(*first)?.get_ref();
    match value {
        DeValue::Table(inner) if !rest.is_empty() => below(inner, rest),
        _ => rest.is_empty().then_some(value),
    }
}

/// Returns the lines of the keys that hold for one schedule's runs.
pub(super) fn lines(all: &BTreeMap<String, usize>, name: &str) -> BTreeMap<String, usize> {
    let prefix = format!("schedule.{name}.");
    let own = |(key, line): (&String, &usize)| Some((key.strip_prefix(&prefix)?.to_owned(), *line));
    let own: BTreeMap<String, usize> =
        all.iter().filter_map(own).filter(|(key, _)| SECTIONS.contains(&root(key))).collect();
    let figure = |key: &str| key.strip_prefix("workload.sync.").is_some_and(|name| FIGURES.contains(&name));
    let gone = |key: &str| {
        (own.contains_key("workload.sync.scale") && figure(key)) || (own.contains_key(TABLE) && key.starts_with(TABLE))
    };
    let mut lines = all.clone();
    lines.retain(|key, _| !key.starts_with("schedule.") && !gone(key));
    lines.extend(own);
    lines
}

fn root(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
}

/// Returns what is wrong already with the keys that hold for one schedule's runs.
pub(super) fn found(all: &[Problem], name: &str) -> Vec<Problem> {
    let prefix = format!("schedule.{name}.");
    let own = |problem: &Problem| {
        let key = problem.key.strip_prefix(&prefix).unwrap_or(&problem.key).to_owned();
        Problem { key, ..problem.clone() }
    };
    all.iter().map(own).collect()
}

/// Moves a problem of a schedule's runs to the schedule's own key.
pub(super) fn own(problem: Problem, name: &str, lines: &BTreeMap<String, usize>) -> Problem {
    let section = format!("schedule.{name}");
    let (key, message) = if keys::covers(keys::OVERRIDES, &problem.key) {
        (format!("{section}.{}", problem.key), problem.message)
    } else {
        let message = format!("in its runs, {}: {}", problem.key, problem.message);
        (section, message)
    };
    Problem { line: line_of(lines, &key), key, message, allowed: problem.allowed }
}

/// Returns the line of a key, or of the nearest section around it that the file has; 0 if there is none.
pub(super) fn line_of(lines: &BTreeMap<String, usize>, key: &str) -> usize {
    let mut at = key;
    loop {
        if let Some(line) = lines.get(at) {
            return *line;
        }
        match at.rsplit_once('.') {
            Some((section, _)) => at = section,
            None => return 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Mode, Scale, Span, SyncConfig, WorkloadConfig};

    const BASE: &str = "run.duration = \"1h\"\nworkload.sync.scale = \"custom\"\nworkload.sync.rows = 7\n\
                        workload.sync.iterations = 2\nworkload.sync.databases = 3\n[schedule.nightly]\ncron = \"@daily\"\n";

    fn sync(text: &str) -> SyncConfig {
        let loaded = Config::parse(text, "/c.toml").unwrap_or_else(|errors| panic!("{errors}"));
        let workload = loaded.for_schedule("nightly").expect("a schedule").config.workload;
        workload.sync().expect("the sync workload").clone()
    }

    fn problems(text: &str) -> Vec<String> {
        let errors = Config::parse(text, "c.toml").expect_err("a refused configuration").to_string();
        errors.lines().map(|line| line.split("; allowed").next().unwrap_or(line).to_owned()).collect()
    }

    #[test]
    fn a_schedule_without_sections_runs_the_file() {
        let loaded = Config::parse(BASE, "/c.toml").expect("a good configuration");
        let own = loaded.for_schedule("nightly").expect("a schedule");
        assert_eq!((&own.config, &own.table), (&loaded.config, &loaded.table));
        assert_eq!(loaded.for_schedule("weekly"), None);
    }

    #[test]
    fn keys_are_laid_over_one_by_one_and_the_file_stays() {
        let text = BASE.to_owned()
            + "[schedule.nightly.run]\ncycles = 3\n[schedule.nightly.verify]\nevidence = 9\n\
               [schedule.nightly.workload.sync]\nmode = \"contended\"\nrows = 8\n";
        let loaded = Config::parse(&text, "/c.toml").expect("a good configuration");
        let own = loaded.for_schedule("nightly").expect("a schedule").config;
        assert_eq!((own.run.cycles, own.run.duration), (Some(3), Some(Span::from_secs(3600))));
        assert_eq!((own.verify.evidence, own.verify.settle_rounds), (9, 50));
        let WorkloadConfig::Sync(sync) = own.workload else { panic!("another workload") };
        assert_eq!((sync.mode, sync.size()), (Mode::Contended, (8, 2, 3)));
        assert_eq!(loaded.config, Config { schedule: loaded.config.schedule.clone(), ..config_of(BASE) });
    }

    fn config_of(text: &str) -> Config {
        Config::parse(text, "/c.toml").expect("a good configuration").config
    }

    #[test]
    fn another_scale_leaves_the_custom_figures_behind() {
        let sync = sync(&(BASE.to_owned() + "workload.sync.scale = \"medium\"\n"));
        assert_eq!((sync.scale, sync.rows, sync.size()), (Scale::Medium, None, (10_000, 10, 4)));
    }

    #[test]
    fn a_table_replaces_the_other_as_a_whole() {
        let table = "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, who TEXT, name TEXT, value INTEGER)";
        let text = format!(
            "[run]\ncycles = 1\n[workload.sync.table]\nddl = \"{table}\"\nowner = \"who\"\n[schedule.nightly]\n\
             cron = \"@daily\"\n[schedule.nightly.workload.sync.table]\nddl = \"{}\"\n",
            table.replace("who", "user_id")
        );
        let loaded = Config::parse(&text, "/c.toml").expect("a good configuration");
        let own = loaded.for_schedule("nightly").expect("a schedule");
        assert_ne!(own.table, loaded.table);
        let WorkloadConfig::Sync(sync) = own.config.workload else { panic!("another workload") };
        assert_eq!(sync.table.owner, None);
    }

    #[test]
    fn a_fault_is_told_once_and_where_it_was_made() {
        let base = "[run]\ncycles = 1\n[schedule.nightly]\ncron = \"@daily\"\n";
        let own = base.to_owned() + "[schedule.nightly.workload.sync]\nmode = \"contended\"\n";
        let said = "\"contended\" needs a user with two databases, and with 2 every user has one";
        assert_eq!(problems(&own), [format!("c.toml:6: schedule.nightly.workload.sync.mode: {said}")]);
        let both = base.to_owned() + "[workload.sync]\nmode = \"contended\"\n";
        assert_eq!(problems(&both), [format!("c.toml:6: workload.sync.mode: {said}")]);
    }

    #[test]
    fn a_run_that_never_ends_is_refused_in_a_schedule_only() {
        assert!(Config::parse("", "c.toml").is_ok());
        let said = problems("[schedule.nightly]\ncron = \"@daily\"\n");
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("c.toml:1: schedule.nightly.run.cycles: "), "{said:?}");
        assert!(Config::parse("[schedule.x]\ncron = \"@daily\"\nrun.until = \"2027-01-31\"\n", "c.toml").is_ok());
    }
}
