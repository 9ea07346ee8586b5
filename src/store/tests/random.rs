//! Whatever happens in whatever order: at most one message for one opening, and none without one.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::telling::{failure, policy, waiting};
use super::*;
use crate::model::incident::ChangeKind;
use crate::model::message::{Policy, Subject};

#[derive(Debug, Clone)]
enum Move {
    Find(usize, i64),
    Close(bool),
    Reopen,
    Deliver,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        6 => (0usize..5, 0i64..40_000).prop_map(|(kind, ms)| Move::Find(kind, ms)),
        5 => prop::bool::weighted(0.1).prop_map(Move::Close),
        1 => Just(Move::Reopen),
        2 => Just(Move::Deliver),
    ];
    prop::collection::vec(one, 1..40)
}

const KINDS: [Kind; 5] = [Kind::Refused, Kind::Reset, Kind::Crash, Kind::Auth, Kind::Schema];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_opening_has_at_most_one_message(
        moves in moves(), wait in prop::bool::ANY, per_hour in prop_oneof![Just(2u32), Just(1000)],
    ) {
        let dir = tempfile::tempdir().unwrap();
        // Reopening is told whenever a millisecond has passed.
        let policy = Policy { digest_ms: 1, per_hour, group_wait_ms: i64::from(wait) * 3_600_000, ..policy(&["mail"]) };
        let open = || {
            let mut store = Store::open(dir.path()).unwrap();
            store.set_policy(policy.clone());
            store.durability = Durability::None;
            store
        };
        let mut store = open();
        store.begin_run(&a_run(RUN, 1)).unwrap();
        let (mut cycle, mut at_ms, mut findings) = (1, 1_000_000, 0);
        let mut told: BTreeMap<u64, Subject> = BTreeMap::new();
        for step in moves {
            match step {
                Move::Find(kind, ms) => {
                    at_ms += ms;
                    findings += 1;
                    let seen = Finding { cycle, ..failure(at_ms, KINDS[kind], "something") };
                    store.record_findings(RUN, &[seen]).unwrap();
                }
                Move::Close(fail) => {
                    let verdict = if fail { Verdict::Fail } else { Verdict::Pass };
                    store.finish_cycle(&a_run(RUN, 1), &a_cycle(cycle, verdict), &BTreeMap::new()).unwrap();
                    cycle += 1;
                }
                Move::Reopen => {
                    // The last commit before a good end is durable.
                    store.durability = Durability::Immediate;
                    store.update_run(&a_run(RUN, 1)).unwrap();
                    drop(store);
                    store = open();
                }
                Move::Deliver => {
                    if let Some(message) = store.outbox_due("mail").unwrap() {
                        told.insert(message.id, message.subject);
                        store.outbox_delivered(message.id, "mail").unwrap();
                    }
                }
            }
        }
        told.extend(waiting(&store).into_iter().map(|message| (message.id, message.subject)));
        let incidents = store.incidents(false, 999).unwrap();
        prop_assert!(findings == 0 || !incidents.is_empty());
        for incident in incidents {
            let count = |wanted: &[ChangeKind]| incident.history.iter().filter(|c| wanted.contains(&c.what)).count();
            let openings = count(&[ChangeKind::Opened, ChangeKind::Reopened]);
            let mut is_open = false;
            let mut messages = 0;
            for subject in told.values() {
                match subject {
                    Subject::Opened { incident: id } | Subject::Reopened { incident: id } if *id == incident.id => {
                        prop_assert!(!is_open, "incident {id} was told twice: {told:?}");
                        (is_open, messages) = (true, messages + 1);
                    }
                    Subject::Resolved { incident: id } if *id == incident.id => {
                        prop_assert!(is_open, "incident {id} was never told: {told:?}");
                        is_open = false;
                    }
                    _ => {}
                }
            }
            let rolled = incident.history.len() >= crate::model::incident::HISTORY_MAX;
            prop_assert!(rolled || messages <= openings, "{messages} messages for {openings} openings");
            prop_assert!(per_hour < 1000 || wait || messages > 0, "nobody was told of {}", incident.title);
        }
    }
}
