//! Whatever stands in the data, nothing of it is obeyed, and a mail stays small.

use proptest::prelude::*;

use super::sample::*;
use crate::model::incident::{Change, ChangeKind};
use crate::model::message::Subject;
use crate::observe::letter::{HTML_MAX, Letter, REPORT_MAX, Rendered, TEXT_MAX, render};

/// Puts a text into every place that data from outside can reach.
fn spoiled(mut letter: Letter, text: &str) -> Letter {
    // Long lists of short texts, and short lists of long ones: both are more than a mail takes.
    let copies = (4_000_000 / (text.len() + 1)).clamp(3, 500);
    let text = || text.to_owned();
    letter.host = text();
    letter.config = text();
    letter.state_dir = text();
    letter.faults = vec![text(); copies];
    letter.outbox.last_error = Some(text());
    letter.outbox.waiting.insert(text(), 3);
    let all = letter.incident.iter_mut().chain(&mut letter.incidents);
    for incident in all {
        incident.title = text();
        incident.run = text();
        incident.cause = text();
        incident.first.message = text();
        incident.first.code = Some(text());
        incident.first.phase = text();
        incident.evidence = vec![text(); copies];
        incident.causes = (0..copies).map(|n| (format!("{n}{}", text()), u64::MAX)).collect();
        let renamed = Change { at_ms: i64::MAX, cycle: u64::MAX, what: ChangeKind::Renamed { before: text() } };
        incident.history = vec![renamed; copies];
    }
    if let Some(snapshot) = &mut letter.snapshot {
        snapshot.run.name = text();
        snapshot.run.run = text();
        snapshot.run.schedule = Some(text());
        snapshot.run.ended_because = Some(text());
        snapshot.run.scale.scale = text();
        snapshot.run.scale.target = text();
        snapshot.run.versions.server = text();
        snapshot.outages.iter_mut().for_each(|out| out.reason = text());
        snapshot.findings.iter_mut().for_each(|group| group.first.message = text());
        snapshot.cycles.truncate(4);
        let tails = snapshot.logs.values_mut();
        tails.for_each(|tail| tail.first.iter_mut().take(copies).for_each(|line| *line = text()));
        for check in snapshot.cycles.iter_mut().flat_map(|cycle| &mut cycle.checks) {
            check.summary = text();
            check.evidence = vec![text(); 3];
        }
    }
    letter
}

fn all() -> Vec<Letter> {
    let interim = letter(Subject::Summary { run: String::new(), ended: false });
    vec![opened(), reopened(), resolved(), digest(), summary(), interim, letter(Subject::Test)]
}

/// Returns every tag of a document: the names, without attributes.
fn tags(html: &str) -> Vec<String> {
    let names = html.split('<').skip(1);
    names.map(|tag| tag.chars().take_while(|c| !c.is_whitespace() && *c != '>').collect()).collect()
}

fn obeys(c: char) -> bool {
    let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}');
    turns || (c.is_control() && c != '\n')
}

fn is_sound(mail: &Rendered) {
    const KNOWN: [&str; 28] = [
        "!DOCTYPE", "html", "head", "meta", "title", "/title", "style", "/style", "/head", "body", "div", "/div",
        "table", "tr", "td", "th", "span", "h1", "h2", "p", "ul", "ol", "li", "img", "code", "/code", "/html", "/body",
    ];
    assert!(mail.subject.chars().count() <= 120, "{}", mail.subject);
    assert!(!mail.subject.chars().any(|c| obeys(c) || c == '\n'), "{:?}", mail.subject);
    assert!(mail.text.len() <= TEXT_MAX && mail.html.len() <= HTML_MAX, "{} {}", mail.text.len(), mail.html.len());
    assert!(!mail.text.chars().chain(mail.html.chars()).any(obeys));
    assert!(mail.text.lines().all(|line| line.chars().count() <= 78));
    assert!(mail.report.as_ref().is_none_or(|report| report.len() <= REPORT_MAX));
    assert!(mail.images.iter().all(|image| image.png.len() <= 40_000 && !image.alt.chars().any(obeys)));
    for tag in tags(&mail.html) {
        let known = KNOWN.contains(&tag.as_str()) || KNOWN.contains(&tag.trim_start_matches('/'));
        assert!(known, "<{tag}> does not belong into a mail");
    }
    let parts = mail.html.replace(">cid:", "").matches("cid:").count();
    assert_eq!(mail.html.matches("src=\"").count(), mail.images.len());
    assert!(parts >= mail.images.len());
    assert!(!mail.html.contains("href=") && !mail.html.contains("url("));
}

#[test]
fn nothing_breaks_out_and_every_mail_is_small() {
    let million = "\u{1f980}".repeat(250_000);
    let markup = "\"'></td></table><script>alert(1)</script><img src=x onerror=y>&amp;<!--".repeat(300);
    let words = "lost row & <user> \"7\" ".repeat(50_000);
    let texts = [
        "",
        "</td><script>alert(1)</script>",
        "\r\nBcc: victim@example.org\r\n\r\n.\r\n",
        "\u{202e}txt.exe\u{2066}\u{61c}\u{feff}\u{200b}",
        "\u{0}\u{1b}]0;x\u{7}\u{9b}31m\u{7f}",
        "\u{fffd}\u{fffd}row\u{fffd}",
        "cid:cycles@soakd",
        "` `` ``` %s ${HOME} $(reboot)",
        &million,
        &markup,
        &words,
    ];
    for text in texts {
        for letter in all() {
            is_sound(&render(&spoiled(letter, text)));
        }
    }
}

#[test]
fn a_full_page_still_says_how_to_reproduce_it() {
    let mail = render(&spoiled(opened(), &"words of a very long error ".repeat(40_000)));
    assert!(mail.text.contains("HOW TO REPRODUCE") && mail.text.contains("seed = 8231117204"), "{}", mail.text);
}

#[test]
fn odd_times_and_figures_never_panic() {
    for ms in [i64::MIN, -1, 0, i64::MAX] {
        for mut letter in all() {
            letter.now_ms = ms;
            letter.message.made_ms = ms.wrapping_add(1);
            for incident in letter.incident.iter_mut().chain(&mut letter.incidents) {
                (incident.opened_ms, incident.last_ms, incident.resolved_ms) = (ms, ms, Some(ms));
                (incident.count, incident.told_count) = (0, u64::MAX);
            }
            if let Some(snapshot) = &mut letter.snapshot {
                snapshot.made_ms = ms;
                snapshot.run.started_ms = ms;
                snapshot.totals.errors = u64::MAX;
                snapshot.cycles.iter_mut().for_each(|cycle| (cycle.ended_ms, cycle.errors) = (ms, u64::MAX));
                snapshot.outages.iter_mut().for_each(|out| (out.from_ms, out.until_ms) = (ms, None));
                snapshot.findings.iter_mut().for_each(|group| (group.last_ms, group.timeline_from_ms) = (ms, ms));
            }
            letter.series.insert("rss.x".to_owned(), vec![(ms, f64::NAN), (0, f64::INFINITY), (ms, -1.0), (3, 1e308)]);
            is_sound(&render(&letter));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_text_is_only_text(text in any::<String>(), times in 1usize..200, which in 0usize..7) {
        let letter = all().swap_remove(which);
        is_sound(&render(&spoiled(letter, &text.repeat(times))));
    }
}
