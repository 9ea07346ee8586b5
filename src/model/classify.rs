//! The one classifier: side, kind and what follows, from a result code, an HTTP status or a message.
//!
//! The result code speaks first, because only it tells a local lock from one that a server reports. Then the message is read
//! as JSON, because services answer in it. Only then the stable parts of known texts are matched, one row of a table each.
//! Nothing here does I/O, and nothing else in the crate may decide what an error means.

use serde_json::Value;

use super::finding::{Classified, Follow, Kind, Side, cut};

pub mod sql;

#[cfg(test)]
mod tests;

/// One known text: its parts must all occur, in this order, in the lower-cased message.
struct Rule {
    parts: &'static [&'static str],
    side: Side,
    kind: Kind,
    follow: Follow,
}

const fn rule(parts: &'static [&'static str], side: Side, kind: Kind, follow: Follow) -> Rule {
    Rule { parts, side, kind, follow }
}

/// The texts, most telling first; the comment above a group says why it leads where it does.
const RULES: &[Rule] = &[
    // No connection was made, so nothing can have happened.
    rule(&["failed to lookup address"], Side::Network, Kind::Resolve, Follow::Retry),
    rule(&["failed to connect to"], Side::Network, Kind::Refused, Follow::Retry),
    rule(&["couldn't connect to server"], Side::Network, Kind::Refused, Follow::Retry),
    rule(&["connection refused"], Side::Network, Kind::Refused, Follow::Retry),
    rule(&["could not resolve"], Side::Network, Kind::Resolve, Follow::Retry),
    rule(&["connection timed out after"], Side::Network, Kind::Timeout, Follow::Retry),
    // The request may have arrived before the line went dead.
    rule(&["operation timed out"], Side::Network, Kind::Timeout, Follow::Indeterminate),
    rule(&["empty reply from server"], Side::Network, Kind::Reset, Follow::Indeterminate),
    rule(&["end of response with", "bytes missing"], Side::Network, Kind::Reset, Follow::Indeterminate),
    rule(&["bytes remaining to read"], Side::Network, Kind::Reset, Follow::Indeterminate),
    rule(&["connection reset"], Side::Network, Kind::Reset, Follow::Indeterminate),
    rule(&["connection was reset"], Side::Network, Kind::Reset, Follow::Indeterminate),
    rule(&["recv failure"], Side::Network, Kind::Reset, Follow::Indeterminate),
    rule(&["send failure"], Side::Network, Kind::Reset, Follow::Indeterminate),
    rule(&["the exchange with", "broke off"], Side::Network, Kind::Reset, Follow::Indeterminate),
    rule(&["broken pipe"], Side::Network, Kind::Reset, Follow::Indeterminate),
    // Something else listens there, or the address is wrong: the same call cannot end differently.
    rule(&["received http/0.9"], Side::Network, Kind::Protocol, Follow::Fail),
    rule(&["tls connect error"], Side::Network, Kind::Tls, Follow::Fail),
    rule(&["ssl certificate"], Side::Network, Kind::Tls, Follow::Fail),
    rule(&["ssl routines"], Side::Network, Kind::Tls, Follow::Fail),
    rule(&["protocol \"", "\" not supported"], Side::Client, Kind::Config, Follow::Fail),
    rule(&["url rejected"], Side::Client, Kind::Config, Follow::Fail),
    // The driver called functions in the wrong order.
    rule(&["no url set"], Side::Soakd, Kind::Config, Follow::Fail),
    rule(&["unable to retrieve cloudsync network context"], Side::Soakd, Kind::Config, Follow::Fail),
    rule(&["has no tables configured for sync"], Side::Soakd, Kind::Config, Follow::Fail),
    rule(&["call network_init first"], Side::Soakd, Kind::Config, Follow::Fail),
    rule(&["sync was terminated on this connection"], Side::Soakd, Kind::Config, Follow::Fail),
    rule(&["unable to retrieve table name"], Side::Soakd, Kind::Config, Follow::Fail),
    // HTTP 400 or above without a body: the status is not told, changes are kept, so a bounded retry costs nothing.
    rule(&["unable to retrieve current status from remote host"], Side::Server, Kind::Other, Follow::Retry),
    rule(&["memory error."], Side::Server, Kind::Other, Follow::Retry),
    rule(&["unable to apply changes to remote host"], Side::Server, Kind::Other, Follow::Retry),
    rule(&["unable to receive upload url"], Side::Server, Kind::Other, Follow::Retry),
    // A success status with an unusable body where the position is kept.
    rule(&["unable to parse check response"], Side::Server, Kind::Protocol, Follow::Retry),
    rule(&["missing 'url' in upload response"], Side::Server, Kind::Protocol, Follow::Retry),
    // It took the request and said something that nobody understands.
    rule(&["the server's answer is not understood"], Side::Server, Kind::Protocol, Follow::Indeterminate),
    // The server says that asking again is of no use.
    rule(&["server rejected check (non-retryable)"], Side::Server, Kind::Apply, Follow::Fail),
    // Without a local result code the lock is on the server's side.
    rule(&["database is locked"], Side::Server, Kind::Locked, Follow::Retry),
    rule(&["database table is locked"], Side::Server, Kind::Locked, Follow::Retry),
    // The configuration or the table cannot work as they are.
    rule(&["manageddatabaseid cannot be empty"], Side::Client, Kind::Config, Follow::Fail),
    rule(&["address cannot be empty"], Side::Client, Kind::Config, Follow::Fail),
    rule(&["unknown crdt algorithm"], Side::Client, Kind::Config, Follow::Fail),
    rule(&["no such function"], Side::Client, Kind::Config, Follow::Fail),
    rule(&["single-column integer primary key"], Side::Client, Kind::Schema, Follow::Fail),
    rule(&["declared as not null must have a default"], Side::Client, Kind::Schema, Follow::Fail),
    rule(&["rowid only tables are not supported"], Side::Client, Kind::Schema, Follow::Fail),
    rule(&["table ", " does not exist"], Side::Client, Kind::Schema, Follow::Fail),
    rule(&["no such table"], Side::Client, Kind::Schema, Follow::Fail),
    rule(&["no such column"], Side::Client, Kind::Schema, Follow::Fail),
    // Credentials: only an expired one is cured by a new one.
    rule(&["token", "expired"], Side::Server, Kind::Auth, Follow::RefreshToken),
    rule(&["token", "revoked"], Side::Server, Kind::Auth, Follow::Fail),
    rule(&["token", "invalid"], Side::Server, Kind::Auth, Follow::Fail),
    rule(&["invalid", "token"], Side::Server, Kind::Auth, Follow::Fail),
    rule(&["unauthorized"], Side::Server, Kind::Auth, Follow::RefreshToken),
    rule(&["row-level security"], Side::Server, Kind::Denied, Follow::Fail),
    rule(&["permission denied"], Side::Server, Kind::Denied, Follow::Fail),
    rule(&["forbidden"], Side::Server, Kind::Denied, Follow::Fail),
    // Texts that proxies and services put where a status would say the same.
    rule(&["too many requests"], Side::Server, Kind::RateLimited, Follow::Retry),
    rule(&["rate limit"], Side::Server, Kind::RateLimited, Follow::Retry),
    rule(&["gateway time"], Side::Server, Kind::Http5xx, Follow::Indeterminate),
    rule(&["bad gateway"], Side::Server, Kind::Http5xx, Follow::Indeterminate),
    rule(&["service", "unavailable"], Side::Server, Kind::Http5xx, Follow::Retry),
    rule(&["internal server error"], Side::Server, Kind::Http5xx, Follow::Retry),
    rule(&["bad request"], Side::Server, Kind::Http4xx, Follow::Fail),
    rule(&["not found"], Side::Server, Kind::Http4xx, Follow::Fail),
    // The server's own storage.
    rule(&["disk is full"], Side::Server, Kind::DiskFull, Follow::Fail),
    rule(&["no space left"], Side::Server, Kind::DiskFull, Follow::Fail),
    rule(&["malformed"], Side::Server, Kind::Corrupt, Follow::Fail),
    rule(&["constraint"], Side::Server, Kind::Constraint, Follow::Fail),
];

