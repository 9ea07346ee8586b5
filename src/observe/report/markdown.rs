//! The report as Markdown. Everything that comes from outside is escaped: it may hold pipes, backticks or markup.

use super::document::{Block, Document, Table, code};
use super::words::clean;

/// Renders a document as Markdown.
pub(super) fn render(doc: &Document) -> String {
    let mut out = String::new();
    let mut in_items = false;
    for block in &doc.blocks {
        let item = matches!(block, Block::Item { .. });
        let goes_on = out.is_empty() || (item && in_items);
        if !goes_on {
            out.push('\n');
        }
        in_items = item;
        match block {
            Block::Title { verdict, of } => out.push_str(&format!("# {}: {}\n", escape(verdict), escape(of))),
            Block::Heading(text) => out.push_str(&format!("## {}\n", escape(text))),
            Block::Paragraph(text) => out.push_str(&format!("{}\n", prose(text))),
            Block::Facts(facts) => {
                let rows = facts.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect();
                let columns = vec![("Name".to_owned(), false), ("Value".to_owned(), false)];
                write_table(&mut out, &Table { columns, rows });
            }
            Block::Table(table) => write_table(&mut out, table),
            Block::Item { mark, text, details } => {
                out.push_str(&format!("- **{}** {}\n", escape(mark), escape(text)));
                details.iter().for_each(|detail| out.push_str(&format!("  - {}\n", escape(detail))));
            }
            Block::Verbatim(lines) => write_verbatim(&mut out, lines),
        }
    }
    out
}

fn write_table(out: &mut String, table: &Table) {
    let titles: Vec<_> = table.columns.iter().map(|(title, _)| escape(title)).collect();
    let rule: Vec<_> = table.columns.iter().map(|(_, right)| if *right { "---:" } else { "---" }).collect();
    out.push_str(&format!("| {} |\n| {} |\n", titles.join(" | "), rule.join(" | ")));
    for row in &table.rows {
        let cells: Vec<_> = row.iter().map(|cell| escape(cell)).collect();
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
}

/// Writes lines in a fence that is longer than any run of backticks within.
fn write_verbatim(out: &mut String, lines: &[String]) {
    let longest = lines.iter().flat_map(|line| line.split(|c| c != '`')).map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    out.push_str(&format!("{fence}text\n"));
    lines.iter().for_each(|line| out.push_str(&format!("{}\n", clean(line))));
    out.push_str(&format!("{fence}\n"));
}

/// Escapes a paragraph; the code spans of soakd's own sentences are kept.
fn prose(text: &str) -> String {
    let Some(parts) = code(text) else { return escape(text) };
    format!("{}`{}`{}`{}`{}", escape(parts[0]), parts[1], escape(parts[2]), parts[3], escape(parts[4]))
}

/// Makes text harmless in Markdown.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
