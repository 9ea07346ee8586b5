//! The terminal in the hands of the dashboard: raw mode and the alternate screen are entered in one place, and left again when
//! it is dropped, when anything panics, and when the process ends by a signal.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::style::ResetColor;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::crossterm::{execute, queue};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::draw::draw;
use super::view::View;

/// Events that are taken in between two drawings.
const EVENTS_MAX: usize = 64;

/// True while the terminal is not as it was found.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// The hook is set once; it does nothing while the terminal is as it was found.
static HOOK: Once = Once::new();

/// There is no terminal to draw on.
#[derive(Debug, thiserror::Error)]
#[error(
    "the dashboard needs a terminal for its screen and its keys, and {0} is none; `soakd status` shows one look, and \
     `soakd run --plain` lines of progress"
)]
pub struct NoTerminal(&'static str);

/// Finds out whether there is a terminal.
pub fn check() -> Result<(), NoTerminal> {
    if !io::stdout().is_terminal() {
        return Err(NoTerminal("the standard output"));
    }
    if !io::stdin().is_terminal() {
        return Err(NoTerminal("the standard input"));
    }
    Ok(())
}

/// Gives the terminal back as it was found; does nothing if it is.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // Not by way of the standard library's output, which a thread that panicked may hold. If the terminal is gone, so is
    // whoever could be told.
    if let Ok(mut out) = terminal() {
        let _ = execute!(out, ResetColor, LeaveAlternateScreen, Show);
    }
    let _ = disable_raw_mode();
}

fn terminal() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// The terminal while it shows the dashboard.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<File>>>,
}

impl Screen {
    /// Takes the terminal.
    pub fn enter() -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                before(panic);
            }));
        });
        TAKEN.store(true, Ordering::SeqCst);
        Self::taken().inspect_err(|_| restore())
    }

    fn taken() -> io::Result<Self> {
        enable_raw_mode()?;
        let mut out = BufWriter::new(terminal()?);
        queue!(out, EnterAlternateScreen, Hide)?;
        out.flush()?;
        Ok(Self { terminal: Terminal::new(CrosstermBackend::new(out))? })
    }

    /// Returns false once the terminal was given back behind this one's back, as a panic does.
    pub fn is_mine(&self) -> bool {
        TAKEN.load(Ordering::SeqCst)
    }

    /// Draws what has changed, in the size that the terminal has now.
    pub fn draw(&mut self, view: &View) -> io::Result<()> {
        self.terminal.draw(|frame| draw(frame, view)).map(drop)
    }

    /// Draws everything anew the next time.
    pub fn clear(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }

    /// Takes in what is typed until a time; an error if the terminal is gone.
    pub fn events(&mut self, until: Instant, mut take: impl FnMut(Event) -> bool) -> io::Result<()> {
        let mut taken = 0;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            let typed = typed(left)?;
            let before = taken;
            // Also when nothing is typed: a change of the size must not wait to be read together with a key, which would then
            // wait for the next one.
            while taken < EVENTS_MAX && event::poll(Duration::ZERO)? {
                taken += 1;
                if !take(event::read()?) {
                    return Ok(());
                }
            }
            if (typed && taken == before) || taken == EVENTS_MAX {
                // What is there is no key yet, or there are too many.
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
            }
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Waits for something to read. A terminal that has hung up is told apart here: reading from it would never end.
fn typed(most: Duration) -> io::Result<bool> {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    let most = Timespec { tv_sec: most.as_secs() as _, tv_nsec: most.subsec_nanos().into() };
    match poll(&mut fds, Some(&most)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(false),
        Ok(_) if fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) => {
            Err(io::Error::new(io::ErrorKind::BrokenPipe, "the terminal has hung up"))
        }
        Ok(_) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
