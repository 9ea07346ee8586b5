//! What is to be told to people, and to whom it still has to be delivered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
