//! What charts show, and that it can be seen.

use std::sync::Arc;

use chrono_tz::{Europe, Tz};
use resvg::tiny_skia::Pixmap;
use resvg::usvg::fontdb;

use super::axis::{Values, times};
use super::*;

const NOON: i64 = 1_767_268_800_000;
const HOUR: i64 = 3_600_000;

fn spec() -> Spec {
    let line = |at: i64| (NOON + at * HOUR / 4, 95.0 + (at % 5) as f64 * 3.0);
    let errors = |at: i64| (NOON + at * HOUR / 4, if at == 14 { 41.0 } else { 0.0 });
    Spec {
        title: "Duration and errors of cycles".to_owned(),
        zone: Tz::UTC,
        size: Size::MAIL,
        span: None,
        scale: Scale::Zero,
        left: Unit::Seconds,
        right: Unit::Count,
        series: vec![
            Series { right: true, ..Series::new("errors", Look::Bars, (0..20).map(errors).collect()) },
            Series::new("duration", Look::Line, (0..20).map(line).collect()),
            Series::new("FAIL", Look::Crosses, vec![line(14)]),
        ],
        fits: Vec::new(),
        marks: vec![Mark { at_ms: NOON + 14 * HOUR / 4, kind: MarkKind::Incident, label: "incident 7".to_owned() }],
        shades: vec![Shade {
            from_ms: NOON + 3 * HOUR,
            until_ms: NOON + 3 * HOUR + 600_000,
            label: "outage".to_owned(),
        }],
    }
}

/// Returns how many pixels are not the background.
fn ink(png: &[u8]) -> usize {
    let pixels = Pixmap::decode_png(png).unwrap();
    pixels.pixels().iter().filter(|p| (p.red(), p.green(), p.blue()) != (255, 255, 255)).count()
}

#[test]
fn a_chart_looks_as_it_did() {
    insta::assert_snapshot!(line_chart(&spec(), &PAPER).replace("><", ">\n<"));
}

#[test]
fn text_is_drawn_with_our_own_font() {
    let text = |words: &str| {
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="200" height="40" font-family="{}"><rect width="200" height="40" fill="#fff"/><text x="5" y="25">{words}</text></svg>"##,
            raster::FAMILY
        )
    };
    let seen = ink(&png(&text("duration 41 s")).unwrap());
    assert!(seen > 500, "{seen} pixels of text");
    assert_eq!(ink(&png(&text("")).unwrap()), 0);
    // The trap: without a font the same text vanishes, and nobody says so.
    let bare = raster::with_fonts(&text("duration 41 s"), Arc::new(fontdb::Database::new())).unwrap();
    assert_eq!(ink(&bare), 0);
    for letter in ["µ", "é", "…", "·", "–", "≥", "→", "ß"] {
        assert!(ink(&png(&text(letter)).unwrap()) > 0, "no glyph for {letter}");
    }
}

#[test]
fn a_picture_is_sharp_and_small() {
    let png = png(&line_chart(&spec(), &PAPER)).unwrap();
    let pixels = Pixmap::decode_png(&png).unwrap();
    assert_eq!((pixels.width(), pixels.height()), (1280, 440));
    assert!(png.len() <= 40_000, "{} bytes", png.len());
    let mut blank = spec();
    blank.series.clear();
    blank.marks.clear();
    blank.shades.clear();
    assert!(ink(&png) > ink(&super::png(&line_chart(&blank, &PAPER)).unwrap()) + 2_000);
}

