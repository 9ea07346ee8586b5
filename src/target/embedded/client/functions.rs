//! The scalar functions: names, arguments and result shapes. What they do is in `state`, `send` and `receive`.

use std::sync::{Arc, Mutex};

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value;
use rusqlite::{Connection, Error, ErrorCode};

use super::ClientError;
use super::state::ClientState;

type Slot = Arc<Mutex<Option<ClientState>>>;
type Body = fn(&mut ClientState, &Context<'_>) -> Result<Value, ClientError>;

/// Registers every function under its name, with any number of arguments.
pub(super) fn register(connection: &Connection, slot: Slot) -> rusqlite::Result<()> {
    for (name, body) in FUNCTIONS {
        let slot = Arc::clone(&slot);
        connection.create_scalar_function(*name, -1, FunctionFlags::SQLITE_UTF8, move |context| {
            let mut guard =
                slot.lock().map_err(|_| user_error(&ClientError::Usage("the sync state is broken".into())))?;
            let Some(state) = guard.as_mut() else {
                return match *name {
                    "cloudsync_network_cleanup" => Ok(Value::Integer(0)),
                    "cloudsync_terminate" => Ok(Value::Integer(1)),
                    _ => Err(user_error(&ClientError::Usage("sync was terminated on this connection".into()))),
                };
            };
            let result = body(state, context).map_err(|error| user_error(&error));
            if *name == "cloudsync_terminate" {
                *guard = None;
            }
            result
        })?;
    }
    Ok(())
}

/// Makes a SQL error; a local lock keeps its result code, everything else is a plain error with its text.
fn user_error(error: &ClientError) -> Error {
    match error {
        ClientError::Local(Error::SqliteFailure(code, _))
            if matches!(code.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) =>
        {
            Error::SqliteFailure(*code, None)
        }
        other => Error::UserFunctionError(other.to_string().into()),
    }
}

const FUNCTIONS: &[(&str, Body)] = &[
    ("cloudsync_version", |_, _| Ok(Value::Text("native 1".into()))),
    ("cloudsync_init", |state, context| {
        state.init_table(&text(context, 0)?)?;
        Ok(Value::Text(state.client_id().to_owned()))
    }),
    ("cloudsync_cleanup", |state, context| state.cleanup_table(&text(context, 0)?).map(|()| Value::Null)),
    ("cloudsync_enable", |state, context| state.enable(&text(context, 0)?, true).map(|()| Value::Null)),
    ("cloudsync_disable", |state, context| state.enable(&text(context, 0)?, false).map(|()| Value::Null)),
    ("cloudsync_is_enabled", |state, context| flag(state.is_tracked(&text(context, 0)?)?)),
    ("cloudsync_siteid", |state, _| Ok(Value::Blob(state.site_id()))),
    ("cloudsync_db_version", |state, _| Ok(Value::Integer(state.versions()?.0))),
    ("cloudsync_uuid", |_, _| Ok(Value::Text(uuid::Uuid::now_v7().to_string()))),
    ("cloudsync_set", |state, context| state.set(&text(context, 0)?, &text(context, 1)?).map(|()| Value::Null)),
    ("cloudsync_terminate", |_, _| Ok(Value::Integer(1))),
    ("cloudsync_network_init", |state, context| {
        state.network_init("http://127.0.0.1:8484", &text(context, 0)?)?;
        Ok(Value::Integer(0))
    }),
    ("cloudsync_network_init_custom", |state, context| {
        state.network_init(&text(context, 0)?, &text(context, 1)?)?;
        Ok(Value::Integer(0))
    }),
    ("cloudsync_network_set_token", |state, context| {
        state.set_credential(&text(context, 0)?).map(|()| Value::Integer(0))
    }),
    ("cloudsync_network_set_apikey", |state, context| {
        state.set_credential(&text(context, 0)?).map(|()| Value::Integer(0))
    }),
    ("cloudsync_network_has_unsent_changes", |state, _| flag(state.has_unsent()?)),
    ("cloudsync_network_status", |state, _| Ok(Value::Text(state.network()?.health()?))),
    ("cloudsync_network_send_changes", |state, _| json(serde_json::json!({"send": state.send()?}))),
    ("cloudsync_network_receive_changes", |state, _| json(serde_json::json!({"receive": state.receive()?}))),
    ("cloudsync_network_check_changes", |state, _| json(serde_json::json!({"receive": state.receive()?}))),
    ("cloudsync_network_sync", |state, _| {
        let sent = state.send()?;
        json(serde_json::json!({"send": sent, "receive": state.receive()?}))
    }),
    ("cloudsync_network_reset_sync_version", |state, _| state.reset_positions().map(|()| Value::Null)),
    ("cloudsync_network_logout", |state, _| state.logout().map(|()| Value::Integer(0))),
    ("cloudsync_network_cleanup", |state, _| {
        state.network_cleanup();
        Ok(Value::Integer(0))
    }),
];

fn text(context: &Context<'_>, index: usize) -> Result<String, ClientError> {
    if index >= context.len() {
        return Err(ClientError::Usage(format!("argument {} is missing", index + 1)));
    }
    context.get(index).map_err(|_| ClientError::Usage(format!("argument {} must be a text", index + 1)))
}

fn flag(value: bool) -> Result<Value, ClientError> {
    Ok(Value::Integer(i64::from(value)))
}

fn json(value: serde_json::Value) -> Result<Value, ClientError> {
    Ok(Value::Text(value.to_string()))
}
