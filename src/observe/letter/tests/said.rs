//! What each kind of mail says: enough to act on, in the text part alone.

use super::sample::*;
use crate::model::message::Subject;
use crate::observe::letter::{Letter, Rendered, render};
use crate::observe::report;

/// Returns the text part on one line, as a reader takes it.
fn words(mail: &Rendered) -> String {
    mail.text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn contains(text: &str, all: &[&str]) {
    for wanted in all {
        assert!(text.contains(wanted), "no {wanted:?} in:\n{text}");
    }
}

#[test]
fn subjects_are_short_and_telling() {
    let subject = |letter: &Letter| render(letter).subject;
    assert_eq!(subject(&opened()), "[soakd] FAIL nightly@testbox: 3 rows lost on DB2 (cycle 41)");
    assert_eq!(subject(&reopened()), "[soakd] FAIL again nightly@testbox: 3 rows lost on DB2 (cycle 41)");
    assert_eq!(subject(&resolved()), "[soakd] resolved nightly@testbox: 3 rows lost on DB2 (cycle 41)");
    assert_eq!(subject(&digest()), "[soakd] digest nightly@testbox: 2 open incidents");
    assert_eq!(subject(&summary()), "[soakd] PASS nightly@testbox: 96 cycles, 0 findings");
    assert_eq!(subject(&letter(Subject::Test)), "[soakd] test mail from testbox");
    let interim = letter(Subject::Summary { run: String::new(), ended: false });
    assert_eq!(subject(&interim), "[soakd] FAIL so far nightly@testbox: 41 cycles, 12 findings");
}

#[test]
fn mails_look_as_they_did() {
    for (name, letter) in [("opened", opened()), ("resolved", resolved()), ("digest", digest()), ("summary", summary())]
    {
        insta::assert_snapshot!(format!("{name}_text"), render(&letter).text);
    }
    insta::assert_snapshot!("opened_html", render(&opened()).html.replace("><", ">\n<"));
}

#[test]
fn the_text_alone_is_enough_to_act_on() {
    let mail = render(&opened());
    contains(
        &words(&mail),
        &[
            "FAIL: 3 rows lost on DB2",
            "First seen 2026-01-01 04:14:50 +01:00, 3 min 20 s ago",
            "cycle 41, verify, user 1, iteration 3, step 14",
            "lost: db1_r3_4411 in DB2: not there; acknowledged: value 7 of DB1 (update 3), user 1",
            "12 first server/divergence",
            "214 joined network/refused",
            "seed = 8231117204",
            "soakd run -c again.toml --state-dir soakd-again --fresh --cycles 41",
            "Schedule nightly",
            "medium: 10,000 rows × 10 iterations, 4 databases, 2 users",
            "soakd 0.1.0, SQLite 3.51.0, provider native 1, server embedded 0.1.0",
            "5 min 19 s connection refused",
            "network: 250 ms delay on every answer",
            "[DB2][iter 1] updated, count=10000",
            "[DB2][iter 10] received 19,997 rows, 3 fewer than sent",
            "an earlier cause was found; until then: connection refused by 127.0.0.1:8090",
            "/var/lib/soakd/reports/019b7654-1111-7abc-8def-000000000001/report.txt",
            "Treat it as data loss until the opposite is shown",
        ],
    );
    assert!(mail.text.lines().all(|line| line.chars().count() <= 78 && line.trim_end() == line));
}

#[test]
fn charts_are_inline_small_and_say_their_figures() {
    let mail = render(&opened());
    let names: Vec<&str> = mail.images.iter().map(|image| image.cid.as_str()).collect();
    assert_eq!(names, ["cycles@soakd", "rates@soakd", "findings@soakd", "memory@soakd"]);
    for image in &mail.images {
        assert!(image.png.len() <= 40_000, "{}: {} bytes", image.cid, image.png.len());
        assert!(mail.html.contains(&format!("src=\"cid:{}\"", image.cid)));
        assert!(words(&mail).contains(&image.alt), "{}", image.alt);
    }
    contains(&mail.images[0].alt, &["cycles 1 to 41 took 4 min", "41 errors in all; cycle 41 failed."]);
    contains(&mail.images[3].alt, &["target from 61 MiB to 149 MiB", "daemon from 38 MiB"]);
}

#[test]
fn what_was_measured_at_rest_is_drawn_with_its_trend_and_weeks_of_noise_still_fit() {
    for letter in [measured(), of_weeks()] {
        let mail = render(&letter);
        let image = |cid: &str| mail.images.iter().find(|image| image.cid == cid).unwrap_or_else(|| panic!("no {cid}"));
        contains(&image("memory@soakd").alt, &["target from ", "daemon from 3"]);
        contains(&image("latency@soakd").alt, &["Median from ", "99 % from "]);
        assert!(mail.images.iter().all(|image| image.png.len() <= 40_000));
        contains(&words(&mail), &["Latency of received"]);
    }
    contains(&render(&of_weeks()).text.replace('\n', " "), &["target: grows by "]);
}

#[test]
fn a_chart_of_too_little_is_a_sentence() {
    let mut few = opened();
    few.series.clear();
    if let Some(snapshot) = &mut few.snapshot {
        snapshot.cycles.truncate(1);
        snapshot.findings.clear();
    }
    let mail = render(&few);
    assert_eq!(mail.images, []);
    assert!(!mail.html.contains("<img"));
    contains(
        &words(&mail),
        &["Not drawn: Duration and errors of each cycle: fewer than two cycles in a row are finished."],
    );
    contains(&words(&mail), &["Memory of the parts of soakd: fewer than two measurements are known."]);
}

#[test]
fn a_late_mail_says_so_and_one_in_time_does_not() {
    assert!(!words(&render(&opened())).contains("delayed"));
    contains(
        &words(&render(&reopened())),
        &["This message was delayed by 3 h 12 min: it was made at 2026-01-01 04:17:50"],
    );
}

#[test]
fn the_report_is_attached_unless_it_is_too_large() {
    let letter = opened();
    let snapshot = letter.snapshot.as_ref().unwrap();
    let json = report::render(snapshot, report::Format::Json);
    assert_eq!(render(&letter).report.as_deref(), Some(json.as_bytes()));
    let mut large = opened();
    let line = "x".repeat(30_000);
    let tail = crate::model::record::LogTail { first: vec![line; 100], ..Default::default() };
    large.snapshot.as_mut().unwrap().logs.insert(9, tail);
    let mail = render(&large);
    assert_eq!(mail.report, None);
    contains(&words(&mail), &["The JSON report is larger than 2 MiB and not attached"]);
    assert_eq!(render(&Letter { snapshot: None, ..opened() }).report, None);
}

#[test]
fn an_incident_of_another_run_or_one_that_is_gone_is_said_to_be() {
    let mut other = opened();
    other.incident.as_mut().unwrap().run = "019b7000-0000".to_owned();
    contains(&words(&render(&other)), &["The incident was seen in run 019b7000-0000; the newest run is another one:"]);
    let gone = render(&letter(Subject::Resolved { incident: 4 }));
    assert_eq!(gone.subject, "[soakd] resolved nightly@testbox: incident 4, which is not kept any more");
    contains(&words(&gone), &["Incident 4 is not kept any more"]);
}

#[test]
fn a_digest_names_what_is_open_what_is_over_and_what_waits() {
    contains(
        &words(&render(&digest())),
        &[
            "DIGEST: 2 incidents are open",
            "7 · FAIL · 3 rows lost on DB2",
            "5 · WARNING · Memory of target grows",
            "9, 6 since the last mail",
            "2 h ago 264 service unavailable for 4 min",
            "Waiting webhook.chat 3",
            "hooks.example.org: connection refused",
        ],
    );
    let mut quiet = digest();
    quiet.incidents.clear();
    assert_eq!(render(&quiet).subject, "[soakd] digest nightly@testbox: no open incident");
}

#[test]
fn every_kind_of_finding_has_next_steps() {
    use crate::model::finding::{Kind::*, Side};
    for side in [Side::Client, Side::Server, Side::Network, Side::Soakd] {
        for kind in [
            Locked,
            Busy,
            Deadlock,
            Serialization,
            Conflict,
            InsufficientFunds,
            MissingAccount,
            Http4xx,
            Http5xx,
            Auth,
            RateLimited,
            Timeout,
            Refused,
            Reset,
            Resolve,
            Tls,
            Protocol,
            SilentLoss,
            Apply,
            Denied,
            Constraint,
            Schema,
            Config,
            Corrupt,
            DiskFull,
            Crash,
            Stuck,
            Divergence,
            Isolation,
            Other,
        ] {
            let mut letter = opened();
            let incident = letter.incident.as_mut().unwrap();
            (incident.first.kind, incident.first.side) = (kind, side);
            let text = words(&render(&letter));
            contains(&text, &["WHAT TO DO NEXT", " 1. "]);
        }
    }
}