/// Returns what an error of an SQL statement means.
pub fn classify(code: Option<i32>, message: &str) -> Classified {
    known(code, message).unwrap_or_else(|| {
        let code = code.map(|c| c.to_string());
        // A text that nobody knows must be read by a person before it is retried for ever.
        made(Side::Client, Kind::Other, Follow::Fail, code, message)
    })
}

/// Returns what an error of a call to the service means.
///
/// The provider passes a service's answer on without its status, so a text that no rule knows is most likely the service's:
/// its changes are kept, and a bounded retry tells a passing trouble from a lasting one.
pub fn classify_call(code: Option<i32>, message: &str) -> Classified {
    known(code, message).unwrap_or_else(|| {
        let code = code.map(|c| c.to_string());
        made(Side::Server, Kind::Other, Follow::Retry, code, message)
    })
}

/// Returns what an HTTP answer that is not a usable success means.
pub fn classify_http(status: u16, body: &str) -> Classified {
    match status {
        // It says success and proves nothing: the request may have been carried out.
        0..300 => made(Side::Server, Kind::Protocol, Follow::Indeterminate, Some(status.to_string()), body),
        // A redirect leads away from the service that was configured.
        300..400 => made(Side::Server, Kind::Protocol, Follow::Fail, Some(status.to_string()), body),
        _ => {
            let json: Option<Value> = serde_json::from_str(body.trim()).ok();
            let (code, text) = json.as_ref().map_or((None, None), service_words);
            service(Some(status), code.as_deref(), text.as_deref().unwrap_or(body))
        }
    }
}

