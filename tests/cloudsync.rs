//! The real CloudSync extension through the driver: loading, tracking, and every way in which a service can fail.
//!
//! The server in these tests only ever fails. Nothing here answers as the vendor's service would.

#![allow(clippy::unwrap_used)]

#[path = "support/extension.rs"]
mod extension;
#[path = "support/stub.rs"]
mod stub;

use std::collections::BTreeMap;
use std::path::Path;

use soakd::model::finding::{Classified, Follow, Kind, Side};
use soakd::model::schema::TableSpec;
use soakd::target::sync_sql::{Credential, Provider, SessionSpec, SyncSession, check_file};
use stub::{Failure, Stub};

const SHA256: &str = "6a9ccc74a4dc28c59e4743f9f1d1c1a7a68c64e8457913aef272ddd4154619fc";

fn spec(path: &Path, address: &str) -> SessionSpec {
    SessionSpec {
        path: path.to_owned(),
        table: TableSpec::seed(),
        provider: Provider::Extension {
            path: extension::cloudsync(),
            entry_point: "sqlite3_cloudsync_init".into(),
            statements: BTreeMap::new(),
        },
        address: address.to_owned(),
        database_id: "soak".into(),
        connect_ms: 4000,
        request_ms: 4000,
        busy_ms: 1000,
    }
}

fn open(path: &Path, address: &str) -> SyncSession {
    let mut session = SyncSession::open(&spec(path, address)).unwrap();
    session.set_credential(&Credential::Token("token".to_owned().into())).unwrap();
    session
}

fn insert(session: &mut SyncSession, rows: u32) {
    let tx = session.conn_mut().transaction().unwrap();
    for i in 0..rows {
        tx.execute("INSERT INTO test_sync VALUES (?1, 'u', 'w1.1.1', ?2)", (format!("db1_r1_{i}"), i)).unwrap();
    }
    tx.commit().unwrap();
}

fn number(session: &SyncSession, sql: &str) -> i64 {
    session.conn().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn the_file_is_the_one_that_is_asked_for() {
    let path = extension::cloudsync();
    check_file(&path, Some(SHA256)).unwrap();
    let text = check_file(&path, Some(&"0".repeat(64))).unwrap_err().to_string();
    assert!(text.contains(SHA256), "{text}");
}

#[test]
fn a_wrong_entry_point_says_which_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(&dir.path().join("a.db"), "http://127.0.0.1:1");
    let Provider::Extension { entry_point, .. } = &mut spec.provider else { unreachable!() };
    *entry_point = "sqlite3_nothing_init".into();
    let text = SyncSession::open(&spec).err().unwrap().to_string();
    assert!(text.contains("sqlite3_cloudsync_init") && text.contains("sqlite3_nothing_init"), "{text}");
}

#[test]
fn loads_in_eight_threads_at_once() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let dir = dir.path();
            scope.spawn(move || {
                for round in 0..10 {
                    let session = open(&dir.join(format!("{thread}_{round}.db")), "http://127.0.0.1:1");
                    assert_eq!(session.provider_version(), "1.1.4");
                    assert!(session.conn().query_row("SELECT load_extension('x')", [], |_| Ok(())).is_err());
                    session.close().unwrap();
                }
            });
        }
    });
}

/// Not a test by itself: what each process of the test below runs.
#[test]
fn one_process_loads() {
    let Some(path) = std::env::var_os("SOAKD_TEST_CHILD_DB") else { return };
    let mut session = open(Path::new(&path), "http://127.0.0.1:1");
    insert(&mut session, 10);
    session.close().unwrap();
}

#[test]
fn loads_in_eight_processes_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let start = |i: i32| {
        let mut command = std::process::Command::new(&this);
        command.args(["--exact", "one_process_loads", "--quiet"]);
        command.env("SOAKD_TEST_CHILD_DB", dir.path().join(format!("{i}.db")));
        command.stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let children: Vec<_> = (0..8).map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    for i in 0..8 {
        let session = open(&dir.path().join(format!("{i}.db")), "http://127.0.0.1:1");
        assert_eq!(number(&session, "SELECT count(*) FROM test_sync"), 10);
    }
}

#[test]
fn tracks_inserts_updates_and_deletes() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = open(&dir.path().join("a.db"), "http://127.0.0.1:1");
    let version = |s: &SyncSession| number(s, "SELECT cloudsync_db_version()");
    let before = version(&session);
    insert(&mut session, 10_000);
    let inserted = version(&session);
    assert_eq!(number(&session, "SELECT count(DISTINCT pk) FROM cloudsync_changes"), 10_000);
    session.conn().execute("UPDATE test_sync SET value = value + 1", []).unwrap();
    let updated = version(&session);
    session.conn().execute("DELETE FROM test_sync", []).unwrap();
    let deleted = version(&session);
    assert_eq!([inserted, updated, deleted], [before + 1, before + 2, before + 3]);
    assert_eq!(number(&session, "SELECT count(*) FROM cloudsync_changes WHERE col_name = '__[RIP]__'"), 10_000);
}

