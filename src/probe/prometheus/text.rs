//! The text format: `name{label="value"} number`, with `# TYPE name counter` before it. Pure.

/// A metric that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    /// Only series with this label count, as in `("area", "heap")`.
    pub label: Option<(&'static str, &'static str)>,
}

impl Wanted {
    /// Asks for all series of a name.
    pub fn all(name: impl Into<String>) -> Self {
        Self { name: name.into(), label: None }
    }
}

/// The sum of the series of one wanted metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Which of the wanted ones it is.
    pub wanted: usize,
    pub value: f64,
    /// It only ever grows, so that its rate is what says something.
    pub counter: bool,
}

/// Reads an answer; `None` if not a single line of it is a metric. Lines that are none are passed over, and so is a value
/// that is no number.
pub fn parse(text: &str, wanted: &[Wanted]) -> Option<Vec<Family>> {
    let mut found: Vec<Family> = Vec::new();
    let mut counters: Vec<usize> = Vec::new();
    let mut any = false;
    for line in text.lines() {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            let mut words = comment.split_whitespace();
            if let (Some("TYPE"), Some(name), Some("counter")) = (words.next(), words.next(), words.next()) {
                let same = |wanted: &Wanted| wanted.name == name || wanted.name.strip_suffix("_total") == Some(name);
                counters.extend(wanted.iter().enumerate().filter(|(_, wanted)| same(wanted)).map(|(at, _)| at));
            }
            continue;
        }
        let Some((name, labels, value)) = series(line) else { continue };
        any = true;
        for (at, wanted) in wanted.iter().enumerate().filter(|(_, wanted)| wanted.name == name) {
            let fits = wanted.label.is_none_or(|(label, value)| has(labels, label, value));
            if !fits || !value.is_finite() {
                continue;
            }
            match found.iter_mut().find(|family| family.wanted == at) {
                Some(family) => family.value += value,
                None => {
                    let counter = counters.contains(&at) || wanted.name.ends_with("_total");
                    found.push(Family { wanted: at, value, counter });
                }
            }
        }
    }
    any.then_some(found)
}

/// Splits a line into name, labels and value.
fn series(line: &str) -> Option<(&str, &str, f64)> {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).filter(|end| *end > 0)?;
    let (name, rest) = line.split_at(end);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inner) => {
            let end = end_of_labels(inner)?;
            (&inner[..end], &inner[end + 1..])
        }
        None => ("", rest.strip_prefix(|c: char| c.is_whitespace()).map(|_| rest)?),
    };
    let number = rest.split_whitespace().next()?;
    let value = match number {
        "+Inf" | "-Inf" | "NaN" | "Nan" => f64::NAN,
        number => number.parse().ok()?,
    };
    Some((name, labels, value))
}

/// Returns where the labels end: at the first closing brace outside of quotes.
fn end_of_labels(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Returns true if a label has this value; values that are asked for hold nothing that would be escaped.
fn has(labels: &str, label: &str, value: &str) -> bool {
    let pair = format!("{label}=\"{value}\"");
    labels.match_indices(&pair).any(|(at, _)| {
        let before = labels[..at].trim_end();
        before.is_empty() || before.ends_with(',')
    })
}
