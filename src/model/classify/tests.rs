use super::*;
use crate::model::finding::MESSAGE_CHARS_MAX;
use Follow::{Fail, Indeterminate, RefreshToken, Retry};

const ERROR: Option<i32> = Some(1);

/// Asserts what each message means when it comes with `SQLITE_ERROR`.
fn assert_rows(rows: &[(&str, Side, Kind, Follow)]) {
    for (message, side, kind, follow) in rows {
        let found = classify(ERROR, message);
        assert_eq!((found.side, found.kind, found.follow), (*side, *kind, *follow), "{message}");
        assert_eq!(found.message, cut(message));
    }
}

#[test]
fn transport_texts() {
    use Side::{Client, Network, Soakd};
    assert_rows(&[
        ("Failed to connect to 127.0.0.1 port 1 after 0 ms: Error", Network, Kind::Refused, Retry),
        ("Could not resolve host: x.invalid", Network, Kind::Resolve, Retry),
        ("Connection timed out after 2017 milliseconds", Network, Kind::Timeout, Retry),
        ("Operation timed out after 2002 milliseconds with 0 bytes received", Network, Kind::Timeout, Indeterminate),
        ("Empty reply from server", Network, Kind::Reset, Indeterminate),
        ("Recv failure: Connection reset by peer", Network, Kind::Reset, Indeterminate),
        ("end of response with 990 bytes missing", Network, Kind::Reset, Indeterminate),
        ("Received HTTP/0.9 when not allowed", Network, Kind::Protocol, Fail),
        ("TLS connect error: error:0A00010B:SSL routines::wrong version number", Network, Kind::Tls, Fail),
        ("Protocol \"foo\" not supported", Client, Kind::Config, Fail),
        ("URL rejected: Error", Client, Kind::Config, Fail),
        ("No URL set", Soakd, Kind::Config, Fail),
    ]);
}

#[test]
fn texts_of_the_native_client() {
    use Side::{Network, Server, Soakd};
    assert_rows(&[
        ("Failed to connect to http://x.invalid: failed to lookup address information", Network, Kind::Resolve, Retry),
        ("The exchange with http://127.0.0.1:1 broke off: end of file", Network, Kind::Reset, Indeterminate),
        ("http://127.0.0.1:1 answered 503 Service Unavailable without a reason", Server, Kind::Http5xx, Retry),
        ("the server's answer is not understood: short frame", Server, Kind::Protocol, Indeterminate),
        ("there is no network: call network_init first", Soakd, Kind::Config, Fail),
    ]);
    assert_eq!(classify_job(Some("refused"), "3 changes were refused", Some(false)).kind, Kind::Denied);
}

#[test]
fn texts_of_error_answers_without_a_body() {
    assert_rows(&[
        ("unable to retrieve current status from remote host.", Side::Server, Kind::Other, Retry),
        ("Memory error.", Side::Server, Kind::Other, Retry),
        ("cloudsync_network_send_changes unable to apply changes to remote host.", Side::Server, Kind::Other, Retry),
        ("cloudsync_network_send_changes unable to receive upload URL", Side::Server, Kind::Other, Retry),
    ]);
}

#[test]
fn texts_of_unusable_success() {
    assert_rows(&[
        ("cloudsync_network_receive_changes: unable to parse check response.", Side::Server, Kind::Protocol, Retry),
        ("cloudsync_network_send_changes: missing 'url' in upload response.", Side::Server, Kind::Protocol, Retry),
    ]);
}

#[test]
fn local_texts() {
    use Side::{Client, Server, Soakd};
    assert_rows(&[
        ("database is locked", Server, Kind::Locked, Retry),
        ("Unable to retrieve CloudSync network context.", Soakd, Kind::Config, Fail),
        ("managedDatabaseId cannot be empty", Client, Kind::Config, Fail),
        ("address cannot be empty", Client, Kind::Config, Fail),
        ("cloudsync has no tables configured for sync. Call init first.", Soakd, Kind::Config, Fail),
        ("Table x does not exist", Client, Kind::Schema, Fail),
        ("Unknown CRDT algorithm name x", Client, Kind::Config, Fail),
        ("Table x uses a single-column INTEGER primary key. Use TEXT.", Client, Kind::Schema, Fail),
        (
            "All non-primary key columns declared as NOT NULL must have a DEFAULT value. (table x)",
            Client,
            Kind::Schema,
            Fail,
        ),
        ("Rowid only tables are not supported, declare a key (table x)", Client, Kind::Schema, Fail),
        ("Unable to retrieve table name t in cloudsync_insert.", Soakd, Kind::Config, Fail),
        ("no such function: cloudsync_is_sync", Client, Kind::Config, Fail),
        (
            "cloudsync_network_receive_changes: server rejected check (non-retryable): gone - no such job",
            Server,
            Kind::Apply,
            Fail,
        ),
    ]);
}

#[test]
fn the_result_code_tells_a_local_lock_from_a_servers() {
    for code in [5, 6, 261, 262, 517, 773] {
        let found = classify(Some(code), "Unable to drop cloudsync table (database is locked)");
        assert_eq!((found.side, found.kind, found.follow), (Side::Client, Kind::Locked, Retry), "{code}");
        assert_eq!(found.code, Some(code.to_string()));
    }
    assert_eq!(classify(ERROR, "database is locked").side, Side::Server);
}

