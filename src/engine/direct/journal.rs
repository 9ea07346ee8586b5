//! The journal of a direct workload: every operation before it is sent and after it ended, in a file that survives the end of
//! the process at any moment, folded into a ledger. What is older than the last checkpoint is in that ledger; files are bounded.

mod files;
mod pairs;
mod state;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::course::{Ledger, Op};
use crate::model::finding::{Finding, Kind};
use crate::model::lane::{End, Lane, LaneFigures};
use crate::model::step::StepReport;
use crate::target::sql::SqlError;

use files::{failed, replay, segment_path, segments};
use state::State;

pub use state::{Carried, OPEN_MAX};

/// Size at which a segment is closed and the ledger is written down.
const SEGMENT_BYTES: u64 = 16 << 20;
/// Closed segments that are kept as evidence.
const SEGMENTS_KEPT: u64 = 3;
/// Operations of each worker that are kept for a report.
const RECENT: usize = 16;
/// Longest text that is kept of one of them.
const RECENT_BYTES: usize = 240;
/// Lines that wait for the next one, at most.
const WAITING_BYTES: usize = 16 * 1024;

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
enum Line<B, D> {
    #[serde(rename = "b")]
    Begin(Op, B),
    #[serde(rename = "e")]
    End(Op, End, D),
    #[serde(rename = "s")]
    Step(Box<StepReport>),
    #[serde(rename = "c")]
    Carry(Lane, Box<LaneFigures>, Vec<Finding>),
}

/// What a checkpoint holds.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Checkpoint<L: Ledger> {
    cycle: u64,
    /// The first segment that is not in it.
    segment: u64,
    state: State<L>,
}

/// The journal of one cycle.
pub struct Journal<L: Ledger> {
    inner: Mutex<Inner<L>>,
}

struct Inner<L: Ledger> {
    dir: PathBuf,
    cycle: u64,
    file: File,
    segment: u64,
    written: u64,
    state: State<L>,
    /// The beginnings of the last lines of every worker.
    recent: BTreeMap<(Lane, u32), VecDeque<Vec<u8>>>,
    /// Where lines are put together, and wait for the next one if they may.
    buffer: Vec<u8>,
    /// Why lines are lost, if they are.
    broken: Option<String>,
}

/// A journal that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the journal {place}: {cause}; free or repair the disk, or start anew with --fresh")]
pub struct JournalError {
    place: String,
    cause: String,
}

impl From<JournalError> for SqlError {
    fn from(error: JournalError) -> Self {
        Self::of_workload(Kind::DiskFull, error.to_string())
    }
}

