//! The SQL that prepares a cloud database for a run. Pure.

use crate::model::schema::{TableSpec, quote};

/// Writes a name as SQL needs it: bare where that is safe.
fn name(text: &str) -> String {
    let bare = !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if bare { text.to_owned() } else { quote(text) }
}

/// Writes a policy as the quoted text that `SET RLS` takes.
fn policy(verb: &str, database: &str, table: &str, rule: &str) -> String {
    format!("SET RLS DATABASE {database} TABLE {table} {verb} \"{}\"", rule.replace('"', "\"\""))
}

/// Returns the statements in the order in which they must run, without semicolons.
///
/// The first two remove what an earlier run left: the tracking table and the data.
pub(super) fn prepare(table: &TableSpec, database: &str, rls: bool) -> Vec<String> {
    let mut statements = vec![
        format!("DROP TABLE IF EXISTS {}", name(&format!("{}_cloudsync", table.name))),
        format!("DROP TABLE IF EXISTS {}", name(&table.name)),
        table.ddl.clone(),
        format!("SELECT cloudsync_init('{}')", table.name.replace('\'', "''")),
    ];
    if rls {
        let (db, on) = (name(database), name(&table.name));
        let owner = name(&table.columns[table.owner].name);
        let (new, old) = (format!("auth_userid() = NEW.{owner}"), format!("auth_userid() = OLD.{owner}"));
        statements.push(format!("ENABLE RLS DATABASE {db} TABLE {on}"));
        statements.push(policy("SELECT", &db, &on, &format!("auth_userid() = {owner}")));
        statements.push(policy("INSERT", &db, &on, &new));
        statements.push(policy("UPDATE", &db, &on, &format!("{new} AND {old}")));
        statements.push(policy("DELETE", &db, &on, &old));
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_table_is_prepared_as_by_hand() {
        let expected = [
            "DROP TABLE IF EXISTS test_sync_cloudsync",
            "DROP TABLE IF EXISTS test_sync",
            "CREATE TABLE test_sync (id TEXT PRIMARY KEY NOT NULL, user_id TEXT NOT NULL DEFAULT '', name TEXT, value INTEGER)",
            "SELECT cloudsync_init('test_sync')",
            "ENABLE RLS DATABASE db TABLE test_sync",
            "SET RLS DATABASE db TABLE test_sync SELECT \"auth_userid() = user_id\"",
            "SET RLS DATABASE db TABLE test_sync INSERT \"auth_userid() = NEW.user_id\"",
            "SET RLS DATABASE db TABLE test_sync UPDATE \"auth_userid() = NEW.user_id AND auth_userid() = OLD.user_id\"",
            "SET RLS DATABASE db TABLE test_sync DELETE \"auth_userid() = OLD.user_id\"",
        ];
        assert_eq!(prepare(&TableSpec::seed(), "db", true), expected);
        assert_eq!(prepare(&TableSpec::seed(), "db", false), expected[..4]);
    }

    #[test]
    fn odd_names_are_quoted() {
        let mut table = TableSpec::seed();
        table.name = "it's".into();
        table.columns[1].name = "the owner".into();
        let statements = prepare(&table, "my db", true);
        assert_eq!(statements[3], "SELECT cloudsync_init('it''s')");
        assert_eq!(
            statements[6],
            "SET RLS DATABASE \"my db\" TABLE \"it's\" INSERT \"auth_userid() = NEW.\"\"the owner\"\"\""
        );
    }
}
