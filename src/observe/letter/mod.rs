//! What messages to people say: subject, text, HTML with charts, and attachments, made from plain data. Nothing here is sent.

mod advice;
mod charts;
mod html;
mod incident;
mod overview;
mod page;
mod run;
mod subject;
#[cfg(test)]
mod tests;
mod text;
mod words;

use std::collections::BTreeMap;
use std::io::{self, Write};

use chrono_tz::Tz;

use crate::model::incident::Incident;
use crate::model::measure::Measured;
use crate::model::message::{Message, OutboxState, Subject};
use crate::model::record::Snapshot;
use crate::observe::report::words::between;
use crate::observe::report::{self, Format};
use charts::Charts;
use page::Page;

/// Largest text part.
pub const TEXT_MAX: usize = 64 * 1024;
/// Largest HTML part, without its pictures.
pub const HTML_MAX: usize = 200 * 1024;
/// Largest report that is attached.
pub const REPORT_MAX: usize = 2 * 1024 * 1024;
/// A message that waited longer than this says so.
const DELAY_MS: u64 = 10 * 60_000;

/// Everything that a message can be made from.
#[derive(Debug, Clone)]
pub struct Letter {
    pub message: Message,
    /// When it is rendered; the message itself may have waited long.
    pub now_ms: i64,
    /// Zone in which times are shown.
    pub zone: Tz,
    /// Name of the machine.
    pub host: String,
    /// Configuration file, for the command that reproduces a failure.
    pub config: String,
    /// Directory of state and reports; empty when it is not known.
    pub state_dir: String,
    /// The incident that it is about.
    pub incident: Option<Incident>,
    /// Incidents for a digest or a summary: those that are open, and those that changed lately.
    pub incidents: Vec<Incident>,
    /// The run that it is about, or the newest one.
    pub snapshot: Option<Snapshot>,
    /// Measured values by name, as (time, value): memory of parts, free disk space.
    pub series: BTreeMap<String, Vec<(i64, f64)>>,
    /// What was measured at the quiet end of each cycle of that run, as far as charts show it.
    pub measures: BTreeMap<String, Vec<Measured>>,
    /// Faults that are injected right now.
    pub faults: Vec<String>,
    pub outbox: OutboxState,
}

/// A picture that the HTML part shows by its content id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub cid: String,
    pub alt: String,
    pub png: Vec<u8>,
}

/// A finished message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line, without control characters.
    pub subject: String,
    pub text: String,
    pub html: String,
    pub images: Vec<Image>,
    /// The JSON report of the run.
    pub report: Option<Vec<u8>>,
}

/// Makes a message; whatever the data is, it stays within the limits above, and nothing in it is obeyed by a mail program.
pub fn render(letter: &Letter) -> Rendered {
    let (report, attached) = attachment(letter);
    let test = matches!(letter.message.subject, Subject::Test);
    let charts = if test { Charts::default() } else { charts::charts(letter) };
    let page = lay_out(letter, &charts, attached);
    let mut html = html::render(&page, &preheader(&page));
    let mut images: Vec<Image> = charts.drawn.into_iter().map(|(_, image)| image).collect();
    let shown = |image: &Image| html.contains(&format!("cid:{}", image.cid));
    images.retain(shown);
    if html.len() > HTML_MAX {
        let mut short = Page::new(page.tone, &page.badge, &page.title, &page.lead);
        short.paragraph("The rest is too long to be shown here: see the text part of this mail, or the report.");
        html = html::render(&short, &page.lead);
        images.clear();
    }
    Rendered { subject: subject::subject(letter), text: bounded(text::render(&page)), html, images, report }
}

fn lay_out(letter: &Letter, charts: &Charts, attached: Result<(), &str>) -> Page {
    let known = letter.incident.as_ref();
    match (&letter.message.subject, known) {
        (Subject::Opened { .. } | Subject::Reopened { .. }, Some(known)) => {
            incident::failed(letter, known, charts, attached)
        }
        (Subject::Resolved { .. }, Some(known)) => incident::resolved(letter, known, charts, attached),
        (Subject::Opened { incident } | Subject::Reopened { incident } | Subject::Resolved { incident }, None) => {
            incident::gone(letter, *incident, attached)
        }
        (Subject::Digest { from_ms, until_ms }, _) => overview::digest(letter, (*from_ms, *until_ms), charts, attached),
        (Subject::Summary { ended, .. }, _) => overview::summary(letter, *ended, charts, attached),
        (Subject::Test, _) => overview::test(letter),
    }
}

/// Returns the JSON report, or the reason why there is none.
fn attachment(letter: &Letter) -> (Option<Vec<u8>>, Result<(), &'static str>) {
    let Some(snapshot) = letter.snapshot.as_ref().filter(|_| letter.message.subject != Subject::Test) else {
        return (None, Err("No report is attached, because no run is kept that it could be of."));
    };
    const TOO_LARGE: &str =
        "The JSON report is larger than 2 MiB and not attached; it is in the directory above as report.json.";
    // The snapshot is the larger part of its report: one that is too large alone is not made into one.
    if serde_json::to_writer(Room(REPORT_MAX), snapshot).is_err() {
        return (None, Err(TOO_LARGE));
    }
    let report = report::render(snapshot, Format::Json).into_bytes();
    if report.len() > REPORT_MAX { (None, Err(TOO_LARGE)) } else { (Some(report), Ok(())) }
}

/// Counts what is written, and refuses what is more than the bytes that are left.
struct Room(usize);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says that a message comes late, when it does.
fn delay(page: &mut Page, letter: &Letter) {
    let waited = between(letter.message.made_ms, letter.now_ms);
    if waited > DELAY_MS {
        page.paragraph(format!(
            "This message was delayed by {}: it was made at {} and could not be delivered earlier. What it says is as of {}.",
            words::length(waited),
            words::moment(letter.message.made_ms, letter.zone),
            words::moment(letter.now_ms, letter.zone),
        ));
    }
}

/// Returns what mail programs show beside the subject.
fn preheader(page: &Page) -> String {
    words::line(&format!("{}: {}", page.lead, page.title), 140)
}

/// Cuts the text part at the end of a line, and says so.
fn bounded(mut text: String) -> String {
    const CUT: &str = "\n[cut: this mail would be longer than 64 KiB; the report has all]\n";
    if text.len() <= TEXT_MAX {
        return text;
    }
    let mut end = TEXT_MAX - CUT.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(text[..end].rfind('\n').unwrap_or(0));
    text.push_str(CUT);
    text
}
