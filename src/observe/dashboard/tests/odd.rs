use proptest::prelude::*;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::*;
use crate::observe::dashboard::text;
use crate::observe::dashboard::view::SAMPLES_MAX;

/// Text as a hostile server or file might hold.
fn foreign() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,40}",
        Just("\x1b[2J\x07\u{202e}".to_owned()),
        Just("データベース".repeat(9)),
        Just("👩‍👩‍👧e\u{301}".repeat(5)),
    ]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..100, any::<u64>()]
}

fn worker() -> impl Strategy<Value = WorkerRow> {
    let states = [WorkerState::Running, WorkerState::Waiting, WorkerState::Done, WorkerState::Down];
    (foreign(), prop::sample::select(states.to_vec()), any::<u32>(), [(); 4].map(|()| number()), any::<f64>()).prop_map(
        |(name, state, workers, [ops, p99_us, expected, unexpected], ops_per_s)| WorkerRow {
            name,
            state,
            workers,
            ops,
            ops_per_s,
            p99_us,
            expected,
            unexpected,
        },
    )
}

fn verdict() -> impl Strategy<Value = Option<Verdict>> {
    use Verdict::*;
    prop::sample::select(vec![None, Some(Pass), Some(Fail), Some(Inconclusive), Some(Aborted)])
}

fn board() -> impl Strategy<Value = Board> {
    let check = (foreign(), verdict(), foreign()).prop_map(|(name, verdict, text)| checked(&name, verdict, &text));
    let error = (any::<i64>(), any::<bool>(), foreign(), number())
        .prop_map(|(at_ms, expected, text, count)| ErrorLine { at_ms, expected, text, count });
    let lists = (
        prop::collection::vec(worker(), 0..30),
        prop::collection::vec(check, 0..30),
        prop::collection::vec(error, 0..12),
        prop::collection::vec(foreign(), 0..3),
    );
    (lists, foreign(), number(), number()).prop_map(|((workers, checks, errors, faults), target, p99_us, checks_of)| {
        Board { target, workers, p99_us, checks_of, checks, errors, faults, ended: None }
    })
}

