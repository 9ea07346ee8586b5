use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::super::plant::Planter;
use super::super::testing::{KEY, TestServer};

/// Sends a request and returns status and JSON body.
fn ask(server: &TestServer, method: Method, path: &str, key: Option<&str>, body: Option<Value>) -> (u16, Value) {
    server.wait(async {
        let mut request = Client::new().request(method, format!("{}{path}", server.address));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    })
}

#[test]
fn the_administration_answers_in_the_gateways_shapes() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(dir.path(), true, Planter::default());
    let post = |path: &str, body: Value| ask(&server, Method::POST, path, Some(KEY), Some(body));
    let health = ask(&server, Method::GET, "/health", None, None).1;
    assert_eq!((&health["status"], &health["store"]), (&json!("ok"), &json!("sqlite")));
    let (status, issued) = post("/v2/tokens", json!({"name": "n", "userId": "u1", "expiresAt": "2090-01-01 00:00:00"}));
    assert_eq!((status, &issued["data"]["userId"]), (200, &json!("u1")));
    let token = issued["data"]["token"].as_str().unwrap().to_owned();
    let replica = server.replica(dir.path().join("a.db"), &token);
    replica.run("INSERT INTO test_sync VALUES ('k', 'u1', 'w', 1)");
    replica.send();
    let sql = "SELECT count(*) AS n FROM test_sync WHERE user_id = 'u1'";
    assert_eq!(post("/v2/weblite/sql", json!({"sql": sql, "database": "db"})), (200, json!({"data": [{"n": 1}]})));
    assert!(post("/v2/weblite/sql", json!({"sql": "nonsense", "database": "db"})).1["error"].is_string());
    let get = |path: &str| ask(&server, Method::GET, path, Some(KEY), None).1;
    assert_eq!(get("/v1/admin/digest?owner=u1")["data"]["rows"], 1);
    assert_eq!(get("/v1/admin/digest?owner=u2")["data"]["rows"], 0);
    assert_eq!(get("/v1/admin/holdings")["data"], json!({"rows": 1, "tombstones": 0, "metadata": 2}));
    let row = json!([[{"text": "k"}, {"text": "u1"}, {"text": "w"}, {"int": 1}]]);
    assert_eq!(get("/v1/admin/rows?limit=5")["data"], json!({"rows": row, "truncated": false}));
    let revoked = ask(&server, Method::DELETE, "/v2/tokens", Some(KEY), Some(json!({"token": token})));
    assert_eq!(revoked, (200, json!({"data": {"revoked": true}})));
    let error = replica.try_text("SELECT cloudsync_network_receive_changes()").unwrap_err().to_string();
    assert!(error.contains("token_revoked"), "{error}");
}

#[test]
fn the_administration_needs_the_key_and_sense() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(dir.path(), true, Planter::default());
    let token = server.token("u1", None);
    for (key, code) in [(None, "token_missing"), (Some(token.as_str()), "key_invalid")] {
        for path in ["/v2/tokens", "/v2/weblite/sql"] {
            let (status, body) = ask(&server, Method::POST, path, key, Some(json!({"sql": "SELECT 1", "userId": "u"})));
            assert_eq!((status, &body["errors"][0]["code"]), (401, &json!(code)), "{path}");
        }
        assert_eq!(ask(&server, Method::GET, "/v1/admin/digest", key, None).0, 401);
        assert_eq!(ask(&server, Method::GET, "/v1/admin/holdings", key, None).0, 401);
    }
    let bad =
        ask(&server, Method::POST, "/v2/tokens", Some(KEY), Some(json!({"userId": "u", "expiresAt": "tomorrow"})));
    assert_eq!(bad.0, 400);
    let junk = ask(&server, Method::POST, "/v1/push", Some(&token), Some(json!("not a frame")));
    assert_eq!((junk.0, &junk.1["errors"][0]["code"]), (400, &json!("bad_request")));
    assert_eq!(ask(&server, Method::GET, "/nowhere", Some(KEY), None).0, 404);
}

#[test]
fn a_token_has_no_meaning_without_policies() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(dir.path(), false, Planter::default());
    let replica = server.replica(dir.path().join("a.db"), &server.token("u1", None));
    let error = replica.try_text("SELECT cloudsync_network_receive_changes()").unwrap_err().to_string();
    assert!(error.contains("rls_off"), "{error}");
}
