//! What the criteria of a run came to: fixed and hashed before it starts, judged over all of its cycles.

use serde::{Deserialize, Serialize};

use super::metric::Aspect;
use super::verdict::Verdict;

/// All criteria of a run, judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    pub at_ms: i64,
    /// Last cycle that was looked at.
    pub cycle: u64,
    /// SHA-256 of the criteria as they were fixed before the run.
    pub hash: String,
    pub results: Vec<CriterionResult>,
}

impl Judgement {
    /// Returns the worst verdict of all criteria that are judged; `None` when none is.
    pub fn verdict(&self) -> Option<Verdict> {
        self.results.iter().filter_map(|result| result.verdict).max()
    }
}

/// One criterion of one metric. Figures are in the unit of the metric (see [`super::metric`]), slopes per hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriterionResult {
    /// Name as in the configuration: `memory_slope`.
    pub criterion: String,
    /// What it was judged of, as in `rss.target`; empty for the run as a whole.
    pub metric: String,
    /// `None` when the criterion is not judged in this run: shown with the reason, and never counted as a pass.
    pub verdict: Option<Verdict>,
    /// One sentence: what was proven, what failed, or why nothing could be said.
    pub summary: String,
    pub limit: Option<f64>,
    pub value: Option<f64>,
    /// Confidence interval of the value, and its level.
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub confidence: Option<f64>,
    pub samples: u64,
    /// The smallest effect that would have been seen.
    pub detectable: Option<f64>,
    /// When a limit is reached if it goes on like this.
    pub reaches_ms: Option<i64>,
    /// Bounded lines with places and times.
    pub evidence: Vec<String>,
}

/// Latency of one action over the whole run, in microseconds, from the intended start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencySummary {
    /// Verb of the action: `sent`.
    pub action: String,
    pub count: u64,
    pub p50_us: u64,
    pub p90_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
}

/// Which metrics of a run are better, the same or worse than those of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Better,
    Same,
    Worse,
    /// Too little is known, or it is too noisy.
    CannotTell,
}

/// One metric of a run against a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricChange {
    pub metric: String,
    pub change: Change,
    pub before: Option<f64>,
    pub after: Option<f64>,
    /// Relative shift with its confidence interval: 0.1 is 10 % more.
    pub shift: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Cliff's delta: the share of pairs in which the later value is larger, less those in which it is smaller.
    pub effect: Option<f64>,
    pub p: Option<f64>,
    pub samples: (u64, u64),
    /// The smallest relative shift that would have been found.
    pub detectable: Option<f64>,
    pub summary: String,
}

/// A run against a baseline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineComparison {
    /// Id of the run that it is compared with, and its server's version.
    pub baseline: String,
    pub baseline_server: String,
    pub server: String,
    pub at_ms: i64,
    pub changes: Vec<MetricChange>,
    /// Why the two cannot be compared, if they cannot.
    pub refused: Vec<String>,
}

/// A version of the server, and where it was first seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionSince {
    pub cycle: u64,
    pub at_ms: i64,
    /// Empty while the server says nothing.
    pub server: String,
}

/// A lasting change of a metric within a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesShift {
    pub metric: String,
    /// The first cycle behind it.
    pub cycle: u64,
    pub at_ms: i64,
    pub before: f64,
    pub after: f64,
    /// Relative size: 0.1 is 10 % more.
    pub shift: f64,
    pub p: f64,
    pub change: Change,
    /// The version of the server that came with it; `None` if it came with none.
    pub since: Option<String>,
}

/// What changed within a run: the versions of the server, and metrics with them or without.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    pub versions: Vec<VersionSince>,
    /// Versions that were left out because there were too many.
    pub versions_dropped: u64,
    pub shifts: Vec<SeriesShift>,
}

impl BaselineComparison {
    /// Returns what the metrics of one aspect come to; `None` if it has none. One that is worse makes the aspect worse, and
    /// one that can be told suffices to tell.
    pub fn aspect(&self, aspect: Aspect) -> Option<Change> {
        let of_aspect = self.changes.iter().filter(|change| Aspect::of(&change.metric) == Some(aspect));
        worst(of_aspect.map(|change| change.change), |kinds| kinds.iter().all(|kind| *kind == Change::CannotTell))
    }

    /// Returns what everything together comes to. Nothing is the same or better as long as an aspect that was measured cannot
    /// be told, or neither latency nor throughput was measured.
    pub fn overall(&self) -> Change {
        if !self.refused.is_empty() {
            return Change::CannotTell;
        }
        let aspects = Aspect::ALL.iter().filter_map(|aspect| self.aspect(*aspect));
        let speed = [Aspect::Latency, Aspect::Throughput].into_iter().any(|aspect| self.aspect(aspect).is_some());
        let all = worst(aspects, |kinds| !speed || kinds.contains(&Change::CannotTell));
        all.unwrap_or(Change::CannotTell)
    }

    /// Returns the metrics with a verdict.
    pub fn with(&self, change: Change) -> impl Iterator<Item = &MetricChange> {
        self.changes.iter().filter(move |one| one.change == change)
    }
}

/// Returns what several verdicts come to, where `unknown` says whether they leave too much open.
fn worst(kinds: impl Iterator<Item = Change>, unknown: impl Fn(&[Change]) -> bool) -> Option<Change> {
    let kinds: Vec<Change> = kinds.collect();
    let any = |kind| kinds.contains(&kind);
    match () {
        () if kinds.is_empty() => None,
        () if any(Change::Worse) => Some(Change::Worse),
        () if unknown(&kinds) => Some(Change::CannotTell),
        () if any(Change::Better) => Some(Change::Better),
        () => Some(Change::Same),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(changes: &[(&str, Change)]) -> BaselineComparison {
        let change = |(metric, change): &(&str, Change)| MetricChange {
            metric: (*metric).to_owned(),
            change: *change,
            before: None,
            after: None,
            shift: None,
            low: None,
            high: None,
            effect: None,
            p: None,
            samples: (0, 0),
            detectable: None,
            summary: String::new(),
        };
        BaselineComparison { changes: changes.iter().map(change).collect(), ..BaselineComparison::default() }
    }

    #[test]
    fn what_cannot_be_told_is_neither_the_same_nor_better() {
        use Change::{Better, CannotTell, Same, Worse};
        for (changes, overall) in [
            (&[][..], CannotTell),
            (&[("latency_p50.sent", Same), ("latency_p99.sent", CannotTell), ("errors", Same)], Same),
            (&[("latency_p50.sent", Same), ("errors", CannotTell)], CannotTell),
            (&[("latency_p50.sent", Better), ("errors", CannotTell), ("retries", Same)], Better),
            (&[("latency_p50.sent", Better), ("rss.target", Worse), ("errors", CannotTell)], Worse),
            (&[("rss.target", Same)], CannotTell),
        ] {
            assert_eq!(comparison(changes).overall(), overall, "{changes:?}");
        }
        let refused = BaselineComparison { refused: vec!["no".into()], ..comparison(&[("latency_p50.sent", Same)]) };
        assert_eq!(refused.overall(), CannotTell);
        assert_eq!(refused.aspect(Aspect::Memory), None);
    }
}
