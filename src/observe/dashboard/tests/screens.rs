use insta::assert_snapshot;

use super::*;

#[test]
fn a_bank_run() {
    let view = seen(Mode::Run, PLAIN, &bank());
    assert_snapshot!("bank_80x24", drawn(&view, 80, 24));
    assert_snapshot!("bank_160x50", drawn(&view, 160, 50));
}

#[test]
fn a_sync_run() {
    let view = seen(Mode::Top, PLAIN, &sync());
    assert_snapshot!("sync_80x24", drawn(&view, 80, 24));
    assert_snapshot!("sync_160x50", drawn(&view, 160, 50));
}

#[test]
fn an_idle_daemon_with_schedules() {
    let view = seen(Mode::Top, PLAIN, &idle());
    assert_snapshot!("idle_80x24", drawn(&view, 80, 24));
    assert_snapshot!("idle_160x50", drawn(&view, 160, 50));
}

#[test]
fn a_failed_run() {
    let view = seen(Mode::Top, PLAIN, &failed());
    assert_snapshot!("failed_80x24", drawn(&view, 80, 24));
    assert_snapshot!("failed_160x50", drawn(&view, 160, 50));
    assert_snapshot!("failed_summary", summary(&failed()) + &outcome(&failed()));
}

#[test]
fn a_terminal_without_colours_and_blocks() {
    let letters = Paint { colours: false, blocks: false };
    let mut status = bank();
    status.state = DaemonState::Paused;
    status.paused_because = vec!["backup until noon".into()];
    let text = drawn(&seen(Mode::Top, letters, &status), 80, 24);
    assert!(text.is_ascii(), "{text}");
    assert_snapshot!("letters_80x24", text);
}
