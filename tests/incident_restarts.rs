//! Mails outlive the daemon and the mail server: killed and stopped a hundred times with Postfix away half of the time, the daemon
//! loses none and sends none under a second Message-ID.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;
#[path = "support/mailed.rs"]
#[allow(dead_code, reason = "every test program uses its part of it")]
mod mailed;
#[path = "support/mime.rs"]
#[allow(dead_code, reason = "every test program uses its part of it")]
mod mime;
#[path = "support/smtpd.rs"]
#[allow(dead_code, reason = "every test program uses its part of it")]
mod smtpd;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use daemon::{Daemon, PATIENCE, configuration, run_command, small};
use mailed::{incidents, mail_section, read};
use mime::Mail;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use smtpd::Smtpd;
use soakd::model::message::{OutboxState, Policy, Subject};
use soakd::store::Store;

const RESTARTS: u32 = 100;
/// Waits between attempts last a hundredth, so that a long backoff does not make a long test.
const FASTER: &[&str] = &["--testing", "--time-scale", "100"];
const PLANTED: &[&str] = &["--testing", "--time-scale", "100", "--plant", "drop-change"];

fn outbox(state: &Path) -> OutboxState {
    Store::open_read(state).expect("a state file").outbox_state().expect("an outbox")
}

/// Queues a message while no daemon is there, and returns its key.
fn queue(state: &Path) -> String {
    let mut store = Store::open(state).expect("a state file");
    store.set_policy(Policy { channels: vec!["mail".into()], ..Policy::default() });
    store.enqueue(Subject::Test, None).expect("a state file").expect("a channel").key
}

/// Returns the left parts of the Message-IDs in the order in which the mail server first heard of them.
fn announced(server: &Smtpd) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for line in server.log().lines() {
        let Some((_, rest)) = line.split_once("message-id=<") else { continue };
        let Some((key, _)) = rest.split_once("@soakd.") else { continue };
        if !keys.iter().any(|known| known == key) {
            keys.push(key.to_owned());
        }
    }
    keys
}

fn key(mail: &Mail) -> String {
    let (key, _) = mail.header("Message-ID").trim_start_matches('<').split_once("@soakd.").expect("its form");
    key.to_owned()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what} never came to hold");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Returns how many messages wait according to a running daemon; `None` while it does not answer.
fn waiting(state: &Path) -> Option<u64> {
    let mut command = daemon::soakd(&["status", "--format", "json", "--state-dir"]);
    let ended = daemon::ended(command.arg(state));
    let status: serde_json::Value = serde_json::from_str(&ended.stdout).ok()?;
    let waiting = status["outbox"]["waiting"].as_object()?;
    Some(waiting.values().filter_map(serde_json::Value::as_u64).sum())
}

