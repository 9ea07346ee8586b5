//! When runs begin by themselves: the instants of each schedule ([`Calendar`]), which of them begin a run ([`Timetable`]), and
//! the timer that wakes the daemon for them ([`Driver`]). Nothing here runs anything.
//!
//! The timetable decides by time alone, so it is asked after every wake-up, whatever its reason, during runs as well (or what
//! is due meanwhile counts as missed), and right after a run has ended:
//!
//! ```no_run
//! # use soakd::{clock::Clock, config::Schedules, engine::schedule::{self, Driver, State, Timetable}};
//! # async fn run_of(_: &str) {}
//! # fn store(_: &State) {}
//! # async fn daemon(schedules: Schedules, stored: State, clock: Clock) -> Result<(), Box<dyn std::error::Error>> {
//! let mut table = Timetable::new(&schedules, stored, clock.now(), schedule::grace(clock))?;
//! let mut driver = Driver::start(clock).await?;
//! let mut run: Option<tokio::task::JoinHandle<()>> = None;
//! while run.is_some() || !table.exhausted() {
//!     let decision = table.due(clock.now(), run.is_some());
//!     decision.notes.iter().for_each(|note| tracing::info!("{note}"));
//!     // Before the run begins: a crash must not begin it twice.
//!     store(table.state());
//!     if let Some(name) = decision.start {
//!         run = Some(tokio::spawn(async move { run_of(&name).await }));
//!     }
//!     if let Err(error) = driver.arm(&table.next_looks()).await {
//!         tracing::warn!("{error}");
//!     }
//!     tokio::select! {
//!         _wake = driver.fired() => {}
//!         Some(_end) = async { Some(run.as_mut()?.await) } => run = None,
//!         // Control::Trigger => table.trigger(…), Control::Reload => table.reload(…), and round again.
//!     }
//! }
//! driver.close().await?;
//! # Ok(())
//! # }
//! ```

pub mod calendar;
pub mod driver;
pub mod entry;
pub mod forecast;
pub mod note;
pub mod timetable;
mod zone;

pub use calendar::Calendar;
pub use driver::{Driver, DriverError, Wake, grace};
pub use entry::{Because, End, Entry, History, Planned};
pub use forecast::{Upcoming, upcoming};
pub use note::Note;
pub use timetable::{Decision, State, Timetable};
