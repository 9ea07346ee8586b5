//! When runs begin by themselves.

pub mod calendar;
pub mod entry;
pub mod note;
pub mod timetable;
mod zone;

pub use calendar::Calendar;
pub use entry::{Because, End, Entry, History, Planned};
pub use note::Note;
pub use timetable::{Decision, State, Timetable};
