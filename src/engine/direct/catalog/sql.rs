//! The statements of the catalog, the same for both dialects.

use crate::checker::catalog::{Odd, Row, State};
use crate::model::finding::Kind;
use crate::target::sql::{Access, Session, SqlError, SqlValue};
use crate::workload::catalog::{dataset_name, first_content};

const READ: &str = "SELECT name, version, content, total, writer, operation FROM datasets WHERE name = $1";
const LIST: &str = "SELECT name, version FROM datasets ORDER BY name LIMIT $1";
const ALL: &str = "SELECT name, version, content, total, writer, operation FROM datasets ORDER BY name LIMIT $1";
const META: &str = "SELECT version FROM catalog_meta WHERE id = 1";
const REPLACE: &str = "UPDATE datasets SET version = $1, content = $2, total = $3, writer = $4, operation = $5 \
                       WHERE name = $6 AND version = $7";
const RAISE: &str = "UPDATE catalog_meta SET version = version + 1 WHERE id = 1";
const SCHEMA: &str = "DROP TABLE IF EXISTS datasets;
DROP TABLE IF EXISTS catalog_meta;
CREATE TABLE catalog_meta (id INTEGER PRIMARY KEY CHECK (id = 1), version BIGINT NOT NULL);
CREATE TABLE datasets (name TEXT PRIMARY KEY, version BIGINT NOT NULL, content TEXT NOT NULL, total BIGINT NOT NULL,
  writer TEXT NOT NULL, operation BIGINT NOT NULL);
INSERT INTO catalog_meta (id, version) VALUES (1, 1);
";
const ACTIVE: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                      AND application_name = current_setting('application_name') \
                      AND pid <> pg_backend_pid() AND state <> 'idle'";
const CONNECTED: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                         AND application_name = current_setting('application_name') AND pid <> pg_backend_pid()";

const OTHERS: &str = "SELECT client_port FROM pg_stat_activity WHERE client_port > 0 \
                      AND (application_name <> current_setting('application_name') \
                      OR datname IS DISTINCT FROM current_database())";

/// Makes the tables and the datasets as a cycle begins with them.
pub(super) async fn create(session: &mut Session, datasets: u32, seed: u64) -> Result<(), SqlError> {
    let mut script = SCHEMA.to_owned();
    for dataset in 1..=datasets {
        let (name, content) = (dataset_name(dataset), first_content(seed, dataset));
        script.push_str(&format!("INSERT INTO datasets VALUES ('{name}', 1, '{content}', 0, 'seed', 0);\n"));
    }
    session.begin(Access::Write).await?;
    if let Err(error) = session.script(&script).await {
        session.rollback().await;
        return Err(error);
    }
    session.commit().await
}

/// Reads a dataset.
pub(super) async fn read(session: &mut Session, dataset: u32) -> Result<Row, SqlError> {
    let name = dataset_name(dataset);
    let rows = session.query(READ, &[SqlValue::Text(name.clone())]).await.map_err(certain)?;
    match rows.first() {
        Some(row) => match found(row) {
            Found { row, odd: Odd { version: None, others }, .. } if others.is_empty() => Ok(row),
            Found { odd: Odd { version, others }, .. } => {
                let what: Vec<String> = version.into_iter().chain(others).collect();
                Err(strange(format!("{name} is not as it was written: {}", what.join(", "))))
            }
        },
        None => Err(strange(format!("{name} is not there"))),
    }
}

/// Reads the versions of all datasets, of at most so many.
pub(super) async fn list(session: &mut Session, most: u32) -> Result<Vec<(String, i64)>, SqlError> {
    let rows = session.query(LIST, &[SqlValue::Int(i64::from(most))]).await.map_err(certain)?;
    rows.iter()
        .map(|row| match row.as_slice() {
            [SqlValue::Text(name), SqlValue::Int(version)] => Ok((name.clone(), *version)),
            [name, version] => {
                let (name, version) = (name.shown(), version.shown());
                Err(strange(format!(
                    "a row of the list is not as it was written: its name is {name}, its version {version}"
                )))
            }
            _ => Err(strange("the list has other columns than were asked for".into())),
        })
        .collect()
}

/// Returns how many of so many datasets can be read, with a version that is one.
pub(super) async fn readable(session: &mut Session, datasets: u32) -> Result<u32, SqlError> {
    let rows = session.query(LIST, &[SqlValue::Int(i64::from(datasets) + 1)]).await.map_err(certain)?;
    let there = |name: &str| rows.iter().any(|row| row[0].text() == Some(name) && row[1].int().is_some());
    Ok((1..=datasets).filter(|no| there(&dataset_name(*no))).count() as u32)
}

