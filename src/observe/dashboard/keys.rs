//! Keys: what they change on the screen, and what they ask of the run.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::view::{Mode, Page, View};
use crate::model::status::DaemonState;

/// What a key asks for beyond the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Pause,
    Resume,
    /// The run ends after the step in work; the next one goes on with it.
    Stop,
    /// The process ends without waiting for anything.
    StopNow,
    /// The dashboard ends, and nothing else.
    Leave,
}

impl View {
    /// Takes in a key; returns what it asks for, if that is more than another look.
    pub fn key(&mut self, key: KeyEvent) -> Option<Wish> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        self.said = None;
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return self.quit(true),
            _ if control => {}
            KeyCode::Char('q') => return self.quit(false),
            KeyCode::Char('p') => return Some(self.pause()),
            KeyCode::Char('d') | KeyCode::Enter => self.turn_to(Page::Detail),
            KeyCode::Char('?' | 'h') => self.turn_to(Page::Help),
            KeyCode::Esc => (self.page, self.scroll) = (Page::Overview, 0),
            KeyCode::Tab | KeyCode::Right => self.look_at(false),
            KeyCode::BackTab | KeyCode::Left => self.look_at(true),
            code => self.scroll(code),
        }
        None
    }

    /// Turns to a page, or back from it.
    fn turn_to(&mut self, page: Page) {
        self.page = if self.page == page { Page::Overview } else { page };
        self.scroll = 0;
    }

    fn look_at(&mut self, back: bool) {
        self.pane = self.pane.next(back);
        self.scroll = 0;
    }

    fn scroll(&mut self, code: KeyCode) {
        let (end, lines) = self.reach.get();
        let at = self.scroll.min(end);
        let page = lines.saturating_sub(1).max(1);
        self.scroll = match code {
            KeyCode::Up | KeyCode::Char('k') => at.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => at + 1,
            KeyCode::PageUp => at.saturating_sub(page),
            KeyCode::PageDown | KeyCode::Char(' ') => at + page,
            KeyCode::Home => 0,
            KeyCode::End => end,
            _ => at,
        }
        .min(end);
    }

    fn pause(&mut self) -> Wish {
        let paused = self.status.state == DaemonState::Paused;
        if paused { Wish::Resume } else { Wish::Pause }
    }

    fn quit(&mut self, at_once: bool) -> Option<Wish> {
        match (self.mode, self.stopping) {
            (Mode::Top, _) => Some(Wish::Leave),
            (Mode::Run, false) => {
                self.stopping = true;
                Some(Wish::Stop)
            }
            (Mode::Run, true) if at_once => Some(Wish::StopNow),
            (Mode::Run, true) => {
                self.say("stopping after the step in work; Ctrl-C stops at once".into());
                None
            }
        }
    }
}
