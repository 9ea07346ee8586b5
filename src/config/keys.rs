//! Every key that a configuration may hold: its type, its range and what it means, in one table.
//!
//! Validation, suggestions for misspelt keys and the test of `config.example.toml` all read this table, and nothing else
//! says which keys there are.

/// What may stand behind a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Text of 1 to this many characters, on one line.
    Text(usize),
    /// SQL text; may have several lines.
    Sql,
    Path,
    /// `http://` or `https://` with a host.
    Url,
    Bool,
    /// Whole number from … to ….
    Int(i128, i128),
    /// Number from … to ….
    Number(f64, f64),
    /// Time from … to …, in milliseconds.
    Time(u64, u64),
    Choice(&'static [&'static str]),
    /// Some of these words.
    Choices(&'static [&'static str]),
    Level,
    /// 64 hexadecimal digits.
    Sha256,
    /// A reference to a secret.
    Secret,
    /// `"sqlite"`, or a reference to the URL of a PostgreSQL.
    Store,
    /// SQL statements by the name of the operation.
    Statements,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The key with its sections.
    pub path: &'static str,
    pub kind: Kind,
    /// Whether its section makes no sense without it.
    pub required: bool,
    /// One sentence for people.
    pub doc: &'static str,
}

const fn key(path: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { path, kind, required: false, doc }
}

const fn required(path: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { path, kind, required: true, doc }
}

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;

/// Kinds of errors that a retry can heal.
pub const TOLERABLE: &[&str] = &[
    "locked",
    "busy",
    "http4xx",
    "http5xx",
    "auth",
    "rate_limited",
    "timeout",
    "refused",
    "reset",
    "resolve",
    "tls",
    "protocol",
    "silent_loss",
    "apply",
];

/// Operations whose SQL may be given in `provider.extension.statements`, and `merge`: `row` or `column`.
pub const OPERATIONS: &[&str] = &[
    "version",
    "init",
    "network_init",
    "set_token",
    "set_apikey",
    "send",
    "receive",
    "reset",
    "unsent",
    "set",
    "get",
    "cleanup",
    "terminate",
    "merge",
];

/// Operations that a profile may leave out, with an empty statement.
pub const OPTIONAL_OPERATIONS: &[&str] = &["set", "get", "unsent"];

