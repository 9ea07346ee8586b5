//! What is queued for whom: one message for an opening, in order for every channel, under one key for ever.

use std::collections::BTreeMap;

use super::*;
use crate::clock::Clock;
use crate::model::incident::IncidentState;
use crate::model::incident::case::Case;
use crate::model::message::{Message, Policy, Subject};

pub(super) fn policy(channels: &[&str]) -> Policy {
    Policy {
        channels: channels.iter().map(|channel| (*channel).to_owned()).collect(),
        resolve_after: 2,
        group_wait_ms: 0,
        digest_ms: 0,
        per_hour: 1000,
        summary: true,
    }
}

pub(super) fn failure(at_ms: i64, kind: Kind, message: &str) -> Finding {
    Finding { kind, tolerated: false, ..a_finding(at_ms, 1, message) }
}

pub(super) fn subjects(store: &Store, channel: &str) -> Vec<Subject> {
    waiting(store).into_iter().filter(|m| m.channels.contains_key(channel)).map(|m| m.subject).collect()
}

pub(super) fn waiting(store: &Store) -> Vec<Message> {
    store.read(|txn| tables::scan(&txn.open_table(tables::OUTBOX)?, tables::OUTBOX, &[], &[u8::MAX; 9])).unwrap()
}

pub(super) fn a_store(policy: Policy) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.set_policy(policy);
    store.begin_run(&a_run(RUN, 1)).unwrap();
    (dir, store)
}

fn close(store: &mut Store, cycle: u64, verdict: Verdict) {
    store.finish_cycle(&a_run(RUN, 1), &a_cycle(cycle, verdict), &BTreeMap::new()).unwrap();
}

/// Waits until the clock shows a later time.
fn tick(store: &Store) {
    let before = store.clock().now_ms();
    while store.clock().now_ms() <= before {
        std::hint::spin_loop();
    }
}

#[test]
fn opened_and_resolved_are_told_once_each_and_in_order() {
    let (_dir, mut store) = a_store(policy(&["mail", "webhook.ops"]));
    for n in 0..5 {
        store.record_findings(RUN, &[failure(n, Kind::Auth, "unknown key")]).unwrap();
    }
    // Failing checks of one cycle are one incident by name; two clean cycles resolve all of them.
    let opened = Subject::Opened { incident: 1 };
    assert_eq!(subjects(&store, "mail"), std::slice::from_ref(&opened));
    for cycle in 1..=5 {
        close(&mut store, cycle, Verdict::Pass);
    }
    assert_eq!(subjects(&store, "mail"), [opened.clone(), Subject::Resolved { incident: 1 }]);
    assert_eq!(subjects(&store, "webhook.ops"), subjects(&store, "mail"));
    let first = store.outbox_due("mail").unwrap().unwrap();
    assert_eq!(first.subject, opened);
    store.outbox_delivered(first.id, "mail").unwrap();
    store.outbox_delivered(first.id, "mail").unwrap();
    let second = store.outbox_due("mail").unwrap().unwrap();
    assert_eq!(second.subject, Subject::Resolved { incident: 1 });
    assert_eq!(store.outbox_due("webhook.ops").unwrap().unwrap().key, first.key);
    // What failed holds back what is behind it until its next attempt is due.
    store.outbox_failed(first.id, "webhook.ops", "no route\nto host", i64::MAX).unwrap();
    assert_eq!(store.outbox_due("webhook.ops").unwrap(), None);
    store.outbox_failed(first.id, "webhook.ops", "no route", 0).unwrap();
    assert_eq!(store.outbox_due("webhook.ops").unwrap().unwrap().channels["webhook.ops"].attempts, 2);
    store.outbox_given_up(first.id, "webhook.ops", "404").unwrap();
    let state = store.outbox_state().unwrap();
    assert_eq!(state.waiting, BTreeMap::from([("mail".to_owned(), 1), ("webhook.ops".to_owned(), 1)]));
    assert_eq!((state.delivered["mail"], state.given_up["webhook.ops"]), (1, 1));
    assert_eq!((state.last_error.as_deref(), state.oldest_ms), (Some("webhook.ops: 404"), Some(second.made_ms)));
    assert_eq!(waiting(&store).len(), 1, "the first one left with its last channel");
}

