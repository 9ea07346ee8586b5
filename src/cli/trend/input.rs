//! Reads a series from CSV: one line at a time, in bounded memory, and with a word about everything that is odd.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use chrono::{DateTime, NaiveDateTime};
use csv::ByteRecord;

use super::TrendArgs;
use crate::observe::report::words::{clean, count, number};
use crate::stats::Sample;

/// Samples that are kept; of longer series every second, fourth, … one is.
const SAMPLES_MAX: usize = 500_000;
/// Bytes that a line has at most.
const LINE_MAX: usize = 1 << 20;
/// Epochs that are told apart.
const EPOCHS_MAX: usize = 100_000;
/// Bad lines that are shown.
const SHOWN_MAX: usize = 5;
/// Share of bad lines above which a file is refused: one in so many.
const BAD_ONE_IN: u64 = 10;
/// Phases that are remembered for a message.
const PHASES_MAX: usize = 10;
/// The phase that is judged where there is one of this name.
const QUIET: &str = "quiet";
/// Characters of foreign text in a message.
const QUOTED_MAX: usize = 40;

/// A series with what is worth saying about it.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub samples: Vec<Sample>,
    /// The phase that the samples are of, if the file has phases and one was picked.
    pub phase: Option<String>,
    pub lines: u64,
    /// Lines whose value is missing or not finite.
    pub missing: u64,
    pub bad: u64,
    /// The first bad lines.
    pub shown: Vec<String>,
    /// Whether instants went back.
    pub unsorted: bool,
    /// One of so many samples is kept.
    pub stride: u64,
}

/// Samples of which every second one is dropped whenever there are too many.
#[derive(Debug, Default)]
struct Kept {
    samples: Vec<Sample>,
    seen: u64,
    stride: u64,
    last_ms: Option<i64>,
    unsorted: bool,
}

impl Kept {
    fn push(&mut self, sample: Sample) {
        self.unsorted |= self.last_ms.is_some_and(|last_ms| sample.at_ms < last_ms);
        self.last_ms = Some(sample.at_ms);
        self.stride = self.stride.max(1);
        if self.seen.is_multiple_of(self.stride) {
            self.samples.push(sample);
        }
        self.seen += 1;
        if self.samples.len() >= SAMPLES_MAX {
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride *= 2;
        }
    }
}

/// The columns that are read.
#[derive(Debug, Clone, Copy)]
struct Columns {
    time: usize,
    value: usize,
    phase: Option<usize>,
    epoch: Option<usize>,
}

/// Reads a file, or the standard input for `-`.
pub(super) fn read(file: &str, args: &TrendArgs) -> Result<Input, String> {
    if file == "-" {
        return read_from("standard input", io::stdin().lock(), args);
    }
    let opened = File::open(file).map_err(|error| format!("{file}: cannot be opened: {error}"))?;
    if opened.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(format!("{file} is a directory; give a CSV file"));
    }
    read_from(file, opened, args)
}

/// Reads a series from anything.
pub(super) fn read_from(name: &str, from: impl Read, args: &TrendArgs) -> Result<Input, String> {
    let pending = Rc::new(Cell::new(0));
    let mut from = BufReader::with_capacity(1 << 16, Bounded { from, pending: Rc::clone(&pending) });
    let start = from.fill_buf().map_err(|error| format!("{name}: {error}"))?;
    if start.is_empty() {
        return Err(format!(
            "{name} is empty; a first line with the names of the columns is needed, as timestamp,value"
        ));
    }
    let delimiter = delimiter(start);
    let mut csv = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(csv::Trim::All).from_reader(from);
    let headers = csv.byte_headers().map_err(|error| behind(name, 0, &error))?.clone();
    let columns = Columns::find(name, &headers, args)?;
    let mut reading = Reading { columns, args, input: Input::default(), all: Kept::default(), picked: Kept::default() };
    let (mut phases, mut epochs) = (BTreeSet::new(), HashMap::new());
    let mut record = ByteRecord::new();
    let mut line = 1;
    while csv.read_byte_record(&mut record).map_err(|error| behind(name, line, &error))? {
        pending.set(0);
        line = record.position().map_or(0, csv::Position::line);
        reading.line(name, line, &record, &mut phases, &mut epochs)?;
    }
    reading.finish(name, &phases)
}

