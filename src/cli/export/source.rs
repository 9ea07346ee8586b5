//! Reads what an export is made of, and hands it on row by row; of a run that goes on, only what belongs to cycles that were
//! closed when it began.

use std::io::{self, Write};

use super::figures::{CRITERIA, Judged, LATENCY, MEASURES, Of, SERIES};
use super::table::{Failed, Sink, write};
use super::tables::{
    CHECKS, COLUMNS, CYCLES, Checked, Described, EPOCHS, FINDINGS, INCIDENTS, In, OUTAGES, RUNS, shapes,
};
use crate::cli::state::State;
use crate::model::receipt::{self, Ends};
use crate::model::record::{CycleRecord, Snapshot};

/// A run to export.
pub(super) struct Source<'a> {
    state: &'a State,
    snapshot: Snapshot,
    /// The last cycle that is exported.
    until: u64,
}

impl<'a> Source<'a> {
    /// Exports what the snapshot of a run knows of, and no later cycles.
    pub(super) fn new(state: &'a State, snapshot: Snapshot) -> Self {
        let until = snapshot.cycles.last().map_or(0, |cycle| cycle.cycle);
        Self { state, snapshot, until }
    }

    /// Returns the number of cycles.
    pub(super) fn cycles_done(&self) -> u64 {
        self.snapshot.cycles_done
    }

    fn of<T>(&self, row: T) -> In<T> {
        In { run: self.snapshot.run.run.clone(), row }
    }

    fn cycles(&self) -> impl Iterator<Item = anyhow::Result<CycleRecord>> {
        let all = self.state.cycles(&self.snapshot.run.run);
        all.take_while(|cycle| cycle.as_ref().map_or(true, |cycle| cycle.cycle <= self.until))
    }

    /// Writes all tables.
    pub(super) fn tables(&self, sink: &mut dyn Sink) -> Result<(), Failed> {
        let snapshot = &self.snapshot;
        write(sink, &RUNS, [Ok(snapshot.clone())])?;
        write(sink, &CYCLES, self.cycles().map(|cycle| cycle.map(|row| self.of(row))))?;
        self.checks(sink)?;
        write(sink, &FINDINGS, snapshot.findings.iter().map(|group| Ok(self.of(group.clone()))))?;
        write(sink, &OUTAGES, snapshot.outages.iter().map(|outage| Ok(self.of(outage.clone()))))?;
        write(sink, &EPOCHS, snapshot.epochs.iter().map(|epoch| Ok(self.of(epoch.clone()))))?;
        self.measures(sink)?;
        self.series(sink)?;
        let judged = snapshot.judgement.iter().flat_map(|judgement| {
            judgement.results.iter().map(|result| {
                let (at_ms, cycle) = (judgement.at_ms, judgement.cycle);
                Ok(self.of(Judged { at_ms, cycle, result: result.clone() }))
            })
        });
        write(sink, &CRITERIA, judged)?;
        write(sink, &LATENCY, snapshot.latency.iter().map(|latency| Ok(self.of(latency.clone()))))?;
        write(sink, &INCIDENTS, self.state.incidents_of(&snapshot.run.run)?.into_iter().map(Ok))?;
        let described = shapes()
            .into_iter()
            .flat_map(|shape| shape.columns.into_iter().map(move |column| Ok(Described { table: shape.name, column })));
        write(sink, &COLUMNS, described)?;
        Ok(sink.finish()?)
    }

    fn checks(&self, sink: &mut dyn Sink) -> Result<(), Failed> {
        let checks = self.cycles().flat_map(|cycle| {
            let (cycle, error) = cycle.map_or_else(|error| (None, Some(Err(error))), |cycle| (Some(cycle), None));
            let no = cycle.as_ref().map_or(0, |cycle| cycle.cycle);
            let checks = cycle.into_iter().flat_map(|cycle| cycle.checks);
            checks.map(move |check| Ok(self.of(Checked { cycle: no, check }))).chain(error)
        });
        write(sink, &CHECKS, checks)
    }

    fn measures(&self, sink: &mut dyn Sink) -> Result<(), Failed> {
        let measures = self.state.measures(&self.snapshot.run.run)?;
        let points = measures.iter().flat_map(|(metric, points)| {
            let known = points.iter().filter(|point| point.cycle <= self.until);
            known.map(|point| Ok(self.of(Of { metric: metric.clone(), point: *point })))
        });
        write(sink, &MEASURES, points)
    }

    fn series(&self, sink: &mut dyn Sink) -> Result<(), Failed> {
        let (run, mut names) = (&self.snapshot.run, self.state.series_names()?.into_iter());
        let until_ms = run.ended_ms.unwrap_or(self.snapshot.made_ms).saturating_add(1);
        let mut points = Vec::new().into_iter();
        // One series in memory at a time.
        let rows = std::iter::from_fn(|| {
            loop {
                if let Some(row) = points.next() {
                    return Some(Ok(row));
                }
                let metric = names.next()?;
                match self.state.series(&metric, run.started_ms, until_ms) {
                    Ok(read) => {
                        let row = |point| self.of(Of { metric: metric.clone(), point });
                        points = read.into_iter().map(row).collect::<Vec<_>>().into_iter();
                    }
                    Err(error) => return Some(Err(error)),
                }
            }
        });
        write(sink, &SERIES, rows)
    }

    /// Returns the first and last line of the run's receipt.
    pub(super) fn ends(&self) -> anyhow::Result<Ends> {
        self.state.receipt(&self.snapshot.run.run)
    }

    /// Writes the lines of the receipt; returns the digest of the last one that is kept.
    pub(super) fn receipt(&self, ends: &Ends, out: &mut dyn Write) -> Result<String, Failed> {
        let first = ends.first.as_deref().unwrap_or_default();
        writeln!(out, "{first}")?;
        let first: serde_json::Value = serde_json::from_str(first).map_err(io::Error::other)?;
        let mut head = first["digest"].as_str().unwrap_or_default().to_owned();
        let mut cycles = 0;
        for cycle in self.cycles() {
            let cycle = cycle?;
            writeln!(out, "{}", receipt::cycle_line(&cycle))?;
            (head, cycles) = (cycle.digest, cycle.cycle);
        }
        match &ends.last {
            Some(last) => {
                writeln!(out, "{last}")?;
                head.clone_from(&ends.head);
            }
            None => writeln!(out, "{}", receipt::open_line(self.snapshot.made_ms, cycles, &head).text)?,
        }
        out.flush()?;
        Ok(head)
    }
}
