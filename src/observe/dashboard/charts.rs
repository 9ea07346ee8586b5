//! Charts of the last minutes: memory, latency and rate, each with its last, smallest and largest value.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::widgets::{RenderDirection, Sparkline};

use super::draw::pane;
use super::text::{bytes, latency, short};
use super::view::{Pane, Samples, View};

/// Width from which there is room for three charts.
const THREE_FROM: u16 = 120;

/// Draws the charts side by side.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let three = area.width >= THREE_FROM;
    let parts = Layout::horizontal(vec![Constraint::Fill(1); if three { 3 } else { 2 }]).spacing(1).split(area);
    chart(frame, view, parts[0], ("Memory", Some(Pane::Memory)), (&view.memory, bytes));
    chart(frame, view, parts[1], ("p99", None), (&view.latency, latency));
    if three {
        chart(frame, view, parts[2], ("Operations/s", None), (&view.rate, |n| short(n as f64)));
    }
}

fn chart(
    frame: &mut Frame<'_>,
    view: &View,
    area: Rect,
    (name, of): (&str, Option<Pane>),
    (samples, word): (&Samples, fn(u64) -> String),
) {
    let title = match samples.spread() {
        Some((last, min, max)) => {
            let (last, min, max) = (word(last), word(min), word(max));
            // A unit is said once where all have the same.
            let unit = last.split_once(' ').map_or("", |(_, unit)| unit);
            let bare = |text: &str| text.strip_suffix(unit).unwrap_or(text).trim_end().to_owned();
            format!("{name} {last}  min {}  max {}", bare(&min), bare(&max))
        }
        None => format!("{name}: not measured yet"),
    };
    let inner = pane(frame, view, area, (&title, of));
    // The newest one stands at the right, as on paper.
    let line = Sparkline::default()
        .data(samples.newest_first().collect::<Vec<_>>())
        .direction(RenderDirection::RightToLeft)
        .bar_set(view.paint.bars())
        .style(view.paint.bar());
    frame.render_widget(line, inner);
}
