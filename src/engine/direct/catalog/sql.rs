//! The statements of the catalog, the same for both dialects.

use crate::checker::catalog::{Row, State};
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
const ACTIVE: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid() \
                      AND state <> 'idle'";
const CONNECTED: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid()";

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
        Some(row) => Ok(whole(row)?.1),
        None => Err(strange(format!("{name} is not there"))),
    }
}

/// Reads the versions of all datasets, of at most so many.
pub(super) async fn list(session: &mut Session, most: u32) -> Result<Vec<(String, i64)>, SqlError> {
    let rows = session.query(LIST, &[SqlValue::Int(i64::from(most))]).await.map_err(certain)?;
    rows.iter()
        .map(|row| match row.as_slice() {
            [SqlValue::Text(name), SqlValue::Int(version)] => Ok((name.clone(), *version)),
            _ => Err(strange("a row of the list is not as it was written".into())),
        })
        .collect()
}

/// Reads everything in one transaction: at most so many rows, and the version of the catalog.
pub(super) async fn all(session: &mut Session, most: u32) -> Result<(Vec<(String, Row)>, Option<i64>), SqlError> {
    session.begin(Access::Read).await?;
    let found = async {
        let rows = session.query(ALL, &[SqlValue::Int(i64::from(most))]).await?;
        let rows = rows.iter().map(|row| whole(row)).collect::<Result<Vec<_>, _>>()?;
        let meta = session.query(META, &[]).await?;
        Ok((rows, meta.first().and_then(|row| row.first()?.int())))
    }
    .await;
    session.rollback().await;
    found
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

/// Returns how many other connections of an application a server counts: all of them, or those that do something.
pub(super) async fn connections(session: &mut Session, application: &str, active: bool) -> Result<u64, SqlError> {
    let sql = if active { ACTIVE } else { CONNECTED };
    let rows = session.query(sql, &[SqlValue::Text(application.into())]).await?;
    let count = rows.first().and_then(|row| row.first()?.int());
    count.map(|n| n as u64).ok_or_else(|| strange("the server does not say which connections there are".into()))
}

fn whole(row: &[SqlValue]) -> Result<(String, Row), SqlError> {
    use SqlValue::{Int, Text};
    match row {
        [Text(name), Int(version), Text(content), Int(total), Text(writer), Int(operation)] => {
            let (content, writer) = (content.clone(), writer.clone());
            let state = State { version: *version, content, writer, operation: *operation };
            Ok((name.clone(), Row { state, total: *total }))
        }
        _ => Err(strange("a dataset is not as it was written: its columns have other types".into())),
    }
}

/// Returns an error about what stands in the database.
pub(super) fn strange(message: String) -> SqlError {
    SqlError::of_workload(Kind::Divergence, message)
}

/// Returns an error of something that changes nothing.
fn certain(error: SqlError) -> SqlError {
    SqlError { uncertain: false, ..error }
}
