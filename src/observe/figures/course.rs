//! The course of a run at a glance: when soakd was up, when the target answered, what failed, and which version was tested.

use super::around::{concerned, span, versions};
use super::{Drawing, Figure, Material, Section};
use crate::model::incident::{Incident, IncidentState, Severity};
use crate::model::verdict::Verdict;
use crate::observe::chart::{Lane, Lanes, MarkKind, Size, Stretch, Tone};
use crate::observe::report::words::{between, count, duration, number};

/// Lanes for incidents that last at the same time.
const INCIDENT_LANES: usize = 3;

/// Returns the figure of the course.
pub(super) fn section(given: &Material) -> Section {
    let snapshot = given.snapshot;
    let lanes = [Some(lives(given)), outages(given), failed(given)].into_iter().flatten();
    let lanes = lanes.chain(incidents(given)).chain(tested(given)).collect();
    let wall = {
        let (from, until) = span(snapshot);
        between(from, until)
    };
    let bad = snapshot.cycles_by_verdict.get(&Verdict::Fail).copied().unwrap_or(0);
    let alt = format!(
        "soakd was up for {} of {} in {}; {} of the target; {} of {} failed; {}.",
        duration(snapshot.run.observed_ms.min(wall)),
        duration(wall),
        if snapshot.epochs.len() == 1 {
            "1 life".to_owned()
        } else {
            format!("{} lives", number(snapshot.epochs.len() as u64))
        },
        count(snapshot.outages.len() as u64 + snapshot.outages_dropped, "outage"),
        number(bad),
        count(snapshot.cycles_done, "cycle"),
        count(concerned(given).count() as u64, "incident"),
    );
    let title = "Course of the run".to_owned();
    let drawing =
        Lanes { title: title.clone(), zone: given.zone, width: Size::WIDE.width, span: span(snapshot), lanes };
    let figure = Figure { caption: "What happened when".to_owned(), alt, drawing: Drawing::Lanes(drawing) };
    Section { heading: "Course of the run", intro: String::new(), figures: vec![figure] }
}

fn lane(name: &str, stretches: Vec<Stretch>) -> Lane {
    Lane { name: name.to_owned(), stretches, marks: Vec::new() }
}

fn lives(given: &Material) -> Lane {
    let epochs = &given.snapshot.epochs;
    let stretch = |(at, epoch): (usize, &crate::model::record::EpochRecord)| Stretch {
        from_ms: epoch.started_ms,
        until_ms: epoch.last_ms,
        tone: if at % 2 == 0 { Tone::Good } else { Tone::Plain },
        label: format!("epoch {}", epoch.epoch),
    };
    let stretches = epochs.iter().enumerate().map(stretch).collect();
    let marks = epochs.iter().skip(1).map(|epoch| (epoch.started_ms, MarkKind::Restart)).collect();
    Lane { name: "soakd was up".to_owned(), stretches, marks }
}

fn outages(given: &Material) -> Option<Lane> {
    let until = span(given.snapshot).1;
    let stretch = |out: &crate::model::record::Outage| Stretch {
        from_ms: out.from_ms,
        until_ms: out.until_ms.unwrap_or(until),
        tone: Tone::Away,
        label: out.reason.clone(),
    };
    let all: Vec<Stretch> = given.snapshot.outages.iter().map(stretch).collect();
    (!all.is_empty()).then(|| lane("target was away", all))
}

fn failed(given: &Material) -> Option<Lane> {
    let bad = given.snapshot.cycles.iter().filter(|cycle| cycle.verdict == Verdict::Fail);
    let marks: Vec<_> = bad.map(|cycle| (cycle.ended_ms, MarkKind::Failed)).collect();
    let name = "failed cycles".to_owned();
    (!marks.is_empty()).then_some(Lane { name, stretches: Vec::new(), marks })
}

/// Lays incidents out so that those of the same time do not cover each other, as far as there are lanes.
fn incidents(given: &Material) -> Vec<Lane> {
    let until = span(given.snapshot).1;
    let mut lanes: Vec<Lane> = Vec::new();
    for one in concerned(given) {
        let stretch = lasting(one, until);
        let free = |lane: &Lane| lane.stretches.last().is_none_or(|last| last.until_ms <= stretch.from_ms);
        let at = lanes.iter().position(free).unwrap_or(lanes.len()).min(INCIDENT_LANES - 1);
        if at == lanes.len() {
            lanes.push(lane(if lanes.is_empty() { "incidents" } else { "" }, Vec::new()));
        }
        lanes[at].stretches.push(stretch);
    }
    lanes
}

fn lasting(one: &Incident, until: i64) -> Stretch {
    let end = one.resolved_ms.filter(|_| one.state == IncidentState::Resolved);
    Stretch {
        from_ms: one.opened_ms,
        until_ms: end.unwrap_or(until),
        tone: if one.severity == Severity::Failure { Tone::Bad } else { Tone::Away },
        label: format!("{}: {}", one.id, one.title),
    }
}

fn tested(given: &Material) -> Option<Lane> {
    let (versions, until) = (versions(given.snapshot), span(given.snapshot).1);
    if versions.is_empty() {
        return None;
    }
    let ends = versions.iter().skip(1).map(|(at, _)| *at).chain([until]);
    let stretch = |(no, ((from_ms, version), until_ms)): (usize, (&(i64, String), i64))| Stretch {
        from_ms: *from_ms,
        until_ms,
        tone: if no % 2 == 0 { Tone::Plain } else { Tone::Other },
        label: version.clone(),
    };
    Some(lane("server version", versions.iter().zip(ends).enumerate().map(stretch).collect()))
}
