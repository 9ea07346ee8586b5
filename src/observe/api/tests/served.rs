//! What the API does: streams, commands, limits, who may come in.

use std::collections::BTreeSet;
use std::time::Duration;

use super::described::event_faults;
use super::*;
use crate::model::verdict::Verdict;
use crate::observe::api::client::{AskError, Client, path};

/// Reads a stream until a text has come.
async fn until(response: &mut reqwest::Response, text: &str) -> String {
    let mut all = String::new();
    while !all.contains(text) {
        let chunk = response.chunk().await.unwrap().unwrap_or_else(|| panic!("ended before {text}: {all}"));
        all.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    all
}

/// Returns the events that are whole.
fn events_in(text: &str) -> Vec<Value> {
    let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
    whole
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// Follows events over as many streams as there may be, and one more.
pub(super) async fn streams(daemon: &Daemon, had: &mut BTreeSet<String>) {
    let client = daemon.by_socket();
    let mut open = Vec::new();
    for _ in 0..8 {
        let mut response = client.get("http://localhost/v1/events").send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()),
            (200, "text/event-stream")
        );
        let start = until(&mut response, "event: status").await;
        assert!(start.starts_with("retry: 3000\n\n"), "{start}");
        open.push(response);
    }
    had.insert("get /v1/events 200".to_owned());
    let one_more = daemon.ask("get", "/v1/events", "").await;
    assert_eq!((one_more.status, one_more.content_type.as_str()), (503, "application/problem+json"));
    had.insert("get /v1/events 503".to_owned());
    for event in every_event() {
        daemon.state.events.send(event).unwrap();
    }
    let text = until(&mut open[7], "event: reloaded").await + &until(&mut open[7], "\n\n").await;
    let events = events_in(&text);
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    let expected = [
        "status",
        "started",
        "phase",
        "progress",
        "steps",
        "finding",
        "incident",
        "log",
        "cycle",
        "checkpoint",
        "ended",
        "state",
        "schedules",
        "health",
        "reloaded",
    ];
    assert_eq!(
        kinds.iter().filter(|kind| **kind != "status").collect::<Vec<_>>(),
        expected[1..].iter().collect::<Vec<_>>()
    );
    for event in &events {
        assert_eq!(event_faults(event), Vec::<String>::new(), "{event}");
    }
    assert!(text.len() < 16 * 1024, "events are small: {} bytes", text.len());
    drop(open);
    let given_back = async { while client.get("http://localhost/v1/events").send().await.unwrap().status() != 200 {} };
    tokio::time::timeout(Duration::from_secs(30), given_back).await.expect("streams are given back");
}

