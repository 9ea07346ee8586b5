//! Webhooks against a real HTTP server on loopback.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::Value;

use super::super::tests::{incident_letter, letter};
use super::*;
use crate::config::{SecretRef, Span};
use crate::model::incident::Severity;
use crate::model::message::Subject;
use crate::observe::letter::Rendered;

/// Requests that a server got: path, headers, body.
type Got = Arc<Mutex<Vec<(String, HeaderMap, Value)>>>;

/// Starts a server that answers everything alike and keeps what it got.
async fn server(status: u16, headers: &'static [(&'static str, &'static str)], says: &'static str) -> (String, Got) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let got = Got::default();
    let kept = Arc::clone(&got);
    let app = axum::Router::new().fallback(move |uri: Uri, sent: HeaderMap, body: String| async move {
        let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
        kept.lock().unwrap().push((uri.to_string(), sent, body));
        let mut answer = (StatusCode::from_u16(status).unwrap(), says).into_response();
        for (name, value) in headers {
            answer.headers_mut().insert(*name, value.parse().unwrap());
        }
        answer
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, got)
}

fn webhook(kind: WebhookKind, address: &str) -> Webhook {
    let address = Some(address.to_owned());
    let timeout = Span::from_secs(60);
    let config = WebhookConfig { kind, address, secret_address: None, token: None, timeout };
    Webhook::resolve("ops", &config).unwrap()
}

