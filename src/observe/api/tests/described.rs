//! The description of the API says what it does: every route is in it, and every answer is as it says.

use std::collections::BTreeSet;

use super::*;
use crate::observe::report::tests::schema::checker::check;
use crate::observe::status::tests::incident;

/// Answers that cannot be had here: an open incident needs findings, which the engine writes.
const NOT_HAD: [&str; 1] = ["get /v1/incidents/{id} 200"];

fn description() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// Method and path of all operations with their description.
fn operations(api: &Value) -> Vec<(String, Value)> {
    let paths = api["paths"].as_object().unwrap();
    let each = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().unwrap().clone();
        methods.into_iter().map(|(method, operation)| (format!("{method} {path}"), operation)).collect::<Vec<_>>()
    };
    paths.iter().flat_map(each).collect()
}

fn faults(name: &str, value: &Value) -> Vec<String> {
    let api = description();
    let mut faults = Vec::new();
    check(&api["components"]["schemas"][name], &api, value, name, &mut faults);
    faults
}

#[test]
fn the_routes_and_their_description_are_the_same() {
    let routes: BTreeSet<_> = ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    let described: BTreeSet<_> = operations(&description()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(routes, described);
    assert_eq!(routes.len(), ROUTES.len(), "no route twice");
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(name) = fields.get("$ref") {
                    found.insert(name.as_str().unwrap().to_owned());
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let api = description();
    let mut found = BTreeSet::new();
    references(&api, &mut found);
    let schemas = api["components"]["schemas"].as_object().unwrap();
    let named: BTreeSet<_> = schemas.keys().map(|name| format!("#/components/schemas/{name}")).collect();
    assert_eq!(found, named);
}

#[test]
fn what_reports_and_the_api_share_is_described_once_in_two_places() {
    let report = include_str!("../../../../deploy/report.schema.json").replace("#/$defs/", "#/components/schemas/");
    let report: Value = serde_json::from_str(&report).unwrap();
    for name in ["verdict", "phase", "run", "scale", "versions", "cycle", "check", "finding"] {
        assert_eq!(report["$defs"][name], description()["components"]["schemas"][name], "{name}");
    }
}

#[test]
fn a_full_board_is_as_described_and_an_odd_one_is_not() {
    use crate::model::status::{Board, CheckLine, ErrorLine, WorkerRow};
    use crate::model::verdict::Verdict;
    let text = String::new;
    let check = |verdict| CheckLine { check: text(), verdict, summary: text() };
    let board = Board {
        workers: vec![WorkerRow { name: "reader".to_owned(), ..WorkerRow::default() }],
        checks: vec![check(None), check(Some(Verdict::Fail))],
        errors: vec![ErrorLine { at_ms: -1, expected: true, text: text(), count: 1 }],
        faults: vec![text()],
        ended: Some(text()),
        ..Board::default()
    };
    let mut value = serde_json::to_value(&board).unwrap();
    assert_eq!(faults("board", &value), [""; 0]);
    value["workers"][0]["state"] = "asleep".into();
    assert!(!faults("board", &value).is_empty());
}

#[test]
fn an_incident_is_as_described_and_an_odd_one_is_not() {
    use crate::model::incident::{Change, ChangeKind};
    let mut whole = incident(3);
    let renamed = ChangeKind::Renamed { before: "x".to_owned() };
    whole.history = [ChangeKind::Opened, renamed, ChangeKind::Resolved, ChangeKind::Reopened]
        .map(|what| Change { at_ms: 1, cycle: 2, what })
        .into();
    let value = serde_json::to_value(&whole).unwrap();
    assert_eq!(faults("incident", &value), Vec::<String>::new());
    let mut bad = value.clone();
    bad.as_object_mut().unwrap().remove("title");
    assert_eq!(faults("incident", &bad), ["incident: \"title\" is missing"]);
    let mut bad = value;
    bad["count"] = "many".into();
    bad["new"] = 1.into();
    assert_eq!(faults("incident", &bad).len(), 2);
}

/// Asks one thing and notes it, if the answer is as described.
async fn probe(daemon: &Daemon, route: &str, path: &str, body: &str, had: &mut BTreeSet<String>) -> Got {
    let api = description();
    let method = route.split(' ').next().unwrap();
    let got = daemon.ask(method, path, body).await;
    let operation = operations(&api).into_iter().find(|(name, _)| name == route).unwrap().1;
    let content = &operation["responses"][got.status.to_string()]["content"];
    let schema = &content[&got.content_type]["schema"];
    assert!(schema.is_object(), "{route} {path}: {} {} is not described", got.status, got.content_type);
    let value = if got.content_type.contains("json") { got.json() } else { Value::String(got.body.clone()) };
    let mut faults = Vec::new();
    check(schema, &api, &value, route, &mut faults);
    assert_eq!(faults, Vec::<String>::new(), "{path}: {}", got.body);
    had.insert(format!("{route} {}", got.status));
    got
}

/// Asks for everything that somebody may want of the daemon, in each of its moods.
async fn ask_for_deeds(daemon: &Daemon, had: &mut BTreeSet<String>) {
    for route in [
        "post /v1/pause",
        "post /v1/resume",
        "post /v1/trigger",
        "post /v1/stop",
        "post /v1/reload",
        "post /v1/baseline",
    ] {
        let path = route.strip_prefix("post ").unwrap();
        for (mood, body, status) in
            [(DOES, "", 200), (DOES, "{}", 200), (DOES, "{\"odd\":1}", 400), (REFUSES, "{}", 409), (ENDS, "{}", 503)]
        {
            daemon.mood.store(mood, Ordering::Relaxed);
            assert_eq!(probe(daemon, route, path, body, had).await.status, status, "{route} {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_as_described() {
    let daemon = Daemon::start(None);
    let mut had = BTreeSet::new();
    let run = daemon.state.store.with(|store| store.latest()).unwrap().unwrap().run;
    let ask = |route: &'static str, tail: &str| {
        (route, route.strip_prefix("get ").unwrap().replace("{run}", &run).replace("{id}", "1") + tail)
    };
    let gone = |route: &'static str| (route, route.strip_prefix("get ").unwrap().replace("{run}", "nothing"));
    for (route, path) in [
        ask("get /v1/status", ""),
        ask("get /v1/runs", ""),
        ask("get /v1/runs/{run}", ""),
        gone("get /v1/runs/{run}"),
        ask("get /v1/runs/{run}/cycles", ""),
        ask("get /v1/runs/{run}/cycles", "?after=2&limit=1"),
        ask("get /v1/runs/{run}/cycles", "?limit=0"),
        ask("get /v1/runs/{run}/cycles", "?limit=501"),
        ask("get /v1/runs/{run}/cycles", "?odd=1"),
        gone("get /v1/runs/{run}/cycles"),
        ask("get /v1/runs/{run}/measures", ""),
        ask("get /v1/runs/{run}/measures", "?after=rss.daemon&limit=1"),
        ask("get /v1/runs/{run}/measures", "?limit=17"),
        gone("get /v1/runs/{run}/measures"),
        ask("get /v1/runs/{run}/receipt", ""),
        gone("get /v1/runs/{run}/receipt"),
        ask("get /v1/runs/{run}/report", ""),
        ask("get /v1/runs/{run}/report", "?format=text"),
        ask("get /v1/runs/{run}/report", "?format=markdown"),
        ask("get /v1/runs/{run}/report", "?format=html"),
        ask("get /v1/runs/{run}/report", "?format=pdf"),
        gone("get /v1/runs/{run}/report"),
        ask("get /v1/incidents", "?state=all&limit=3"),
        ask("get /v1/incidents", "?state=all&before=7"),
        ask("get /v1/incidents", "?state=odd"),
        ("get /v1/incidents/{id}", "/v1/incidents/x".to_owned()),
        ("get /v1/incidents/{id}", "/v1/incidents/99".to_owned()),
        ask("get /v1/outbox", ""),
        ask("get /v1/schedules", ""),
        ask("get /v1/baseline", ""),
        ask("get /v1/series", ""),
        ("get /v1/series/{name}", "/v1/series/rss.daemon?from_ms=1&until_ms=9000".to_owned()),
        ("get /v1/series/{name}", "/v1/series/rss.daemon?from_ms=x".to_owned()),
        ask("get /metrics", ""),
        ask("get /healthz", ""),
        ask("get /openapi.json", ""),
    ] {
        probe(&daemon, route, &path, "", &mut had).await;
    }
    ask_for_deeds(&daemon, &mut had).await;
    served::streams(&daemon, &mut had).await;
    let all: BTreeSet<String> = operations(&description())
        .iter()
        .flat_map(|(name, operation)| {
            let statuses = operation["responses"].as_object().unwrap().keys().filter(|status| *status != "default");
            statuses.map(|status| format!("{name} {status}")).collect::<Vec<_>>()
        })
        .filter(|answer| !NOT_HAD.contains(&answer.as_str()))
        .collect();
    assert_eq!(had, all, "every described answer was had, and no other");
    daemon.end().await;
}

/// Returns what is wrong with an event of a stream.
pub(super) fn event_faults(event: &Value) -> Vec<String> {
    faults("event", event)
}