/// Returns one event of every kind, with texts that are too long.
fn every_event() -> Vec<RunEvent> {
    use crate::model::incident::ChangeKind;
    use crate::model::record::Phase;
    use crate::model::status::DaemonState;
    let snapshot = sample::failing();
    let mut finding = sample::a_finding(0, 1);
    finding.message = "line\nbreak\u{1b}".repeat(10_000);
    vec![
        RunEvent::Started {
            record: Box::new(snapshot.run.clone()),
            resumed_at: Some((2, Phase::Load)),
            steps_recovered: 1,
        },
        RunEvent::Phase { cycle: 2, phase: Phase::Load, steps: Some(9) },
        RunEvent::Progress { steps_done: 1, rows: 2, errors: 3 },
        RunEvent::Steps(Arc::new(Vec::new())),
        RunEvent::Finding(Box::new(finding)),
        RunEvent::Incident(Box::new(crate::observe::status::tests::incident(1)), ChangeKind::Opened),
        RunEvent::Log("long".repeat(10_000)),
        RunEvent::Cycle(Box::new(snapshot.cycles[1].clone())),
        RunEvent::Checkpoint { state_dir: "/x".into(), snapshot: Box::new(snapshot), runs: Vec::new() },
        RunEvent::Ended { verdict: Verdict::Pass, because: "cycles done".to_owned() },
        RunEvent::State(DaemonState::Paused, vec!["why".to_owned()]),
        RunEvent::Schedules(Vec::new()),
        RunEvent::Health(Box::default()),
        RunEvent::Reloaded("refused".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_stream_is_told_what_it_missed_and_the_sender_never_waits() {
    let daemon = Daemon::start(None);
    let mut slow = daemon.by_socket().get("http://localhost/v1/events").send().await.unwrap();
    let mut text = until(&mut slow, "event: status").await;
    // Far more than all buffers on the way hold.
    for _ in 0..20_000 {
        daemon.state.events.send(RunEvent::Log("x".repeat(400))).unwrap();
    }
    text += &until(&mut slow, "event: missed").await;
    text += &until(&mut slow, "\n\n").await;
    let missed: Vec<_> = events_in(&text).into_iter().filter(|event| event["kind"] == "missed").collect();
    assert!(missed[0]["data"]["events"].as_u64().unwrap() > 0, "{missed:?}");
    assert_eq!(event_faults(&missed[0]), Vec::<String>::new());
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_reach_the_daemon_as_they_were_given() {
    let daemon = Daemon::start(None);
    for (path, body) in [
        ("pause", "{\"reason\":\"backup\"}"),
        ("pause", ""),
        ("resume", ""),
        ("trigger", "{\"schedule\":\"nights\"}"),
        ("trigger", "{}"),
        ("stop", "{\"now\":true}"),
        ("stop", ""),
        ("reload", "{}"),
        ("baseline", "{\"run\":\"abc\"}"),
        ("baseline", ""),
    ] {
        assert_eq!(daemon.ask("post", &format!("/v1/{path}"), body).await.status, 200, "{path} {body}");
    }
    let pause = |reason: &str| Control::Pause { reason: reason.to_owned() };
    let trigger = |schedule: Option<&str>| Control::Trigger { schedule: schedule.map(str::to_owned) };
    let expected = [
        pause("backup"),
        pause("asked to"),
        Control::Resume,
        trigger(Some("nights")),
        trigger(None),
        Control::Stop { now: true },
        Control::Stop { now: false },
        Control::Reload,
        Control::Baseline { run: Some("abc".to_owned()) },
        Control::Baseline { run: None },
    ];
    assert_eq!(*daemon.told.lock().unwrap(), expected);
    let long = format!("{{\"reason\":\"{}\"}}", "x".repeat(201));
    let huge = format!("{{\"reason\":\"{}\"}}", "x".repeat(20_000));
    for (body, status) in
        [("{", 400), ("[]", 400), ("{\"reason\":7}", 400), ("{\"reason\":\"a\\nb\"}", 400), (&long, 400), (&huge, 413)]
    {
        let got = daemon.ask("post", "/v1/pause", body).await;
        assert_eq!((got.status, got.content_type.as_str()), (status, "application/problem+json"), "{}", got.body);
    }
    assert_eq!(daemon.told.lock().unwrap().len(), expected.len(), "nothing odd reached it");
    for (method, path, status) in [("get", "/v1/odd", 404), ("delete", "/v1/status", 405), ("get", "/v1/stop", 405)] {
        let got = daemon.ask(method, path, "").await;
        assert_eq!((got.status, got.content_type.as_str()), (status, "application/problem+json"), "{}", got.body);
    }
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_asks_for_the_token_and_the_socket_for_the_file_mode() {
    let daemon = Daemon::start(Some("the-token"));
    let base = format!("http://{}", daemon.address.unwrap());
    let client = reqwest::Client::new();
    let ask = async |request: reqwest::RequestBuilder| got(request.send().await.unwrap()).await.status;
    assert_eq!(ask(client.get(format!("{base}/v1/status"))).await, 401);
    assert_eq!(ask(client.get(format!("{base}/healthz"))).await, 200);
    assert_eq!(ask(client.get(format!("{base}/v1/status")).bearer_auth("another")).await, 401);
    assert_eq!(ask(client.get(format!("{base}/v1/status")).bearer_auth("the-token")).await, 200);
    let foreign = client.get(format!("{base}/v1/status")).bearer_auth("the-token").header("host", "evil.example");
    assert_eq!(ask(foreign).await, 403);
    let stop = || client.post(format!("{base}/v1/stop")).bearer_auth("the-token");
    assert_eq!(ask(stop().body("{}")).await, 415);
    assert_eq!(ask(stop().header("content-type", "application/json").body("{}")).await, 200);
    assert_eq!(daemon.ask("get", "/v1/status", "").await.status, 200);
    daemon.end().await;
    let open = ApiConfig { listen: Some(([0, 0, 0, 0], 0).into()), ..ApiConfig::default() };
    let why = Server::bind(&open, std::path::Path::new("/"), None).unwrap_err().to_string();
    assert!(why.contains("set api.token"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_cycles_join_without_a_gap() {
    let daemon = Daemon::start(None);
    let mut after = 0;
    let mut seen = Vec::new();
    loop {
        let page = daemon.ask("get", &format!("/v1/runs/latest/cycles?after={after}&limit=2"), "").await.json();
        seen.extend(page["cycles"].as_array().unwrap().iter().map(|cycle| cycle["cycle"].as_u64().unwrap()));
        match page["next_after"].as_u64() {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(seen, [1, 2, 3]);
    let past = daemon.ask("get", &format!("/v1/runs/latest/cycles?after={}", u64::MAX), "").await.json();
    assert_eq!(past["cycles"].as_array().unwrap().len(), 0);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_metrics_join_without_a_gap_whatever_they_are_called() {
    let daemon = Daemon::start(None);
    let client = Client::open(&daemon.socket).unwrap();
    let (mut after, mut seen) = (String::new(), Vec::new());
    loop {
        let asked = path(&["v1", "runs", "latest", "measures"], &[("after", &after), ("limit", "1")]);
        let page: Value = client.get(&asked).await.unwrap();
        let metrics = page["metrics"].as_array().unwrap();
        seen.extend(metrics.iter().map(|one| one["metric"].as_str().unwrap().to_owned()));
        assert_eq!(metrics[0]["points"].as_array().unwrap().len(), 3);
        let Some(next) = page["next_after"].as_str() else { break };
        after = next.to_owned();
    }
    assert_eq!(seen, ["odd & \u{e4}?/", "rss.daemon", "rss.target"]);
    assert_eq!(path(&["v1", "series", "a/b ?"], &[]), "/v1/series/a%2Fb%20%3F");
    let none: Value = client.get(&path(&["v1", "series", "a/b ?"], &[])).await.unwrap();
    assert_eq!(none, serde_json::json!({ "name": "a/b ?", "points": [] }));
    let known: Value = client.get("/v1/series/rss.daemon?from_ms=2000").await.unwrap();
    assert_eq!(known["points"].as_array().unwrap().len(), 2);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_and_streams_do_not_hold_up_the_end() {
    let daemon = Daemon::start(None);
    let idle = std::os::unix::net::UnixStream::connect(&daemon.socket).unwrap();
    let mut stream = daemon.by_socket().get("http://localhost/v1/events").send().await.unwrap();
    until(&mut stream, "event: status").await;
    tokio::time::timeout(Duration::from_secs(30), daemon.end()).await.unwrap();
    drop(idle);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_more_than_there_may_be_waits_for_another_to_end() {
    let daemon = Daemon::start(None);
    let mut idle: Vec<_> = (0..64).map(|_| std::os::unix::net::UnixStream::connect(&daemon.socket).unwrap()).collect();
    let mut asked = Box::pin(daemon.ask("get", "/healthz", ""));
    // Only what the reactor does without a wait is done here: an answer that may come at once would.
    for _ in 0..1000 {
        tokio::select! {
            biased;
            got = &mut asked => panic!("{} was answered beside 64 connections", got.body),
            () = tokio::task::yield_now() => {}
        }
    }
    idle.pop();
    assert_eq!(asked.await.status, 200);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_says_why_nobody_answers() {
    let daemon = Daemon::start(None);
    let client = Client::open(&daemon.socket).unwrap();
    assert_eq!(client.command("/v1/resume", &serde_json::json!({})).await.unwrap(), "done");
    daemon.mood.store(REFUSES, Ordering::Relaxed);
    let refused = client.command("/v1/resume", &serde_json::json!({})).await.unwrap_err();
    assert_eq!(refused.to_string(), "it is not paused");
    let lost = client.get::<Value>("/v1/runs/nothing").await.unwrap_err();
    assert!(matches!(lost, AskError::Refused { status: 404, .. }), "{lost}");
    let mut kinds = Vec::new();
    client
        .follow(|event| {
            kinds.push(event["kind"].as_str().unwrap().to_owned());
            false
        })
        .await
        .unwrap();
    assert_eq!(kinds, ["status"]);
    let (socket, dir) = (daemon.socket.clone(), daemon.dir.path().join("none"));
    daemon.end().await;
    for path in [&socket, &dir] {
        let why = Client::open(path).unwrap_err();
        assert!(matches!(why, AskError::NoDaemon(_)) && why.to_string().contains("--state-dir"), "{why}");
    }
    let long = Client::open(std::path::Path::new(&"x".repeat(108))).unwrap_err();
    assert!(matches!(long, AskError::TooLong(_)), "{long}");
}
