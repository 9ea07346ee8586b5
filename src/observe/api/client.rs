//! The other end: how commands ask the daemon. Every wait has an end.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::socket::PATH_BYTES_MAX;

/// Longest wait for a whole answer: longer than the daemon itself waits.
const ANSWER_MAX: Duration = Duration::from_secs(20);
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Longest silence within an answer; streams give signs of life more often.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long a stream is followed.
const STREAM_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// Largest part of a stream that is no whole event.
const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why the daemon did not do or say what it should.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("no soakd answers on {}; start it with `soakd run`, or give the --state-dir or --socket of one that runs", .0.display())]
    NoDaemon(PathBuf),
    #[error("this user may not use the socket {}; use the user that soakd runs as, or a member of its group", .0.display())]
    Denied(PathBuf),
    #[error("the path of the socket {} is longer than the {PATH_BYTES_MAX} bytes that the system permits; give a shorter --socket", .0.display())]
    TooLong(PathBuf),
    #[error("the daemon on {} did not answer: {why}; it may be very busy or stuck", .socket.display())]
    Silent { socket: PathBuf, why: String },
    /// The daemon said no, in words.
    #[error("{detail}")]
    Refused { status: u16, detail: String },
    #[error("the daemon's answer is not understood ({0}); it may be of another version")]
    Odd(String),
}

/// A way to the daemon.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    http: reqwest::Client,
}

impl Client {
    /// Finds out whether somebody listens on a socket.
    pub fn open(socket: &Path) -> Result<Self, AskError> {
        if socket.as_os_str().len() > PATH_BYTES_MAX {
            return Err(AskError::TooLong(socket.to_owned()));
        }
        UnixStream::connect(socket).map_err(|e| match e.kind() {
            io::ErrorKind::PermissionDenied => AskError::Denied(socket.to_owned()),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NoDaemon(socket.to_owned()),
            _ => AskError::Silent { socket: socket.to_owned(), why: e.to_string() },
        })?;
        let http = reqwest::Client::builder()
            .unix_socket(socket)
            // Every command asks once, or waits on a runtime of its own each time.
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_MAX)
            .read_timeout(SILENCE_MAX)
            .timeout(ANSWER_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| AskError::Odd(e.to_string()))?;
        Ok(Self { socket: socket.to_owned(), http })
    }

    /// Asks for a text.
    pub async fn text(&self, path: &str) -> Result<String, AskError> {
        self.answer(self.http.get(url(path))).await
    }

    /// Asks for a value.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AskError> {
        serde_json::from_str(&self.text(path).await?).map_err(|e| AskError::Odd(e.to_string()))
    }

    /// Gives a command and returns what the daemon says that it did.
    pub async fn command(&self, path: &str, body: &Value) -> Result<String, AskError> {
        let answer: Value = serde_json::from_str(&self.answer(self.http.post(url(path)).json(body)).await?)
            .map_err(|e| AskError::Odd(e.to_string()))?;
        let message = answer["message"].as_str().ok_or_else(|| AskError::Odd("it has no message".to_owned()))?;
        Ok(message.to_owned())
    }

    /// Follows the events, one JSON object at a time, until the daemon ends or `show` returns false.
    pub async fn follow(&self, mut show: impl FnMut(&Value) -> bool) -> Result<(), AskError> {
        let silent = |e: reqwest::Error| self.silent(&e);
        let mut response = self.http.get(url("/v1/events")).timeout(STREAM_MAX).send().await.map_err(silent)?;
        if !response.status().is_success() {
            let status = response.status();
            return Err(refused(status, &response.text().await.unwrap_or_default()));
        }
        let mut text: Vec<u8> = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(silent)? {
            text.extend_from_slice(&chunk);
            while let Some(end) = text.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = text.drain(..end + 2).collect();
                let block = String::from_utf8_lossy(&block);
                let Some(data) = block.lines().find_map(|line| line.strip_prefix("data: ")) else { continue };
                let event = serde_json::from_str(data).map_err(|e| AskError::Odd(e.to_string()))?;
                if !show(&event) {
                    return Ok(());
                }
            }
            if text.len() > EVENT_BYTES_MAX {
                return Err(AskError::Odd("an event is too large".to_owned()));
            }
        }
        Ok(())
    }

    fn silent(&self, error: &reqwest::Error) -> AskError {
        let why = if error.is_timeout() { "the time is over".to_owned() } else { innermost(error) };
        AskError::Silent { socket: self.socket.clone(), why }
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<String, AskError> {
        let silent = |e: reqwest::Error| self.silent(&e);
        let mut response = request.send().await.map_err(silent)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(silent)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_BYTES_MAX {
                return Err(AskError::Odd("it is larger than 64 MiB".to_owned()));
            }
        }
        let text = String::from_utf8(bytes).map_err(|_| AskError::Odd("it is not text".to_owned()))?;
        if status.is_success() {
            return Ok(text);
        }
        Err(refused(status, &text))
    }
}

fn refused(status: reqwest::StatusCode, text: &str) -> AskError {
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    let detail = problem["detail"].as_str().map_or_else(|| format!("HTTP status {status}"), str::to_owned);
    AskError::Refused { status: status.as_u16(), detail }
}

/// Returns a path of the API: its parts and what is asked, written so that any name may stand in them.
pub fn path(parts: &[&str], asked: &[(&str, &str)]) -> String {
    // The base is a URL and has a path, so that neither of these fails.
    let Ok(mut url) = reqwest::Url::parse("http://localhost/") else { return String::new() };
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(parts);
    }
    if !asked.is_empty() {
        url.query_pairs_mut().extend_pairs(asked);
    }
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

fn url(path: &str) -> String {
    format!("http://localhost{path}")
}

/// Returns the last cause of an error: what the system said.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
