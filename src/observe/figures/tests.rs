//! What figures say of data of which it is known.

use chrono_tz::Tz;

use super::*;
use crate::model::measure::Value;
use crate::observe::report::sample::{failing, passing};

const HOUR: i64 = 3_600_000;
const MIB: f64 = 1_048_576.0;

/// Sixty values of one cycle every ten minutes; `life` says which life each is of.
fn measured(value: impl Fn(f64) -> f64, life: impl Fn(u64) -> u32) -> Vec<Measured> {
    let point = |n: u64| {
        let value = value(n as f64 / 6.0) + 0.2 * MIB * ((n * 7919 % 13) as f64 / 6.0 - 1.0);
        Measured::one(n as i64 * HOUR / 6, n + 1, &Value { value, life: life(n) })
    };
    (0..60).map(point).collect()
}

fn sections_of(snapshot: &Snapshot, measures: &Measures) -> Vec<Section> {
    sections(&Material { snapshot, measures, incidents: &[], zone: Tz::UTC })
}

#[test]
fn a_leak_is_said_with_its_slope_and_what_is_flat_is_not_said_to_grow() {
    let mut measures = Measures::new();
    measures.insert("rss.target".to_owned(), measured(|h| (60.0 + 2.0 * h) * MIB, |_| 1));
    measures.insert("rss.daemon".to_owned(), measured(|_| 40.0 * MIB, |_| 1));
    let snapshot = passing();
    let all = sections_of(&snapshot, &measures);
    let memory = all.iter().find(|section| section.heading == "Memory").unwrap();
    let said = |part: &str| &memory.figures.iter().find(|figure| figure.caption.ends_with(part)).unwrap().alt;
    assert!(
        said("of the target").starts_with("Grows by ") && said("of the target").contains(" MiB per hour"),
        "{}",
        said("of the target")
    );
    assert!(!said("of the daemon").contains("rows by"), "{}", said("of the daemon"));
    assert!(said("all parts").starts_with("target from "), "{}", said("all parts"));
    let Drawing::Chart(spec) = &memory.figures[1].drawing else { panic!("a chart") };
    assert!(!spec.fits.is_empty() && spec.fits.iter().all(|fit| fit.slopes.is_some()), "{:?}", spec.fits);
}

#[test]
fn a_restart_breaks_the_line() {
    let mut measures = Measures::new();
    measures.insert("rss.target".to_owned(), measured(|_| 40.0 * MIB, |n| 1 + (n / 20) as u32));
    let (series, _) = memory_of(&measures);
    let breaks = series[0].points.iter().filter(|(_, value)| value.is_nan()).count();
    assert_eq!((series[0].points.len(), breaks), (62, 2));
}

#[test]
fn all_errors_are_in_the_bars_and_too_many_kinds_are_drawn_together() {
    let mut snapshot = failing();
    let kinds = ["a", "b"];
    assert_eq!(kinds.len(), snapshot.findings.len());
    let drawn = |snapshot: &Snapshot| {
        let all = sections_of(snapshot, &Measures::new());
        let errors = all.into_iter().find(|section| section.heading == "Errors by kind").unwrap();
        let figure = errors.figures.into_iter().next().unwrap();
        let Drawing::Chart(spec) = figure.drawing else { panic!("a chart") };
        (spec.series, figure.alt)
    };
    let sum = |series: &[crate::observe::chart::Series]| {
        series.iter().flat_map(|one| &one.points).map(|(_, value)| *value).sum::<f64>() as u64
    };
    let (series, alt) = drawn(&snapshot);
    assert_eq!((series.len(), sum(&series)), (2, 41));
    assert!(alt.starts_with("38 server HTTP 5xx, 3 client locked; most, 24, within 4.4s from "), "{alt}");
    use crate::model::finding::Kind;
    for kind in [Kind::Busy, Kind::Auth, Kind::Timeout, Kind::Reset, Kind::Tls, Kind::Crash] {
        let mut group = snapshot.findings[1].clone();
        group.first.kind = kind;
        snapshot.findings.push(group);
    }
    let (series, _) = drawn(&snapshot);
    assert_eq!((series.len(), sum(&series)), (chart::SERIES_MAX, 41 + 18));
    assert_eq!(series.last().unwrap().name, "3 other kinds");
}

#[test]
fn what_cycles_tell_is_drawn_where_it_was_not_measured() {
    let snapshot = passing();
    let names = |measures: &Measures| -> Vec<String> {
        sections_of(&snapshot, measures)
            .into_iter()
            .flat_map(|section| section.figures)
            .map(|figure| figure.caption)
            .collect()
    };
    assert_eq!(names(&Measures::new()), ["What happened when", "Time to converge", "Length of a cycle"]);
    let mut measures = Measures::new();
    measures.insert("latency_p50.sent".to_owned(), measured(|_| 0.012, |_| 1));
    measures.insert("fds.target".to_owned(), measured(|_| 44.0, |_| 1));
    let names = names(&measures);
    assert!(names.contains(&"Latency: sent".to_owned()) && names.contains(&"Open descriptors".to_owned()), "{names:?}");
}
