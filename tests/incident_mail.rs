//! What the owner of a test box gets to read when the real daemon finds something: one mail per incident at a real Postfix, soon
//! and with all that is needed, however many failures there are.

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
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use daemon::{Daemon, children, configuration, run_command, send, small};
use mailed::{incidents, mail_section, peak_kib, planted, read};
use mime::Mail;
use rustix::process::Signal;
use smtpd::Smtpd;

/// How soon the first mail about a failure must be there.
const FIRST_MAIL_MAX_MS: i64 = 60_000;

/// Returns the mails that are about incidents, and the others.
fn by_subject(mails: &[Mail]) -> (Vec<&Mail>, Vec<&Mail>) {
    mails.iter().partition(|mail| mail.text("text/plain").contains("HISTORY OF THE INCIDENT"))
}

fn assert_ids_differ(mails: &[Mail]) {
    let ids: BTreeSet<&str> = mails.iter().map(|mail| mail.header("Message-ID")).collect();
    assert_eq!(ids.len(), mails.len(), "a Message-ID twice: {ids:?}");
}

/// Returns when the mail server took a mail in.
fn received_ms(mail: &Mail) -> i64 {
    let (_, at) = mail.all("Received")[0].rsplit_once(';').expect("a time");
    // Postfix appends the name of the zone in parentheses.
    let at = at.split('(').next().unwrap_or(at).trim();
    chrono::DateTime::parse_from_rfc2822(at).unwrap_or_else(|e| panic!("{at}: {e}")).timestamp_millis()
}

