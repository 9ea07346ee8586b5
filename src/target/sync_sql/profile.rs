//! Names and statements by operation, so that a version that names things differently needs configuration, not code.

use std::collections::BTreeMap;

use super::SyncError;

/// One thing that the driver asks of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Version,
    Init,
    NetworkInit,
    SetToken,
    SetApikey,
    Send,
    Receive,
    Reset,
    Unsent,
    /// Stores a setting: key, value.
    Set,
    /// Reads a stored setting back: key.
    Get,
    Cleanup,
    Terminate,
}

/// How two concurrent writes to one row are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    Row,
    Column,
}

/// Operation, its key in the configuration, and its statement for CloudSync 1.1; values come as ?1 and ?2.
const DEFAULTS: [(Operation, &str, &str); 13] = [
    (Operation::Version, "version", "SELECT cloudsync_version()"),
    (Operation::Init, "init", "SELECT cloudsync_init(?1)"),
    (Operation::NetworkInit, "network_init", "SELECT cloudsync_network_init_custom(?1, ?2)"),
    (Operation::SetToken, "set_token", "SELECT cloudsync_network_set_token(?1)"),
    (Operation::SetApikey, "set_apikey", "SELECT cloudsync_network_set_apikey(?1)"),
    (Operation::Send, "send", "SELECT cloudsync_network_send_changes()"),
    (Operation::Receive, "receive", "SELECT cloudsync_network_receive_changes()"),
    (Operation::Reset, "reset", "SELECT cloudsync_network_reset_sync_version()"),
    (Operation::Unsent, "unsent", "SELECT cloudsync_network_has_unsent_changes()"),
    (Operation::Set, "set", "SELECT cloudsync_set(?1, ?2)"),
    (Operation::Get, "get", "SELECT value FROM cloudsync_settings WHERE key = ?1"),
    (Operation::Cleanup, "cleanup", "SELECT cloudsync_network_cleanup()"),
    (Operation::Terminate, "terminate", "SELECT cloudsync_terminate()"),
];

impl Operation {
    /// Returns the operation's key in the configuration, which is also its name in errors.
    pub fn key(self) -> &'static str {
        DEFAULTS.iter().find(|(op, ..)| *op == self).map_or("operation", |(_, key, _)| key)
    }

    /// Returns true if a profile may leave the operation out, with an empty statement.
    fn optional(self) -> bool {
        matches!(self, Self::Set | Self::Get | Self::Unsent)
    }
}

/// The statements of one provider.
#[derive(Debug, Clone)]
pub struct Profile {
    statements: BTreeMap<Operation, String>,
    pub merge: Merge,
}

impl Profile {
    /// Returns the profile of the native provider: settings are given when it is attached, and rows merge as a whole.
    pub fn native() -> Self {
        let mut profile = Self::cloudsync();
        profile.statements.retain(|op, _| !matches!(op, Operation::Set | Operation::Get));
        profile.merge = Merge::Row;
        profile
    }

    /// Returns the profile of CloudSync 1.1.
    pub fn cloudsync() -> Self {
        let statements = DEFAULTS.iter().map(|(op, _, sql)| (*op, (*sql).to_owned())).collect();
        Self { statements, merge: Merge::Column }
    }

    /// Returns CloudSync's profile with the statements, and the key `merge`, that the configuration overrides.
    pub fn with_overrides(overrides: &BTreeMap<String, String>) -> Result<Self, SyncError> {
        let mut profile = Self::cloudsync();
        for (key, text) in overrides {
            if key == "merge" {
                profile.merge = match text.as_str() {
                    "row" => Merge::Row,
                    "column" => Merge::Column,
                    other => return Err(refused(&format!("merge is \"row\" or \"column\", not {other:?}"))),
                };
                continue;
            }
            let Some((op, ..)) = DEFAULTS.iter().find(|(_, known, _)| known == key) else {
                let known: Vec<_> = DEFAULTS.iter().map(|(_, key, _)| *key).collect();
                return Err(refused(&format!("there is no operation {key:?}; known are {}, merge", known.join(", "))));
            };
            match text.trim() {
                "" if op.optional() => drop(profile.statements.remove(op)),
                "" => {
                    return Err(refused(&format!(
                        "the statement of {key:?} is empty; only set, get and unsent may be"
                    )));
                }
                sql => drop(profile.statements.insert(*op, sql.to_owned())),
            }
        }
        Ok(profile)
    }

    /// Returns the statement of an operation, or nothing if the provider has no such thing.
    pub fn statement(&self, op: Operation) -> Option<&str> {
        self.statements.get(&op).map(String::as_str)
    }
}

fn refused(why: &str) -> SyncError {
    SyncError::config("reading provider.extension.statements", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overridden(key: &str, text: &str) -> Result<Profile, SyncError> {
        Profile::with_overrides(&BTreeMap::from([(key.to_owned(), text.to_owned())]))
    }

    #[test]
    fn a_statement_can_be_overridden_and_the_rest_stays() {
        let profile = overridden("receive", "SELECT cloudsync_network_check_changes()").unwrap();
        assert_eq!(profile.statement(Operation::Receive), Some("SELECT cloudsync_network_check_changes()"));
        assert_eq!(profile.statement(Operation::Send), Profile::cloudsync().statement(Operation::Send));
        assert_eq!(overridden("merge", "row").unwrap().merge, Merge::Row);
        assert_eq!(overridden("unsent", "").unwrap().statement(Operation::Unsent), None);
    }

    #[test]
    fn what_is_unknown_or_empty_is_refused_by_name() {
        let text = overridden("recieve", "SELECT 1").unwrap_err().to_string();
        assert!(text.contains("\"recieve\"") && text.contains("receive, reset"), "{text}");
        assert!(overridden("send", " ").unwrap_err().to_string().contains("\"send\""));
        assert!(overridden("merge", "cell").is_err());
    }
}
