//! One workload with one seed on several databases, side by side: success, throughput, latency, errors and checks.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::document::Document;
use super::lanes::share;
use super::latency::span;
use super::words::number;
use crate::model::lane::{Lane, LaneFigures};
use crate::model::verdict::{CheckResult, Verdict};

/// What came of the workload on one database.
#[derive(Debug, Clone, Serialize)]
pub struct Column {
    pub backend: String,
    pub version: String,
    pub elapsed_ms: u64,
    pub verdict: Verdict,
    pub lanes: BTreeMap<Lane, LaneColumn>,
    pub checks: Vec<CheckResult>,
    /// Errors that nobody expected, and what could not be settled.
    pub errors: Vec<String>,
}

/// What a role or scenario did on one database.
#[derive(Debug, Clone, Serialize)]
pub struct LaneColumn {
    pub figures: LaneFigures,
    pub p50_us: u64,
    pub p99_us: u64,
}

/// All of them.
#[derive(Debug, Clone, Serialize)]
pub struct SideBySide {
    pub workload: String,
    pub seed: u64,
    pub columns: Vec<Column>,
}

impl SideBySide {
    /// Returns the worst verdict.
    pub fn verdict(&self) -> Verdict {
        Verdict::worst(self.columns.iter().map(|column| column.verdict))
    }
}

/// Lays out the comparison.
pub(super) fn document(all: &SideBySide) -> Document {
    let mut doc = Document::default();
    let names: Vec<&str> = all.columns.iter().map(|column| column.backend.as_str()).collect();
    doc.title(&all.verdict().to_string(), format!("{} with seed {} on {}", all.workload, all.seed, names.join(", ")));
    let mut titles = vec![String::new()];
    titles.extend(all.columns.iter().map(|column| format!(">{}", column.backend)));
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let row = |name: &str, value: &dyn Fn(&Column) -> String| {
        std::iter::once(name.to_owned()).chain(all.columns.iter().map(value)).collect::<Vec<_>>()
    };
    doc.heading("Databases");
    doc.table(
        &titles,
        vec![
            row("Verdict", &|column| column.verdict.to_string()),
            row("Version", &|column| column.version.clone()),
            row("Took", &|column| span(column.elapsed_ms * 1000)),
        ],
    );
    let lanes: BTreeSet<Lane> = all.columns.iter().flat_map(|column| column.lanes.keys().copied()).collect();
    for lane in lanes {
        doc.heading(lane.word());
        let of = |value: &'static dyn Fn(&LaneColumn) -> String| {
            move |column: &Column| column.lanes.get(&lane).map_or_else(|| "-".to_owned(), value)
        };
        let mut rows = vec![
            row("Operations", &of(&|lane| number(lane.figures.acknowledged))),
            row("Operations per second", &of(&|lane| format!("{:.1}", lane.figures.rate()))),
            row("Success", &of(&|lane| lane.figures.success().map_or_else(|| "-".to_owned(), share))),
            row("p50", &of(&|lane| span(lane.p50_us))),
            row("p99", &of(&|lane| span(lane.p99_us))),
        ];
        rows.extend(errors(all, lane));
        doc.table(&titles, rows);
    }
    checks(&mut doc, all, &titles);
    for column in &all.columns {
        column.errors.iter().take(5).for_each(|error| doc.item(&column.backend, error.clone(), Vec::new()));
    }
    doc
}

/// Returns a row for every kind of error that a lane met anywhere.
fn errors(all: &SideBySide, lane: Lane) -> Vec<Vec<String>> {
    let tables =
        |figures: &LaneFigures| [("expected", figures.expected.clone()), ("unexpected", figures.unexpected.clone())];
    let of = |column: &Column| column.lanes.get(&lane).map(|lane| tables(&lane.figures));
    let mut names: BTreeSet<(&'static str, String)> = BTreeSet::new();
    for (kind, table) in all.columns.iter().filter_map(of).flatten() {
        names.extend(table.into_keys().map(|name| (kind, name)));
    }
    let counted = |column: &Column, kind: &str, name: &str| {
        let tables = of(column).into_iter().flatten();
        tables.filter(|(of, _)| *of == kind).filter_map(|(_, table)| table.get(name).copied()).sum::<u64>()
    };
    let row = |(kind, name): (&'static str, String)| {
        let counts = all.columns.iter().map(|column| number(counted(column, kind, &name)));
        std::iter::once(format!("{kind}: {name}")).chain(counts).collect()
    };
    names.into_iter().map(row).collect()
}

/// Adds a row for every check, and the evidence of those that failed.
fn checks(doc: &mut Document, all: &SideBySide, titles: &[&str]) {
    let mut names: Vec<&str> = Vec::new();
    for check in all.columns.iter().flat_map(|column| &column.checks) {
        if !names.contains(&check.check.as_str()) {
            names.push(&check.check);
        }
    }
    let found = |column: &Column, name: &str| column.checks.iter().find(|check| check.check == name).cloned();
    let word = |check: Option<CheckResult>| match check.map(|check| check.verdict) {
        Some(Some(verdict)) => verdict.to_string(),
        Some(None) => "not exercised".to_owned(),
        None => "-".to_owned(),
    };
    let row = |name: &&str| {
        std::iter::once((*name).to_owned()).chain(all.columns.iter().map(|column| word(found(column, name)))).collect()
    };
    doc.heading("Invariants");
    doc.table(titles, names.iter().map(row).collect());
    for column in &all.columns {
        for check in column.checks.iter().filter(|check| check.verdict.is_some_and(|v| v != Verdict::Pass)) {
            let text = format!("{}: {}: {}", column.backend, check.check, check.summary);
            let mark = check.verdict.map(|verdict| verdict.to_string()).unwrap_or_default();
            doc.item(&mark, text, check.evidence.iter().take(5).cloned().collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::report::{ComparisonFormat, side_by_side};

    fn column(backend: &str, verdict: Verdict, rate: u64) -> Column {
        let mut figures = LaneFigures { workers: 3, acknowledged: rate * 10, ms: 10_000, ..LaneFigures::default() };
        figures.expected.insert("deadlock (40P01)".into(), rate / 100);
        let check = CheckResult {
            check: "bank.orphans".into(),
            verdict: Some(verdict),
            summary: "2 transfers lead to accounts that do not exist".into(),
            evidence: vec!["transfer 7: from account 3, which is gone".into()],
            evidence_total: 2,
        };
        Column {
            backend: backend.into(),
            version: "X 1".into(),
            elapsed_ms: 10_000,
            verdict,
            lanes: [(Lane::Transferrer, LaneColumn { figures, p50_us: 900, p99_us: 22_000 })].into(),
            checks: vec![check],
            errors: Vec::new(),
        }
    }

    #[test]
    fn every_database_has_a_column_and_a_failed_check_its_evidence() {
        let columns =
            vec![column("sqlite (wal)", Verdict::Fail, 75), column("postgres (read committed)", Verdict::Pass, 1200)];
        let all = SideBySide { workload: "bank".into(), seed: 7, columns };
        let text = side_by_side(&all, ComparisonFormat::Text);
        for wanted in ["FAIL", "1200.0", "75.0", "expected: deadlock (40P01)", "transfer 7: from account 3", "22.0ms"] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
        assert_eq!(all.verdict(), Verdict::Fail);
        let json: serde_json::Value = serde_json::from_str(&side_by_side(&all, ComparisonFormat::Json)).unwrap();
        assert_eq!(json["columns"][1]["lanes"]["transferrer"]["figures"]["acknowledged"], 12_000);
    }
}