/// A row as it was found, whatever its values are.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    /// What a name that is no text is, for people.
    pub(super) name: String,
    pub(super) row: Row,
    pub(super) odd: Odd,
}

/// Reads everything in one transaction: at most so many rows, and what stands where the version of the catalog must be.
pub(super) async fn all(session: &mut Session, most: u32) -> Result<(Vec<Found>, Option<SqlValue>), SqlError> {
    session.begin(Access::Read).await?;
    let read = async {
        let rows = session.query(ALL, &[SqlValue::Int(i64::from(most))]).await?;
        let rows = rows.iter().map(|row| found(row)).collect();
        let meta = session.query(META, &[]).await?;
        Ok((rows, meta.first().and_then(|row| row.first().cloned())))
    }
    .await;
    session.rollback().await;
    read
}

/// Replaces what was read, unless somebody else was first; then nothing has happened.
pub(super) async fn replace(session: &mut Session, name: &str, read: &Row, left: &State) -> Result<bool, SqlError> {
    session.begin(Access::Write).await.map_err(certain)?;
    let params = [
        SqlValue::Int(left.version),
        SqlValue::Text(left.content.clone()),
        SqlValue::Int(read.total + 1),
        SqlValue::Text(left.writer.clone()),
        SqlValue::Int(left.operation),
        SqlValue::Text(name.into()),
        SqlValue::Int(read.state.version),
    ];
    let replaced = async {
        if session.execute(REPLACE, &params).await? == 0 {
            return Ok(false);
        }
        match session.execute(RAISE, &[]).await? {
            1 => Ok(true),
            _ => Err(strange("the version of the catalog is not there".into())),
        }
    }
    .await;
    let ended = match replaced {
        Ok(true) => session.commit().await.map(|()| true),
        // What was not committed did not happen.
        other => other.map_err(certain),
    };
    if !matches!(ended, Ok(true)) {
        session.rollback().await;
    }
    ended
}

/// Returns how many other connections of this application a server counts in this database: all of them, or those that do something.
pub(super) async fn connections(session: &mut Session, active: bool) -> Result<u64, SqlError> {
    let sql = if active { ACTIVE } else { CONNECTED };
    let rows = session.query(sql, &[]).await?;
    let count = rows.first().and_then(|row| row.first()?.int());
    count.map(|n| n as u64).ok_or_else(|| strange("the server does not say which connections there are".into()))
}

/// Returns the ports from which other applications are connected, as the server sees them.
pub(super) async fn others(session: &mut Session) -> Result<Vec<u16>, SqlError> {
    let rows = session.query(OTHERS, &[]).await?;
    Ok(rows.iter().filter_map(|row| row.first()?.int()?.try_into().ok()).collect())
}

/// Takes a row as it is: name, version, content, total, writer, operation.
fn found(row: &[SqlValue]) -> Found {
    let value = |at: usize| row.get(at).unwrap_or(&SqlValue::Null);
    let odd = |at: usize, what: &str, noun: &str| format!("{what} is {}, no {noun}", value(at).shown());
    let int = |at: usize, what: &str| value(at).int().ok_or_else(|| odd(at, what, "whole number"));
    let text = |at: usize, what: &str| value(at).text().map(str::to_owned).ok_or_else(|| odd(at, what, "text"));
    let mut others = Vec::new();
    let name = text(0, "name").unwrap_or_else(|_| value(0).shown());
    let (version, odd_version) = match int(1, "version") {
        Ok(version) => (version, None),
        Err(what) => (0, Some(what)),
    };
    let (content, writer) = (kept(text(2, "content"), &mut others), kept(text(4, "writer"), &mut others));
    let (total, operation) = (kept(int(3, "total"), &mut others), kept(int(5, "operation"), &mut others));
    let row = Row { state: State { version, content, writer, operation }, total };
    Found { name, row, odd: Odd { version: odd_version, others } }
}

/// Returns a value that is as it must be, and takes note of one that is not.
fn kept<T: Default>(value: Result<T, String>, odd: &mut Vec<String>) -> T {
    value.unwrap_or_else(|what| {
        odd.push(what);
        T::default()
    })
}

/// Returns an error about what stands in the database.
pub(super) fn strange(message: String) -> SqlError {
    SqlError::of_workload(Kind::Divergence, message)
}

/// Returns an error of something that changes nothing.
fn certain(error: SqlError) -> SqlError {
    SqlError { uncertain: false, ..error }
}