/// What a failure must be told as by send, receive and the question for unsent changes.
fn seen(address: &str, dir: &Path) -> [Result<(), Classified>; 3] {
    let mut session = open(&dir.join("a.db"), address);
    session.conn().execute("INSERT OR REPLACE INTO test_sync VALUES ('db1_r1_1', 'u', 'n', 1)", []).unwrap();
    let unsent = session.has_unsent().map(drop).map_err(|e| e.classified);
    let receive = session.receive().map(drop).map_err(|e| e.classified);
    let send = session.send().map(drop).map_err(|e| e.classified);
    [send, receive, unsent]
}

fn assert_all(address: &str, side: Side, kind: Kind, follow: Follow) {
    let dir = tempfile::tempdir().unwrap();
    for (call, seen) in ["send", "receive", "unsent"].iter().zip(seen(address, dir.path())) {
        let error = seen.expect_err(call);
        assert_eq!((error.side, error.kind, error.follow), (side, kind, follow), "{call} {address}: {error:?}");
    }
}

#[test]
fn transport_failures_are_told_apart() {
    use Follow::{Fail, Indeterminate, Retry};
    use Side::{Client, Network};
    assert_all(&stub::refused_url(), Network, Kind::Refused, Retry);
    assert_all("http://soakd.invalid", Network, Kind::Resolve, Retry);
    assert_all("foo://127.0.0.1:1", Client, Kind::Config, Fail);
    let stub = Stub::start(Failure::Stall);
    assert_all(&stub.url(), Network, Kind::Timeout, Indeterminate);
    stub.fail_with(Failure::Close);
    assert_all(&stub.url(), Network, Kind::Reset, Indeterminate);
    stub.fail_with(Failure::CloseMidBody);
    assert_all(&stub.url(), Network, Kind::Reset, Indeterminate);
    stub.fail_with(Failure::NotHttp);
    assert_all(&stub.url(), Network, Kind::Protocol, Fail);
    assert_all(&stub.url().replace("http:", "https:"), Network, Kind::Tls, Fail);
}

