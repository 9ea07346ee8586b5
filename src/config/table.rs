//! The synced table: from the user's `CREATE TABLE` to the columns that soakd works with, or the reasons why it cannot.
//!
//! The statement runs in a throw-away in-memory database that may do nothing but create one table; nothing else is opened.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Batch, Connection};

use super::sync::TableConfig;
use crate::model::schema::{Column, ColumnKind, SEED_DDL, TableSpec};

#[cfg(test)]
mod tests;

/// Longest name of a table or column: PostgreSQL cuts longer ones.
const MAX_NAME: usize = 63;

/// One reason why a table cannot be synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableProblem {
    /// The key of `[workload.sync.table]` that it concerns.
    pub key: &'static str,
    pub message: String,
    pub allowed: String,
}

/// What SQLite says about one column.
struct Described {
    column: Column,
    default: Option<String>,
    generated: bool,
}

fn problem(key: &'static str, message: impl Into<String>, allowed: impl Into<String>) -> TableProblem {
    TableProblem { key, message: message.into(), allowed: allowed.into() }
}

/// Resolves the table of a configuration whose `ddl_file`, if any, was read into `ddl`.
pub fn resolve(config: &TableConfig) -> Result<TableSpec, Vec<TableProblem>> {
    let ddl =
        config.ddl.as_deref().unwrap_or(SEED_DDL).trim().trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    let conn = create(ddl).map_err(|problem| vec![problem])?;
    let (name, described) = describe(&conn).map_err(|why| {
        vec![problem("ddl", format!("the table cannot be examined: {why}"), "one CREATE TABLE statement")]
    })?;
    let mut problems = Vec::new();
    names(&name, &described, &mut problems);
    let key = primary_key(&described, &mut problems);
    columns(&described, &mut problems);
    constraints(&conn, &name, &mut problems);
    let owner = role(&described, "owner", config.owner.as_deref(), "user_id", ColumnKind::Text, &mut problems);
    let stamp = role(&described, "stamp", config.stamp.as_deref(), "name", ColumnKind::Text, &mut problems);
    let counter = role(&described, "counter", config.counter.as_deref(), "value", ColumnKind::Integer, &mut problems);
    if owner.is_some() && owner == stamp {
        problems.push(problem("stamp", "the column is the owner's already", "another text column"));
    }
    match (key, owner, stamp, counter) {
        (Some(key), Some(owner), Some(stamp), Some(counter)) if problems.is_empty() => {
            let columns = described.into_iter().map(|described| described.column).collect();
            Ok(TableSpec { name, ddl: ddl.into(), columns, key, owner, stamp, counter })
        }
        _ => Err(problems),
    }
}

/// Runs the statement where it can create one table and do nothing else.
fn create(ddl: &str) -> Result<Connection, TableProblem> {
    const ALLOWED: &str = "one CREATE TABLE statement and nothing else";
    let failed =
        |why: rusqlite::Error| problem("ddl", format!("SQLite refuses the statement: {}", plain(&why)), ALLOWED);
    let mut conn = Connection::open_in_memory().map_err(failed)?;
    for (limit, value) in [(Limit::SQLITE_LIMIT_SQL_LENGTH, 65_536), (Limit::SQLITE_LIMIT_COLUMN, 200)] {
        conn.set_limit(limit, value).map_err(failed)?;
    }
    let refused: Arc<Mutex<Option<String>>> = Arc::default();
    let seen = Arc::clone(&refused);
    let mut created = 0;
    let gate = move |context: AuthContext<'_>| {
        let why = match context.action {
            AuthAction::CreateTable { .. } => {
                created += 1;
                (created > 1).then(|| "a second table".to_owned())
            }
            AuthAction::CreateIndex { index_name, .. } if index_name.starts_with("sqlite_autoindex_") => None,
            AuthAction::Insert { table_name }
            | AuthAction::Update { table_name, .. }
            | AuthAction::Read { table_name, .. }
                if table_name.starts_with("sqlite_") =>
            {
                None
            }
            AuthAction::Read { .. } | AuthAction::Function { .. } | AuthAction::Transaction { .. } => None,
            AuthAction::CreateTempTable { .. } => Some("a temporary table".to_owned()),
            AuthAction::CreateVtable { .. } => Some("a virtual table".to_owned()),
            AuthAction::Select => Some("a SELECT; CREATE TABLE … AS leaves no primary key".to_owned()),
            other => Some(format!("{other:?}").chars().take_while(char::is_ascii_alphanumeric).collect()),
        };
        let Some(why) = why else { return Authorization::Allow };
        seen.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        Authorization::Deny
    };
    conn.authorizer(Some(gate)).map_err(failed)?;
    let outcome = run_single(&conn, ddl);
    conn.authorizer(None::<fn(AuthContext<'_>) -> Authorization>).map_err(failed)?;
    if let Some(what) = refused.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(problem("ddl", format!("the text does more than create a table: {what}"), ALLOWED));
    }
    match outcome {
        Ok(1) => Ok(conn),
        Ok(0) => Err(problem("ddl", "the text holds no statement", ALLOWED)),
        Ok(_) => Err(problem("ddl", "the text holds more than one statement", ALLOWED)),
        Err(why) => Err(failed(why)),
    }
}

