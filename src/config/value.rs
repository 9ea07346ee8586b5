//! The check of one value against its kind. Pure; says what is wrong, never what a secret is.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use lettre::message::Mailbox;
use toml::de::DeValue;

use super::keys::{Kind, OPTIONAL_OPERATIONS};
use super::quiet::QuietHours;
use super::units::{Bytes, Span};
use super::{cron, until, zone};

/// Describes a value by its type, and shows it where it is short and certainly no secret.
pub(super) fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => "a text".into(),
        DeValue::Integer(n) => format!("the number {}", short(&n.to_string())),
        DeValue::Float(x) => format!("the number {}", short(&x.to_string())),
        DeValue::Boolean(b) => b.to_string(),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

fn short(text: &str) -> String {
    if text.len() <= 24 { text.to_owned() } else { format!("{}…", text.chars().take(20).collect::<String>()) }
}

/// Checks a value; the error says what was found and why it is wrong.
pub(super) fn check(kind: Kind, value: &DeValue<'_>) -> Result<(), String> {
    match (kind, value) {
        (Kind::Text(max), DeValue::String(text)) => check_text(text, max),
        (Kind::Sql, DeValue::String(text)) => match text.trim().len() {
            0 => Err("the text is empty".into()),
            1..=65_536 => Ok(()),
            len => Err(format!("{len} characters are too many")),
        },
        (Kind::Path, DeValue::String(text)) => check_path(text),
        (Kind::Url, DeValue::String(text)) => check_url(text),
        (Kind::Bool, DeValue::Boolean(_)) => Ok(()),
        (Kind::Bool, DeValue::String(_)) => {
            Err("a text stands where true or false is due; leave the quotes away".into())
        }
        (Kind::Int(min, max), DeValue::Integer(n)) => check_int(n, min, max),
        (Kind::Int(..), DeValue::Float(x)) => Err(format!("{} is no whole number", short(&x.to_string()))),
        (Kind::Int(..) | Kind::Number(..), DeValue::String(_)) => {
            Err("a text stands where a number is due; leave the quotes away".into())
        }
        (Kind::Number(min, max), DeValue::Float(x)) => check_number(x.as_str(), min, max),
        (Kind::Number(min, max), DeValue::Integer(n)) => check_number(n.as_str(), min, max),
        (Kind::Time(min, max), DeValue::String(text)) => check_time(text, min, max),
        (Kind::Time(..), DeValue::Integer(n)) => {
            let n = short(&n.to_string());
            Err(format!("{n} has no unit; write a time in quotes such as \"{n}s\""))
        }
        (Kind::Size(min, max), DeValue::String(text)) => check_size(text, min, max),
        (Kind::Size(..), DeValue::Integer(n)) => {
            let n = short(&n.to_string());
            Err(format!("{n} has no unit; write a size in quotes such as \"{n}MiB\""))
        }
        (Kind::Cron, DeValue::String(text)) => cron::parse(text).map(drop),
        (Kind::Zone, DeValue::String(text)) => zone::parse(text).map(drop),
        (Kind::Until, DeValue::String(text)) => until::parse(text, chrono_tz::UTC).map(drop),
        (Kind::Until, DeValue::Datetime(_)) => Err("a date stands without quotes; put it in quotes".into()),
        (Kind::Quiet, DeValue::Array(items)) => check_list(items, 0..=32, |text| QuietHours::parse(text).map(drop)),
        (Kind::Host, DeValue::String(text)) => check_host(text),
        (Kind::Address, DeValue::String(text)) => check_address(text),
        (Kind::Mailbox, DeValue::String(text)) => check_mailbox(text),
        (Kind::Mailboxes, DeValue::Array(items)) => check_list(items, 1..=50, check_mailbox),
        (Kind::Unit, DeValue::String(text)) => check_unit(text),
        (Kind::Metrics, DeValue::Array(items)) => check_list(items, 0..=16, check_metric),
        (Kind::Paths, DeValue::Array(items)) => check_list(items, 0..=16, check_path),
        (Kind::Errors, DeValue::Array(items)) => check_list(items, 0..=32, check_error),
        (Kind::Command, DeValue::Array(items)) => check_list(items, 1..=64, check_argument),
        (Kind::Pointer, DeValue::String(text)) if text.starts_with('/') => check_text(text, 256),
        (Kind::Pointer, DeValue::String(_)) => Err("the text does not begin with a slash".into()),
        (
            Kind::Quiet | Kind::Mailboxes | Kind::Metrics | Kind::Paths | Kind::Errors | Kind::Command,
            DeValue::String(_),
        ) => Err("a text stands where a list is due; put it in brackets".into()),
        (Kind::Choice(choices), DeValue::String(text)) if !choices.contains(&text.as_ref()) => {
            Err(format!("\"{}\" is not one of the choices", short(text).escape_debug()))
        }
        (Kind::Choice(_), DeValue::String(_)) => Ok(()),
        (Kind::Choices(choices), DeValue::Array(items)) => check_list(items, 0..=choices.len(), |text| {
            let known = choices.contains(&text);
            known.then_some(()).ok_or_else(|| format!("\"{}\" is not one of the choices", short(text).escape_debug()))
        }),
        (Kind::Level, DeValue::String(text)) => check_level(text),
        (Kind::Sha256, DeValue::String(text)) => {
            let good = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
            if good { Ok(()) } else { Err(format!("a text of {} characters is no SHA-256", text.chars().count())) }
        }
        (_, other) => Err(format!("{} stands where something else is due", found(other))),
    }
}

