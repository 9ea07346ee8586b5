//! Questions that exports ask: what was measured of a run's cycles, the ends of its receipt, and the series that are sampled
//! freely.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, encoded, json, large};
use super::read::{Ask, Asked, Name, asked, found, named, within};
use crate::model::measure::MetricPoints;
use crate::model::series::Point;

/// Metrics of one answer where the request says nothing, and at most: each may have thousands of points.
const METRICS: (usize, usize) = (8, 16);

/// Which metrics are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MeasuresQuery {
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Measures {
    run: String,
    metrics: Vec<MetricPoints>,
    /// Where the next page begins, if there is more.
    next_after: Option<String>,
}

/// `GET /v1/runs/{run}/measures`
pub(super) async fn measures(State(api): Ask, name: Name, query: Asked<MeasuresQuery>) -> Answer {
    let query = asked(query)?;
    let max = within(query.limit, METRICS)?;
    let permit = api.large().await?;
    let run = found(&api, name)?.run;
    let after = query.after.unwrap_or_default();
    // One more than is shown tells whether there are more.
    let mut metrics = api.state.store.with(|store| store.measures_after(&run, &after, max + 1))?;
    let more = metrics.len() > max;
    metrics.truncate(max);
    let next_after = metrics.last().filter(|_| more).map(|last| last.metric.clone());
    large(permit, "application/json", encoded(&Measures { run, metrics, next_after })?)
}

/// `GET /v1/runs/{run}/receipt`
pub(super) async fn receipt(State(api): Ask, name: Name) -> Answer {
    let run = found(&api, name)?.run;
    json(&api.state.store.with(|store| store.receipt(&run))?)
}

#[derive(Serialize)]
struct Names {
    names: Vec<String>,
}

/// `GET /v1/series`
pub(super) async fn names(State(api): Ask) -> Answer {
    json(&Names { names: api.state.store.with(|store| store.series_names())? })
}

/// Which time is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeriesQuery {
    from_ms: Option<i64>,
    until_ms: Option<i64>,
}

#[derive(Serialize)]
struct Series {
    name: String,
    points: Vec<Point>,
}

/// `GET /v1/series/{name}`
pub(super) async fn series(State(api): Ask, name: Name, query: Asked<SeriesQuery>) -> Answer {
    let (query, name) = (asked(query)?, named(name)?);
    let permit = api.large().await?;
    let (from_ms, until_ms) = (query.from_ms.unwrap_or(i64::MIN), query.until_ms.unwrap_or(i64::MAX));
    let points = api.state.store.with(|store| store.series_points(&name, from_ms, until_ms))?;
    large(permit, "application/json", encoded(&Series { name, points })?)
}
