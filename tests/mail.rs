//! Delivery by mail to a real Postfix with TLS and authentication, and what is said when it does not work.

mod support {
    pub(crate) mod letters;
    pub(crate) mod mime;
    pub(crate) mod proxy;
    pub(crate) mod smtpd;
}

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use soakd::clock::Clock;
use soakd::config::{MailConfig, MailSecurity, NotifyConfig, SecretRef, Span};
use soakd::model::message::Subject;
use soakd::observe::letter::{Letter, render};
use soakd::observe::notify::{Channels, Delivered, Notifier, Origin, SendError, policy};
use soakd::store::{Shared, Store};
use support::letters::{incident, letter};
use support::mime::Mail;
use support::proxy::DeafProxy;
use support::smtpd::{DOMAIN, PASSWORD, PATIENCE, Smtpd, USER};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// Returns settings for a server, and the directory that their secret lives in.
fn settings(server: &Smtpd, security: MailSecurity) -> (MailConfig, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let password = secret(&dir, PASSWORD);
    let with_login = security != MailSecurity::None;
    let config = MailConfig {
        host: "localhost".into(),
        port: Some(match security {
            MailSecurity::Starttls => server.starttls,
            MailSecurity::Tls => server.tls,
            MailSecurity::None => server.plain,
        }),
        security,
        user: with_login.then(|| USER.into()),
        password: with_login.then_some(password),
        ca_file: with_login.then(|| server.authority()),
        from: format!("soakd <soakd@{DOMAIN}>"),
        to: vec![format!("first@{DOMAIN}"), format!("Second Person <second@{DOMAIN}>")],
        timeout: Span::from_secs(30),
    };
    (config, dir)
}

fn secret(dir: &tempfile::TempDir, text: &str) -> SecretRef {
    let path: PathBuf = dir.path().join("password");
    std::fs::write(&path, text).expect("a file");
    SecretRef::File(path)
}

fn notify(mail: MailConfig) -> NotifyConfig {
    NotifyConfig { mail: Some(mail), ..NotifyConfig::default() }
}

async fn send(config: &MailConfig, letter: &Letter) -> Result<Delivered, SendError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let channels = Channels::resolve(&notify(config.clone())).expect("settings that hold");
    channels.all()[0].send(letter).await
}

