//! Values of metrics in the units that people read.

use crate::model::metric::{self, Unit};

const KIB: f64 = 1024.0;

/// Returns a number with three digits that count.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || !size.is_finite() {
        return if size == 0.0 { "0".to_owned() } else { "unknown".to_owned() };
    }
    if size >= 1000.0 {
        let text = crate::observe::report::words::number(size.round().min(1e18) as u64);
        return if value < 0.0 { format!("-{text}") } else { text };
    }
    let digits = (2 - size.log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Returns a value in its unit: `149 MiB`, `12.4 ms`, `1,204`.
pub(crate) fn value(value: f64, unit: Unit) -> String {
    let size = value.abs();
    let (scale, name) = match unit {
        Unit::Bytes => match size {
            size if size < 10.0 * KIB => (1.0, " bytes"),
            size if size < KIB * KIB => (KIB, " KiB"),
            size if size < KIB * KIB * KIB => (KIB * KIB, " MiB"),
            _ => (KIB * KIB * KIB, " GiB"),
        },
        Unit::Seconds => match size {
            size if size < 1e-3 => (1e-6, " µs"),
            size if size < 1.0 => (1e-3, " ms"),
            size if size < 180.0 => (1.0, " s"),
            size if size < 10_800.0 => (60.0, " min"),
            _ => (3600.0, " h"),
        },
        Unit::PerSecond => (1.0, " per s"),
        Unit::Share => (0.01, " %"),
        Unit::Count => (1.0, ""),
    };
    format!("{}{name}", short(value / scale))
}

/// Returns a value of a metric in the unit that people read.
pub(crate) fn of(metric: &str, n: f64) -> String {
    match metric::parse(metric) {
        Some((kind, _)) if kind.name.starts_with("io_") => format!("{} per s", value(n, Unit::Bytes)),
        _ => value(n, unit(metric)),
    }
}

/// Returns the unit of a metric; of an unknown one, that it counts.
pub(crate) fn unit(metric: &str) -> Unit {
    metric::parse(metric).map_or(Unit::Count, |(kind, _)| kind.unit)
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
    fn values_are_short_and_have_their_units() {
        let bytes = [0.0, 900.0, 20_480.0, 156_237_824.0, 3.2e9].map(|n| value(n, Unit::Bytes));
        assert_eq!(bytes, ["0 bytes", "900 bytes", "20 KiB", "149 MiB", "2.98 GiB"]);
        let seconds = [0.000_42, 0.012_34, 4.2, 600.0].map(|n| value(n, Unit::Seconds));
        assert_eq!(seconds, ["420 µs", "12.3 ms", "4.2 s", "10 min"]);
        assert_eq!([value(0.031, Unit::Share), of("io_read.target", 3e6)], ["3.1 %", "2.86 MiB per s"]);
        assert_eq!(value(-1_234_567.0, Unit::Count), "-1,234,567");
        assert_eq!([f64::NAN, f64::INFINITY, 999.6].map(short), ["unknown", "unknown", "1000"]);
        assert_eq!((part("rss.worker-1").as_str(), part("converge").as_str()), ("worker-1", "time to converge"));
    }
}
