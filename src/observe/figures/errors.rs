//! Errors over the time of a run, stacked by kind.

use std::collections::BTreeMap;

use super::around::{Around, span};
use super::{Figure, Material, Section};
use crate::model::record::FindingGroup;
use crate::observe::chart::{Look, SERIES_MAX, Series, Size, Spec, Unit};
use crate::observe::report::words::{count, duration, moment, number, word};

/// Slots that a run is cut into.
const SLOTS: i64 = 64;

/// Returns the figure of errors.
pub(super) fn section(given: &Material, around: &Around) -> Section {
    let intro = "Every error that was seen, tolerated ones too; a bar stands for all errors of its time.".to_owned();
    Section { heading: "Errors by kind", intro, figures: figure(given, around).into_iter().collect() }
}

fn figure(given: &Material, around: &Around) -> Option<Figure> {
    let snapshot = given.snapshot;
    let (from, until) = span(snapshot);
    // A bar is at least as wide as what the widest group tells apart.
    let widest = snapshot.findings.iter().map(|group| group.timeline_slot_ms).max()?;
    let width = (until.saturating_sub(from) / SLOTS).max(widest).max(1000);
    let mut kinds: BTreeMap<String, (u64, Vec<&FindingGroup>)> = BTreeMap::new();
    for group in &snapshot.findings {
        let name = format!("{} {}", word(&group.first.side), word(&group.first.kind));
        let kind = kinds.entry(name).or_default();
        kind.0 = kind.0.saturating_add(group.count);
        kind.1.push(group);
    }
    let mut kinds: Vec<(String, (u64, Vec<&FindingGroup>))> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    if kinds.len() > SERIES_MAX {
        let rest = kinds.split_off(SERIES_MAX - 1);
        let sum = rest.iter().map(|(_, (count, _))| *count).fold(0, u64::saturating_add);
        let name = count(rest.len() as u64, "other kind");
        kinds.push((name, (sum, rest.into_iter().flat_map(|(_, (_, groups))| groups).collect())));
    }
    let series: Vec<Series> = kinds
        .iter()
        .map(|(name, (_, groups))| {
            Series::new(name.clone(), Look::Stacked, slots(groups.iter().copied(), (from, until), width))
        })
        .collect();
    let said = kinds.iter().map(|(name, (count, _))| {
        let of = if name.contains("other kind") { "of " } else { "" };
        format!("{} {of}{name}", number(*count))
    });
    let said: Vec<String> = said.collect();
    let mut alt = format!("{}; {}", said.join(", "), peak(&series, width));
    if snapshot.findings_ungrouped > 0 {
        alt.push_str(&format!(
            " {} of further causes are counted but not drawn.",
            count(snapshot.findings_ungrouped, "error")
        ));
    }
    let caption = format!("Errors by kind; one bar is {}", duration(width.unsigned_abs()));
    let spec = Spec::new("Errors over time by kind", given.zone, Unit::Count, series);
    Some(Figure::chart(caption, alt, around.put(spec, Size::WIDE)))
}

/// Says when most errors came.
fn peak(series: &[Series], width: i64) -> String {
    let mut sums: BTreeMap<i64, f64> = BTreeMap::new();
    for (at, value) in series.iter().flat_map(|one| &one.points) {
        *sums.entry(*at).or_default() += value;
    }
    let Some((at, most)) = sums.into_iter().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))) else {
        return "none in this time.".to_owned();
    };
    let from = at.saturating_sub(width / 2);
    format!("most, {}, within {} from {}.", number(most as u64), duration(width.unsigned_abs()), moment(from))
}

/// Returns the middles of equal slots with what fell into them.
pub(crate) fn slots<'a>(
    groups: impl IntoIterator<Item = &'a FindingGroup>,
    (from, until): (i64, i64),
    width: i64,
) -> Vec<(i64, f64)> {
    let slots = (until.saturating_sub(from) / width + 1).clamp(1, SLOTS + 1);
    let mut counts: Vec<(i64, f64)> =
        (0..slots).map(|at| (from.saturating_add(at.saturating_mul(width)).saturating_add(width / 2), 0.0)).collect();
    for group in groups {
        for (at, n) in (0i64..).zip(&group.timeline) {
            let begin = group.timeline_from_ms.saturating_add(at.saturating_mul(group.timeline_slot_ms));
            let slot = (begin.saturating_sub(from) / width).clamp(0, slots - 1);
            counts[slot as usize].1 += *n as f64;
        }
    }
    counts
}
