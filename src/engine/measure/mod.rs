//! What is measured at the quiet end of a cycle: every part has come to rest and nothing of the load is under way, so that
//! these values compare from cycle to cycle. It observes and changes nothing: no memory is given back and no log is emptied
//! for the sake of a better value.

pub mod figures;
pub mod outside;
pub mod part;
pub mod performance;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;

use super::cycle::Stage;
use super::setup::Role;
use super::worker::protocol::{Command, Reply};
use crate::model::measure::CycleMeasures;
use crate::model::record::CycleRecord;
use crate::probe::files::{self, Sizes};
use crate::probe::missing::Missing;
use crate::probe::process::{self, Reading};
use figures::Rates;
use outside::{Figure, Reader};
use part::Part;
use performance::Work;

/// The life of what outlives processes: files, rows, counts since the start of the run.
pub const LASTING: u32 = 1;

/// What has to be remembered from one cycle to the next.
#[derive(Debug, Default)]
pub struct Memory {
    rates: Rates,
    missing: Missing,
}

/// What was read of one part.
struct Seen {
    part: Part,
    process: Result<Option<Reading>, process::Unreadable>,
    sizes: Option<std::io::Result<Sizes>>,
    at: Instant,
}

/// Measures everything that a cycle leaves behind; what cannot be measured is absent, and its reason is said once. To measure
/// something more, add a function that notes its values and call it here; the kinds stand in [`crate::model::metric`].
pub async fn gather(stage: &Stage, record: &CycleRecord) -> CycleMeasures {
    let at_ms = stage.setup.clock.now_ms();
    let mut measures = CycleMeasures { cycle: record.cycle, at_ms, ..CycleMeasures::default() };
    let mut memory = stage.memory.lock().await;
    let mut parts = vec![Part::daemon()];
    parts.extend(part::parts(&stage.service, &stage.crew, &stage.outside).await);
    let local = parts.iter().any(|part| part.name == "target" && part.pid.is_some());
    // Figures of many maps and files take milliseconds, for which no other task is to wait.
    match tokio::task::spawn_blocking(move || parts.into_iter().map(look).collect::<Vec<_>>()).await {
        Ok(seen) => note_parts(&mut measures, &mut memory, seen),
        Err(error) => tracing::error!("the parts were not measured: {error}"),
    }
    note_holdings(&mut measures, &mut memory, stage).await;
    for Figure { metric, value, life } in stage.outside.lock().await.figures(Reader::Cycle, local).await {
        measures.note(metric, value, life);
    }
    match stage.ledger.with(|store| store.totals(stage.ledger.run())) {
        Ok(totals) => measures.note("deleted", totals.rows_deleted as f64, LASTING),
        // The next commit tells of a state file that cannot be read.
        Err(error) => tracing::error!("the counters cannot be read: {error}"),
    }
    note_performance(&mut measures, stage, record);
    measures
}

/// Notes how quickly the cycle did its work.
fn note_performance(measures: &mut CycleMeasures, stage: &Stage, record: &CycleRecord) {
    let (rows, retries) = stage.ledger.cycle_work();
    let resumed = stage.epoch.get().is_some_and(|epoch| epoch.epoch > 1 && epoch.cycle == record.cycle);
    match stage.ledger.with(|store| store.cycle_latency(stage.ledger.run(), record.cycle)) {
        Ok(latency) => performance::note(record, &latency, Work { rows, retries, resumed }, measures),
        Err(error) => tracing::error!("the latencies of the cycle cannot be read: {error}"),
    }
}

/// Notes the rows, tombstones and metadata of the server and of the local databases, where they can be counted.
async fn note_holdings(measures: &mut CycleMeasures, memory: &mut Memory, stage: &Stage) {
    if let Some(gateway) = stage.service.gateway.as_ref().filter(|_| stage.service.is_embedded()) {
        let held = memory.missing.take("rows of the target", gateway.holdings().await);
        if let Some(held) = held.flatten() {
            measures.note("rows.target", held.rows as f64, LASTING);
            measures.note("tombstones.target", held.tombstones as f64, LASTING);
            measures.note("metadata.target", held.metadata as f64, LASTING);
        }
    }
    if stage.setup.is_direct() {
        return;
    }
    let mut asking = JoinSet::new();
    for db in stage.crew.databases(|role| matches!(role, Role::Load | Role::Reader(_))) {
        let (crew, index) = (Arc::clone(&stage.crew), stage.crew.worker_of(db));
        asking.spawn(async move { (index, crew.ask(db, Command::Holdings).await) });
    }
    // Of a worker that cannot tell of each of its databases nothing is known.
    let mut sums: BTreeMap<usize, Result<u64, String>> = BTreeMap::new();
    while let Some(Ok((index, told))) = asking.join_next().await {
        let sum = sums.entry(index.unwrap_or_default()).or_insert(Ok(0));
        match (sum.as_mut(), told) {
            (Ok(sum), Ok(Reply::Holdings { metadata })) => *sum += metadata,
            (Ok(_), Ok(other)) => *sum = Err(format!("an answer that does not fit: {other:?}")),
            (Ok(_), Err(error)) => *sum = Err(error.to_string()),
            (Err(_), _) => {}
        }
    }
    for (index, sum) in sums {
        let name = format!("worker-{}", index + 1);
        let sum = memory.missing.take(&format!("metadata of {name}"), sum);
        // Numbered as the parts are, behind the daemon and the target.
        if let Some(sum) = sum.filter(|_| figures::is_kept(index + 2, "metadata")) {
            measures.note(format!("metadata.{name}"), sum as f64, LASTING);
        }
    }
}

fn look(part: Part) -> Seen {
    let process = part.pid.map_or(Ok(None), |pid| process::read(&part.name, pid, true));
    let sizes = (!part.databases.is_empty()).then(|| files::databases(&part.databases));
    Seen { part, process, sizes, at: Instant::now() }
}

fn note_parts(measures: &mut CycleMeasures, memory: &mut Memory, seen: Vec<Seen>) {
    let pids: Vec<u32> = seen.iter().filter_map(|seen| seen.part.pid).collect();
    memory.rates.keep(|pid| pids.contains(&pid));
    for (index, Seen { part, process, sizes, at }) in seen.into_iter().enumerate() {
        let name = &part.name;
        let reading = memory.missing.take(name, process).flatten();
        if let Some(reading) = &reading {
            let hidden = reading.hidden.as_ref().map_or(Ok(()), Err);
            memory.missing.take(&format!("{name} beside its memory"), hidden);
            let mut figures = figures::of_process(reading);
            figures.extend(memory.rates.since_last(reading, at));
            for (kind, value) in figures.into_iter().filter(|(kind, _)| figures::is_kept(index, kind)) {
                measures.note(format!("{kind}.{name}"), value, reading.usage.pid);
            }
        }
        let Some(sizes) = sizes else { continue };
        if let Some(sizes) = memory.missing.take(&format!("files of {name}"), sizes) {
            let figures = figures::of_files(&sizes, reading.as_ref()).into_iter();
            for (kind, value) in figures.filter(|(kind, _)| figures::is_kept(index, kind)) {
                measures.note(format!("{kind}.{name}"), value, LASTING);
            }
        }
    }
}
