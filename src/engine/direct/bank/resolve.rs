//! Finds out which transfers happened of which no row can tell, because one of their accounts is deleted: whatever happened
//! must explain what the accounts hold, or held when they were deleted.

use std::collections::BTreeMap;

/// A transfer that happened or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undecided {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) amount: i64,
}

/// Undecided transfers of one account that are tried in all combinations at most.
const TRIED_MAX: usize = 12;

impl Undecided {
    fn effect(&self, account: u64) -> i64 {
        i64::from(self.to == account) * self.amount - i64::from(self.from == account) * self.amount
    }
}

/// Decides what can be decided. `unexplained` is what an account holds more than the decided transfers explain; accounts of
/// which nobody knows what they hold are not in it.
pub(super) fn decide(transfers: &[Undecided], unexplained: &BTreeMap<u64, i64>) -> Vec<Option<bool>> {
    let known =
        |transfer: &Undecided| unexplained.contains_key(&transfer.from) || unexplained.contains_key(&transfer.to);
    // What left a trace nowhere has no effect either.
    let mut decided: Vec<Option<bool>> = transfers.iter().map(|transfer| (!known(transfer)).then_some(false)).collect();
    loop {
        let before = decided.clone();
        for (account, more) in unexplained {
            one(transfers, *account, *more, &mut decided);
        }
        if decided == before {
            return decided;
        }
    }
}

/// Decides the transfers of one account that are the same in every combination that explains it.
fn one(transfers: &[Undecided], account: u64, more: i64, decided: &mut [Option<bool>]) {
    let mut open = Vec::new();
    let mut more = more;
    for (at, transfer) in transfers.iter().enumerate().filter(|(_, transfer)| transfer.effect(account) != 0) {
        match decided[at] {
            Some(true) => more -= transfer.effect(account),
            Some(false) => {}
            None => open.push(at),
        }
    }
    if open.is_empty() || open.len() > TRIED_MAX {
        return;
    }
    let sum = |chosen: u32| -> i64 {
        let effects = open.iter().enumerate().filter(|(bit, _)| chosen >> bit & 1 == 1);
        effects.map(|(_, at)| transfers[*at].effect(account)).sum()
    };
    let explaining: Vec<u32> = (0..1u32 << open.len()).filter(|chosen| sum(*chosen) == more).collect();
    for (bit, at) in open.iter().enumerate() {
        let mut choices = explaining.iter().map(|chosen| chosen >> bit & 1 == 1);
        let Some(first) = choices.next() else { return };
        if choices.all(|choice| choice == first) {
            decided[*at] = Some(first);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(from: u64, to: u64, amount: i64) -> Undecided {
        Undecided { from, to, amount }
    }

    #[test]
    fn what_an_account_holds_decides() {
        let one = [of(1, 2, 30)];
        assert_eq!(decide(&one, &[(1, -30)].into()), [Some(true)]);
        assert_eq!(decide(&one, &[(2, 0)].into()), [Some(false)]);
        assert_eq!(decide(&one, &BTreeMap::new()), [Some(false)], "no trace, no effect");
        assert_eq!(decide(&one, &[(1, -7)].into()), [None], "what nothing explains decides nothing");
    }

    #[test]
    fn one_account_helps_another() {
        // Of account 1 alone, either transfer could be the one.
        let two = [of(1, 2, 30), of(1, 3, 30)];
        assert_eq!(decide(&two, &[(1, -30)].into()), [None, None]);
        assert_eq!(decide(&two, &[(1, -30), (3, 30)].into()), [Some(false), Some(true)]);
    }

    proptest! {
        #[test]
        fn nothing_is_decided_wrongly(all in prop::collection::vec((0u64..5, 0u64..5, 1i64..6, any::<bool>()), 0..16),
                                      seen in prop::collection::btree_set(0u64..5, 0..5)) {
            let all: Vec<_> = all.into_iter().filter(|(from, to, ..)| from != to && (seen.contains(from) || seen.contains(to))).collect();
            let transfers: Vec<Undecided> = all.iter().map(|(from, to, amount, _)| of(*from, *to, *amount)).collect();
            let unexplained = seen.iter().map(|account| {
                (*account, transfers.iter().zip(&all).filter(|(_, all)| all.3).map(|(transfer, _)| transfer.effect(*account)).sum())
            }).collect();
            for (decided, (.., happened)) in decide(&transfers, &unexplained).into_iter().zip(&all) {
                prop_assert!(decided.is_none_or(|decided| decided == *happened));
            }
        }
    }
}
