//! What workers of the bank see that must not be, counted by rule.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Lines;

/// Violations with their lines, of one rule, at most.
const KEPT: usize = 5;
/// Longest line that is kept.
const CHARS: usize = 400;

/// What must hold whenever somebody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A page and a stream hold the rows that the count of their snapshot promises, in order, each once.
    Page,
    /// A row holds what was written into it.
    Value,
    /// Look-ups find what is there and nothing else.
    Lookup,
    /// Lists and streams of transfers agree, and every transfer is as it was made.
    Transfers,
    /// No balance is below zero.
    Funds,
    /// A transaction reads back what it wrote.
    ReadBack,
    /// A deleted account held what the ledger says.
    Deletion,
    /// Ids only grow.
    Ids,
}

impl Rule {
    /// Returns what a violation is called.
    pub fn word(self) -> &'static str {
        match self {
            Self::Page => "phantom read",
            Self::Value => "wrong value",
            Self::Lookup => "wrong look-up",
            Self::Transfers => "wrong list of transfers",
            Self::Funds => "negative balance",
            Self::ReadBack => "wrong balance in its own transaction",
            Self::Deletion => "wrong balance at deletion",
            Self::Ids => "id that does not grow",
        }
    }
}

/// One thing seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    #[serde(rename = "r")]
    pub rule: Rule,
    #[serde(rename = "t")]
    pub text: String,
}

impl Violation {
    /// Returns a violation with a line of bounded length.
    pub fn of(rule: Rule, text: &str) -> Self {
        Self { rule, text: text.chars().take(CHARS).collect() }
    }
}

/// Everything seen, by rule: how often, and the first lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violations(BTreeMap<Rule, (u64, Vec<String>)>);

impl Violations {
    /// Adds one.
    pub fn add(&mut self, violation: Violation) {
        let (count, lines) = self.0.entry(violation.rule).or_default();
        *count += 1;
        if lines.len() < KEPT {
            lines.push(violation.text);
        }
    }

    /// Returns the lines of some rules.
    pub fn of(&self, rules: &[Rule]) -> Lines {
        let mut all = Lines::default();
        for rule in rules {
            let Some((count, lines)) = self.0.get(rule) else { continue };
            let lines = lines.iter().map(|line| format!("{}: {line}", rule.word())).collect();
            all.extend(&Lines { lines, total: *count });
        }
        all
    }

    /// Returns how often a rule was violated.
    pub fn count(&self, rule: Rule) -> u64 {
        self.0.get(&rule).map_or(0, |(count, _)| *count)
    }
}
