use proptest::prelude::*;

use super::*;
use crate::model::value::Value;

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Int),
        (-1e300f64..1e300).prop_map(Value::Real),
        ".{0,20}".prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Blob),
    ]
}

fn any_batch() -> impl Strategy<Value = Batch> {
    let change = (".{0,12}", proptest::option::of(proptest::collection::vec(any_value(), 0..6)));
    proptest::collection::vec(change, 0..30).prop_map(|changes| {
        let mut batch = Batch::default();
        for (key, cells) in &changes {
            match cells {
                Some(cells) => batch.upsert(key, cells.iter().map(Value::cell)),
                None => batch.delete(key),
            }
        }
        batch
    })
}

proptest! {
    #[test]
    fn requests_survive_the_wire(client in ".{0,20}", batch_no: u64, batch in any_batch()) {
        let request = PushRequest { client, batch_no, batch };
        prop_assert_eq!(PushRequest::decode(&request.encode()).unwrap(), request);
    }

    #[test]
    fn pages_survive_the_wire(next: u64, more: bool, reset: bool, batch in any_batch()) {
        let page = Page { batch, next, more, reset };
        prop_assert_eq!(Page::decode(&page.encode()).unwrap(), page);
    }

    #[test]
    fn pulls_survive_the_wire(client in ".{0,20}", after: u64, limit_bytes: u64, full: bool) {
        let request = PullRequest { client, after, limit_bytes, full };
        prop_assert_eq!(PullRequest::decode(&request.encode()).unwrap(), request);
    }

    #[test]
    fn a_frame_that_is_cut_off_or_changed_never_panics(batch in any_batch(), cut: prop::sample::Index, flip: prop::sample::Index) {
        let frame = PushRequest { client: "c".into(), batch_no: 7, batch }.encode();
        prop_assert!(PushRequest::decode(&frame[..cut.index(frame.len())]).is_err());
        let mut changed = frame.clone();
        changed[flip.index(frame.len())] ^= 0x41;
        let _ = PushRequest::decode(&changed);
    }

    #[test]
    fn junk_never_panics(junk in proptest::collection::vec(any::<u8>(), 0..200)) {
        let body = seal(PUSH, &junk);
        let _ = (PushRequest::decode(&junk), PushRequest::decode(&body), PushReply::from_bytes(&junk));
        let _ = (Page::decode(&seal(PULL_REPLY, &junk)), PullRequest::decode(&seal(PULL, &junk)));
    }
}

#[test]
fn replies_survive_the_wire() {
    let refused = vec![Refusal { key: "k".into(), verb: Verb::Update, reason: "not yours".into() }];
    let reply = PushReply { applied: 3, refused, seq_first: 10, seq_last: 12 };
    assert_eq!(PushReply::decode(&reply.encode()).unwrap(), reply);
}

#[test]
fn what_is_wrong_is_named() {
    let good = PullRequest::default().encode();
    assert_eq!(PullRequest::decode(b"<html>nothing here</html>"), Err(WireError::Magic));
    assert_eq!(PullRequest::decode(b"SK"), Err(WireError::Truncated));
    assert_eq!(PullRequest::decode(&[b'S', b'K', 9, PULL]), Err(WireError::Version(9)));
    assert_eq!(PushRequest::decode(&good), Err(WireError::Kind { expected: PUSH, found: PULL }));
    let mut huge = vec![b'S', b'K', VERSION, PULL];
    wire::Writer(&mut huge).number(u64::MAX);
    assert_eq!(PullRequest::decode(&huge), Err(WireError::TooLarge(u64::MAX, MAX_BODY)));
}
