//! What a report consists of, before anybody decides how it looks. Text in here is raw: the renderers escape it.

/// A report as a list of parts.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) blocks: Vec<Block>,
}

/// One part of a report.
#[derive(Debug)]
pub(super) enum Block {
    /// The first line: a verdict and what it is of.
    Title {
        verdict: String,
        of: String,
    },
    Heading(String),
    Paragraph(String),
    /// Names and values.
    Facts(Vec<(String, String)>),
    Table(Table),
    /// A marked line with details below it.
    Item {
        mark: String,
        text: String,
        details: Vec<String>,
    },
    /// Lines that are shown as they were written.
    Verbatim(Vec<String>),
}

/// A table; columns marked `right` hold numbers.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<(String, bool)>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Document {
    pub(super) fn title(&mut self, verdict: &str, of: String) {
        self.blocks.push(Block::Title { verdict: verdict.to_owned(), of });
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.blocks.push(Block::Heading(text.to_owned()));
    }

    pub(super) fn paragraph(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Paragraph(text.into()));
    }

    pub(super) fn facts(&mut self, facts: Vec<(&str, String)>) {
        self.blocks.push(Block::Facts(facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()));
    }

    /// Adds a table; a title that starts with `>` is a column of numbers.
    pub(super) fn table(&mut self, titles: &[&str], rows: Vec<Vec<String>>) {
        let column = |title: &&str| match title.strip_prefix('>') {
            Some(title) => (title.to_owned(), true),
            None => ((*title).to_owned(), false),
        };
        self.blocks.push(Block::Table(Table { columns: titles.iter().map(column).collect(), rows }));
    }

    pub(super) fn verbatim(&mut self, lines: Vec<String>) {
        self.blocks.push(Block::Verbatim(lines));
    }

    pub(super) fn item(&mut self, mark: &str, text: impl Into<String>, details: Vec<String>) {
        self.blocks.push(Block::Item { mark: mark.to_owned(), text: text.into(), details });
    }
}

/// Splits a paragraph at the code spans that soakd's own sentences have; only if they hold nothing odd.
pub(super) fn code(text: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = text.split('`').collect();
    (parts.len() == 5 && parts[1].starts_with("seed = ") && parts[3].starts_with("soakd ")).then_some(parts)
}
