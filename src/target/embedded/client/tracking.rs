//! Tracking: triggers that append a changed row's key to an outbox, in the same transaction as the change.
//!
//! One cheap insert per change is all the user's writes pay; the net effect of a row is worked out when it is sent.

use rusqlite::{Connection, OptionalExtension};

use crate::model::schema::{TableSpec, quote};

/// The client's own tables.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS soakd_outbox (seq INTEGER PRIMARY KEY, key TEXT);
CREATE TABLE IF NOT EXISTS soakd_client_state (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
";

/// Creates the triggers of a table.
pub(super) fn create_triggers(connection: &Connection, table: &TableSpec) -> rusqlite::Result<()> {
    let (name, key) = (quote(&table.name), table.quoted(table.key));
    let trigger = |suffix: &str, event: &str, row: &str| {
        format!(
            "CREATE TRIGGER IF NOT EXISTS {} AFTER {event} BEGIN INSERT INTO soakd_outbox (key) VALUES ({row}.{key}); END;",
            trigger_name(table, suffix)
        )
    };
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {} {} {} {} COMMIT;",
        trigger("insert", &format!("INSERT ON {name}"), "NEW"),
        trigger("update", &format!("UPDATE ON {name}"), "NEW"),
        trigger("rename", &format!("UPDATE OF {key} ON {name} WHEN OLD.{key} IS NOT NEW.{key}"), "OLD"),
        trigger("delete", &format!("DELETE ON {name}"), "OLD"),
    ))
}

/// Drops the triggers of a table.
pub(super) fn drop_triggers(connection: &Connection, table: &TableSpec) -> rusqlite::Result<()> {
    ["insert", "update", "rename", "delete"].iter().try_for_each(|suffix| {
        connection.execute_batch(&format!("DROP TRIGGER IF EXISTS {}", trigger_name(table, suffix)))
    })
}

/// Says whether the triggers are there.
pub(super) fn has_triggers(connection: &Connection, table: &TableSpec) -> rusqlite::Result<bool> {
    let name = format!("soakd_{}_insert", table.name);
    let found =
        connection.query_row("SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name = ?1", [name], |_| Ok(()));
    Ok(found.optional()?.is_some())
}

fn trigger_name(table: &TableSpec, suffix: &str) -> String {
    quote(&format!("soakd_{}_{suffix}", table.name))
}
