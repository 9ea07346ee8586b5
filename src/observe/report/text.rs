//! The report for a terminal: at most 100 columns, aligned, and readable without colour.

use super::document::{Block, Document, Table};
use super::words::clean;
use crate::observe::wrap::{self, fit};

/// Widest line.
const WIDTH: usize = 100;
/// Cells longer than this are cut in tables.
const CELL_MAX: usize = 40;

/// Renders a document as plain text.
pub(super) fn render(doc: &Document) -> String {
    let mut out = String::new();
    for block in &doc.blocks {
        match block {
            Block::Title { verdict, of } => {
                let line = format!("{verdict}  {}", clean(of));
                wrap(&mut out, "", "  ", &line);
                line_of(&mut out, '=', line.chars().count().min(WIDTH));
            }
            Block::Heading(text) => {
                out.push('\n');
                wrap(&mut out, "", "", &clean(text));
                line_of(&mut out, '-', text.chars().count().min(WIDTH));
            }
            Block::Paragraph(text) => wrap(&mut out, "", "", &clean(text)),
            Block::Facts(facts) => write_facts(&mut out, facts),
            Block::Table(table) => write_table(&mut out, table),
            Block::Item { mark, text, details } => {
                wrap(&mut out, &format!("{:<15} ", format!("[{mark}]")), &" ".repeat(16), &clean(text));
                details.iter().for_each(|detail| wrap(&mut out, "    ", "      ", &clean(detail)));
            }
            Block::Verbatim(lines) => lines.iter().for_each(|line| wrap(&mut out, "  | ", "  |   ", &clean(line))),
        }
    }
    out
}

fn line_of(out: &mut String, c: char, width: usize) {
    out.extend(std::iter::repeat_n(c, width));
    out.push('\n');
}

fn write_facts(out: &mut String, facts: &[(String, String)]) {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(CELL_MAX);
    let rest = " ".repeat(width + 4);
    for (name, value) in facts {
        wrap(out, &format!("  {:<width$}  ", fit(&clean(name), width)), &rest, &clean(value));
    }
}

fn write_table(out: &mut String, table: &Table) {
    let cells = |row: &Vec<String>| row.iter().map(|cell| fit(&clean(cell), CELL_MAX)).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = table.rows.iter().map(cells).collect();
    let widths: Vec<usize> = (table.columns.iter().enumerate())
        .map(|(at, (title, _))| {
            rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0).max(title.chars().count())
        })
        .collect();
    let titles = table.columns.iter().map(|(title, _)| title.clone()).collect();
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect();
    for row in [titles, rule].iter().chain(&rows) {
        let mut line = String::from(" ");
        for ((cell, width), (_, right)) in row.iter().zip(&widths).zip(&table.columns) {
            line.push_str(&if *right { format!(" {cell:>width$}") } else { format!(" {cell:<width$}") });
        }
        out.push_str(&fit(line.trim_end(), WIDTH));
        out.push('\n');
    }
}

/// Writes text after `first`, and further lines after `rest`.
fn wrap(out: &mut String, first: &str, rest: &str, text: &str) {
    wrap::wrap(out, WIDTH, (first, rest), text);
}
