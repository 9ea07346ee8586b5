//! The text form of Prometheus before OpenMetrics, made from the latter.

/// Turns OpenMetrics into the older form: there a counter's HELP and TYPE bear the name of its sample.
pub(super) fn plain(openmetrics: &str) -> String {
    let mut out = String::with_capacity(openmetrics.len());
    let mut lines = openmetrics.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("# EOF") || line.starts_with("# UNIT ") {
            continue;
        }
        let counter = |name: &str, kind: &str| kind.strip_prefix("# TYPE ") == Some(&format!("{name} counter"));
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            let total = lines.peek().is_some_and(|next| counter(name, next));
            out.push_str(&format!("# HELP {name}{} {help}\n", if total { "_total" } else { "" }));
            continue;
        }
        match line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            Some((name, "counter")) => out.push_str(&format!("# TYPE {name}_total counter\n")),
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}
