//! The form of Slack's incoming webhooks, which many others take too.

use serde_json::{Value, json};

use super::super::text::{body as clean, bounded, line};
use crate::model::message::Subject;
use crate::observe::letter::{Letter, Rendered};

/// Slack refuses a section with a longer text.
const SECTION_CHARS_MAX: usize = 3000;
/// Sections of text; more is for the mail and the report.
const SECTIONS_MAX: usize = 3;
const LINE_CHARS_MAX: usize = 300;

/// Makes the body.
pub(super) fn body(letter: &Letter, rendered: &Rendered) -> Value {
    let subject = escaped(&line(&rendered.subject, LINE_CHARS_MAX));
    let mut blocks = vec![section(&format!("{} *{}*", sign(&letter.message.subject), subject.replace('*', "∗")))];
    blocks.extend(quoted(&clean(&rendered.text)).iter().map(|text| section(text)));
    json!({ "text": subject, "blocks": blocks })
}

fn sign(subject: &Subject) -> &'static str {
    match subject {
        Subject::Opened { .. } | Subject::Reopened { .. } => ":red_circle:",
        Subject::Resolved { .. } => ":large_green_circle:",
        Subject::Digest { .. } | Subject::Summary { .. } | Subject::Test => ":information_source:",
    }
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

/// Returns a text as blocks of fixed-width lines, each within the limit after escaping.
fn quoted(text: &str) -> Vec<String> {
    const FENCE: &str = "```";
    let room = SECTION_CHARS_MAX - 2 * FENCE.len() - 2;
    let mut blocks: Vec<String> = Vec::new();
    let mut block = String::new();
    let mut chars = 0;
    for text_line in text.trim().lines() {
        // A fence within the text would end the block.
        let text_line = escaped(&bounded(text_line, LINE_CHARS_MAX)).replace(FENCE, "'''");
        let more = text_line.chars().count() + 1;
        if chars + more > room {
            blocks.push(std::mem::take(&mut block));
            chars = 0;
        }
        if blocks.len() == SECTIONS_MAX {
            break;
        }
        block.push_str(&text_line);
        block.push('\n');
        chars += more;
    }
    if !block.trim().is_empty() && blocks.len() < SECTIONS_MAX {
        blocks.push(block);
    }
    blocks.iter().map(|block| format!("{FENCE}\n{block}{FENCE}")).collect()
}

/// Escapes the three characters that Slack reads as markup, so that no text can mention people or hide a link.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
