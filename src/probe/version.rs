//! Which version of the server is running, as whoever is configured says it. Every way has a deadline and a bound, and one that
//! fails says nothing: a version that was known before is not told again.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::config::VersionConfig;

/// Characters of a version.
const CHARS_MAX: usize = 120;
/// Bytes of an answer that are read.
const BYTES_MAX: usize = 64 * 1024;

/// Why the version is not known; the text is the same as long as the reason is.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    #[error("{0} cannot be fetched: {1}")]
    Request(String, String),
    #[error("{0} answered with status {1}")]
    Status(String, u16),
    #[error("the answer of {0} has no header {1}")]
    NoHeader(String, String),
    #[error("the answer of {0} is no JSON with a text or a number at {1}")]
    NoPointer(String, String),
    #[error("the command {0} cannot be started: {1}")]
    Start(String, String),
    #[error("the command {0} ended with {1}")]
    Exit(String, String),
    #[error("{0} said nothing")]
    Empty(String),
    #[error("{0} did not answer within {1:?}")]
    Slow(String, Duration),
}

/// Asks for the version; `probed` is the address of the liveness probe. `None` if nothing is configured.
pub async fn read(config: &VersionConfig, probed: &str) -> Option<Result<String, Unknown>> {
    let limit = config.timeout.get();
    let slow = |what: &str| Unknown::Slow(what.to_owned(), limit);
    if let Some(label) = &config.label {
        return Some(Ok(tidy(label)));
    }
    let (what, asking) = if let Some(name) = &config.header {
        (probed, tokio::time::timeout(limit, header(probed, name, limit)).await)
    } else if let Some(address) = &config.endpoint {
        (address.as_str(), tokio::time::timeout(limit, endpoint(address, config.pointer.as_deref(), limit)).await)
    } else {
        let argv = config.command.as_ref()?;
        let program = argv.first()?;
        (program.as_str(), tokio::time::timeout(limit, command(program, &argv[1..])).await)
    };
    let told = asking.unwrap_or_else(|_| Err(slow(what))).map(|text| tidy(&text));
    Some(told.and_then(|text| if text.is_empty() { Err(Unknown::Empty(what.to_owned())) } else { Ok(text) }))
}

/// Returns the first line that says something, in the length that is kept, without what a terminal would obey.
fn tidy(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect()
}

async fn get(address: &str, limit: Duration) -> Result<reqwest::Response, Unknown> {
    let failed = |error: reqwest::Error| Unknown::Request(address.to_owned(), root_of(&error));
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(limit)
        .build()
        .map_err(failed)?;
    client.get(address).send().await.map_err(failed)
}

async fn header(address: &str, name: &str, limit: Duration) -> Result<String, Unknown> {
    let answer = get(address, limit).await?;
    let value = answer.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    value.ok_or_else(|| Unknown::NoHeader(address.to_owned(), name.to_owned()))
}

async fn endpoint(address: &str, pointer: Option<&str>, limit: Duration) -> Result<String, Unknown> {
    let mut answer = get(address, limit).await?;
    if !answer.status().is_success() {
        return Err(Unknown::Status(address.to_owned(), answer.status().as_u16()));
    }
    let mut body = Vec::new();
    let failed = |error: reqwest::Error| Unknown::Request(address.to_owned(), root_of(&error));
    while body.len() < BYTES_MAX
        && let Some(chunk) = answer.chunk().await.map_err(failed)?
    {
        body.extend_from_slice(&chunk[..chunk.len().min(BYTES_MAX - body.len())]);
    }
    let Some(pointer) = pointer else { return Ok(String::from_utf8_lossy(&body).into_owned()) };
    let value: Option<Value> = serde_json::from_slice(&body).ok();
    match value.as_ref().and_then(|value| value.pointer(pointer)) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        _ => Err(Unknown::NoPointer(address.to_owned(), pointer.to_owned())),
    }
}

async fn command(program: &str, arguments: &[String]) -> Result<String, Unknown> {
    let start = |error: std::io::Error| Unknown::Start(program.to_owned(), error.to_string());
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // Whoever gives up waiting ends it.
        .kill_on_drop(true)
        .spawn()
        .map_err(start)?;
    let mut said = Vec::new();
    if let Some(out) = child.stdout.take() {
        out.take(BYTES_MAX as u64).read_to_end(&mut said).await.map_err(start)?;
    }
    let status = child.wait().await.map_err(start)?;
    if !status.success() {
        return Err(Unknown::Exit(program.to_owned(), status.to_string()));
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Returns what lies at the bottom of an error, without addresses and ports that differ each time.
fn root_of(error: &reqwest::Error) -> String {
    let mut root: &dyn std::error::Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

#[cfg(test)]
mod tests;
