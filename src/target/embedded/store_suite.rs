//! What every store must do, run on each of them.

use std::future::Future;
use std::pin::Pin;

use super::policy::Grants;
use super::testing::{batch, pull, push, shown};
use super::token::{NewToken, TokenError};
use super::{Identity, Pull, Push, Store, StoreError, Verb};
use crate::model::digest::{RowHasher, TableDigest, bucket_of};
use crate::model::value::{Cell, Value};

type Case<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs every case on a fresh store that `open` makes.
pub(super) async fn run<S, F>(open: impl Fn(&'static str) -> F)
where
    S: Store + 'static,
    F: Future<Output = S>,
{
    type Named<S> = (&'static str, fn(&S) -> Case<'_>);
    let cases: &[Named<S>] = &[
        ("order", |store| Box::pin(changes_come_in_order(store))),
        ("idempotent", |store| Box::pin(a_batch_counts_once(store))),
        ("policies", |store| Box::pin(policies_hold(store))),
        ("grants", |store| Box::pin(grants_open_their_doors(store))),
        ("owner", |store| Box::pin(a_change_of_owner_moves_the_row(store))),
        ("again", |store| Box::pin(a_row_that_lives_again_stays(store))),
        ("pages", |store| Box::pin(pages_are_bounded(store))),
        ("prune", |store| Box::pin(tombstones_are_pruned(store))),
        ("behind", |store| Box::pin(a_client_that_is_far_behind_starts_over(store))),
        ("admin", |store| Box::pin(the_administrator_sees_all(store))),
        ("tokens", |store| Box::pin(tokens_are_kept(store))),
        ("bad", |store| Box::pin(bad_rows_are_refused(store))),
    ];
    for (name, case) in cases {
        let store = open(name).await;
        case(&store).await;
        store.close().await;
        assert!(matches!(store.push(push("u", "c", 1, &[])).await, Err(StoreError::Closed)), "{name}");
    }
}

async fn changes_come_in_order(store: &dyn Store) {
    let changes = [("a", Some("u1"), 1), ("b", Some("u1"), 2), ("c", Some("u1"), 3)];
    let reply = store.push(push("u1", "one", 1, &changes)).await.unwrap();
    assert_eq!((reply.applied, reply.seq_first, reply.seq_last), (3, 1, 3));
    let reply =
        store.push(push("u1", "two", 1, &[("a", Some("u1"), 4), ("b", None, 0), ("x", None, 0)])).await.unwrap();
    assert_eq!((reply.applied, reply.seq_first, reply.seq_last), (3, 4, 6));
    let page = store.pull(pull("u1", "three", 0)).await.unwrap();
    assert_eq!(shown(&page.batch), ["c=3", "a=4", "-b"]);
    assert_eq!((page.next, page.more, page.reset), (6, false, false));
    assert_eq!(shown(&store.pull(pull("u1", "one", 0)).await.unwrap().batch), ["a=4", "-b"]);
    assert_eq!(shown(&store.pull(pull("u1", "two", 0)).await.unwrap().batch), ["c=3"]);
    assert_eq!(
        shown(&store.pull(Pull { full: true, ..pull("u1", "one", 0) }).await.unwrap().batch),
        ["c=3", "a=4", "-b"]
    );
    assert!(store.pull(pull("u2", "four", 0)).await.unwrap().batch.is_empty());
    assert!(store.pull(pull("u1", "three", 6)).await.unwrap().batch.is_empty());
    assert!(store.pull(pull("u1", "three", 1_000_000)).await.unwrap().reset, "a watermark of another life");
}

async fn a_batch_counts_once(store: &dyn Store) {
    let first = store.push(push("u1", "one", 1, &[("a", Some("u1"), 1), ("b", Some("u2"), 1)])).await.unwrap();
    assert_eq!((first.applied, first.refused.len()), (1, 1));
    store.push(push("u1", "two", 1, &[("a", Some("u1"), 2)])).await.unwrap();
    let again = store.push(push("u1", "one", 1, &[("a", Some("u1"), 3)])).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(shown(&store.pull(pull("u1", "three", 0)).await.unwrap().batch), ["a=2"]);
    store.push(push("u1", "one", 2, &[])).await.unwrap();
    let old = store.push(push("u1", "one", 1, &[])).await;
    assert!(matches!(old, Err(StoreError::OldBatch { got: 1, last: 2, .. })), "{old:?}");
}

async fn policies_hold(store: &dyn Store) {
    store.push(push("u1", "one", 1, &[("a", Some("u1"), 1), ("b", Some("u1"), 1)])).await.unwrap();
    let forged =
        [("a", Some("u2"), 9), ("a", Some("u1"), 9), ("b", None, 0), ("n", Some("u1"), 9), ("ok", Some("u2"), 1)];
    let reply = store.push(push("u2", "two", 1, &forged)).await.unwrap();
    let refused: Vec<_> = reply.refused.iter().map(|r| (r.key.as_str(), r.verb)).collect();
    let expected = [("a", Verb::Update), ("a", Verb::Update), ("b", Verb::Delete), ("n", Verb::Insert)];
    assert_eq!(refused, expected, "{reply:?}");
    assert!(reply.refused.iter().all(|refusal| refusal.reason.contains("policy")), "{reply:?}");
    assert_eq!(reply.applied, 1);
    let given = store.push(push("u1", "one", 2, &[("a", Some("u2"), 5)])).await.unwrap();
    assert_eq!((given.applied, given.refused[0].verb), (0, Verb::Update));
    assert_eq!(shown(&store.pull(pull("u1", "x", 0)).await.unwrap().batch), ["a=1", "b=1"]);
    assert_eq!(shown(&store.pull(pull("u2", "x", 0)).await.unwrap().batch), ["ok=1"]);
}

async fn grants_open_their_doors(store: &dyn Store) {
    store.push(push("u1", "one", 1, &[("a", Some("u1"), 1), ("b", Some("u1"), 1)])).await.unwrap();
    let none = Grants::default();
    let forged = [
        (("n", Some("u1"), 9), Grants { insert: true, ..none }),
        (("a", Some("u1"), 9), Grants { update: true, ..none }),
        (("b", None, 0), Grants { delete: true, ..none }),
    ];
    for (i, (change, grants)) in forged.into_iter().enumerate() {
        let number = i as u64 * 2 + 1;
        assert_eq!(store.push(push("u2", "two", number, &[change])).await.unwrap().refused.len(), 1, "{change:?}");
        let reply = store.push(Push { grants, ..push("u2", "two", number + 1, &[change]) }).await.unwrap();
        assert_eq!((reply.applied, reply.refused.len()), (1, 0), "{change:?}");
    }
    assert_eq!(shown(&store.pull(pull("u1", "x", 0)).await.unwrap().batch), ["n=9", "a=9", "-b"]);
}

async fn a_change_of_owner_moves_the_row(store: &dyn Store) {
    store.push(push("u1", "one", 1, &[("a", Some("u1"), 1)])).await.unwrap();
    let grants = Grants { owner_change: true, ..Grants::default() };
    let reply = store.push(Push { grants, ..push("u1", "one", 2, &[("a", Some("u2"), 2)]) }).await.unwrap();
    assert_eq!((reply.applied, reply.refused.len()), (1, 0));
    assert_eq!(shown(&store.pull(pull("u1", "x", 1)).await.unwrap().batch), ["-a"]);
    assert_eq!(shown(&store.pull(pull("u2", "y", 0)).await.unwrap().batch), ["a=2"]);
}

async fn a_row_that_lives_again_stays(store: &dyn Store) {
    store.push(push("u1", "one", 1, &[("a", Some("u1"), 1)])).await.unwrap();
    store.push(push("u1", "two", 1, &[("a", None, 0)])).await.unwrap();
    store.push(push("u1", "one", 2, &[("a", Some("u1"), 2)])).await.unwrap();
    assert!(
        store.pull(pull("u1", "one", 0)).await.unwrap().batch.is_empty(),
        "its own newer row outlives the tombstone"
    );
    assert_eq!(shown(&store.pull(pull("u1", "two", 0)).await.unwrap().batch), ["a=2"]);
}

async fn pages_are_bounded(store: &dyn Store) {
    let keys: Vec<String> = (0..500).map(|i| format!("k{i:03}")).collect();
    let changes: Vec<_> = keys.iter().map(|key| (key.as_str(), Some("u1"), 1)).collect();
    store.push(push("u1", "one", 1, &changes)).await.unwrap();
    let deletes: Vec<_> = keys[100..200].iter().map(|key| (key.as_str(), None, 0)).collect();
    store.push(push("u1", "one", 2, &deletes)).await.unwrap();
    let (mut after, mut pages, mut got) = (0, 0, Vec::new());
    loop {
        let page = store.pull(Pull { limit_bytes: 1024, ..pull("u1", "two", after) }).await.unwrap();
        assert!(page.batch.size() < 1200 && page.next > after, "{}", page.batch.size());
        (after, pages) = (page.next, pages + 1);
        got.extend(shown(&page.batch));
        if !page.more {
            break;
        }
    }
    assert_eq!((after, got.len()), (600, 500));
    assert!(pages > 8 && got[499] == "-k199", "{pages} {}", got[499]);
}

async fn tombstones_are_pruned(store: &dyn Store) {
    let keys: Vec<String> = (0..6000).map(|i| format!("k{i}")).collect();
    let changes: Vec<_> = keys.iter().map(|key| (key.as_str(), Some("u1"), 1)).collect();
    store.push(push("u1", "one", 1, &changes)).await.unwrap();
    let deletes: Vec<_> = keys.iter().map(|key| (key.as_str(), None, 0)).collect();
    store.push(push("u1", "one", 2, &deletes)).await.unwrap();
    let count = "SELECT count(*) AS n FROM soakd_tombstone";
    store.pull(pull("u1", "one", 12_000)).await.unwrap();
    store.push(push("u1", "one", 3, &[("z", Some("u1"), 1)])).await.unwrap();
    assert_eq!(store.sql(count.into()).await.unwrap()[0]["n"], 0, "nobody else needs them");
    assert!(store.pull(pull("u1", "late", 7)).await.unwrap().reset, "deletes were forgotten");
    assert_eq!(shown(&store.pull(pull("u1", "late", 0)).await.unwrap().batch), ["z=1"]);
    // "late" is remembered from its first page on: in the middle of it, nothing is missing.
    let page = store.pull(pull("u1", "late", 7)).await.unwrap();
    assert!(!page.reset && shown(&page.batch) == ["z=1"], "{}", page.reset);
    store.push(push("u1", "one", 4, &changes)).await.unwrap();
    store.push(push("u1", "pushes only", 1, &[])).await.unwrap();
    store.push(push("u1", "one", 5, &deletes)).await.unwrap();
    store.pull(pull("u1", "one", 24_001)).await.unwrap();
    store.push(push("u1", "one", 6, &[])).await.unwrap();
    assert_eq!(store.sql(count.into()).await.unwrap()[0]["n"], 6000, "a client that has not pulled them holds them");
}

async fn a_client_that_is_far_behind_starts_over(store: &dyn Store) {
    store.push(push("u1", "near", 1, &[("k", Some("u1"), 1)])).await.unwrap();
    store.pull(pull("u1", "far", 0)).await.unwrap();
    store.pull(pull("u1", "far", 1)).await.unwrap();
    let keys: Vec<String> = (0..8000).map(|i| format!("k{i}")).collect();
    for batch in 0..4 {
        let verb = if batch % 2 == 0 { Some("u1") } else { None };
        let changes: Vec<_> = keys.iter().map(|key| (key.as_str(), verb, 1)).collect();
        store.push(push("u1", "near", batch + 2, &changes)).await.unwrap();
    }
    store.pull(pull("u1", "near", 32_001)).await.unwrap();
    store.push(push("u1", "near", 6, &[])).await.unwrap();
    let held = store.sql("SELECT count(*) AS n FROM soakd_tombstone".into()).await.unwrap();
    assert!(held[0]["n"].as_u64().unwrap() <= super::HELD_MAX, "{held:?}");
    assert!(store.pull(pull("u1", "far", 1)).await.unwrap().reset, "it is too far behind");
    let page = store.pull(pull("u1", "far", 0)).await.unwrap();
    assert!(!page.reset);
    assert_eq!(shown(&page.batch)[0], "k=1");
}

async fn the_administrator_sees_all(store: &dyn Store) {
    store.push(push("u1", "one", 1, &[("a", Some("u1"), 1), ("probe_x", Some("u1"), 1)])).await.unwrap();
    store.push(push("u2", "two", 1, &[("b", Some("u2"), 2)])).await.unwrap();
    let row =
        |key, owner, value| vec![Value::Text(key), Value::Text(owner), Value::Text("w".into()), Value::Int(value)];
    let (a, b) = (row("a".into(), "u1".into(), 1), row("b".into(), "u2".into(), 2));
    let (mut expected, mut hasher) = (TableDigest::default(), RowHasher::default());
    expected.add("a", hasher.hash(a.iter().map(Value::cell)));
    assert_eq!(store.digest(Some("u1".into())).await.unwrap(), expected);
    expected.add("b", hasher.hash(b.iter().map(Value::cell)));
    assert_eq!(store.digest(None).await.unwrap(), expected);
    assert_eq!(store.rows(None, vec![bucket_of("b")], 10).await.unwrap().rows, [b]);
    let cut = store.rows(None, vec![], 1).await.unwrap();
    assert!(cut.truncated && cut.rows.len() == 1);
    assert_eq!(store.rows(Some("u1".into()), vec![], 10).await.unwrap().rows, [a]);
    let counted = store.sql("SELECT count(*) AS n FROM test_sync WHERE user_id = 'u1'".into()).await.unwrap();
    assert_eq!(counted[0]["n"], 2);
    store.sql("DELETE FROM test_sync WHERE id = 'a'".into()).await.unwrap();
    let error = store.sql("SELECT nothing FROM nowhere".into()).await.unwrap_err();
    assert!(matches!(error, StoreError::BadRequest(ref text) if text.contains("nowhere")), "{error}");
    let admin = Push { identity: Identity::Admin, ..push("", "", 0, &[("n", Some("u2"), 3)]) };
    assert_eq!(store.push(admin).await.unwrap().applied, 1);
    assert_eq!(shown(&store.pull(pull("u2", "two", 0)).await.unwrap().batch), ["n=3"]);
    let everything = store.pull(Pull { identity: Identity::Admin, ..pull("", "admin", 0) }).await.unwrap();
    assert_eq!(shown(&everything.batch), ["probe_x=1", "b=2", "n=3"]);
}

async fn tokens_are_kept(store: &dyn Store) {
    let token =
        |byte, expires_at_ms| NewToken { hash: [byte; 32], user_id: "u".into(), name: String::new(), expires_at_ms };
    store.add_token(token(1, None)).await.unwrap();
    store.add_token(token(2, Some(1))).await.unwrap();
    assert_eq!(store.find_token([1; 32]).await.unwrap(), Ok("u".to_owned()));
    assert_eq!(store.find_token([2; 32]).await.unwrap(), Err(TokenError::Expired));
    assert_eq!(store.find_token([3; 32]).await.unwrap(), Err(TokenError::Garbage));
    assert!(store.revoke_token([1; 32]).await.unwrap());
    assert!(!store.revoke_token([3; 32]).await.unwrap());
    assert_eq!(store.find_token([1; 32]).await.unwrap(), Err(TokenError::Revoked));
}

async fn bad_rows_are_refused(store: &dyn Store) {
    let mut narrow = batch(&[("ok", Some("u1"), 1)]);
    narrow.upsert("k", [Cell::Text("k")].into_iter());
    let result = store.push(Push { batch: narrow, ..push("u1", "one", 1, &[]) }).await;
    assert!(matches!(result, Err(StoreError::BadRequest(ref text)) if text.contains("\"k\"")), "{result:?}");
    let mut other = batch(&[]);
    other.upsert("k", [Cell::Text("other"), Cell::Text("u1"), Cell::Null, Cell::Null].into_iter());
    assert!(matches!(
        store.push(Push { batch: other, ..push("u1", "one", 1, &[]) }).await,
        Err(StoreError::BadRequest(_))
    ));
    assert_eq!(store.digest(None).await.unwrap().rows, 0, "nothing of a bad batch is kept");
    assert_eq!(store.push(push("u1", "one", 1, &[("a", Some("u1"), 1)])).await.unwrap().seq_last, 1);
}
