//! Whether errors came faster than a budget for them lasts, over any hour or any six of them.

use super::Case;
use crate::model::judgement::CriterionResult;
use crate::model::quantity::number;
use crate::model::verdict::Verdict;
use crate::stats::burn::WINDOWS;

impl Case<'_> {
    /// Judges the fastest burn that was seen in any pair of windows that passed once.
    pub(super) fn budget(&self) -> CriterionResult {
        let meter = self.evidence.meter;
        let seen: Vec<_> =
            WINDOWS.iter().zip(meter.worst).filter_map(|(window, worst)| Some((window, worst?))).collect();
        // In shares of what is permitted, so that the two pairs compare.
        let worst = seen.iter().max_by(|(a, x), (b, y)| (x.both() / a.factor).total_cmp(&(y.both() / b.factor)));
        let Some((window, burn)) = worst else {
            let why = "the shorter pair of windows, 1 h and 5 min, has not passed once";
            return CriterionResult { samples: meter.operations, ..self.missing("", true, why) };
        };
        let objective = number(self.limit * 100.0);
        let (verdict, summary) = if burn.both() >= window.factor {
            let text = format!(
                "the error budget of {objective} % was burnt {} times as fast as it lasts over {} (limit {})",
                number(burn.both()),
                window.name,
                number(window.factor)
            );
            (Verdict::Fail, text)
        } else if meter.operations == 0 {
            (Verdict::Inconclusive, "no operation was counted".to_owned())
        } else {
            let text = format!(
                "the error budget of {objective} % was burnt at most {} times as fast as it lasts over {} (limit {})",
                number(burn.both()),
                window.name,
                number(window.factor)
            );
            (Verdict::Pass, text)
        };
        let lines = seen.iter().zip(meter.alarms).map(|((window, burn), alarms)| {
            format!(
                "{}: at most {} and {} at once (limit {}), too fast at the end of {alarms} cycles",
                window.name,
                number(burn.long),
                number(burn.short),
                number(window.factor)
            )
        });
        let errors =
            format!("{} errors in {} operations", number(meter.errors as f64), number(meter.operations as f64));
        CriterionResult {
            value: Some(burn.both()),
            limit: Some(window.factor),
            samples: meter.operations,
            detectable: Some(window.factor),
            evidence: lines.chain([errors]).collect(),
            ..self.result("", verdict, summary)
        }
    }
}
