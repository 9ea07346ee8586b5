//! The walk over a parsed file: finds every unknown key and every value of a wrong type or size, and takes them out.
//!
//! What is left is a tree that deserializes, so that the rules across keys can be checked in the same pass. Values of
//! secrets and of addresses are never repeated in a message.

use std::borrow::Cow;
use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::keys::{self, Kind, SECRET_FORMS};
use super::problem::Problem;
use super::value;

/// Sections of which a file names exactly one entry.
const ONE_OF: &[&str] = &["workload", "target", "provider"];

/// Most sections of one kind that people name themselves.
const MAX_NAMED: usize = 100;

/// Where keys stand in the file, and what was wrong with them.
pub(super) struct Walk {
    /// Offset of the end of every line.
    ends: Vec<usize>,
    /// Line of every key and section that the file holds, good or bad.
    pub(super) lines: BTreeMap<String, usize>,
    pub(super) problems: Vec<Problem>,
}

impl Walk {
    /// Starts a walk over a file's text.
    pub(super) fn new(text: &str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at).collect();
        Self { ends, lines: BTreeMap::new(), problems: Vec::new() }
    }

    /// Returns the line of a byte offset, from 1.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        1 + self.ends.partition_point(|end| *end < offset)
    }

    /// Notes a problem at a line.
    pub(super) fn report(&mut self, line: usize, key: &str, message: impl Into<String>, allowed: impl Into<String>) {
        self.problems.push(Problem { line, key: key.into(), message: message.into(), allowed: allowed.into() });
    }

    /// Checks a section and takes out what is wrong in it.
    pub(super) fn section<'i>(&mut self, path: &str, table: &mut DeTable<'i>) {
        let named = table.len();
        if keys::is_named(path) && named > MAX_NAMED {
            let line = self.lines.get(path).copied().unwrap_or(0);
            self.report(line, path, format!("{named} sections are too many"), format!("up to {MAX_NAMED}"));
            table.clear();
        }
        let mut entries: Vec<_> = std::mem::take(table).into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, mut entry) in entries {
            let name: String = key.get_ref().chars().take(64).collect();
            let full = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let line = self.line_at(key.span().start);
            self.lines.entry(full.clone()).or_insert(line);
            if self.entry(path, &name, &full, line, entry.get_mut()) {
                table.insert(key, entry);
            }
        }
        if ONE_OF.contains(&path) {
            self.one_of(path, named, table);
        }
        self.fill_required(path, table);
    }

    fn entry(&mut self, section: &str, name: &str, full: &str, line: usize, value: &mut DeValue<'_>) -> bool {
        // A quoted key may hold a dot; it would look like a key in a section.
        if name.contains('.') || (keys::is_named(section) && !keys::is_name(name)) {
            let message = format!("\"{}\" is no name for a key or section", name.escape_debug());
            self.report(line, full, message, "1 to 40 characters of a-z, 0-9, _ and -");
            return false;
        }
        if keys::is_section(full) {
            if let DeValue::Table(table) = value {
                self.section(full, table);
                return !(ONE_OF.contains(&full) && table.is_empty());
            }
            if keys::find(full).is_none() {
                let message = format!("{} stands where a section is due", value::found(value));
                self.report(line, full, message, format!("[{full}] with {}", keys::names_below(full).join(", ")));
                return false;
            }
        }
        let Some(key) = keys::find(full) else {
            let names = keys::names_below(section).join(", ");
            let message = match keys::suggestion(section, name) {
                Some(hint) => format!("there is no such key; {hint}"),
                None => "there is no such key".to_owned(),
            };
            self.report(line, full, message, names);
            return false;
        };
        match key.kind {
            Kind::Secret => self.secret(full, line, value),
            Kind::Store => self.store(full, line, value),
            Kind::Statements => self.statements(full, line, value),
            kind => match value::check(kind, value) {
                Ok(()) => true,
                Err(message) => {
                    self.report(line, full, message, kind.allowed());
                    false
                }
            },
        }
    }

    /// Keeps one entry of a section that names a kind, and reports the others.
    fn one_of(&mut self, path: &str, named: usize, table: &mut DeTable<'_>) {
        if named == 0 {
            let line = self.lines.get(path).copied().unwrap_or(0);
            let kinds = keys::names_below(path).iter().map(|kind| format!("[{path}.{kind}]")).collect::<Vec<_>>();
            self.report(line, path, "the section names no kind", kinds.join(" or "));
        }
        if table.len() < 2 {
            return;
        }
        let mut entries: Vec<_> = std::mem::take(table).into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let first = entries.remove(0);
        for (key, _) in &entries {
            let line = self.line_at(key.span().start);
            let message = format!("a {path} was already given in line {}", self.line_at(first.0.span().start));
            self.report(line, &format!("{path}.{}", key.get_ref()), message, format!("one [{path}.…] section"));
        }
        table.insert(first.0, first.1);
    }

    /// Reports required keys that are absent, and puts a stand-in where one is, so that the rest can be checked.
    fn fill_required(&mut self, path: &str, table: &mut DeTable<'_>) {
        for (name, key) in keys::required_in(path) {
            let full = format!("{path}.{name}");
            if !self.lines.contains_key(&full) {
                let line = self.lines.get(path).copied().unwrap_or(0);
                let message = "the key is missing, and its section makes no sense without it";
                self.report(line, &full, message, key.kind.allowed());
            }
            if !table.keys().any(|have| have.get_ref() == name) {
                let stand_in = match key.kind {
                    Kind::Mailboxes => DeValue::Array(DeArray::new()),
                    _ => DeValue::String(Cow::Borrowed("missing")),
                };
                table.insert(Spanned::new(0..0, Cow::Borrowed(name)), Spanned::new(0..0, stand_in));
            }
        }
    }

    fn secret(&mut self, full: &str, line: usize, value: &DeValue<'_>) -> bool {
        match value::check_secret(value) {
            Ok(()) => true,
            Err(message) => {
                self.report(line, full, message, SECRET_FORMS);
                false
            }
        }
    }

    fn store(&mut self, full: &str, line: usize, value: &DeValue<'_>) -> bool {
        let allowed = Kind::Store.allowed();
        match value {
            DeValue::String(text) if text == "sqlite" => true,
            DeValue::String(text) if text.contains("://") => {
                self.report(
                    line,
                    full,
                    "an address of a database is a secret and must not stand in this file",
                    allowed,
                );
                false
            }
            DeValue::Table(table) if table.len() == 1 => {
                let Some((key, inner)) = table.iter().next() else { return false };
                let name = format!("{full}.{}", key.get_ref());
                if key.get_ref() == "postgres" {
                    let inner_line = self.line_at(key.span().start);
                    self.lines.insert(name.clone(), inner_line);
                    return self.secret(&name, inner_line, inner.get_ref());
                }
                self.report(line, &name, "there is no such store", allowed);
                false
            }
            DeValue::Table(table) => {
                self.report(line, full, format!("{} stores are named", table.len()), allowed);
                false
            }
            other => {
                self.report(line, full, format!("{} is no store", value::found(other)), allowed);
                false
            }
        }
    }

    fn statements(&mut self, full: &str, line: usize, value: &mut DeValue<'_>) -> bool {
        let DeValue::Table(table) = value else {
            self.report(
                line,
                full,
                format!("{} stands where a section is due", value::found(value)),
                Kind::Statements.allowed(),
            );
            return false;
        };
        for (key, statement) in std::mem::take(table) {
            let name = format!("{full}.{}", key.get_ref());
            let line = self.line_at(key.span().start);
            self.lines.insert(name.clone(), line);
            if !keys::OPERATIONS.contains(&key.get_ref().as_ref()) {
                self.report(line, &name, "there is no such operation", keys::OPERATIONS.join(", "));
            } else if let Err((message, allowed)) = value::check_statement(key.get_ref(), statement.get_ref()) {
                self.report(line, &name, message, allowed);
            } else {
                table.insert(key, statement);
            }
        }
        true
    }
}
