//! `[criteria]`: what the run as a whole must hold, fixed before it starts.
//!
//! A key that is absent leaves its criterion at the limit that stands here, and out of runs that are too short for it; one
//! that is written has its criterion judged in any case.

use serde::{Deserialize, Serialize};

use super::units::{Bytes, Span};

/// Limits of the criteria; what is absent is at its own limit, or not judged where there is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CriteriaConfig {
    /// Share of steps that must be acknowledged; it must be more.
    pub success_share: Option<f64>,
    /// Errors beyond those that are tolerated.
    pub unexpected_errors: Option<u64>,
    /// Lost connections and outages; there must be fewer.
    pub disconnects: Option<u64>,
    /// Growth of a part's memory per hour.
    pub memory_slope: Option<Bytes>,
    /// Lasting rise of a part's memory at once.
    pub memory_step: Option<Bytes>,
    /// Memory of a part that is never exceeded; absent: not judged.
    pub memory_ceiling: Option<Bytes>,
    /// Growth of a part's open descriptors per hour.
    pub descriptors_slope: Option<f64>,
    /// Growth of the target's write-ahead log per hour.
    pub wal_slope: Option<Bytes>,
    /// Growth per hour of the target's database that neither its rows nor its deletes explain.
    pub database_slope: Option<Bytes>,
    /// 99th percentile of the latency of network calls; absent: not judged.
    pub p99: Option<Span>,
    /// Relative rise of the 99th percentile from the beginning of the run to its end.
    pub p99_drift: Option<f64>,
    /// Relative fall of the throughput from the beginning of the run to its end.
    pub throughput_drift: Option<f64>,
    /// Time in which all databases converge; absent: not judged.
    pub converge: Option<Span>,
    /// Share of operations that succeed at once, whose complement is the error budget.
    pub budget: Option<f64>,
    /// Confidence of what is estimated.
    pub confidence: Option<f64>,
    /// Criteria that are not judged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<String>,
}

/// Names of all criteria, in the order in which they are judged and shown.
pub const NAMES: &[&str] = &[
    "success_share",
    "unexpected_errors",
    "disconnects",
    "memory_slope",
    "memory_step",
    "memory_ceiling",
    "descriptors_slope",
    "wal_slope",
    "database_slope",
    "p99",
    "p99_drift",
    "throughput_drift",
    "converge",
    "budget",
];
