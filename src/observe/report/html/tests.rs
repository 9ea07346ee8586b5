//! What the page may never do, what it always has, and how large it becomes.

use std::collections::BTreeSet;
use std::time::Instant;

use chrono_tz::Tz;

use super::sample::{Sample, short, weeks};
use crate::model::measure::{CycleMeasures, POINTS_MAX};
use crate::model::record::{LogTail, Outage, Snapshot};
use crate::model::verdict::Verdict;
use crate::observe::figures::Measures;
use crate::observe::report::sample::{a_finding, failing, inconclusive, passing};
use crate::observe::report::{Format, document, render};
use crate::store::Store;

/// Largest page of seven weeks.
const BYTES_MAX: usize = 2 * 1024 * 1024;

/// Returns what stands between a text and the next other one, each time.
fn between<'a>(html: &'a str, from: &str, until: &str) -> Vec<&'a str> {
    html.split(from).skip(1).filter_map(|rest| rest.split_once(until)).map(|(found, _)| found).collect()
}

/// Returns the names of all tags.
fn tags(html: &str) -> BTreeSet<&str> {
    html.split('<')
        .skip(1)
        .map(|tag| {
            let tag = tag.trim_start_matches('/');
            &tag[..tag.find(|c: char| !c.is_ascii_alphanumeric() && c != '!').unwrap_or(tag.len())]
        })
        .collect()
}

/// Holds what is true of every page.
fn is_sound(html: &str) {
    const KNOWN: [&str; 47] = [
        "!DOCTYPE",
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "a",
        "div",
        "header",
        "span",
        "h1",
        "h2",
        "p",
        "dl",
        "dt",
        "dd",
        "small",
        "nav",
        "ul",
        "li",
        "main",
        "section",
        "figure",
        "figcaption",
        "svg",
        "rect",
        "line",
        "text",
        "g",
        "polyline",
        "polygon",
        "circle",
        "path",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "code",
        "br",
        "footer",
        "desc",
        "b",
        "i",
        "em",
    ];
    let strange: Vec<&str> = tags(html).into_iter().filter(|tag| !KNOWN.contains(tag)).collect();
    assert!(strange.is_empty(), "tags that no page has: {strange:?}");
    // Nothing is fetched: the one address in it is the name of SVG.
    for fetching in ["src=", "url(", "@import", "<link", "<script", "srcset", "javascript:", "<base"] {
        assert!(!html.contains(fetching), "{fetching}");
    }
    assert!(between(html, "href=\"", "\"").iter().all(|to| to.starts_with('#')));
    assert!(!html.chars().any(|c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c)));
    let ids = between(html, " id=\"", "\"");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    for to in between(html, "href=\"#", "\"") {
        assert!(ids.contains(&to), "nothing is called {to}");
    }
    // A column and a row have their names, a chart its words.
    assert!(between(html, "<th", ">").iter().filter(|th| !th.starts_with("ead")).all(|th| th.contains("scope=")));
    let charts = html.matches("<svg").count();
    assert_eq!(between(html, "<svg", ">").iter().filter(|svg| svg.contains("aria-label=\"")).count(), charts);
    assert_eq!((html.matches("<figcaption>").count(), html.matches("<p class=\"alt\">").count()), (charts, charts));
    assert!(!html.contains("NaN") && !html.contains("inf\""), "a number that is none");
}

#[test]
fn every_section_of_the_report_stands_on_the_page_with_the_charts() {
    let all = [short(), weeks(2)];
    for Sample { snapshot, .. } in &all {
        let html = render(snapshot, Format::Html);
        is_sound(&html);
        for block in document(snapshot).blocks {
            if let crate::observe::report::document::Block::Heading(text) = block {
                assert!(html.contains(&format!("<h2>{text}</h2>")), "{text}");
            }
        }
    }
    let html = short().page();
    is_sound(&html);
    for wanted in [
        "Resident memory of all parts",
        "Resident memory of the target",
        "Latency: sent",
        "Operations per second: rows",
        "Time to converge",
        "Open descriptors",
        "Write-ahead log",
        "Errors by kind",
        "What happened when",
        "Incident 1: 3 rows lost on DB2",
        "failed cycle",
        "prefers-color-scheme:dark",
        "@media print",
    ] {
        assert!(html.contains(wanted), "no {wanted}");
    }
}

#[test]
fn runs_without_measures_or_without_anything_have_a_page() {
    let mut empty = inconclusive();
    empty.cycles.clear();
    empty.epochs.clear();
    empty.databases.clear();
    empty.run.name.clear();
    for snapshot in [passing(), failing(), inconclusive(), empty] {
        is_sound(&render(&snapshot, Format::Html));
    }
}