/// A file on the way in.
struct Reading<'a> {
    columns: Columns,
    args: &'a TrendArgs,
    input: Input,
    all: Kept,
    picked: Kept,
}

impl Reading<'_> {
    fn line(
        &mut self,
        name: &str,
        line: u64,
        record: &ByteRecord,
        phases: &mut BTreeSet<String>,
        epochs: &mut HashMap<Vec<u8>, u32>,
    ) -> Result<(), String> {
        self.input.lines += 1;
        let columns = self.columns;
        let field = |column: Option<usize>| column.and_then(|column| record.get(column)).unwrap_or_default();
        let read = instant(field(Some(columns.time))).map_err(|why| (columns.time, why));
        let read =
            read.and_then(|at_ms| Ok((at_ms, value(field(Some(columns.value))).map_err(|why| (columns.value, why))?)));
        let (at_ms, value) = match read {
            Ok(read) => read,
            Err((column, why)) => {
                self.input.bad += 1;
                if self.input.shown.len() < SHOWN_MAX {
                    self.input.shown.push(format!("{name}:{line}: column {}: {why}", column + 1));
                }
                return Ok(());
            }
        };
        let Some(value) = value else {
            self.input.missing += 1;
            return Ok(());
        };
        let next = epochs.len();
        let epoch = *epochs.entry(field(columns.epoch).to_vec()).or_insert(u32::try_from(next).unwrap_or(u32::MAX));
        if epochs.len() > EPOCHS_MAX {
            let most = number(EPOCHS_MAX as u64);
            return Err(format!(
                "{name}:{line}: more than {most} epochs; an epoch is one life of a process, not a sample"
            ));
        }
        let sample = Sample { at_ms, value, epoch };
        let phase = String::from_utf8_lossy(field(columns.phase));
        if columns.phase.is_some() && phases.len() < PHASES_MAX && !phases.contains(phase.as_ref()) {
            phases.insert(phase.clone().into_owned());
        }
        if phase == self.args.phase.as_deref().unwrap_or(QUIET) && columns.phase.is_some() {
            self.picked.push(sample);
        }
        self.all.push(sample);
        Ok(())
    }

    fn finish(self, name: &str, phases: &BTreeSet<String>) -> Result<Input, String> {
        let Self { args, mut input, all, picked, columns } = self;
        if input.bad > input.lines / BAD_ONE_IN {
            let more = if input.bad > input.shown.len() as u64 { "\n…" } else { "" };
            return Err(format!(
                "{}{more}\n{name}: {} of {} cannot be read, which is too much to judge the rest by",
                input.shown.join("\n"),
                number(input.bad),
                count(input.lines, "line")
            ));
        }
        let everything = args.phase.as_deref() == Some("all");
        let wanted = args.phase.as_deref().filter(|_| !everything);
        if let Some(wanted) = wanted.filter(|_| picked.samples.is_empty()) {
            let there: Vec<String> = phases.iter().map(|phase| quoted(phase.as_bytes())).collect();
            return Err(match columns.phase {
                None => format!("{name} has no column \"phase\", so --phase {wanted} picks nothing"),
                Some(_) => format!("{name} has no sample of phase {wanted}; there are {}", there.join(", ")),
            });
        }
        let pick = !everything && !picked.samples.is_empty();
        input.phase = pick.then(|| wanted.unwrap_or(QUIET).to_owned());
        let kept = if pick { picked } else { all };
        Ok(Input { samples: kept.samples, unsorted: kept.unsorted, stride: kept.stride.max(1), ..input })
    }
}

