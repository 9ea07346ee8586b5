//! Measured values in the form that people read, by what they count in.

use super::metric::Unit;

/// Returns what the figures of a criterion count in, and whether they are meant per hour.
pub fn of_criterion(criterion: &str) -> (Unit, bool) {
    match criterion {
        "memory_slope" | "wal_slope" | "database_slope" => (Unit::Bytes, true),
        "memory_step" | "memory_ceiling" => (Unit::Bytes, false),
        "descriptors_slope" => (Unit::Count, true),
        "p99" | "converge" => (Unit::Seconds, false),
        "success_share" | "p99_drift" | "throughput_drift" => (Unit::Share, false),
        _ => (Unit::Count, false),
    }
}

/// Returns a figure of a criterion with its unit: `3.1 MiB/h`.
pub fn figure(criterion: &str, value: f64) -> String {
    match of_criterion(criterion) {
        (unit, true) => format!("{}/h", shown(value, unit)),
        (unit, false) => shown(value, unit),
    }
}

/// Returns a value with its unit: `3.1 MiB`, `12`, `250 ms`, `99.4 %`.
pub fn shown(value: f64, unit: Unit) -> String {
    if !value.is_finite() {
        return "unknown".to_owned();
    }
    match unit {
        Unit::Bytes => bytes(value),
        Unit::Count => number(value),
        Unit::PerSecond => format!("{}/s", number(value)),
        Unit::Seconds if value.abs() < 1.0 => format!("{} ms", number(value * 1000.0)),
        Unit::Seconds => format!("{} s", number(value)),
        // The nines are what matters near 1.
        Unit::Share if (0.99..1.0).contains(&value) => {
            format!("{} %", trimmed(&format!("{:.3}", (value * 1e5 + 1e-6).floor() / 1e3)))
        }
        Unit::Share => format!("{} %", number(value * 100.0)),
    }
}

fn bytes(value: f64) -> String {
    const UNITS: [(&str, f64); 4] =
        [("TiB", 1_099_511_627_776.0), ("GiB", 1_073_741_824.0), ("MiB", 1_048_576.0), ("KiB", 1024.0)];
    let (unit, size) = UNITS.into_iter().find(|(_, size)| value.abs() >= *size).unwrap_or(("B", 1.0));
    format!("{} {unit}", number(value / size))
}

/// Returns a number with three digits that count: `0.042`, `3.1`, `12,345`.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 {
        let digits = format!("{size:.0}");
        let grouped: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().filter_map(|c| std::str::from_utf8(c).ok()).collect();
        return format!("{}{}", if value < 0.0 { "-" } else { "" }, grouped.join(","));
    }
    let decimals = match size {
        0.0 => 0,
        size if size >= 100.0 => 0,
        size => (2 - size.log10().floor() as i32).clamp(0, 6) as usize,
    };
    let text = format!("{value:.decimals$}");
    match trimmed(&text) {
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

/// Returns decimals without zeros at their end.
fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_and_have_their_unit() {
        assert_eq!(
            [0.0, 0.042_31, 3.17159, 99.96, 250.4, 12_345.6, -1_234.0].map(number),
            ["0", "0.0423", "3.17", "100", "250", "12,346", "-1,234"]
        );
        assert_eq!(figure("memory_slope", 3.1 * 1_048_576.0), "3.1 MiB/h");
        assert_eq!(figure("memory_slope", -2048.0), "-2 KiB/h");
        assert_eq!(figure("p99", 0.25), "250 ms");
        assert_eq!(figure("success_share", 0.999_996), "99.999 %");
        assert_eq!(figure("success_share", 0.99), "99 %");
        assert_eq!(figure("p99_drift", 0.1), "10 %");
        assert_eq!(figure("disconnects", 12.0), "12");
        assert_eq!(shown(f64::NAN, Unit::Bytes), "unknown");
        assert_eq!(number(-0.000_000_01), "0");
    }
}