#[test]
fn a_message_waits_until_its_incident_has_gathered() {
    let (_dir, mut store) = a_store(Policy { group_wait_ms: 3_600_000, ..policy(&["mail"]) });
    store.record_findings(RUN, &[failure(1, Kind::Reset, "connection reset")]).unwrap();
    store.record_findings(RUN, &[failure(2, Kind::Crash, "the target ended")]).unwrap();
    assert_eq!((waiting(&store).len(), store.outbox_due("mail").unwrap()), (1, None));
    assert_eq!(store.incidents(true, 9).unwrap()[0].title, "the target ended");
    // Another crash long after, and what was seen just before: one incident more, and its message is taken back.
    store.record_findings(RUN, &[failure(900_000, Kind::Timeout, "no answer")]).unwrap();
    assert_eq!(waiting(&store).len(), 2);
    store.record_findings(RUN, &[failure(900_100, Kind::Crash, "the target ended")]).unwrap();
    assert_eq!(subjects(&store, "mail"), [Subject::Opened { incident: 1 }]);
    let folded = store.incident(2).unwrap().unwrap();
    assert_eq!((folded.state, folded.told_ms), (IncidentState::Resolved, None));
    assert_eq!(store.incidents(true, 9).unwrap().len(), 1);
    assert_eq!(store.incidents(false, 1).unwrap()[0].id, 2);
}

#[test]
fn opening_again_is_told_only_if_the_last_word_is_old() {
    for (digest_ms, told) in [(1, true), (0, false), (86_400_000, false)] {
        let (_dir, mut store) = a_store(Policy { digest_ms, ..policy(&["mail"]) });
        store.record_findings(RUN, &[failure(1, Kind::Auth, "unknown key")]).unwrap();
        close(&mut store, 1, Verdict::Pass);
        close(&mut store, 2, Verdict::Pass);
        close(&mut store, 3, Verdict::Pass);
        assert_eq!(waiting(&store).len(), 2);
        tick(&store);
        store.record_findings(RUN, &[Finding { cycle: 4, ..failure(2, Kind::Auth, "unknown key") }]).unwrap();
        let again = Subject::Reopened { incident: 1 };
        assert_eq!(subjects(&store, "mail").contains(&again), told);
        // Who was not told that it is open again is not told that it is over either.
        for cycle in 4..=6 {
            close(&mut store, cycle, Verdict::Pass);
        }
        assert_eq!(waiting(&store).len(), if told { 4 } else { 2 });
        assert_eq!(store.incidents(false, 9).unwrap()[0].history.len(), 4);
    }
}

#[test]
fn more_than_so_many_an_hour_wait_for_the_digest() {
    let (_dir, mut store) = a_store(Policy { per_hour: 2, digest_ms: 3_600_000, ..policy(&["mail"]) });
    assert_eq!(store.enqueue_digest().unwrap(), None, "the first call only notes the time");
    let words = ["one", "two", "three", "four"];
    for word in words {
        store.record_findings(RUN, &[failure(1, Kind::Auth, word)]).unwrap();
    }
    assert_eq!(waiting(&store).len(), 2);
    assert_eq!(store.incidents(true, 9).unwrap().iter().filter(|i| i.told_ms.is_none()).count(), 2);
    assert_eq!(store.enqueue_digest().unwrap(), None);
    let now_ms = store.clock().now_ms();
    // An hour for every millisecond.
    store.set_clock(Clock::fast(now_ms, 3_600_000));
    tick(&store);
    let digest = store.enqueue_digest().unwrap().unwrap();
    let Subject::Digest { from_ms, until_ms } = digest.subject else { panic!("{digest:?}") };
    assert!(from_ms <= now_ms && until_ms >= now_ms + 3_600_000);
    tick(&store);
    store.record_findings(RUN, &[failure(1, Kind::Auth, "five")]).unwrap();
    assert_eq!(waiting(&store).len(), 4, "the next hour has room again");
}

#[test]
fn a_digest_is_for_when_something_happened() {
    let (_dir, mut store) = a_store(Policy { digest_ms: 1, ..policy(&["mail"]) });
    for _ in 0..3 {
        assert_eq!(store.enqueue_digest().unwrap(), None);
        tick(&store);
        tick(&store);
    }
    let dir = tempfile::tempdir().unwrap();
    let mut silent = Store::open(dir.path()).unwrap();
    silent.set_policy(Policy { digest_ms: 1, ..policy(&[]) });
    silent.begin_run(&a_run(RUN, 1)).unwrap();
    silent.record_findings(RUN, &[failure(1, Kind::Auth, "unknown key")]).unwrap();
    silent.end_run(&a_run(RUN, 1)).unwrap();
    tick(&silent);
    assert_eq!((silent.enqueue_digest().unwrap(), silent.enqueue(Subject::Test, None).unwrap()), (None, None));
    assert_eq!((silent.incidents(true, 9).unwrap().len(), waiting(&silent).len()), (1, 0), "nobody is to be told");
}

