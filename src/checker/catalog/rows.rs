//! Versions and contents: each dataset must be where the acknowledged writes left it.

use super::{Dataset, Evidence, counted, said, shown};
use crate::model::verdict::{CheckResult, Verdict};

/// Faults and doubts of one check.
#[derive(Default)]
struct Findings {
    wrong: Vec<String>,
    unclear: Vec<String>,
}

impl Findings {
    /// Returns the verdict: what is wrong outweighs what is unclear, and of nothing at all nothing is proven.
    fn verdict(self, check: &str, summaries: [String; 3], acknowledged: u64) -> CheckResult {
        let [wrong, unclear, right] = summaries;
        if !self.wrong.is_empty() {
            let total = self.wrong.len() as u64;
            return shown(check, Verdict::Fail, wrong, self.wrong, total);
        }
        if !self.unclear.is_empty() {
            let total = self.unclear.len() as u64;
            return shown(check, Verdict::Inconclusive, unclear, self.unclear, total);
        }
        if acknowledged == 0 {
            let why = "no write was acknowledged, so that nothing is proven".into();
            return said(check, Verdict::Inconclusive, why);
        }
        said(check, Verdict::Pass, right)
    }
}

/// Each version must be 1 + the acknowledged writes, and that of the catalog 1 + all of them.
pub(super) fn versions(evidence: &Evidence) -> CheckResult {
    let mut found = Findings::default();
    let (mut acknowledged, mut open) = (0, 0);
    for dataset in &evidence.datasets {
        acknowledged += dataset.acknowledged;
        open += dataset.open;
        let Some(row) = &dataset.row else {
            found.wrong.push(format!("{} is gone; it must be at version {}", dataset.name, 1 + dataset.acknowledged));
            continue;
        };
        if let Some(what) = &dataset.odd.version {
            found.wrong.push(format!("{}: {what}", dataset.name));
            continue;
        }
        let (writer, operation) = (&row.state.writer, row.state.operation);
        let last = format!("; last written by {writer}, operation {operation}");
        compare(&dataset.name, row.state.version, (dataset.acknowledged, dataset.open), &last, &mut found);
    }
    found.wrong.extend(evidence.strangers.iter().map(|name| format!("{name} is no dataset of the catalog")));
    match evidence.meta {
        Some(version) => compare("the catalog", version, (acknowledged, open), "", &mut found),
        None => found.wrong.push(match &evidence.odd_meta {
            Some(what) => format!("the catalog's own {what}"),
            None => "the catalog's own version is gone".into(),
        }),
    }
    let of = counted(evidence.datasets.len() as u64, "dataset", "datasets");
    let summaries = [
        "versions are not 1 + the acknowledged writes".into(),
        "the end of some writes is unknown, so that versions cannot be told".into(),
        format!(
            "{of} and the catalog are at 1 + their acknowledged writes ({})",
            counted(acknowledged, "write", "writes")
        ),
    ];
    found.verdict("versions", summaries, acknowledged)
}

/// Holds one version against the writes that made it.
fn compare(name: &str, version: i64, (acknowledged, open): (u64, u64), last: &str, found: &mut Findings) {
    let (least, most) = (1 + acknowledged as i64, 1 + (acknowledged + open) as i64);
    let writes = counted(acknowledged, "acknowledged write", "acknowledged writes");
    if version < least || version > most {
        let off = if version < least {
            format!("{} fewer than were acknowledged", least - version)
        } else {
            format!("{} more than anybody was told of", version - most)
        };
        found.wrong.push(format!("{name} is at version {version} instead of {least} (1 + {writes}): {off}{last}"));
    } else if version != least {
        found.unclear.push(format!("{name} is at version {version}: {writes}, and {open} that may have happened"));
    }
}

/// No acknowledged write may be missing from what stands there, and none may share its version with another.
pub(super) fn lost_updates(evidence: &Evidence) -> CheckResult {
    let mut found = Findings { wrong: evidence.twice.first.clone(), ..Findings::default() };
    evidence.datasets.iter().for_each(|dataset| content(dataset, &mut found));
    let acknowledged = evidence.datasets.iter().map(|dataset| dataset.acknowledged).sum();
    let more = evidence.twice.broken.saturating_sub(evidence.twice.first.len() as u64);
    let summaries = [
        "acknowledged writes were lost, or are not what was written".into(),
        "the end of some writes is unknown, so that contents cannot be told".into(),
        format!("all {acknowledged} acknowledged writes are counted once, and the last of each dataset stands there"),
    ];
    let mut result = found.verdict("lost_updates", summaries, acknowledged);
    result.evidence_total += more;
    result
}

/// Holds one dataset against its last acknowledged write.
fn content(dataset: &Dataset, found: &mut Findings) {
    if !dataset.odd.others.is_empty() {
        found.wrong.push(format!("{}: {}", dataset.name, dataset.odd.others.join(", ")));
        return;
    }
    // One that is gone, or whose version is none, is told by the versions.
    let Some(row) = dataset.row.as_ref().filter(|_| dataset.odd.version.is_none()) else { return };
    let (name, last, state) = (&dataset.name, &dataset.last, &row.state);
    let by = format!("{}, operation {}", last.writer, last.operation);
    if state.version < last.version {
        found.wrong.push(format!(
            "{name}: version {} was acknowledged to {by}, and version {} by {}, operation {} stands there",
            last.version, state.version, state.writer, state.operation
        ));
    } else if state.version == last.version && state != last {
        found.wrong.push(format!(
            "{name}: version {} was acknowledged to {by} with content {}, and holds {} by {}, operation {}",
            last.version, last.content, state.content, state.writer, state.operation
        ));
    } else if state.version > last.version {
        let line = format!(
            "{name}: version {} by {}, operation {} stands over the last acknowledged one ({}, by {by})",
            state.version, state.writer, state.operation, last.version
        );
        if dataset.open > 0 { &mut found.unclear } else { &mut found.wrong }.push(line);
    }
    let (least, most) = (dataset.acknowledged as i64, (dataset.acknowledged + dataset.open) as i64);
    if row.total < least || row.total > most {
        found.wrong.push(format!("{name}: {} writes are counted in it, {least} were acknowledged", row.total));
    } else if row.total != least {
        found.unclear.push(format!("{name}: {} writes are counted in it, {least} were acknowledged", row.total));
    }
}