#[test]
fn error_answers_are_told_apart_where_the_body_tells() {
    use Follow::{Fail, RefreshToken, Retry};
    let stub = Stub::start(Failure::Close);
    let rows: &[(u16, &str, Kind, Follow)] = &[
        (503, r#"{"errors":[{"status":"503","code":"database_paused","title":"Paused"}]}"#, Kind::Http5xx, Retry),
        (500, r#"{"errors":[{"status":"500","code":"x","title":"database is locked"}]}"#, Kind::Locked, Retry),
        (429, r#"{"errors":[{"status":"429","code":"slow_down","title":"Slow"}]}"#, Kind::RateLimited, Retry),
        (401, r#"{"errors":[{"status":"401","code":"token_expired","title":"No"}]}"#, Kind::Auth, RefreshToken),
        (401, r#"{"errors":[{"status":"401","code":"token_invalid","title":"No"}]}"#, Kind::Auth, Fail),
        (403, r#"{"errors":[{"status":"403","code":"denied","title":"No"}]}"#, Kind::Denied, Fail),
        (404, r#"{"errors":[{"status":"404","code":"no_database","title":"No"}]}"#, Kind::Http4xx, Fail),
        (400, r#"{"error":"bad request"}"#, Kind::Http4xx, Fail),
        (500, "database is locked", Kind::Locked, Retry),
        (429, "Too Many Requests", Kind::RateLimited, Retry),
        (503, "<html><h1>503 Service Temporarily Unavailable</h1></html>", Kind::Http5xx, Retry),
        (500, "Internal Server Error", Kind::Http5xx, Retry),
        (404, "page not found", Kind::Http4xx, Fail),
        (403, "Forbidden", Kind::Denied, Fail),
        (500, "oops", Kind::Other, Retry),
    ];
    // Without a body the extension does not tell which status it was.
    let empty = [400, 401, 403, 404, 429, 500, 503].map(|status| (status, "", Kind::Other, Retry));
    for (status, body, kind, follow) in rows.iter().chain(&empty) {
        stub.fail_with(Failure::Answer(*status, body));
        assert_all(&stub.url(), Side::Server, *kind, *follow);
    }
}

#[test]
fn junk_that_says_success_is_a_silent_loss_and_a_reset_undoes_it() {
    let stub = Stub::start(Failure::Close);
    let junk = ["", "junk", "{\"a\":", "{}", "[]", "null", "<html></html>"];
    for (status, body) in [200, 202, 204, 302].into_iter().flat_map(|s| junk.map(|b| (s, b))) {
        let dir = tempfile::tempdir().unwrap();
        let mut session = open(&dir.path().join("a.db"), &stub.url());
        insert(&mut session, 10);
        stub.fail_with(Failure::Answer(status, body));
        // Junk reads as "nothing unsent", so this question proves nothing.
        assert!(!session.has_unsent().unwrap(), "{status} {body:?}");
        let lost = session.send().unwrap_err().classified;
        assert_eq!((lost.kind, lost.follow), (Kind::SilentLoss, Follow::Resend), "{status} {body:?}");
        let position =
            "SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM cloudsync_settings WHERE key = 'send_dbversion'";
        assert!(number(&session, position) > 0, "{status} {body:?}");
        session.reset_position().unwrap();
        assert_eq!(number(&session, position), 0, "{status} {body:?}");
        // The changes are on their way again: an honest error is now met by them.
        stub.fail_with(Failure::Answer(500, "Internal Server Error"));
        assert_eq!(session.send().unwrap_err().classified.kind, Kind::Http5xx);
        session.close().unwrap();
    }
}

#[test]
fn a_truncated_check_answer_is_an_error() {
    let stub = Stub::start(Failure::Answer(200, "{\"a\":"));
    let dir = tempfile::tempdir().unwrap();
    let error = open(&dir.path().join("a.db"), &stub.url()).receive().unwrap_err().classified;
    assert_eq!((error.side, error.kind, error.follow), (Side::Server, Kind::Protocol, Follow::Retry), "{error:?}");
}

#[test]
fn a_local_lock_is_the_clients() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let mut spec = spec(&path, "http://127.0.0.1:1");
    spec.busy_ms = 1;
    let session = SyncSession::open(&spec).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Another deadline must be stored; the extension says that it was, and stored nothing.
    spec.request_ms = 9000;
    let error = SyncSession::open(&spec).err().expect("the file is locked");
    assert_eq!((error.classified.side, error.classified.kind), (Side::Client, Kind::Locked), "{error}");
    session.close().unwrap();
}

#[test]
fn a_reset_that_wrote_nothing_is_noticed() {
    let stub = Stub::start(Failure::Answer(200, "junk"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let mut spec = spec(&path, &stub.url());
    spec.busy_ms = 1;
    let mut session = SyncSession::open(&spec).unwrap();
    insert(&mut session, 1);
    assert_eq!(session.send().unwrap_err().classified.kind, Kind::SilentLoss);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = session.reset_position().unwrap_err();
    assert_eq!((error.classified.side, error.classified.kind), (Side::Client, Kind::Locked), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    session.reset_position().unwrap();
}

#[test]
fn tables_that_cannot_be_synced_are_refused_with_the_reason() {
    let ddls = [
        "CREATE TABLE test_sync (id INTEGER PRIMARY KEY NOT NULL, a TEXT)",
        "CREATE TABLE test_sync (id TEXT PRIMARY KEY NOT NULL, a TEXT NOT NULL)",
        "CREATE TABLE test_sync (id TEXT, a TEXT)",
        "CREATE TABLE other (id TEXT PRIMARY KEY NOT NULL)",
    ];
    for ddl in ddls {
        let dir = tempfile::tempdir().unwrap();
        let mut spec = spec(&dir.path().join("a.db"), "http://127.0.0.1:1");
        spec.table.ddl = ddl.into();
        let error = SyncSession::open(&spec).err().expect(ddl).classified;
        assert_eq!((error.kind, error.follow), (Kind::Schema, Follow::Fail), "{ddl}: {error:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    for (address, id) in [("", "x"), ("http://127.0.0.1:1", "")] {
        let mut spec = spec(&dir.path().join("a.db"), address);
        spec.database_id = id.into();
        let error = SyncSession::open(&spec).err().expect("refused").classified;
        assert_eq!((error.kind, error.follow), (Kind::Config, Follow::Fail), "{error:?}");
    }
}

#[test]
fn the_crashing_extension_loads_and_works_until_it_is_asked_to_send() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(&dir.path().join("a.db"), "http://127.0.0.1:1");
    spec.provider = Provider::Extension {
        path: extension::compile_abort_extension(dir.path()),
        entry_point: "sqlite3_abort_init".into(),
        statements: BTreeMap::from([("set".into(), String::new()), ("get".into(), String::new())]),
    };
    let mut session = SyncSession::open(&spec).unwrap();
    assert_eq!(session.provider_version(), "abort 1");
    assert_eq!(session.receive().unwrap().rows, 0);
    session.close().unwrap();
}
