//! What the bank's acknowledged operations come to, in memory that does not grow with them: which accounts there are, what
//! every account that took part in a transfer must hold, and which transfers there are between accounts that still exist.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::iblt::Iblt;
use super::pairs::{Pair, Pairs};
use crate::checker::bank::{Rule, Violation, Violations};
use crate::engine::direct::course::{Ledger, Op};
use crate::model::lane::{End, Lane};
use crate::workload::bank::{Identity, Key};

/// Accounts whose money is followed at most.
pub(super) const ACCOUNTS_MAX: usize = 200_000;
/// Deleted accounts that are remembered: more than all deleters delete while one of them holds a page.
const WENT_MAX: usize = 8_192;

/// An account that an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The packed key that its name carries.
    #[serde(rename = "k")]
    pub key: u64,
    pub id: i64,
}

/// What an operation is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Begin {
    /// Makes the tables anew: nothing that was before counts.
    Anew,
    /// Inserts `rows` accounts, the first with the key `first`; `high` is the highest id that was acknowledged.
    Insert {
        first: u64,
        rows: u32,
        high: i64,
    },
    /// `key` is that of the operation.
    Transfer {
        key: u64,
        from: Party,
        to: Party,
        amount: i64,
    },
    Delete(Party),
    /// Reads, or found nothing to do.
    Look,
}

/// What it came to, as far as the ledger needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The lowest and the highest id of inserted accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<(i64, i64)>,
    /// What a deleted account held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<i64>,
    /// True of a look that saw something, and of a deletion that found what it deletes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seen: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
}

/// What is followed of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Followed {
    pub(super) id: i64,
    /// Received less sent.
    pub(super) net: i64,
    /// Operations about it that have not ended, or that ended with nobody knowing how.
    pub(super) open: u32,
    /// It is deleted; what it held then, where that is known.
    pub(super) gone: Option<Option<i64>>,
}

/// Sums over all accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sums {
    pub(super) inserted: u64,
    pub(super) deleted: u64,
    pub(super) transfers: u64,
    pub(super) inserts: u64,
    pub(super) looks: u64,
    /// Money of all accounts as they were made.
    pub(super) initial: i64,
    /// Money of deleted accounts when they were deleted.
    pub(super) taken: i64,
    /// Deleted accounts whose money is not in `taken`, because nobody saw it and the ledger could not follow it.
    pub(super) unknown: u64,
}

/// The ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BankLedger {
    seed: u64,
    pub(super) live: Iblt,
    #[serde(with = "super::followed")]
    pub(super) accounts: BTreeMap<u64, Followed>,
    pub(super) pairs: Pairs,
    pub(super) sums: Sums,
    /// Inserts that have not ended, by the key of their first row, with whether one of their rows was seen deleted.
    pub(super) inserting: BTreeMap<u64, bool>,
    /// Accounts that were deleted last: an operation that begins now may still mean one of them, from an old page.
    #[serde(default)]
    pub(super) went: VecDeque<u64>,
    /// The highest id of an account that was acknowledged.
    pub(super) high: i64,
    /// True if accounts were left out because there were too many.
    pub(super) overflow: bool,
    pub(super) violations: Violations,
}