#[test]
fn values_have_round_ticks_in_their_units() {
    let labels = |max: f64, unit| {
        let axis = Values::up_to(max, unit);
        (axis.unit, axis.ticks.iter().map(|tick| axis.label(*tick)).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(labels(41.0, Unit::Count), ("", "0 20 40 60".to_owned()));
    assert_eq!(labels(2.0, Unit::Count), ("", "0 1 2".to_owned()));
    assert_eq!(labels(0.0, Unit::Count), ("", "0 1".to_owned()));
    assert_eq!(labels(107.0, Unit::Seconds), ("s", "0 50 100 150".to_owned()));
    assert_eq!(labels(600.0, Unit::Seconds), ("min", "0 5 10".to_owned()));
    assert_eq!(labels(0.73, Unit::Seconds), ("ms", "0 200 400 600 800".to_owned()));
    assert_eq!(labels(300.0 * 1_048_576.0, Unit::Bytes), ("MiB", "0 100 200 300".to_owned()));
    assert_eq!(labels(48_000.0, Unit::PerSecond), ("thousand per s", "0 20 40 60".to_owned()));
    for odd in [f64::NAN, f64::INFINITY, -4.0, f64::MAX, f64::MIN_POSITIVE] {
        for unit in [Unit::Count, Unit::Seconds, Unit::Bytes, Unit::PerSecond, Unit::BytesPerSecond, Unit::Share] {
            assert!((2..=7).contains(&Values::up_to(odd, unit).ticks.len()), "{odd} {unit:?}");
        }
    }
}

#[test]
fn times_have_round_ticks_in_their_zone() {
    let labels =
        |from, until, zone| times((from, until), zone, 7.0).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    assert_eq!(labels(NOON, NOON + 5 * HOUR, Tz::UTC), ["12:00", "13:00", "14:00", "15:00", "16:00", "17:00"]);
    assert_eq!(labels(NOON, NOON + 2 * HOUR, Tz::Asia__Kolkata), ["17:30", "18:00", "18:30", "19:00", "19:30"]);
    let week = labels(NOON, NOON + 6 * 24 * HOUR, Tz::UTC);
    assert_eq!(week, ["2 Jan", "3 Jan", "4 Jan", "5 Jan", "6 Jan", "7 Jan"]);
    // Berlin has no 02:00–03:00 on 2026-03-29: every tick is round in local time, none comes twice.
    let change = times((1_774_735_200_000, 1_774_735_200_000 + 12 * HOUR), Europe::Berlin, 7.0);
    assert!(change.windows(2).all(|pair| pair[0].0 < pair[1].0), "{change:?}");
    assert!(times((i64::MIN, i64::MAX), Tz::UTC, 7.0).len() < 12);
    assert!(times((5, 5), Tz::UTC, 7.0).len() <= 1);
}

#[test]
fn odd_data_and_hostile_names_are_still_a_picture() {
    let mut odd = spec();
    odd.title = "</title><script>\u{202e}\u{0}\u{b}".repeat(1000);
    odd.series[0].name = "\"><image href='file:///etc/passwd'/>\u{1b}".to_owned();
    odd.series[1].points = (0..100_000).map(|at| (NOON + at, f64::from(at as i32) * 1e300)).collect();
    odd.series[2].points = vec![(i64::MIN, -5.0), (i64::MAX, f64::NAN), (0, f64::INFINITY)];
    odd.marks =
        (0..500).map(|n| Mark { at_ms: NOON + n, kind: MarkKind::Incident, label: "]]>&\u{1}".repeat(50) }).collect();
    odd.shades = vec![Shade { from_ms: i64::MAX, until_ms: i64::MIN, label: String::new() }];
    let svg = line_chart(&odd, &PAPER);
    assert!(svg.len() < 100_000, "{}", svg.len());
    assert!(!svg.contains("<script") && !svg.contains("<image") && !svg.contains('\u{202e}'));
    png(&svg).unwrap();
    for points in [vec![], vec![(NOON, 1.0)], vec![(NOON, 0.0); 3]] {
        let mut few = spec();
        few.series.iter_mut().for_each(|series| series.points.clone_from(&points));
        png(&line_chart(&few, &PAPER)).unwrap();
    }
}

#[test]
fn an_axis_that_does_not_begin_at_zero_says_so_and_is_torn() {
    let drawn = |spread: f64, scale| {
        let points = (0..20).map(|at| (NOON + at * HOUR, 2.0e8 + spread * (at % 5) as f64)).collect();
        let mut one = Spec::new("memory", Tz::UTC, Unit::Bytes, vec![Series::new("target", Look::Line, points)]);
        one.scale = scale;
        line_chart(&one, &PAPER)
    };
    let torn = |svg: &str| (svg.contains("(axis begins at "), svg.contains("l6 -3l6 3"));
    assert_eq!(torn(&drawn(1e6, Scale::Near)), (true, true));
    assert_eq!(torn(&drawn(1e6, Scale::Zero)), (false, false));
    // What varies much is never cut off.
    assert_eq!(torn(&drawn(1e8, Scale::Near)), (false, false));
}

#[test]
fn values_far_apart_have_a_logarithmic_axis_where_that_is_asked_for() {
    let axis = |least, most| Values::laid_out(least, most, Unit::Seconds, Scale::Ratio);
    let wide = axis(0.002, 1.7);
    assert_eq!(
        wide.ticks.iter().map(|tick| wide.label(*tick)).collect::<Vec<_>>(),
        ["1 ms", "10 ms", "100 ms", "1 s", "10 s"]
    );
    assert_eq!((wide.caption().as_str(), wide.place(0.0), wide.place(20.0)), ("logarithmic", 0.0, 1.0));
    assert!((wide.place(0.1) - 0.5).abs() < 1e-9);
    assert!(!axis(0.1, 1.7).logarithmic && !axis(0.0, 1.7).logarithmic && !axis(f64::NAN, 1.0).logarithmic);
    assert!(axis(1e-300, 1e300).ticks.len() <= 8);
}

#[test]
fn trends_have_a_line_and_a_band_that_turns_about_its_middle() {
    let mut one = spec();
    let count = |spec: &Spec| {
        let svg = line_chart(spec, &PAPER);
        (svg.matches("<polygon").count(), svg.matches("stroke-width=\"3\"").count())
    };
    assert_eq!(count(&one), (0, 0));
    one.fits = vec![Fit { of: 1, from: (NOON, 95.0), until: (NOON + 4 * HOUR, 107.0), slopes: Some((1.0, 5.0)) }];
    // The line once more in the legend.
    assert_eq!(count(&one), (1, 2));
    one.fits[0].slopes = Some((f64::NAN, 5.0));
    assert_eq!(count(&one).0, 0);
    one.fits[0].until = (i64::MIN, f64::INFINITY);
    png(&line_chart(&one, &PAPER)).unwrap();
}

#[test]
fn the_same_chart_is_drawn_in_the_colours_of_a_page_and_of_a_picture() {
    let (page, paper) = (line_chart(&spec(), &PAGE), line_chart(&spec(), &PAPER));
    assert!(page.contains("var(--c1)") && !page.contains('#'), "{page}");
    assert!(paper.contains("#0b5cad") && !paper.contains("var("));
}

#[test]
fn stacked_bars_stand_on_each_other() {
    let bars = |name: &str, n: f64| {
        Series::new(name, Look::Stacked, vec![(NOON, n), (NOON + HOUR, 0.0), (NOON + 2 * HOUR, n)])
    };
    let stacked = Spec::new("errors", Tz::UTC, Unit::Count, vec![bars("a", 3.0), bars("b", 5.0)]);
    let svg = line_chart(&stacked, &PAPER);
    // Two bars of each, one sample of each in the legend, the background; the axis reaches their sum.
    assert_eq!(svg.matches("<rect").count(), 7);
    assert!(svg.contains(">8</text>"), "{svg}");
}

#[test]
fn lanes_stay_small_and_hostile_labels_are_harmless() {
    let stretch = |n: i64| Stretch {
        from_ms: NOON + n * 1000,
        until_ms: NOON + n * 1000 + 400,
        tone: if n % 2 == 0 { Tone::Bad } else { Tone::Away },
        label: format!("{n}: </title><script>\u{202e}"),
    };
    let lane = Lane {
        name: "<b>&\u{0}".repeat(100),
        stretches: (0..20_000).map(stretch).collect(),
        marks: (0..20_000).map(|n| (NOON + n * 1000, MarkKind::Failed)).collect(),
    };
    let chart = Lanes {
        title: "]]>".to_owned(),
        zone: Tz::UTC,
        width: 800.0,
        span: (NOON, NOON + 20_000_000),
        lanes: vec![lane; 50],
    };
    let svg = lanes(&chart, &PAPER);
    assert!(svg.len() < 1_500_000, "{}", svg.len());
    assert!(!svg.contains("<script") && !svg.contains('\u{202e}'));
    png(&svg).unwrap();
    for span in [(0, 0), (i64::MIN, i64::MAX), (5, -5)] {
        png(&lanes(&Lanes { span, ..chart.clone() }, &PAPER)).unwrap();
    }
}