/// Puts a text into every place that data from outside can reach.
fn spoiled(mut sample: Sample, text: &str) -> Sample {
    let text = || text.to_owned();
    let snapshot = &mut sample.snapshot;
    (snapshot.run.name, snapshot.run.run) = (text(), text());
    (snapshot.run.schedule, snapshot.run.ended_because) = (Some(text()), Some(text()));
    snapshot.run.config.insert(text(), text());
    let scale = &mut snapshot.run.scale;
    (scale.scale, scale.mode, scale.provider, scale.target) = (text(), text(), text(), text());
    let versions = &mut snapshot.run.versions;
    (versions.soakd, versions.sqlite, versions.provider, versions.server) = (text(), text(), text(), text());
    for cycle in &mut snapshot.cycles {
        (cycle.server, cycle.content) = (text(), text());
        for check in &mut cycle.checks {
            (check.check, check.summary, check.evidence) = (text(), text(), vec![text(); 3]);
        }
    }
    for group in &mut snapshot.findings {
        (group.cause, group.first.message, group.first.code, group.first.phase) =
            (text(), text(), Some(text()), text());
    }
    snapshot.outages.push(Outage { from_ms: i64::MIN, until_ms: Some(i64::MAX), reason: text() });
    snapshot.logs.insert(1, LogTail { first: vec![text(); 3], last: vec![text(); 3], dropped: 7 });
    if let Some(judgement) = &mut snapshot.judgement {
        judgement.hash = text();
        for result in &mut judgement.results {
            (result.criterion, result.summary, result.evidence) = (text(), text(), vec![text(); 9]);
        }
        judgement.results[0].metric = text();
    }
    snapshot.latency.iter_mut().for_each(|one| one.action = text());
    for one in &mut sample.incidents {
        (one.title, one.cause, one.evidence) = (text(), text(), vec![text(); 9]);
    }
    let points = sample.measures["rss.target"].clone();
    for metric in [text(), format!("rss.{}", text()), format!("latency_p50.{}", text())] {
        sample.measures.insert(metric, points.clone());
    }
    sample
}

#[test]
fn nothing_that_comes_from_outside_is_obeyed() {
    for text in [
        "</title></style><script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)><a href='javascript:alert(1)'>",
        "]]>--><svg onload=alert(1)>{{x}}&lt;b&gt;",
        "\u{1b}]0;x\u{7}\u{202e}\u{0}\u{9b}2J\r\n\t`a` `b`",
        "</div></section></main></body></html>",
        "",
    ] {
        let html = spoiled(short(), text).page();
        let harmless = html.replace("&lt;", "").replace("javascript:alert(1)", "").replace("img src=x", "");
        is_sound(&harmless);
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("onload=alert(1)>{"));
    }
}

#[test]
fn odd_figures_are_still_a_page() {
    let mut odd = short();
    for points in odd.measures.values_mut() {
        points[3].mean = f64::NAN;
        (points[4].min, points[5].max) = (f64::NEG_INFINITY, f64::INFINITY);
        (points[6].at_ms, points[7].at_ms) = (i64::MIN, i64::MAX);
        points[8].samples = u32::MAX;
    }
    odd.measures.insert("rss.none".to_owned(), Vec::new());
    odd.snapshot.run.ended_ms = Some(i64::MIN);
    odd.snapshot.findings[0].timeline_slot_ms = i64::MAX;
    let html = odd.page();
    assert!(html.len() < BYTES_MAX);
}

#[test]
fn seven_weeks_are_no_larger_than_their_points() {
    let began = Instant::now();
    let sample = weeks(48);
    let made = began.elapsed();
    assert!(sample.measures.values().all(|points| points.len() <= POINTS_MAX && points.len() > POINTS_MAX / 4));
    let began = Instant::now();
    let html = sample.page();
    println!("48 days: {} bytes in {:?} (sample made in {made:?})", html.len(), began.elapsed());
    is_sound(&html);
    assert!(html.len() <= BYTES_MAX, "{} bytes", html.len());
    // Twice the time is the same number of points: neither the page nor what it is made from grows.
    let longer = weeks(96);
    let points = |measures: &Measures| measures.values().map(Vec::len).sum::<usize>();
    assert!(points(&longer.measures) <= sample.measures.len() * POINTS_MAX);
    let longer = longer.page();
    assert!(longer.len() < html.len() * 5 / 4, "{} after {}", longer.len(), html.len());
}