/// Runs the first statement of the text and returns how many there are, up to two.
fn run_single(conn: &Connection, ddl: &str) -> rusqlite::Result<usize> {
    let mut batch = Batch::new(conn, ddl);
    let mut count = 0;
    while let Some(mut statement) = batch.next()? {
        count += 1;
        if count > 1 {
            break;
        }
        statement.raw_execute()?;
    }
    Ok(count)
}

/// Returns SQLite's own words for an error.
fn plain(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

fn describe(conn: &Connection) -> rusqlite::Result<(String, Vec<Described>)> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let name: String = conn.query_row(sql, [], |row| row.get(0))?;
    let sql = "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1) ORDER BY cid";
    let mut statement = conn.prepare(sql)?;
    let rows = statement.query_map([&name], |row| {
        let declared: String = row.get(1)?;
        let kind = affinity(&declared);
        let column = Column { name: row.get(0)?, declared, kind, pk: row.get(4)?, not_null: row.get(2)? };
        Ok(Described { column, default: row.get(3)?, generated: row.get::<_, i64>(5)? != 0 })
    })?;
    let described = rows.collect::<rusqlite::Result<_>>()?;
    Ok((name, described))
}

/// Returns the storage kind of a declared type, after SQLite's rules; NUMERIC keeps whole numbers whole.
fn affinity(declared: &str) -> ColumnKind {
    let upper = declared.to_ascii_uppercase();
    let has = |part: &str| upper.contains(part);
    if has("INT") {
        ColumnKind::Integer
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        ColumnKind::Text
    } else if has("BLOB") || upper.is_empty() {
        ColumnKind::Blob
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        ColumnKind::Real
    } else {
        ColumnKind::Integer
    }
}

fn names(table: &str, described: &[Described], problems: &mut Vec<TableProblem>) {
    let all = described.iter().map(|d| ("column", d.column.name.as_str())).chain([("table", table)]);
    for (what, name) in all {
        let lower = name.to_ascii_lowercase();
        let shown: String = name.escape_debug().take(80).collect();
        if name.len() > MAX_NAME {
            let message = format!("the {what} name {shown} has {} bytes; PostgreSQL would cut it", name.len());
            problems.push(problem("ddl", message, format!("names of up to {MAX_NAME} bytes")));
        }
        if lower.starts_with("soakd_") || lower.starts_with("cloudsync") || lower.ends_with("_cloudsync") {
            let message = format!("the {what} name {shown} is one that soakd or cloudsync keeps for itself");
            problems.push(problem("ddl", message, "names without soakd_ or cloudsync in front or _cloudsync behind"));
        }
        if name.is_empty() || name.chars().any(char::is_control) {
            problems.push(problem("ddl", format!("the {what} name \"{shown}\" cannot be used"), "a plain name"));
        }
    }
}

