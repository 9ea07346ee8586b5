//! Readers of what a run leaves: they show, and never change how a cycle runs.

pub mod api;
pub mod chart;
pub mod dashboard;
mod figures;
pub mod letter;
pub mod log;
pub mod log_file;
pub mod metrics;
pub mod notify;
pub mod progress;
pub mod report;
pub mod status;
pub mod systemd;
mod wrap;
