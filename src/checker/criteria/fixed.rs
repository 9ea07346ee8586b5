//! The criteria of a run as they are fixed before it starts: every limit, and from which length on a criterion is judged. The
//! hash of this text stands in the run's record, so that nobody can move a limit when the result is known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const HOUR: u64 = 3_600_000;
const MIB: f64 = 1_048_576.0;
/// Confidence of what is estimated, unless it is written otherwise.
const CONFIDENCE: f64 = 0.99;

/// Why a criterion without a limit is not judged.
const NO_LIMIT: &str = "there is no limit unless one is written in [criteria]";

/// What a criterion that nobody wrote has as its limit, and how long a run must be for it.
struct Standard {
    name: &'static str,
    limit: Option<f64>,
    cycles: u64,
    span_ms: u64,
}

const fn count(name: &'static str, limit: f64) -> Standard {
    Standard { name, limit: Some(limit), cycles: 0, span_ms: 0 }
}

/// Growth per hour is not told from noise in less.
const fn growth(name: &'static str, limit: f64) -> Standard {
    Standard { name, limit: Some(limit), cycles: 30, span_ms: 3 * HOUR }
}

/// Neighbours on the same machine come and go within hours.
const fn drift(name: &'static str, limit: f64) -> Standard {
    Standard { name, limit: Some(limit), cycles: 100, span_ms: 6 * HOUR }
}

const fn only_written(name: &'static str) -> Standard {
    Standard { name, limit: None, cycles: 0, span_ms: 0 }
}

/// All criteria, in the order in which they are judged and shown.
const STANDARDS: &[Standard] = &[
    count("success_share", 0.99),
    count("unexpected_errors", 0.0),
    count("disconnects", 10.0),
    growth("memory_slope", MIB),
    growth("memory_step", 64.0 * MIB),
    only_written("memory_ceiling"),
    growth("descriptors_slope", 1.0),
    growth("wal_slope", 8.0 * MIB),
    growth("database_slope", 8.0 * MIB),
    only_written("p99"),
    drift("p99_drift", 0.05),
    drift("throughput_drift", 0.1),
    only_written("converge"),
    // The longer of the fast pair of windows has to pass once.
    Standard { name: "budget", limit: Some(0.99), cycles: 10, span_ms: HOUR },
];

/// What somebody wrote of the criteria.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    pub limits: BTreeMap<String, f64>,
    pub skip: Vec<String>,
    pub confidence: Option<f64>,
}

/// How long a run is planned to be; `None` where that has no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Planned {
    pub cycles: Option<u64>,
    pub span_ms: Option<u64>,
}

/// When a criterion is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Judged {
    /// In any case: too little data is inconclusive.
    Always,
    /// From this length on; a shorter run says nothing about it.
    From { cycles: u64, span_ms: u64 },
    /// Not in this run, for a reason that was known before it began.
    Not { why: String },
}

/// One criterion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Criterion {
    pub limit: Option<f64>,
    pub judged: Judged,
}

/// All criteria of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    pub confidence: f64,
    pub criteria: BTreeMap<String, Criterion>,
}

impl Fixed {
    /// Fixes the criteria of a run of this length.
    pub fn new(written: &Written, planned: Planned) -> Self {
        let criterion = |standard: &Standard| {
            let own = written.limits.get(standard.name).copied();
            let limit = own.or(standard.limit);
            let judged = if written.skip.iter().any(|name| name == standard.name) {
                Judged::Not { why: "criteria.skip names it".to_owned() }
            } else if own.is_some() || (standard.limit.is_some() && standard.cycles == 0) {
                Judged::Always
            } else if standard.limit.is_none() {
                Judged::Not { why: NO_LIMIT.to_owned() }
            } else {
                let (cycles, span_ms) = (standard.cycles, standard.span_ms);
                let (few, short) = (planned.cycles.filter(|n| *n < cycles), planned.span_ms.filter(|ms| *ms < span_ms));
                match (few, short) {
                    (Some(n), _) => Judged::Not { why: too_short(&format!("{n} cycles"), standard) },
                    (None, Some(ms)) => Judged::Not { why: too_short(&length(ms), standard) },
                    (None, None) => Judged::From { cycles, span_ms },
                }
            };
            (standard.name.to_owned(), Criterion { limit, judged })
        };
        Self {
            confidence: written.confidence.unwrap_or(CONFIDENCE),
            criteria: STANDARDS.iter().map(criterion).collect(),
        }
    }

    /// Returns all criteria in the order in which they are shown.
    pub fn in_order(&self) -> impl Iterator<Item = (&'static str, &Criterion)> {
        STANDARDS.iter().filter_map(|standard| Some((standard.name, self.criteria.get(standard.name)?)))
    }

