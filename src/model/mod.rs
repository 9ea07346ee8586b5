//! Plain data and pure rules: what a run, a row, a step, an error and a verdict are.
//!
//! Nothing here does I/O or knows a runtime, and nothing here imports another part of the crate, so every other part may
//! lean on it.

pub mod classify;
pub mod content;
pub mod digest;
pub mod finding;
pub mod ids;
pub mod incident;
pub mod journal;
pub mod judgement;
pub mod lane;
pub mod measure;
pub mod message;
pub mod metric;
pub mod quantity;
pub mod receipt;
pub mod record;
pub mod schema;
pub mod series;
pub mod status;
pub mod step;
pub mod value;
pub mod verdict;
