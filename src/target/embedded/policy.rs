//! Row-level security of the SQLite store: the one module that decides who may change a row.
//!
//! Pure. It sees the server's old row and the new row, and never what a client says it is doing.

use serde::{Deserialize, Serialize};

use super::Verb;

/// The rules that are not enforced; all off except under planted bugs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// Rows may be inserted in another user's name.
    pub insert: bool,
    /// Other users' rows may be updated.
    pub update: bool,
    /// Other users' rows may be deleted.
    pub delete: bool,
    /// Own rows may be given to another user.
    pub owner_change: bool,
}

/// What may happen to the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Insert,
    Update,
    Delete,
    /// There is nothing to delete.
    Nothing,
}

/// A change that the policy does not permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    pub verb: Verb,
    pub reason: &'static str,
}

pub(super) const INSERT_DENIED: &str = "the insert policy refuses a row that names another owner";
pub(super) const UPDATE_DENIED: &str = "the update policy refuses a row that belongs to another user";
pub(super) const OWNER_DENIED: &str = "the update policy refuses to give a row to another owner";
pub(super) const DELETE_DENIED: &str = "the delete policy refuses a row that belongs to another user";

/// Decides a change by `user` from the owner the row has now and the owner it would have.
pub fn decide(user: &str, old: Option<&str>, new: Option<&str>, grants: Grants) -> Result<Action, Denied> {
    let denied = |verb, reason| Err(Denied { verb, reason });
    match (old, new) {
        (None, None) => Ok(Action::Nothing),
        (None, Some(new)) if new != user && !grants.insert => denied(Verb::Insert, INSERT_DENIED),
        (None, Some(_)) => Ok(Action::Insert),
        (Some(old), None) if old != user && !grants.delete => denied(Verb::Delete, DELETE_DENIED),
        (Some(_), None) => Ok(Action::Delete),
        (Some(old), Some(_)) if old != user && !grants.update => denied(Verb::Update, UPDATE_DENIED),
        (Some(old), Some(new)) if old == user && new != user && !grants.owner_change => {
            denied(Verb::Update, OWNER_DENIED)
        }
        (Some(_), Some(_)) => Ok(Action::Update),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Grants = Grants { insert: false, update: false, delete: false, owner_change: false };

    #[test]
    fn every_verb_is_decided_on_the_old_and_the_new_owner() {
        let owners = [None, Some("me"), Some("you")];
        for old in owners {
            for new in owners {
                let expected = match (old, new) {
                    (None, None) => Ok(Action::Nothing),
                    (None, Some("me")) => Ok(Action::Insert),
                    (None, Some(_)) => Err((Verb::Insert, INSERT_DENIED)),
                    (Some("me"), None) => Ok(Action::Delete),
                    (Some(_), None) => Err((Verb::Delete, DELETE_DENIED)),
                    (Some("me"), Some("me")) => Ok(Action::Update),
                    (Some("me"), Some(_)) => Err((Verb::Update, OWNER_DENIED)),
                    (Some(_), Some(_)) => Err((Verb::Update, UPDATE_DENIED)),
                };
                assert_eq!(decide("me", old, new, NONE).map_err(|d| (d.verb, d.reason)), expected, "{old:?} {new:?}");
            }
        }
    }

    #[test]
    fn a_grant_opens_its_own_door_only() {
        let forged = [
            (None, Some("you"), Grants { insert: true, ..NONE }),
            (Some("you"), Some("me"), Grants { update: true, ..NONE }),
            (Some("you"), None, Grants { delete: true, ..NONE }),
            (Some("me"), Some("you"), Grants { owner_change: true, ..NONE }),
        ];
        for (i, (_, _, grants)) in forged.iter().enumerate() {
            for (j, (old, new, _)) in forged.iter().enumerate() {
                assert_eq!(decide("me", *old, *new, *grants).is_ok(), i == j, "grant {i}, change {j}");
            }
        }
    }
}
