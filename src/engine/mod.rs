//! Runs cycles: plans, workers, settling, verification, checkpoints, resume. It knows no reader of its events.

mod baseline;
pub mod child;
pub mod control;
pub mod crew;
mod criteria;
pub mod cycle;
pub mod direct;
mod direct_cycle;
pub mod event;
pub mod fleet;
pub mod ledger;
pub(crate) mod life;
pub mod liveness;
pub mod load;
pub mod managed;
pub mod measure;
pub mod probe;
mod quiet;
pub mod retry;
pub mod run;
pub mod schedule;
pub mod selfcare;
pub mod service;
pub mod setup;
pub mod verify;
pub mod version;
pub mod worker;
