//! Runs cycles: plans, workers, settling, verification, checkpoints, resume. It knows no reader of its events.

pub mod child;
pub mod crew;
pub mod cycle;
pub mod event;
pub mod fleet;
pub mod ledger;
pub mod managed;
pub mod probe;
pub mod retry;
pub mod run;
pub mod selfcare;
pub mod service;
pub mod setup;
pub mod verify;
pub mod worker;
