//! Reports of a run: the same document for the terminal, for Markdown and as JSON. Everything here but [`write_files`] is a
//! pure function of a snapshot; nothing asks the clock, the state file or the terminal.

mod criteria;
mod document;
mod evidence;
mod files;
mod findings;
mod headline;
mod json;
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

pub use files::{read_run, read_runs, runs_json, snapshot_of, write_files};
pub use headline::{Headline, headline};
pub use overview::runs_text;
pub use spread::{Shape, Spread, spread};
pub use words::clock;

use crate::model::record::Snapshot;

/// What a report looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Markdown,
    Json,
}

/// Renders the report of a run.
pub fn render(snapshot: &Snapshot, format: Format) -> String {
    match format {
        Format::Text => text::render(&document(snapshot)),
        Format::Markdown => markdown::render(&document(snapshot)),
        Format::Json => json::render(snapshot),
    }
}

/// Lays out all sections in the order in which people ask: what came out, of what, why, and how to get there again.
fn document(snapshot: &Snapshot) -> document::Document {
    let mut doc = document::Document::default();
    overview::title(&mut doc, snapshot);
    overview::run(&mut doc, snapshot);
    criteria::criteria(&mut doc, snapshot);
    overview::databases(&mut doc, snapshot);
    overview::cycles(&mut doc, snapshot);
    latency::latency(&mut doc, snapshot);
    evidence::checks(&mut doc, snapshot);
    findings::errors(&mut doc, snapshot);
    over_time::over_time(&mut doc, snapshot);
    findings::outages(&mut doc, snapshot);
    findings::logs(&mut doc, snapshot);
    evidence::versions(&mut doc, snapshot);
    evidence::history(&mut doc, snapshot);
    evidence::again(&mut doc, snapshot);
    doc
}
