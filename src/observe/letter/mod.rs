//! What messages to people say: subject, text, HTML with charts, and attachments, made from plain data. Nothing here is sent.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use crate::model::incident::Incident;
use crate::model::message::{Message, OutboxState};
use crate::model::record::Snapshot;

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
    /// The incident that it is about.
    pub incident: Option<Incident>,
    /// Incidents for a digest or a summary: those that are open, and those that changed lately.
    pub incidents: Vec<Incident>,
    /// The run that it is about, or the newest one.
    pub snapshot: Option<Snapshot>,
    /// Measured values by name, as (time, value): memory of parts, free disk space.
    pub series: BTreeMap<String, Vec<(i64, f64)>>,
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

/// Makes a message.
pub fn render(letter: &Letter) -> Rendered {
    Rendered {
        subject: format!("soakd: {:?}", letter.message.subject),
        text: String::new(),
        html: String::new(),
        images: Vec::new(),
        report: None,
    }
}
