//! The ledger against a model that forgets nothing, under every order in which acknowledgements can arrive.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const SEED: u64 = 5;

/// A bank in which everything happens at once, and of which only the acknowledgements are late.
#[derive(Default)]
struct Model {
    balances: BTreeMap<u64, i64>,
    transfers: Vec<(u64, u64, u64, i64)>,
    /// Operations that happened, or did not, and of which nobody has said so yet.
    open: Vec<(Op, Begin, End, Done)>,
    /// Operations of which it was said that nobody knows.
    unknown: Vec<(Op, Begin, End, Done)>,
    next: u64,
}

/// What happens next; indices choose accounts and open operations.
#[derive(Debug, Clone)]
enum Event {
    Insert {
        rows: u32,
        happens: bool,
    },
    Transfer {
        from: Index,
        to: Index,
        happens: bool,
    },
    Delete {
        account: Index,
        happens: bool,
    },
    /// An open operation ends; with `unknown`, nobody knows how.
    End {
        which: Index,
        unknown: bool,
    },
    /// The ledger is written down and read again.
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let index = any::<Index>;
    let event = prop_oneof![
        2 => (1u32..5, prop::bool::weighted(0.8)).prop_map(|(rows, happens)| Event::Insert { rows, happens }),
        6 => (index(), index(), prop::bool::weighted(0.8))
            .prop_map(|(from, to, happens)| Event::Transfer { from, to, happens }),
        3 => (index(), prop::bool::weighted(0.8)).prop_map(|(account, happens)| Event::Delete { account, happens }),
        9 => (index(), prop::bool::weighted(0.15)).prop_map(|(which, unknown)| Event::End { which, unknown }),
        1 => Just(Event::Restart),
    ];
    prop::collection::vec(event, 0..150)
}

fn party(key: u64) -> Party {
    Party { key, id: (key >> 8 & 0xffff) as i64 * 256 + (key & 0xff) as i64 }
}

impl Model {
    fn op(&mut self, lane: Lane) -> (Op, Key) {
        self.next += 1;
        (Op { lane, worker: 1, no: self.next }, Key::of(1, lane, 1, self.next).unwrap())
    }

    fn begin(&mut self, ledger: &mut BankLedger, op: Op, begin: Begin, happens: bool, done: Done) {
        ledger.begun(op, &begin);
        let end = if happens { End::Acknowledged } else { End::Refused };
        self.open.push((op, begin, end, if happens { done } else { Done::default() }));
    }

    fn insert(&mut self, ledger: &mut BankLedger, rows: u32, happens: bool) {
        let (op, first) = self.op(Lane::Inserter);
        let keys: Vec<u64> = (0..rows).map(|index| first.row(index).pack()).collect();
        let ids = Some((party(keys[0]).id, party(keys[keys.len() - 1]).id));
        for key in keys.into_iter().filter(|_| happens) {
            self.balances.insert(key, ledger.initial(key));
        }
        let begin = Begin::Insert { first: first.pack(), rows, high: ledger.high };
        self.begin(ledger, op, begin, happens, Done { ids, ..Done::default() });
    }

    fn transfer(&mut self, ledger: &mut BankLedger, from: &Index, to: &Index, happens: bool) {
        let keys: Vec<u64> = self.balances.keys().copied().collect();
        if keys.len() < 2 {
            return;
        }
        let at = from.index(keys.len());
        let (from, to) = (keys[at], keys[(at + 1 + to.index(keys.len() - 1)) % keys.len()]);
        let (op, key) = self.op(Lane::Transferrer);
        let amount = 1 + (op.no % 50) as i64;
        if happens {
            *self.balances.get_mut(&from).unwrap() -= amount;
            *self.balances.get_mut(&to).unwrap() += amount;
            self.transfers.push((key.pack(), from, to, amount));
        }
        let begin = Begin::Transfer { key: key.pack(), from: party(from), to: party(to), amount };
        self.begin(ledger, op, begin, happens, Done::default());
    }

    fn delete(&mut self, ledger: &mut BankLedger, account: &Index, happens: bool) {
        let keys: Vec<u64> = self.balances.keys().copied().collect();
        if keys.is_empty() {
            return;
        }
        let key = keys[account.index(keys.len())];
        let (op, _) = self.op(Lane::Deleter);
        let balance = if happens { self.balances.remove(&key) } else { None };
        self.transfers.retain(|(_, from, to, _)| !happens || (*from != key && *to != key));
        let done = Done { seen: true, balance, ..Done::default() };
        self.begin(ledger, op, Begin::Delete(party(key)), happens, done);
    }

