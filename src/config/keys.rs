//! Every key that a configuration may hold: its type, its range and what it means, in one table.
//!
//! Validation, suggestions for misspelt keys and the test of `config.example.toml` all read this table, and nothing else
//! says which keys there are.

mod list;

use std::sync::LazyLock;

pub use list::KEYS;

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
    /// Size from … to …, in bytes.
    Size(u64, u64),
    /// A cron expression of five or six fields.
    Cron,
    /// Name of a time zone.
    Zone,
    /// A list of spans of the week.
    Quiet,
    /// A day, or an instant.
    Until,
    /// Name or IP address of a machine.
    Host,
    /// IP address and port.
    Address,
    /// A mail address, with or without a name.
    Mailbox,
    /// A list of mail addresses.
    Mailboxes,
    Choice(&'static [&'static str]),
    /// Some of these words.
    Choices(&'static [&'static str]),
    Level,
    /// 64 hexadecimal digits.
    Sha256,
    /// Name of a systemd unit.
    Unit,
    /// A list of names of Prometheus' metrics.
    Metrics,
    /// A list of paths.
    Paths,
    /// A list of kinds and codes of errors.
    Errors,
    /// A reference to a secret.
    Secret,
    /// `"sqlite"`, or a reference to the URL of a PostgreSQL.
    Store,
    /// A program with its arguments.
    Command,
    /// A place in a JSON value: `/build/commit`.
    Pointer,
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

/// What a section of `[schedule.NAME]` may say differently from the file as a whole: keys, or sections ending in a dot.
pub const OVERRIDES: &[&str] = &[
    "run.name",
    "run.seed",
    "run.cycles",
    "run.duration",
    "run.until",
    "run.pause",
    "run.quiet",
    "run.stop_on_fail",
    "workload.sync.",
    "workload.bank.",
    "workload.catalog.",
    "verify.",
    "criteria.",
];

/// Longest name of a section that people name themselves.
const MAX_NAME: usize = 40;

/// Every path with its key: the table's, and once more below `schedule.*` what a schedule may override.
static PATHS: LazyLock<Vec<(String, &'static Key)>> = LazyLock::new(|| {
    let overridable = KEYS.iter().filter(|key| covers(OVERRIDES, key.path));
    let overridden = overridable.map(|key| (format!("schedule.*.{}", key.path), key));
    KEYS.iter().map(|key| (key.path.to_owned(), key)).chain(overridden).collect()
});

/// Returns whether a list of keys, and of sections ending in a dot, covers a key.
pub fn covers(list: &[&str], key: &str) -> bool {
    list.iter().any(|entry| key == *entry || (entry.ends_with('.') && key.starts_with(entry)))
}

/// Returns whether a section may be called so: 1 to 40 characters of `a-z`, `0-9`, `_` and `-`.
pub fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(allowed)
}

/// Returns what is left of a pattern behind a path, if the path matches its beginning; `*` stands for any name.
fn behind<'p>(pattern: &'p str, path: &str) -> Option<&'p str> {
    let mut rest = pattern;
    for part in path.split('.').filter(|_| !path.is_empty()) {
        let (wanted, more) = rest.split_once('.').unwrap_or((rest, ""));
        if wanted != part && !(wanted == "*" && is_name(part)) {
            return None;
        }
        rest = more;
    }
    Some(rest)
}

/// Returns the key with this path.
pub fn find(path: &str) -> Option<&'static Key> {
    PATHS.iter().find(|(pattern, _)| behind(pattern, path) == Some("")).map(|(_, key)| *key)
}

/// Returns whether keys stand below this path.
pub fn is_section(path: &str) -> bool {
    PATHS.iter().any(|(pattern, _)| behind(pattern, path).is_some_and(|rest| !rest.is_empty()))
}

/// Returns whether people name the sections below this one themselves.
pub fn is_named(section: &str) -> bool {
    PATHS.iter().any(|(pattern, _)| behind(pattern, section).is_some_and(|rest| rest.starts_with("*.")))
}

