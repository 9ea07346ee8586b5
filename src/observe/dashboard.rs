//! The live dashboard on a terminal, for a run in the foreground and for a running daemon alike: it draws what a
//! [`Status`](crate::model::status::Status) says, a few times a second at most, and hands on what its keys ask for. It reads the
//! newest status only, so that a slow terminal sees less and slows nothing.

mod charts;
mod detail;
mod draw;
mod keys;
mod lists;
mod paint;
mod screen;
mod show;
mod summary;
mod text;
mod view;
mod workers;

pub use draw::draw;
pub use keys::Wish;
pub use paint::Paint;
pub use screen::{NoTerminal, Screen, check, restore};
pub use show::{End, Wires, show};
pub use summary::{outcome, summary};
pub use view::{Mode, View};

#[cfg(test)]
mod tests;
