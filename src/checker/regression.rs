//! Whether a run is worse than another one: which runs may be compared at all, which metrics are, and what each of them comes
//! to. The statistics are those of [`crate::stats::compare`]; here it is decided what they are asked.

pub mod findings;
pub mod within;

use std::collections::BTreeMap;

use crate::model::judgement::{BaselineComparison, Change, MetricChange};
use crate::model::measure::Measured;
use crate::model::metric::{self, Aspect, Unit, Worse};
use crate::model::record::{RunRecord, ScaleRecord};
use crate::stats::compare::{self, Asked, Comparison, Outcome, PAIRS_MIN, Point};
use crate::stats::median::median_of;

/// Probability that two runs of one build differ in any metric, as far as the assumptions hold.
const ALPHA: f64 = 0.05;
/// Runs of one version that the deviation between runs is learnt from.
pub const PEERS_MAX: usize = 10;
/// How much the assumed deviation between runs counts beside what other runs show: as much as this many runs more.
const PRIOR_RUNS: f64 = 4.0;
/// Settings that must agree, beside those of the scale; prefixes end in a dot.
const COMPARED: &[&str] = &["workload.", "provider", "provider.", "run.databases_per_worker", "target.embedded.store"];
/// Settings below them that may differ: where a library lies does not change what is done.
const MAY_DIFFER: &[&str] = &["provider.extension.path", "provider.extension.sha256"];

/// What metrics kept of a run, by name.
pub type Measures = BTreeMap<String, Vec<Measured>>;

/// A run and what was measured of its cycles.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    pub run: &'a RunRecord,
    pub cycles_done: u64,
    pub measures: &'a Measures,
}

/// How strict a comparison is.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Relative shift from which on a difference matters; by metric if not given.
    pub margin: Option<f64>,
    /// Compares runs of different workloads, too.
    pub anyway: bool,
    /// Relative deviation between runs of one build by metric, where other runs show it.
    pub between: BTreeMap<String, f64>,
}

/// What is asked of the metrics of one aspect.
struct Terms {
    margin: f64,
    floor: f64,
    between: f64,
}

/// Compares a run with an earlier one.
pub fn compare(before: &Side<'_>, after: &Side<'_>, settings: &Settings, at_ms: i64) -> BaselineComparison {
    let mut out = BaselineComparison {
        baseline: before.run.run.clone(),
        baseline_server: before.run.versions.server.clone(),
        server: after.run.versions.server.clone(),
        at_ms,
        changes: Vec::new(),
        refused: refusals(before, after, settings.anyway),
    };
    if !out.refused.is_empty() {
        return out;
    }
    let names: Vec<&String> = before.measures.keys().chain(after.measures.keys()).collect();
    let mut names: Vec<(Aspect, &String)> = names.iter().filter_map(|name| Some((Aspect::of(name)?, *name))).collect();
    names.sort();
    names.dedup();
    let has = |side: &Side<'_>, name: &str| side.measures.get(name).map_or(0, Vec::len);
    let tested = names.iter().filter(|(_, name)| has(before, name).min(has(after, name)) >= PAIRS_MIN);
    // Memory is tested twice: how much it is, and how much it grows.
    let tests: usize = tested.map(|(aspect, _)| 1 + usize::from(*aspect == Aspect::Memory)).sum();
    let alpha = ALPHA / tests.max(1) as f64;
    for (aspect, name) in names {
        out.changes.push(change(before, after, settings, (aspect, name, alpha), false));
        if aspect == Aspect::Memory {
            out.changes.push(change(before, after, settings, (aspect, name, alpha), true));
        }
    }
    out
}

/// Returns why two runs cannot be compared.
fn refusals(before: &Side<'_>, after: &Side<'_>, anyway: bool) -> Vec<String> {
    let mut refused = Vec::new();
    if before.run.run == after.run.run {
        refused.push(format!("{} is compared with itself", named(before.run)));
    }
    for side in [before, after] {
        let name = named(side.run);
        let ended = side.run.ended_because.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
        if side.cycles_done == 0 {
            refused.push(format!("{name} has no finished cycle{ended}, so that there is nothing to compare"));
        } else if side.measures.values().all(Vec::is_empty) {
            let age = "it was made by a soakd that did not measure cycles, or was never at the end of one";
            refused.push(format!("nothing was measured in {name}: {age}"));
        }
    }
    if !anyway {
        refused.extend(differing(before.run, after.run));
    }
    refused
}

