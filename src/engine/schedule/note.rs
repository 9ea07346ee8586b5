//! What a look at the timetable decided besides starting a run, as data and as the sentence for the log.

use std::fmt;

use chrono::{DateTime, Utc};

use super::entry::{Because, End};

/// One thing worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Runs that were due do not take place; with `more`, there were more than were counted.
    Skipped { schedule: String, count: u64, more: bool, because: Because },
    /// A run waits for its turn.
    Waits { schedule: String, because: Because },
    /// A schedule has no run left.
    Ended { schedule: String, end: End },
    /// The clock was set back so far that it is believed.
    ClockBack { schedule: String, from: DateTime<Utc>, to: DateTime<Utc> },
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overlap => "another run was under way",
            Self::DownTime => "soakd was down or paused",
            Self::QuietHours => "of quiet hours",
            Self::Asked => "it was asked for while another run was under way",
            Self::Ended => "the schedule ended before their turn came",
        })
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Until => "its last day (until) is over",
            Self::Duration => "its time (duration) is over",
            Self::Runs => "all of its runs (runs) have begun",
            Self::Never => "its expression matches no later time",
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped { schedule, count: 1, more: false, because } => {
                write!(f, "schedule {schedule}: one run does not take place because {because}")
            }
            Self::Skipped { schedule, count, more, because } => {
                let least = if *more { "at least " } else { "" };
                write!(f, "schedule {schedule}: {least}{count} runs do not take place because {because}")
            }
            Self::Waits { schedule, because } => write!(f, "schedule {schedule}: a run waits because {because}"),
            Self::Ended { schedule, end } => write!(f, "schedule {schedule} has ended: {end}"),
            Self::ClockBack { schedule, from, to } => {
                write!(f, "schedule {schedule}: the clock was set back from {from} to {to}; it goes on from there")
            }
        }
    }
}
