//! What is driven: a sync service, seen through SQL functions that a provider puts on a SQLite connection, or a plain SQL
//! database, spoken to directly.

#[cfg(test)]
#[allow(dead_code, reason = "test programs outside the crate use the rest of it")]
pub(crate) mod cluster;
pub mod embedded;
pub mod gateway;
pub mod sql;
pub mod sync_sql;
