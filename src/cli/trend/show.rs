//! What a trend looks like: for people, and as JSON for programs.

use std::fmt::Write;

use serde_json::json;

use super::Unit;
use super::input::Input;
use crate::observe::report::words::{count, duration, moment, number as whole};
use crate::stats::trend::{Limits, Outcome, Trend};

/// Steps that are listed.
const STEPS_MAX: usize = 8;
/// Usual distances of two samples that make a gap worth a line.
const GAP_MIN: i64 = 10;

/// A trend on its way to somebody.
pub(super) struct Shown<'a> {
    pub name: &'a str,
    pub trend: &'a Trend,
    pub limits: &'a Limits,
}

/// Returns a number with three significant digits.
fn short(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "unknown".to_owned();
    }
    if size >= 1e15 || (size > 0.0 && size < 1e-6) {
        return format!("{value:.2e}");
    }
    let digits = if size >= 100.0 || size == 0.0 { 0 } else { (2 - size.log10().floor() as i32).clamp(0, 9) as usize };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

impl Unit {
    /// Returns a value with its unit; bytes in the largest unit that fits.
    fn show(self, value: f64) -> String {
        const SIZES: [(f64, &str); 4] = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
        match self {
            _ if !value.is_finite() => "unknown".to_owned(),
            Self::None => short(value),
            Self::Mb => format!("{} MB", short(value)),
            Self::Bytes => SIZES.iter().find(|(size, _)| value.abs() >= *size).map_or_else(
                || format!("{} B", short(value)),
                |(size, name)| format!("{} {name}", short(value / size)),
            ),
        }
    }

    /// Returns growth with its unit.
    fn rate(self, value: f64) -> String {
        format!("{} per hour", self.show(value))
    }
}

