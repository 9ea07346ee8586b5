//! Worker processes: what they and the daemon say to each other, the loop of one database, and the journal it keeps.
//!
//! A worker holds sessions to one group of databases and executes planned steps; it decides nothing. It dies with its parent.

pub mod database;
pub mod direct;
pub mod journal;
pub mod probe;
pub mod process;
pub mod protocol;
pub mod scan;
pub mod sync_step;
pub mod tempo;
pub mod write_step;
