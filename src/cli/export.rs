//! `soakd export`: all that is known of a run as tables for other programs, or as a receipt that `soakd verify` examines.

mod figures;
mod parquet;
mod place;
mod source;
mod sqlite;
mod table;
mod tables;
#[cfg(test)]
mod tests;
mod text;

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use self::place::{Form, Place, Refused};
use self::source::Source;
use self::table::{Failed, Sink};
use super::state::{self, NOT_THERE, StateArgs};
use super::{EXIT_CONFIG, EXIT_OK, EXIT_UNAVAILABLE};
use crate::observe::report::words::count;

/// What an export looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    /// One document with a list of objects for each table
    Json,
    /// A directory with a file for each table
    Csv,
    /// A directory with a file for each table
    Parquet,
    /// One database with all tables
    Sqlite,
    /// The chain of the cycles' digests, for soakd verify
    Receipt,
}

/// Write all that is known of a run as tables for other programs
///
/// The tables are runs, cycles, checks, findings, outages, epochs, measures, series, criteria, latency and incidents; the table
/// columns says what all their columns are. It works while the run goes on, too.
#[derive(Debug, Clone, clap::Args)]
pub struct ExportArgs {
    /// Id of the run, or the beginning of it; the newest run if not given
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// What to write
    #[arg(long, value_enum)]
    pub format: ExportFormat,
    /// File or directory to write; without it json and receipt go to the standard output
    #[arg(short = 'o', long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Replace what an earlier export wrote there
    #[arg(long, requires = "out")]
    pub force: bool,
    #[command(flatten)]
    pub state: StateArgs,
}

/// Writes the export; the exit code says whether it is there.
pub fn run(args: ExportArgs) -> anyhow::Result<u8> {
    let Some((state, picked)) = state::found(&args.state, args.run.as_deref())? else { return Ok(NOT_THERE) };
    let Some(snapshot) = state.snapshot(&picked.run)? else {
        eprintln!("run {} cannot be exported before its first checkpoint", picked.run);
        return Ok(NOT_THERE);
    };
    let source = Source::new(&state, snapshot);
    match &args.out {
        Some(out) => to_place(&source, args.format, out, args.force),
        None => to_stdout(&source, args.format),
    }
}

fn to_stdout(source: &Source<'_>, format: ExportFormat) -> anyhow::Result<u8> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match format {
        ExportFormat::Json => {
            text::Json::new(&mut out).map_err(Failed::from).and_then(|mut json| source.tables(&mut json))
        }
        ExportFormat::Receipt => match chained(source)? {
            Some(ends) => source.receipt(&ends, &mut out).map(drop),
            None => return Ok(NOT_THERE),
        },
        ExportFormat::Csv | ExportFormat::Parquet | ExportFormat::Sqlite => {
            eprintln!("soakd: this format needs a place to write to; give --out PATH");
            return Ok(EXIT_CONFIG);
        }
    };
    match written {
        Err(Failed::Read(error)) => Err(error),
        Err(Failed::Write(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
            Ok(cannot_write("the standard output", &error))
        }
        _ => Ok(EXIT_OK),
    }
}

fn to_place(source: &Source<'_>, format: ExportFormat, out: &Path, force: bool) -> anyhow::Result<u8> {
    let ends = match format {
        ExportFormat::Receipt => match chained(source)? {
            Some(ends) => Some(ends),
            None => return Ok(NOT_THERE),
        },
        _ => None,
    };
    let shown = out.display().to_string();
    let place = match Place::begin(out, form(format), force) {
        Ok(place) => place,
        Err(Refused::Because(why)) => {
            eprintln!("soakd: {why}");
            return Ok(EXIT_CONFIG);
        }
        Err(Refused::Failed(error)) => return Ok(cannot_write(&shown, &error)),
    };
    let mut head = String::new();
    let written = match format {
        ExportFormat::Json => {
            file(&place).and_then(text::Json::new).map_err(Failed::from).and_then(|mut json| source.tables(&mut json))
        }
        ExportFormat::Csv => source.tables(&mut text::Csv::new(place.path())),
        ExportFormat::Parquet => source.tables(&mut parquet::Parquet::new(place.path())),
        ExportFormat::Sqlite => sqlite::Sqlite::new(place.path())
            .map_err(Failed::from)
            .and_then(|mut database| source.tables(&mut database as &mut dyn Sink)),
        ExportFormat::Receipt => file(&place).map_err(Failed::from).and_then(|mut out| {
            head = source.receipt(&ends.unwrap_or_default(), &mut out)?;
            Ok(())
        }),
    };
    match written.and_then(|()| Ok(place.commit()?)) {
        Ok(()) => {
            let cycles = count(source.cycles_done(), "cycle");
            let head = if head.is_empty() { String::new() } else { format!("; its head is {head}") };
            state::print(&mut io::stdout().lock(), &format!("{cycles} written to {shown}{head}\n"))?;
            Ok(EXIT_OK)
        }
        Err(Failed::Read(error)) => Err(error),
        Err(Failed::Write(error)) => Ok(cannot_write(&shown, &error)),
    }
}

/// Returns the ends of the run's receipt; `None` if it has none, which was said.
fn chained(source: &Source<'_>) -> anyhow::Result<Option<crate::model::receipt::Ends>> {
    let ends = source.ends()?;
    if ends.first.is_none() {
        eprintln!("this run was begun by an older soakd, which did not chain its cycles: there is no receipt of it");
        return Ok(None);
    }
    Ok(Some(ends))
}

fn form(format: ExportFormat) -> Form {
    let files = |extension: &str| {
        Form::Directory(tables::shapes().iter().map(|shape| format!("{}.{extension}", shape.name)).collect())
    };
    match format {
        ExportFormat::Json | ExportFormat::Sqlite | ExportFormat::Receipt => Form::File,
        ExportFormat::Csv => files("csv"),
        ExportFormat::Parquet => files("parquet"),
    }
}

fn file(place: &Place) -> io::Result<impl Write + use<>> {
    Ok(BufWriter::new(OpenOptions::new().write(true).open(place.path())?))
}

/// Says why something cannot be written, and what to do; nothing of it is left.
fn cannot_write(place: &str, error: &io::Error) -> u8 {
    let next = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space, or give another --out",
        io::ErrorKind::NotFound => "; make its directory first, or give another --out",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; give an --out that this user may write"
        }
        io::ErrorKind::FileTooLarge => "; raise the limit on the size of files (ulimit -f)",
        _ => "",
    };
    eprintln!("soakd: cannot write {place}: {error}{next}");
    EXIT_UNAVAILABLE
}
