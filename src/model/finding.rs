//! Errors as findings: one cause is one group, with its first occurrence, a count and a bounded time line.

use serde::{Deserialize, Serialize};

use super::ids::{DbNo, UserNo};

/// Longest message that is kept of one error.
pub const MESSAGE_CHARS_MAX: usize = 400;

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Client,
    Server,
    Network,
    Soakd,
}

/// What kind of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Locked,
    Busy,
    Deadlock,
    /// The database could not put concurrent transactions into an order.
    Serialization,
    /// Somebody else changed the row first (optimistic locking).
    Conflict,
    InsufficientFunds,
    MissingAccount,
    Http4xx,
    Http5xx,
    Auth,
    RateLimited,
    Timeout,
    Refused,
    Reset,
    Resolve,
    Tls,
    Protocol,
    SilentLoss,
    /// The server reported, inside a successful answer, that applying or preparing failed.
    Apply,
    Denied,
    Constraint,
    Schema,
    Config,
    Corrupt,
    DiskFull,
    Crash,
    Stuck,
    /// A check found rows that must not be as they are.
    Divergence,
    Isolation,
    /// A metric is worse than in the baseline, or since another version of the server.
    Regression,
    /// A criterion of the run as a whole does not hold.
    Criterion,
    Other,
}

/// What follows from an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Follow {
    /// Nothing happened; try again.
    Retry,
    /// It may have happened; record that, and try again (sending is idempotent).
    Indeterminate,
    /// Get a new credential, then try again.
    RefreshToken,
    /// Changes may be lost; reset the sync position, then send again.
    Resend,
    /// Trying again cannot help.
    Fail,
}

/// An error after classification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classified {
    pub side: Side,
    pub kind: Kind,
    pub follow: Follow,
    /// Structured code where there is one: SQLite result code, HTTP status or service code.
    pub code: Option<String>,
    /// The message, cut to [`MESSAGE_CHARS_MAX`].
    pub message: String,
}

/// One error, where and when it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    pub at_ms: i64,
    pub cycle: u64,
    /// Phase of the cycle: `load`, `settle`, `verify`, `checkpoint`, or `-` outside a cycle.
    pub phase: String,
    pub db: Option<DbNo>,
    pub user: Option<UserNo>,
    pub iter: Option<u32>,
    pub step: Option<u32>,
    pub side: Side,
    pub kind: Kind,
    pub code: Option<String>,
    pub message: String,
    /// True if the run goes on as planned in spite of it (it was retried and healed).
    pub tolerated: bool,
}

/// What begins the codes of findings about soakd itself and its machine.
pub const OWN: &str = "own.";

impl Finding {
    /// Makes a finding that belongs to no database and no step.
    pub fn new(at_ms: i64, cycle: u64, phase: &str, (side, kind): (Side, Kind), message: &str) -> Self {
        Self {
            at_ms,
            cycle,
            phase: phase.into(),
            db: None,
            user: None,
            iter: None,
            step: None,
            side,
            kind,
            code: None,
            message: cut(message),
            tolerated: false,
        }
    }

    /// Returns true if it is about soakd itself or its machine: a criterion of its own, which the service under test is none
    /// the worse for.
    pub fn is_own(&self) -> bool {
        self.side == Side::Soakd && self.code.as_deref().is_some_and(|code| code.starts_with(OWN))
    }

    /// Returns true if somebody has to know of it: it was not healed by a retry.
    pub fn lasts(&self) -> bool {
        !self.tolerated || self.is_own()
    }

    /// Returns what findings of one cause have in common: digits, hex runs and quoted names do not tell causes apart.
    pub fn cause(&self) -> String {
        let side = serde_json::to_value(self.side).ok();
        let kind = serde_json::to_value(self.kind).ok();
        let word = |v: Option<serde_json::Value>| v.and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        format!("{}/{}: {}", word(side), word(kind), normalized(&self.message))
    }
}

/// Replaces every run of digits by `#`, so that row numbers, ports and times do not split a cause.
fn normalized(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut in_digits = false;
    for c in message.chars().take(160) {
        let digit = c.is_ascii_digit();
        if !digit {
            out.push(c);
        } else if !in_digits {
            out.push('#');
        }
        in_digits = digit;
    }
    out
}

/// Cuts a message to the length that is kept, at a character boundary, with control characters made visible.
pub fn cut(message: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut out: String = message.chars().take(MESSAGE_CHARS_MAX).map(clean).collect();
    if message.chars().nth(MESSAGE_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}
