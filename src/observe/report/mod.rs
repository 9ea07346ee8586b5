//! Reports of a run: the same document for the terminal, for Markdown and as JSON. Everything here but [`write_files`] is a
//! pure function of a snapshot; nothing asks the clock, the state file or the terminal.

mod backends;
pub mod comparison;
mod criteria;
mod document;
mod evidence;
pub(crate) mod figures;
mod files;
mod findings;
mod headline;
pub(crate) mod html;
mod json;
mod lanes;
mod latency;
mod markdown;
mod over_time;
mod overview;
#[cfg(test)]
pub(crate) mod sample;
mod spread;
#[cfg(test)]
pub(crate) mod tests;
mod text;
pub(crate) mod words;

pub use backends::{Column, LaneColumn, SideBySide};
pub use comparison::{Compared, Comparisons};
pub use files::{read_page, read_run, read_runs, runs_json, snapshot_of, write_files, write_page};
pub use headline::{Headline, headline};
pub use html::page;
pub use overview::runs_text;
pub use spread::{Shape, Spread, spread};
pub use words::clock;

use std::collections::BTreeMap;

use chrono_tz::Tz;

use crate::model::incident::Incident;
use crate::model::measure::Measured;
use crate::model::record::Snapshot;
use crate::store::{Store, StoreError};

/// What a report looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Markdown,
    Json,
    Html,
}

/// Renders the report of a run; see [`page`] for one in HTML with all that is known beside the snapshot.
pub fn render(snapshot: &Snapshot, format: Format) -> String {
    match format {
        Format::Text => text::render(&document(snapshot)),
        Format::Markdown => markdown::render(&document(snapshot)),
        Format::Json => json::render(snapshot),
        Format::Html => page(snapshot, &BTreeMap::new(), &[], Tz::UTC),
    }
}

/// Incidents that a page is made from; it lists fewer.
const INCIDENTS_MAX: usize = 1000;

/// Everything that a page is made from, as the state file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Gathered {
    snapshot: Snapshot,
    measures: BTreeMap<String, Vec<Measured>>,
    incidents: Vec<Incident>,
}

impl Gathered {
    /// Reads what there is of a run, or nothing if there is no such run.
    pub fn read(store: &Store, run: &str) -> Result<Option<Self>, StoreError> {
        let Some(snapshot) = store.snapshot(run)? else { return Ok(None) };
        let (measures, incidents) = (store.measures(run)?, store.incidents(false, INCIDENTS_MAX)?);
        Ok(Some(Self { snapshot, measures, incidents }))
    }

    /// Renders the page, which takes a while: not for those who hold the state file.
    pub fn page(&self) -> String {
        page(&self.snapshot, &self.measures, &self.incidents, Tz::UTC)
    }
}

/// What a comparison of runs looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ComparisonFormat {
    #[default]
    Text,
    Markdown,
    Json,
    Html,
}

/// Renders a comparison of runs.
pub fn compared(all: &Comparisons, format: ComparisonFormat) -> String {
    match format {
        ComparisonFormat::Text => text::render(&comparison::document(all)),
        ComparisonFormat::Markdown => markdown::render(&comparison::document(all)),
        ComparisonFormat::Json => json::comparisons(all),
        ComparisonFormat::Html => html::paper(comparison::document(all)),
    }
}

/// Renders one workload on several databases.
pub fn side_by_side(all: &SideBySide, format: ComparisonFormat) -> String {
    match format {
        ComparisonFormat::Text => text::render(&backends::document(all)),
        ComparisonFormat::Markdown => markdown::render(&backends::document(all)),
        ComparisonFormat::Json => json::side_by_side(all),
        ComparisonFormat::Html => html::paper(backends::document(all)),
    }
}

/// Lays out all sections in the order in which people ask: what came out, of what, why, and how to get there again.
fn document(snapshot: &Snapshot) -> document::Document {
    let mut doc = document::Document::default();
    overview::title(&mut doc, snapshot);
    overview::run(&mut doc, snapshot);
    criteria::criteria(&mut doc, snapshot);
    overview::databases(&mut doc, snapshot);
    lanes::lanes(&mut doc, snapshot);
    overview::cycles(&mut doc, snapshot);
    latency::latency(&mut doc, snapshot);
    evidence::checks(&mut doc, snapshot);
    findings::errors(&mut doc, snapshot);
    over_time::over_time(&mut doc, snapshot);
    findings::outages(&mut doc, snapshot);
    findings::logs(&mut doc, snapshot);
    comparison::baseline(&mut doc, snapshot.baseline.as_ref());
    comparison::changes(&mut doc, &snapshot.changes);
    evidence::versions(&mut doc, snapshot);
    evidence::history(&mut doc, snapshot);
    evidence::again(&mut doc, snapshot);
    doc
}
