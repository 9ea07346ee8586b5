//! Which charts a mail shows, what they say in words for those who do not see them, and which are missing and why.

use super::words::{length, moment};
use super::{Image, Letter};
use crate::model::incident::IncidentState;
use crate::model::record::{CycleRecord, FindingGroup, Snapshot};
use crate::model::verdict::Verdict;
use crate::observe::chart::{self, Look, Mark, MarkKind, PAPER, Scale, Series, Shade, Spec, Unit};
use crate::observe::figures::{self, errors::slots};
use crate::observe::report::words::{between, count, number};

/// Cycles that one chart covers, the last ones.
const CYCLES_MAX: usize = 96;
/// Slots that findings over time are counted in.
const SLOTS: i64 = 64;
/// Parts whose memory is drawn, those that use most.
const PARTS_MAX: usize = 5;
/// Marks in one chart.
const MARKS_MAX: usize = 4;
/// Largest picture.
const PNG_MAX: usize = 40_000;
/// Points of a line when a picture is too large with more.
const CALMER: [usize; 3] = [160, 80, 40];

/// All charts of a mail.
#[derive(Debug, Default)]
pub(super) struct Charts {
    pub(super) drawn: Vec<(String, Image)>,
    /// What could not be drawn, each with the reason.
    pub(super) missing: Vec<String>,
}

/// Draws what the data is enough for.
pub(super) fn charts(letter: &Letter) -> Charts {
    let mut charts = Charts::default();
    if let Some(snapshot) = &letter.snapshot {
        let cycles = last_cycles(snapshot);
        charts.add("cycles", "Duration and errors of each cycle", durations(letter, snapshot, cycles));
        charts.add("rates", "Speed of each cycle", rates(letter, snapshot, cycles));
        charts.add("findings", "Errors over the time of the run", findings(letter, snapshot));
    }
    charts.add("memory", "Memory of the parts of soakd", memory(letter));
    // A workload without measured latencies, or one that has just begun, is no reason for a word.
    if let Some((action, made)) = latency(letter) {
        charts.add("latency", &format!("Latency of {action}"), Ok(made));
    }
    charts
}

impl Charts {
    fn add(&mut self, name: &str, caption: &str, made: Result<(Spec, String), &str>) {
        let drawn = made.map_err(str::to_owned).and_then(|(spec, alt)| {
            let drawn = |spec: &Spec| chart::png(&chart::line_chart(spec, &PAPER));
            let mut png = drawn(&spec)?;
            // Noise is what makes a picture large.
            for points in CALMER {
                if png.len() > PNG_MAX {
                    png = drawn(&spec.calmer(points))?;
                }
            }
            if png.len() > PNG_MAX { Err("the picture is too large".to_owned()) } else { Ok((png, alt)) }
        });
        match drawn {
            Ok((png, alt)) => {
                self.drawn.push((caption.to_owned(), Image { cid: format!("{name}@soakd"), alt, png }));
            }
            Err(why) => self.missing.push(format!("{caption}: {why}.")),
        }
    }
}

/// Returns the last cycles that follow each other without a gap.
fn last_cycles(snapshot: &Snapshot) -> &[CycleRecord] {
    let cycles = &snapshot.cycles;
    let follows = |at: &usize| cycles[*at].cycle == cycles[at - 1].cycle.saturating_add(1);
    let gap = (1..cycles.len()).rev().find(|at| !follows(at)).unwrap_or(0);
    &cycles[gap.max(cycles.len().saturating_sub(CYCLES_MAX))..]
}

fn spec(letter: &Letter, title: &str, left: Unit, series: Vec<Series>) -> Spec {
    let incidents =
        letter.incident.iter().chain(letter.incidents.iter().filter(|one| one.state == IncidentState::Open));
    let mut marks: Vec<Mark> = Vec::new();
    for one in incidents {
        let mark = Mark { at_ms: one.opened_ms, kind: MarkKind::Incident, label: format!("incident {}", one.id) };
        if marks.len() < MARKS_MAX && !marks.contains(&mark) {
            marks.push(mark);
        }
    }
    let outages = letter.snapshot.iter().flat_map(|snapshot| &snapshot.outages);
    let shades = outages.map(|out| Shade {
        from_ms: out.from_ms,
        until_ms: out.until_ms.unwrap_or(letter.now_ms),
        label: "no answer from the target".to_owned(),
    });
    let within = |shade: &Shade| {
        let times = || series.iter().flat_map(|one| one.points.iter().map(|(at, _)| *at));
        times().min().is_some_and(|from| shade.until_ms >= from)
            && times().max().is_some_and(|until| shade.from_ms <= until)
    };
    let shades = shades.filter(within).collect();
    Spec { marks, shades, ..Spec::new(title, letter.zone, left, series) }
}

