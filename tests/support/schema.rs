//! Checks values against the part of JSON Schema that the published descriptions use; any other keyword is an error.

use serde_json::Value;

/// The part of JSON Schema that is checked.
const KEYWORDS: [&str; 13] = [
    "$schema",
    "$id",
    "$defs",
    "title",
    "description",
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "const",
    "minimum",
    "additionalProperties",
];

/// Returns true if the value is of one of the types that a schema names.
fn is_of(value: &Value, kind: &Value) -> bool {
    let kinds: Vec<&str> = match kind {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    kinds.iter().any(|kind| match *kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("type {other}"),
    })
}

/// Notes where a value differs from a schema within `root`.
pub(crate) fn check(schema: &Value, root: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let mut fault = |what: String| faults.push(format!("{at}: {what}"));
    let fields = schema.as_object().unwrap();
    if let Some(name) = fields.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(name.strip_prefix('#').unwrap()).unwrap();
        return check(target, root, value, at, faults);
    }
    for keyword in fields.keys() {
        assert!(KEYWORDS.contains(&keyword.as_str()), "keyword {keyword} is not checked");
    }
    if let Some(kind) = fields.get("type").filter(|kind| !is_of(value, kind)) {
        fault(format!("is not {kind}"));
    }
    if fields.get("enum").is_some_and(|all| !all.as_array().unwrap().contains(value)) {
        fault(format!("{value} is not listed"));
    }
    if fields.get("const").is_some_and(|one| one != value) {
        fault(format!("{value} is not the constant"));
    }
    if let (Some(least), Some(n)) = (fields.get("minimum").and_then(Value::as_f64), value.as_f64())
        && n < least
    {
        fault(format!("{n} is below {least}"));
    }
    match value {
        Value::Object(members) => {
            for name in fields.get("required").and_then(Value::as_array).into_iter().flatten() {
                if !members.contains_key(name.as_str().unwrap()) {
                    fault(format!("{name} is missing"));
                }
            }
            for (name, member) in members {
                let known = fields.get("properties").and_then(|all| all.get(name));
                match known.or(fields.get("additionalProperties")) {
                    Some(Value::Bool(true)) => {}
                    None | Some(Value::Bool(false)) => faults.push(format!("{at}: {name} is not in the schema")),
                    Some(schema) => check(schema, root, member, &format!("{at}.{name}"), faults),
                }
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                check(&fields["items"], root, item, &format!("{at}[{n}]"), faults);
            }
        }
        _ => {}
    }
}