#[test]
fn as_many_metrics_as_are_kept_stay_within_the_size_as_well() {
    let mut full = weeks(48);
    let points = full.measures["rss.target"].clone();
    let kinds = crate::model::metric::KINDS
        .iter()
        .flat_map(|kind| (0..8).map(move |part| format!("{}.part-{part}", kind.name)));
    for metric in kinds.take(crate::model::measure::METRICS_MAX - full.measures.len()) {
        full.measures.insert(metric, points.clone());
    }
    let html = full.page();
    assert!(html.len() <= BYTES_MAX, "{} bytes", html.len());
}

#[test]
fn lines_break_where_something_was_started_anew() {
    let (whole, mut cut) = (short(), short());
    let lines = |sample: &Sample| sample.page().matches("<polyline").count();
    for point in cut.measures.get_mut("rss.target").unwrap().iter_mut().skip(15) {
        point.life += 1;
    }
    assert!(lines(&cut) > lines(&whole));
}

/// Writes a run into a state file as a daemon does, and ends it.
fn stored(dir: &std::path::Path, sample: &Sample) -> String {
    let mut store = Store::open(dir).unwrap();
    let mut record = sample.snapshot.run.clone();
    let ended = (record.ended_ms.take(), record.verdict.take(), record.ended_because.take());
    store.begin_run(&record).unwrap();
    sample.snapshot.epochs.iter().for_each(|epoch| store.begin_epoch(&record.run, epoch).unwrap());
    for (at, cycle) in sample.snapshot.cycles.iter().enumerate() {
        let mut measures = CycleMeasures { cycle: cycle.cycle, at_ms: cycle.ended_ms, ..CycleMeasures::default() };
        for (metric, points) in &sample.measures {
            measures.note(metric, points[at].mean, points[at].life);
        }
        store.record_measures(&record.run, &measures).unwrap();
        store.record_findings(&record.run, &[a_finding(cycle.started_ms + 5, 1)]).unwrap();
        store.finish_cycle(&record, cycle, &Default::default()).unwrap();
    }
    store.record_outages(&record.run, &sample.snapshot.outages).unwrap();
    (record.ended_ms, record.verdict, record.ended_because) = ended;
    store.end_run(&record).unwrap();
    record.run
}

/// Returns all forms of a run's report, rebuilt from the state file alone.
fn rebuilt(dir: &std::path::Path, run: &str) -> Vec<String> {
    let store = Store::open_read(dir).unwrap();
    let snapshot: Snapshot = store.snapshot(run).unwrap().unwrap();
    let (measures, incidents) = (store.measures(run).unwrap(), store.incidents(false, 1000).unwrap());
    let page = super::page(&snapshot, &measures, &incidents, Tz::UTC);
    let others = [Format::Text, Format::Markdown, Format::Json].map(|format| render(&snapshot, format));
    std::iter::once(page).chain(others).collect()
}

#[test]
fn a_run_that_has_ended_has_the_same_reports_byte_for_byte_whenever_they_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let sample = short();
    let run = stored(dir.path(), &sample);
    let first = rebuilt(dir.path(), &run);
    is_sound(&first[0]);
    assert!(first[0].contains("Resident memory of the target") && first[0].contains("server HTTP 5xx"));
    // Another one afterwards changes the file, but not what is said of the first.
    let mut store = Store::open(dir.path()).unwrap();
    let mut next = passing().run;
    (next.run, next.ended_ms, next.verdict) = ("019b7654-2222-7abc-8def-000000000002".to_owned(), None, None);
    store.begin_run(&next).unwrap();
    drop(store);
    assert_eq!(rebuilt(dir.path(), &run), first);
    let json: serde_json::Value = serde_json::from_str(&first[3]).unwrap();
    assert_eq!(
        (json["made_ms"].as_i64(), json["run"]["verdict"].as_str()),
        (sample.snapshot.run.ended_ms, Some(&*verdict()))
    );
}

fn verdict() -> String {
    serde_json::to_value(Verdict::Fail).unwrap().as_str().unwrap().to_owned()
}

/// `SOAKD_SAMPLES=DIR cargo test --lib report::html -- --ignored writes`
#[test]
#[ignore = "writes samples to look at"]
fn writes_samples() {
    let dir = std::path::PathBuf::from(std::env::var_os("SOAKD_SAMPLES").expect("SOAKD_SAMPLES names the directory"));
    std::fs::create_dir_all(&dir).unwrap();
    for (name, sample) in [("report-30", short()), ("report-48d", weeks(48))] {
        let began = Instant::now();
        let html = sample.page();
        println!("{name}: {} bytes in {:?}", html.len(), began.elapsed());
        std::fs::write(dir.join(format!("{name}.html")), html).unwrap();
    }
}
