//! `soakd schedule`: when the next runs begin, from the configuration alone.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::{EXIT_CONFIG, EXIT_OK, state};
use crate::config::{Config, Loaded, RunConfig, Schedules, Span, installed};
use crate::engine::schedule::{Calendar, State, Upcoming, upcoming};

#[cfg(test)]
mod tests;

/// Most runs that are listed.
const RUNS_MAX: u64 = 1000;

/// What the list looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ScheduleFormat {
    #[default]
    Text,
    Json,
}

/// Show when the next runs begin
#[derive(Debug, Clone, clap::Args)]
pub struct ScheduleArgs {
    /// The configuration file [default: soakd.toml, or /etc/soakd/soakd.toml if there is none here]
    #[arg(short, long, value_name = "FILE", env = "SOAKD_CONFIG", default_value_os_t = installed::default_config(), hide_default_value = true)]
    pub config: PathBuf,
    /// How many runs, over all schedules
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=RUNS_MAX))]
    pub runs: u64,
    /// The instant to start from, such as 2026-10-24T12:00:00+02:00; now if not given
    #[arg(long, value_name = "RFC3339")]
    pub from: Option<DateTime<chrono::FixedOffset>>,
    /// What the list looks like
    #[arg(long, value_enum, default_value_t)]
    pub format: ScheduleFormat,
}

/// Prints the list of coming runs.
pub fn run(args: ScheduleArgs) -> anyhow::Result<u8> {
    let loaded = match Config::load(&args.config) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(EXIT_CONFIG);
        }
    };
    show(&args, &loaded, &mut io::stdout().lock())
}

fn show(args: &ScheduleArgs, loaded: &Loaded, out: &mut impl Write) -> anyhow::Result<u8> {
    let from = args.from.map_or_else(Utc::now, |from| from.with_timezone(&Utc));
    let schedules = &loaded.config.schedule;
    let count = usize::try_from(args.runs).unwrap_or(usize::MAX);
    let list = upcoming(schedules, &State::new(), from, count).and_then(|runs| List::new(schedules, from, runs));
    let mut list = match list {
        Ok(list) => list,
        Err(why) => {
            eprintln!("{}: {why}", loaded.origin);
            return Ok(EXIT_CONFIG);
        }
    };
    if schedules.is_empty() {
        list.notes.push(continuous(loaded));
    }
    let text = match args.format {
        ScheduleFormat::Text => list.text(),
        ScheduleFormat::Json => {
            let json = serde_json::to_string_pretty(&list).context("cannot write the list as JSON")?;
            json + "\n"
        }
    };
    state::print(out, &text)?;
    Ok(EXIT_OK)
}

/// Says what runs when there are no schedules.
fn continuous(loaded: &Loaded) -> String {
    let RunConfig { cycles, duration, until, pause, .. } = &loaded.config.run;
    let mut ends: Vec<String> = Vec::new();
    ends.extend(cycles.map(|cycles| format!("after {cycles} cycles")));
    ends.extend(duration.map(|duration| format!("after {duration}")));
    ends.extend(until.as_ref().map(|until| format!("with {until}")));
    let ends = if ends.is_empty() { "until it is stopped".into() } else { format!("and ends {}", ends.join(" or ")) };
    let pause = if pause.get().is_zero() { "without a pause".into() } else { format!("with a pause of {pause}") };
    format!("{} has no schedules: one continuous run, {pause} between cycles, {ends}.", loaded.origin)
}

/// The list as JSON has it.
#[derive(Debug, Serialize)]
struct List {
    /// Version of this form.
    format: u32,
    from: String,
    runs: Vec<Row>,
    notes: Vec<String>,
}

/// One run to come.
#[derive(Debug, Serialize)]
struct Row {
    schedule: String,
    zone: String,
    /// In the schedule's zone.
    local: String,
    utc: String,
    in_s: i64,
    /// It is due in quiet hours and begins when they end.
    deferred: bool,
    /// Runs due before it that do not take place because of quiet hours.
    quiet_skipped: u64,
}

impl List {
    fn new(schedules: &Schedules, from: DateTime<Utc>, runs: Vec<Upcoming>) -> Result<Self, String> {
        let mut rows = Vec::with_capacity(runs.len());
        for Upcoming { schedule, planned } in runs {
            let zone = Calendar::new(&schedules[&schedule])?.zone();
            rows.push(Row {
                local: planned.at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false),
                utc: planned.at.to_rfc3339_opts(SecondsFormat::Secs, true),
                in_s: (planned.at - from).num_seconds(),
                deferred: planned.deferred,
                quiet_skipped: planned.quiet,
                zone: zone.to_string(),
                schedule,
            });
        }
        let notes = notes(schedules, from)?;
        Ok(Self { format: 1, from: from.to_rfc3339_opts(SecondsFormat::Secs, true), runs: rows, notes })
    }

    fn text(&self) -> String {
        let names = self.runs.iter().map(|row| row.schedule.len() + row.zone.len() + 3);
        let width = names.max().unwrap_or_default().max("SCHEDULE".len());
        let mut text = String::new();
        if !self.runs.is_empty() {
            let _ = writeln!(text, "{:<25}  {:<20}  {:<width$}  IN", "LOCAL TIME", "UTC", "SCHEDULE");
        }
        for row in &self.runs {
            let name = format!("{} ({})", row.schedule, row.zone);
            let mut line = format!("{:<25}  {}  {name:<width$}  {}", row.local, row.utc, in_words(row.in_s));
            let quiet = match row.quiet_skipped {
                0 => None,
                1 => Some("1 run before it falls into quiet hours".to_owned()),
                more => Some(format!("{more} runs before it fall into quiet hours")),
            };
            let deferred = row.deferred.then(|| "when quiet hours end".to_owned());
            let remarks: Vec<_> = deferred.into_iter().chain(quiet).collect();
            if !remarks.is_empty() {
                let _ = write!(line, "  ({})", remarks.join("; "));
            }
            text += line.trim_end();
            text.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        text
    }
}

/// Returns what the list cannot show: schedules that have ended, and limits that depend on the past.
fn notes(schedules: &Schedules, from: DateTime<Utc>) -> Result<Vec<String>, String> {
    let mut notes = Vec::new();
    for (name, config) in schedules {
        let only = Schedules::from([(name.clone(), config.clone())]);
        if upcoming(&only, &State::new(), from, 1)?.is_empty() {
            let why = match (Calendar::new(config)?.next_after(from), &config.until) {
                (Some(_), _) => "all of them fall into quiet hours, or runs = 0".to_owned(),
                (None, Some(until)) => format!("it ends with {until}"),
                (None, None) => format!("\"{}\" matches no later time", config.cron),
            };
            notes.push(format!("{name}: no run is left: {why}"));
        } else if config.runs.is_some() || config.duration.is_some() {
            notes.push(format!("{name}: runs that have taken place already are not counted here"));
        }
    }
    Ok(notes)
}

/// Returns a time to go in its two largest units.
fn in_words(seconds: i64) -> String {
    let seconds = seconds.unsigned_abs();
    let unit = [86_400, 3600, 60].into_iter().find(|unit| seconds >= *unit);
    // Two days and three hours need no minutes.
    let smallest = match unit {
        Some(86_400) => 3600,
        Some(3600) => 60,
        _ => 1,
    };
    let rounded = Duration::from_secs(seconds - seconds % smallest);
    Span::from_secs(rounded.as_secs()).to_string()
}