fn status() -> impl Strategy<Value = Status> {
    let phases = vec![Phase::Load, Phase::Settle, Phase::Verify, Phase::Checkpoint, Phase::Pause, Phase::Done];
    let figures = (foreign(), prop::sample::select(phases), verdict(), [(); 4].map(|()| number()), any::<f64>());
    let run = (figures, any::<[i64; 3]>()).prop_map(|((name, phase, verdict, n, rows_per_s), times)| RunStatus {
        run: name.clone(),
        name,
        phase,
        verdict,
        cycle: n[0],
        cycles_planned: Some(n[1]),
        steps_done: n[2],
        steps_planned: n[3],
        errors: n[0],
        rows_per_s,
        started_ms: times[0],
        last_cycle_ms: Some(times[1]),
        ..base("").run.unwrap()
    });
    let part = (foreign(), number()).prop_map(|(part, rss_bytes)| Usage { part, rss_bytes, ..Usage::default() });
    (
        prop::option::of(run),
        board(),
        prop::collection::vec(part, 0..6),
        any::<i64>(),
        prop::collection::vec(foreign(), 0..3),
    )
        .prop_map(|(run, board, parts, now_ms, paused_because)| Status {
            run,
            board,
            now_ms,
            paused_because,
            health: Health { at_ms: now_ms, parts, ..Health::default() },
            schedules: idle().schedules,
            ..Status::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_status_and_no_size_breaks_a_drawing(
        statuses in prop::collection::vec(status(), 1..3),
        (width, height) in (1u16..200, 1u16..60),
        keys in prop::collection::vec(prop::sample::select(vec!['d', '?', '\t', 'v', 'e', 'p', 'q']), 0..5),
        blocks: bool,
    ) {
        let mut view = View::new(Mode::Run, Paint { colours: true, blocks });
        for status in statuses {
            view.take(status);
            let _ = drawn(&view, width, height);
            for key in &keys {
                let code = match key {
                    '\t' => KeyCode::Tab,
                    'v' => KeyCode::PageDown,
                    'e' => KeyCode::End,
                    key => KeyCode::Char(*key),
                };
                let _ = view.key(KeyEvent::new(code, KeyModifiers::NONE));
                let text = drawn(&view, width, height);
                prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
            }
            let text = summary(&view.status) + &outcome(&view.status);
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        }
    }

    #[test]
    fn a_cut_text_takes_exactly_its_width(foreign in foreign(), width in 0usize..50) {
        let paint = Paint { colours: false, blocks: true };
        for text in [text::left(paint, &foreign, width), text::right(paint, &foreign, width)] {
            prop_assert_eq!(text::width(&text), width);
        }
        for line in text::wrapped(&foreign, width.max(2)) {
            prop_assert!(text::width(&line) <= width.max(2), "{line:?}");
        }
    }

    #[test]
    fn a_short_number_is_short(n: u64, rate in 0.0f64..1e18) {
        prop_assert!(text::short(n as f64).len() <= 6 && text::short(rate).len() <= 6);
        prop_assert!(text::latency(n % 1_000_000_000).len() <= 7, "{}", text::latency(n));
    }
}

#[test]
fn numbers_are_as_people_read_them() {
    let numbers = [0.0, 2.5, 7.0, 9_999.0, 9_999.7, 12_345.0, 999_499.0, 999_600.0, 4.56e9, f64::NAN, -1.0];
    let words = ["0", "2.5", "7", "9999", "10.0k", "12.3k", "999k", "1.00M", "4.56G", "0", "0"];
    assert_eq!(numbers.map(text::short), words);
    let times = [0, 850, 1_000, 12_345, 999_999, 4_560_000, 172_800_000_000].map(text::latency);
    assert_eq!(times, ["-", "850us", "1.00ms", "12.3ms", "999ms", "4.56s", "172800s"]);
    assert_eq!(
        [0, 1023, 1536, 190 << 20, 5 << 40].map(text::bytes),
        ["0 B", "1023 B", "1.50 KiB", "190 MiB", "5.00 TiB"]
    );
}

#[test]
fn a_small_terminal_shows_what_matters_most() {
    let mut view = View::new(Mode::Top, PLAIN);
    view.take(failed());
    let text = drawn(&view, 20, 5);
    assert_eq!(text, "FAIL, done\nterminal too small\nSTOPPING, cycle 3, …\n0 ops/s, 0 errors\n60x16 is needed\n");
    assert_eq!(drawn(&view, 10, 1), "FAIL, done\n");
    assert!(drawn(&view, 60, 16).contains("FAIL    orphans"));
}

#[test]
fn every_pane_is_there_at_80_by_24_and_no_row_is_cut() {
    for status in [bank(), sync(), failed()] {
        let text = drawn(&seen(Mode::Run, PLAIN, &status), 80, 24);
        for part in ["Workers", "unexp.", "Memory", "p99", "Checks of", "Errors", "Faults: none", "Next:", "q stop"] {
            assert!(text.contains(part), "no {part} in\n{text}");
        }
    }
    let text = drawn(&seen(Mode::Run, PLAIN, &failed()), 80, 24);
    let deleter = text.lines().find(|line| line.starts_with("deleter")).unwrap();
    assert!(deleter.ends_with("14      2"), "{deleter}");
}

#[test]
fn colours_say_what_words_say_and_are_left_out_where_nobody_wants_them() {
    let colours = |vars: &[(&str, &str)]| {
        let of = |name: &str| vars.iter().find(|(var, _)| *var == name).map(|(_, value)| (*value).to_owned());
        let paint = Paint::of(of);
        (paint.colours, paint.blocks)
    };
    assert_eq!(colours(&[("TERM", "xterm-256color"), ("LANG", "C.UTF-8")]), (true, true));
    assert_eq!(colours(&[("TERM", "xterm"), ("NO_COLOR", ""), ("LANG", "de_DE.utf8")]), (true, true));
    assert_eq!(colours(&[("TERM", "xterm"), ("NO_COLOR", "1"), ("LANG", "C.UTF-8"), ("LC_ALL", "C")]), (false, false));
    assert_eq!(colours(&[("TERM", "dumb"), ("LANG", "C.UTF-8")]), (false, false));
    let used = |paint: Paint| {
        let view = seen(Mode::Top, paint, &failed());
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(frame, &view)).unwrap();
        let cells = terminal.backend().buffer().content().to_vec();
        cells.iter().map(|cell| cell.fg).filter(|colour| *colour != Color::Reset).collect::<Vec<_>>()
    };
    assert!(used(PLAIN).is_empty());
    let used = used(Paint { colours: true, blocks: true });
    assert!(used.contains(&Color::Red) && used.contains(&Color::Yellow));
}

#[test]
fn samples_are_bounded_and_begin_anew_with_another_run() {
    let mut view = View::new(Mode::Top, PLAIN);
    for n in 0..2 * SAMPLES_MAX as i64 {
        let mut status = bank();
        status.now_ms += n * 1000;
        status.health.at_ms = status.now_ms;
        view.take(status.clone());
        // Twice within a second is one sample.
        view.take(Status { now_ms: status.now_ms + 400, ..status });
    }
    let counts = [&view.memory, &view.latency, &view.rate].map(|samples| samples.newest_first().count());
    assert_eq!(counts, [SAMPLES_MAX; 3]);
    assert_eq!(view.memory.spread(), Some((181 << 20, 181 << 20, 181 << 20)));
    let mut other = bank();
    other.run.as_mut().unwrap().run = "another".into();
    view.take(other);
    assert_eq!((view.latency.newest_first().count(), view.memory.newest_first().count()), (1, SAMPLES_MAX));
    view.take(idle());
    assert_eq!(view.latency.newest_first().count(), 0);
}
