//! One sentence about a series, in plain numbers: the caller knows their unit.

use super::verdict::USED_MIN;
use super::{Limits, Outcome, Trend};

/// Returns a number as short as it can be understood.
fn number(value: f64) -> String {
    let size = value.abs();
    let digits = if size >= 100.0 || size == 0.0 { 0 } else { (2 - size.log10().floor() as i32).clamp(0, 9) as usize };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Returns a time as people say it.
fn span(ms: i64) -> String {
    let hours = ms as f64 / 3.6e6;
    match hours {
        h if h < 2.0 => format!("{} min", (h * 60.0).round()),
        h if h < 96.0 => format!("{} h", number(h)),
        h => format!("{} days", number(h / 24.0)),
    }
}

/// Returns what a verdict is based on.
fn basis(trend: &Trend) -> String {
    let lives = if trend.epochs > 1 { format!(" in {} lives", trend.epochs) } else { String::new() };
    format!("{} samples over {}{lives}", trend.samples, span(trend.span_ms))
}

/// Says that there is too little to compute with.
pub(super) fn too_few(trend: &Trend) -> String {
    match trend.samples {
        0 => "there is no sample with a finite value".to_owned(),
        1 => "one sample is too little to tell anything".to_owned(),
        _ => format!("{} are too little to tell anything", basis(trend)),
    }
}

/// Says what a series does and what that is based on.
pub(super) fn why(trend: &Trend, limits: &Limits) -> String {
    let confidence = number(100.0 * (1.0 - limits.alpha));
    let interval = format!("{} to {}, {confidence} % confidence", number(trend.slope_low), number(trend.slope_high));
    match trend.outcome {
        Outcome::Growing => format!(
            "grows {} per hour ({interval}), more than the limit of {}; {}",
            number(trend.slope_per_h),
            number(limits.slope_per_h),
            basis(trend)
        ),
        Outcome::Stepped => {
            let size = trend.steps.iter().map(|step| step.size).fold(0.0, f64::max);
            format!(
                "rose by {} at once, more than the limit of {}; {}",
                number(size),
                number(limits.step),
                basis(trend)
            )
        }
        Outcome::Steady => format!(
            "does not grow by more than {} per hour ({} per hour, {interval}); {}",
            number(limits.slope_per_h),
            number(trend.slope_per_h),
            basis(trend)
        ),
        Outcome::TooLittle if trend.samples_used < USED_MIN => {
            format!(
                "{} samples that can be used are too little: {USED_MIN} are needed; {}",
                trend.samples_used,
                basis(trend)
            )
        }
        Outcome::TooLittle if trend.slope_low > limits.slope_per_h => format!(
            "grew by {} per hour ({interval}), but in a way that may have ended; {}",
            number(trend.slope_per_h),
            basis(trend)
        ),
        Outcome::TooLittle if trend.slope_per_h.is_finite() => format!(
            "cannot be told: {} per hour ({interval}), and only growth of {} per hour would have been found; {}",
            number(trend.slope_per_h),
            number(trend.detectable_per_h),
            basis(trend)
        ),
        Outcome::TooLittle => {
            format!("growth cannot be told apart from what else the series does; {}", basis(trend))
        }
    }
}
