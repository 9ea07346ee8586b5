//! What changed within one run, and whether it came with another version of the server: at the cycles where the version
//! changed it is looked for at that very place, and elsewhere anywhere.

use super::{ALPHA, Measures, terms};
use crate::model::judgement::{Change, SeriesShift, VersionSince};
use crate::model::measure::Measured;
use crate::model::metric::{self, Aspect, Worse};
use crate::stats::change::{self, Asked, Point, SIDE_MIN, Shift};

/// Changes that are told of one run.
const SHIFTS_MAX: usize = 100;
/// Cycles by which a change that was found may lie beside the version that it came with.
const BESIDE: u64 = 3;

/// Returns true if enough cycles have passed since a version was first seen to look at it: from six on, more and more rarely.
pub fn is_due(since: u64) -> bool {
    let base = if since.is_multiple_of(3) { since / 3 } else { since };
    since >= SIDE_MIN as u64 && base.is_power_of_two()
}

/// Finds the lasting changes of all metrics that runs are compared by; those without another version only in a whole run.
pub fn shifts(measures: &Measures, versions: &[VersionSince], whole: bool) -> Vec<SeriesShift> {
    let judged: Vec<(Aspect, &String, &Vec<Measured>)> =
        measures.iter().filter_map(|(name, points)| Some((changing(name)?, name, points))).collect();
    let mut all = Vec::new();
    for (aspect, name, measured) in &judged {
        let points: Vec<Point> =
            measured.iter().map(|m| Point { at_ms: m.at_ms, cycle: m.cycle, value: m.mean }).collect();
        let terms = terms(*aspect, name);
        let asked = Asked { alpha: ALPHA / judged.len() as f64, relative: terms.margin, absolute: terms.floor };
        let known = at_versions(&points, versions, &asked);
        let elsewhere = if whole { change::find(&points, &asked) } else { Vec::new() };
        let is_new = |shift: &Shift| known.iter().all(|(_, other)| other.cycle.abs_diff(shift.cycle) > BESIDE);
        let elsewhere = elsewhere.into_iter().filter(is_new).map(|shift| {
            let beside = versions.iter().skip(1).find(|version| version.cycle.abs_diff(shift.cycle) <= BESIDE);
            (beside.map(|version| version.server.clone()), shift)
        });
        let elsewhere: Vec<_> = elsewhere.collect();
        all.extend(known.into_iter().chain(elsewhere).map(|(since, shift)| told(name, since, &shift)));
    }
    all.sort_by(|a, b| (a.cycle, &a.metric).cmp(&(b.cycle, &b.metric)));
    all.truncate(SHIFTS_MAX);
    all
}

/// Returns the aspect of a metric whose level says something; what is stored grows in steps by nature.
fn changing(name: &str) -> Option<Aspect> {
    Aspect::of(name).filter(|aspect| *aspect != Aspect::Storage)
}

/// Looks at the places where the version changed, each between its neighbours.
fn at_versions(points: &[Point], versions: &[VersionSince], asked: &Asked) -> Vec<(Option<String>, Shift)> {
    let looked = |no: usize| {
        let from = versions[no - 1].cycle;
        let until = versions.get(no + 1).map_or(u64::MAX, |next| next.cycle);
        let shift = change::at(points, (from, versions[no].cycle, until), asked)?;
        Some((Some(versions[no].server.clone()), shift))
    };
    (1..versions.len()).filter_map(looked).collect()
}

fn told(name: &str, since: Option<String>, shift: &Shift) -> SeriesShift {
    let up_is_worse = metric::parse(name).is_none_or(|(kind, _)| kind.worse != Worse::Down);
    let rises = shift.after > shift.before;
    SeriesShift {
        metric: name.to_owned(),
        cycle: shift.cycle,
        at_ms: shift.at_ms,
        before: shift.before,
        after: shift.after,
        // What rises from nothing has no relative size; it is told as all of it.
        shift: if shift.relative.is_finite() { shift.relative } else { 1.0 },
        p: shift.p,
        change: if rises == up_is_worse { Change::Worse } else { Change::Better },
        since,
    }
}
