//! What must hold for any findings in any order.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const KINDS: [Kind; 6] = [Kind::Refused, Kind::Reset, Kind::Crash, Kind::Auth, Kind::Timeout, Kind::Schema];

#[derive(Debug, Clone)]
enum Move {
    Add(Vec<(usize, u8, bool)>),
    Wait(i64),
    Resolve(u8),
    Outage(bool),
    Reopen,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        6 => prop::collection::vec((0..KINDS.len(), 0u8..3, prop::bool::weighted(0.2)), 1..6).prop_map(Move::Add),
        3 => (1i64..90_000).prop_map(Move::Wait),
        2 => any::<u8>().prop_map(Move::Resolve),
        1 => any::<bool>().prop_map(Move::Outage),
        1 => Just(Move::Reopen),
    ];
    prop::collection::vec(one, 1..60)
}

proptest! {
    #[test]
    fn nothing_is_lost_doubled_or_open_twice(moves in moves()) {
        let mut desk = Desk::default();
        let (mut now_ms, mut lasting, mut healed, mut outages) = (1_000_000, 0, 0, 0);
        for step in moves {
            match step {
                Move::Add(all) => {
                    let findings: Vec<Finding> = all.into_iter().map(|(kind, text, tolerated)| {
                        let text = ["one", "two", "three"][usize::from(text)];
                        Finding { tolerated, ..seen(now_ms, KINDS[kind], text) }
                    }).collect();
                    lasting += findings.iter().filter(|f| !f.tolerated).count() as u64;
                    healed += findings.iter().filter(|f| f.tolerated).count() as u64;
                    desk.add(&findings);
                }
                Move::Wait(ms) => now_ms += ms,
                Move::Resolve(nth) => {
                    let open: Vec<u64> = desk.book.open().map(|case| case.incident.id).collect();
                    if let Some(id) = open.get(usize::from(nth) % open.len().max(1)) {
                        desk.work(now_ms, |book, cx| book.resolve(cx, *id));
                    }
                }
                Move::Outage(ends) => {
                    let until_ms = ends.then_some(now_ms);
                    outages += 1;
                    let outage = Outage { from_ms: now_ms - 20_000, until_ms, reason: "gone".into() };
                    desk.work(now_ms, |book, cx| book.note_outage(cx, &outage, 1));
                }
                Move::Reopen => desk.reopen_file(),
            }
            // What is kept in memory is what was written down.
            let open: BTreeMap<u64, Case> = desk.book.open().map(|case| (case.incident.id, case.clone())).collect();
            let mut written = desk.table.clone();
            written.retain(|_, case| case.incident.state == IncidentState::Open);
            prop_assert_eq!(open, written);
        }
        // Every finding that lasted was counted once; outages and healed ones at most once each.
        let counted: u64 = desk.table.values().map(|case| case.incident.count).sum();
        prop_assert!((lasting..=lasting + healed + outages * 2).contains(&counted), "{counted} of {lasting}");
        let mut causes = BTreeSet::new();
        for case in desk.table.values().filter(|case| case.incident.state == IncidentState::Open) {
            prop_assert!(causes.insert(case.incident.cause.clone()), "{} is open twice", case.incident.cause);
            prop_assert!(case.incident.causes.values().sum::<u64>() == case.incident.count);
        }
        // Openings and closings of one incident alternate.
        for id in desk.table.keys() {
            let mut open = false;
            for (_, effect) in desk.effects.iter().filter(|(of, _)| of == id) {
                match effect {
                    Effect::Changed(ChangeKind::Opened | ChangeKind::Reopened) => {
                        prop_assert!(!open);
                        open = true;
                    }
                    Effect::Changed(ChangeKind::Resolved) | Effect::Folded => {
                        prop_assert!(open);
                        open = false;
                    }
                    Effect::Changed(ChangeKind::Renamed { .. }) => prop_assert!(open),
                }
            }
        }
    }
}
