//! soakd soaks and breaks a database sync service on purpose, and proves after every cycle what held.
//!
//! ```text
//! main → cli → app → engine   → target, workload, checker, probe, store
//!                  → observe  → store                                   → config, stats, model
//! ```
//!
//! `model` is plain data and pure rules, `stats` says what series and samples do. `config` turns a file into checked settings.
//! `target` is what is driven, `workload` decides what is done to it, `checker` judges what is left, `engine` runs cycles of
//! the three, `store` keeps progress in redb, and `observe` shows it to people. `engine` and `observe` meet only in `app`,
//! through events.
//!
//! The workloads that drive a database themselves can be run from Rust too: see [`direct`].

pub mod app;
pub mod checker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
pub mod model;
pub mod observe;
pub mod probe;
pub mod stats;
pub mod store;
pub mod target;
pub mod workload;

pub use engine::direct::run as direct;