/// How a connection failed, for clients that see it themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Refused,
    Resolve,
    ConnectTimeout,
    Timeout,
    /// Closed or reset after the request had gone out.
    Reset,
    Tls,
    /// The other side does not speak what was expected.
    Protocol,
}

/// Returns what a failed connection means.
pub fn classify_transport(failure: Transport, message: &str) -> Classified {
    let (kind, follow) = match failure {
        Transport::Refused => (Kind::Refused, Follow::Retry),
        Transport::Resolve => (Kind::Resolve, Follow::Retry),
        Transport::ConnectTimeout => (Kind::Timeout, Follow::Retry),
        Transport::Timeout => (Kind::Timeout, Follow::Indeterminate),
        Transport::Reset => (Kind::Reset, Follow::Indeterminate),
        Transport::Tls => (Kind::Tls, Follow::Fail),
        Transport::Protocol => (Kind::Protocol, Follow::Fail),
    };
    made(Side::Network, kind, follow, None, message)
}

/// Returns what a failed job means that a server reports inside a successful answer.
pub fn classify_job(code: Option<&str>, message: &str, retryable: Option<bool>) -> Classified {
    let follow = if retryable == Some(false) { Follow::Fail } else { Follow::Retry };
    let kind = match by_text(message).map(|rule| rule.kind) {
        _ if code == Some("refused") => Kind::Denied,
        Some(kind @ (Kind::Locked | Kind::Denied | Kind::Constraint | Kind::DiskFull | Kind::Schema)) => kind,
        _ => Kind::Apply,
    };
    made(Side::Server, kind, follow, code.map(cut), message)
}

/// Builds a classified error; every message passes the cut here.
pub fn made(side: Side, kind: Kind, follow: Follow, code: Option<String>, message: &str) -> Classified {
    Classified { side, kind, follow, code, message: cut(message) }
}

fn known(code: Option<i32>, message: &str) -> Option<Classified> {
    if let Some(code) = code
        && let Some((side, kind, follow)) = by_code(code)
    {
        return Some(made(side, kind, follow, Some(code.to_string()), message));
    }
    if let Some(found) = by_json(message) {
        return Some(found);
    }
    let rule = by_text(message)?;
    Some(made(rule.side, rule.kind, rule.follow, code.map(|c| c.to_string()), message))
}

/// Reads SQLite's own result codes; `SQLITE_ERROR` and codes of no interest say nothing.
fn by_code(code: i32) -> Option<(Side, Kind, Follow)> {
    Some(match code & 0xff {
        // SQLITE_BUSY, SQLITE_LOCKED: another local connection holds the file; it lets go.
        5 | 6 => (Side::Client, Kind::Locked, Follow::Retry),
        // SQLITE_FULL: space does not come back by itself.
        13 => (Side::Client, Kind::DiskFull, Follow::Fail),
        // SQLITE_CORRUPT, SQLITE_NOTADB.
        11 | 26 => (Side::Client, Kind::Corrupt, Follow::Fail),
        // SQLITE_CONSTRAINT, SQLITE_MISMATCH: the same row is refused again.
        19 | 20 => (Side::Client, Kind::Constraint, Follow::Fail),
        // SQLITE_SCHEMA.
        17 => (Side::Client, Kind::Schema, Follow::Fail),
        // SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_AUTH, SQLITE_PERM: path, rights or permission to load.
        3 | 8 | 14 | 23 => (Side::Client, Kind::Config, Follow::Fail),
        // SQLITE_INTERRUPT: soakd cut the call off; what it did until then is not known.
        9 => (Side::Soakd, Kind::Timeout, Follow::Indeterminate),
        // SQLITE_MISUSE, SQLITE_RANGE: a mistake of the driver.
        21 | 25 => (Side::Soakd, Kind::Other, Follow::Fail),
        // SQLITE_NOMEM, SQLITE_IOERR, SQLITE_TOOBIG: the machine, not the service.
        7 | 10 | 18 => (Side::Client, Kind::Other, Follow::Fail),
        _ => return None,
    })
}

