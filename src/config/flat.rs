//! The whole effective configuration as keys and values: what a run keeps to tell whether it is still the same test.
//!
//! Secrets appear as their references. Keys that may change in the middle of a run are left out: see [`MAY_CHANGE`].

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Config, keys};

/// Keys, or sections ending in a dot, that may change without a new run.
///
/// Where the state is kept, what the run is called and what is logged do not touch what is tested; and a run may be
/// made longer or shorter while it is under way.
pub const MAY_CHANGE: &[&str] = &[
    "run.state_dir",
    "run.name",
    "run.cycles",
    "run.duration",
    "run.until",
    "run.pause",
    "run.quiet",
    "run.zone",
    "run.stop_on_fail",
    "observe.",
    "schedule.",
    "notify.",
    "api.",
    "limits.",
    "retention.",
    "log.",
];

/// Returns key and value of every setting that makes a run what it is.
pub fn flatten(config: &Config) -> BTreeMap<String, String> {
    let mut flat = everything(config);
    flat.retain(|key, _| !keys::covers(MAY_CHANGE, key));
    flat
}

/// Returns key and value of every setting that has a value.
pub fn everything(config: &Config) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    // Every field serializes to JSON: numbers are finite after validation, and map keys are texts.
    let tree = serde_json::to_value(config).unwrap_or(Value::Null);
    collect("", &tree, &mut flat);
    flat
}

fn collect(path: &str, value: &Value, flat: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Object(map) => {
            for (name, inner) in map {
                let full = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(&full, inner, flat);
            }
        }
        Value::String(text) => {
            flat.insert(path.to_owned(), text.clone());
        }
        other => {
            flat.insert(path.to_owned(), other.to_string());
        }
    }
}

/// Returns the keys that differ, with the old and the new value; `(not set)` stands for a key without one.
pub fn differing(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<(String, String, String)> {
    let shown = |value: Option<&String>| value.map_or_else(|| "(not set)".to_owned(), String::clone);
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| (key.clone(), shown(old.get(key)), shown(new.get(key))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Span;

    #[test]
    fn what_may_change_makes_no_difference() {
        let old = Config::default();
        let mut new = Config::default();
        new.run.name = "other".into();
        new.run.state_dir = "/elsewhere".into();
        new.run.cycles = Some(9);
        new.run.duration = Some(Span::from_secs(9));
        new.log.level = "debug".into();
        assert_eq!(differing(&flatten(&old), &flatten(&new)), vec![]);
    }

    #[test]
    fn differences_name_key_and_both_values() {
        let old = Config::default();
        let mut new = Config::default();
        new.run.seed = Some(7);
        new.timeouts.busy = Span::from_millis(1_500);
        let expected = vec![
            ("run.seed".to_owned(), "(not set)".to_owned(), "7".to_owned()),
            ("timeouts.busy".to_owned(), "5s".to_owned(), "1s500ms".to_owned()),
        ];
        assert_eq!(differing(&flatten(&old), &flatten(&new)), expected);
    }

    #[test]
    fn a_change_of_target_is_seen() {
        let old = Config::default();
        let text = "[target.embedded]\nstore = { postgres = { env = \"DB\" } }\n";
        let new = Config::parse(text, "/c.toml").expect("a good configuration").config;
        let keys: Vec<String> = differing(&flatten(&old), &flatten(&new)).into_iter().map(|d| d.0).collect();
        assert_eq!(keys, ["target.embedded.store", "target.embedded.store.postgres.env"]);
    }
}
