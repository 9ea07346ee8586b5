//! What is driven: a sync service, seen through SQL functions that a provider puts on a SQLite connection.

pub mod embedded;
pub mod gateway;
pub mod sync_sql;
