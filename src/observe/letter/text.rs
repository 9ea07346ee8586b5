//! The text part: at most 78 columns, and enough to act on without the HTML part.

use super::page::{Block, Page, Table};
use crate::observe::wrap::{self, fit};

/// Widest line.
const WIDTH: usize = 78;
/// Names of facts and cells of tables that are longer are cut.
const CELL_MAX: usize = 26;

/// Renders a page as plain text.
pub(super) fn render(page: &Page) -> String {
    let mut out = String::new();
    wrap(&mut out, &format!("{}: ", page.badge), "  ", &page.title);
    rule(&mut out, '=');
    wrap(&mut out, "", "", &page.lead);
    for block in &page.blocks {
        match block {
            Block::Heading(text) => {
                out.push('\n');
                wrap(&mut out, "", "", &text.to_uppercase());
                rule(&mut out, '-');
            }
            Block::Paragraph(text) => wrap(&mut out, "", "", text),
            Block::Facts(facts) => write_facts(&mut out, facts),
            Block::List(lines) => lines.iter().for_each(|text| wrap(&mut out, "  * ", "    ", text)),
            Block::Steps(lines) => {
                for (at, text) in lines.iter().enumerate() {
                    wrap(&mut out, &format!("  {}. ", at + 1), "     ", text);
                }
            }
            Block::Table(table) => write_table(&mut out, table),
            Block::Verbatim(lines) => lines.iter().for_each(|text| wrap(&mut out, "    ", "      ", text)),
            // The figures of a chart are said in words, because nobody sees it here.
            Block::Chart { caption, alt, .. } => wrap(&mut out, "  * ", "    ", &format!("{caption}: {alt}")),
        }
    }
    out
}

fn rule(out: &mut String, c: char) {
    out.extend(std::iter::repeat_n(c, WIDTH));
    out.push('\n');
}

fn write_facts(out: &mut String, facts: &[(String, String)]) {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(CELL_MAX);
    let rest = " ".repeat(width + 4);
    for (name, value) in facts {
        wrap(out, &format!("  {:<width$}  ", fit(name, width)), &rest, value);
    }
}

/// Writes a table whose last column is wrapped below itself.
fn write_table(out: &mut String, table: &Table) {
    let Some(last) = table.columns.len().checked_sub(1) else { return };
    let cell = |row: &[String], at: usize| fit(row.get(at).map_or("", String::as_str), CELL_MAX);
    let titles: Vec<String> = table.columns.iter().map(|(title, _)| title.clone()).collect();
    let all = || std::iter::once(&titles).chain(&table.rows);
    let widths: Vec<usize> =
        (0..last).map(|at| all().map(|row| cell(row, at).chars().count()).max().unwrap_or(0)).collect();
    for row in all() {
        let mut first = String::from("  ");
        for (at, width) in widths.iter().enumerate() {
            let cell = cell(row, at);
            let right = table.columns[at].1;
            first.push_str(&if right { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") });
        }
        let indent = first.chars().count();
        // Columns before it leave too little room for a column of words: it gets lines of its own.
        if indent > WIDTH - 20 {
            out.push_str(first.trim_end());
            out.push('\n');
            first = "      ".to_owned();
        }
        let rest = " ".repeat(first.chars().count());
        wrap(out, &first, &rest, row.get(last).map_or("", String::as_str));
    }
}

/// Writes text after `first`, and further lines after `rest`.
fn wrap(out: &mut String, first: &str, rest: &str, text: &str) {
    wrap::wrap(out, WIDTH, (first, rest), text);
}
