//! What a check, a cycle or a run is worth.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The outcome of judging; the order is from best to worst, and the worst wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    /// Not enough evidence, or a checker broke: never read as a pass.
    Inconclusive,
    /// Ended before it could be judged.
    Aborted,
    Fail,
}

impl Verdict {
    /// Returns the worst of all verdicts; of none at all, nothing is proven.
    pub fn worst(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().max().unwrap_or(Self::Inconclusive)
    }

    /// Returns the exit code that a run with this verdict ends with.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Inconclusive | Self::Aborted => 2,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Aborted => "ABORTED",
        })
    }
}

/// One check of a cycle with its verdict, in words and figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// Name of the check, for example `convergence` or `isolation.matrix`.
    pub check: String,
    /// `None` when the check was not exercised: shown as such, and never counted as a pass.
    pub verdict: Option<Verdict>,
    /// One sentence: what was proven, what failed, or why nothing could be said.
    pub summary: String,
    /// Bounded evidence lines that name rows, users, verbs and databases.
    pub evidence: Vec<String>,
    /// How many pieces of evidence there were before the list was cut.
    pub evidence_total: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_wins_and_nothing_is_not_a_pass() {
        use Verdict::*;
        assert_eq!(Verdict::worst([Pass, Fail, Inconclusive]), Fail);
        assert_eq!(Verdict::worst([Pass, Inconclusive]), Inconclusive);
        assert_eq!(Verdict::worst([Pass, Pass]), Pass);
        assert_eq!(Verdict::worst([]), Inconclusive);
        assert_eq!([Pass, Fail, Inconclusive, Aborted].map(Verdict::exit_code), [0, 1, 2, 2]);
    }
}
