//! What must hold after a cycle. A checker judges evidence that others gathered; it asks nobody itself.
//!
//! To add one: a file with its evidence and a pure `judge`, its `mod` line here, and a call in `engine::verify`.
//! What must hold over a run as a whole is judged in [`criteria`].

pub mod admissible;
pub mod bank;
pub mod catalog;
pub mod convergence;
pub mod criteria;
pub mod health;
pub mod isolation;
pub mod own;
pub mod regression;
pub mod strange;