impl BankLedger {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            live: Iblt::default(),
            accounts: BTreeMap::new(),
            pairs: Pairs::default(),
            sums: Sums::default(),
            inserting: BTreeMap::new(),
            went: VecDeque::new(),
            high: 0,
            overflow: false,
            violations: Violations::default(),
        }
    }

    fn initial(&self, packed: u64) -> i64 {
        Key::unpack(packed).map_or(0, |key| Identity::new(self.seed).balance(key))
    }

    /// Returns what an account must hold, as far as operations have ended.
    pub(super) fn expected(&self, packed: u64) -> i64 {
        self.initial(packed) + self.accounts.get(&packed).map_or(0, |followed| followed.net)
    }

    /// Returns true if an account is known to be deleted.
    pub(super) fn is_gone(&self, packed: u64) -> bool {
        self.accounts.get(&packed).is_some_and(|followed| followed.gone.is_some())
    }

    /// Returns true if an account was deleted before any operation on it that is still open began: that operation had an old
    /// page, and has done nothing.
    pub(super) fn went_before(&self, packed: u64) -> bool {
        !self.is_gone(packed) && self.went.contains(&packed)
    }

    /// Returns how many accounts there must be.
    pub(super) fn count(&self) -> i64 {
        self.sums.inserted as i64 - self.sums.deleted as i64
    }

    fn follow(&mut self, party: Party) -> Option<&mut Followed> {
        if self.accounts.len() >= ACCOUNTS_MAX && !self.accounts.contains_key(&party.key) {
            self.overflow = true;
            return None;
        }
        let unknown = Followed { id: party.id, net: 0, open: 0, gone: None };
        Some(self.accounts.entry(party.key).or_insert(unknown))
    }

    fn open(&mut self, party: Party) {
        if let Some(followed) = self.follow(party) {
            followed.open += 1;
        }
    }

    fn close(&mut self, party: Party) {
        let Some(followed) = self.accounts.get_mut(&party.key) else { return };
        followed.open = followed.open.saturating_sub(1);
        self.let_go(party.key);
    }

    /// Stops following an account about which nothing can come any more.
    fn let_go(&mut self, key: u64) {
        let Some(followed) = self.accounts.get(&key).copied().filter(|followed| followed.open == 0) else { return };
        let Some(held) = followed.gone else {
            if followed.net == 0 {
                self.accounts.remove(&key);
            }
            return;
        };
        let expected = self.expected(key);
        match held {
            Some(held) if held != expected && !self.overflow => {
                let text = format!(
                    "account {} of {} held {held} when it was deleted; it must have held {expected}",
                    followed.id,
                    crate::workload::bank::key::told(key),
                );
                self.violations.add(Violation { rule: Rule::Deletion, text });
            }
            Some(_) => {}
            None if self.overflow => self.sums.unknown += 1,
            None => self.sums.taken += expected,
        }
        self.accounts.remove(&key);
        self.pairs.forget(key);
    }

    fn inserted(&mut self, (first, rows, high): (u64, u32, i64), done: &Done) {
        let Some(first) = Key::unpack(first) else { return };
        let identity = Identity::new(self.seed);
        for key in (0..rows).map(|index| first.row(index)) {
            self.live.add(key.pack());
            self.sums.initial += identity.balance(key);
        }
        self.sums.inserted += u64::from(rows);
        self.sums.inserts += 1;
        let Some((low, highest)) = done.ids else { return };
        if low <= high {
            let text =
                format!("{first} was given id {low} although id {high} was given and acknowledged before it began");
            self.violations.add(Violation { rule: Rule::Ids, text });
        }
        self.high = self.high.max(highest);
    }

    fn moved(&mut self, key: u64, from: Party, to: Party, amount: i64) {
        self.sums.transfers += 1;
        for (party, by) in [(from, -amount), (to, amount)] {
            if let Some(followed) = self.follow(party) {
                followed.net += by;
            }
        }
        self.pairs.add((from.key, to.key), Pair { count: 1, amount, keys: key });
    }

    fn deleted(&mut self, op: Op, party: Party, held: Option<i64>) {
        if self.is_gone(party.key) {
            let by = Key::of(0, op.lane, op.worker, op.no).map_or_else(String::new, |key| key.to_string());
            let text = format!("account {} was deleted once more by {by}", party.id);
            self.violations.add(Violation { rule: Rule::Lookup, text });
            return;
        }
        self.live.remove(party.key);
        if self.went.len() == WENT_MAX {
            self.went.pop_front();
        }
        self.went.push_back(party.key);
        self.sums.deleted += 1;
        self.sums.taken += held.unwrap_or(0);
        if let Some(happened) = Key::unpack(party.key).and_then(|key| self.inserting.get_mut(&key.operation().pack())) {
            *happened = true;
        }
        match self.follow(party) {
            Some(followed) => followed.gone = Some(held),
            None if held.is_none() => self.sums.unknown += 1,
            None => {}
        }
    }

    /// Returns what `begun` counted as open.
    fn parties(begin: &Begin) -> impl Iterator<Item = Party> {
        let (one, two) = match begin {
            Begin::Transfer { from, to, .. } => (Some(*from), Some(*to)),
            Begin::Delete(party) => (Some(*party), None),
            Begin::Anew | Begin::Insert { .. } | Begin::Look => (None, None),
        };
        one.into_iter().chain(two)
    }
}

impl Ledger for BankLedger {
    type Begin = Begin;
    type Done = Done;

    fn is_harmless(begin: &Begin) -> bool {
        matches!(begin, Begin::Look)
    }

    fn begun(&mut self, _op: Op, begin: &Begin) {
        Self::parties(begin).for_each(|party| self.open(party));
        if let Begin::Insert { first, .. } = begin {
            self.inserting.insert(*first, false);
        }
    }

    fn ended(&mut self, op: Op, begin: &Begin, end: End, done: &Done) {
        for violation in &done.violations {
            self.violations.add(violation.clone());
        }
        if end == End::Acknowledged {
            match begin {
                Begin::Anew => *self = Self::new(self.seed),
                Begin::Insert { first, rows, high } => self.inserted((*first, *rows, *high), done),
                Begin::Transfer { key, from, to, amount } => self.moved(*key, *from, *to, *amount),
                Begin::Delete(party) if done.seen => self.deleted(op, *party, done.balance),
                Begin::Look if done.seen && matches!(op.lane, Lane::Reader | Lane::Checker) => self.sums.looks += 1,
                Begin::Delete(_) | Begin::Look => {}
            }
        }
        if end != End::Indeterminate {
            Self::parties(begin).for_each(|party| self.close(party));
            if let Begin::Insert { first, .. } = begin {
                self.inserting.remove(first);
            }
        }
    }
}

#[cfg(test)]
mod tests;
