//! When runs begin by themselves.

pub mod calendar;
mod zone;

pub use calendar::Calendar;