/// Returns the name of a run in sentences.
pub fn named(run: &RunRecord) -> String {
    format!("run {} ({})", run.run, run.name)
}

/// Returns which settings that make the work differ between two runs, in words.
pub fn differing(before: &RunRecord, after: &RunRecord) -> Vec<String> {
    let mut keys: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (side, run) in [before, after].into_iter().enumerate() {
        let settings = run.config.iter().filter(|(key, _)| is_compared(key));
        let settings = settings.map(|(key, value)| (key.clone(), value.clone()));
        for (key, value) in settings.chain(scale(&run.scale)) {
            let entry = keys.entry(key).or_insert_with(|| ("not set".into(), "not set".into()));
            *(if side == 0 { &mut entry.0 } else { &mut entry.1 }) = value;
        }
    }
    keys.retain(|_, (one, other)| one != other);
    keys.iter().map(|(key, (one, other))| format!("{key} is {one} in the one and {other} in the other")).collect()
}

fn is_compared(key: &str) -> bool {
    let covers = |entry: &str| key == entry || (entry.ends_with('.') && key.starts_with(entry));
    COMPARED.iter().any(|entry| covers(entry)) && !MAY_DIFFER.contains(&key)
}

/// Returns the size of a run by what it is called in reports.
fn scale(scale: &ScaleRecord) -> [(String, String); 9] {
    [
        ("mode", scale.mode.clone()),
        ("provider", scale.provider.clone()),
        ("target", scale.target.clone()),
        ("row-level security", scale.rls.to_string()),
        ("rows", scale.rows.to_string()),
        ("iterations", scale.iterations.to_string()),
        ("databases", scale.databases.to_string()),
        ("users", scale.users.to_string()),
        ("steps per cycle", scale.steps_per_cycle.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

fn change(
    before: &Side<'_>,
    after: &Side<'_>,
    settings: &Settings,
    (aspect, name, alpha): (Aspect, &str, f64),
    growth: bool,
) -> MetricChange {
    let (old, new) = (points(before.measures.get(name)), points(after.measures.get(name)));
    let terms = terms(aspect, name);
    let margin = settings.margin.unwrap_or(terms.margin);
    let between = settings.between.get(name).copied().unwrap_or(terms.between);
    let up_is_worse = metric::parse(name).is_none_or(|(kind, _)| kind.worse != Worse::Down);
    // What grows is a factor; the least that matters is a part of what is there.
    let level = median_of(&old.iter().map(|point| point.value).collect::<Vec<_>>());
    let floor = if growth && level > 0.0 { terms.floor / level } else { terms.floor };
    let asked = Asked { margin, floor, alpha, between, up_is_worse };
    let mut found = if growth { compare::growth(&old, &new, &asked) } else { compare::compare(&old, &new, &asked) };
    if growth {
        // Shown is what came on top.
        (found.before, found.after) = (found.before - 1.0, found.after - 1.0);
    }
    let known = |value: f64| value.is_finite().then_some(value);
    MetricChange {
        metric: if growth { format!("growth.{name}") } else { name.to_owned() },
        change: match found.outcome {
            Outcome::Better => Change::Better,
            Outcome::Same => Change::Same,
            Outcome::Worse => Change::Worse,
            Outcome::CannotTell => Change::CannotTell,
        },
        before: known(found.before),
        after: known(found.after),
        shift: known(found.shift),
        low: known(found.low),
        high: known(found.high),
        effect: known(found.effect),
        p: known(found.p),
        samples: (count(&old), count(&new)),
        detectable: known(found.detectable),
        summary: summary(&found, (&old, &new), margin),
    }
}

fn count(points: &[Point]) -> u64 {
    points.iter().map(|point| u64::from(point.cycles)).sum()
}

fn points(measured: Option<&Vec<Measured>>) -> Vec<Point> {
    let point = |m: &Measured| Point { cycle: m.cycle, cycles: m.samples, value: m.mean };
    measured.into_iter().flatten().map(point).collect()
}

/// Returns what matters of an aspect. Memory and files of two runs of one build differ by more than times do, because
/// allocators and pages have no middle; a value is of no interest where its unit is coarser than the difference.
fn terms(aspect: Aspect, name: &str) -> Terms {
    let unit = metric::parse(name).map(|(kind, _)| kind.unit);
    match aspect {
        Aspect::Latency => Terms { margin: 0.05, floor: 0.000_05, between: 0.015 },
        Aspect::Throughput => Terms { margin: 0.05, floor: 0.0, between: 0.015 },
        // A few rounds and pauses in one: coarser than a latency.
        Aspect::Convergence => Terms { margin: 0.1, floor: 0.005, between: 0.02 },
        Aspect::Errors => Terms { margin: 0.1, floor: 0.05, between: 0.02 },
        Aspect::Memory => Terms { margin: 0.1, floor: 1_048_576.0, between: 0.02 },
        Aspect::Storage if unit == Some(Unit::Bytes) => Terms { margin: 0.1, floor: 262_144.0, between: 0.02 },
        Aspect::Descriptors => Terms { margin: 0.1, floor: 2.0, between: 0.02 },
        Aspect::Storage => Terms { margin: 0.1, floor: 10.0, between: 0.02 },
    }
}

fn summary(found: &Comparison, (old, new): (&[Point], &[Point]), margin: f64) -> String {
    let (from, until) = found.cycles;
    match found.outcome {
        _ if old.is_empty() => "only the later run measured it".to_owned(),
        _ if new.is_empty() => "only the earlier run measured it".to_owned(),
        _ if found.pairs < PAIRS_MIN => {
            format!("{} pairs of cycles after the warm-up, and {PAIRS_MIN} are needed at least", found.pairs)
        }
        Outcome::CannotTell if found.detectable.is_finite() => format!(
            "cycles {from} to {until}: a shift below {} would not have been found for certain in this noise",
            percent(found.detectable)
        ),
        Outcome::CannotTell => format!("cycles {from} to {until}: too noisy to tell"),
        Outcome::Same => format!("cycles {from} to {until}: no shift of {} or more", percent(2.0 * margin)),
        Outcome::Better | Outcome::Worse if found.shift.is_finite() => {
            format!(
                "cycles {from} to {until}: {} {}",
                percent(found.shift.abs()),
                if found.shift > 0.0 { "more" } else { "less" }
            )
        }
        Outcome::Better | Outcome::Worse => format!("cycles {from} to {until}: there was nothing of it before"),
    }
}

/// Returns a share as a percentage with at most one decimal.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent.abs() < 9.95 { format!("{} %", (percent * 10.0).round() / 10.0) } else { format!("{percent:.0} %") }
}

/// Returns a relative shift with its sign.
pub fn signed(share: f64) -> String {
    let sign = if share > 0.0 { "+" } else { "" };
    format!("{sign}{}", percent(share))
}

/// Returns runs that ended and did the same work with the same versions as another one, but for some.
pub fn peers<'a>(
    runs: &'a [RunRecord],
    of: &'a RunRecord,
    not: &'a [&'a String],
) -> impl Iterator<Item = &'a RunRecord> {
    runs.iter().filter(|other| {
        let known = !of.versions.server.is_empty() && other.versions == of.versions;
        known && other.ended_ms.is_some() && !not.contains(&&other.run) && differing(of, other).is_empty()
    })
}

