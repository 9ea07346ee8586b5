//! A mail server that cannot be used leaves a run untouched: its verdict stands, it is said what to change, and the mails are kept.

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

use daemon::{configuration, run_command, small};
use mailed::mail_section;
use smtpd::{PASSWORD, Smtpd};
use soakd::store::Store;

/// Runs with changed settings for mail, and asserts that nothing but the delivery fails.
fn is_untouched(server: &Smtpd, change: impl Fn(String, &std::path::Path) -> String, said: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let mail = change(mail_section(server, dir.path()), dir.path());
    let settings = format!("[run]\nseed = 7\ncycles = 1\n{}", small("lockstep", (20, 2, 3), &mail));
    let config = configuration(dir.path(), &settings);
    let state = dir.path().join("state");
    let ended = daemon::ended(&mut run_command(&config, &state, &[]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    assert!(ended.stderr.contains("messages wait in the outbox"), "{}", ended.stderr);
    assert!(!ended.stderr.contains(PASSWORD) && !ended.stdout.contains(PASSWORD));
    let outbox = Store::open_read(&state).expect("a state file").outbox_state().expect("an outbox");
    assert_eq!((outbox.waiting["mail"], outbox.given_up.len()), (1, 0), "the summary is kept: {outbox:?}");
    assert_eq!(daemon::report(&state)["run"]["verdict"], "pass");
}

#[test]
fn a_mail_server_that_cannot_be_used_leaves_the_run_untouched_and_the_mails_in_the_outbox() {
    let Some(server) = Smtpd::start() else { return };
    let server = &server;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let stranger = format!("{:?}", server.stranger());
            let change =
                |mail: String, _: &std::path::Path| mail.replace(&format!("{:?}", server.authority()), &stranger);
            is_untouched(server, change, "notify.mail.ca_file");
        });
        scope.spawn(|| {
            let change = |mail: String, dir: &std::path::Path| {
                std::fs::write(dir.join("mail-password"), "not-the-password").expect("a file");
                mail
            };
            is_untouched(server, change, "notify.mail.password");
        });
        scope.spawn(|| {
            let port = format!("port = {}\n", server.starttls);
            is_untouched(server, |mail, _| mail.replace(&port, "port = 9\n"), "nothing listens on localhost:9");
        });
        scope.spawn(|| {
            let change = |mail: String, _: &std::path::Path| mail.replace("\"localhost\"", "\"no-such-host.invalid\"");
            is_untouched(server, change, "notify.mail.host");
        });
    });
    assert!(server.arrived("first").is_empty());
}
