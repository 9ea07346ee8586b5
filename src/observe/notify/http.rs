//! One bounded HTTP call, and what its answer means. Addresses may be secrets: no error here repeats one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response, StatusCode};

use super::SendError;
use super::text::line;

/// What is read of an answer that is an error.
const ANSWER_BYTES_MAX: usize = 4096;
/// What is shown of it.
const ANSWER_CHARS_MAX: usize = 200;

/// Makes a client that follows nobody to another place and gives up in time.
pub(super) fn client(timeout: Duration) -> Result<Client, String> {
    Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .user_agent(concat!("soakd/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|why| format!("no HTTP client can be made: {}", causes(&why.without_url())))
}

/// Makes a call; `key` is the configuration key of the address, and `token` that of the token.
pub(super) async fn call(request: RequestBuilder, key: &str, token: &str, timeout: Duration) -> Result<(), SendError> {
    match request.send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(refused(answer, key, token).await),
        Err(why) => Err(SendError::passing(unreachable(why.without_url(), key, timeout))),
    }
}

fn unreachable(why: reqwest::Error, key: &str, timeout: Duration) -> String {
    if why.is_timeout() {
        return format!("no answer within {timeout:?}; check that {key} can be reached from here");
    }
    let causes = causes(&why);
    if causes.contains("certificate") {
        return format!("the server's certificate is not trusted ({causes}); check {key}, or let this system trust it");
    }
    format!("it cannot be reached ({causes}); check {key}")
}

async fn refused(mut answer: Response, key: &str, token: &str) -> SendError {
    let status = answer.status();
    let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|value| asked(value, Utc::now()));
    let mut body = Vec::new();
    while let Ok(Some(part)) = answer.chunk().await {
        body.extend_from_slice(&part[..part.len().min(ANSWER_BYTES_MAX - body.len())]);
        if body.len() == ANSWER_BYTES_MAX {
            break;
        }
    }
    let said = line(&String::from_utf8_lossy(&body), ANSWER_CHARS_MAX);
    let said = if said.is_empty() { String::new() } else { format!(": {said:?}") };
    let advice = match status.as_u16() {
        300..=399 => format!("it points to another place, and is not followed; write the final address into {key}"),
        401 | 403 | 407 => format!("check {token} and {key}"),
        404 | 410 => format!("nobody is there; check {key}"),
        408 | 425 | 429 | 500..=599 => "it is tried again".to_owned(),
        _ => format!("the message is not accepted; check {key} and the kind of the webhook"),
    };
    let message = format!("the server answers HTTP {}{said}; {advice}", status.as_u16());
    SendError { permanent: final_refusal(status), retry_after, message }
}

/// Returns true for answers that no repeat of the same message can change. A wrong token is not one: it can be set right.
fn final_refusal(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status.as_u16(), 401 | 403 | 407 | 408 | 425 | 429)
}

/// Reads a `Retry-After`: seconds, or a date.
fn asked(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(secs) = value.trim().parse() {
        return Some(Duration::from_secs(secs));
    }
    let at = DateTime::parse_from_rfc2822(value.trim()).ok()?;
    Some((at.with_timezone(&Utc) - now).to_std().unwrap_or_default())
}

/// Returns an error with its causes, bounded.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    line(&text, 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_after_is_seconds_or_a_date() {
        let now = DateTime::parse_from_rfc2822("Sun, 06 Nov 1994 08:49:00 GMT").expect("a date").with_timezone(&Utc);
        assert_eq!(asked("120", now), Some(Duration::from_secs(120)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(37)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(asked("soon", now), None);
    }

    #[test]
    fn only_what_is_about_the_message_itself_is_final() {
        for (status, is_final) in
            [(400, true), (404, true), (413, true), (422, true), (401, false), (403, false), (408, false)]
        {
            assert_eq!(final_refusal(StatusCode::from_u16(status).expect("a status")), is_final, "{status}");
        }
        for status in [425, 429, 302, 500, 503] {
            assert!(!final_refusal(StatusCode::from_u16(status).expect("a status")), "{status}");
        }
    }
}
