//! Events as they happen, as server-sent events. A stream begins with the whole status; a client that is too slow, or comes
//! back, is told that it missed some and gets no replay. The daemon never waits for a client.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio_util::io::ReaderStream;

use super::answer::{Answer, PIPE_BYTES, Problem};
use super::routes::{Api, STREAMS_MAX};
use super::told::told;
use crate::engine::event::RunEvent;
use crate::model::status::{Board, Status};

/// Time between two signs of life.
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// How long a client is to wait before it comes back.
const RETRY_MS: u32 = 3000;
/// Largest event.
const EVENT_BYTES_MAX: usize = 16 * 1024;

/// `GET /v1/events`
pub(super) async fn events(State(api): State<Arc<Api>>) -> Answer {
    let Ok(permit) = Arc::clone(&api.streams).try_acquire_owned() else {
        return Err(Problem::busy(format!("{STREAMS_MAX} clients follow the events already; end one of them")));
    };
    // Before the status is read: what happens in between is in the stream.
    let events = api.state.events.subscribe();
    let (pipe, reader) = tokio::io::duplex(PIPE_BYTES);
    tokio::spawn(async move {
        let _held: OwnedSemaphorePermit = permit;
        let stop = api.stop.clone();
        let (mut back, pipe) = tokio::io::split(pipe);
        let mut stream = Stream { pipe, api, no: 0 };
        tokio::select! {
            () = stop.cancelled() => {}
            // Nothing ever comes back but the end, when the client went away; that is no error.
            _ = back.read_u8() => {}
            _ = stream.follow(events) => {}
        }
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(ReaderStream::new(reader))).into_response())
}

/// One client's stream.
struct Stream {
    pipe: WriteHalf<DuplexStream>,
    api: Arc<Api>,
    no: u64,
}

impl Stream {
    async fn follow(&mut self, mut events: broadcast::Receiver<RunEvent>) -> std::io::Result<()> {
        self.pipe.write_all(format!("retry: {RETRY_MS}\n\n").as_bytes()).await?;
        // The events that follow tell of workers, checks and errors; all of them would be too large for one event.
        let brief = |status| Status { board: Board::default(), ..status };
        let status = self.api.status().ok().and_then(|status| serde_json::to_value(brief(status)).ok());
        self.event("status", status.unwrap_or(Value::Null)).await?;
        let mut alive = tokio::time::interval(ALIVE_EVERY);
        alive.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(event) => {
                        let (kind, data) = told(&event);
                        self.event(kind, data).await?;
                    }
                    Err(broadcast::error::RecvError::Lagged(events)) => {
                        self.event("missed", json!({ "events": events })).await?;
                    }
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                },
                _ = alive.tick() => self.pipe.write_all(b": alive\n\n").await?,
            }
        }
    }

    async fn event(&mut self, kind: &str, data: Value) -> std::io::Result<()> {
        self.no += 1;
        let at_ms = self.api.state.clock.now_ms();
        // serde_json writes no line breaks, so one `data:` line is enough.
        let mut body = json!({ "at_ms": at_ms, "kind": kind, "data": data }).to_string();
        if body.len() > EVENT_BYTES_MAX {
            body = json!({ "at_ms": at_ms, "kind": kind, "data": Value::Null, "cut": true }).to_string();
        }
        self.pipe.write_all(format!("id: {}\nevent: {kind}\ndata: {body}\n\n", self.no).as_bytes()).await
    }
}
