//! The report as JSON: the snapshot as it is kept, and under `derived` what the other forms work out from it. The fields are
//! published in `deploy/report.schema.json`.

use serde_json::{Map, Value, json};

use super::comparison::{self, Compared, Comparisons};
use super::spread::spread;
use super::words::{between, harmless};
use super::{evidence, headline, overview};
use crate::model::metric::Aspect;
use crate::model::record::{FORMAT, Snapshot};

/// Renders a snapshot as one JSON object.
pub(super) fn render(snapshot: &Snapshot) -> String {
    let mut report = match serde_json::to_value(snapshot) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    report.insert("derived".to_owned(), derived(snapshot));
    pretty(&Value::Object(report))
}

/// Returns a value as indented JSON. What serde leaves as it is and a terminal would obey can only stand in strings, so it
/// is escaped afterwards.
pub(super) fn pretty(value: &Value) -> String {
    let text = format!("{value:#}\n");
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && !harmless(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Renders one workload on several databases as one JSON object.
pub(super) fn side_by_side(all: &super::SideBySide) -> String {
    let mut value = json!(all);
    value["verdict"] = json!(all.verdict());
    pretty(&value)
}

/// Renders a comparison of runs as one JSON object.
pub(super) fn comparisons(all: &Comparisons) -> String {
    let run = |one: &Compared| json!({ "run": one.run, "cycles_done": one.cycles_done, "notes": one.notes });
    let after = all.after.iter().map(|(after, comparison)| {
        let aspects =
            Aspect::ALL.iter().filter_map(|one| Some((one.word().to_owned(), json!(comparison.aspect(*one)?))));
        json!({
            "after": run(after),
            "overall": comparison.overall(),
            "sentence": comparison::sentence(comparison),
            "aspects": aspects.collect::<Map<_, _>>(),
            "comparison": comparison,
        })
    });
    let after: Vec<Value> = after.collect();
    pretty(&json!({ "format": FORMAT, "overall": all.overall(), "before": run(&all.before), "compared": after }))
}

fn derived(snapshot: &Snapshot) -> Value {
    let run = &snapshot.run;
    let until = run.ended_ms.unwrap_or(snapshot.made_ms);
    let wall = between(run.started_ms, until);
    let head = headline::headline(snapshot);
    let spreads: Vec<Value> = snapshot
        .findings
        .iter()
        .map(|group| {
            let spread = spread(group, run.started_ms, until);
            json!({
                "cause": group.cause,
                "shape": spread.shape.word(),
                "index_of_dispersion": spread.index,
                "limit": spread.limit,
                "slots": spread.slots,
                "slot_ms": spread.slot_ms,
                "peak_share": spread.peak_share,
                "peak_from_ms": spread.peak_from_ms,
            })
        })
        .collect();
    json!({
        "headline": head.word,
        "reason": head.reason,
        "wall_ms": wall,
        "not_observed_ms": wall.saturating_sub(run.observed_ms),
        "errors_tolerated": snapshot.findings.iter().map(|group| group.tolerated).sum::<u64>(),
        "error_types": overview::error_kinds(snapshot),
        "not_exercised": headline::not_exercised(snapshot),
        "spread": spreads,
        "run_again": evidence::rerun(snapshot),
    })
}
