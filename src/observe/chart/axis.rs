//! Round ticks: of values in their units, and of times in a zone.

use chrono::{DateTime, NaiveDateTime, TimeZone};
use chrono_tz::Tz;

use super::{Scale, Unit};

/// Ticks of a value axis at most, zero not counted.
const VALUE_TICKS: f64 = 4.0;
/// Ticks of a time axis at most.
const TIME_TICKS: i64 = 8;
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

/// Values that vary by less than this part of the largest are shown near by, where that is asked for.
const NEAR: f64 = 0.1;
/// Values that differ by more than this factor are shown by their ratio, where that is asked for.
const RATIO: f64 = 20.0;
/// Larger values are drawn at the upper end.
const LARGEST: f64 = 1e300;
/// Decades of a logarithmic axis at most; what is below is drawn at its lower end.
const DECADES_MAX: f64 = 6.0;

/// A value axis: what its labels count in, and its ticks in the unit of the data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Values {
    /// Stands above the axis: `s`, `MiB`, `per s`.
    pub(super) unit: &'static str,
    pub(super) ticks: Vec<f64>,
    /// True if equal lengths are equal ratios; each label then has its own unit.
    pub(super) logarithmic: bool,
    /// What a label's number is divided by.
    scale: f64,
    decimals: usize,
    of: Unit,
}

impl Values {
    /// Lays out an axis for values of which all or none lie near each other.
    pub(super) fn laid_out(least: f64, most: f64, unit: Unit, scale: Scale) -> Self {
        let sound = least.is_finite() && most.is_finite() && least > 0.0 && most > least;
        match scale {
            Scale::Near if sound && (most - least) / most < NEAR => Self::near(least, most, unit),
            Scale::Ratio if sound && most / least > RATIO => Self::ratio(least, most, unit),
            _ => Self::up_to(most, unit),
        }
    }

    /// Lays out an axis from zero that reaches `max`.
    pub(super) fn up_to(max: f64, unit: Unit) -> Self {
        let max = if max.is_finite() && max > 0.0 { max.min(LARGEST) } else { 1.0 };
        let (name, scale) = scale(max, unit);
        let mut step = round_step(max / scale / VALUE_TICKS);
        if unit == Unit::Count && scale < 2.0 {
            step = step.max(1.0);
        }
        let count = (max / scale / step - 1e-9).ceil().clamp(1.0, VALUE_TICKS + 2.0) as u32;
        let ticks = (0..=count).map(|at| f64::from(at) * step * scale).collect();
        Self { unit: name, ticks, logarithmic: false, scale, decimals: decimals(step), of: unit }
    }

    fn near(least: f64, most: f64, unit: Unit) -> Self {
        let (name, scale) = scale(most, unit);
        let mut step = round_step((most - least) / scale / VALUE_TICKS);
        if unit == Unit::Count && scale < 2.0 {
            step = step.max(1.0);
        }
        let from = (least / scale / step + 1e-9).floor();
        let count = (most / scale / step - from - 1e-9).ceil().clamp(1.0, VALUE_TICKS + 2.0) as u32;
        let ticks = (0..=count).map(|at| (from + f64::from(at)) * step * scale).collect();
        Self { unit: name, ticks, logarithmic: false, scale, decimals: decimals(step), of: unit }
    }

    fn ratio(least: f64, most: f64, unit: Unit) -> Self {
        let top = (most.log10() - 1e-9).ceil().clamp(-300.0, 300.0);
        let bottom = (least.log10() + 1e-9).floor().clamp(top - DECADES_MAX, top - 1.0);
        let count = (top - bottom) as i32;
        let ticks = (0..=count).map(|at| 10f64.powf(bottom + f64::from(at))).collect();
        Self { unit: "logarithmic", ticks, logarithmic: true, scale: 1.0, decimals: 0, of: unit }
    }

    /// Returns the value at the lower end.
    pub(super) fn bottom(&self) -> f64 {
        self.ticks.first().copied().unwrap_or(0.0)
    }

