//! Questions: what they read from the status and the state file.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::OPENAPI;
use super::answer::{Answer, Problem, encoded, json, large, text};
use super::routes::Api;
use crate::model::incident::Incident;
use crate::model::record::{CycleRecord, RunRecord};
use crate::model::status::{DaemonState, ScheduleStatus};
use crate::observe::metrics::{OPENMETRICS, PLAIN};
use crate::observe::report::{self, Format, Gathered};
use crate::store::StoreError;

/// Entries of a list where the request says nothing, and at most.
const LIMIT: (usize, usize) = (50, 500);
/// The name that means the newest run.
const LATEST: &str = "latest";

pub(super) type Ask = State<Arc<Api>>;
pub(super) type Name = Result<Path<String>, PathRejection>;
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;

/// `GET /v1/status`
pub(super) async fn status(State(api): Ask) -> Answer {
    json(&api.status()?)
}

/// `GET /v1/runs`
pub(super) async fn runs(State(api): Ask) -> Answer {
    let permit = api.large().await?;
    let runs = api.state.store.with(|store| store.runs())?;
    large(permit, "application/json", report::runs_json(&runs, api.state.clock.now_ms()))
}

/// The run that later ones are compared with.
#[derive(Serialize)]
struct Baseline {
    run: Option<String>,
}

/// `GET /v1/baseline`
pub(super) async fn baseline(State(api): Ask) -> Answer {
    json(&Baseline { run: api.state.store.with(|store| store.baseline())? })
}

/// `GET /v1/runs/{run}`
pub(super) async fn run(State(api): Ask, name: Name) -> Answer {
    json(&found(&api, name)?)
}

/// Which cycles are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CyclesQuery {
    after: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Cycles {
    run: String,
    cycles: Vec<CycleRecord>,
    /// Where the next page begins, if there is more.
    next_after: Option<u64>,
}

/// `GET /v1/runs/{run}/cycles`
pub(super) async fn cycles(State(api): Ask, name: Name, query: Asked<CyclesQuery>) -> Answer {
    let query = asked(query)?;
    let max = limit(query.limit)?;
    let permit = api.large().await?;
    let run = found(&api, name)?.run;
    // One more than is shown tells whether there are more.
    let mut cycles = api.state.store.with(|store| store.cycles_after(&run, query.after.unwrap_or(0), max + 1))?;
    let more = cycles.len() > max;
    cycles.truncate(max);
    let next_after = cycles.last().filter(|_| more).map(|cycle| cycle.cycle);
    large(permit, "application/json", encoded(&Cycles { run, cycles, next_after })?)
}

/// What a report shall look like.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportQuery {
    format: Option<Wanted>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Text,
    Markdown,
    Json,
    Html,
}

/// `GET /v1/runs/{run}/report`
pub(super) async fn report(State(api): Ask, name: Name, query: Asked<ReportQuery>) -> Answer {
    let (format, content_type) = match asked(query)?.format.unwrap_or(Wanted::Json) {
        Wanted::Text => (Format::Text, "text/plain; charset=utf-8"),
        Wanted::Markdown => (Format::Markdown, "text/markdown; charset=utf-8"),
        Wanted::Json => (Format::Json, "application/json"),
        Wanted::Html => (Format::Html, "text/html; charset=utf-8"),
    };
    let permit = api.large().await?;
    let run = found(&api, name)?.run;
    let (store, name) = (api.state.store.clone(), run.clone());
    let made = move || -> Result<Option<String>, StoreError> {
        match format {
            Format::Html => Ok(store.with(|store| Gathered::read(store, &name))?.map(|run| run.page())),
            format => Ok(store.with(|store| store.snapshot(&name))?.map(|snapshot| report::render(&snapshot, format))),
        }
    };
    // Drawing takes longer than a thread that answers others may be kept.
    let made = tokio::task::spawn_blocking(made).await;
    let made = made.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the report could not be made"))??;
    large(permit, content_type, made.ok_or_else(|| Problem::missing(format!("run {run} has no report yet")))?)
}

/// Which incidents are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IncidentsQuery {
    state: Option<Which>,
    before: Option<u64>,
    limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Which {
    Open,
    All,
}

#[derive(Serialize)]
struct Incidents {
    incidents: Vec<Incident>,
}

/// `GET /v1/incidents`
pub(super) async fn incidents(State(api): Ask, query: Asked<IncidentsQuery>) -> Answer {
    let query = asked(query)?;
    let (open_only, max) = (query.state != Some(Which::All), limit(query.limit)?);
    let permit = api.large().await?;
    let incidents = api.state.store.with(|store| store.incidents_before(query.before, open_only, max))?;
    large(permit, "application/json", encoded(&Incidents { incidents })?)
}

/// `GET /v1/incidents/{id}`
pub(super) async fn incident(State(api): Ask, name: Name) -> Answer {
    let id = named(name)?;
    let id: u64 = id.parse().map_err(|_| Problem::bad("the id of an incident is a whole number"))?;
    let incident = api.state.store.with(|store| store.incident(id))?;
    json(&incident.ok_or_else(|| Problem::missing(format!("there is no incident {id}")))?)
}

/// `GET /v1/outbox`
pub(super) async fn outbox(State(api): Ask) -> Answer {
    json(&api.state.store.with(|store| store.outbox_state())?)
}

#[derive(Serialize)]
struct Schedules {
    schedules: Vec<ScheduleStatus>,
}

/// `GET /v1/schedules`
pub(super) async fn schedules(State(api): Ask) -> Answer {
    json(&Schedules { schedules: api.state.status.borrow().schedules.clone() })
}

/// `GET /metrics`
pub(super) async fn metrics(State(api): Ask, headers: HeaderMap) -> Answer {
    let accepts = headers.get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok()).unwrap_or_default();
    let openmetrics = accepts.contains("application/openmetrics-text");
    let shown = api.state.metrics.render(&api.scrape()?, openmetrics);
    text(if openmetrics { OPENMETRICS } else { PLAIN }, shown)
}

#[derive(Serialize)]
struct Alive {
    state: DaemonState,
}

/// `GET /healthz`
pub(super) async fn healthz(State(api): Ask) -> Answer {
    json(&Alive { state: api.state.status.borrow().state })
}

/// `GET /openapi.json`
pub(super) async fn openapi() -> Answer {
    text("application/json", OPENAPI.to_owned())
}

/// Returns the run that a request names.
pub(super) fn found(api: &Api, name: Name) -> Result<RunRecord, Problem> {
    let name = named(name)?;
    let run = api.state.store.with(|store| if name == LATEST { store.latest() } else { store.run(&name) })?;
    run.ok_or_else(|| match name.as_str() {
        LATEST => Problem::missing("there is no run yet"),
        _ => Problem::missing("there is no such run; /v1/runs lists those that are"),
    })
}

pub(super) fn named(name: Name) -> Result<String, Problem> {
    name.map(|Path(name)| name).map_err(|e| Problem::bad(e.body_text()))
}

pub(super) fn asked<T>(query: Asked<T>) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|e| Problem::bad(e.body_text()))
}

fn limit(wanted: Option<usize>) -> Result<usize, Problem> {
    within(wanted, LIMIT)
}

/// Returns how many entries are wanted, of a default and a bound.
pub(super) fn within(wanted: Option<usize>, (default, max): (usize, usize)) -> Result<usize, Problem> {
    match wanted.unwrap_or(default) {
        wanted if (1..=max).contains(&wanted) => Ok(wanted),
        _ => Err(Problem::bad(format!("limit must be 1 to {max}"))),
    }
}