/// Checks a list of texts, each by itself.
fn check_list(
    items: &toml::de::DeArray<'_>,
    count: RangeInclusive<usize>,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<(), String> {
    for item in items.iter() {
        match item.get_ref() {
            DeValue::String(text) => check(text)?,
            other => return Err(format!("{} stands in the list where a text is due", found(other))),
        }
    }
    match items.len() {
        0 if !count.contains(&0) => Err("the list is empty".into()),
        len if !count.contains(&len) => Err(format!("{len} entries are too many")),
        _ => Ok(()),
    }
}

/// Checks the SQL of one operation; the error says what is wrong and what is allowed.
pub(super) fn check_statement(operation: &str, value: &DeValue<'_>) -> Result<(), (String, String)> {
    const MERGE: Kind = Kind::Choice(&["row", "column"]);
    let empty = matches!(value, DeValue::String(text) if text.trim().is_empty());
    if empty && OPTIONAL_OPERATIONS.contains(&operation) {
        return Ok(());
    }
    let kind = if operation == "merge" { MERGE } else { Kind::Sql };
    check(kind, value).map_err(|message| (message, kind.allowed()))
}

fn check_text(text: &str, max: usize) -> Result<(), String> {
    let len = text.chars().count();
    if text.trim().is_empty() {
        Err("the text is empty".into())
    } else if len > max {
        Err(format!("{len} characters are too many"))
    } else if text.chars().any(char::is_control) {
        Err("the text holds a control character".into())
    } else {
        Ok(())
    }
}

fn check_path(text: &str) -> Result<(), String> {
    match text {
        "" => Err("the path is empty".into()),
        path if path.len() > 4_096 => Err("the path is too long".into()),
        path if path.chars().any(char::is_control) => Err("the path holds a control character".into()),
        _ => Ok(()),
    }
}

fn check_argument(text: &str) -> Result<(), String> {
    match text.len() {
        4_097.. => Err("an argument is too long".into()),
        _ if text.contains('\0') => Err("an argument holds a NUL".into()),
        _ => Ok(()),
    }
}

fn check_unit(text: &str) -> Result<(), String> {
    let shown = short(text);
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let (name, ending) = text.rsplit_once('.').unwrap_or((text, ""));
    if text.len() > 255 || name.is_empty() || name.starts_with('-') || !text.chars().all(allowed) {
        Err(format!("\"{}\" is no name of a unit", shown.escape_debug()))
    } else if !["service", "scope"].contains(&ending) {
        Err(format!("\"{}\" names no service and no scope, which alone have processes", shown.escape_debug()))
    } else {
        Ok(())
    }
}

fn check_metric(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let named = (1..=80).contains(&text.len()) && text.chars().all(allowed);
    if named && !text.starts_with(|c: char| c.is_ascii_digit()) {
        Ok(())
    } else {
        Err(format!("\"{}\" is no name of a metric", short(text).escape_debug()))
    }
}

fn check_error(text: &str) -> Result<(), String> {
    let named = (1..=60).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if named { Ok(()) } else { Err(format!("\"{}\" is no kind and no code of an error", short(text).escape_debug())) }
}

fn check_int(n: &toml::de::DeInteger<'_>, min: i128, max: i128) -> Result<(), String> {
    let shown = short(&n.to_string());
    match i128::from_str_radix(n.as_str(), n.radix()) {
        Ok(number) if number < min => Err(format!("{shown} is too small")),
        Ok(number) if number > max => Err(format!("{shown} is too large")),
        Ok(_) => Ok(()),
        Err(_) if n.as_str().starts_with('-') => Err(format!("{shown} is too small")),
        Err(_) => Err(format!("{shown} is too large")),
    }
}

fn check_number(text: &str, min: f64, max: f64) -> Result<(), String> {
    match text.replace('_', "").parse::<f64>() {
        Ok(x) if x.is_nan() => Err("nan is no number".into()),
        Ok(x) if x < min => Err(format!("{} is too small", short(text))),
        Ok(x) if x > max => Err(format!("{} is too large", short(text))),
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{} is no number", short(text))),
    }
}

fn check_time(text: &str, min: u64, max: u64) -> Result<(), String> {
    let shown = short(text);
    let shown = shown.escape_debug();
    let span = Span::parse(text).map_err(|why| format!("\"{shown}\" is no time: {why}"))?;
    if span < Span::from_millis(min) {
        Err(format!("\"{shown}\" is too short"))
    } else if span > Span::from_millis(max) {
        Err(format!("\"{shown}\" is too long"))
    } else {
        Ok(())
    }
}

fn check_size(text: &str, min: u64, max: u64) -> Result<(), String> {
    let shown = short(text);
    let shown = shown.escape_debug();
    let size = Bytes::parse(text).map_err(|why| format!("\"{shown}\" is no size: {why}"))?;
    if size < Bytes::new(min) {
        Err(format!("\"{shown}\" is too small"))
    } else if size > Bytes::new(max) {
        Err(format!("\"{shown}\" is too large"))
    } else {
        Ok(())
    }
}

fn check_host(text: &str) -> Result<(), String> {
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.parse::<IpAddr>().is_ok() {
        Ok(())
    } else if text.contains('@') || text.contains('/') {
        Err("an address stands where only the name of the machine is due".into())
    } else if text.contains(':') {
        Err("the name of the machine has a port behind it; that belongs under port".into())
    } else if text.len() > 253 || !text.trim_end_matches('.').split('.').all(label) {
        Err(format!("\"{}\" is no name of a machine", short(text).escape_debug()))
    } else {
        Ok(())
    }
}

fn check_address(text: &str) -> Result<(), String> {
    let shown = short(text);
    let shown = shown.escape_debug();
    if text.parse::<SocketAddr>().is_ok() {
        Ok(())
    } else if text.parse::<IpAddr>().is_ok() {
        Err(format!("\"{shown}\" has no port"))
    } else {
        Err(format!("\"{shown}\" is no IP address with a port; names such as localhost are not looked up here"))
    }
}

/// Checks a mail address; control characters would be a way into the mail's headers.
fn check_mailbox(text: &str) -> Result<(), String> {
    let shown = if text.chars().count() > 60 { short(text) } else { text.to_owned() };
    let shown = shown.escape_debug();
    if text.chars().any(char::is_control) {
        return Err(format!("the mail address \"{shown}\" holds a control character"));
    }
    if text.len() > 320 {
        return Err(format!("the mail address \"{shown}\" is too long"));
    }
    if !text.contains('@') {
        return Err(format!("\"{shown}\" is no mail address: it has no \"@\""));
    }
    let parsed = text.parse::<Mailbox>();
    parsed.map(drop).map_err(|_| format!("\"{shown}\" is no mail address: it is malformed"))
}

fn check_level(text: &str) -> Result<(), String> {
    const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
    for part in text.split(',').map(str::trim) {
        let (module, level) = part.split_once('=').map_or(("soakd", part), |(module, level)| (module, level));
        let named = !module.is_empty() && module.chars().all(|c| c.is_ascii_alphanumeric() || "_:-".contains(c));
        if !named || !LEVELS.contains(&level) {
            return Err(format!("\"{}\" is no log level", short(part).escape_debug()));
        }
    }
    Ok(())
}

/// Checks an address; the messages do not repeat it, because people paste connection strings with keys in them.
pub(super) fn check_url(text: &str) -> Result<(), String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("the address has no scheme".into());
    };
    if !["http", "https"].contains(&scheme) {
        let shown: String = scheme.chars().filter(|c| c.is_ascii_alphanumeric()).take(20).collect();
        return Err(format!("the scheme {shown}:// is not spoken here"));
    }
    let host = rest.split('/').next().unwrap_or(rest);
    if host.contains('@') {
        return Err("the address holds a user or password; secrets must not stand in this file".into());
    }
    if text.contains('?') || text.contains('#') {
        return Err("the address has a query, in which keys and tokens hide; a secret is given as a reference".into());
    }
    if text.len() > 2_048 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("the address is too long or holds blanks".into());
    }
    let url = reqwest::Url::parse(text).map_err(|error| format!("the address is malformed: {error}"))?;
    if url.host_str().is_none_or(str::is_empty) { Err("the address names no host".into()) } else { Ok(()) }
}

