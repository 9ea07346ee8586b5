//! The parts of a document as HTML. Everything that comes from outside is escaped, and nothing in it turns or hides text.

use maud::{Markup, html};

use crate::observe::report::document::{Block, Table, code};
use crate::observe::report::words::clean;

/// Cells up to this many characters are not broken.
const SHORT: usize = 22;
/// Characters of a name from which on it may be broken.
const LONG_NAME: usize = 24;

/// Renders parts in their order.
pub(super) fn shown(blocks: &[Block]) -> Markup {
    html! { @for block in blocks { (one(block)) } }
}

fn one(block: &Block) -> Markup {
    match block {
        Block::Title { verdict, of } => html! { p { (badge(verdict)) " " (clean(of)) } },
        Block::Heading(text) => html! { h2 { (clean(text)) } },
        Block::Paragraph(text) => html! { p { (prose(text)) } },
        Block::Facts(facts) => html! {
            @let long = facts.iter().any(|(name, _)| name.chars().count() > LONG_NAME);
            dl class=(if long { "facts long" } else { "facts" }) {
                @for (name, value) in facts { div { dt { (clean(name)) } dd { (cell(value)) } } }
            }
        },
        Block::Table(table) => tabled(table),
        Block::Item { mark, text, details } => html! {
            div.item {
                p { (badge(mark)) (clean(text)) }
                @if !details.is_empty() { ul { @for detail in details { li { (clean(detail)) } } } }
            }
        },
        // Lines that scroll can be reached by the keyboard.
        Block::Verbatim(lines) => html! {
            div.lines tabindex="0" role="group" aria-label="Lines as they were written" { @for line in lines { div { (clean(line)) } } }
        },
    }
}

fn tabled(table: &Table) -> Markup {
    let short = |at: usize| table.rows.iter().all(|row| row.get(at).is_none_or(|cell| cell.chars().count() <= SHORT));
    let classes: Vec<&str> = (table.columns.iter().enumerate())
        .map(|(at, (_, right))| {
            if *right {
                "n"
            } else if short(at) {
                "s"
            } else {
                ""
            }
        })
        .collect();
    html! {
        div.scroll { table {
            thead { tr { @for (at, (title, _)) in table.columns.iter().enumerate() { th scope="col" class=(classes[at]) { (clean(title)) } } } }
            tbody { @for row in &table.rows { tr {
                @for (text, class) in row.iter().zip(&classes) { td class=(class) { (cell(text)) } }
            } } }
        } }
    }
}

/// Shows a verdict as a badge, and anything else as it is.
fn cell(text: &str) -> Markup {
    match text {
        "PASS" | "FAIL" | "INCONCLUSIVE" | "ABORTED" | "UNFINISHED" | "STOPPED" => badge(text),
        "worse" | "better" | "same" | "cannot tell" => badge(text),
        text => html! { (clean(text)) },
    }
}

/// Returns a word in its colour.
pub(super) fn badge(word: &str) -> Markup {
    html! { span class={ "badge " (tone(word)) } { (clean(word)) } }
}

/// Returns the colour that a verdict or a mark has beside its word.
pub(super) fn tone(word: &str) -> &'static str {
    match word.to_ascii_lowercase().as_str() {
        "pass" | "resolved" | "better" | "same" => "good",
        "fail" | "error" | "failure" | "worse" => "bad",
        "inconclusive" | "aborted" | "warning" | "cannot tell" => "unsure",
        _ => "quiet",
    }
}

/// Sets the code spans of soakd's own sentences.
fn prose(text: &str) -> Markup {
    match code(text) {
        Some(parts) => html! {
            @for (at, part) in parts.iter().enumerate() {
                @if at % 2 == 0 { (clean(part)) } @else { code { (clean(part)) } }
            }
        },
        None => html! { (clean(text)) },
    }
}