    /// Returns the value at the upper end.
    pub(super) fn top(&self) -> f64 {
        self.ticks.last().copied().unwrap_or(1.0)
    }

    /// Returns where a value lies between the lower end, 0, and the upper one, 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        let (bottom, top) = (self.bottom(), self.top());
        let part = if self.logarithmic {
            (value.max(bottom) / bottom).ln() / (top / bottom).ln()
        } else {
            (value - bottom) / (top - bottom)
        };
        part.clamp(0.0, 1.0)
    }

    /// Returns the label of a tick.
    pub(super) fn label(&self, tick: f64) -> String {
        if self.logarithmic {
            // Up to where units are powers of ten.
            let (name, size) = scale((tick * 1.5001).min(150.0), self.of);
            let n = tick / size;
            return if n > 0.9 { format!("{n:.0} {name}") } else { format!("{n:.3} {name}") }.trim_end().to_owned();
        }
        format!("{:.*}", self.decimals, tick / self.scale)
    }

    /// Returns what stands above the axis.
    pub(super) fn caption(&self) -> String {
        match (self.unit, self.of) {
            ("", Unit::Count) => "count".to_owned(),
            (unit, _) if !self.logarithmic && self.bottom() > 0.0 => {
                format!("{unit} (axis begins at {})", self.label(self.bottom())).trim_start().to_owned()
            }
            (unit, _) => unit.to_owned(),
        }
    }
}

fn decimals(step: f64) -> usize {
    if step >= 1.0 { 0 } else { (-step.log10().floor()).clamp(0.0, 6.0) as usize }
}

/// Returns the name of the unit that values up to `max` are read in, and how much one of it is.
fn scale(max: f64, unit: Unit) -> (&'static str, f64) {
    const KIB: f64 = 1024.0;
    const MIB: f64 = KIB * KIB;
    const GIB: f64 = KIB * MIB;
    // Name, size, and the largest value from which on it is used.
    let units: &[(&'static str, f64, f64)] = match unit {
        Unit::Count => &[("", 1.0, 0.0), ("thousand", 1e3, 1.5e4), ("million", 1e6, 1.5e6)],
        Unit::PerSecond => &[("per s", 1.0, 0.0), ("thousand per s", 1e3, 1.5e4), ("million per s", 1e6, 1.5e6)],
        Unit::Share => &[("%", 0.01, 0.0)],
        Unit::Seconds => &[
            ("µs", 1e-6, 0.0),
            ("ms", 1e-3, 1.5e-3),
            ("s", 1.0, 1.5),
            ("min", 60.0, 180.0),
            ("h", 3600.0, 10_800.0),
            ("days", 86_400.0, 259_200.0),
        ],
        Unit::Bytes => &[
            ("bytes", 1.0, 0.0),
            ("KiB", KIB, 1.5 * KIB),
            ("MiB", MIB, 1.5 * MIB),
            ("GiB", GIB, 1.5 * GIB),
            ("TiB", KIB * GIB, 1.5 * KIB * GIB),
        ],
        Unit::BytesPerSecond => &[
            ("bytes per s", 1.0, 0.0),
            ("KiB per s", KIB, 1.5 * KIB),
            ("MiB per s", MIB, 1.5 * MIB),
            ("GiB per s", GIB, 1.5 * GIB),
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

/// Returns moments between two others that are round in a zone, with their labels; about as many as there is room for.
pub(super) fn times((from_ms, until_ms): (i64, i64), zone: Tz, room: f64) -> Vec<(i64, String)> {
    let most = (room as i64).clamp(2, TIME_TICKS);
    let span = until_ms.saturating_sub(from_ms).max(1);
    let step = TIME_STEPS.into_iter().find(|step| span / step <= most).unwrap_or(span / most);
    let Some(first) = local(from_ms, zone) else { return Vec::new() };
    let begin = first.and_utc().timestamp_millis().div_euclid(step) * step;
    let mut ticks: Vec<(i64, String)> = Vec::new();
    for at in (0..most + 3).map(|n| begin.saturating_add(n * step)) {
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
