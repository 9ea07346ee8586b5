use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json as Body, Router};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::content::literal;
use super::*;
use crate::model::digest::{RowHasher, TableDigest, bucket_of};
use crate::model::finding::{Follow, Kind};
use crate::model::value::Value;

const HOUR: Duration = Duration::from_secs(3600);
const EVIL: &str = "o'Brien'; DROP TABLE test_sync; --";

/// A gateway in the shapes of the cloud's, with an SQLite file of its own behind it.
#[derive(Clone)]
struct Cloud(Arc<Mutex<Connection>>);

async fn sql(State(cloud): State<Cloud>, headers: HeaderMap, Body(ask): Body<Json>) -> (StatusCode, Body<Json>) {
    if headers.get("authorization").is_none_or(|value| value != "Bearer key") {
        return (StatusCode::UNAUTHORIZED, Body(json!({ "error": "no such key" })));
    }
    let conn = cloud.0.lock().unwrap();
    let answer = || -> rusqlite::Result<Vec<Json>> {
        let mut statement = conn.prepare(ask["sql"].as_str().unwrap())?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let value = |i: usize| match row.get_ref(i).unwrap() {
                ValueRef::Integer(n) => json!(n),
                ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
                _ => Json::Null,
            };
            all.push(names.iter().enumerate().map(|(i, n)| (n.clone(), value(i))).collect());
        }
        Ok(all)
    };
    match answer() {
        Ok(rows) => (StatusCode::OK, Body(json!({ "data": rows }))),
        Err(error) => (StatusCode::OK, Body(json!({ "error": error.to_string() }))),
    }
}

async fn token(Body(ask): Body<Json>) -> Body<Json> {
    let text = format!("1|{}|{}", ask["userId"].as_str().unwrap(), ask["expiresAt"].as_str().unwrap_or("never"));
    Body(json!({ "data": { "token": text } }))
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/")
}

async fn cloud(rows: u32) -> (Gateway, Connection) {
    let fill = || {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(crate::model::schema::SEED_DDL).unwrap();
        let tx = conn.unchecked_transaction().unwrap();
        for i in 0..rows {
            let owner = if i % 3 == 0 { EVIL } else { "u" };
            tx.execute("INSERT INTO test_sync VALUES (?1, ?2, 'n', ?3)", (format!("db1_r1_{i}"), owner, i)).unwrap();
        }
        tx.execute("INSERT INTO test_sync VALUES ('probe_1', 'u', NULL, 1)", []).unwrap();
        tx.commit().unwrap();
        conn
    };
    let state = Cloud(Arc::new(Mutex::new(fill())));
    let router = Router::new().route("/v2/weblite/sql", post(sql)).route("/v2/tokens", post(token)).with_state(state);
    (gateway(&serve(router).await, "key"), fill())
}

fn gateway(base: &str, key: &str) -> Gateway {
    // A second test in the same process finds it installed.
    drop(rustls::crypto::ring::default_provider().install_default());
    let timeouts = GatewayTimeouts { connect: Duration::from_secs(5), request: Duration::from_secs(30) };
    Gateway::new(base, key.to_owned().into(), Some("db".into()), TableSpec::seed(), timeouts).unwrap()
}

fn expected(conn: &Connection, owner: Option<&str>) -> TableDigest {
    let mut statement =
        conn.prepare("SELECT * FROM test_sync WHERE id NOT LIKE 'probe%' AND (?1 IS NULL OR user_id = ?1)").unwrap();
    let mut digest = TableDigest::default();
    let mut rows = statement.query([owner]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let text = |i| Value::Text(row.get(i).unwrap());
        let values = [text(0), text(1), text(2), Value::Int(row.get(3).unwrap())];
        digest.add(&row.get::<_, String>(0).unwrap(), RowHasher::default().hash(values.iter().map(Value::cell)));
    }
    digest
}

#[tokio::test]
async fn tokens_are_issued_and_a_cloud_revokes_none() {
    let (gateway, _) = cloud(0).await;
    let at = DateTime::from_timestamp(1_900_000_000, 0).unwrap();
    let token = gateway.issue_token("soak", "user-1", Some(at)).await.unwrap();
    assert_eq!(token.expose_secret(), "1|user-1|2030-03-17 17:46:40");
    let token = gateway.issue_token("soak", "user-1", None).await.unwrap();
    assert_eq!(token.expose_secret(), "1|user-1|never");
    let error = gateway.revoke_token(&token).await.unwrap_err();
    assert!(matches!(error, GatewayError::Unsupported { .. }), "{error}");
    gateway.health().await.unwrap();
}

#[tokio::test]
async fn a_digest_over_pages_of_sql_is_that_of_the_rows() {
    let (gateway, conn) = cloud(12_345).await;
    for owner in [None, Some("u"), Some(EVIL), Some("nobody")] {
        assert_eq!(gateway.digest(owner).await.unwrap(), expected(&conn, owner), "{owner:?}");
    }
    assert_eq!(gateway.digest(None).await.unwrap().rows, 12_345);
}

#[tokio::test]
async fn rows_of_buckets_are_found_up_to_the_limit() {
    let (gateway, _) = cloud(5_000).await;
    let bucket = bucket_of("db1_r1_4999");
    let rows = gateway.rows(None, &[bucket], 1000).await.unwrap();
    let key = Value::Text("db1_r1_4999".into());
    assert!(rows.iter().any(|row| row[0] == key));
    let in_bucket = |row: &Vec<Value>| matches!(&row[0], Value::Text(key) if bucket_of(key) == bucket);
    assert!(rows.iter().all(in_bucket));
    assert_eq!(gateway.rows(None, &(0..1024).collect::<Vec<_>>(), 7).await.unwrap().len(), 7);
}