/// All keys, in the order in which `config.example.toml` shows them.
pub const KEYS: &[Key] = &[
    key("run.name", Kind::Text(64), "Name of the run in reports."),
    key("run.state_dir", Kind::Path, "Directory for the state file, databases, logs and reports."),
    key("run.seed", Kind::Int(0, u64::MAX as i128), "Seed of every random choice."),
    key("run.cycles", Kind::Int(1, 1_000_000_000), "Ends the run after this many cycles."),
    key("run.duration", Kind::Time(1_000, 10 * YEAR), "Ends the run after this much observed time."),
    key("run.pause", Kind::Time(0, 7 * DAY), "Pause between two cycles."),
    key("run.databases_per_worker", Kind::Int(1, 1_024), "Databases that one worker process drives."),
    key("run.stop_on_fail", Kind::Bool, "Stops the run at the first cycle that fails."),
    key("workload.sync.scale", Kind::Choice(&["small", "medium", "large", "custom"]), "Size of the test."),
    key("workload.sync.rows", Kind::Int(1, 1_000_000), "Rows that one iteration inserts."),
    key("workload.sync.iterations", Kind::Int(1, 10_000), "Iterations of each database in one cycle."),
    key("workload.sync.databases", Kind::Int(1, 1_024), "Local databases that sync with each other."),
    key("workload.sync.mode", Kind::Choice(&["classic", "incremental", "contended"]), "What one iteration does."),
    key("workload.sync.pace", Kind::Choice(&["concurrent", "lockstep"]), "How databases move through their steps."),
    key("workload.sync.rls", Kind::Bool, "Row-level security: a token per user instead of one key for all."),
    key("workload.sync.updates", Kind::Int(0, 1_000), "Updates of all rows per iteration (mode incremental)."),
    key("workload.sync.deletes", Kind::Int(0, 1_000), "Deletes per iteration (mode incremental)."),
    key("workload.sync.delete_rows", Kind::Int(1, 1_000_000), "Rows per delete (mode incremental)."),
    key("workload.sync.wait", Kind::Time(0, HOUR), "Wait before the second receive (mode incremental)."),
    key("workload.sync.contention", Kind::Number(0.0, 1.0), "Share of the shared rows that one iteration writes."),
    key("workload.sync.offline", Kind::Number(0.0, 1.0), "Share of the iterations that a database spends offline."),
    key("workload.sync.table.ddl", Kind::Sql, "One CREATE TABLE statement."),
    key("workload.sync.table.ddl_file", Kind::Path, "A file that holds the CREATE TABLE statement."),
    key("workload.sync.table.owner", Kind::Text(63), "Text column that names the owner of a row."),
    key("workload.sync.table.stamp", Kind::Text(63), "Text column that soakd stamps with the write."),
    key("workload.sync.table.counter", Kind::Text(63), "Integer column that every update increments."),
    key("target.embedded.store", Kind::Store, "Where the embedded target keeps its rows."),
    key("target.embedded.token_life", Kind::Time(1_000, 10 * YEAR), "Life of the tokens issued for the users."),
    key("target.embedded.port", Kind::Int(1, 65_535), "Fixed port on the loopback interface."),
    key("target.cloudsync.address", Kind::Url, "Address of the sync service."),
    required("target.cloudsync.database_id", Kind::Text(256), "Id of the managed database."),
    key("target.cloudsync.api_key", Kind::Secret, "API key of the project."),
    key("target.cloudsync.gateway", Kind::Url, "Host of the token and SQL gateway."),
    key("target.cloudsync.database", Kind::Text(256), "Name of the database behind the gateway."),
    key("target.cloudsync.token_life", Kind::Time(MINUTE, 10 * YEAR), "Life of the tokens issued for the users."),
    key("provider", Kind::Choice(&["native"]), "What puts the sync functions on a connection."),
    required("provider.extension.path", Kind::Path, "The shared library of the extension."),
    key("provider.extension.entry_point", Kind::Text(128), "Entry point of the library."),
    key("provider.extension.sha256", Kind::Sha256, "SHA-256 that the library must have."),
    key("provider.extension.statements", Kind::Statements, "SQL by operation that differs from the profile's."),
    key("timeouts.connect", Kind::Time(10, 10 * MINUTE), "One connection attempt to the service."),
    key("timeouts.request", Kind::Time(10, HOUR), "One call to the service."),
    key("timeouts.busy", Kind::Time(0, 10 * MINUTE), "Wait of a statement for a lock on a local database."),
    key("timeouts.worker_silent", Kind::Time(1_000, DAY), "A worker silent for this long is replaced."),
    key(
        "timeouts.step",
        Kind::Time(1_000, DAY),
        "A step that shows no progress for this long costs its worker its life.",
    ),
    key("timeouts.target_ready", Kind::Time(100, 10 * MINUTE), "Time in which the embedded target must be ready."),
    key("timeouts.drain", Kind::Time(100, 10 * MINUTE), "How long a stop may take."),
    key("timeouts.probe", Kind::Time(10, 10 * MINUTE), "One liveness probe of the target."),
    key("retry.first", Kind::Time(1, 10 * MINUTE), "Wait before the first retry."),
    key("retry.max", Kind::Time(1, HOUR), "Longest wait between two retries."),
    key("retry.multiplier", Kind::Number(1.0, 10.0), "Growth of the wait from one retry to the next."),
    key("retry.give_up", Kind::Time(1, DAY), "Gives up on a step after this time."),
    key("retry.restarts_per_cycle", Kind::Int(0, 10_000), "Restarts of a worker or target that one cycle may cost."),
    key("verify.settle_rounds", Kind::Int(1, 100_000), "Rounds in which everything must come to rest."),
    key("verify.settle_wait", Kind::Time(0, 10 * MINUTE), "Wait between two rounds in which nothing moved."),
    key("verify.isolation", Kind::Bool, "Probes every pair of users and every verb."),
    key("verify.server", Kind::Bool, "Reads the server's own content and compares it."),
    key(
        "verify.tolerate",
        Kind::Choices(TOLERABLE),
        "Kinds of errors that do not fail a cycle when a retry healed them.",
    ),
    key("verify.evidence", Kind::Int(1, 10_000), "Evidence lines kept per check."),
    key("log.level", Kind::Level, "How much is logged."),
    key("log.format", Kind::Choice(&["text", "json"]), "Form of the log."),
];

