//! Commands: they are handed to the daemon, which says what it did.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use super::answer::{Answer, Problem, json};
use super::routes::Api;
use crate::model::status::Control;

/// Longest wait for the daemon's answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Longest reason, and longest name of a schedule.
const TEXT_CHARS_MAX: usize = 200;

type Ask = State<Arc<Api>>;
type Body = Result<Bytes, BytesRejection>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PauseBody {
    reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TriggerBody {
    schedule: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StopBody {
    now: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BaselineBody {
    run: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Nothing {}

#[derive(Serialize)]
struct Done {
    message: String,
}

/// `POST /v1/pause`
pub(super) async fn pause(State(api): Ask, body: Body) -> Answer {
    let PauseBody { reason } = parse(body)?;
    let reason = reason.filter(|reason| !reason.trim().is_empty()).unwrap_or_else(|| "asked to".to_owned());
    tell(&api, Control::Pause { reason: short("reason", reason)? }).await
}

/// `POST /v1/resume`
pub(super) async fn resume(State(api): Ask, body: Body) -> Answer {
    let Nothing {} = parse(body)?;
    tell(&api, Control::Resume).await
}

/// `POST /v1/trigger`
pub(super) async fn trigger(State(api): Ask, body: Body) -> Answer {
    let TriggerBody { schedule } = parse(body)?;
    let schedule = schedule.map(|name| short("schedule", name)).transpose()?;
    tell(&api, Control::Trigger { schedule }).await
}

/// `POST /v1/stop`
pub(super) async fn stop(State(api): Ask, body: Body) -> Answer {
    let StopBody { now } = parse(body)?;
    tell(&api, Control::Stop { now }).await
}

/// `POST /v1/reload`
pub(super) async fn reload(State(api): Ask, body: Body) -> Answer {
    let Nothing {} = parse(body)?;
    tell(&api, Control::Reload).await
}

/// `POST /v1/baseline`
pub(super) async fn baseline(State(api): Ask, body: Body) -> Answer {
    let BaselineBody { run } = parse(body)?;
    let run = run.map(|run| short("run", run)).transpose()?;
    tell(&api, Control::Baseline { run }).await
}

/// Reads a body; none at all stands for the defaults.
fn parse<T: DeserializeOwned + Default>(body: Body) -> Result<T, Problem> {
    let body = body.map_err(|e| Problem::new(e.status(), e.body_text()))?;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(T::default());
    }
    // A struct can be read from a list too, which nobody means.
    let value =
        serde_json::from_slice(&body).and_then(|fields: Map<String, Value>| T::deserialize(Value::Object(fields)));
    value.map_err(|e| Problem::bad(format!("the body is not understood: {e}")))
}

/// Refuses texts that are too long or that a terminal would obey.
fn short(what: &str, text: String) -> Result<String, Problem> {
    if text.chars().count() > TEXT_CHARS_MAX || text.chars().any(char::is_control) {
        let detail = format!("{what} must be one line of at most {TEXT_CHARS_MAX} characters");
        return Err(Problem::bad(detail));
    }
    Ok(text)
}

async fn tell(api: &Api, control: Control) -> Answer {
    tracing::info!(?control, "asked by the local API");
    let (answer, answered) = oneshot::channel();
    api.state.control.try_send((control, answer)).map_err(|error| {
        Problem::busy(match error {
            mpsc::error::TrySendError::Full(_) => "the daemon has too many commands to answer; try again in a moment",
            mpsc::error::TrySendError::Closed(_) => "the daemon is about to end and takes no more commands",
        })
    })?;
    match tokio::time::timeout(ANSWER_MAX, answered).await {
        Ok(Ok(Ok(message))) => json(&Done { message }),
        Ok(Ok(Err(why))) => Err(Problem::new(StatusCode::CONFLICT, why)),
        Ok(Err(_)) => Err(Problem::busy("the daemon is about to end and did not answer")),
        Err(_) => {
            let detail = "the daemon did not answer within 5 s; it may still do it: look at the status";
            Err(Problem::busy(detail))
        }
    }
}