impl<L: Ledger> Journal<L> {
    /// Opens the journal of a cycle, and reads what an earlier life wrote in it; that of another cycle is removed.
    pub fn open(dir: &Path, cycle: u64, empty: L) -> Result<Self, JournalError> {
        fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
        let place = dir.join("checkpoint.json");
        let found: Option<Checkpoint<L>> = match fs::read(&place) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| failed(&place, &error))?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&place, &error)),
        };
        let checkpoint = match found.filter(|found| found.cycle == cycle) {
            Some(found) => found,
            None => {
                // Whatever there is belongs to a cycle that is over.
                for (_, path) in segments(dir)? {
                    fs::remove_file(&path).map_err(|error| failed(&path, &error))?;
                }
                Checkpoint { cycle, segment: 1, state: State::new(empty) }
            }
        };
        let Checkpoint { segment, mut state, .. } = checkpoint;
        let mut last = segment;
        for (number, path) in segments(dir)?.into_iter().filter(|(number, _)| *number >= segment) {
            replay(&path, &mut state)?;
            last = last.max(number + 1);
        }
        let path = segment_path(dir, last);
        let file = File::options().create(true).append(true).open(&path).map_err(|error| failed(&path, &error))?;
        let mut inner = Inner {
            dir: dir.to_owned(),
            cycle,
            file,
            segment: last,
            written: 0,
            state,
            recent: BTreeMap::new(),
            buffer: Vec::new(),
            broken: None,
        };
        inner.checkpoint(last)?;
        Ok(Self { inner: Mutex::new(inner) })
    }

    /// Returns true if the cycle's schema and first rows are there.
    pub fn is_begun(&self) -> bool {
        self.lock().state.begun
    }

    /// Writes down that they are, and with them what the ledger was told of them: that is neither read again nor counted as
    /// operations of the load.
    pub fn note_begun(&self) -> Result<(), JournalError> {
        let mut inner = self.lock();
        inner.state.begun = true;
        inner.state.partial.clear();
        let next = inner.segment + 1;
        inner.checkpoint(next)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<L>> {
        // A panic of a holder ends the process, or a test.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down that a worker begins an operation, and returns which one. What cannot be written down must not be sent.
    pub fn begin(&self, lane: Lane, worker: u32, begin: L::Begin) -> Result<Op, JournalError> {
        let mut inner = self.lock();
        let no = inner.state.last.get(&(lane, worker)).copied().unwrap_or(0) + 1;
        let op = Op { lane, worker, no };
        inner.write(op, &Line::<&L::Begin, &L::Done>::Begin(op, &begin), L::is_harmless(&begin));
        inner.sound()?;
        inner.state.begin(op, begin);
        Ok(op)
    }

    /// Writes down how it ended.
    pub fn end(&self, op: Op, end: End, done: &L::Done) {
        let mut inner = self.lock();
        inner.write(op, &Line::<&L::Begin, &L::Done>::End(op, end, done), false);
        inner.state.end(op, end, done);
    }

    /// Returns the last number of a worker's operations.
    pub fn last(&self, lane: Lane, worker: u32) -> u64 {
        self.lock().state.last.get(&(lane, worker)).copied().unwrap_or(0)
    }

    /// Looks at the ledger, or changes what is no part of the fold.
    pub fn with<T>(&self, look: impl FnOnce(&mut L) -> T) -> T {
        look(&mut self.lock().state.ledger)
    }

    /// Returns the operations that nobody knows the end of, and how many more there were than are kept.
    pub fn open_operations(&self) -> (Vec<(Op, L::Begin)>, u64) {
        let inner = self.lock();
        (inner.state.open.iter().map(|(op, (begin, _))| (*op, begin.clone())).collect(), inner.state.dropped)
    }

    /// Writes figures and findings down that belong to the next step of a lane, so that they are not lost if the load is
    /// stopped, or the process killed, before that step is done.
    pub(super) fn carry(&self, lane: Lane, figures: LaneFigures, findings: Vec<Finding>) {
        let mut inner = self.lock();
        inner.line(&Line::<&L::Begin, &L::Done>::Carry(lane, Box::new(figures.clone()), findings.clone()));
        inner.state.carry(lane, &figures, findings);
    }

    /// Writes down that a step is done, made of what ended in its lane since the last one and of what was carried over; from
    /// time to time the ledger too.
    pub(super) fn step(
        &self,
        lane: Lane,
        make: impl FnOnce([u64; 3], Carried) -> StepReport,
    ) -> Result<StepReport, JournalError> {
        let mut inner = self.lock();
        let counts = inner.state.partial.get(&lane).copied().unwrap_or_default();
        let report = make(counts, inner.state.carried.get(&lane).cloned().unwrap_or_default());
        inner.line(&Line::<&L::Begin, &L::Done>::Step(Box::new(report.clone())));
        inner.state.step(report.clone());
        inner.sound()?;
        if inner.written >= SEGMENT_BYTES {
            let next = inner.segment + 1;
            inner.checkpoint(next)?;
        }
        Ok(report)
    }

    /// Returns the number of the last step that is done, and the reports that are kept.
    pub(super) fn steps(&self) -> (u32, Vec<StepReport>) {
        let inner = self.lock();
        (inner.state.steps, inner.state.reports.iter().cloned().collect())
    }

    /// Returns the last operations of every worker, as they were written down.
    pub(super) fn recent(&self) -> Vec<(Lane, u32, Vec<String>)> {
        let inner = self.lock();
        let text = |line: &Vec<u8>| String::from_utf8_lossy(line).into_owned();
        let told = |((lane, worker), lines): (&(Lane, u32), &VecDeque<Vec<u8>>)| {
            (*lane, *worker, lines.iter().map(text).collect())
        };
        inner.recent.iter().map(told).collect()
    }
}

impl<L: Ledger> Inner<L> {
    /// Puts a line together, and writes it with those that wait; one that may wait goes with the next one.
    fn write(&mut self, op: Op, line: &impl Serialize, may_wait: bool) {
        let mut bytes = std::mem::take(&mut self.buffer);
        let from = bytes.len();
        match serde_json::to_writer(&mut bytes, line) {
            Ok(()) => {
                let recent = self.recent.entry((op.lane, op.worker)).or_default();
                // What falls out at the front makes room for what comes.
                let mut kept = if recent.len() == RECENT { recent.pop_front() } else { None }.unwrap_or_default();
                kept.clear();
                kept.extend_from_slice(&bytes[from..bytes.len().min(from + RECENT_BYTES)]);
                recent.push_back(kept);
                bytes.push(b'\n');
                if !may_wait || bytes.len() > WAITING_BYTES {
                    self.append(&bytes);
                    bytes.clear();
                }
            }
            Err(error) => {
                bytes.truncate(from);
                self.broken.get_or_insert(error.to_string());
            }
        }
        self.buffer = bytes;
    }

    /// Writes a line of no operation, with those that wait.
    fn line(&mut self, line: &impl Serialize) {
        let mut bytes = std::mem::take(&mut self.buffer);
        let from = bytes.len();
        match serde_json::to_writer(&mut bytes, line) {
            Ok(()) => bytes.push(b'\n'),
            Err(error) => {
                bytes.truncate(from);
                self.broken.get_or_insert(error.to_string());
            }
        }
        self.append(&bytes);
        bytes.clear();
        self.buffer = bytes;
    }

    fn append(&mut self, bytes: &[u8]) {
        // After a line that is missing nothing may follow: the next life would believe that it is whole.
        if self.broken.is_some() {
            return;
        }
        // One call, so that a kill leaves at most the last line incomplete.
        match self.file.write_all(bytes) {
            Ok(()) => self.written += bytes.len() as u64,
            Err(error) => {
                // Without this, half a line stays at the end, which says nothing either.
                let _ = self.file.set_len(self.written);
                self.broken = Some(error.to_string());
            }
        }
    }

    /// Returns why lines are lost, if they are.
    fn sound(&self) -> Result<(), JournalError> {
        match &self.broken {
            Some(cause) => Err(JournalError { place: self.dir.display().to_string(), cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// Writes the ledger down and goes on in another segment, or in the one that was just opened.
    fn checkpoint(&mut self, segment: u64) -> Result<(), JournalError> {
        if segment != self.segment {
            let path = segment_path(&self.dir, segment);
            self.file = File::options().create(true).append(true).open(&path).map_err(|error| failed(&path, &error))?;
            (self.segment, self.written) = (segment, 0);
        }
        let (place, next) = (self.dir.join("checkpoint.json"), self.dir.join("checkpoint.new"));
        let written = (|| {
            let mut file = File::create(&next)?;
            let state = &self.state;
            serde_json::to_writer(&mut file, &CheckpointRef { cycle: self.cycle, segment, state })?;
            file.sync_data()?;
            fs::rename(&next, &place)
        })();
        written.map_err(|error: std::io::Error| failed(&place, &error))?;
        for (number, path) in segments(&self.dir)? {
            if number + SEGMENTS_KEPT < segment {
                fs::remove_file(&path).map_err(|error| failed(&path, &error))?;
            }
        }
        Ok(())
    }
}

/// A checkpoint on its way to the file.
#[derive(Serialize)]
#[serde(bound = "")]
struct CheckpointRef<'a, L: Ledger> {
    cycle: u64,
    segment: u64,
    state: &'a State<L>,
}