fn by_text(message: &str) -> Option<&'static Rule> {
    // Bodies of any size come as messages; what tells them apart is at the front.
    let text = message.chars().take(4096).collect::<String>().to_lowercase();
    RULES.iter().find(|rule| {
        let mut rest = text.as_str();
        rule.parts.iter().all(|part| {
            let at = rest.find(part);
            rest = at.map_or("", |at| &rest[at + part.len()..]);
            at.is_some()
        })
    })
}

fn by_json(message: &str) -> Option<Classified> {
    let from = message.find('{')?;
    let json: Value = serde_json::from_str(message[from..].trim()).ok()?;
    if json.get("send").is_some() || json.get("receive").is_some() {
        return json.pointer("/receive/error").map(|error| receive_error(&text_of(error)));
    }
    let status = status_of(&json);
    let (code, text) = service_words(&json);
    (code.is_some() || text.is_some() || status.is_some())
        .then(|| service(status, code.as_deref(), text.as_deref().unwrap_or(message)))
}

/// Returns what the text of `receive.error` means: it is about the local side, where changes are applied.
pub fn receive_error(text: &str) -> Classified {
    // The provider hides the cause of a failed transfer behind these words; receiving again is harmless.
    if text.trim() == "receive failed" {
        return made(Side::Network, Kind::Other, Follow::Retry, None, text);
    }
    match by_text(text).map(|rule| rule.kind) {
        Some(Kind::Locked) => made(Side::Client, Kind::Locked, Follow::Retry, None, text),
        Some(kind @ (Kind::Constraint | Kind::DiskFull | Kind::Corrupt | Kind::Schema)) => {
            made(Side::Client, kind, Follow::Fail, None, text)
        }
        _ => made(Side::Client, Kind::Apply, Follow::Fail, None, text),
    }
}

/// Finds the status that a service's JSON names.
fn status_of(json: &Value) -> Option<u16> {
    ["/errors/0/status", "/error/status", "/status", "/error/code"].iter().find_map(|path| {
        let found = json.pointer(path)?;
        let number = found.as_u64().or_else(|| found.as_str()?.parse().ok())?;
        u16::try_from(number).ok().filter(|n| (400..600).contains(n))
    })
}

/// Finds code and text that a service's JSON names, in the shapes that are in use.
fn service_words(json: &Value) -> (Option<String>, Option<String>) {
    let find = |paths: &[&str]| paths.iter().find_map(|path| json.pointer(path)).map(text_of);
    let code = find(&["/errors/0/code", "/error/code", "/code"]);
    let title = find(&["/errors/0/title", "/error/message", "/error", "/message", "/title"]);
    let text = match (title, find(&["/errors/0/detail"])) {
        (Some(title), Some(detail)) => Some(format!("{title}: {detail}")),
        (title, detail) => title.or(detail),
    };
    (code, text)
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Decides on a service's status and code; its words are the last resort.
fn service(status: Option<u16>, code: Option<&str>, text: &str) -> Classified {
    let words = format!("{} {text}", code.unwrap_or_default().replace('_', " "));
    let found = by_text(&words);
    let expired = words.to_lowercase().contains("expired");
    let named = code.map(cut).or_else(|| status.map(|s| s.to_string()));
    let (kind, follow) = match (status, found) {
        // More telling than any status.
        (_, Some(rule)) if rule.kind == Kind::Locked => (Kind::Locked, Follow::Retry),
        (_, Some(rule)) if rule.kind == Kind::Auth && rule.follow == Follow::RefreshToken => {
            (Kind::Auth, Follow::RefreshToken)
        }
        (_, Some(rule)) if rule.kind == Kind::Auth => (Kind::Auth, Follow::Fail),
        (Some(401 | 403), _) if expired => (Kind::Auth, Follow::RefreshToken),
        // The service knows no such credential, and gives no reason: a new one is all that can help.
        (Some(401), _) => (Kind::Auth, Follow::RefreshToken),
        (Some(403), _) => (Kind::Denied, Follow::Fail),
        (Some(429), _) => (Kind::RateLimited, Follow::Retry),
        // The server stopped waiting for the request, so it did not carry it out.
        (Some(408), _) => (Kind::Timeout, Follow::Retry),
        (Some(423), _) => (Kind::Locked, Follow::Retry),
        // A proxy speaks here; what stands behind it may have done the work.
        (Some(502 | 504), _) => (Kind::Http5xx, Follow::Indeterminate),
        (Some(500..), _) => (Kind::Http5xx, Follow::Retry),
        (Some(400..), _) => (Kind::Http4xx, Follow::Fail),
        (_, Some(rule)) => (rule.kind, rule.follow),
        (_, None) => (Kind::Other, Follow::Retry),
    };
    made(Side::Server, kind, follow, named, text)
}
