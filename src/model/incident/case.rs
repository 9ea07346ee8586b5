//! What the rules keep of one incident, what they are told, and what they answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rules::{Depth, Window};
use super::{ChangeKind, Incident};

/// An incident with what the rules remember about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub incident: Incident,
    pub depth: Depth,
    /// When something deep was last seen of it.
    pub root_ms: Option<i64>,
    /// When it was last opened, by the clock of what was seen.
    pub since_ms: i64,
    /// Run and cycle in which it was last seen.
    pub seen: (String, u64),
    /// True if people were told that it is open.
    pub told: bool,
    /// The message that told of it.
    pub message: Option<u64>,
}

/// What happened to an incident, for who tells people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Changed(ChangeKind),
    /// It turned out to be a part of another incident, and is closed.
    Folded,
}

/// What was seen where and when, and how to get at resolved incidents.
pub struct Context<'a> {
    pub run: &'a str,
    pub now_ms: i64,
    pub window: Window,
    /// Reads an incident that is not open.
    pub fetch: &'a mut dyn FnMut(u64) -> Option<Case>,
}

/// What has to be written down.
#[derive(Debug, Default)]
pub struct Drained {
    pub effects: Vec<(u64, Effect)>,
    pub cases: BTreeMap<u64, Case>,
    pub dropped: Vec<u64>,
}
