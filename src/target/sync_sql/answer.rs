//! Reading the JSON that send and receive answer with; what is missing or senseless is an error, never a zero.

use serde_json::Value;

use super::{ReceiveReport, Refusal, SendReport, SyncError};
use crate::model::classify;
use crate::model::finding::{Classified, Follow, Kind, Side, cut};

/// Refused changes that are kept of one answer.
const REFUSED_MAX: usize = 1000;

/// Reads the answer of a send.
pub(super) fn send(text: &str) -> Result<SendReport, SyncError> {
    let json = part("send", text)?;
    let status = json["status"].as_str().ok_or_else(|| protocol("send", "names no status", text))?;
    let server_version = json["serverVersion"].as_i64();
    // A success without a usable answer moved the send position, so these changes would never be sent again.
    if status == "error" || server_version == Some(-1) {
        let message = format!("the service gave no usable answer to a send (status {status}): {}", cut(text));
        return Err(SyncError::noticed("send", Side::Server, Kind::SilentLoss, Follow::Resend, &message));
    }
    Ok(SendReport {
        status: cut(status),
        local_version: json["localVersion"].as_i64().unwrap_or_default(),
        server_version: server_version.unwrap_or_default(),
        rows: json["rows"].as_u64().unwrap_or_default(),
        chunks: json["chunks"].as_u64().unwrap_or_default(),
        bytes: json["bytes"].as_u64().unwrap_or_default(),
        seq: json["seq"][0].as_u64().zip(json["seq"][1].as_u64()),
        refused: json["refused"].as_array().map(|all| refused(all)).unwrap_or_default(),
        last_failure: last_failure(&json["lastFailure"]),
    })
}

/// Adds the answer of one receive call to the report, and returns whether that was all.
pub(super) fn receive(text: &str, report: &mut ReceiveReport) -> Result<bool, SyncError> {
    let json = part("receive", text)?;
    let error = &json["error"];
    if !error.is_null() {
        let text = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
        return Err(SyncError { classified: classify::receive_error(&text), during: "receive" });
    }
    let rows = json["rows"].as_u64().ok_or_else(|| protocol("receive", "names no rows", text))?;
    report.rows = report.rows.saturating_add(rows);
    report.bytes = report.bytes.saturating_add(json["bytes"].as_u64().unwrap_or_default());
    report.chunks = report.chunks.saturating_add(json["chunks"].as_u64().unwrap_or_default());
    report.calls += 1;
    for table in json["tables"].as_array().into_iter().flatten().filter_map(Value::as_str).take(64) {
        if report.tables.len() < 64 && !report.tables.iter().any(|known| known == table) {
            report.tables.push(table.to_owned());
        }
    }
    report.last_failure = last_failure(&json["lastFailure"]).or(report.last_failure.take());
    // Versions that fetch everything in one call do not say so.
    Ok(json["complete"].as_bool().unwrap_or(true))
}

fn part(during: &'static str, text: &str) -> Result<Value, SyncError> {
    let json: Value = serde_json::from_str(text).map_err(|e| protocol(during, &format!("is not JSON ({e})"), text))?;
    match json.get(during) {
        Some(part @ Value::Object(_)) => Ok(part.clone()),
        _ => Err(protocol(during, &format!("has no object {during:?}"), text)),
    }
}

fn protocol(during: &'static str, why: &str, text: &str) -> SyncError {
    let message = format!("the provider's answer {why}: {}", cut(text));
    SyncError::noticed(during, Side::Client, Kind::Protocol, Follow::Fail, &message)
}

fn refused(all: &[Value]) -> Vec<Refusal> {
    let text = |value: &Value| cut(value.as_str().unwrap_or_default());
    let one = |r: &Value| Refusal { key: text(&r["key"]), verb: text(&r["verb"]), reason: text(&r["reason"]) };
    all.iter().take(REFUSED_MAX).map(one).collect()
}

/// Reads what the server says of its last failed job.
fn last_failure(json: &Value) -> Option<Classified> {
    if !json.is_object() {
        return None;
    }
    let text = |value: &Value| value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|n| n.to_string()));
    let message = text(&json["message"]).unwrap_or_else(|| json.to_string());
    let message = match text(&json["jobId"]) {
        Some(job) => format!("job {job}: {message}"),
        None => message,
    };
    let retryable = json["retryable"].as_bool();
    Some(classify::classify_job(text(&json["code"]).as_deref(), &message, retryable))
}
