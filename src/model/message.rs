//! What is to be told to people, and to whom it still has to be delivered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::incident::ChangeKind;
use super::incident::case::{Case, Effect};

/// Messages that wait at most; beyond, the least important ones are given up.
pub const MESSAGES_MAX: usize = 1000;
/// Time in which the messages about incidents are limited.
const HOUR_MS: i64 = 3_600_000;

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Subject {
    Opened {
        incident: u64,
    },
    Reopened {
        incident: u64,
    },
    Resolved {
        incident: u64,
    },
    /// What happened in a span of time.
    Digest {
        from_ms: i64,
        until_ms: i64,
    },
    /// The end of a run, or its state of affairs while it lasts.
    Summary {
        run: String,
        ended: bool,
    },
    Test,
}

/// How far the delivery by one channel is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    pub attempts: u32,
    /// Not tried again before this.
    pub next_ms: i64,
    pub last_error: Option<String>,
}

/// One message in the outbox; it leaves when every channel has delivered it or given it up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Counts up within the state file: the order of delivery.
    pub id: u64,
    /// Fixed for ever, so that a repeat can be recognised: the left part of a mail's Message-ID.
    pub key: String,
    pub subject: Subject,
    pub run: Option<String>,
    pub made_ms: i64,
    /// Not delivered before this, so that an incident can gather what belongs to it.
    pub due_ms: i64,
    /// Channels that still have to deliver it: `mail`, `webhook.NAME`.
    pub channels: BTreeMap<String, Delivery>,
}

/// What the store needs to know of the notification settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Channels that messages are queued for.
    pub channels: Vec<String>,
    pub resolve_after: u32,
    pub group_wait_ms: i64,
    /// Zero: no digests.
    pub digest_ms: i64,
    pub per_hour: u32,
    pub summary: bool,
}

impl Policy {
    /// Returns what is to be told of a change of an incident now; what is not told waits for the digest.
    pub fn subject(&self, case: &Case, effect: &Effect, postage: &mut Postage, now_ms: i64) -> Option<Subject> {
        let incident = case.incident.id;
        let subject = match effect {
            Effect::Changed(ChangeKind::Opened) => Subject::Opened { incident },
            Effect::Changed(ChangeKind::Reopened) => {
                let quiet_ms = if self.digest_ms > 0 { self.digest_ms } else { HOUR_MS };
                if case.incident.told_ms.is_some_and(|told_ms| now_ms.saturating_sub(told_ms) < quiet_ms) {
                    return None;
                }
                Subject::Reopened { incident }
            }
            // Who was not told that it is open need not be told that it no longer is.
            Effect::Changed(ChangeKind::Resolved) | Effect::Folded if case.told => Subject::Resolved { incident },
            _ => return None,
        };
        (!self.channels.is_empty() && postage.has_room(self.per_hour, now_ms)).then_some(subject)
    }
}

impl Subject {
    /// Returns how early a message is given up when there are too many: the lowest first, nothing above as long as there are
    /// lower ones.
    pub fn weight(&self) -> u8 {
        match self {
            Self::Digest { .. } | Self::Resolved { .. } => 0,
            Self::Summary { .. } | Self::Test => 1,
            Self::Reopened { .. } => 2,
            Self::Opened { .. } => 3,
        }
    }
}

/// What is remembered of telling people, beside the messages that wait.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Postage {
    /// The highest numbers ever given.
    pub last_message: u64,
    pub last_incident: u64,
    /// When the last messages about incidents were queued.
    pub queued_ms: Vec<i64>,
    /// Until when the last digest told.
    pub digest_ms: Option<i64>,
    pub delivered: BTreeMap<String, u64>,
    pub given_up: BTreeMap<String, u64>,
    pub last_error: Option<String>,
}

impl Postage {
    /// Returns true if one more message about an incident may be queued in this hour, and counts it.
    fn has_room(&mut self, per_hour: u32, now_ms: i64) -> bool {
        // A time ahead of now is from before the clock was set back.
        self.queued_ms.retain(|at_ms| (0..HOUR_MS).contains(&now_ms.saturating_sub(*at_ms)));
        let room = self.queued_ms.len() < per_hour as usize;
        if room {
            self.queued_ms.push(now_ms);
        }
        room
    }
}

/// The outbox in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxState {
    /// Messages that wait, by channel.
    pub waiting: BTreeMap<String, u64>,
    pub delivered: BTreeMap<String, u64>,
    /// Messages that were given up because the other side refused them for good, or because there were too many.
    pub given_up: BTreeMap<String, u64>,
    pub oldest_ms: Option<i64>,
    pub last_error: Option<String>,
}
