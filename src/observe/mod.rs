//! Readers of what a run leaves: they show, and never change how a cycle runs.

pub mod api;
pub mod letter;
pub mod log_file;
pub mod metrics;
pub mod progress;
pub mod report;
pub mod status;
