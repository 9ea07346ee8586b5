use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use super::scripted::{Script, calls, script};
use super::session::{CREDENTIAL_BYTES_MAX, RECEIVE_IDLE_MAX};
use super::*;
use crate::model::finding::{Follow, Kind, Side};

fn spec(path: &Path) -> SessionSpec {
    SessionSpec {
        path: path.to_owned(),
        table: TableSpec::seed(),
        provider: Provider::Native,
        address: "http://127.0.0.1:1".into(),
        database_id: "soak".into(),
        connect_ms: 100,
        request_ms: 100,
        busy_ms: 100,
    }
}

fn answers(all: &[&str]) -> VecDeque<Result<String, String>> {
    all.iter().map(|text| Ok((*text).to_owned())).collect()
}

/// Opens a session whose provider follows the script.
fn open(new: Script) -> (tempfile::TempDir, SyncSession) {
    let dir = tempfile::tempdir().unwrap();
    script(new);
    let session = SyncSession::open(&spec(&dir.path().join("a.db"))).unwrap();
    calls();
    (dir, session)
}

fn sent(text: &str) -> Result<SendReport, SyncError> {
    open(Script { send: answers(&[text]), ..Script::default() }).1.send()
}

fn received(texts: &[&str]) -> Result<ReceiveReport, SyncError> {
    open(Script { receive: answers(texts), ..Script::default() }).1.receive()
}

const SYNCED: &str = r#"{"send":{"status":"synced","localVersion":5,"serverVersion":5,"chunks":1,"bytes":120}}"#;

#[test]
fn a_session_is_prepared_in_order_and_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir.path().join("a.db"));
    for _ in 0..2 {
        script(Script::default());
        let session = SyncSession::open(&spec).unwrap();
        assert_eq!(session.provider_version(), "scripted");
        let mode: String = session.conn().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        session.close().unwrap();
        assert_eq!(calls(), ["init", "network_init", "cleanup", "terminate"]);
    }
}

#[test]
fn both_clean_ups_are_made_on_every_way_out() {
    let (_dir, session) = open(Script { cleanup_fails: true, ..Script::default() });
    assert_eq!(session.close().unwrap_err().during, "cleanup");
    assert_eq!(calls(), ["cleanup", "terminate"]);
    let (_dir, session) = open(Script { cleanup_fails: true, ..Script::default() });
    drop(session);
    assert_eq!(calls(), ["cleanup", "terminate"]);
    let dir = tempfile::tempdir().unwrap();
    script(Script { init_fails: true, ..Script::default() });
    let error = SyncSession::open(&spec(&dir.path().join("a.db"))).err().unwrap();
    assert_eq!((error.during, error.classified.kind), ("init", Kind::Schema));
    assert_eq!(calls(), ["init", "cleanup", "terminate"]);
}

#[test]
fn a_send_is_read_in_full() {
    let report = sent(SYNCED).unwrap();
    assert_eq!((report.status.as_str(), report.local_version, report.server_version), ("synced", 5, 5));
    assert_eq!((report.chunks, report.bytes, report.seq, report.last_failure), (1, 120, None, None));
    let report = sent(
        r#"{"send":{"status":"syncing","localVersion":5,"serverVersion":4,"chunks":1,"bytes":1,"rows":7,"seq":[3,9],
            "refused":[{"key":"k","verb":"insert","reason":"not yours"}],
            "lastFailure":{"jobId":12,"code":"apply_failed","message":"boom","retryable":false}}}"#,
    )
    .unwrap();
    assert_eq!((report.rows, report.seq), (7, Some((3, 9))));
    assert_eq!(report.refused, [Refusal { key: "k".into(), verb: "insert".into(), reason: "not yours".into() }]);
    let failure = report.last_failure.unwrap();
    assert_eq!((failure.side, failure.kind, failure.follow), (Side::Server, Kind::Apply, Follow::Fail));
    assert_eq!((failure.code.as_deref(), failure.message.as_str()), (Some("apply_failed"), "job 12: boom"));
}

#[test]
fn a_silent_loss_is_noticed_and_undone() {
    let lost = r#"{"send":{"status":"error","localVersion":5,"serverVersion":-1}}"#;
    let (_dir, mut session) = open(Script { send: answers(&[lost, SYNCED]), ..Script::default() });
    let error = session.send().unwrap_err();
    assert_eq!((error.classified.kind, error.classified.follow), (Kind::SilentLoss, Follow::Resend));
    assert!(error.to_string().contains("reset"), "{error}");
    assert!(!session.has_unsent().unwrap());
    session.reset_position().unwrap();
    assert!(session.has_unsent().unwrap());
    session.send().unwrap();
    let version = sent(r#"{"send":{"status":"syncing","serverVersion":-1}}"#).unwrap_err();
    assert_eq!(version.classified.kind, Kind::SilentLoss);
}

#[test]
fn answers_without_sense_are_errors() {
    for text in ["", "junk", "[]", "null", "{}", r#"{"send":1}"#, r#"{"send":{}}"#, r#"{"receive":{"rows":1}}"#] {
        let error = sent(text).unwrap_err().classified;
        assert_eq!((error.kind, error.follow), (Kind::Protocol, Follow::Fail), "{text}");
    }
    for text in ["", "{}", r#"{"receive":[]}"#, r#"{"receive":{}}"#, r#"{"receive":{"rows":"many"}}"#, SYNCED] {
        assert_eq!(received(&[text]).unwrap_err().classified.kind, Kind::Protocol, "{text}");
    }
}

#[test]
fn a_receive_goes_on_until_it_is_complete() {
    let more = r#"{"receive":{"rows":3,"tables":["t"],"chunks":1,"bytes":240,"complete":false}}"#;
    let last = r#"{"receive":{"rows":1,"tables":["t","u"],"chunks":1,"bytes":10,"complete":true,
        "lastFailure":{"code":"prepare","message":"try later","retryable":true}}}"#;
    let report = received(&[more, more, last]).unwrap();
    assert_eq!((report.rows, report.bytes, report.chunks, report.calls), (7, 490, 3, 3));
    assert_eq!(report.tables, ["t", "u"]);
    assert_eq!(report.last_failure.unwrap().follow, Follow::Retry);
}

