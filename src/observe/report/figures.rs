//! Figures of metrics in the units that people read: `12.3 ms`, `61.4 MiB`, `+4.2 %`.

use crate::model::metric::{self, Unit};

/// Returns a value of a metric with its unit.
pub(crate) fn quantity(metric: &str, value: f64) -> String {
    let unit = metric::parse(metric).map_or(Unit::Count, |(kind, _)| kind.unit);
    let size = value.abs();
    match unit {
        Unit::Seconds if size >= 1.0 => format!("{} s", short(value)),
        Unit::Seconds if size >= 1e-3 || size == 0.0 => format!("{} ms", short(value * 1e3)),
        Unit::Seconds => format!("{} µs", short(value * 1e6)),
        Unit::Bytes if size >= 1e9 => format!("{} GiB", short(value / 1_073_741_824.0)),
        Unit::Bytes if size >= 1e6 => format!("{} MiB", short(value / 1_048_576.0)),
        Unit::Bytes => format!("{} KiB", short(value / 1024.0)),
        Unit::PerSecond => format!("{}/s", short(value)),
        Unit::Share => percent(value),
        Unit::Count => short(value),
    }
}

/// Returns a number with three digits that count.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 || size == 0.0 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Returns a share as a percentage.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 1000.0 {
        // What is beyond says no more than that it is not known.
        return ">1000 %".to_owned();
    }
    if percent.abs() < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// Returns a relative shift with its sign.
pub(crate) fn signed(share: f64) -> String {
    let text = percent(share);
    if share > 0.0 && !text.starts_with('>') { format!("+{text}") } else { text }
}

/// Returns a probability.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.0001 { "<0.0001".to_owned() } else { format!("{p:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_units_and_three_digits() {
        for (metric, value, text) in [
            ("latency_p99.sent", 0.012_345, "12.3 ms"),
            ("latency_p50.sent", 0.000_123_4, "123 µs"),
            ("converge", 2.5, "2.50 s"),
            ("converge", 0.0, "0 ms"),
            ("rss.target", 64_385_024.0, "61.4 MiB"),
            ("wal.target", 4096.0, "4.00 KiB"),
            ("throughput.sent", 1234.5, "1234/s"),
            ("errors", 0.05, "0.05"),
            ("cpu.target", 0.123, "12 %"),
        ] {
            assert_eq!(quantity(metric, value), text);
        }
        assert_eq!(
            [signed(0.123), signed(-0.0123), signed(0.0), signed(30.0)],
            ["+12 %", "-1.2 %", "0.0 %", ">1000 %"]
        );
        assert_eq!([p_value(0.0), p_value(0.04)], ["<0.0001", "0.0400"]);
    }
}