/// Returns the keys that a section makes no sense without.
pub fn required_in(section: &str) -> impl Iterator<Item = (&'static str, &'static Key)> {
    let direct = |(pattern, key): &'static (String, &'static Key)| {
        behind(pattern, section).filter(|rest| key.required && !rest.contains('.')).map(|rest| (rest, *key))
    };
    PATHS.iter().filter_map(direct).filter(|(name, _)| !name.is_empty())
}

/// Returns the names that may stand directly below a section, each once, in the table's order; `NAME` stands for any.
pub fn names_below(section: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for (pattern, _) in PATHS.iter() {
        let Some(rest) = behind(pattern, section).filter(|rest| !rest.is_empty()) else { continue };
        let name = match rest.split('.').next().unwrap_or(rest) {
            "*" => "NAME",
            name => name,
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Returns what the user may have meant: a sibling spelt nearly so, or a key of that name in another section.
pub fn suggestion(section: &str, name: &str) -> Option<String> {
    if let Some(other) = nearest(name, names_below(section)) {
        return Some(format!("did you mean \"{other}\"?"));
    }
    let elsewhere = KEYS.iter().find_map(|key| key.path.rsplit_once('.').filter(|(_, leaf)| *leaf == name));
    elsewhere.map(|(home, _)| format!("\"{name}\" belongs to [{}]", home.replace('*', "NAME")))
}

/// Returns the word that is spelt nearly as this one, if there is one.
pub(super) fn nearest<'w>(word: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let lower = |text: &str| text.to_lowercase();
    let near = words.into_iter().map(|other| (distance(&lower(word), &lower(other)), other));
    near.filter(|(far, other)| *far <= 1 + other.len() / 4).min().map(|(_, other)| other)
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
        use super::units::{Bytes, Span};
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
            Self::Size(min, max) => format!("a size from \"{}\" to \"{}\"", Bytes::new(*min), Bytes::new(*max)),
            Self::Cron => CRON_FORMS.into(),
            Self::Zone => "a time zone such as \"UTC\" or \"Europe/Berlin\"".into(),
            Self::Quiet => "a list of hours such as [\"22:00-06:00\", \"Sat,Sun 00:00-24:00\"]".into(),
            Self::Until => "a day such as \"2027-01-31\", or an instant such as \"2027-01-31T18:00:00+01:00\"".into(),
            Self::Host => "the name or IP address of a machine, such as \"mail.example.org\"".into(),
            Self::Address => "an IP address with a port, such as \"127.0.0.1:7070\" or \"[::1]:7070\"".into(),
            Self::Mailbox => "a mail address such as \"soakd <soakd@example.org>\"".into(),
            Self::Mailboxes => "a list of 1 to 50 mail addresses such as [\"ops@example.org\"]".into(),
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
            Self::Unit => "the full name of a unit, such as \"postgresql.service\"".into(),
            Self::Metrics => "a list of up to 16 names of metrics such as [\"queue_length\"]".into(),
            Self::Paths => "a list of up to 16 paths".into(),
            Self::Errors => {
                "a list of up to 32 kinds or codes of errors such as [\"locked\", \"40P01\", \"SQLITE_BUSY\"]".into()
            }
            Self::Secret => SECRET_FORMS.into(),
            Self::Store => format!("\"sqlite\", or {{ postgres = SECRET }} where SECRET is {SECRET_FORMS}"),
            Self::Command => "a program and its arguments such as [\"cat\", \"/etc/server/version\"]".into(),
            Self::Pointer => "a place in JSON such as \"/version\" or \"/build/commit\"".into(),
            Self::Statements => format!("SQL texts by operation: {}", OPERATIONS.join(", ")),
        }
    }
}

/// What a cron expression may look like.
const CRON_FORMS: &str = "five fields (minute hour day month weekday) such as \"30 2 * * Mon-Fri\", six with seconds first, \
     or @hourly, @daily, @weekly, @monthly, @yearly";

/// The three ways to refer to a secret.
pub const SECRET_FORMS: &str = "{ env = \"VARIABLE\" }, { file = \"path\" } or { credential = \"name\" }";
