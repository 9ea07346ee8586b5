//! Direct workloads: workers that speak to a database themselves, without any sync service. A course says what they do, the
//! runner lets them do it second by second, and the journal knows at any moment what was acknowledged.

pub mod bank;
pub mod catalog;
pub mod course;
pub mod crash;
pub mod driver;
pub mod journal;
pub mod plan;
pub mod run;
pub mod runner;
pub mod spec;
pub mod tally;