#[tokio::test]
async fn errors_of_sql_and_of_the_key_are_told_apart() {
    let (gateway_with_key, _) = cloud(1).await;
    let error = gateway_with_key.sql("SELECT nothing FROM nowhere").await.unwrap_err();
    assert!(matches!(error, GatewayError::Sql { .. }) && error.to_string().contains("nowhere"), "{error}");
    let error = gateway(&gateway_with_key.base, "wrong").sql("SELECT 1").await.unwrap_err();
    assert!(matches!(error, GatewayError::Status { status: 401, .. }), "{error}");
    assert_eq!(error.classified().kind, Kind::Auth);
}

#[tokio::test]
async fn the_embedded_targets_addresses_come_first() {
    let mut digest = TableDigest::default();
    digest.add("a", 7);
    let wire = serde_json::to_value(&digest).unwrap();
    let row = vec![Value::Text("a".into()), Value::Null, Value::Int(1), Value::Blob(vec![1])];
    let rows = json!({ "data": { "rows": [row], "truncated": false } });
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let router = Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/v2/tokens", axum::routing::delete(|| async { Body(json!({ "data": {} })) }))
        .route(
            "/v1/admin/digest",
            get(move |Query(query): Query<Vec<(String, String)>>| async move {
                seen.lock().unwrap().extend(query);
                Body(json!({ "data": wire }))
            }),
        )
        .route("/v1/admin/rows", get(|| async { Body(rows) }));
    let gateway = gateway(&serve(router).await, "key");
    assert_eq!(gateway.digest(Some("a&b=c")).await.unwrap(), digest);
    assert_eq!(*asked.lock().unwrap(), [("owner".to_owned(), "a&b=c".to_owned())]);
    assert_eq!(gateway.rows(None, &[1, 2], 5).await.unwrap(), [row_of()]);
    gateway.revoke_token(&"t".to_owned().into()).await.unwrap();
    gateway.health().await.unwrap();

    fn row_of() -> Vec<Value> {
        vec![Value::Text("a".into()), Value::Null, Value::Int(1), Value::Blob(vec![1])]
    }
}

#[tokio::test]
async fn a_server_that_does_not_page_is_not_read_for_ever() {
    let page = |i: usize| json!({ "id": format!("k{}", i % 5000), "user_id": "u", "name": "n", "value": 1 });
    let pages = json!({ "data": (0..5000).map(page).collect::<Vec<_>>() });
    let router = Router::new().route("/v2/weblite/sql", post(move || async move { Body(pages) }));
    let error = gateway(&serve(router).await, "key").digest(None).await.unwrap_err();
    assert!(error.to_string().contains("order"), "{error}");
}

#[tokio::test]
async fn answers_and_addresses_that_cannot_be_used() {
    let router = Router::new().fallback(|| async { "<html>welcome</html>" });
    let portal = gateway(&serve(router).await, "key");
    let error = portal.issue_token("a", "b", None).await.unwrap_err();
    assert!(matches!(error, GatewayError::Shape { .. }), "{error}");
    let error = gateway("http://127.0.0.1:1", "key").health().await.unwrap_err().classified();
    assert_eq!((error.kind, error.follow), (Kind::Refused, Follow::Retry), "{error:?}");
    let stalled = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let timeouts = GatewayTimeouts { connect: HOUR, request: Duration::from_millis(50) };
    let base = format!("http://{}", stalled.local_addr().unwrap());
    let stuck = Gateway::new(&base, "k".to_owned().into(), None, TableSpec::seed(), timeouts).unwrap();
    let error = stuck.sql("SELECT 1").await.unwrap_err().classified();
    assert_eq!((error.kind, error.follow), (Kind::Timeout, Follow::Indeterminate), "{error:?}");
    for bad in ["", "host", "ftp://host", "/v2"] {
        assert!(Gateway::new(bad, "k".to_owned().into(), None, TableSpec::seed(), timeouts).is_err(), "{bad}");
    }
}

#[test]
fn literals_hold_whatever_they_are_given() {
    let conn = Connection::open_in_memory().unwrap();
    for text in ["", "'", "''", EVIL, "a\0b", "\\'", "é\u{1f600}"] {
        let back: String = conn.query_row(&format!("SELECT {}", literal(text)), [], |row| row.get(0)).unwrap();
        assert_eq!(back, text);
    }
}

#[test]
fn connection_strings() {
    let full = parse_connection_string("sqlitecloud://abc.sqlite.cloud:8861/my.db?apikey=K-1&timeout=3").unwrap();
    assert_eq!((full.host.as_str(), full.port, full.database.as_deref()), ("abc.sqlite.cloud", 8861, Some("my.db")));
    assert_eq!(full.api_key.expose_secret(), "K-1");
    let short = parse_connection_string("sqlitecloud://h?apikey=a%2Bb").unwrap();
    assert_eq!((short.port, short.database, short.api_key.expose_secret()), (8860, None, "a+b"));
    for bad in ["", "postgres://h?apikey=SECRET", "sqlitecloud://h/db", "sqlitecloud://?apikey=SECRET", "SECRET"] {
        let text = parse_connection_string(bad).unwrap_err().to_string();
        assert!(!text.contains("SECRET"), "{text}");
    }
}
