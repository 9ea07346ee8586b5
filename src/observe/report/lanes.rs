//! The roles and scenarios of a database that workers drive themselves: what they did, how quickly, and what they met.

use super::document::Document;
use super::latency::span;
use super::words::number;
use crate::model::lane::{Lane, LaneFigures};
use crate::model::record::Snapshot;

/// Returns what is particular to such a run.
pub(super) fn facts(snapshot: &Snapshot, cycles: String) -> Vec<(&'static str, String)> {
    let (scale, totals) = (&snapshot.run.scale, &snapshot.totals);
    let indeterminate: u64 = snapshot.lanes.values().map(|figures| figures.indeterminate).sum();
    let refused: u64 = snapshot.lanes.values().map(|figures| figures.refused).sum();
    let workers = if scale.scale == "catalog" { "Clients" } else { "Workers" };
    vec![
        ("Workload", scale.scale.clone()),
        ("Engine", scale.mode.clone()),
        (workers, number(scale.users.into())),
        ("Seconds per cycle", number(scale.iterations.into())),
        ("Rows at the start", number(scale.rows.into())),
        ("Cycles", cycles),
        (
            "Operations",
            format!(
                "{} acknowledged, {} refused, {} indeterminate",
                number(totals.crud_ops),
                number(refused),
                number(indeterminate)
            ),
        ),
    ]
}

/// Adds a line for every lane, and the tables of expected and unexpected errors.
pub(super) fn lanes(doc: &mut Document, snapshot: &Snapshot) {
    if snapshot.lanes.is_empty() {
        return;
    }
    doc.heading("Roles and scenarios");
    let row = |(lane, figures): (&Lane, &LaneFigures)| {
        let latency = snapshot.latency.iter().find(|latency| latency.action == lane.word());
        let time = |us: Option<u64>| us.map_or_else(|| "-".to_owned(), span);
        vec![
            lane.word().to_owned(),
            number(figures.workers.into()),
            number(figures.acknowledged),
            format!("{:.1}", figures.rate()),
            figures.success().map_or_else(|| "-".to_owned(), share),
            number(figures.expected.values().sum()),
            number(figures.unexpected.values().sum()),
            number(figures.indeterminate),
            time(latency.map(|latency| latency.p50_us)),
            time(latency.map(|latency| latency.p99_us)),
        ]
    };
    let titles = [
        "Role or scenario",
        ">Workers",
        ">Operations",
        ">Ops/s",
        ">Success",
        ">Expected",
        ">Unexpected",
        ">Open",
        ">p50",
        ">p99",
    ];
    doc.table(&titles, snapshot.lanes.iter().map(row).collect());
    if !snapshot.lines.is_empty() {
        doc.verbatim(snapshot.lines.clone());
    }
    let errors: Vec<Vec<String>> = snapshot.lanes.iter().flat_map(|(lane, figures)| errors(*lane, figures)).collect();
    if errors.is_empty() {
        doc.paragraph("No operation met an error, expected or not.");
    } else {
        doc.table(&["Role or scenario", "Error", "Kind", ">Count"], errors);
    }
}

fn errors(lane: Lane, figures: &LaneFigures) -> Vec<Vec<String>> {
    let rows = |table: &std::collections::BTreeMap<String, u64>, kind: &str| {
        let row = |(name, n): (&String, &u64)| vec![lane.word().to_owned(), name.clone(), kind.to_owned(), number(*n)];
        table.iter().map(row).collect::<Vec<_>>()
    };
    let mut all = rows(&figures.unexpected, "unexpected");
    all.extend(rows(&figures.expected, "expected"));
    all
}

/// Returns a share in percent, never rounded up to all.
pub(super) fn share(share: f64) -> String {
    format!("{:.2} %", (share * 10_000.0).floor() / 100.0)
}
