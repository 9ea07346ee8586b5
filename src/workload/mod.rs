//! What is done to a target. A workload decides which steps a database takes; it executes nothing.
//!
//! To add one: a file with a pure planner, its `mod` line here, and a variant of `config::WorkloadConfig`.

pub mod sync;
