//! Metrics and their values in words.

use crate::model::metric::{self, Unit};
use crate::model::quantity::shown;

/// Returns a value of a metric in the unit that people read: `149 MiB`, `12.4 ms`, `1,204`.
pub(crate) fn of(metric: &str, value: f64) -> String {
    match metric::parse(metric) {
        Some((kind, _)) if kind.name.starts_with("io_") => format!("{}/s", shown(value, Unit::Bytes)),
        Some((kind, _)) => shown(value, kind.unit),
        None => shown(value, Unit::Count),
    }
}

/// Returns the part of a metric in words, or the kind if it has no parts.
pub(crate) fn part(metric: &str) -> String {
    match metric::parse(metric) {
        Some((kind, "")) => kind.words.to_owned(),
        Some((_, part)) => part.to_owned(),
        None => metric.to_owned(),
    }
}

/// Returns text with its first letter in upper case.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), chars.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_unit_of_their_metric() {
        let said = [of("io_read.target", 3e6), of("rss.target", 156_237_824.0), of("no metric", 7.0)];
        assert_eq!(said, ["2.86 MiB/s", "149 MiB", "7"]);
        assert_eq!((part("rss.worker-1").as_str(), part("converge").as_str()), ("worker-1", "time to converge"));
    }
}