    fn end(&mut self, ledger: &mut BankLedger, which: usize, unknown: bool) {
        let (op, begin, end, done) = self.open.swap_remove(which);
        if unknown {
            ledger.ended(op, &begin, End::Indeterminate, &Done::default());
            self.unknown.push((op, begin, end, done));
        } else {
            ledger.ended(op, &begin, end, &done);
        }
    }

    /// Ends everything; of what was unknown, a look finds out whether it happened, but not what a deleted account held.
    fn settle(&mut self, ledger: &mut BankLedger) {
        while !self.open.is_empty() {
            self.end(ledger, 0, false);
        }
        for (op, begin, end, done) in std::mem::take(&mut self.unknown) {
            ledger.ended(op, &begin, end, &Done { balance: None, ..done });
        }
    }
}

fn played(events: &[Event]) -> (Model, BankLedger) {
    let (mut model, mut ledger) = (Model::default(), BankLedger::new(SEED));
    for event in events {
        match event {
            Event::Insert { rows, happens } => model.insert(&mut ledger, *rows, *happens),
            Event::Transfer { from, to, happens } => model.transfer(&mut ledger, from, to, *happens),
            Event::Delete { account, happens } => model.delete(&mut ledger, account, *happens),
            Event::End { which, unknown } if !model.open.is_empty() => {
                let which = which.index(model.open.len());
                model.end(&mut ledger, which, *unknown);
            }
            Event::End { .. } => {}
            Event::Restart => {
                let text = serde_json::to_string(&ledger).unwrap();
                let read: BankLedger = serde_json::from_str(&text).unwrap();
                assert!(read == ledger, "a checkpoint keeps everything");
                ledger = read;
            }
        }
    }
    (model, ledger)
}

proptest! {
    #[test]
    fn it_says_what_a_model_says_that_forgets_nothing(events in events()) {
        let (mut model, mut ledger) = played(&events);
        model.settle(&mut ledger);
        let mut live = Iblt::default();
        model.balances.keys().for_each(|key| live.add(*key));
        prop_assert!(live == ledger.live);
        prop_assert_eq!(ledger.count(), model.balances.len() as i64);
        for (key, balance) in &model.balances {
            prop_assert_eq!(ledger.expected(*key), *balance);
        }
        prop_assert_eq!(ledger.sums.initial - ledger.sums.taken, model.balances.values().sum::<i64>());
        let mut pairs = Pairs::default();
        for (key, from, to, amount) in &model.transfers {
            pairs.add((*from, *to), Pair { count: 1, amount: *amount, keys: *key });
        }
        prop_assert!(pairs == ledger.pairs);
        prop_assert!(ledger.violations == Violations::default(), "{:?}", ledger.violations);
        // Nothing is kept of what is gone.
        let known: BTreeSet<u64> = ledger.accounts.keys().copied().collect();
        prop_assert!(known.is_subset(&model.balances.keys().copied().collect()));
        prop_assert!(ledger.inserting.is_empty() && !ledger.overflow);
    }

    #[test]
    fn a_deletion_that_found_too_little_is_named(events in events(), short in 1i64..50) {
        let (mut model, mut ledger) = played(&events);
        model.settle(&mut ledger);
        let Some((key, held)) = model.balances.first_key_value().map(|(key, held)| (*key, *held)) else { return Ok(()) };
        let op = Op { lane: Lane::Deleter, worker: 2, no: 1 };
        let begin = Begin::Delete(party(key));
        ledger.begun(op, &begin);
        ledger.ended(op, &begin, End::Acknowledged, &Done { seen: true, balance: Some(held - short), ..Done::default() });
        let lines = ledger.violations.of(&[Rule::Deletion]).lines;
        prop_assert_eq!(lines.len(), 1);
        prop_assert!(lines[0].contains(&format!("account {} of ", party(key).id)), "{:?}", lines);
        let end = format!("held {} when it was deleted; it must have held {held}", held - short);
        prop_assert!(lines[0].ends_with(&end), "{:?}", lines);
    }
}

