//! The receipt of a run: one line for the run, one for each closed cycle and one for how it stands or ended, each of them with
//! the digest of the line before it. What stands in a line, and in which order lines stand, cannot be changed without every
//! later digest changing too. A line is a JSON object in one canonical form: keys sorted, no spaces, whole numbers and texts
//! only; its digest is the SHA-256 of that form without the `digest` itself. Here lines are made; [`verify`] examines them.

pub mod verify;

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::judgement::Judgement;
use super::record::{Counters, CycleRecord, RunRecord};
use super::verdict::CheckResult;

/// Format number of receipts.
pub const FORMAT: u32 = 1;
/// Name of the digest within a line.
const DIGEST: &str = "digest";

/// A line with its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub text: String,
    pub digest: String,
}

/// What is kept of a receipt beside its cycles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ends {
    /// The line of the run; `None` for a run of an older soakd, whose cycles are not chained.
    pub first: Option<String>,
    /// The line of the end, if the run has ended.
    pub last: Option<String>,
    /// Digest of the last line that is kept.
    pub head: String,
}

/// Returns the line that stands for a run: what is fixed before its first cycle.
pub fn run_line(run: &RunRecord) -> Line {
    sealed(json!({
        "kind": "run",
        "format": FORMAT,
        "soakd": run.versions.soakd,
        "run": run.run,
        "name": run.name,
        "schedule": run.schedule,
        "seed": run.seed,
        "started_ms": run.started_ms,
        "configuration": run.config,
        "criteria": run.criteria,
    }))
}

/// Puts a cycle behind the line with a digest.
pub fn link(cycle: &mut CycleRecord, previous: &str) {
    cycle.checks_digest = checks_digest(&cycle.checks);
    previous.clone_into(&mut cycle.previous);
    cycle.digest = sealed(cycle_fields(cycle)).digest;
}

/// Returns the line of a cycle with the digest that it was closed with, whatever it says now.
pub fn cycle_line(cycle: &CycleRecord) -> String {
    with_digest(cycle_fields(cycle), &cycle.digest).text
}

/// All that is known of a cycle for good; of its checks, of which old ones are dropped, their digest.
fn cycle_fields(cycle: &CycleRecord) -> Value {
    json!({
        "kind": "cycle",
        "cycle": cycle.cycle,
        "started_ms": cycle.started_ms,
        "ended_ms": cycle.ended_ms,
        "load_ms": cycle.load_ms,
        "settle_ms": cycle.settle_ms,
        "verify_ms": cycle.verify_ms,
        "checkpoint_us": cycle.checkpoint_us,
        "settle_rounds": cycle.settle_rounds,
        "steps": cycle.steps,
        "steps_planned": cycle.steps_planned,
        "errors": cycle.errors,
        "rows_final": cycle.rows_final,
        "content": cycle.content,
        "epoch": cycle.epoch,
        "server": cycle.server,
        "verdict": cycle.verdict,
        "checks_digest": cycle.checks_digest,
        "previous": cycle.previous,
    })
}

/// Returns the line of a run's end.
pub fn end_line(
    run: &RunRecord,
    cycles: u64,
    totals: &Counters,
    judgement: Option<&Judgement>,
    previous: &str,
) -> Line {
    sealed(json!({
        "kind": "end",
        "cycles": cycles,
        "ended_ms": run.ended_ms,
        "ended_because": run.ended_because,
        "verdict": run.verdict,
        "observed_ms": run.observed_ms,
        "totals": totals,
        "judgement": judgement.map_or_else(String::new, |judgement| sha256(&canonical(&json!(judgement.results)))),
        "previous": previous,
    }))
}

/// Returns the last line of a receipt that was written before its run had ended.
pub fn open_line(made_ms: i64, cycles: u64, previous: &str) -> Line {
    sealed(json!({ "kind": "open", "made_ms": made_ms, "cycles": cycles, "previous": previous }))
}

/// Returns the digest over the checks of a cycle: their names, verdicts and summaries, in order.
pub fn checks_digest(checks: &[CheckResult]) -> String {
    let each =
        |check: &CheckResult| json!({ "check": check.check, "verdict": check.verdict, "summary": check.summary });
    sha256(&canonical(&Value::Array(checks.iter().map(each).collect())))
}

/// Gives a line its digest.
fn sealed(fields: Value) -> Line {
    let digest = sha256(&canonical(&fields));
    with_digest(fields, &digest)
}

fn with_digest(mut fields: Value, digest: &str) -> Line {
    fields[DIGEST] = digest.into();
    Line { text: canonical(&fields), digest: digest.to_owned() }
}

/// Returns the canonical form of a value: keys sorted by their bytes, no spaces.
fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, out: &mut String) {
    // A text is written as JSON by its own Display.
    let quoted = |text: &str, out: &mut String| write!(out, "{}", Value::from(text)).unwrap_or_default();
    match value {
        Value::Object(fields) => {
            // Sorted here and not by the map, whose order may depend on how it was built.
            let sorted: BTreeMap<&str, &Value> = fields.iter().map(|(name, value)| (name.as_str(), value)).collect();
            for (at, (name, value)) in sorted.into_iter().enumerate() {
                out.push(if at == 0 { '{' } else { ',' });
                quoted(name, out);
                out.push(':');
                write_canonical(value, out);
            }
            out.push_str(if fields.is_empty() { "{}" } else { "}" });
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                out.push(if at == 0 { '[' } else { ',' });
                write_canonical(item, out);
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        plain => write!(out, "{plain}").unwrap_or_default(),
    }
}

/// Returns the SHA-256 of a text in hexadecimal digits.
fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap_or_default();
        hex
    })
}

#[cfg(test)]
mod tests;
