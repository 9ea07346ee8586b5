//! Colours and marks: what is told by a colour is told by a word or a mark too, so that it can be read without one.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::{bar, border};

/// What this terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    pub colours: bool,
    /// Blocks and lines; without them, letters and signs of ASCII.
    pub blocks: bool,
}

/// Bars of letters, for terminals without blocks.
const LETTERS: bar::Set<'static> = bar::Set {
    full: "#",
    seven_eighths: "#",
    three_quarters: "+",
    five_eighths: "+",
    half: "=",
    three_eighths: "-",
    one_quarter: ":",
    one_eighth: ".",
    empty: " ",
};

impl Paint {
    /// Returns what the environment says of the terminal.
    pub fn from_env() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    /// Returns what the values of environment variables say.
    pub fn of(var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        // The first one that is set counts, as everywhere.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        Self { colours: set("NO_COLOR").is_none() && !dumb, blocks: utf8 && !dumb }
    }

    fn colour(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    pub(super) fn good(self) -> Style {
        self.colour(Color::Green)
    }

    pub(super) fn bad(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn odd(self) -> Style {
        self.colour(Color::Yellow)
    }

    pub(super) fn quiet(self) -> Style {
        self.colour(Color::DarkGray)
    }

    pub(super) fn bar(self) -> Style {
        self.colour(Color::Cyan)
    }

    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn head(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Returns the lines of a pane.
    pub(super) fn border(self) -> border::Set<'static> {
        if self.blocks { border::PLAIN } else { border::Set { horizontal_top: "-", ..border::PLAIN } }
    }

    /// Returns the bars of a chart.
    pub(super) fn bars(self) -> bar::Set<'static> {
        if self.blocks { bar::NINE_LEVELS } else { LETTERS }
    }

    /// Returns a bar that fills this share of a width.
    pub(super) fn filled(self, share: f64, width: usize) -> String {
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        let eighths = (share * width as f64 * 8.0).round() as usize;
        if !self.blocks {
            let full = (eighths + 4) / 8;
            return format!("{:<width$}", "#".repeat(full));
        }
        let part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
        format!("{:<width$}", format!("{}{part}", "█".repeat(eighths / 8)))
    }

    /// Returns what shows that a text was cut.
    pub(super) fn more(self) -> char {
        if self.blocks { '…' } else { '~' }
    }
}