#[test]
fn a_hundred_restarts_lose_no_mail_and_give_none_a_second_message_id() {
    let Some(mut server) = Smtpd::prepare() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    // A summary each minute of the fast clock keeps the outbox busy.
    let settings = |cron: &str| {
        let notify = format!("[notify]\ngroup_wait = \"1s\"\n{cron}{}", mail_section(&server, dir.path()));
        format!("[run]\nseed = 7\ncycles = 100000\n{}", small("lockstep", (10, 3, 3), &notify))
    };
    let quiet = settings("");
    let config = configuration(dir.path(), &settings("summary_cron = \"* * * * *\"\n"));
    let mut rng = ChaCha8Rng::seed_from_u64(100);
    let (mut kills, mut stops, mut keys) = (0, 0, Vec::new());
    for life in 0..RESTARTS {
        match life {
            50 | 75 => server.up(),
            65 => server.down(),
            _ => {}
        }
        let mut daemon = Daemon::start(&mut run_command(&config, &state, PLANTED));
        // The first life is long enough to find the planted bug.
        if life == 0 {
            daemon.line("cycle 1: FAIL");
        }
        assert!(daemon.lives_for(Duration::from_millis(rng.random_range(50..700))), "{}", daemon.all());
        if rng.random_range(0..4) == 0 {
            daemon.signal(Signal::TERM);
            let ended = daemon.end();
            assert!(ended.signal.is_none() || ended.signal == Some(15), "{ended:?}");
            stops += 1;
        } else {
            daemon.kill();
            kills += 1;
        }
        if life % 5 == 4 {
            keys.push(queue(&state));
        }
    }
    let config = configuration(dir.path(), &quiet);
    let daemon = Daemon::start(&mut run_command(&config, &state, PLANTED));
    until("an empty outbox", || waiting(&state) == Some(0));
    daemon.signal(Signal::TERM);
    daemon.end();
    let outbox = outbox(&state);
    assert_eq!(outbox.waiting.values().sum::<u64>(), 0, "{outbox:?}");
    assert!(outbox.given_up.is_empty(), "{outbox:?}");
    let delivered = usize::try_from(outbox.delivered["mail"]).expect("a number");
    until("all mails in the mailbox", || {
        read(&server.arrived("first")).iter().map(key).collect::<BTreeSet<_>>().len() >= delivered
    });
    let mails = read(&server.arrived("first"));
    let distinct: BTreeSet<String> = mails.iter().map(key).collect();
    println!(
        "{kills} kills, {stops} stops: {delivered} messages, {} mails, {} of them repeats with the same Message-ID",
        mails.len(),
        mails.len() - distinct.len()
    );
    // Every message has one key for ever, so more keys than messages would be a second Message-ID, and fewer a loss.
    assert_eq!(distinct.len(), delivered, "{outbox:?}");
    let lost: Vec<&String> = keys.iter().filter(|key| !distinct.contains(*key)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let order = announced(&server);
    let sorted: Vec<String> = distinct.iter().cloned().collect();
    // A key begins with the time at which it was made.
    assert_eq!(order, sorted, "in the order of the outbox");
    let known = incidents(&state);
    let open: Vec<_> = known.iter().filter(|incident| incident["state"] == "open").collect();
    assert!(!open.is_empty(), "{known:#?}");
    assert_told_once(&mails);
}

/// Asserts that every incident was told of in one mail.
fn assert_told_once(mails: &[Mail]) {
    let about = mails
        .iter()
        .filter(|mail| mail.header("Subject").contains("FAIL") && !mail.header("Subject").contains("so far"));
    let opened: BTreeSet<&str> = about.map(|mail| mail.header("References")).collect();
    let told: BTreeSet<String> = mails
        .iter()
        .filter(|mail| opened.contains(mail.all("References").first().copied().unwrap_or_default()))
        .map(key)
        .collect();
    assert_eq!(told.len(), opened.len(), "one mail for each incident");
}

#[test]
fn what_a_run_could_not_tell_is_delivered_by_the_next_one_once_and_in_order() {
    let Some(mut server) = Smtpd::prepare() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let notify = format!("[notify]\ngroup_wait = \"1s\"\n{}", mail_section(&server, dir.path()));
    let config =
        configuration(dir.path(), &format!("[run]\nseed = 7\ncycles = 1\n{}", small("lockstep", (60, 3, 4), &notify)));
    let ended = daemon::ended(&mut run_command(&config, &state, PLANTED));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("messages wait in the outbox"), "{}", ended.stderr);
    assert!(ended.stderr.contains("nothing listens on localhost"), "{}", ended.stderr);
    assert_eq!(outbox(&state).waiting["mail"], 2, "the incident and the summary");
    server.up();
    let ended = daemon::ended(&mut run_command(&config, &state, FASTER));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let outbox = outbox(&state);
    assert_eq!((outbox.waiting.values().sum::<u64>(), outbox.delivered["mail"]), (0, 3), "{outbox:?}");
    let mails = read(&server.mails("first", 3));
    let keys: Vec<String> = mails.iter().map(key).collect();
    let subjects: Vec<&str> = mails.iter().map(|mail| mail.header("Subject")).collect();
    println!("{subjects:#?}");
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(announced(&server), {
        let mut sorted = keys;
        sorted.sort();
        sorted
    });
    assert!(subjects[0].contains("onvergence") || subjects[0].contains("cycle 1"), "the incident first: {subjects:?}");
    assert!(subjects.iter().any(|subject| subject.contains("PASS")), "{subjects:?}");
}
