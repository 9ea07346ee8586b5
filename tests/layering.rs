//! Holds the sources against the picture in `src/lib.rs`: who may import whom, who may use which crate, how long files are.

mod support {
    pub(crate) mod sources;
}

use support::sources::{Mention, Source, mentions, tree};

/// Lines that a file may have, tests included.
const LINES_MAX: usize = 400;

/// What each part of the crate may import besides itself; an entry with `::` permits only what is below it.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("stats", &[]),
    ("config", &["model"]),
    ("clock", &[]),
    ("target", &["config", "model"]),
    ("workload", &["config", "model"]),
    ("fault", &["config", "model"]),
    ("probe", &["clock", "config", "model"]),
    ("checker", &["model", "stats"]),
    ("store", &["clock", "model", "stats"]),
    ("engine", &["checker", "clock", "config", "fault", "model", "probe", "stats", "store", "target", "workload"]),
    ("observe", &["clock", "config", "engine::event", "model", "stats", "store"]),
];

/// The parts that bring the others together and may import all of them.
const WIRING: &[&str] = &["app", "cli", "error", "lib", "main"];

/// Crates that only one place uses.
const USED_ONLY_IN: &[(&str, &str)] =
    &[("redb", "store"), ("backoff", "engine::retry"), ("tokio_cron_scheduler", "engine::schedule::driver")];

/// Returns true if `module` is `place` or below it.
fn within(module: &str, place: &str) -> bool {
    module.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Returns what is wrong with a path that a module names, if anything is.
fn judge(module: &str, mention: &Mention) -> Option<String> {
    let part = module.split("::").next().unwrap_or_default();
    let (first, ours) = mention.name.split_once("::").unwrap_or((&mention.name, "everything"));
    if first != "crate" {
        let (name, place) = USED_ONLY_IN.iter().find(|(name, _)| *name == first)?;
        return (!within(module, place)).then(|| format!("uses {name}, which only {place} may use"));
    }
    if WIRING.contains(&part) || within(ours, part) {
        return None;
    }
    match MAY_IMPORT.iter().find(|(name, _)| *name == part) {
        Some((_, allowed)) if allowed.iter().any(|place| within(ours, place)) => None,
        Some((_, [])) => Some(format!("imports {ours}; {part} may import nothing of ours")),
        Some((_, allowed)) => Some(format!("imports {ours}; {part} may import only {}", allowed.join(", "))),
        None => Some(format!("imports {ours}; the part {part} is not in the picture: add it to tests/layering.rs")),
    }
}

/// Returns the violations in one file, each with file and line.
fn violations(source: &Source) -> Vec<String> {
    let module = source.module();
    mentions(&source.text, &module)
        .iter()
        .filter_map(|mention| Some(format!("{}:{}: {}", source.file, mention.line, judge(&module, mention)?)))
        .collect()
}

#[test]
fn parts_import_only_what_the_picture_permits() {
    let sources = tree("src");
    assert!(sources.len() > 20, "only {} files found below src", sources.len());
    let found: Vec<_> = sources.iter().flat_map(violations).collect();
    assert!(found.is_empty(), "{} imports against the picture:\n{}", found.len(), found.join("\n"));
}

#[test]
fn files_are_short() {
    let sources: Vec<_> = ["src", "tests"].into_iter().flat_map(tree).collect();
    let long: Vec<_> = sources
        .iter()
        .map(|source| (source.file.as_str(), source.text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(file, lines)| format!("{file}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "files with more than {LINES_MAX} lines:\n{}", long.join("\n"));
}

/// Returns the violations of a text that stands in `file`.
fn planted(file: &str, text: &str) -> Vec<String> {
    violations(&Source { file: file.into(), text: text.into() })
}

#[test]
fn a_planted_violation_is_named_with_its_place() {
    let text = "//! Doc.\nuse crate::model::ids::DbNo;\n\nuse crate::engine::{retry, worker::{self, protocol}};\n";
    assert_eq!(
        planted("src/model/ids.rs", text),
        [
            "src/model/ids.rs:4: imports engine::retry; model may import nothing of ours",
            "src/model/ids.rs:4: imports engine::worker; model may import nothing of ours",
            "src/model/ids.rs:4: imports engine::worker::protocol; model may import nothing of ours",
        ]
    );
    assert_eq!(planted("src/engine/cycle.rs", text), [""; 0]);
}

#[test]
fn violations_are_found_in_every_form_of_a_path() {
    for (file, text) in [
        ("src/checker/mod.rs", "fn f() -> u8 { crate::target::embedded::f() }"),
        ("src/checker/mod.rs", "use crate::{model::ids, target};"),
        ("src/checker/mod.rs", "use super::target;"),
        ("src/checker/mod.rs", "use crate::*;"),
        ("src/checker/mod.rs", "fn f() -> ::redb::Database { g() }"),
        ("src/checker/a/b.rs", "use super::super::super::target;"),
        ("src/checker/mod.rs", "mod tests { use super::super::target; }"),
        ("src/checker/mod.rs", "pub(in crate::target) fn f() {}"),
        ("src/checker/mod.rs", "use crate\n    :: /* where */ target;"),
        ("src/observe/log.rs", "use crate::engine::retry;"),
        ("src/observe/log.rs", "use crate::engine;"),
        ("src/engine/cycle.rs", "use crate::cli;"),
        ("src/engine/cycle.rs", "use redb::Database;"),
        ("src/engine/cycle.rs", "use {redb, serde};"),
        ("src/engine/cycle.rs", "fn f(_: &::redb::Database) {}"),
        ("src/store/mod.rs", "fn f() -> backoff::Error<()> { todo() }"),
        ("src/engine/retry_more.rs", "use backoff as b;"),
        ("src/brandnew/mod.rs", "use crate::model;"),
    ] {
        assert_eq!(planted(file, text).len(), 1, "{file}: {text}\n{:?}", planted(file, text));
    }
}

#[test]
fn what_is_permitted_is_not_reported() {
    for (file, text) in [
        ("src/observe/log.rs", "use crate::engine::event::{self, RunEvent};"),
        ("src/store/open.rs", "use redb::{Database, TableDefinition};"),
        ("src/engine/retry.rs", "use backoff::{ExponentialBackoff, backoff::Backoff};"),
        ("src/checker/mod.rs", "// use crate::target;\n/* use crate::cli; */ /// [`crate::store`]\nfn f() {}"),
        (
            "src/checker/mod.rs",
            "const A: &str = \"crate::target\\\" crate::cli\"; const B: &str = r#\"\"crate::store\"#;",
        ),
        ("src/checker/mod.rs", "fn f<'a>(c: &'a char) -> bool { *c == '\"' || *c == '\\'' } // \" crate::cli"),
        ("src/config/load.rs", "use super::target; mod tests { use super::super::target; }"),
        ("src/checker/mod.rs", "mod x { use super::target; }"),
        ("src/workload/sync.rs", "fn f(backoff: u8, redb: u8) -> u8 { self::redb::f(backoff) + redb }"),
        ("src/app.rs", "use crate::{engine, observe};"),
    ] {
        assert_eq!(planted(file, text), [""; 0], "{file}: {text}");
    }
}
