use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::sqlite::SqliteStore;
use super::super::testing::{Replica, TestServer, pull, push, shown};
use super::super::token::hash;
use super::*;
use crate::model::schema::TableSpec;

const VICTIM: &str = "db1_r2_3";

fn planted(names: &[&str]) -> Planter {
    Planter::new(&names.iter().map(|name| name.to_string()).collect::<Vec<_>>(), true).unwrap()
}

fn store(dir: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(&dir.path().join("s.db"), &TableSpec::seed(), true).unwrap()
}

/// Runs the same story with and without a bug; returns what the reader sees each time.
async fn with_and_without(
    bug: &str,
    reader: &str,
    story: &[&[(&str, Option<&str>, i64)]],
) -> (Vec<String>, Vec<String>) {
    let mut seen = Vec::new();
    for planter in [planted(&[bug]), Planter::default()] {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let mut texts = Vec::new();
        let mut after = 0;
        for (i, changes) in story.iter().enumerate() {
            let request = push("u1", "one", i as u64 + 1, changes);
            let reply = planter.push(&store, request).await.unwrap();
            assert_eq!((reply.applied, reply.refused.len()), (changes.len() as u64, 0), "{bug}");
            let page = planter.pull(&store, pull(reader, "two", after)).await.unwrap();
            after = page.next;
            texts.extend(shown(&page.batch));
        }
        seen.push(texts);
    }
    let without = seen.pop().unwrap();
    (seen.pop().unwrap(), without)
}

#[test]
fn victims_are_a_few_rows_of_the_first_database() {
    for (key, expected) in
        [(VICTIM, true), ("db1_r40_3", true), ("db1_r2_13", false), ("db11_r2_3", false), ("db2_r2_3", false)]
    {
        assert_eq!(is_victim(key), expected, "{key}");
    }
}

#[test]
fn bugs_need_testing_and_a_known_name() {
    assert!(Planter::new(&["drop-change".into()], false).is_err());
    assert!(matches!(Planter::new(&["nothing".into()], true), Err(e) if e.to_string().contains("stale-row")));
    assert!(BUGS.iter().all(|(name, _)| Planter::new(&[(*name).into()], true).is_ok()));
}

#[tokio::test]
async fn a_change_is_dropped() {
    let story: &[&[_]] = &[&[(VICTIM, Some("u1"), 1), ("db1_r2_4", Some("u1"), 1)]];
    let (with, without) = with_and_without("drop-change", "u1", story).await;
    assert_eq!((with, without), (vec!["db1_r2_4=1".into()], vec![format!("{VICTIM}=1"), "db1_r2_4=1".into()]));
}

#[tokio::test]
async fn a_stale_row_is_served() {
    let story: &[&[_]] = &[&[(VICTIM, Some("u1"), 1)], &[(VICTIM, Some("u1"), 2)]];
    let (with, without) = with_and_without("stale-row", "u1", story).await;
    assert_eq!((with[1].as_str(), without[1].as_str()), ("db1_r2_3=1", "db1_r2_3=2"));
}

#[tokio::test]
async fn a_foreign_row_leaks_once_per_version() {
    let story: &[&[_]] = &[&[(VICTIM, Some("u1"), 1)], &[("x", Some("u1"), 1)], &[(VICTIM, Some("u1"), 2)]];
    let (with, without) = with_and_without("leak-foreign-row", "u2", story).await;
    assert_eq!((with, without.len()), (vec!["db1_r2_3=1".into(), "db1_r2_3=2".into()], 0));
}

#[tokio::test]
async fn a_deleted_row_comes_back_after_every_delete() {
    let other: &[_] = &[("x", Some("u1"), 1)];
    let story: &[&[_]] =
        &[&[(VICTIM, Some("u1"), 1)], &[(VICTIM, None, 0)], other, other, &[(VICTIM, None, 0)], other, other];
    let (with, without) = with_and_without("resurrect-row", "u1", story).await;
    let count = |texts: &[String]| texts.iter().filter(|text| *text == "db1_r2_3=1").count();
    assert_eq!((count(&with), count(&without)), (3, 1), "{with:?}");
}

#[tokio::test]
async fn a_row_gets_a_twin() {
    let (with, without) = with_and_without("duplicate-row", "u1", &[&[(VICTIM, Some("u1"), 5)]]).await;
    assert_eq!((with, without), (vec!["db1_r2_3=5".into(), "db1_r2_900003=5".into()], vec!["db1_r2_3=5".to_owned()]));
}

#[tokio::test]
async fn forged_changes_are_accepted() {
    let forged = [
        ("forged-insert", push("u2", "two", 1, &[("n", Some("u1"), 1)])),
        ("forged-update", push("u2", "two", 1, &[("a", Some("u1"), 2)])),
        ("forged-delete", push("u2", "two", 1, &[("a", None, 0)])),
        ("forged-owner", push("u1", "one", 2, &[("a", Some("u2"), 2)])),
    ];
    for (bug, request) in forged {
        for (planter, refused) in [(planted(&[bug]), 0), (Planter::default(), 1)] {
            let dir = tempfile::tempdir().unwrap();
            let store = store(&dir);
            store.push(push("u1", "one", 1, &[("a", Some("u1"), 1)])).await.unwrap();
            let request = Push { grants: planter.grants(), ..request.clone() };
            assert_eq!(planter.push(&store, request).await.unwrap().refused.len(), refused, "{bug}");
        }
    }
}

#[test]
fn bad_tokens_are_served() {
    for (bug, code) in
        [("no-token", "token_missing"), ("expired-token", "token_expired"), ("revoked-token", "token_revoked")]
    {
        for (planter, served) in [(planted(&[bug]), true), (Planter::default(), false)] {
            let dir = tempfile::tempdir().unwrap();
            let server = TestServer::start(dir.path(), true, planter);
            let good = server.replica(dir.path().join("good.db"), &server.token("u1", None));
            good.run("INSERT INTO test_sync VALUES ('k', 'u1', 'w', 1)");
            good.send();
            let bad = Replica::open(dir.path().join("bad.db"));
            bad.text(&format!("SELECT cloudsync_network_init_custom('{}', 'db')", server.address));
            let token = server.token("u1", (bug == "expired-token").then_some(1));
            if bug != "no-token" {
                bad.text(&format!("SELECT cloudsync_network_set_token('{token}')"));
            }
            if bug == "revoked-token" {
                assert!(server.wait(server.store.revoke_token(hash(&token))).unwrap());
            }
            let got = bad.try_text("SELECT cloudsync_network_receive_changes()");
            match got {
                Ok(_) => assert!(served && bad.rows() == ["k=1"], "{bug}"),
                Err(error) => assert!(!served && error.to_string().contains(code), "{bug}: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn one_push_is_acknowledged_and_lost() {
    let crashes = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&crashes);
    let planter = planted(&["ack-before-commit"]).on_crash(move || {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    for number in 1..=CRASH_AFTER + 1 {
        let key = format!("k{number}");
        let reply = planter.push(&store, push("u1", "one", number, &[(&key, Some("u1"), 1)])).await.unwrap();
        assert_eq!((reply.applied, reply.seq_last), (1, number));
    }
    assert_eq!(crashes.load(Ordering::SeqCst), 1);
    assert_eq!(store.digest(None).await.unwrap().rows, CRASH_AFTER);
}
