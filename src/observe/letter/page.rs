//! A mail's content before anybody decides how it looks. Everything that goes in is made one harmless line and cut, and the
//! page as a whole has a budget: whatever the data is, a mail stays small.

use super::words::line;

/// Characters of one value, paragraph or line.
const CHARS_MAX: usize = 420;
/// Characters of a cell.
const CELL_CHARS: usize = 160;
/// Rows of one table, and lines of one list.
const ROWS_MAX: usize = 64;
/// Bytes of all texts of a page, as HTML writes them.
const BUDGET: usize = 44 * 1024;

/// Whether a page brings good news; it chooses the colour beside the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Bad,
    Unsure,
    Good,
    Plain,
}

/// One part of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    Heading(String),
    Paragraph(String),
    /// Names and values.
    Facts(Vec<(String, String)>),
    List(Vec<String>),
    /// What to do, in order.
    Steps(Vec<String>),
    Table(Table),
    /// Lines that are shown as they are written: commands, rows, log lines.
    Verbatim(Vec<String>),
    Chart {
        cid: String,
        caption: String,
        alt: String,
    },
}

/// A table; columns marked `right` hold numbers, and the last column takes the room that is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) columns: Vec<(String, bool)>,
    pub(super) rows: Vec<Vec<String>>,
}

/// A whole mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) tone: Tone,
    /// The verdict or state as a word.
    pub(super) badge: String,
    pub(super) title: String,
    /// Where and when, below the title.
    pub(super) lead: String,
    pub(super) blocks: Vec<Block>,
    left: usize,
}

impl Page {
    pub(super) fn new(tone: Tone, badge: &str, title: &str, lead: &str) -> Self {
        let (badge, title, lead) = (line(badge, 40), line(title, 240), line(lead, 240));
        Self { tone, badge, title, lead, blocks: Vec::new(), left: BUDGET }
    }

    /// Returns the text as it may stand on the page; nothing when the page is full.
    fn take(&mut self, text: &str, chars: usize) -> Option<String> {
        let text = line(text, chars);
        let escaped = text.chars().map(|c| if matches!(c, '<' | '>' | '&' | '"') { 6 } else { c.len_utf8() });
        let cost = escaped.sum::<usize>() + 16;
        if cost > self.left {
            self.left = 0;
            return None;
        }
        self.left -= cost;
        Some(text)
    }

    fn lines<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        lines.into_iter().take(ROWS_MAX).filter_map(|text| self.take(text, CHARS_MAX)).collect()
    }

    pub(super) fn heading(&mut self, text: &str) {
        if let Some(text) = self.take(text, CELL_CHARS) {
            self.blocks.push(Block::Heading(text));
        }
    }

    pub(super) fn paragraph(&mut self, text: impl AsRef<str>) {
        if let Some(text) = self.take(text.as_ref(), 2 * CHARS_MAX) {
            self.blocks.push(Block::Paragraph(text));
        }
    }

    /// Adds names and values; those without a value are left out.
    pub(super) fn facts<'a>(&mut self, facts: impl IntoIterator<Item = (&'a str, String)>) {
        let known = facts.into_iter().filter(|(_, value)| !value.is_empty());
        let kept: Vec<_> = known
            .filter_map(|(name, value)| Some((self.take(name, CELL_CHARS)?, self.take(&value, CHARS_MAX)?)))
            .collect();
        if !kept.is_empty() {
            self.blocks.push(Block::Facts(kept));
        }
    }

    pub(super) fn list<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        let lines = self.lines(lines);
        if !lines.is_empty() {
            self.blocks.push(Block::List(lines));
        }
    }

    pub(super) fn steps<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        let lines = self.lines(lines);
        if !lines.is_empty() {
            self.blocks.push(Block::Steps(lines));
        }
    }

    pub(super) fn verbatim<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        let lines = self.lines(lines);
        if !lines.is_empty() {
            self.blocks.push(Block::Verbatim(lines));
        }
    }

    /// Adds a table; a title that starts with `>` is a column of numbers.
    pub(super) fn table(&mut self, titles: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        let column = |title: &&str| match title.strip_prefix('>') {
            Some(title) => (title.to_owned(), true),
            None => ((*title).to_owned(), false),
        };
        let last = titles.len().saturating_sub(1);
        let mut kept = Vec::new();
        for row in rows.into_iter().take(ROWS_MAX) {
            let chars = |at: usize| if at == last { CHARS_MAX } else { CELL_CHARS };
            let cells: Option<Vec<_>> = row.iter().enumerate().map(|(at, cell)| self.take(cell, chars(at))).collect();
            let Some(cells) = cells else { break };
            kept.push(cells);
        }
        if !kept.is_empty() {
            self.blocks.push(Block::Table(Table { columns: titles.iter().map(column).collect(), rows: kept }));
        }
    }

    pub(super) fn chart(&mut self, cid: &str, caption: &str, alt: &str) {
        if let (Some(caption), Some(alt)) = (self.take(caption, CELL_CHARS), self.take(alt, CHARS_MAX)) {
            self.blocks.push(Block::Chart { cid: cid.to_owned(), caption, alt });
        }
    }
}
