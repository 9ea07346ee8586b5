//! The report as one HTML page: self-contained, without a script and without a word from elsewhere; in light and dark, on
//! narrow screens and on paper. The sections of the document stand in it as in the other forms, with the charts between them.

mod blocks;
mod more;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use chrono_tz::Tz;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::document::{Block, Document};
use super::words::clean;
use super::{document, headline};
use crate::model::incident::Incident;
use crate::model::record::Snapshot;
use crate::observe::chart::{PAGE, Size};
use crate::observe::figures::{self, Figure, Material, Measures};

const STYLE: &str = include_str!("style.css");
/// Nothing may be fetched, whatever stands in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const CRITERIA: &str = "Criteria";
/// The charts stand before the first of these sections.
const BEHIND_CHARTS: [&str; 2] = ["Databases", "Cycles"];

/// One part of the page.
struct Section {
    id: String,
    heading: String,
    content: Markup,
}

/// Renders a run as a page: always the same one from the same state.
pub fn page(snapshot: &Snapshot, measures: &Measures, incidents: &[Incident], zone: Tz) -> String {
    let given = Material { snapshot, measures, incidents, zone };
    let (title, sections) = laid_out(&given);
    let word = headline(snapshot).word;
    whole(&format!("{word}: {title}"), &more::top(&given, &title), &sections, &closing(&given))
}

/// Renders a document that is no run's as a page of the same looks.
pub(super) fn paper(doc: Document) -> String {
    let (mut word, mut title, mut page) = (String::new(), String::new(), Page::default());
    let mut told: Vec<(String, Vec<Block>)> = Vec::new();
    for block in doc.blocks {
        match block {
            Block::Title { verdict, of } => (word, title) = (verdict, clean(&of)),
            Block::Heading(text) => told.push((text, Vec::new())),
            block => {
                if let Some((_, blocks)) = told.last_mut() {
                    blocks.push(block);
                }
            }
        }
    }
    page.told(None, told);
    let top = html! { header.top class=(blocks::tone(&word)) { (blocks::badge(&word)) h1 { (title) } } };
    whole(
        &format!("{word}: {title}"),
        &top,
        &page.sections,
        "Made by soakd. All times are UTC. The page needs no network.",
    )
}

/// Puts a page together.
fn whole(title: &str, top: &Markup, sections: &[Section], closing: &str) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width,initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#report" { "To the report" }
                div.frame {
                    (top)
                    nav aria-label="Contents" {
                        h2 { "Contents" }
                        ul { @for section in sections { li { a href={ "#" (section.id) } { (section.heading) } } } }
                    }
                    main id="report" {
                        @for section in sections {
                            section id=(section.id) { h2 { (section.heading) } (section.content) }
                        }
                    }
                    footer { p { (closing) } }
                }
            }
        }
    }
    .into_string()
}

/// Returns what stands below everything.
fn closing(given: &Material) -> String {
    let zone = match given.zone {
        Tz::UTC => "All times are UTC.".to_owned(),
        zone => format!("Times in charts are those of {}, all others UTC.", zone.name()),
    };
    let run = &given.snapshot.run;
    format!("Report of run {} by soakd, from its state file. {zone} The page needs no network.", clean(&run.run))
}

/// Puts the sections in their order; the title is shown apart.
fn laid_out(given: &Material) -> (String, Vec<Section>) {
    let mut title = String::new();
    let mut told: Vec<(String, Vec<Block>)> = Vec::new();
    for block in document(given.snapshot).blocks {
        match block {
            Block::Title { of, .. } => title = clean(&of),
            Block::Heading(text) => told.push((text, Vec::new())),
            block => {
                // What comes before the first heading is the reason, which stands at the top.
                if let Some((_, blocks)) = told.last_mut() {
                    blocks.push(block);
                }
            }
        }
    }
    let charts = told.iter().position(|(heading, _)| BEHIND_CHARTS.contains(&heading.as_str())).unwrap_or(told.len());
    let behind = told.split_off(charts);
    let mut page = Page::default();
    let mut drawn = figures::sections(given).into_iter();
    if let Some(course) = drawn.next() {
        page.figures(course);
    }
    if !told.iter().any(|(heading, _)| heading == CRITERIA) {
        page.more(CRITERIA, more::criteria(given.snapshot, true));
    }
    page.told(Some(given.snapshot), told);
    drawn.for_each(|section| page.figures(section));
    page.document("Incidents", more::incidents(given));
    page.told(Some(given.snapshot), behind);
    page.document("Metrics", more::metrics(given));
    (title, page.sections)
}

/// Sections of a page with names of their own.
#[derive(Default)]
struct Page {
    sections: Vec<Section>,
    ids: BTreeSet<String>,
}

impl Page {
    fn add(&mut self, heading: &str, content: Markup) {
        let heading = clean(heading);
        let plain: String = heading
            .chars()
            .take(60)
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let mut id = plain.clone();
        let mut no = 2;
        while !self.ids.insert(id.clone()) {
            id = format!("{plain}-{no}");
            no += 1;
        }
        self.sections.push(Section { id, heading, content });
    }

    fn more(&mut self, heading: &str, content: Option<Markup>) {
        if let Some(content) = content {
            self.add(heading, content);
        }
    }

    /// Adds sections of the document; the criteria have their table first.
    fn told(&mut self, snapshot: Option<&Snapshot>, sections: Vec<(String, Vec<Block>)>) {
        for (heading, blocks) in sections {
            let table = snapshot.filter(|_| heading == CRITERIA).and_then(|snapshot| more::criteria(snapshot, false));
            self.add(&heading, html! { @if let Some(table) = table { (table) } (blocks::shown(&blocks)) });
        }
    }

    fn document(&mut self, heading: &str, doc: Document) {
        if !doc.blocks.is_empty() {
            self.add(heading, blocks::shown(&doc.blocks));
        }
    }

    fn figures(&mut self, section: figures::Section) {
        let content = html! {
            @if !section.intro.is_empty() { p.note { (section.intro) } }
            div.figures { @for figure in &section.figures { (drawn(figure)) } }
        };
        self.add(section.heading, content);
    }
}

fn drawn(figure: &Figure) -> Markup {
    html! {
        figure class=(if figure.width() > Size::HALF.width { "wide" } else { "half" }) {
            figcaption { (clean(&figure.caption)) }
            div.plot { (PreEscaped(figure.svg(&PAGE))) }
            p.alt { (clean(&figure.alt)) }
        }
    }
}