/// Returns a text without its line breaks and runs of spaces.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_planted_bug_is_one_mail_that_says_all_and_the_summary_follows_before_the_end() {
    let Some(server) = Smtpd::start() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let notify = format!("[notify]\ngroup_wait = \"1s\"\n{}", mail_section(&server, dir.path()));
    let settings = format!("[run]\nseed = 7\ncycles = 1\n{}", small("lockstep", (60, 3, 4), &notify));
    let config = configuration(dir.path(), &settings);
    let state = dir.path().join("state");
    let ended = daemon::ended(&mut planted(&config, &state, "drop-change"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    // The server has taken them before the daemon ended; it may still be sorting them into the mailbox.
    let mails = read(&server.mails("first", 2));
    assert_eq!(mails.len(), 2, "{ended:?}");
    assert_ids_differ(&mails);
    let known = incidents(&state);
    assert_eq!(known.len(), 1, "{known:#?}");
    let (failures, summaries) = by_subject(&mails);
    assert_eq!((failures.len(), summaries.len()), (1, 1));
    let (mail, summary) = (failures[0], summaries[0]);
    let text = flat(mail.text("text/plain"));
    for wanted in ["convergence.user1", "db1_r3_3", "lost", "user 1", "seed", "soakd run", "7"] {
        assert!(text.contains(wanted), "{wanted:?} is not in {text}");
    }
    assert!(text.contains(&config.display().to_string()), "{text}");
    let opened_ms = known[0]["opened_ms"].as_i64().expect("a time");
    // A Received line has whole seconds.
    let took_ms = received_ms(mail) - opened_ms;
    println!("the first mail was there {took_ms} ms after the failure");
    assert!((-1_000..FIRST_MAIL_MAX_MS).contains(&took_ms), "{took_ms} ms");
    for mail in [mail, summary] {
        let reports = mail.files("application/json");
        assert_eq!(reports.len(), 1);
        let report: serde_json::Value = serde_json::from_slice(&reports[0].2).expect("JSON");
        assert_eq!(report["run"]["seed"], 7);
        assert!(!mail.files("image/png").is_empty() || mail.text("text/html").contains("<html"));
    }
    assert!(summary.header("Subject").contains("FAIL"), "{}", summary.header("Subject"));
    assert!(
        daemon::list(&serde_json::from_slice(&summary.files("application/json")[0].2).expect("JSON"), "findings").len()
            == 1
    );
}

/// Settings with a fixed port of the target, so that a test can take that port away from it.
fn with_port(dir: &Path, run: &str, port: u16, size: (u32, u32, u32), notify: &str) -> std::path::PathBuf {
    let more = format!("[notify]\ngroup_wait = \"3s\"\n{notify}");
    let settings =
        format!("[run]\nseed = 3\n{run}[target.embedded]\nport = {port}\n{}", small("concurrent", size, &more));
    configuration(dir, &settings)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// Kills the target and takes its port, so that it cannot come back and every request fails.
fn kill_and_take_port(daemon: &Daemon, port: u16) -> TcpListener {
    let until = Instant::now() + daemon::PATIENCE;
    loop {
        if let Some(target) = children(daemon.pid()).into_iter().find(|part| part.part == "target") {
            send(target.pid, Signal::KILL);
        }
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener;
        }
        assert!(Instant::now() < until, "the port never became free");
    }
}

/// Ends every connection as soon as it is there, until `enough` were; then gives the port back.
fn refuse_all(listener: TcpListener, enough: usize) {
    for stream in listener.incoming().take(enough) {
        drop(stream);
    }
}

#[test]
fn ten_thousand_failures_in_a_minute_are_one_incident_and_one_mail() {
    const FAILURES: usize = 10_000;
    let Some(server) = Smtpd::start() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let port = free_port();
    // A step that fails gives up at once, so that every one counts.
    let retry = "[retry]\nfirst = \"1ms\"\nmax = \"1ms\"\ngive_up = \"5ms\"\nrestarts_per_cycle = 10000\n";
    let notify = format!("summary = false\n{}{retry}", mail_section(&server, dir.path()));
    let config = with_port(dir.path(), "cycles = 1\n", port, (4, 300, 6), &notify);
    let peak_of = |state: &Path, disturbed: bool| {
        let mut daemon = Daemon::start(&mut run_command(&config, state, &[]));
        daemon.line("cycle 1: load");
        let began = Instant::now();
        if disturbed {
            let listener = kill_and_take_port(&daemon, port);
            refuse_all(listener, FAILURES + FAILURES / 2);
            println!("the target was away for {:?}", began.elapsed());
        }
        // The verdict is the last line before the messages go.
        daemon.line("cycle 1: ");
        while daemon.count("cycle 1: PASS") + daemon.count("cycle 1: FAIL") == 0 {
            daemon.line("cycle 1: ");
        }
        let peak = peak_kib(daemon.pid());
        (peak, daemon.end())
    };
    let (calm, ended) = peak_of(&dir.path().join("calm"), false);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(server.arrived("first").is_empty());
    let state = dir.path().join("state");
    let (peak, ended) = peak_of(&state, true);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let known = incidents(&state);
    let told: Vec<_> = known.iter().map(|one| (&one["title"], &one["count"])).collect();
    println!("{told:?}; VmHWM {peak} KiB, without any failure {calm} KiB");
    assert_eq!(known.len(), 1, "{known:#?}");
    assert!(known[0]["count"].as_u64().is_some_and(|count| count >= FAILURES as u64), "{told:?}");
    let mails = read(&server.mails("first", 1));
    assert_eq!(mails.len(), 1);
    assert!(mails[0].header("Subject").contains("FAIL"), "{}", mails[0].header("Subject"));
    assert!(peak < calm + calm / 2 + 16 * 1024, "{peak} KiB with failures, {calm} KiB without");
}

#[test]
fn a_crash_of_the_server_is_one_incident_until_it_is_resolved_in_the_same_thread() {
    let Some(server) = Smtpd::start() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let notify = format!("resolve_after = 2\n{}", mail_section(&server, dir.path()));
    let config = with_port(dir.path(), "cycles = 4\n", free_port(), (400, 6, 6), &notify);
    let state = dir.path().join("state");
    let mut daemon = Daemon::start(&mut run_command(&config, &state, &[]));
    daemon.line("cycle 1: load");
    assert!(daemon.lives_for(Duration::from_millis(100)));
    let target = children(daemon.pid()).into_iter().find(|part| part.part == "target").expect("the target");
    send(target.pid, Signal::KILL);
    let ended = daemon.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let known = incidents(&state);
    assert_eq!(known.len(), 1, "{known:#?}");
    let incident = &known[0];
    let title = incident["title"].as_str().expect("a title");
    assert!(title.contains("signal 9"), "{title}");
    assert_eq!(incident["state"], "resolved", "{incident:#?}");
    assert!(incident["count"].as_u64() > Some(1), "errors that follow are counted in it: {incident:#?}");
    assert!(incident["causes"].as_object().is_some_and(|causes| causes.len() > 1), "{incident:#?}");
    let mails = read(&server.mails("first", 3));
    let subjects: Vec<&str> = mails.iter().map(|mail| mail.header("Subject")).collect();
    assert_eq!(mails.len(), 3, "{subjects:?}");
    assert_ids_differ(&mails);
    assert!(subjects[0].contains("FAIL") && subjects[0].contains("signal 9"), "{subjects:?}");
    assert!(subjects[1].contains("resolved") && subjects[1].contains("signal 9"), "{subjects:?}");
    assert_eq!(mails[0].header("References"), mails[1].header("References"), "one thread");
    assert_eq!(mails[0].header("In-Reply-To"), mails[1].header("In-Reply-To"), "one thread");
    assert!(mails[1].text("text/plain").contains("2 clean cycles"), "{}", mails[1].text("text/plain"));
}