/// Checks a value against the published schema, as far as that schema uses JSON Schema.
fn faults(schema: &Value, root: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        return faults(root.pointer(name.trim_start_matches('#')).unwrap(), root, value, at);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let each: Vec<Vec<String>> = any.iter().map(|one| faults(one, root, value, at)).collect();
        return if each.iter().any(Vec::is_empty) { Vec::new() } else { each.concat() };
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let mut found = Vec::new();
    if schema["type"] != kind && !schema["type"].as_array().is_some_and(|all| all.iter().any(|one| one == kind)) {
        found.push(format!("{at} is {kind}"));
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        found.push(format!("{at} is {value}"));
    }
    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(faults(&schema["items"], root, item, &format!("{at}[{n}]")));
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let known = schema["properties"].get(name).or(schema.get("additionalProperties")).filter(|s| s.is_object());
        match known {
            Some(known) => found.extend(faults(known, root, member, &format!("{at}.{name}"))),
            None => found.push(format!("{at}.{name} is not in the schema")),
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.as_object().is_some_and(|members| !members.contains_key(name)) {
            found.push(format!("{at}.{name} is missing"));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_form_is_the_published_one() {
    let schema: Value = serde_json::from_str(include_str!("../../../../deploy/webhook.schema.json")).unwrap();
    let (address, got) = server(200, &[], "ok").await;
    let hook = webhook(WebhookKind::Json, &format!("{address}/hook?room=7"));
    let plain = letter(Subject::Test);
    for letter in [incident_letter("a\r\nb <x> \u{202e}"), plain] {
        hook.send(&letter).await.unwrap();
        let (path, headers, body) = got.lock().unwrap().pop().unwrap();
        assert_eq!(path, "/hook?room=7");
        assert_eq!(headers["Idempotency-Key"], "key-1");
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(faults(&schema, &schema, &body, "body"), [""; 0]);
        let mut lacking = body.clone();
        lacking.as_object_mut().unwrap().remove("event");
        lacking["new"] = 1.into();
        assert_eq!(faults(&schema, &schema, &lacking, "body").len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_finding_is_markup_for_slack() {
    let (address, got) = server(200, &[], "ok").await;
    let evil = "<!channel> & <https://evil.example|click> ``` \u{202e}";
    webhook(WebhookKind::Slack, &address).send(&incident_letter(evil)).await.unwrap();
    let sent = got.lock().unwrap().pop().unwrap().2;
    assert!(!sent.to_string().contains("<!channel>") && !sent.to_string().contains("<https"), "{sent}");
    let text = format!("{evil}\n").repeat(10_000);
    let rendered = Rendered { subject: evil.repeat(100), text, html: String::new(), images: Vec::new(), report: None };
    let body = slack::body(&letter(Subject::Test), &rendered);
    let blocks = body["blocks"].as_array().unwrap();
    assert!((2..=4).contains(&blocks.len()));
    for block in blocks {
        let text = block["text"]["text"].as_str().unwrap();
        assert!(text.chars().count() <= 3000 && !text.contains('<') && !text.contains('\u{202e}'), "{text}");
        assert!(matches!(text.matches("```").count(), 0 | 2));
        assert!(text.contains("&lt;!channel&gt; &amp;"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_fires_and_ends_by_the_same_labels() {
    let (address, got) = server(200, &[], "").await;
    let hook = webhook(WebhookKind::Alertmanager, &format!("{address}/"));
    let mut letter = incident_letter("the server crashed");
    hook.send(&letter).await.unwrap();
    let known = letter.incident.as_mut().unwrap();
    known.severity = Severity::Failure;
    known.resolved_ms = Some(known.opened_ms + 60_000);
    letter.message.subject = Subject::Resolved { incident: known.id };
    hook.send(&letter).await.unwrap();
    letter.message.subject = Subject::Digest { from_ms: 0, until_ms: 1 };
    hook.send(&letter).await.unwrap();
    let got = got.lock().unwrap();
    assert_eq!(got.len(), 2, "a digest is nothing that fires");
    assert_eq!(got[0].0, "/api/v2/alerts");
    let (fired, ended) = (&got[0].2[0], got[1].2.as_array().unwrap());
    assert_eq!(fired["labels"]["alertname"], "SoakdIncident");
    assert_eq!(fired["labels"]["severity"], "warning");
    assert_eq!(fired["annotations"]["summary"], "the server crashed");
    let same = ended.iter().find(|alert| alert["labels"] == fired["labels"]).unwrap();
    assert_eq!(same["startsAt"], fired["startsAt"]);
    assert!(same["endsAt"].as_str() < fired["endsAt"].as_str());
    assert_eq!(ended.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_say_whether_to_come_back_and_nothing_repeats_the_address() {
    let secret = "T0KEN-IN-THE-PATH";
    let dir = tempfile::tempdir().unwrap();
    for (status, headers, permanent, after, says) in [
        (503, &[("retry-after", "90")][..], false, Some(90), "tried again"),
        (429, &[][..], false, None, "tried again"),
        (400, &[][..], true, None, "invalid_payload"),
        (404, &[][..], true, None, "notify.webhook.ops.secret_address"),
        (403, &[][..], false, None, "notify.webhook.ops.token"),
        (302, &[("location", "http://127.0.0.1:1/elsewhere")][..], false, None, "final address"),
    ] {
        let (address, got) = server(status, headers, "invalid_payload\r\n\u{1b}[31m").await;
        let file = dir.path().join(status.to_string());
        std::fs::write(&file, format!("{address}/{secret}")).unwrap();
        let config = WebhookConfig {
            kind: WebhookKind::Json,
            address: None,
            secret_address: Some(SecretRef::File(file)),
            token: None,
            timeout: Span::from_secs(60),
        };
        let hook = Webhook::resolve("ops", &config).unwrap();
        let error = hook.send(&letter(Subject::Test)).await.unwrap_err();
        assert_eq!((error.permanent, error.retry_after), (permanent, after.map(Duration::from_secs)), "{error}");
        assert!(error.message.contains(says), "{status}: {error}");
        assert!(!error.message.contains(secret) && !error.message.contains('\u{1b}'), "{error}");
        assert!(!format!("{hook:?}").contains(secret));
        assert_eq!(got.lock().unwrap().len(), 1);
    }
    let closed = webhook(WebhookKind::Json, &format!("http://127.0.0.1:1/{secret}"));
    let error = closed.send(&letter(Subject::Test)).await.unwrap_err();
    assert!(!error.permanent && !error.message.contains(secret), "{error}");
    assert!(error.message.contains("notify.webhook.ops.address"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_is_called_by_its_three_addresses() {
    use super::super::ping::{Call, Ping};
    let (address, got) = server(200, &[], "OK").await;
    let config = crate::config::PingConfig {
        address: Some(format!("{address}/ping/abc?rid=1")),
        secret_address: None,
        every: Span::from_secs(60),
    };
    let ping = Ping::resolve(&config).unwrap();
    for call in [Call::Start, Call::Success, Call::Fail] {
        ping.call(call).await.unwrap();
    }
    let paths: Vec<String> = got.lock().unwrap().iter().map(|(path, ..)| path.clone()).collect();
    assert_eq!(paths, ["/ping/abc/start?rid=1", "/ping/abc?rid=1", "/ping/abc/fail?rid=1"]);
}

#[test]
fn wrong_addresses_name_their_key_and_not_their_value() {
    let none = BTreeMap::from([("a", None), ("b", Some("HUNTER2 is no address")), ("c", Some("ftp://HUNTER2/x"))]);
    for address in none.into_values() {
        let address = address.map(str::to_owned);
        let timeout = Span::from_secs(60);
        let config = WebhookConfig { kind: WebhookKind::Json, address, secret_address: None, token: None, timeout };
        let error = Webhook::resolve("ops", &config).unwrap_err();
        assert!(error.starts_with("notify.webhook.ops") && !error.contains("HUNTER2"), "{error}");
    }
}
