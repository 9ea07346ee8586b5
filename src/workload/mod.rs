//! What is done to a target. A workload decides what is done, it executes nothing.
//!
//! To add one: a file with a pure planner, its `mod` line here, and a variant of `config::WorkloadConfig`.

pub mod bank;
pub mod catalog;
pub mod sync;