#[test]
fn result_codes_speak_before_any_text() {
    let rows = [
        (13, Kind::DiskFull, Fail),
        (11, Kind::Corrupt, Fail),
        (26, Kind::Corrupt, Fail),
        (19, Kind::Constraint, Fail),
        (2067, Kind::Constraint, Fail),
        (14, Kind::Config, Fail),
        (9, Kind::Timeout, Indeterminate),
    ];
    for (code, kind, follow) in rows {
        let found = classify(Some(code), "Operation timed out after 1 milliseconds");
        assert_eq!((found.kind, found.follow), (kind, follow), "{code}");
    }
}

#[test]
fn a_services_json_is_read_by_status_and_code() {
    let rows = [
        ("503", "database_paused", Kind::Http5xx, Retry),
        ("500", "internal", Kind::Http5xx, Retry),
        ("504", "upstream", Kind::Http5xx, Indeterminate),
        ("429", "slow_down", Kind::RateLimited, Retry),
        ("401", "token_expired", Kind::Auth, RefreshToken),
        ("401", "token_invalid", Kind::Auth, Fail),
        ("401", "token_revoked", Kind::Auth, Fail),
        ("403", "token_expired", Kind::Auth, RefreshToken),
        ("403", "denied", Kind::Denied, Fail),
        ("404", "no_database", Kind::Http4xx, Fail),
    ];
    for (status, code, kind, follow) in rows {
        let text = format!(r#"{{"errors":[{{"status":"{status}","code":"{code}","title":"No"}}]}}"#);
        for found in [classify(ERROR, &text), classify(ERROR, &format!("send: {text}"))] {
            assert_eq!((found.side, found.kind, found.follow), (Side::Server, kind, follow), "{text}");
            assert_eq!(found.code.as_deref(), Some(code));
        }
        let found = classify_http(status.parse().unwrap(), &text);
        assert_eq!((found.kind, found.follow), (kind, follow), "{text}");
    }
    let plain = classify(ERROR, r#"{"error":"database is locked"}"#);
    assert_eq!((plain.side, plain.kind), (Side::Server, Kind::Locked));
    let object = classify(ERROR, r#"{"error":{"status":429,"message":"slow"}}"#);
    assert_eq!((object.kind, object.message.as_str()), (Kind::RateLimited, "slow"));
}

#[test]
fn a_result_as_message_hides_its_cause() {
    let found = classify(ERROR, r#"{"send":{"status":"synced"},"receive":{"error":"receive failed"}}"#);
    assert_eq!((found.side, found.kind, found.follow), (Side::Network, Kind::Other, Retry));
    let found = classify(ERROR, r#"{"receive":{"error":"database is locked"}}"#);
    assert_eq!((found.side, found.kind, found.follow), (Side::Client, Kind::Locked, Retry));
    let found = classify(ERROR, r#"{"receive":{"error":"trigger said no"}}"#);
    assert_eq!((found.side, found.kind, found.follow), (Side::Client, Kind::Apply, Fail));
}

#[test]
fn bare_http_answers() {
    let rows = [
        (400, Kind::Http4xx, Fail),
        (401, Kind::Auth, RefreshToken),
        (403, Kind::Denied, Fail),
        (404, Kind::Http4xx, Fail),
        (408, Kind::Timeout, Retry),
        (429, Kind::RateLimited, Retry),
        (500, Kind::Http5xx, Retry),
        (502, Kind::Http5xx, Indeterminate),
        (503, Kind::Http5xx, Retry),
        (200, Kind::Protocol, Indeterminate),
        (302, Kind::Protocol, Fail),
    ];
    for (status, kind, follow) in rows {
        for body in ["", "oops", "{}"] {
            let found = classify_http(status, body);
            assert_eq!((found.kind, found.follow), (kind, follow), "{status} {body}");
            assert_eq!(found.code, Some(status.to_string()));
        }
    }
}

#[test]
fn jobs_follow_what_the_server_says_of_them() {
    assert_eq!(classify_job(Some("x"), "boom", Some(false)).follow, Fail);
    assert_eq!(classify_job(None, "boom", Some(true)).follow, Retry);
    assert_eq!(classify_job(None, "boom", None).kind, Kind::Apply);
    assert_eq!(classify_job(None, "new row violates row-level security policy", None).kind, Kind::Denied);
}

#[test]
fn an_unknown_text_is_not_retried_unless_it_may_be_the_services() {
    assert_eq!(classify(ERROR, "oops").follow, Fail);
    let call = classify_call(ERROR, "oops");
    assert_eq!((call.side, call.kind, call.follow), (Side::Server, Kind::Other, Retry));
    assert_eq!(classify_call(ERROR, "No URL set").side, Side::Soakd);
}

#[test]
fn a_body_of_any_size_is_cut() {
    let body = "é\n".repeat(1 << 20);
    for found in [classify(ERROR, &body), classify_http(500, &body), classify_job(Some(&body), &body, None)] {
        assert_eq!(found.message.chars().count(), MESSAGE_CHARS_MAX + 1);
        assert!(found.code.is_none_or(|code| code.chars().count() <= MESSAGE_CHARS_MAX + 1));
    }
}

proptest::proptest! {
    #[test]
    fn nothing_makes_it_panic(code: Option<i32>, status in 0_u16..1000, text: String) {
        classify(code, &text);
        classify_http(status, &text);
        classify(code, &format!("{{\"errors\":[{text}]}}"));
    }
}
