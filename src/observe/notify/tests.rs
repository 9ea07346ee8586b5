//! The notifier with a real state file and real servers on loopback.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::Clock;
use crate::config::{MailConfig, MailSecurity, NotifyConfig, PingConfig, Span, WebhookConfig, WebhookKind};
use crate::engine::event::RunEvent;
use crate::model::incident::{Incident, IncidentState, Severity};
use crate::model::message::{Message, OutboxState, Subject};
use crate::observe::report::sample::{a_finding, failing};
use crate::store::{Shared, Store};

/// Returns a letter without anything to tell.
pub(super) fn letter(subject: Subject) -> Letter {
    let mut letter = test_letter(1_767_225_600_000, chrono_tz::Tz::UTC, &origin());
    letter.message = Message { subject, key: "key-1".into(), ..letter.message };
    letter
}

/// Returns a letter about an incident.
pub(super) fn incident_letter(title: &str) -> Letter {
    let mut letter = letter(Subject::Opened { incident: 3 });
    let first = a_finding(letter.now_ms, 1);
    letter.snapshot = Some(failing());
    letter.incident = Some(Incident {
        id: 3,
        run: "run-1".into(),
        title: title.into(),
        cause: first.cause(),
        causes: BTreeMap::from([(first.cause(), 2)]),
        severity: Severity::Warning,
        state: IncidentState::Open,
        opened_ms: first.at_ms,
        last_ms: first.at_ms,
        resolved_ms: None,
        count: 2,
        cycle_first: 2,
        cycle_last: 2,
        clean_cycles: 0,
        evidence: vec![title.into()],
        history: Vec::new(),
        told_ms: None,
        told_count: 0,
        first,
    });
    letter
}

fn origin() -> Origin {
    Origin { host: "box.example".into(), config: "soakd.toml".into() }
}

/// An HTTP server that answers with what it is told to, and keeps the keys that it got.
#[derive(Clone)]
struct Hook {
    address: String,
    status: watch::Sender<u16>,
    keys: Arc<Mutex<Vec<String>>>,
}