#[test]
fn ids_that_do_not_grow_are_named() {
    let mut ledger = BankLedger::new(SEED);
    for (no, high, ids) in [(1, 0, (1, 20)), (2, 20, (20, 39)), (3, 39, (40, 59))] {
        let op = Op { lane: Lane::Inserter, worker: 1, no };
        let first = Key::of(1, Lane::Inserter, 1, no).unwrap().pack();
        let begin = Begin::Insert { first, rows: 20, high };
        ledger.begun(op, &begin);
        ledger.ended(op, &begin, End::Acknowledged, &Done { ids: Some(ids), ..Done::default() });
    }
    let lines = ledger.violations.of(&[Rule::Ids]).lines;
    assert!(lines.len() == 1 && lines[0].contains("inserter 1, operation 2 was given id 20"), "{lines:?}");
}

#[test]
fn an_account_is_deleted_once() {
    let mut ledger = BankLedger::new(SEED);
    let insert = Op { lane: Lane::Inserter, worker: 1, no: 1 };
    let key = Key::of(1, Lane::Inserter, 1, 1).unwrap().pack();
    ledger.begun(insert, &Begin::Insert { first: key, rows: 1, high: 0 });
    ledger.ended(insert, &Begin::Insert { first: key, rows: 1, high: 0 }, End::Acknowledged, &Done::default());
    let ops = [1, 2].map(|worker| Op { lane: Lane::Deleter, worker, no: 7 });
    let begin = Begin::Delete(party(key));
    ops.iter().for_each(|op| ledger.begun(*op, &begin));
    let done = Done { seen: true, balance: Some(ledger.initial(key)), ..Done::default() };
    ops.iter().for_each(|op| ledger.ended(*op, &begin, End::Acknowledged, &done));
    assert_eq!((ledger.count(), ledger.violations.count(Rule::Lookup)), (0, 1));
    assert!(
        ledger.violations.of(&[Rule::Lookup]).lines[0].ends_with("was deleted once more by deleter 2, operation 7")
    );
}

/// Lets the roles do their operations, and returns what is kept of them: accounts, pairs, and bytes of a checkpoint.
fn kept_after(operations: u64) -> (usize, usize, usize) {
    let mut ledger = BankLedger::new(SEED);
    let mut names = std::collections::BTreeMap::new();
    let mut word = 1u64;
    let mut random = move |n: usize| {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (word >> 33) as usize % n
    };
    let act = |ledger: &mut BankLedger, op: Op, begin: Begin, done: Done| {
        ledger.begun(op, &begin);
        ledger.ended(op, &begin, End::Acknowledged, &done);
    };
    for no in 1..=operations {
        let op = |lane| Op { lane, worker: 1, no };
        match no % 4 {
            0 => {
                let first = Key::of(1, Lane::Inserter, 1, no).unwrap();
                let (begin, done) = (
                    Begin::Insert { first: first.pack(), rows: 2, high: 0 },
                    Done { ids: Some((1, 2)), ..Done::default() },
                );
                act(&mut ledger, op(Lane::Inserter), begin, done);
                let identity = Identity::new(SEED);
                names.extend((0..2).map(|index| (identity.name(first.row(index)), first.row(index).pack())));
            }
            1 | 2 if names.len() > 50 => {
                let page: Vec<u64> = names.values().take(50).copied().collect();
                let (from, to) = (random(50), random(49));
                let (from, to) = (page[from], page[to + usize::from(to >= from)]);
                let key = Key::of(1, Lane::Transferrer, 1, no).unwrap().pack();
                act(
                    &mut ledger,
                    op(Lane::Transferrer),
                    Begin::Transfer { key, from: party(from), to: party(to), amount: 1 },
                    Done::default(),
                );
            }
            3 if names.len() > 100 => {
                let (name, key) = names.iter().nth(random(100)).map(|(name, key)| (name.clone(), *key)).unwrap();
                names.remove(&name);
                let balance = Some(ledger.expected(key));
                act(
                    &mut ledger,
                    op(Lane::Deleter),
                    Begin::Delete(party(key)),
                    Done { seen: true, balance, ..Done::default() },
                );
            }
            _ => {}
        }
    }
    assert!(!ledger.overflow && !ledger.pairs.overflow);
    (ledger.accounts.len(), ledger.pairs.len(), serde_json::to_string(&ledger).unwrap().len())
}

#[test]
fn what_is_kept_does_not_grow_with_the_operations() {
    let (few, many) = (kept_after(20_000), kept_after(200_000));
    assert!(many.0 < few.0 * 2 + 200 && many.1 < few.1 * 2 + 2_000, "{few:?}, {many:?}");
    assert!(many.2 < 1_000_000, "{} bytes", many.2);
}