    /// Returns the text that is hashed: one line for each criterion, sorted by name.
    pub fn canonical(&self) -> String {
        let mut text = format!("soakd criteria 1\nconfidence {:.9e}\n", self.confidence);
        for (name, criterion) in &self.criteria {
            // A limit that was written down and read back may differ in its last bits.
            let limit = criterion.limit.map_or_else(|| "none".to_owned(), |limit| format!("{limit:.9e}"));
            let judged = match &criterion.judged {
                Judged::Always => "always".to_owned(),
                Judged::From { cycles, span_ms } => format!("from {cycles} cycles and {span_ms} ms on"),
                Judged::Not { why } => format!("not: {why}"),
            };
            text.push_str(&format!("{name} limit {limit} judged {judged}\n"));
        }
        text
    }

    /// Returns the SHA-256 of the canonical text, in hexadecimal digits.
    pub fn hash(&self) -> String {
        Sha256::digest(self.canonical()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Says why a run of some length is not judged by a criterion that nobody wrote.
fn too_short(length: &str, standard: &Standard) -> String {
    format!(
        "a run of {length} is too short, {} cycles and {} are needed; what is written in [criteria] is judged in any case",
        standard.cycles,
        self::length(standard.span_ms)
    )
}

/// Returns a length of time in words.
pub(super) fn length(ms: u64) -> String {
    match ms {
        0..120_000 => format!("{} s", ms / 1000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / HOUR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDLESS: Planned = Planned { cycles: None, span_ms: None };

    fn judged(fixed: &Fixed, name: &str) -> Judged {
        fixed.criteria[name].judged.clone()
    }

    #[test]
    fn every_key_changes_the_hash_and_their_order_does_not() {
        let plain = Fixed::new(&Written::default(), ENDLESS);
        let mut seen = std::collections::BTreeSet::from([plain.hash()]);
        for standard in STANDARDS {
            let limits = BTreeMap::from([(standard.name.to_owned(), 0.875)]);
            assert!(seen.insert(Fixed::new(&Written { limits, ..Written::default() }, ENDLESS).hash()));
            let skip = vec![standard.name.to_owned()];
            assert!(seen.insert(Fixed::new(&Written { skip, ..Written::default() }, ENDLESS).hash()));
        }
        let confident = Written { confidence: Some(0.9), ..Written::default() };
        assert!(seen.insert(Fixed::new(&confident, ENDLESS).hash()));
        let two = |skip: [&str; 2]| Written { skip: skip.map(str::to_owned).to_vec(), ..Written::default() };
        let (one, other) = (two(["p99", "budget"]), two(["budget", "p99"]));
        assert_eq!(Fixed::new(&one, ENDLESS).hash(), Fixed::new(&other, ENDLESS).hash());
        assert_eq!(plain.hash().len(), 64);
        // It survives being written down.
        for limit in [0.1, 0.3 - 0.1, 125_829.12, 1e-7 / 3.0, 7.7 * 1_048_576.0] {
            let limits = BTreeMap::from([("memory_slope".to_owned(), limit)]);
            let fixed = Fixed::new(&Written { limits, ..Written::default() }, ENDLESS);
            let json = serde_json::to_vec(&fixed).unwrap();
            assert_eq!(serde_json::from_slice::<Fixed>(&json).unwrap().hash(), fixed.hash());
        }
    }

    #[test]
    fn what_is_written_is_always_judged_and_the_rest_in_long_runs() {
        let short = Planned { cycles: Some(3), span_ms: None };
        let plain = Fixed::new(&Written::default(), short);
        assert_eq!(judged(&plain, "success_share"), Judged::Always);
        let Judged::Not { why } = judged(&plain, "memory_slope") else { panic!("{plain:?}") };
        assert!(why.starts_with("a run of 3 cycles is too short, 30 cycles and 3 h are needed"), "{why}");
        let limits = BTreeMap::from([("memory_slope".to_owned(), 1.0), ("p99".to_owned(), 2.0)]);
        let written = Fixed::new(&Written { limits, ..Written::default() }, short);
        assert_eq!(judged(&written, "memory_slope"), Judged::Always);
        assert_eq!(written.criteria["p99"], Criterion { limit: Some(2.0), judged: Judged::Always });
        let long = Fixed::new(&Written::default(), ENDLESS);
        assert_eq!(judged(&long, "memory_slope"), Judged::From { cycles: 30, span_ms: 3 * HOUR });
        let hour = Fixed::new(&Written::default(), Planned { cycles: None, span_ms: Some(HOUR) });
        assert!(matches!(judged(&hour, "p99_drift"), Judged::Not { .. }));
        assert!(matches!(judged(&hour, "budget"), Judged::From { .. }));
        assert!(matches!(judged(&long, "p99"), Judged::Not { .. }));
    }
}