#[test]
fn the_end_of_a_run_is_told_once_and_resolves_nothing() {
    let (_dir, mut store) = a_store(policy(&["mail"]));
    store.record_findings(RUN, &[failure(1, Kind::Auth, "unknown key")]).unwrap();
    let mut run = a_run(RUN, 1);
    run.ended_ms = Some(5);
    store.end_run(&run).unwrap();
    store.end_run(&run).unwrap();
    let summary = Subject::Summary { run: RUN.into(), ended: true };
    assert_eq!(subjects(&store, "mail"), [Subject::Opened { incident: 1 }, summary]);
    assert_eq!(store.incidents(true, 9).unwrap().len(), 1);
    let test = store.enqueue(Subject::Test, None).unwrap().unwrap();
    assert_eq!(waiting(&store).last(), Some(&test));
}

#[test]
fn what_waits_for_a_channel_that_is_gone_is_dropped_and_counted() {
    let (_dir, mut store) = a_store(policy(&["mail", "webhook.old"]));
    store.enqueue(Subject::Test, None).unwrap();
    store.set_policy(policy(&["webhook.old"]));
    store.enqueue(Subject::Test, None).unwrap();
    store.set_policy(policy(&["mail"]));
    store.enqueue(Subject::Test, None).unwrap();
    let state = store.outbox_state().unwrap();
    assert_eq!(state.waiting, BTreeMap::from([("mail".to_owned(), 1)]));
    assert_eq!(state.given_up, BTreeMap::from([("mail".to_owned(), 1), ("webhook.old".to_owned(), 2)]));
}

#[test]
fn too_many_messages_give_up_the_least_important_first() {
    let (_dir, mut store) = a_store(policy(&["mail"]));
    store.durability = Durability::None;
    store.record_findings(RUN, &[failure(1, Kind::Auth, "unknown key")]).unwrap();
    for n in 0..crate::model::message::MESSAGES_MAX as i64 + 50 {
        store.enqueue(Subject::Digest { from_ms: n, until_ms: n + 1 }, None).unwrap();
    }
    let left = subjects(&store, "mail");
    assert_eq!((left.len(), &left[0]), (1000, &Subject::Opened { incident: 1 }));
    assert_eq!(left[1], Subject::Digest { from_ms: 51, until_ms: 52 });
    assert_eq!(store.outbox_state().unwrap().given_up["mail"], 51);
}

#[test]
fn a_hundred_restarts_change_no_key_and_add_no_message() {
    let (dir, mut store) = a_store(policy(&["mail"]));
    store.record_findings(RUN, &[failure(1, Kind::Auth, "unknown key")]).unwrap();
    let first = store.outbox_due("mail").unwrap().unwrap();
    drop(store);
    for n in 0..100 {
        let mut store = Store::open(dir.path()).unwrap();
        store.set_policy(policy(&["mail"]));
        store.record_findings(RUN, &[failure(n, Kind::Auth, "unknown key")]).unwrap();
        let due = store.outbox_due("mail").unwrap().unwrap();
        assert_eq!((due.id, &due.key, u64::from(due.channels["mail"].attempts)), (first.id, &first.key, n as u64));
        store.outbox_failed(due.id, "mail", "no connection", 0).unwrap();
    }
    let store = Store::open_read(dir.path()).unwrap();
    assert_eq!((waiting(&store).len(), store.incident(1).unwrap().unwrap().count), (1, 101));
}

#[test]
fn a_file_of_format_1_gets_the_new_tables() {
    let (dir, mut store) = a_store(Policy::default());
    store
        .write(|txn| {
            for table in [tables::INCIDENTS, tables::OUTBOX, tables::DAEMON, tables::SERIES] {
                txn.delete_table(table)?;
            }
            tables::put(&mut txn.open_table(tables::META)?, tables::META, tables::FORMAT_KEY, &1)
        })
        .unwrap();
    drop(store);
    let old = Store::open_read(dir.path()).unwrap();
    assert_eq!((old.incidents(false, 9).unwrap(), old.incident(1).unwrap()), (Vec::new(), None));
    assert_eq!((old.outbox_due("mail").unwrap(), old.series_names().unwrap()), (None, Vec::new()));
    assert_eq!(old.outbox_state().unwrap(), Default::default());
    drop(old);
    let mut store = Store::open(dir.path()).unwrap();
    store.set_policy(policy(&["mail"]));
    store.record_findings(RUN, &[failure(1, Kind::Auth, "unknown key")]).unwrap();
    assert_eq!((store.incidents(true, 9).unwrap().len(), waiting(&store).len()), (1, 1));
    let case: Vec<Case> = store
        .read(|txn| tables::scan(&txn.open_table(tables::INCIDENTS)?, tables::INCIDENTS, &[], &[u8::MAX; 9]))
        .unwrap();
    assert!(case[0].told);
}