fn series(name: &str, look: Look, right: bool, points: Vec<(i64, f64)>) -> Series {
    Series { right, ..Series::new(name, look, points) }
}

fn durations(letter: &Letter, _: &Snapshot, cycles: &[CycleRecord]) -> Result<(Spec, String), &'static str> {
    let [first, .., last] = cycles else { return Err("fewer than two cycles in a row are finished") };
    let seconds = |cycle: &CycleRecord| between(cycle.started_ms, cycle.ended_ms) as f64 / 1000.0;
    let points = |of: fn(&&CycleRecord) -> bool, value: &dyn Fn(&CycleRecord) -> f64| {
        cycles.iter().filter(of).map(|cycle| (cycle.ended_ms, value(cycle))).collect::<Vec<_>>()
    };
    let failed: Vec<&CycleRecord> = cycles.iter().filter(|cycle| cycle.verdict == Verdict::Fail).collect();
    let drawn = vec![
        series("duration (left)", Look::Line, false, points(|_| true, &seconds)),
        series("errors (right)", Look::Bars, true, points(|_| true, &|cycle| cycle.errors as f64)),
        series("failed cycle", Look::Crosses, false, points(|cycle| cycle.verdict == Verdict::Fail, &seconds)),
    ];
    let all: Vec<u64> = cycles.iter().map(|cycle| between(cycle.started_ms, cycle.ended_ms)).collect();
    let (least, most) = (all.iter().min().copied().unwrap_or(0), all.iter().max().copied().unwrap_or(0));
    let which = match failed.as_slice() {
        [] => "none of them failed".to_owned(),
        [one] => format!("cycle {} failed", number(one.cycle)),
        [one, .., end] => format!(
            "{} failed, the first was cycle {}, the last cycle {}",
            number(failed.len() as u64),
            number(one.cycle),
            number(end.cycle)
        ),
    };
    let alt = format!(
        "cycles {} to {} took {} to {}, the last one {}; {} in all; {which}.",
        number(first.cycle),
        number(last.cycle),
        length(least),
        length(most),
        length(all.last().copied().unwrap_or(0)),
        count(cycles.iter().map(|cycle| cycle.errors).fold(0, u64::saturating_add), "error"),
    );
    Ok((spec(letter, "Duration and errors of each cycle", Unit::Seconds, drawn), alt))
}

/// Draws measured rows per second where they are known, and otherwise steps per second of load.
fn rates(letter: &Letter, _: &Snapshot, cycles: &[CycleRecord]) -> Result<(Spec, String), &'static str> {
    let at_rest = letter.measures.get("throughput.rows");
    let at_rest = at_rest.map(|points| points.iter().map(|point| (point.at_ms, point.mean)).collect::<Vec<_>>());
    let measured = letter.series.get("rows_per_s").cloned().or(at_rest).filter(|points| points.len() > 1);
    let what = if measured.is_some() { "rows per second" } else { "steps per second of load" };
    let points = measured.unwrap_or_else(|| {
        let loaded = cycles.iter().filter(|cycle| cycle.load_ms > 0);
        loaded.map(|cycle| (cycle.ended_ms, cycle.steps as f64 * 1000.0 / cycle.load_ms as f64)).collect()
    });
    let finite: Vec<f64> = points.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).collect();
    let [first, .., last] = finite.as_slice() else { return Err("fewer than two cycles in a row are finished") };
    let (least, most) = range(&finite);
    let alt = format!("{what}: {least:.1} to {most:.1}; the first value {first:.1}, the last {last:.1}.");
    Ok((spec(letter, "Speed of each cycle", Unit::PerSecond, vec![series(what, Look::Line, false, points)]), alt))
}

