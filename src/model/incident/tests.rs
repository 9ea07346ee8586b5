//! Tests of the rules: what joins what, what is renamed, what is resolved, and what must hold for any order of findings.

mod closing;
mod random;

use std::collections::BTreeMap;

use super::book::Book;
use super::case::{Case, Context, Effect};
use super::rules::Window;
use super::*;
use crate::model::finding::{Kind, Side};
use crate::model::record::Outage;

/// A book with the table that it would be kept in.
#[derive(Default)]
pub(super) struct Desk {
    pub(super) book: Book,
    pub(super) table: BTreeMap<u64, Case>,
    pub(super) effects: Vec<(u64, Effect)>,
    now_ms: i64,
    run: Option<&'static str>,
}

impl Desk {
    pub(super) fn work<T>(&mut self, now_ms: i64, work: impl FnOnce(&mut Book, &mut Context<'_>) -> T) -> T {
        self.now_ms = now_ms;
        let table = &self.table;
        let mut fetch = |id: u64| table.get(&id).cloned();
        let run = self.run.unwrap_or("run-1");
        let out = work(&mut self.book, &mut Context { run, now_ms, window: Window::new(1), fetch: &mut fetch });
        let drained = self.book.drain();
        self.table.extend(drained.cases);
        self.table.retain(|id, _| !drained.dropped.contains(id));
        self.effects.extend(drained.effects);
        out
    }

    pub(super) fn add(&mut self, findings: &[Finding]) {
        let now_ms = findings.iter().map(|f| f.at_ms).max().unwrap_or(0);
        self.work(now_ms, |book, cx| book.add(cx, findings));
    }

    pub(super) fn reopen_file(&mut self) {
        self.book = Book::new(self.table.values().cloned(), self.book.last_id());
    }

    pub(super) fn only(&self) -> &Incident {
        assert_eq!(self.table.len(), 1, "{:#?}", self.titles());
        &self.table.values().next().unwrap().incident
    }

    pub(super) fn titles(&self) -> Vec<(u64, IncidentState, &str, u64)> {
        self.table
            .values()
            .map(|c| (c.incident.id, c.incident.state, c.incident.title.as_str(), c.incident.count))
            .collect()
    }
}

pub(super) fn seen(at_ms: i64, kind: Kind, message: &str) -> Finding {
    let side = match kind {
        Kind::Refused | Kind::Reset | Kind::Timeout => Side::Network,
        _ => Side::Server,
    };
    Finding {
        at_ms,
        cycle: 1,
        phase: "load".into(),
        db: Some(1),
        user: None,
        iter: Some(2),
        step: None,
        side,
        kind,
        code: None,
        message: message.into(),
        tolerated: false,
    }
}

const CRASH: &str = "the embedded target ended by signal 9; its last lines: push 1 | push 2";

fn crash(at_ms: i64) -> Finding {
    seen(at_ms, Kind::Crash, CRASH)
}

fn refused(at_ms: i64) -> Finding {
    seen(at_ms, Kind::Refused, "connection refused (port 4000)")
}

#[test]
fn errors_after_a_crash_are_part_of_it_whatever_they_are() {
    let mut desk = Desk::default();
    desk.add(&[crash(1_000)]);
    for n in 0..2_000 {
        let at_ms = 1_000 + n * 20;
        desk.add(&[
            refused(at_ms),
            seen(at_ms, Kind::Reset, "connection reset"),
            seen(at_ms, Kind::Timeout, "no answer"),
            seen(at_ms, Kind::Http5xx, &format!("answer 503 {n}")),
            seen(at_ms, Kind::Protocol, "half an answer"),
        ]);
    }
    let incident = desk.only();
    assert_eq!((incident.title.as_str(), incident.count), ("the embedded target ended by signal 9", 10_001));
    assert_eq!((incident.causes.len(), incident.severity), (6, Severity::Failure));
    assert!(
        incident.evidence.len() <= EVIDENCE_MAX && incident.evidence[0].ends_with(CRASH),
        "{:?}",
        incident.evidence
    );
    assert_eq!(desk.effects, [(1, Effect::Changed(ChangeKind::Opened))]);
}

#[test]
fn what_is_seen_shortly_before_a_crash_becomes_the_crash() {
    let mut desk = Desk::default();
    desk.add(&[refused(1_000)]);
    assert_eq!(desk.only().title, "connection refused (port 4000)");
    desk.add(&[crash(1_400)]);
    let incident = desk.only();
    assert_eq!(incident.title, "the embedded target ended by signal 9");
    assert_eq!(incident.count, 2);
    assert!(incident.evidence[0].contains("ended by signal 9") && incident.evidence[1].contains("refused"));
    let before = "connection refused (port 4000)".to_owned();
    assert_eq!(
        desk.effects,
        [(1, Effect::Changed(ChangeKind::Opened)), (1, Effect::Changed(ChangeKind::Renamed { before }))]
    );
}

#[test]
fn what_is_too_far_from_a_crash_or_cannot_follow_from_it_stands_for_itself() {
    // (when it is seen, kind): the crash is at 100 s.
    for (at_ms, kind) in [
        (80_000, Kind::Refused),
        (161_000, Kind::Refused),
        (100_500, Kind::Auth),
        (100_500, Kind::SilentLoss),
        (99_900, Kind::Denied),
    ] {
        let mut desk = Desk::default();
        let mut both = [crash(100_000), seen(at_ms, kind, "something")];
        both.sort_by_key(|f| f.at_ms);
        both.iter().for_each(|f| desk.add(std::slice::from_ref(f)));
        assert_eq!(desk.table.len(), 2, "{kind:?} at {at_ms}: {:?}", desk.titles());
    }
}

#[test]
fn a_crash_that_comes_again_takes_young_errors_with_it() {
    let mut desk = Desk::default();
    desk.add(&[crash(1_000)]);
    // Long after the first crash, and before the second one is noticed.
    desk.add(&[refused(500_000)]);
    assert_eq!(desk.table.len(), 2);
    desk.add(&[crash(500_200)]);
    desk.add(&[refused(500_300), refused(500_400)]);
    let titles = desk.titles();
    assert_eq!(titles[0], (1, IncidentState::Open, "the embedded target ended by signal 9", 4));
    assert_eq!(titles[1], (2, IncidentState::Resolved, "connection refused (port 4000)", 1));
    assert_eq!(desk.effects.last(), Some(&(2, Effect::Folded)));
    assert!(desk.table[&2].incident.evidence.iter().any(|line| line.starts_with("belongs to incident 1: ")));
}

#[test]
fn healed_errors_open_nothing_and_are_counted_where_their_cause_is_open() {
    let healed = |at_ms| Finding { tolerated: true, ..refused(at_ms) };
    let mut desk = Desk::default();
    desk.add(&[healed(1), healed(2)]);
    assert!(desk.table.is_empty());
    desk.add(&[refused(3), healed(4), healed(5)]);
    desk.add(&[healed(6)]);
    assert_eq!(desk.only().count, 4);
}

#[test]
fn an_outage_names_the_errors_that_it_causes() {
    let outage = |until_ms| Outage { from_ms: 1_000, until_ms, reason: "no connection".into() };
    let mut desk = Desk::default();
    desk.work(1_000, |book, cx| book.note_outage(cx, &outage(None), 1));
    assert!(desk.table.is_empty(), "a moment without an answer is no incident");
    desk.add(&[refused(1_500)]);
    // An hour later it still follows from it.
    desk.add(&[seen(3_600_000, Kind::Timeout, "no answer")]);
    desk.work(3_700_000, |book, cx| book.note_outage(cx, &outage(Some(3_700_000)), 1));
    assert_eq!(desk.only().title, "the target does not answer its liveness probe: no connection");
    assert_eq!((desk.only().count, desk.only().severity), (3, Severity::Failure));

    // The same without errors: only if it lasts.
    for (until_ms, incidents) in [(9_000, 0), (14_000, 1)] {
        let mut desk = Desk::default();
        desk.work(1_000, |book, cx| book.note_outage(cx, &outage(None), 1));
        desk.work(until_ms, |book, cx| book.note_outage(cx, &outage(Some(until_ms)), 1));
        assert_eq!(desk.table.len(), incidents);
    }

    // A crash explains the outage.
    let mut desk = Desk::default();
    desk.work(1_000, |book, cx| book.note_outage(cx, &outage(None), 1));
    desk.add(&[refused(1_100)]);
    desk.add(&[crash(1_200)]);
    assert_eq!(desk.only().title, "the embedded target ended by signal 9");
}

#[test]
fn everything_is_bounded() {
    let mut desk = Desk::default();
    let word = |n: i64| n.to_string().bytes().map(|b| char::from(b + 49)).collect::<String>();
    let huge = "x\n".repeat(100_000);
    for n in 0..3_000 {
        desk.add(&[seen(n, Kind::Schema, &format!("{} {huge}", word(n)))]);
    }
    assert_eq!(desk.table.len(), OPEN_MAX + 1);
    let further = &desk.table[&(OPEN_MAX as u64 + 1)].incident;
    assert_eq!(further.title, "further causes, beside 200 open incidents");
    assert_eq!((further.count, further.causes.len()), (2_800, CAUSES_MAX - 1));
    for case in desk.table.values() {
        assert!(serde_json::to_vec(case).unwrap().len() < 20_000);
        assert!(case.incident.title.chars().count() <= TITLE_CHARS_MAX + 1);
    }
    let ids: Vec<u64> = desk.book.open().map(|case| case.incident.id).collect();
    desk.work(9_000, |book, cx| ids.iter().for_each(|id| book.resolve(cx, *id)));
    for n in 0..400 {
        desk.add(&[seen(10_000 + n, Kind::Schema, &format!("again {}", word(n)))]);
        let ids: Vec<u64> = desk.book.open().map(|case| case.incident.id).collect();
        desk.work(10_001 + n, |book, cx| ids.iter().for_each(|id| book.resolve(cx, *id)));
    }
    assert_eq!(desk.table.len(), RESOLVED_MAX);
    // The oldest are gone.
    assert!(!desk.table.contains_key(&1) && desk.table.contains_key(&desk.book.last_id()));
}

#[test]
fn what_a_retry_healed_right_after_a_crash_is_counted_in_it_and_opens_nothing_by_itself() {
    let healed = |at_ms| Finding { tolerated: true, ..seen(at_ms, Kind::Refused, "connection refused") };
    let mut desk = Desk::default();
    desk.add(&[healed(500)]);
    assert!(desk.table.is_empty());
    desk.add(&[seen(1_000, Kind::Crash, "server ended by signal 9"), healed(900), healed(1_100)]);
    assert_eq!((desk.only().count, desk.only().causes.len()), (3, 2));
    let mut far = Desk::default();
    far.add(&[seen(1_000, Kind::Crash, "server ended by signal 9")]);
    far.add(&[healed(600_000)]);
    assert_eq!(far.only().count, 1);
}
