//! Checks that need the service's own parts: the extension on a connection, the gateway's tokens, the table in the cloud.
//!
//! The extension runs in an in-memory database and says nothing to the service. A token that is issued here expires in a
//! minute.

use std::path::PathBuf;

use chrono::{TimeDelta, Utc};

use super::CheckLine;
use crate::config::target::ExtensionConfig;
use crate::config::{Config, Loaded, ServiceConfig};
use crate::model::schema::TableSpec;
use crate::target::gateway::{Gateway, GatewayTimeouts};
use crate::target::sync_sql::{Provider, SessionSpec, SyncSession, check_file};

/// User for whom the token is issued: the first of the sync workload's.
const USER: &str = "018ecfc2-b2b1-7cc3-a9f0-000000000001";

/// Makes all checks of this file.
pub(super) async fn examine(loaded: &Loaded, service: &ServiceConfig, extension: &ExtensionConfig) -> Vec<CheckLine> {
    let mut lines = vec![extension_loads(loaded, service, extension)];
    let gateway = match gateway(loaded, service) {
        Ok(gateway) => gateway,
        Err(line) => {
            lines.push(line);
            return lines;
        }
    };
    if loaded.config.workload.sync().is_some_and(|sync| sync.rls) {
        lines.push(token(&gateway).await);
    }
    lines.push(cloud_table(&gateway, &loaded.table).await);
    lines
}

/// Loads the extension and asks for its version, once its file was found good.
fn extension_loads(loaded: &Loaded, service: &ServiceConfig, extension: &ExtensionConfig) -> CheckLine {
    const NAME: &str = "extension";
    if std::fs::File::open(&extension.path).is_err() {
        return CheckLine::skipped(NAME, "its file cannot be read");
    }
    if let Err(why) = check_file(&extension.path, extension.sha256.as_deref()) {
        return CheckLine::failed(NAME, why.to_string());
    }
    let millis = |span: crate::config::Span| span.get().as_millis() as u64;
    let Config { timeouts, .. } = &loaded.config;
    let spec = SessionSpec {
        path: PathBuf::from(":memory:"),
        table: loaded.table.clone(),
        provider: Provider::Extension {
            path: extension.path.clone(),
            entry_point: extension.entry_point.clone(),
            statements: extension.statements.clone(),
        },
        address: service.address.clone(),
        database_id: service.database_id.clone(),
        connect_ms: millis(timeouts.connect),
        request_ms: millis(timeouts.request),
        busy_ms: millis(timeouts.busy),
    };
    match SyncSession::open(&spec) {
        Ok(session) => {
            let version = session.provider_version().to_owned();
            match session.close() {
                Ok(()) => CheckLine::ok(NAME, format!("version {version} loads and takes the table")),
                Err(why) => CheckLine::failed(NAME, format!("version {version} does not close: {why}")),
            }
        }
        Err(why) => CheckLine::failed(NAME, why.to_string()),
    }
}

/// Opens the gateway, or says why there is none.
fn gateway(loaded: &Loaded, service: &ServiceConfig) -> Result<Gateway, CheckLine> {
    const NAME: &str = "token";
    let (Some(address), Some(reference)) = (&service.gateway, &service.api_key) else {
        return Err(CheckLine::skipped(NAME, "no gateway with an api key is configured"));
    };
    let api_key = reference.resolve().map_err(|_| CheckLine::skipped(NAME, "the api key is not to be had"))?;
    let timeouts = &loaded.config.timeouts;
    let timeouts = GatewayTimeouts { connect: timeouts.connect.get(), request: timeouts.request.get() };
    Gateway::new(address, api_key, service.database.clone(), loaded.table.clone(), timeouts)
        .map_err(|why| CheckLine::failed(NAME, why.to_string()))
}

/// Issues a token that expires in a minute.
async fn token(gateway: &Gateway) -> CheckLine {
    const NAME: &str = "token";
    match gateway.issue_token("soakd-check", USER, Some(Utc::now() + TimeDelta::minutes(1))).await {
        Ok(_) => CheckLine::ok(NAME, "issued; it expires in a minute"),
        Err(why) => CheckLine::failed(NAME, why.to_string()),
    }
}

/// Compares the columns of the cloud's table with the configured ones.
async fn cloud_table(gateway: &Gateway, table: &TableSpec) -> CheckLine {
    const NAME: &str = "cloud table";
    let sql = format!("SELECT name FROM pragma_table_info('{}')", table.name.replace('\'', "''"));
    let rows = match gateway.sql(&sql).await {
        Ok(rows) => rows,
        Err(why) => return CheckLine::failed(NAME, why.to_string()),
    };
    let have: Vec<&str> = rows.iter().filter_map(|row| row.get("name")?.as_str()).collect();
    if have.is_empty() {
        return CheckLine::failed(
            NAME,
            format!("there is no table {}; `soakd init` prints how to make it", table.name),
        );
    }
    let missing: Vec<&str> =
        table.columns.iter().map(|c| c.name.as_str()).filter(|name| !have.contains(name)).collect();
    match missing.as_slice() {
        [] => CheckLine::ok(NAME, format!("{} has all {} columns", table.name, table.columns.len())),
        some => CheckLine::failed(NAME, format!("{} has no column {}", table.name, some.join(", "))),
    }
}
