//! A rendered letter as a MIME message. Whatever a finding holds can only end up inside a value: headers are typed, one line
//! and bounded, and bodies are encoded.

use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, MultiPart, SinglePart};

use super::super::SendError;
use super::super::text::{body, bounded, line};
use super::Mail;
use crate::model::message::Subject;
use crate::observe::letter::{Image, Letter, Rendered};

const SUBJECT_CHARS_MAX: usize = 160;
const TEXT_CHARS_MAX: usize = 256 * 1024;
/// A page that is cut is no page: beyond this it is left out.
const HTML_BYTES_MAX: usize = 512 * 1024;
const REPORT_BYTES_MAX: usize = 2 * 1024 * 1024;
const IMAGE_BYTES_MAX: usize = 512 * 1024;
const IMAGES_MAX: usize = 16;
/// The last second that a date header can show.
const LAST_SECOND: u64 = 253_402_300_799;

/// Says to other machines that nobody waits for an answer.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Makes the message; a lean one has neither pictures nor report.
pub(super) fn compose(mail: &Mail, letter: &Letter, rendered: &Rendered, lean: bool) -> Result<Message, SendError> {
    let mut builder = Message::builder()
        .from(mail.from.clone())
        .subject(line(&rendered.subject, SUBJECT_CHARS_MAX))
        .date(date(letter.message.made_ms))
        .message_id(Some(message_id(&letter.message.key, &letter.host)))
        .header(AutoSubmitted);
    for to in &mail.to {
        builder = builder.to(to.clone());
    }
    if let Some(thread) = thread_id(letter) {
        builder = builder.in_reply_to(thread.clone()).references(thread);
    }
    let mut mixed = MultiPart::mixed().multipart(readable(rendered, lean));
    if let Some(report) = rendered.report.as_ref().filter(|report| !lean && report.len() <= REPORT_BYTES_MAX) {
        let json = ContentType::parse("application/json").unwrap_or(ContentType::TEXT_PLAIN);
        mixed = mixed.singlepart(Attachment::new("report.json".to_owned()).body(report.clone(), json));
    }
    builder.multipart(mixed).map_err(|why| SendError::permanent(format!("no mail can be made of the message: {why}")))
}

/// Returns the parts that are read: text, and HTML with its pictures.
fn readable(rendered: &Rendered, lean: bool) -> MultiPart {
    let mut text = bounded(&body(&rendered.text), TEXT_CHARS_MAX);
    for note in left_out(rendered, lean) {
        text.push_str(&format!("\n\n({note})\n"));
    }
    let alternative = MultiPart::alternative().singlepart(encoded(ContentType::TEXT_PLAIN, text));
    let html = body(&rendered.html);
    if html.is_empty() || html.len() > HTML_BYTES_MAX {
        return alternative;
    }
    let mut related = MultiPart::related().singlepart(encoded(ContentType::TEXT_HTML, html));
    for image in pictures(rendered, lean) {
        let png = ContentType::parse("image/png").unwrap_or(ContentType::TEXT_PLAIN);
        related = related.singlepart(Attachment::new_inline(token(&image.cid)).body(image.png.clone(), png));
    }
    alternative.multipart(related)
}

fn pictures(rendered: &Rendered, lean: bool) -> impl Iterator<Item = &Image> {
    rendered.images.iter().filter(move |image| !lean && image.png.len() <= IMAGE_BYTES_MAX).take(IMAGES_MAX)
}

/// Says of everything that is left out why it is not there.
fn left_out(rendered: &Rendered, lean: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if rendered.html.len() > HTML_BYTES_MAX {
        notes.push("The formatted page was too large and was left out.".to_owned());
    }
    match rendered.report.as_ref().map(Vec::len) {
        Some(_) if lean => notes.push(
            "The mail server takes no large mails: pictures and report were left out; soakd report shows them."
                .to_owned(),
        ),
        Some(bytes) if bytes > REPORT_BYTES_MAX => notes.push(format!(
            "The JSON report of {} MiB was too large and was left out; soakd report --format json prints it.",
            bytes / (1024 * 1024)
        )),
        _ => {}
    }
    notes
}

/// Returns a text part whose lines are short and plain ASCII on the wire, whatever is in it.
fn encoded(kind: ContentType, text: String) -> SinglePart {
    SinglePart::builder().header(kind).header(ContentTransferEncoding::QuotedPrintable).body(text)
}

/// Returns when the message was made, as far as a header can say it.
fn date(made_ms: i64) -> SystemTime {
    let since = Duration::from_secs(u64::try_from(made_ms / 1000).unwrap_or(0).min(LAST_SECOND));
    SystemTime::UNIX_EPOCH + since
}

/// Returns the id of a message: the same for every attempt, so that a repeat can be recognised.
fn message_id(key: &str, host: &str) -> String {
    format!("<{}@soakd.{}>", token(key), token(host))
}

/// Returns the id of the thread of an incident, which all messages about it refer to.
fn thread_id(letter: &Letter) -> Option<String> {
    let id = match letter.message.subject {
        Subject::Opened { incident } | Subject::Reopened { incident } | Subject::Resolved { incident } => incident,
        Subject::Digest { .. } | Subject::Summary { .. } | Subject::Test => return None,
    };
    let run = letter.incident.as_ref().map(|incident| incident.run.as_str()).or(letter.message.run.as_deref());
    Some(format!("<incident-{id}.{}@soakd.{}>", token(run.unwrap_or("run")), token(&letter.host)))
}

/// Returns what may stand in an id.
fn token(text: &str) -> String {
    let clean: String =
        text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')).take(128).collect();
    let clean = clean.trim_matches('.').replace("..", ".");
    if clean.is_empty() { "none".to_owned() } else { clean }
}