fn primary_key(described: &[Described], problems: &mut Vec<TableProblem>) -> Option<usize> {
    const ALLOWED: &str = "one text column as the key, as in id TEXT PRIMARY KEY NOT NULL";
    let keys: Vec<usize> = (0..described.len()).filter(|i| described[*i].column.pk > 0).collect();
    let message = match keys.as_slice() {
        [] => "the table has no primary key; cloudsync does not sync tables that only have a rowid".to_owned(),
        [one] => match (&described[*one].column, described[*one].column.kind) {
            (_, ColumnKind::Text) => return Some(*one),
            (column, ColumnKind::Integer) => format!(
                "the primary key {} is a single INTEGER column, which cloudsync refuses: two databases would give one number to two rows",
                column.name
            ),
            (column, _) => format!("the primary key {} is no text column, and soakd names rows by text", column.name),
        },
        many => format!("the primary key has {} columns, and soakd names rows by one text key", many.len()),
    };
    problems.push(problem("ddl", message, ALLOWED));
    None
}

fn columns(described: &[Described], problems: &mut Vec<TableProblem>) {
    for Described { column, default, generated } in described {
        if *generated {
            let message = format!("the column {} is generated or hidden, and cannot be synced", column.name);
            problems.push(problem("ddl", message, "plain columns"));
        }
        let null_default = default.as_deref().is_some_and(|text| text.trim().eq_ignore_ascii_case("null"));
        if column.pk == 0 && column.not_null && (default.is_none() || null_default) && !generated {
            let message = format!(
                "the column {} is NOT NULL without a DEFAULT, which cloudsync refuses: a row arrives column by column",
                column.name
            );
            problems.push(problem("ddl", message, "a DEFAULT for every NOT NULL column outside the key"));
        }
    }
}

fn constraints(conn: &Connection, table: &str, problems: &mut Vec<TableProblem>) {
    let count = |sql: &str| conn.query_row(sql, [table], |row| row.get::<_, i64>(0)).unwrap_or(0);
    if count("SELECT count(*) FROM pragma_foreign_key_list(?1)") > 0 {
        let message = "the table refers to another table, and soakd syncs one table by itself";
        problems.push(problem("ddl", message, "no REFERENCES"));
    }
    if count("SELECT count(*) FROM pragma_index_list(?1) WHERE \"unique\" AND origin <> 'pk'") > 0 {
        let message = "a column outside the key is UNIQUE; such a rule can refuse received changes and stall a replica";
        problems.push(problem("ddl", message, "UNIQUE on nothing but the key"));
    }
}

/// Finds the column that plays a part, by the configured name or the usual one.
fn role(
    described: &[Described],
    key: &'static str,
    configured: Option<&str>,
    usual: &str,
    kind: ColumnKind,
    problems: &mut Vec<TableProblem>,
) -> Option<usize> {
    let word = if kind == ColumnKind::Text { "a text" } else { "an integer" };
    let wanted = configured.unwrap_or(usual);
    let fitting = |d: &&Described| d.column.pk == 0 && d.column.kind == kind && !d.generated;
    let candidates: Vec<&str> = described.iter().filter(fitting).map(|d| d.column.name.as_str()).take(20).collect();
    let allowed = match candidates.as_slice() {
        [] => format!("a table with {word} column outside the key"),
        some => format!("{word} column outside the key: {}", some.join(", ")),
    };
    let Some(index) = described.iter().position(|d| d.column.name.eq_ignore_ascii_case(wanted)) else {
        let message = match configured {
            Some(name) => format!("the table has no column {}", name.escape_debug()),
            None => format!("the table has no column {usual}, and {key} does not name another"),
        };
        problems.push(problem(key, message, allowed));
        return None;
    };
    if fitting(&&described[index]) {
        return Some(index);
    }
    let column = &described[index].column;
    let message = if column.pk > 0 {
        format!("the column {} is the primary key", column.name)
    } else {
        format!("the column {} is declared {}, and {word} column is due", column.name, column.declared)
    };
    problems.push(problem(key, message, allowed));
    None
}
