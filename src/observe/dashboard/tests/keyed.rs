use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::*;

fn press(view: &mut View, code: KeyCode) -> Option<Wish> {
    view.key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn control(view: &mut View, c: char) -> Option<Wish> {
    view.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL))
}

#[test]
fn a_pause_is_asked_for_and_taken_back() {
    let mut view = View::new(Mode::Top, PLAIN);
    view.take(bank());
    assert_eq!(press(&mut view, KeyCode::Char('p')), Some(Wish::Pause));
    view.take(Status { state: DaemonState::Paused, ..bank() });
    assert_eq!(press(&mut view, KeyCode::Char('p')), Some(Wish::Resume));
    assert_eq!(control(&mut view, 'p'), None, "another key");
    let mut up = KeyEvent::new(KeyCode::Char('p'), KeyModifiers::NONE);
    up.kind = KeyEventKind::Release;
    assert_eq!(view.key(up), None);
}

#[test]
fn to_quit_is_to_stop_a_run_of_ones_own_and_to_leave_a_daemon() {
    for code in ['q', 'c'] {
        let mut top = View::new(Mode::Top, PLAIN);
        let quit = |view: &mut View| match code {
            'q' => press(view, KeyCode::Char('q')),
            c => control(view, c),
        };
        assert_eq!((quit(&mut top), quit(&mut top)), (Some(Wish::Leave), Some(Wish::Leave)));
        let mut run = View::new(Mode::Run, PLAIN);
        run.take(bank());
        assert_eq!(quit(&mut run), Some(Wish::Stop));
        let text = drawn(&run, 80, 24);
        assert!(text.contains("STOPPING") && text.contains("Ctrl-C stops at once"), "{text}");
        assert_eq!(press(&mut run, KeyCode::Char('q')), None, "a second q does no harm");
        assert_eq!(control(&mut run, 'c'), Some(Wish::StopNow));
    }
}

#[test]
fn the_chosen_pane_is_shown_in_detail_and_scrolled_within_its_lines() {
    let mut view = View::new(Mode::Top, PLAIN);
    let mut status = failed();
    status.board.checks.push(checked("monotone", None, "no two cycles yet"));
    view.take(status);
    press(&mut view, KeyCode::Char('d'));
    let text = drawn(&view, 60, 16);
    assert!(text.contains("FAIL orphans") && text.contains("transfer 18, sender 7"), "the whole text:\n{text}");
    assert!(text.contains("lines 1 to 11 of 13"), "{text}");
    for code in [KeyCode::PageDown, KeyCode::PageDown, KeyCode::Down, KeyCode::End] {
        press(&mut view, code);
        assert_eq!(view.scroll, 2, "no further than the end");
    }
    assert!(drawn(&view, 60, 16).contains("lines 3 to 13 of 13"));
    for (code, at) in [(KeyCode::Up, 1), (KeyCode::PageUp, 0), (KeyCode::Home, 0)] {
        press(&mut view, code);
        assert_eq!(view.scroll, at);
    }
    press(&mut view, KeyCode::Tab);
    let text = drawn(&view, 80, 24);
    assert!(text.contains("! unexpected, 2 times, last at 2026-01-01 00:04:05 UTC"), "{text}");
    assert!(text.contains("~ expected, 8,007 times") && text.contains("(SQLITE_CONSTRAINT_FOREIGNKEY)"), "{text}");
    press(&mut view, KeyCode::Tab);
    assert!(drawn(&view, 80, 24).contains("98,400 operations"));
    press(&mut view, KeyCode::Tab);
    assert!(drawn(&view, 80, 24).contains("target: 120 MiB"));
    press(&mut view, KeyCode::BackTab);
    press(&mut view, KeyCode::Char('d'));
    let text = drawn(&view, 80, 24);
    assert!(text.contains(" > Workers") && text.contains("Checks of cycle 3"), "the overview again:\n{text}");
    press(&mut view, KeyCode::Char('?'));
    assert!(drawn(&view, 80, 24).contains("soakd stop"));
    press(&mut view, KeyCode::Esc);
    assert!(drawn(&view, 80, 24).contains("Checks of cycle 3"));
}

#[test]
fn an_answer_stays_until_the_next_key() {
    let mut view = View::new(Mode::Top, PLAIN);
    view.take(bank());
    view.say("paused: nothing new begins until it is resumed".into());
    assert!(drawn(&view, 80, 24).contains("nothing new begins"));
    press(&mut view, KeyCode::Down);
    assert!(!drawn(&view, 80, 24).contains("nothing new begins"));
}
