//! Says what is wrong with a row that is not as it must be, by what the other places hold.

use super::states::state_in;
use super::{Court, Fault, admits};
use crate::model::ids::{DbNo, RowKey};
use crate::model::journal::Version;

impl Court<'_> {
    /// Classes a row of a replica.
    pub(super) fn class(
        &self,
        key: RowKey,
        actual: Option<Version>,
        admissible: &[Option<Version>],
        db: Option<DbNo>,
    ) -> (Fault, String) {
        let server = self.on_server(key);
        // Where nobody can ask the server, a state that came from another database shows that it has it.
        let server_is_right = server
            .map_or_else(|| self.reached_others(key, admissible), |s| admits(admissible, s, self.group.merge_columns));
        let segment = self.model.segment(key);
        let known = |v: &Version| segment.is_some_and(|s| s.known.contains(v));
        let expected = describe(admissible);
        match actual {
            None if server_is_right && server.is_some() => {
                (Fault::Stale, format!("not there; the server has {expected}"))
            }
            None if server_is_right => (Fault::Stale, format!("not there; other databases have {expected}")),
            None => (Fault::Lost, format!("not there; acknowledged: {expected}")),
            Some(v) if !known(&v) => {
                (Fault::Phantom, format!("holds {}, which nobody wrote; expected {expected}", show(&v)))
            }
            Some(v) if admissible == [None] => {
                let deleter = segment.is_some_and(|s| db.is_some_and(|db| s.deleters.contains(&db)));
                let by = segment.map_or_else(String::new, |s| deleted_by(&s.deleters));
                let detail = format!("holds {}; its deletion{by} was acknowledged", show(&v));
                let on_server = server.is_some_and(|s| s.is_some());
                match (deleter, server_is_right) {
                    (false, true) => (Fault::Stale, detail),
                    (false, false) if on_server && !self.back_at_deleter(key) => (Fault::Lost, detail),
                    _ => (Fault::Resurrected, detail),
                }
            }
            Some(v) => {
                let detail = format!("holds {}; expected {expected}", show(&v));
                (if server_is_right { Fault::Stale } else { Fault::Lost }, detail)
            }
        }
    }

    /// Classes a row of the server.
    pub(super) fn class_on_server(
        &self,
        key: RowKey,
        actual: Option<Version>,
        admissible: &[Option<Version>],
    ) -> (Fault, String) {
        let segment = self.model.segment(key);
        let expected = describe(admissible);
        match actual {
            None => (Fault::Lost, format!("not there; acknowledged: {expected}")),
            Some(v) if !segment.is_some_and(|s| s.known.contains(&v)) => {
                (Fault::Phantom, format!("holds {}, which nobody wrote; expected {expected}", show(&v)))
            }
            Some(v) if admissible == [None] => {
                let by = segment.map_or_else(String::new, |s| deleted_by(&s.deleters));
                let fault = if self.back_at_deleter(key) { Fault::Resurrected } else { Fault::Lost };
                (fault, format!("holds {}; its deletion{by} was acknowledged", show(&v)))
            }
            Some(v) => (Fault::Lost, format!("holds {}; acknowledged: {expected}", show(&v))),
        }
    }

    /// Returns true if an admissible state is on a replica that did not write it itself.
    fn reached_others(&self, key: RowKey, admissible: &[Option<Version>]) -> bool {
        self.group.replicas.iter().any(|replica| {
            let state = state_in(&replica.states, key);
            let own = match state {
                Some(version) => replica.db == Some(version.stamp.db),
                None => self.model.segment(key).is_some_and(|s| replica.db.is_some_and(|db| s.deleters.contains(&db))),
            };
            !own && admits(admissible, state, self.group.merge_columns)
        })
    }

    /// Returns true if the row is there again on a replica that had deleted it.
    fn back_at_deleter(&self, key: RowKey) -> bool {
        let Some(segment) = self.model.segment(key) else { return false };
        self.group
            .replicas
            .iter()
            .any(|r| r.db.is_some_and(|db| segment.deleters.contains(&db)) && state_in(&r.states, key).is_some())
    }
}

/// Names a state by the write that left it.
pub(super) fn show(version: &Version) -> String {
    let s = version.stamp;
    format!("the state of DB{} cycle {} step {} (update {})", s.db, s.cycle, s.step, version.depth)
}

/// Names a state, or its absence.
pub(super) fn show_state(state: Option<Version>) -> String {
    state.as_ref().map_or_else(|| "nothing".to_owned(), show)
}

fn describe(admissible: &[Option<Version>]) -> String {
    if admissible.is_empty() {
        return "nothing".to_owned();
    }
    admissible.iter().take(3).map(|s| show_state(*s)).collect::<Vec<_>>().join(" or ")
}

fn deleted_by(deleters: &[DbNo]) -> String {
    let names: Vec<String> = deleters.iter().map(|db| format!("DB{db}")).collect();
    if names.is_empty() { String::new() } else { format!(" by {}", names.join(", ")) }
}
