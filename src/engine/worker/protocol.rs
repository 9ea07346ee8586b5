//! The pipe protocol: one JSON object a line, the parent's commands on the worker's stdin, events on its stdout. Rows never
//! cross it one by one; runs, digests, counters and bounded evidence do.

use serde::{Deserialize, Serialize};

use crate::checker::strange::StrangeRow;
use crate::engine::direct::crash::Crash;
use crate::engine::direct::spec::DirectSpec;
use crate::model::digest::TableDigest;
use crate::model::finding::{Classified, Finding};
use crate::model::ids::{DbNo, UserNo};
use crate::model::journal::{CycleJournal, StateRun};
use crate::model::step::StepReport;
use crate::model::value::Value;
use crate::model::verdict::CheckResult;
use crate::target::sync_sql::SessionSpec;
use crate::workload::sync::Plan;

/// Version of this protocol; a worker of another version is refused.
pub const PROTOCOL: u32 = 3;
/// Longest line that either side accepts.
pub const LINE_BYTES_MAX: usize = 64 << 20;

/// The first line that the parent sends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    pub protocol: u32,
    pub run: String,
    pub plan: Plan,
    /// Steps per second and database; none for as fast as they can.
    pub rate: Option<f64>,
    pub databases: Vec<DatabaseSpec>,
    /// The database that workers drive themselves, in place of those above.
    #[serde(default)]
    pub direct: Option<Box<DirectSpec>>,
    pub retry: RetrySpec,
    pub log_level: String,
}

/// One database of a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSpec {
    pub db: DbNo,
    pub user: UserNo,
    /// The user's identity in tokens and in the owner column.
    pub owner: String,
    /// True if only rows of this owner may be here (row-level security is on).
    pub exclusive: bool,
    pub session: SessionSpec,
}

/// How a worker retries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrySpec {
    pub first_ms: u64,
    pub max_ms: u64,
    pub multiplier: f64,
    pub give_up_ms: u64,
}

/// A line from the parent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Answered by a [`Event::Reply`] with the same number.
    pub id: u64,
    pub db: DbNo,
    pub command: Command,
}

/// What a database is asked to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Opens the session; always the first command of a database. `fresh` removes the file first.
    Open { credential: Secret, fresh: bool },
    /// Replaces the credential.
    Credential(Secret),
    /// Takes the steps of `cycle` up to number `upto` that are not done yet.
    Load { cycle: u64, upto: u32 },
    /// Lists the steps of `cycle` that the local database knows as done.
    Progress { cycle: u64 },
    /// One send and one receive of the settle phase.
    Exchange { cycle: u64 },
    /// Reads the whole content: digest, states, strangers.
    Scan,
    /// Hands over the journal of a cycle.
    Journal { cycle: u64 },
    /// Forgets the journal up to this cycle: it was verified and checkpointed.
    CloseCycle { cycle: u64 },
    /// Writes these rows as they are and sends them (probes).
    /// With `patient`, sending is retried like any other send; an attempt that should be refused is made once.
    Write { upsert: Vec<Vec<Value>>, delete: Vec<String>, patient: bool },
    /// Receives once and returns all probe rows and foreign rows that are here.
    Inspect { receive: bool },
    /// Tries one receive with this credential in place of its own; the reply says what came of it.
    Trial { credential: Secret },
    /// Holds the database of a direct workload against what was acknowledged.
    Verify { cycle: u64 },
    /// Counts what the sync functions keep for themselves in the local database.
    Holdings,
    /// Closes the session.
    Close,
    /// For the whole worker (database 0): stop loading after the step in work.
    Stop,
    /// For the whole worker (database 0): loading may go on after a stop.
    Go,
}

/// A credential on its way through the pipe.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Secret {
    None,
    Token(String),
    ApiKey(String),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Token(_) => "Token(…)",
            Self::ApiKey(_) => "ApiKey(…)",
        })
    }
}

/// A line from the worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    Hello {
        protocol: u32,
        soakd: String,
        sqlite: String,
    },
    /// A step is done and recorded in the local database.
    Step(StepReport),
    /// Sent every second: still alive, rows written and moved since the start.
    Pulse {
        rows: u64,
    },
    /// The credential of this database has expired; a [`Command::Credential`] is awaited.
    NeedCredential {
        db: DbNo,
    },
    Reply {
        id: u64,
        result: Result<Reply, Classified>,
    },
}

/// What a command yields.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    Done,
    Opened {
        provider: String,
    },
    Loaded {
        stopped: bool,
        /// How a load ended that was to end at its first unexpected error.
        #[serde(default)]
        crash: Option<Box<Crash>>,
    },
    Progress(Vec<StepReport>),
    Exchanged {
        sent: u64,
        received: u64,
        refused: Vec<Refused>,
        findings: Vec<Finding>,
        /// False while the service has not confirmed all that was sent.
        resting: bool,
    },
    Scan(Scan),
    Holdings {
        metadata: u64,
    },
    Journal(CycleJournal),
    Verified {
        checks: Vec<CheckResult>,
        rows: u64,
        content: String,
        unsettled: Vec<String>,
        /// What people know of the cycle.
        lines: Vec<String>,
        /// The report of a cycle that failed and was to be reported so.
        crash: Option<Box<Crash>>,
    },
    Written {
        refused: Vec<Refused>,
        error: Option<Classified>,
    },
    Inspected {
        rows: Vec<Vec<Value>>,
        foreign_total: u64,
    },
    Trial {
        accepted: bool,
        rows: u64,
        error: Option<Classified>,
    },
}

/// A row that the server refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    pub key: String,
    pub verb: String,
    pub reason: String,
}

/// The content of one replica.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scan {
    pub digest: TableDigest,
    pub states: Vec<StateRun>,
    /// Rows whose content cannot be what soakd wrote under that key, bounded.
    pub strange: Vec<StrangeRow>,
    pub strange_total: u64,
}