#[test]
fn a_receive_that_never_completes_ends() {
    let empty = r#"{"receive":{"rows":0,"tables":[],"chunks":0,"bytes":0,"complete":false}}"#;
    let error = received(&vec![empty; RECEIVE_IDLE_MAX as usize + 1]).unwrap_err();
    assert_eq!((error.classified.kind, error.classified.follow), (Kind::Protocol, Follow::Retry), "{error}");
}

#[test]
fn a_local_apply_error_inside_a_result_is_an_error() {
    let error = received(&[r#"{"receive":{"rows":0,"error":"a trigger refused it","complete":true}}"#]).unwrap_err();
    assert_eq!((error.classified.side, error.classified.kind), (Side::Client, Kind::Apply));
}

#[test]
fn errors_of_a_call_are_classified_and_say_what_follows() {
    let failing = |text: &str| Script { send: VecDeque::from([Err(text.to_owned())]), ..Script::default() };
    let expired = r#"{"errors":[{"status":"401","code":"token_expired","title":"Token expired"}]}"#;
    let error = open(failing(expired)).1.send().unwrap_err();
    assert_eq!((error.classified.kind, error.classified.follow), (Kind::Auth, Follow::RefreshToken));
    insta::assert_snapshot!(error, @"send failed: Token expired [Server/Auth, code token_expired]; a new token is needed before the next attempt");
    let error = open(failing("oops")).1.send().unwrap_err();
    assert_eq!((error.classified.side, error.classified.follow), (Side::Server, Follow::Retry));
}

#[test]
fn credentials_that_would_break_the_header_are_refused_before_use() {
    let (_dir, mut session) = open(Script::default());
    let long = "x".repeat(CREDENTIAL_BYTES_MAX + 1);
    for bad in ["", "a\r\nX-Evil: 1", "a\n", "a\0b", " a", long.as_str()] {
        let error = session.set_credential(&Credential::Token(bad.to_owned().into())).unwrap_err();
        assert_eq!(error.classified.kind, Kind::Config);
        assert!(bad.is_empty() || bad == " a" || !error.to_string().contains(bad));
    }
    assert!(calls().is_empty());
    session.set_credential(&Credential::None).unwrap();
    session.set_credential(&Credential::Token("123|sqla_x".to_owned().into())).unwrap();
    session.set_credential(&Credential::ApiKey("key".to_owned().into())).unwrap();
    assert_eq!(calls(), ["set_token", "set_apikey"]);
}

#[test]
fn places_and_files_that_cannot_work_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let failed = |spec: &SessionSpec| SyncSession::open(spec).err().unwrap();
    let directory = failed(&spec(dir.path()));
    assert!(directory.to_string().contains("is a directory"), "{directory}");
    let missing = failed(&spec(&dir.path().join("no/a.db")));
    assert!(missing.to_string().contains("does not exist"), "{missing}");
    let junk = dir.path().join("junk.db");
    std::fs::write(&junk, "not a database at all, however long it is".repeat(100)).unwrap();
    let corrupt = failed(&spec(&junk));
    assert_eq!(corrupt.classified.kind, Kind::Corrupt, "{corrupt}");
    assert!(corrupt.to_string().contains("junk.db"), "{corrupt}");
}

#[test]
fn files_that_are_no_extension_are_refused_before_they_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.path().join(name), bytes).unwrap();
        dir.path().join(name)
    };
    let mut foreign = b"\x7fELF\x01\x01\x01".to_vec();
    foreign.resize(64, 0);
    let files = [
        (dir.path().join("none.so"), "cannot be read"),
        (dir.path().to_owned(), "not a regular file"),
        (write("short.so", b"\x7fE"), "not an ELF"),
        (write("page.so", b"<html>404 not found, try another</html>"), "not an ELF"),
        (write("foreign.so", &foreign), "another machine"),
    ];
    for (path, why) in files {
        let mut spec = spec(&dir.path().join("a.db"));
        let statements = BTreeMap::new();
        spec.provider = Provider::Extension { path, entry_point: "sqlite3_x_init".into(), statements };
        let error = SyncSession::open(&spec).err().unwrap();
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(error.classified.kind, Kind::Config);
    }
}