impl Hook {
    async fn start(status: u16) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let hook = Self { address, status: watch::channel(status).0, keys: Arc::default() };
        let served = hook.clone();
        let app = axum::Router::new().fallback(move |sent: axum::http::HeaderMap, uri: axum::http::Uri| async move {
            let key = sent.get("Idempotency-Key").and_then(|key| key.to_str().ok());
            // Whoever sees the key changes the answer to the next one only.
            let status = axum::http::StatusCode::from_u16(*served.status.borrow()).unwrap();
            served.keys.lock().unwrap().push(key.map_or(uri.to_string(), str::to_owned));
            status
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        hook
    }

    fn keys(&self) -> Vec<String> {
        self.keys.lock().unwrap().clone()
    }

    fn config(&self) -> WebhookConfig {
        let (address, timeout) = (Some(self.address.clone()), Span::from_secs(60));
        WebhookConfig { kind: WebhookKind::Json, address, secret_address: None, token: None, timeout }
    }
}

/// Settings for some webhooks, without digests.
fn config(hooks: &[(&str, &Hook)]) -> NotifyConfig {
    NotifyConfig {
        webhook: hooks.iter().map(|(name, hook)| ((*name).to_owned(), hook.config())).collect(),
        digest_every: Span::from_secs(0),
        ..NotifyConfig::default()
    }
}

/// A notifier at work. Its clock is fast: a wait of five seconds lasts 10 milliseconds.
struct Running {
    store: Shared,
    channels: watch::Sender<Arc<Channels>>,
    events: broadcast::Sender<RunEvent>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Running {
    fn start(config: &NotifyConfig) -> Self {
        let clock = Clock::fast(chrono::Utc::now().timestamp_millis(), 500);
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        store.set_clock(clock);
        store.set_policy(policy(config));
        let store = Shared::new(store);
        let (channels, resolved) = watch::channel(Arc::new(Channels::resolve(config).unwrap()));
        let (events, feed) = broadcast::channel(64);
        let stop = CancellationToken::new();
        let notifier = Notifier::new(resolved, store.clone(), clock, origin());
        let task = tokio::spawn(notifier.run(feed, stop.clone()));
        Self { store, channels, events, stop, task, _dir: dir }
    }

    fn queue(&self) -> String {
        self.store.with(|store| store.enqueue(Subject::Test, None)).unwrap().unwrap().key
    }

    fn outbox(&self) -> OutboxState {
        self.store.with(|store| store.outbox_state()).unwrap()
    }

    async fn end(self) -> Shared {
        self.stop.cancel();
        self.task.await.unwrap();
        self.store
    }
}

/// Waits until something holds.
async fn until(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "it never came to hold");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_channel_delays_no_other_and_catches_up_in_order() {
    let (dead, well) = (Hook::start(503).await, Hook::start(200).await);
    let running = Running::start(&config(&[("dead", &dead), ("well", &well)]));
    let keys: Vec<String> = (0..5).map(|_| running.queue()).collect();
    until(|| well.keys().len() == 5 && dead.keys().len() > 3).await;
    assert_eq!(well.keys(), keys);
    assert!(dead.keys().iter().all(|key| *key == keys[0]), "the first in the queue goes first");
    assert!(running.outbox().last_error.is_some_and(|why| why.contains("503")));
    let tried = dead.keys().len();
    dead.status.send_replace(200);
    until(|| running.outbox().waiting.values().all(|n| *n == 0)).await;
    let mut arrived = dead.keys().split_off(tried);
    arrived.dedup();
    assert!(arrived.ends_with(&keys[1..]), "{arrived:?}");
    assert_eq!(well.keys(), keys);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_is_given_up_and_the_rest_goes_on() {
    let hook = Hook::start(422).await;
    let running = Running::start(&config(&[("ops", &hook)]));
    running.queue();
    until(|| running.outbox().given_up.get("webhook.ops") == Some(&1)).await;
    assert_eq!(hook.keys().len(), 1);
    hook.status.send_replace(200);
    let next = running.queue();
    until(|| running.outbox().delivered.get("webhook.ops") == Some(&1)).await;
    assert_eq!(hook.keys().last(), Some(&next));
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_who_is_told_and_forgets_who_is_gone() {
    let (old, new) = (Hook::start(503).await, Hook::start(200).await);
    let running = Running::start(&config(&[("old", &old)]));
    let key = running.queue();
    until(|| !old.keys().is_empty()).await;
    // The same name at another address takes over the queue.
    running.channels.send_replace(Arc::new(Channels::resolve(&config(&[("old", &new)])).unwrap()));
    until(|| new.keys() == [key.clone()]).await;
    until(|| running.outbox().delivered.get("webhook.old") == Some(&1)).await;
    let after = config(&[("new", &new)]);
    new.status.send_replace(503);
    running.queue();
    running.channels.send_replace(Arc::new(Channels::resolve(&after).unwrap()));
    until(|| running.outbox().given_up.get("webhook.old") == Some(&1)).await;
    let told = |store: &mut Store| {
        store.set_policy(policy(&after));
        Ok(())
    };
    running.store.with(told).unwrap();
    new.status.send_replace(200);
    let last = running.queue();
    until(|| new.keys().contains(&last)).await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_holds_up_neither_the_others_nor_the_end() {
    // Takes connections and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let well = Hook::start(200).await;
    let mut config = config(&[("well", &well)]);
    config.mail = Some(MailConfig {
        host: "127.0.0.1".into(),
        port: Some(silent.local_addr().unwrap().port()),
        security: MailSecurity::None,
        user: None,
        password: None,
        ca_file: None,
        from: "soakd@box.example".into(),
        to: vec!["me@box.example".into()],
        timeout: Span::from_secs(3600),
    });
    let running = Running::start(&config);
    let key = running.queue();
    let _held = silent.accept().await.unwrap();
    until(|| well.keys() == [key.clone()]).await;
    let store = running.end().await;
    let left = store.with(|store| store.outbox_due("mail")).unwrap();
    assert_eq!(left.map(|message| message.key), Some(key));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_is_told_of_cycles_beside_the_queues() {
    use crate::model::verdict::Verdict;
    let hook = Hook::start(200).await;
    let (address, every) = (Some(format!("{}/p", hook.address)), Span::from_secs(1));
    let ping = Some(PingConfig { address, secret_address: None, every });
    let running = Running::start(&NotifyConfig { ping, ..config(&[]) });
    let cycle = |verdict| {
        RunEvent::Cycle(Box::new(crate::model::record::CycleRecord { verdict, ..failing().cycles[0].clone() }))
    };
    running.events.send(cycle(Verdict::Pass)).unwrap();
    until(|| hook.keys() == ["/p"]).await;
    running.events.send(cycle(Verdict::Inconclusive)).unwrap();
    running.events.send(cycle(Verdict::Fail)).unwrap();
    until(|| hook.keys() == ["/p", "/p/fail"]).await;
    running.end().await;
    assert_eq!(hook.keys().len(), 2);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_key() {
    let mut wrong =
        NotifyConfig { zone: "Mars/Base".into(), summary_cron: Some("x".into()), ..NotifyConfig::default() };
    wrong.ping = Some(PingConfig { address: None, secret_address: None, every: Span::from_secs(60) });
    let problems = Channels::resolve(&wrong).unwrap_err();
    let keys: Vec<&str> = problems.iter().filter_map(|problem| problem.split(':').next()).collect();
    assert_eq!(keys, ["notify.zone", "notify.summary_cron", "notify.ping"], "{problems:?}");
}
