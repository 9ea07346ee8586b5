//! Round ticks: of values in their units, and of times in a zone.

use chrono::{DateTime, NaiveDateTime, TimeZone};
use chrono_tz::Tz;

use super::Unit;

/// Ticks of a value axis at most, zero not counted.
const VALUE_TICKS: f64 = 4.0;
/// Ticks of a time axis at most.
const TIME_TICKS: i64 = 7;
const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Steps of a time axis.
const TIME_STEPS: [i64; 25] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    4 * DAY,
    7 * DAY,
    14 * DAY,
    28 * DAY,
    91 * DAY,
    364 * DAY,
];

/// A value axis from zero: what its labels count in, and its ticks in the unit of the data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Values {
    /// Stands above the axis: `s`, `MiB`, `rows/s`.
    pub(super) unit: &'static str,
    pub(super) ticks: Vec<f64>,
    /// What a label's number is divided by.
    scale: f64,
    decimals: usize,
}

impl Values {
    /// Lays out an axis that reaches `max`.
    pub(super) fn up_to(max: f64, unit: Unit) -> Self {
        let max = if max.is_finite() && max > 0.0 { max } else { 1.0 };
        let (name, scale) = scale(max, unit);
        let mut step = round_step(max / scale / VALUE_TICKS);
        if unit == Unit::Count && scale < 2.0 {
            step = step.max(1.0);
        }
        let decimals = if step >= 1.0 { 0 } else { (-step.log10().floor()).clamp(0.0, 6.0) as usize };
        let count = (max / scale / step - 1e-9).ceil().clamp(1.0, VALUE_TICKS + 2.0) as u32;
        let ticks = (0..=count).map(|at| f64::from(at) * step * scale).collect();
        Self { unit: name, ticks, scale, decimals }
    }

    /// Returns the value at the upper end.
    pub(super) fn top(&self) -> f64 {
        self.ticks.last().copied().unwrap_or(1.0)
    }

    /// Returns the label of a tick.
    pub(super) fn label(&self, tick: f64) -> String {
        format!("{:.*}", self.decimals, tick / self.scale)
    }
}

/// Returns the name of the unit that values up to `max` are read in, and how much one of it is.
fn scale(max: f64, unit: Unit) -> (&'static str, f64) {
    const KIB: f64 = 1024.0;
    // Name, size, and the largest value from which on it is used.
    let units: &[(&'static str, f64, f64)] = match unit {
        Unit::Count => &[("", 1.0, 0.0), ("thousand", 1e3, 1.5e4), ("million", 1e6, 1.5e6)],
        Unit::PerSecond => &[("per s", 1.0, 0.0), ("thousand per s", 1e3, 1.5e4), ("million per s", 1e6, 1.5e6)],
        Unit::Seconds => {
            &[("s", 1.0, 0.0), ("min", 60.0, 180.0), ("h", 3600.0, 10_800.0), ("days", 86_400.0, 259_200.0)]
        }
        Unit::Bytes => &[
            ("bytes", 1.0, 0.0),
            ("KiB", KIB, 1.5 * KIB),
            ("MiB", KIB * KIB, 1.5 * KIB * KIB),
            ("GiB", KIB * KIB * KIB, 1.5 * KIB * KIB * KIB),
            ("TiB", KIB * KIB * KIB * KIB, 1.5 * KIB * KIB * KIB * KIB),
        ],
    };
    let (name, size, _) = units.iter().rev().find(|(_, _, from)| max >= *from).unwrap_or(&units[0]);
    (name, *size)
}

/// Returns the smallest of 1, 2, 5, 10 … that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let fits = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= least * (1.0 - 1e-9));
    fits.unwrap_or(10.0) * power
}

/// Returns moments between two others that are round in a zone, with their labels.
pub(super) fn times(from_ms: i64, until_ms: i64, zone: Tz) -> Vec<(i64, String)> {
    let span = until_ms.saturating_sub(from_ms).max(1);
    let step = TIME_STEPS.into_iter().find(|step| span / step <= TIME_TICKS).unwrap_or(span / TIME_TICKS);
    let Some(first) = local(from_ms, zone) else { return Vec::new() };
    let begin = first.and_utc().timestamp_millis().div_euclid(step) * step;
    let mut ticks: Vec<(i64, String)> = Vec::new();
    for at in (0..TIME_TICKS + 3).map(|n| begin.saturating_add(n * step)) {
        let Some(naive) = DateTime::from_timestamp_millis(at).map(|at| at.naive_utc()) else { break };
        // A local time that a clock change leaves out has no tick.
        let Some(moment) = zone.from_local_datetime(&naive).earliest() else { continue };
        let ms = moment.timestamp_millis();
        if (from_ms..=until_ms).contains(&ms) && ticks.last().is_none_or(|(last, _)| *last < ms) {
            ticks.push((ms, time_label(naive, step)));
        }
    }
    ticks
}

fn local(ms: i64, zone: Tz) -> Option<NaiveDateTime> {
    Some(DateTime::from_timestamp_millis(ms)?.with_timezone(&zone).naive_local())
}

/// Returns the label of a round time; midnight is the day that it begins.
fn time_label(at: NaiveDateTime, step: i64) -> String {
    let midnight = at.format("%H:%M:%S").to_string() == "00:00:00";
    let form = match step {
        step if step >= 28 * DAY => "%b %Y",
        step if step >= DAY || midnight => "%-d %b",
        step if step >= MINUTE => "%H:%M",
        _ => "%H:%M:%S",
    };
    at.format(form).to_string()
}
