//! The loop of the dashboard, on a thread of its own: newest status, drawing, keys, a few times a second.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{Event, KeyCode, KeyModifiers};
use tokio::sync::{mpsc, watch};

use super::keys::Wish;
use super::paint::Paint;
use super::screen::Screen;
use super::view::{Mode, View};
use crate::model::status::Status;

/// Time between two drawings.
const FRAME: Duration = Duration::from_millis(250);

/// Where the dashboard looks, and where its wishes go.
#[derive(Debug)]
pub struct Wires {
    /// The dashboard ends when nobody keeps it any more.
    pub status: watch::Receiver<Status>,
    pub wishes: mpsc::Sender<Wish>,
    /// Answers to wishes, and anything else that is to be shown.
    pub said: watch::Receiver<String>,
    /// Set from outside when the dashboard is to end.
    pub leave: Arc<AtomicBool>,
}

/// How the dashboard ended.
#[derive(Debug)]
pub enum End {
    /// Its user left it, or was told to.
    Left,
    /// Its user wants the process to end at once.
    AtOnce,
    /// Whatever it showed has ended.
    Over,
    /// Something panicked, and the terminal was given back to tell of that.
    Panicked,
}

/// Shows the dashboard until it ends; the terminal is then as it was found.
pub fn show(mode: Mode, mut wires: Wires) -> io::Result<End> {
    let mut view = View::new(mode, Paint::from_env());
    view.take(wires.status.borrow_and_update().clone());
    let mut screen = Screen::enter()?;
    loop {
        if !screen.is_mine() {
            return Ok(End::Panicked);
        }
        if wires.leave.load(Ordering::Relaxed) {
            return Ok(End::Left);
        }
        match wires.status.has_changed() {
            Ok(true) => view.take(wires.status.borrow_and_update().clone()),
            Ok(false) => {}
            Err(_) => return Ok(End::Over),
        }
        // Nobody is left to say anything when this is closed.
        if wires.said.has_changed().unwrap_or(false) {
            view.say(wires.said.borrow_and_update().clone());
        }
        screen.draw(&view)?;
        let mut asked = Vec::new();
        let mut anew = false;
        screen.events(Instant::now() + FRAME, |event| {
            let Event::Key(key) = event else { return true };
            anew |= key.code == KeyCode::Char('l') && key.modifiers.contains(KeyModifiers::CONTROL);
            asked.extend(view.key(key));
            asked.is_empty()
        })?;
        if anew {
            screen.clear()?;
        }
        for wish in asked {
            match wish {
                Wish::Leave => return Ok(End::Left),
                Wish::StopNow => return Ok(End::AtOnce),
                wish => {
                    if wires.wishes.try_send(wish).is_err() {
                        view.say("that must wait: the last wish is not answered yet".into());
                    }
                }
            }
        }
    }
}