impl Columns {
    /// Finds the columns by their names.
    fn find(name: &str, headers: &ByteRecord, args: &TrendArgs) -> Result<Self, String> {
        let names: Vec<String> = headers.iter().map(|header| String::from_utf8_lossy(header).into_owned()).collect();
        let by = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
        let there = || names.iter().take(20).map(|name| quoted(name.as_bytes())).collect::<Vec<_>>().join(", ");
        let need = |what: &str, option: &Option<String>, usual: &[&str]| {
            let found = option.as_deref().map_or_else(|| usual.iter().find_map(|name| by(name)), by);
            found.ok_or_else(|| {
                let wanted = option.as_deref().map_or_else(|| usual.join(" or "), str::to_owned);
                let seen = if names.iter().any(|name| value(name.as_bytes()).is_ok()) {
                    "the first line must name the columns, but it has numbers".to_owned()
                } else {
                    format!("the columns are {}; name one with --{what}", there())
                };
                format!("{name}:1: there is no column {wanted}: {seen}")
            })
        };
        Ok(Self {
            time: need("time", &args.time, &["timestamp", "time", "at"])?,
            value: need("value", &args.value, &["value"])?,
            phase: by("phase"),
            epoch: by("epoch"),
        })
    }
}

/// Returns the character that parts columns: the most frequent one in the first line.
fn delimiter(start: &[u8]) -> u8 {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let times = |delimiter: &u8| line.iter().filter(|byte| *byte == delimiter).count();
    b"\t;,".iter().copied().max_by_key(times).filter(|best| times(best) > 0).unwrap_or(b',')
}

/// Reads an instant in milliseconds since 1970.
fn instant(field: &[u8]) -> Result<i64, String> {
    let text = std::str::from_utf8(field).map_err(|_| not("a time", field))?;
    if let Ok(number) = text.parse::<f64>() {
        // Seconds reach the year 5138 before they could be milliseconds, which were that many in 1973; and so on.
        let ms = match number.abs() {
            size if size < 1e11 => number * 1e3,
            size if size < 1e14 => number,
            size if size < 1e17 => number / 1e3,
            _ => number / 1e6,
        };
        let possible = ms.is_finite() && ms.abs() < 8e15;
        return if possible { Ok(ms.round() as i64) } else { Err(not("a time", field)) };
    }
    let zoned = DateTime::parse_from_rfc3339(text).map(|at| at.timestamp_millis());
    let plain = || NaiveDateTime::parse_from_str(&text.replacen('T', " ", 1), "%Y-%m-%d %H:%M:%S%.f");
    zoned.or_else(|_| plain().map(|at| at.and_utc().timestamp_millis())).map_err(|_| not("a time", field))
}

/// Reads a value; none if it is missing or not finite.
fn value(field: &[u8]) -> Result<Option<f64>, String> {
    let text = std::str::from_utf8(field).map_err(|_| not("a number", field))?;
    if ["", "null", "none", "na", "n/a", "-"].iter().any(|missing| text.eq_ignore_ascii_case(missing)) {
        return Ok(None);
    }
    let number: f64 = text.parse().map_err(|_| not("a number", field))?;
    Ok(Some(number).filter(|number| number.is_finite()))
}

fn not(what: &str, field: &[u8]) -> String {
    format!("{} is not {what}", quoted(field))
}

/// Returns foreign text as it may be shown.
fn quoted(field: &[u8]) -> String {
    let text: String = clean(&String::from_utf8_lossy(field)).chars().take(QUOTED_MAX).collect();
    let more = if field.len() > QUOTED_MAX { "…" } else { "" };
    format!("\"{text}{more}\"")
}

fn behind(name: &str, line: u64, error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(error) => format!("{name}: behind line {line}: {error}"),
        _ => format!("{name}: behind line {line}: {error}"),
    }
}

/// A reader that refuses what would take more memory than any line of a series does: a line without end, an open quote.
struct Bounded<R> {
    from: R,
    /// Bytes since the last line that was understood.
    pending: Rc<Cell<usize>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.pending.set(self.pending.get() + n);
        if self.pending.get() > LINE_MAX {
            let why =
                format!("a line is longer than {} MiB; is this a CSV file, or is a quote left open?", LINE_MAX >> 20);
            return Err(io::Error::other(why));
        }
        Ok(n)
    }
}