/// Checks a reference to a secret; the messages never repeat a value.
pub(super) fn check_secret(value: &DeValue<'_>) -> Result<(), String> {
    let table = match value {
        DeValue::Table(table) => table,
        DeValue::String(_) => {
            return Err("a secret must not stand in this file; write where it is to be found".into());
        }
        other => return Err(format!("{} is no reference to a secret", kind_only(other))),
    };
    let mut entries = table.iter();
    let (Some((key, inner)), None) = (entries.next(), entries.next()) else {
        return Err(format!("the reference names {} places", table.len()));
    };
    let DeValue::String(text) = inner.get_ref() else {
        return Err("the reference must be a text".into());
    };
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("the reference is empty or holds a control character".into());
    }
    match key.get_ref().as_ref() {
        "env" if !is_variable(text) => {
            Err("env takes the name of an environment variable (letters, digits and _), not the secret itself".into())
        }
        "credential" if text.contains('/') || text.starts_with('.') || text.len() > 255 => {
            Err("credential takes the name of a systemd credential, not a path".into())
        }
        "file" if text.contains("://") => Err("file takes a path, not an address".into()),
        "env" | "file" | "credential" => Ok(()),
        _ => Err("the reference has a kind that does not exist".into()),
    }
}

fn is_variable(text: &str) -> bool {
    text.len() <= 128
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn kind_only(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Array(_) => "a list",
        _ => "what stands here",
    }
}