/// Makes a change to the settings, sends, and returns the error, which must hold the texts and not the password.
async fn fails(config: &MailConfig, change: impl FnOnce(&mut MailConfig), texts: &[&str]) -> SendError {
    let mut config = config.clone();
    change(&mut config);
    let error = send(&config, &letter("refused", Subject::Test)).await.expect_err("it must fail");
    for text in texts {
        assert!(error.message.contains(text), "{text:?} is not in: {}", error.message);
    }
    assert!(!error.message.contains(PASSWORD) && !error.message.contains('\n'), "{}", error.message);
    eprintln!("{}", error.message);
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_arrives_whole_over_starttls_and_over_tls() {
    let Some(server) = Smtpd::start() else { return };
    for (n, security) in [MailSecurity::Starttls, MailSecurity::Tls, MailSecurity::None].into_iter().enumerate() {
        let (config, _secret) = settings(&server, security);
        let letter = incident(&format!("whole-{n}"), "server crashed\r\nBcc: victim@soakd.test\0 \u{202e}😀");
        let delivered = send(&config, &letter).await.expect("it delivers");
        assert_eq!(delivered.to, format!("first@{DOMAIN}, second@{DOMAIN}"));
        assert_eq!(delivered.warning, None);
        let rendered = render(&letter);
        assert!(!rendered.images.is_empty() && rendered.report.is_some(), "a letter about an incident has all parts");
        for mailbox in ["first", "second"] {
            let mail = Mail::read(&server.mails(mailbox, n + 1)[n]);
            assert_eq!(mail.header("Message-ID"), format!("<whole-{n}@soakd.box.example>"));
            assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
            assert_eq!(mail.header("From"), format!("soakd <soakd@{DOMAIN}>"));
            assert_eq!(mail.header("Date"), "Thu, 01 Jan 2026 00:00:00 +0000");
            assert_eq!(mail.header("References"), "<incident-7.run-1@soakd.box.example>");
            assert_eq!(mail.all("Bcc"), [""; 0]);
            let subject = mail.header("Subject");
            assert!(!subject.contains(['\r', '\n', '\0', '\u{202e}']), "{subject:?}");
            assert_eq!(mail.types()[..2], ["multipart/mixed", "multipart/alternative"]);
            assert_eq!(mail.text("text/plain").trim().is_empty(), rendered.text.trim().is_empty());
            let images = mail.files("image/png");
            assert_eq!(images.len(), rendered.images.len());
            for ((cid, _, bytes), image) in images.iter().zip(&rendered.images) {
                assert_eq!(*cid, Some(format!("<{}>", image.cid).as_str()));
                assert_eq!(bytes, &image.png);
                assert!(mail.text("text/html").contains(&format!("cid:{}", image.cid)), "{}", image.cid);
            }
            let reports = mail.files("application/json");
            assert_eq!(reports.len(), usize::from(rendered.report.is_some()));
            if let Some((_, name, bytes)) = reports.first() {
                assert_eq!(*name, Some("report.json"));
                let report: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
                assert_eq!(report["run"]["run"], "run-1");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_trusted_gets_nothing_and_the_sentence_says_what_to_change() {
    let Some(server) = Smtpd::start() else { return };
    let (config, dir) = settings(&server, MailSecurity::Starttls);
    let (stranger, plain, tls) = (server.stranger(), server.plain, server.tls);
    fails(&config, |c| c.ca_file = Some(stranger), &["notify.mail.ca_file", "localhost:", "stranger.pem"]).await;
    fails(&config, |c| c.ca_file = None, &["notify.mail.ca_file", "this system trusts"]).await;
    fails(&config, |c| c.host = "127.0.0.1".into(), &["notify.mail.host", "another name"]).await;
    fails(&config, |c| c.port = Some(plain), &["offers no STARTTLS", "notify.mail.port"]).await;
    fails(&config, |c| c.security = MailSecurity::Tls, &["does not speak TLS from the start", "\"starttls\""]).await;
    let to_tls = |c: &mut MailConfig| (c.port, c.timeout) = (Some(tls), Span::from_secs(2));
    fails(&config, to_tls, &["says nothing", "notify.mail.security to \"tls\""]).await;
    let without_login = |c: &mut MailConfig| (c.user, c.password) = (None, None);
    fails(&config, without_login, &["554", "notify.mail."]).await;
    let wrong = secret(&dir, "not-the-password");
    let error = fails(&config, |c| c.password = Some(wrong), &["535", "notify.mail.password"]).await;
    assert!(!error.permanent, "a password can be set right");
    assert!(server.arrived("first").is_empty());
    assert!(server.arrived("second").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_recipient_does_not_cost_the_others_their_mail() {
    let Some(server) = Smtpd::start() else { return };
    let (config, _secret) = settings(&server, MailSecurity::Starttls);
    let nobody = format!("nobody@{DOMAIN}");
    let error = fails(&config, |c| c.to = vec![nobody.clone()], &["every recipient", "550", "notify.mail.to"]).await;
    assert!(error.permanent);
    let mut config = config;
    config.to.insert(0, nobody.clone());
    let delivered = send(&config, &letter("partly", Subject::Test)).await.expect("two recipients are left");
    assert_eq!(delivered.to, format!("first@{DOMAIN}, second@{DOMAIN}"));
    assert!(delivered.warning.is_some_and(|warning| warning.contains(&nobody) && warning.contains("notify.mail.to")));
    assert_eq!(server.mails("first", 1).len(), 1);
    assert_eq!(server.mails("second", 1).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_named() {
    let Some(mut server) = Smtpd::prepare() else { return };
    let (config, _secret) = settings(&server, MailSecurity::Starttls);
    fails(&config, |_| {}, &["nothing listens on localhost:", "notify.mail.port"]).await;
    fails(&config, |c| c.host = "no-such-host.invalid".into(), &["cannot be found", "notify.mail.host"]).await;
    server.up();
    send(&config, &letter("later", Subject::Test)).await.expect("it is there now");
    server.mails("first", 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_whose_confirmation_was_lost_is_repeated_with_its_message_id() {
    let Some(server) = Smtpd::start() else { return };
    let proxy = DeafProxy::start(server.plain);
    let (mut config, _secret) = settings(&server, MailSecurity::None);
    config.port = Some(proxy.port);
    let letter = letter("repeat", Subject::Test);
    let error = send(&config, &letter).await.expect_err("the confirmation is lost");
    assert!(!error.permanent && error.message.contains("same Message-ID"), "{error}");
    send(&config, &letter).await.expect("the second connection is whole");
    let mails = server.mails("first", 2);
    let ids: BTreeSet<String> = mails.iter().map(|mail| Mail::read(mail).header("Message-ID").to_owned()).collect();
    assert_eq!(ids, BTreeSet::from(["<repeat@soakd.box.example>".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_a_server_arrives_once_and_in_order() {
    const MAILS: usize = 12;
    let Some(mut server) = Smtpd::prepare() else { return };
    let (config, _secret) = settings(&server, MailSecurity::Starttls);
    let config = notify(config);
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A wait of five seconds lasts 25 milliseconds.
    let clock = Clock::fast(chrono::Utc::now().timestamp_millis(), 200);
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = Store::open(dir.path()).expect("a state file");
    store.set_clock(clock);
    store.set_policy(policy(&config));
    let store = Shared::new(store);
    let queue = || store.with(|store| store.enqueue(Subject::Test, None)).expect("a state file").map(|m| m.key);
    let mut keys: Vec<String> = queue().into_iter().collect();
    let (_channels, channels) = watch::channel(Arc::new(Channels::resolve(&config).expect("settings that hold")));
    let origin = Origin { host: "box.example".into(), config: "soakd.toml".into() };
    let (stop, (_events, events)) = (CancellationToken::new(), broadcast::channel(16));
    let running = tokio::spawn(Notifier::new(channels, store.clone(), clock, origin).run(events, stop.clone()));
    until(|| store.with(|s| s.outbox_state()).expect("a state file").last_error.is_some()).await;
    keys.extend((1..MAILS).filter_map(|_| queue()));
    assert_eq!(keys.len(), MAILS);
    server.up();
    until(|| store.with(|s| s.outbox_state()).expect("a state file").waiting.values().all(|n| *n == 0)).await;
    stop.cancel();
    running.await.expect("it ends");
    for mailbox in ["first", "second"] {
        let mails = server.mails(mailbox, MAILS);
        let ids: Vec<String> = mails.iter().map(|mail| Mail::read(mail).header("Message-ID").to_owned()).collect();
        let wanted: Vec<String> = keys.iter().map(|key| format!("<{key}@soakd.box.example>")).collect();
        assert_eq!(ids, wanted, "{mailbox}");
    }
}

/// Waits until something holds.
async fn until(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "it never came to hold");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
