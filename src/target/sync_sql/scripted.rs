//! A provider that answers what a test tells it to.

use std::cell::RefCell;
use std::collections::VecDeque;

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use super::SessionSpec;

type Answers = VecDeque<Result<String, String>>;

/// What the functions of this thread answer, and what they were asked.
#[derive(Default)]
pub(super) struct Script {
    pub send: Answers,
    pub receive: Answers,
    pub unsent: bool,
    pub cleanup_fails: bool,
    pub init_fails: bool,
    pub calls: Vec<String>,
}

thread_local! {
    static SCRIPT: RefCell<Script> = RefCell::default();
}

/// Replaces the script of this thread.
pub(super) fn script(new: Script) {
    SCRIPT.set(new);
}

/// Returns the calls made since the last time.
pub(super) fn calls() -> Vec<String> {
    SCRIPT.with_borrow_mut(|s| std::mem::take(&mut s.calls))
}

fn called<T>(name: &str, act: impl FnOnce(&mut Script) -> Result<T, String>) -> rusqlite::Result<T> {
    SCRIPT.with_borrow_mut(|s| {
        s.calls.push(name.to_owned());
        act(s).map_err(|text| rusqlite::Error::UserFunctionError(text.into()))
    })
}

/// Registers the functions.
pub(super) fn register(conn: &Connection, _spec: &SessionSpec) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8;
    let spent = || Err("the script is at its end".to_owned());
    conn.create_scalar_function("cloudsync_version", 0, flags, |_| Ok("scripted"))?;
    conn.create_scalar_function("cloudsync_init", 1, flags, |_| {
        called("init", |s| if s.init_fails { Err("Table x does not exist".into()) } else { Ok(0) })
    })?;
    conn.create_scalar_function("cloudsync_network_init_custom", 2, flags, |_| called("network_init", |_| Ok(0)))?;
    conn.create_scalar_function("cloudsync_network_set_token", 1, flags, |_| called("set_token", |_| Ok(0)))?;
    conn.create_scalar_function("cloudsync_network_set_apikey", 1, flags, |_| called("set_apikey", |_| Ok(0)))?;
    conn.create_scalar_function("cloudsync_network_send_changes", 0, flags, move |_| {
        called("send", |s| s.send.pop_front().unwrap_or_else(spent))
    })?;
    conn.create_scalar_function("cloudsync_network_receive_changes", 0, flags, move |_| {
        called("receive", |s| s.receive.pop_front().unwrap_or_else(spent))
    })?;
    conn.create_scalar_function("cloudsync_network_reset_sync_version", 0, flags, |_| {
        called("reset", |s| {
            s.unsent = true;
            Ok(0)
        })
    })?;
    conn.create_scalar_function("cloudsync_network_has_unsent_changes", 0, flags, |_| {
        called("unsent", |s| Ok(i64::from(s.unsent)))
    })?;
    conn.create_scalar_function("cloudsync_network_cleanup", 0, flags, |_| {
        called("cleanup", |s| if s.cleanup_fails { Err("boom".into()) } else { Ok(0) })
    })?;
    conn.create_scalar_function("cloudsync_terminate", 0, flags, |_| called("terminate", |_| Ok(1)))
}