/// Learns from groups of runs of one version each how much runs of one build deviate, by metric. The assumed deviation has the
/// weight of some runs, so that two runs that happen to agree do not promise that all do (a moderated variance; Smyth 2004).
/// Noise within the runs is in it too, which errs on the careful side.
pub fn between(groups: &[Vec<&Measures>]) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for group in groups.iter().filter(|group| group.len() > 1) {
        let names: std::collections::BTreeSet<&String> = group.iter().flat_map(|measures| measures.keys()).collect();
        for name in names.into_iter().filter(|name| Aspect::of(name).is_some()) {
            let series: Vec<Vec<Point>> = group.iter().map(|m| points(m.get(name))).filter(|p| !p.is_empty()).collect();
            let Some((squares, freedom)) = compare::scatter(&series) else { continue };
            let sum = sums.entry(name).or_default();
            *sum = (sum.0 + squares, sum.1 + freedom);
        }
    }
    let learnt = |(name, (squares, freedom)): (&str, (f64, f64))| {
        let assumed = terms(Aspect::of(name)?, name).between;
        let variance = (PRIOR_RUNS * assumed * assumed + squares) / (PRIOR_RUNS + freedom);
        Some((name.to_owned(), variance.sqrt()))
    };
    sums.into_iter().filter_map(learnt).collect()
}

#[cfg(test)]
mod tests;
