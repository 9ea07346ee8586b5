//! What a run owes to earlier ones: its comparison with the baseline when it ends, and within it the versions of the server and
//! what changed with them.

use super::cycle::Stage;
use crate::checker::regression::{self, Measures, PEERS_MAX, Settings, Side, findings, within};
use crate::model::judgement::{Changes, VersionSince};
use crate::model::record::{CycleRecord, RunRecord};
use crate::store::{Store, StoreError};

/// Versions that are kept of a run.
const VERSIONS_MAX: usize = 100;

/// Notes the version that a cycle saw; a cycle that saw none says nothing.
fn note_version(changes: &mut Changes, cycle: &CycleRecord) -> bool {
    let known = changes.versions.last().is_some_and(|last| last.server == cycle.server);
    if cycle.server.is_empty() || known {
        return false;
    }
    if changes.versions.len() >= VERSIONS_MAX {
        changes.versions.remove(0);
        changes.versions_dropped += 1;
    }
    let (cycle, at_ms, server) = (cycle.cycle, cycle.started_ms, cycle.server.clone());
    changes.versions.push(VersionSince { cycle, at_ms, server });
    true
}

impl Stage {
    /// Looks at a cycle that was closed: which version it saw, and whether enough is known of the last one to judge it.
    pub(super) fn watch_versions(&self, run: &RunRecord, cycle: &CycleRecord) -> anyhow::Result<()> {
        let before = self.ledger.with(|store| store.changes(&run.run))?;
        let mut changes = before.clone();
        let new = note_version(&mut changes, cycle);
        let since = changes.versions.last().map_or(0, |last| (cycle.cycle + 1).saturating_sub(last.cycle));
        if changes.versions.len() > 1 && within::is_due(since) {
            self.look_within(run, changes, cycle.cycle, false)
        } else if new {
            Ok(self.ledger.with(|store| store.record_changes(&run.run, &changes, &[], false))?)
        } else {
            Ok(())
        }
    }

    /// Looks for lasting changes within the run, and writes them down.
    fn look_within(&self, run: &RunRecord, mut changes: Changes, cycle: u64, whole: bool) -> anyhow::Result<()> {
        let measures = self.ledger.with(|store| store.measures(&run.run))?;
        let shifts = tokio::task::block_in_place(|| within::shifts(&measures, &changes.versions, whole));
        let worse = findings::of_shifts(&shifts, &changes.shifts, (self.setup.clock.now_ms(), cycle));
        let recovered = worse.is_empty() && findings::is_recovered(&shifts) && shifts != changes.shifts;
        worse.iter().for_each(|finding| tracing::error!("{}", finding.message));
        changes.shifts = shifts;
        Ok(self.ledger.with(|store| store.record_changes(&run.run, &changes, &worse, recovered))?)
    }

    /// Compares a run that ends with the baseline, if there is one, and looks once more at what changed within it.
    pub(super) fn conclude(&self, run: &RunRecord) -> anyhow::Result<()> {
        let last = run.cycle.saturating_sub(1);
        let changes = self.ledger.with(|store| store.changes(&run.run))?;
        self.look_within(run, changes, last, true)?;
        let Some(found) = self.ledger.with(|store| gathered(store, run))? else { return Ok(()) };
        let Gathered { baseline, cycles, measures, groups } = &found;
        let now_ms = self.setup.clock.now_ms();
        let comparison = tokio::task::block_in_place(|| {
            let groups: Vec<Vec<&Measures>> = groups.iter().map(|group| group.iter().collect()).collect();
            let settings = Settings { between: regression::between(&groups), ..Settings::default() };
            let before = Side { run: baseline, cycles_done: cycles.0, measures: &measures.0 };
            let after = Side { run, cycles_done: cycles.1, measures: &measures.1 };
            regression::compare(&before, &after, &settings, now_ms)
        });
        let worse = findings::of_comparison(&comparison, (now_ms, last));
        worse.iter().for_each(|finding| tracing::error!("{}", finding.message));
        Ok(self.ledger.with(|store| store.record_comparison(&run.run, &comparison, &worse))?)
    }
}

/// What a comparison with the baseline needs of the state file.
struct Gathered {
    baseline: RunRecord,
    cycles: (u64, u64),
    measures: (Measures, Measures),
    /// Runs of one version each.
    groups: Vec<Vec<Measures>>,
}

/// Reads what a comparison needs; `None` if there is no baseline.
fn gathered(store: &mut Store, run: &RunRecord) -> Result<Option<Gathered>, StoreError> {
    let Some(id) = store.baseline()?.filter(|id| *id != run.run) else { return Ok(None) };
    let Some(baseline) = store.run(&id)? else { return Ok(None) };
    let cycles = |store: &Store, run: &str| Ok::<_, StoreError>(store.snapshot(run)?.map_or(0, |s| s.cycles_done));
    let cycles = (cycles(store, &id)?, cycles(store, &run.run)?);
    let measures = (store.measures(&id)?, store.measures(&run.run)?);
    let mut groups = Vec::new();
    for (of, own) in [(&baseline, &measures.0), (run, &measures.1)] {
        if of.run == run.run && baseline.versions == run.versions {
            break;
        }
        let mut group = vec![own.clone()];
        for other in regression::peers(&store.runs()?, of, &[&id, &run.run]).take(PEERS_MAX) {
            group.push(store.measures(&other.run)?);
        }
        groups.push(group);
    }
    Ok(Some(Gathered { baseline, cycles, measures, groups }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::verdict::Verdict;
    use crate::store::tests::a_cycle;

    #[test]
    fn versions_are_noted_once_and_the_unknown_is_none() {
        let mut changes = Changes::default();
        for (no, server) in [(1, "a"), (2, ""), (3, "a"), (4, "b"), (5, "b"), (6, "a")] {
            note_version(&mut changes, &CycleRecord { server: server.into(), ..a_cycle(no, Verdict::Pass) });
        }
        let seen: Vec<_> = changes.versions.iter().map(|v| (v.cycle, v.server.as_str())).collect();
        assert_eq!(seen, [(1, "a"), (4, "b"), (6, "a")]);
        for no in 7..400 {
            note_version(&mut changes, &CycleRecord { server: no.to_string(), ..a_cycle(no, Verdict::Pass) });
        }
        assert_eq!((changes.versions.len(), changes.versions_dropped), (VERSIONS_MAX, 296));
    }
}