impl Shown<'_> {
    fn word(&self) -> &'static str {
        match self.trend.outcome {
            Outcome::Steady => "steady",
            Outcome::Growing => "growing",
            Outcome::Stepped => "stepped",
            Outcome::TooLittle => "too little",
        }
    }

    /// Returns the answer for people.
    pub(super) fn text(&self, input: &Input, unit: Unit) -> String {
        let mut text = format!("{}: {}\n{}\n\n", self.name, self.word().to_uppercase(), sentence(&self.said(unit)));
        for (name, what) in self.lines(unit) {
            let _ = writeln!(text, "  {name:<12} {what}");
        }
        for note in notes(input) {
            let _ = writeln!(text, "  {:<12} {note}", "note");
        }
        let _ = writeln!(text, "  {:<12} {}", "next", self.next());
        text
    }

    /// Returns the sentence about the series, with units where values have one.
    fn said(&self, unit: Unit) -> String {
        let (trend, limits) = (self.trend, self.limits);
        let limit = unit.rate(limits.slope_per_h);
        match trend.outcome {
            Outcome::Growing if unit != Unit::None => {
                format!("grows by {}, more than the limit of {limit}", unit.rate(trend.slope_per_h))
            }
            Outcome::Steady if unit != Unit::None => format!("does not grow by more than {limit}"),
            Outcome::Stepped if unit != Unit::None => {
                let size = trend.steps.iter().map(|step| step.size).fold(0.0, f64::max);
                format!("rose by {} at once, more than the limit of {}", unit.show(size), unit.show(limits.step))
            }
            Outcome::TooLittle if unit != Unit::None && trend.slope_per_h.is_finite() => {
                "whether it grows cannot be told from what was seen".to_owned()
            }
            _ => trend.why.clone(),
        }
    }

    fn lines(&self, unit: Unit) -> Vec<(&'static str, String)> {
        let Trend { slope_per_h, slope_low, slope_high, p, samples, samples_used, effective, .. } = *self.trend;
        let span = duration(u64::try_from(self.trend.span_ms).unwrap_or(0));
        let mut lines = vec![(
            "samples",
            format!(
                "{} of {} over {span}, worth {} independent ones",
                whole(samples_used as u64),
                whole(samples as u64),
                short(effective)
            ),
        )];
        if slope_per_h.is_finite() {
            let confidence = short(100.0 * (1.0 - self.limits.alpha));
            let interval = format!("{} to {}, {confidence} % confidence", unit.show(slope_low), unit.show(slope_high));
            lines.push(("growth", format!("{} ({interval}), p = {}", unit.rate(slope_per_h), short(p))));
            lines.push(("limit", unit.rate(self.limits.slope_per_h)));
            let found = format!(
                "growth of {} would have been found nine times out of ten",
                unit.rate(self.trend.detectable_per_h)
            );
            lines.push(("sensitivity", found));
        }
        if let Some(until) = self.trend.warm_up_until_ms {
            lines.push(("warm-up", format!("until {}", moment(until))));
        }
        for step in self.trend.steps.iter().take(STEPS_MAX) {
            let sign = if step.size > 0.0 { "+" } else { "" };
            lines.push(("step", format!("{sign}{} at {}", unit.show(step.size), moment(step.at_ms))));
        }
        if self.trend.steps.len() > STEPS_MAX {
            lines.push(("step", format!("{} more", self.trend.steps.len() - STEPS_MAX)));
        }
        if let Some(length) = self.trend.saw_tooth {
            lines.push(("saw-tooth", format!("about {} samples from one trough to the next", short(length))));
        }
        if self.trend.epochs > 1 {
            lines.push(("epochs", format!("{}, never compared with each other", whole(self.trend.epochs as u64))));
        }
        lines.extend(self.forecast(unit).map(|forecast| ("forecast", forecast)));
        lines
    }

    fn forecast(&self, unit: Unit) -> Option<String> {
        let ceiling = unit.show(self.limits.ceiling?);
        let last_ms = self.trend.line.last()?.until_ms;
        Some(match self.trend.reaches_ms {
            Some(at) if at <= last_ms => format!("has reached {ceiling}"),
            Some(at) => {
                format!("reaches {ceiling} in {} ({})", duration(u64::try_from(at - last_ms).unwrap_or(0)), moment(at))
            }
            None => format!("does not reach {ceiling} as far as can be seen"),
        })
    }

    /// Returns what to do next.
    fn next(&self) -> &'static str {
        match self.trend.outcome {
            Outcome::Steady => "nothing; a longer series sees smaller leaks",
            Outcome::Growing => "compare heap profiles an hour apart, and see what the process does in each cycle",
            Outcome::Stepped => "see what happened at the step: a deployment, a new load, a cache that was filled",
            Outcome::TooLittle => "measure longer, or at quiet moments only: once per cycle, when the load has ended",
        }
    }

    /// Returns the answer for programs.
    pub(super) fn json(&self, input: &Input, unit: Unit) -> String {
        let trend = self.trend;
        let stamp = |ms: i64| chrono::DateTime::from_timestamp_millis(ms).map(|at| at.to_rfc3339());
        let steps: Vec<_> =
            trend.steps.iter().map(|step| json!({"at": stamp(step.at_ms), "size": step.size})).collect();
        let line = trend.line.iter().map(|part| {
            json!({"from": stamp(part.from_ms), "until": stamp(part.until_ms), "from_value": part.from, "until_value": part.until})
        });
        let limits = self.limits;
        let value = json!({
            "format": 1,
            "series": self.name,
            "outcome": self.word().replace(' ', "_"),
            "why": trend.why,
            "unit": match unit { Unit::Bytes => Some("bytes"), Unit::Mb => Some("MB"), Unit::None => None },
            "slope_per_h": trend.slope_per_h,
            "slope_low": trend.slope_low,
            "slope_high": trend.slope_high,
            "p": trend.p,
            "detectable_per_h": trend.detectable_per_h,
            "samples": trend.samples,
            "samples_used": trend.samples_used,
            "effective": trend.effective,
            "span_ms": trend.span_ms,
            "epochs": trend.epochs,
            "warm_up_until": trend.warm_up_until_ms.and_then(stamp),
            "steps": steps,
            "saw_tooth": trend.saw_tooth,
            "reaches_ceiling": trend.reaches_ms.and_then(stamp),
            "line": line.collect::<Vec<_>>(),
            "limits": {
                "slope_per_h": limits.slope_per_h,
                "step": limits.step.is_finite().then_some(limits.step),
                "ceiling": limits.ceiling,
                "alpha": limits.alpha,
            },
            "input": {
                "lines": input.lines,
                "bad": input.bad,
                "missing": input.missing,
                "phase": input.phase,
                "unsorted": input.unsorted,
                "kept_one_in": input.stride,
            },
        });
        format!("{value:#}\n")
    }
}

/// Returns a sentence that begins and ends as one.
fn sentence(why: &str) -> String {
    let mut letters = why.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

/// Returns what is odd about an input.
fn notes(input: &Input) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(phase) = &input.phase {
        notes.push(format!("only samples of phase \"{phase}\" are judged"));
    }
    if input.stride > 1 {
        notes.push(format!("of {} one in {} is used", count(input.lines, "line"), whole(input.stride)));
    }
    if input.missing > 0 {
        notes.push(format!("{} without a finite value left out", count(input.missing, "line")));
    }
    if input.bad > 0 {
        notes.push(format!("{} could not be read and left out:", count(input.bad, "line")));
        notes.extend(input.shown.iter().cloned());
    }
    if input.unsorted {
        notes.push("the lines were not in the order of time, and have been sorted".to_owned());
    }
    notes.extend(gap(input));
    notes
}

/// Returns a word about the longest gap of a series, if it is long.
fn gap(input: &Input) -> Option<String> {
    let mut at: Vec<(u32, i64)> = input.samples.iter().map(|sample| (sample.epoch, sample.at_ms)).collect();
    at.sort_unstable();
    let mut apart: Vec<(i64, i64)> =
        at.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| (pair[1].1 - pair[0].1, pair[0].1)).collect();
    apart.sort_unstable();
    let usual = apart.get(apart.len() / 2)?.0;
    let (longest, from) = *apart.last()?;
    let long = usual > 0 && longest > usual.saturating_mul(GAP_MIN);
    long.then(|| {
        format!("the longest gap is {}, from {} on", duration(u64::try_from(longest).unwrap_or(0)), moment(from))
    })
}