/// Returns the key with this path.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Returns whether keys stand below this path.
pub fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// Returns the names that may stand directly below a section, each once, in the table's order.
pub fn names_below(section: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for key in KEYS {
        let rest = if section.is_empty() {
            Some(key.path)
        } else {
            key.path.strip_prefix(section).and_then(|rest| rest.strip_prefix('.'))
        };
        let Some(rest) = rest else { continue };
        let name = rest.split('.').next().unwrap_or(rest);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Returns what the user may have meant: a sibling spelt nearly so, or a key of that name in another section.
pub fn suggestion(section: &str, name: &str) -> Option<String> {
    let near = names_below(section)
        .into_iter()
        .map(|other| (distance(&name.to_lowercase(), other), other))
        .filter(|(far, other)| *far <= 1 + other.len() / 4)
        .min();
    if let Some((_, other)) = near {
        return Some(format!("did you mean \"{other}\"?"));
    }
    let elsewhere = KEYS.iter().find_map(|key| key.path.rsplit_once('.').filter(|(_, leaf)| *leaf == name));
    elsewhere.map(|(home, _)| format!("\"{name}\" belongs to [{home}]"))
}

/// Counts the letters to change, add or drop to get from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

impl Kind {
    /// Returns what is allowed, in words.
    pub fn allowed(&self) -> String {
        use super::units::Span;
        match self {
            Self::Text(max) => format!("a text of 1 to {max} characters on one line"),
            Self::Sql => "SQL text of 1 to 65536 characters".into(),
            Self::Path => "a path".into(),
            Self::Url => "an address such as \"https://host\" or \"http://host:8080\"".into(),
            Self::Bool => "true or false".into(),
            Self::Int(min, max) => format!("{min} to {max}"),
            Self::Number(min, max) => format!("{min:?} to {max:?}"),
            Self::Time(min, max) => {
                format!("a time from \"{}\" to \"{}\"", Span::from_millis(*min), Span::from_millis(*max))
            }
            Self::Choice(choices) => choices.iter().map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join(", "),
            Self::Choices(choices) => {
                let words: Vec<String> = choices.iter().map(|c| format!("\"{c}\"")).collect();
                format!("a list of {}", words.join(", "))
            }
            Self::Level => {
                "\"error\", \"warn\", \"info\", \"debug\", \"trace\", \"off\", or by module as in \"info,soakd::engine=debug\""
                    .into()
            }
            Self::Sha256 => "64 hexadecimal digits, as sha256sum prints them".into(),
            Self::Secret => SECRET_FORMS.into(),
            Self::Store => format!("\"sqlite\", or {{ postgres = SECRET }} where SECRET is {SECRET_FORMS}"),
            Self::Statements => format!("SQL texts by operation: {}", OPERATIONS.join(", ")),
        }
    }
}

/// The three ways to refer to a secret.
pub const SECRET_FORMS: &str = "{ env = \"VARIABLE\" }, { file = \"path\" } or { credential = \"name\" }";
