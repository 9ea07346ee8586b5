//! The JSON report holds what its published schema says, no more and no less.

use serde_json::Value;

#[path = "../../../../tests/support/schema.rs"]
pub(crate) mod checker;

use super::*;
use checker::check;

const SCHEMA: &str = include_str!("../../../../deploy/report.schema.json");

fn faults(value: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut faults = Vec::new();
    check(&schema, &schema, value, "report", &mut faults);
    faults
}

#[test]
fn json_reports_follow_the_schema() {
    let mut running = failing();
    running.run.verdict = None;
    running.run.ended_ms = None;
    running.outages[0].until_ms = None;
    let figures = crate::model::lane::LaneFigures { acknowledged: 7, ms: 1000, ..Default::default() };
    running.lanes = [(crate::model::lane::Lane::Reader, figures)].into();
    running.lines = vec!["Total reads: 7".into()];
    for snapshot in [passing(), failing(), inconclusive(), running] {
        let value = serde_json::from_str(&render(&snapshot, Format::Json)).unwrap();
        assert_eq!(faults(&value), Vec::<String>::new());
    }
}

#[test]
fn the_schema_refuses_what_is_missing_unknown_or_of_another_kind() {
    let good: Value = serde_json::from_str(&render(&failing(), Format::Json)).unwrap();
    for (pointer, name) in [("", "run"), ("/run", "seed"), ("/derived", "reason"), ("/findings/0/first", "kind")] {
        let mut bad = good.clone();
        bad.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        assert_eq!(faults(&bad).len(), 1, "without {pointer}/{name}");
        let mut bad = good.clone();
        bad.pointer_mut(pointer).unwrap()["new"] = Value::from(1);
        assert_eq!(faults(&bad).len(), 1, "with {pointer}/new");
        let mut bad = good.clone();
        bad.pointer_mut(pointer).unwrap()[name] = Value::from(-1.5);
        assert!(!faults(&bad).is_empty(), "odd {pointer}/{name}");
    }
}
