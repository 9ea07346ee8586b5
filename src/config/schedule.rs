//! `[schedule.NAME]`: when runs begin by themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::units::Span;

/// Schedules by name.
pub type Schedules = BTreeMap<String, ScheduleConfig>;

/// One schedule. What its runs do differently from the rest of the file stands in sections of its own, such as
/// `[schedule.NAME.workload.sync]`; see [`super::Loaded::for_schedule`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Cron expression of five fields, or of six with seconds first.
    pub cron: String,
    /// Time zone in which the expression is meant.
    #[serde(default = "utc")]
    pub zone: String,
    /// What happens when a run is due while another one is under way.
    #[serde(default)]
    pub overlap: Overlap,
    /// What happens after down-time in which runs were due.
    #[serde(default)]
    pub missed: Missed,
    /// Hours in which no run begins, such as `"22:00-06:00"` or `"Sat,Sun 00:00-24:00"`, in the schedule's zone.
    #[serde(default)]
    pub quiet: Vec<String>,
    /// The last day, or the instant, up to which runs begin: `2027-01-31` or `2027-01-31T18:00:00+01:00`.
    #[serde(default)]
    pub until: Option<String>,
    /// Runs begin only this long after the first one.
    #[serde(default)]
    pub duration: Option<Span>,
    /// Runs that begin at most.
    #[serde(default)]
    pub runs: Option<u64>,
}

fn utc() -> String {
    "UTC".into()
}

/// What happens when a run is due while another one is under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It does not take place.
    #[default]
    Skip,
    /// One waits for the end of the other; more do not take place.
    Queue,
}

/// What happens after down-time, or quiet hours, in which runs were due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They do not take place.
    #[default]
    Skip,
    /// One run makes up for all of them.
    Once,
}
