//! What exports read of the state beside reports, cycles and measures: series, incidents, and the ends of the receipt.

use serde::Deserialize;

use super::{State, only_the_daemon};
use crate::cli::daemon::wait;
use crate::model::incident::Incident;
use crate::model::receipt::Ends;
use crate::model::series::Point;
use crate::observe::api::client::path;

/// Incidents that are read at a time: as many as one answer of the daemon may have.
const INCIDENTS_READ: usize = 500;

#[derive(Deserialize)]
struct IncidentsPage {
    incidents: Vec<Incident>,
}

#[derive(Deserialize)]
struct NamesPage {
    names: Vec<String>,
}

#[derive(Deserialize)]
struct SeriesPage {
    points: Vec<Point>,
}

impl State {
    /// Returns what is kept of a run's receipt beside its cycles.
    pub(in crate::cli) fn receipt(&self, run: &str) -> anyhow::Result<Ends> {
        match self {
            Self::File(store) => Ok(store.receipt(run)?),
            Self::Daemon(client) => Ok(wait(client.get(&path(&["v1", "runs", run, "receipt"], &[])))??),
            Self::Copies { .. } => Err(only_the_daemon("its receipt")),
        }
    }

    /// Returns the names of all series that are sampled by the clock.
    pub(in crate::cli) fn series_names(&self) -> anyhow::Result<Vec<String>> {
        match self {
            Self::File(store) => Ok(store.series_names()?),
            Self::Daemon(client) => Ok(wait(client.get::<NamesPage>("/v1/series"))??.names),
            Self::Copies { .. } => Err(only_the_daemon("what was sampled")),
        }
    }

    /// Returns the points of a series from one time up to, not including, another.
    pub(in crate::cli) fn series(&self, name: &str, from_ms: i64, until_ms: i64) -> anyhow::Result<Vec<Point>> {
        match self {
            Self::File(store) => Ok(store.series_points(name, from_ms, until_ms)?),
            Self::Daemon(client) => {
                let (from, until) = (from_ms.to_string(), until_ms.to_string());
                let asked = path(&["v1", "series", name], &[("from_ms", &from), ("until_ms", &until)]);
                Ok(wait(client.get::<SeriesPage>(&asked))??.points)
            }
            Self::Copies { .. } => Err(only_the_daemon("what was sampled")),
        }
    }

    /// Returns the incidents that were last seen in a run, the newest first.
    pub(in crate::cli) fn incidents_of(&self, run: &str) -> anyhow::Result<Vec<Incident>> {
        let (mut found, mut before) = (Vec::new(), None::<u64>);
        loop {
            let page = match self {
                Self::File(store) => store.incidents_before(before, false, INCIDENTS_READ)?,
                Self::Daemon(client) => {
                    let (max, from) = (INCIDENTS_READ.to_string(), before.map(|before| before.to_string()));
                    let mut asked = vec![("state", "all"), ("limit", max.as_str())];
                    asked.extend(from.as_deref().map(|from| ("before", from)));
                    wait(client.get::<IncidentsPage>(&path(&["v1", "incidents"], &asked)))??.incidents
                }
                Self::Copies { .. } => return Err(only_the_daemon("its incidents")),
            };
            let Some(last) = page.last().map(|incident| incident.id) else { return Ok(found) };
            found.extend(page.into_iter().filter(|incident| incident.run == run));
            before = Some(last);
        }
    }
}
