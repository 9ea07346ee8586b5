//! Which charts there are of a run, and what each says in words for those who do not see it; the page of a report and the
//! mails show the same ones. A figure is a pure function of what the state file holds, of a size that its points bound.

mod around;
mod course;
pub(crate) mod errors;
mod kinds;
mod lines;
mod memory;
#[cfg(test)]
mod tests;
pub(crate) mod words;

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono_tz::Tz;

use around::around;
pub(crate) use around::concerned;
pub(crate) use kinds::{actions, latency_of};
pub(crate) use lines::extent;
pub(crate) use memory::{examined, fits, growth, memory_of};

use crate::model::incident::Incident;
use crate::model::measure::Measured;
use crate::model::record::Snapshot;
use crate::observe::chart::{self, Lanes, Palette, Spec};

/// What was measured at the end of each cycle, by metric.
pub(crate) type Measures = BTreeMap<String, Vec<Measured>>;

/// What figures are made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Material<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) measures: &'a Measures,
    pub(crate) incidents: &'a [Incident],
    pub(crate) zone: Tz,
}

/// What a figure consists of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Drawing {
    Chart(Box<Spec>),
    Lanes(Lanes),
}

/// One chart with its words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    pub(crate) caption: String,
    /// The same in one or two sentences with figures.
    pub(crate) alt: String,
    pub(crate) drawing: Drawing,
}

impl Figure {
    pub(crate) fn chart(caption: impl Into<String>, alt: String, spec: Spec) -> Self {
        Self { caption: caption.into(), alt, drawing: Drawing::Chart(Box::new(spec)) }
    }

    /// Draws it.
    pub(crate) fn svg(&self, paint: &Palette) -> String {
        match &self.drawing {
            Drawing::Chart(spec) => chart::line_chart(spec, paint),
            Drawing::Lanes(lanes) => chart::lanes(lanes, paint),
        }
    }

    /// Returns its width in units.
    pub(crate) fn width(&self) -> f64 {
        match &self.drawing {
            Drawing::Chart(spec) => spec.size.width,
            Drawing::Lanes(lanes) => lanes.width,
        }
    }
}

/// Figures that belong together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Section {
    pub(crate) heading: &'static str,
    /// What is there to know before looking at them.
    pub(crate) intro: String,
    pub(crate) figures: Vec<Figure>,
}

/// Returns all figures that the data is enough for.
pub(crate) fn sections(given: &Material) -> Vec<Section> {
    let measures = with_cycles(given);
    let given = Material { measures: &measures, ..*given };
    let around = around(&given);
    let mut sections = vec![course::section(&given)];
    sections.push(memory::section(&given, &around));
    sections.push(kinds::latency(&given, &around));
    sections.push(errors::section(&given, &around));
    sections.extend(kinds::sections(&given, &around));
    sections.retain(|section| !section.figures.is_empty());
    sections
}

/// Adds what the records of cycles tell where it was not measured.
fn with_cycles<'a>(given: &Material<'a>) -> Cow<'a, Measures> {
    let known = lines::of_cycles(&given.snapshot.cycles);
    if known.keys().all(|metric| given.measures.contains_key(metric)) {
        return Cow::Borrowed(given.measures);
    }
    let mut all = given.measures.clone();
    for (metric, points) in known {
        all.entry(metric).or_insert(points);
    }
    Cow::Owned(all)
}