fn range(values: &[f64]) -> (f64, f64) {
    (values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// Draws how many errors were seen when: those of the incident before all of them.
fn findings(letter: &Letter, snapshot: &Snapshot) -> Result<(Spec, String), &'static str> {
    if snapshot.findings.is_empty() {
        return Err("no error was seen in this run");
    }
    let from = snapshot.findings.iter().map(|group| group.timeline_from_ms).fold(snapshot.run.started_ms, i64::min);
    let until = snapshot.findings.iter().map(|group| group.last_ms).fold(snapshot.made_ms, i64::max);
    let width = (until.saturating_sub(from) / SLOTS).max(1000);
    let mine = |group: &&FindingGroup| {
        letter.incident.as_ref().is_some_and(|one| one.cause == group.cause || one.causes.contains_key(&group.cause))
    };
    let all = slots(&snapshot.findings, (from, until), width);
    let own = slots(snapshot.findings.iter().filter(mine), (from, until), width);
    if all.len() < 2 {
        return Err("the run is too short");
    }
    let sum = |slots: &[(i64, f64)]| slots.iter().map(|(_, value)| *value).sum::<f64>() as u64;
    let peak = all.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default();
    let alt = format!(
        "{} in the run, {} of this incident; most within {} from {}: {}.",
        count(sum(&all), "error"),
        number(sum(&own)),
        length(width.unsigned_abs()),
        moment(peak.0.saturating_sub(width / 2), letter.zone),
        number(peak.1 as u64),
    );
    let mut drawn = vec![series("all errors", Look::Bars, false, all)];
    if letter.incident.is_some() {
        drawn.push(series("errors of this incident", Look::Bars, false, own));
    }
    Ok((spec(letter, "Errors over the time of the run", Unit::Count, drawn), alt))
}

/// Draws what was measured at the quiet ends of cycles, with the trends; before there is that, what was measured in between.
fn memory(letter: &Letter) -> Result<(Spec, String), &'static str> {
    let measured = letter.measures.iter().any(|(metric, points)| metric.starts_with("rss.") && points.len() > 1);
    if !measured {
        return in_between(letter);
    }
    let (drawn, mut alt) = figures::memory_of(&letter.measures);
    let mut spec = spec(letter, "Memory of the parts of soakd", Unit::Bytes, drawn);
    for at in 0..spec.series.len().min(PARTS_MAX) {
        let name = format!("rss.{}", spec.series[at].name);
        let Some(points) = letter.measures.get(&name) else { continue };
        let trend = figures::examined(points);
        if trend.slope_low > 0.0 {
            alt.push_str(&format!(" {}: {}", spec.series[at].name, figures::growth(&trend)));
        }
        spec.fits.extend(figures::fits(points, &trend, at));
    }
    spec.series.truncate(PARTS_MAX);
    Ok((spec, alt))
}

fn in_between(letter: &Letter) -> Result<(Spec, String), &'static str> {
    let part = |name: &String| name.strip_prefix("rss.").map(str::to_owned);
    let mut parts: Vec<(String, &Vec<(i64, f64)>)> = letter
        .series
        .iter()
        .filter_map(|(name, points)| Some((part(name)?, points)))
        .filter(|(_, points)| points.iter().filter(|(_, value)| value.is_finite()).count() > 1)
        .collect();
    if parts.is_empty() {
        return Err("fewer than two measurements are known");
    }
    let most = |points: &[(i64, f64)]| points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    parts.sort_by(|a, b| most(b.1).total_cmp(&most(a.1)));
    parts.truncate(PARTS_MAX);
    let mib = |value: f64| format!("{:.0} MiB", value / 1_048_576.0);
    let words: Vec<String> = parts
        .iter()
        .filter_map(|(name, points)| {
            let (first, last) = (points.first()?.1, points.last()?.1);
            Some(format!("{name} from {} to {}, at most {}", mib(first), mib(last), mib(most(points))))
        })
        .collect();
    let drawn = parts.iter().map(|(name, points)| series(name, Look::Line, false, (*points).clone())).collect();
    Ok((spec(letter, "Memory of the parts of soakd", Unit::Bytes, drawn), format!("{}.", words.join("; "))))
}

/// Draws the percentiles of the action that takes longest.
fn latency(letter: &Letter) -> Option<(String, (Spec, String))> {
    let last = |action: &String| {
        let metric = if action.is_empty() { "latency_p99".to_owned() } else { format!("latency_p99.{action}") };
        letter.measures.get(&metric).and_then(|points| points.last()).map_or(0.0, |point| point.mean)
    };
    let action = figures::actions(&letter.measures).into_iter().max_by(|a, b| last(a).total_cmp(&last(b)))?;
    let (drawn, alt) = figures::latency_of(&letter.measures, &action)?;
    let name = if action.is_empty() { "all actions".to_owned() } else { action };
    let title = format!("Latency of {name}, percentiles of each cycle");
    let spec = Spec { scale: Scale::Ratio, ..spec(letter, &title, Unit::Seconds, drawn) };
    Some((name, (spec, alt)))
}
