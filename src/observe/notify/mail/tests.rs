//! What is handed to a mail server, without one.

use super::compose::compose;
use super::*;
use crate::config::Span;
use crate::model::message::Subject;
use crate::observe::letter::{Image, Rendered};
use crate::observe::notify::tests::{incident_letter, letter};

fn mail() -> Mail {
    let config = MailConfig {
        host: "mail.example".into(),
        port: None,
        security: MailSecurity::None,
        user: None,
        password: None,
        ca_file: None,
        from: "soakd <soakd@box.example>".into(),
        to: vec!["me@box.example".into()],
        timeout: Span::from_secs(5),
    };
    Mail::resolve(&config).expect("settings that hold")
}

fn rendered(text: &str) -> Rendered {
    let image = Image { cid: "chart-1".into(), alt: "a chart".into(), png: vec![137; 100] };
    Rendered {
        subject: text.into(),
        text: text.into(),
        html: format!("<p>{text}</p><img src=\"cid:chart-1\">"),
        images: vec![image],
        report: Some(br#"{"run": 1}"#.to_vec()),
    }
}

fn made(letter: &Letter, rendered: &Rendered, lean: bool) -> String {
    let message = compose(&mail(), letter, rendered, lean).expect("a mail");
    assert_eq!(message.envelope().to().len(), 1, "nobody is added");
    String::from_utf8(message.formatted()).expect("only ASCII on the wire")
}

fn headers(mail: &str) -> Vec<String> {
    let head = mail.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ");
    head.split("\r\n").map(str::to_owned).collect()
}

#[test]
fn no_text_becomes_a_header() {
    let junk = String::from_utf8_lossy(b"\xff\xfe bad").into_owned();
    let long = "long ".repeat(1 << 18);
    for text in
        ["a\r\nBcc: x@y.example\r\n\r\nbody", "nul\0nul", "🔥 emoji ünd", "\n.\r\n", &junk, &long, "a\u{202e}b", ""]
    {
        let mut letter = incident_letter(text);
        letter.message.key = format!("key\r\nBcc: {text}");
        letter.host = format!("box\r\nBcc: {text}");
        let mail = made(&letter, &rendered(text), false);
        let headers = headers(&mail);
        let mut names: Vec<&str> = headers.iter().filter_map(|header| header.split(':').next()).collect();
        names.sort_unstable();
        let known = ["Auto-Submitted", "Content-Type", "Date", "From", "In-Reply-To", "MIME-Version", "Message-ID"];
        assert_eq!(names, [&known[..], &["References", "Subject", "To"]].concat(), "{text:.40}");
        assert!(mail.lines().all(|line| line.len() <= 998 && !line.contains('\0')), "{text:.40}");
        assert!(mail.len() < 2 << 20);
    }
}

#[test]
fn a_repeat_has_the_same_id_and_an_incident_is_one_thread() {
    let mut letter = incident_letter("x");
    let first = headers(&made(&letter, &rendered("x"), false));
    letter.now_ms += 86_400_000;
    let again = headers(&made(&letter, &rendered("y"), true));
    letter.message.subject = Subject::Resolved { incident: 3 };
    letter.message.key = "key-2".into();
    let resolved = headers(&made(&letter, &rendered("x"), false));
    let of = |headers: &[String], name: &str| headers.iter().find(|header| header.starts_with(name)).cloned();
    for same in ["Message-ID: <key-1@soakd.box.example>", "Date: Thu, 01 Jan 2026 00:00:00 +0000"] {
        assert!(first.iter().any(|header| header == same) && again.iter().any(|header| header == same), "{same}");
    }
    assert_ne!(of(&first, "Message-ID"), of(&resolved, "Message-ID"));
    assert_eq!(of(&first, "References"), of(&resolved, "References"));
    assert_eq!(of(&first, "References"), Some("References: <incident-3.run-1@soakd.box.example>".into()));
}

#[test]
fn what_is_too_large_is_left_out_and_said() {
    let letter = letter(Subject::Test);
    let mut large = rendered("text");
    assert!(made(&letter, &large, false).contains("report.json"));
    let lean = made(&letter, &large, true);
    assert!(!lean.contains("report.json") && !lean.contains("image/png") && lean.contains("left out"), "{lean}");
    large.report = Some(vec![b'x'; 3 << 20]);
    large.html = "x".repeat(1 << 20);
    let cut = made(&letter, &large, false);
    assert!(cut.len() < 100_000 && !cut.contains("text/html") && cut.matches("left out").count() == 2, "{cut:.500}");
}

#[test]
fn any_time_makes_a_date() {
    for made_ms in [i64::MIN, -1, 0, i64::MAX] {
        let mut letter = letter(Subject::Test);
        letter.message.made_ms = made_ms;
        assert!(made(&letter, &rendered("x"), false).contains("Date: "));
    }
}

#[test]
fn wrong_settings_name_their_key() {
    let base = || MailConfig {
        host: "mail.example".into(),
        port: None,
        security: MailSecurity::Starttls,
        user: None,
        password: None,
        ca_file: None,
        from: "soakd@box.example".into(),
        to: vec!["me@box.example".into()],
        timeout: Span::from_secs(5),
    };
    let wrong = |change: fn(&mut MailConfig)| {
        let mut config = base();
        change(&mut config);
        Mail::resolve(&config).map(|_| ()).expect_err("it is wrong")
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    for (problem, key) in [
        (wrong(|c| c.from = "nobody".into()), "notify.mail.from: "),
        (wrong(|c| c.to = vec!["a@b.example\r\nBcc: c@d.example".into()]), "notify.mail.to: "),
        (wrong(|c| c.to = Vec::new()), "notify.mail.to: "),
        (wrong(|c| c.user = Some("me".into())), "notify.mail.password: "),
        (wrong(|c| c.ca_file = Some("/nowhere/ca.pem".into())), "notify.mail.ca_file: "),
        (wrong(|c| c.ca_file = Some("Cargo.toml".into())), "notify.mail.ca_file: "),
    ] {
        assert!(problem.starts_with(key) && !problem.contains(['\r', '\n']), "{problem}");
    }
}
