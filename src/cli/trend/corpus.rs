//! The corpus as CSV, and the table of how often the statistics are right about it.

use std::io::{Write, stderr};

use anyhow::Context;

use crate::cli::state::print;
use crate::cli::{EXIT_CONFIG, EXIT_OK};
use crate::stats::corpus::table::{Cell, Changed, LEAKS, cell, changed};
use crate::stats::corpus::{NOISE_MB, Recipe, Sampling, Shape, series};

/// Longest series that is made, in hours.
const HOURS_MAX: f64 = 24.0 * 366.0;
/// Restarts that a table cuts a series by.
const CUTS: u32 = 20;

/// Options of the corpus.
#[derive(Debug, Clone, clap::Args)]
pub struct CorpusArgs {
    /// Write a made-up series: flat, warm-up, saw-tooth, step, wander, spikes, ratchet, daily or restarts
    #[arg(long, value_name = "SHAPE", num_args = 0..=1, default_missing_value = "", help_heading = "Corpus")]
    pub corpus: Option<String>,
    /// Print how many leaks are found and how many false alarms there are, as a table in Markdown
    #[arg(long, requires = "corpus", help_heading = "Corpus")]
    pub table: bool,
    /// Series per cell of the table
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=100_000), help_heading = "Corpus")]
    pub series: u64,
    /// Leak in MB per hour
    #[arg(long, value_name = "MB", default_value_t = 0.0, allow_negative_numbers = true, help_heading = "Corpus")]
    pub leak: f64,
    /// Length of the series in hours
    #[arg(long, value_name = "HOURS", default_value_t = 24.0, help_heading = "Corpus")]
    pub hours: f64,
    /// Noise of a sample in MB, as a standard deviation
    #[arg(long, value_name = "MB", default_value_t = NOISE_MB, help_heading = "Corpus")]
    pub noise: f64,
    /// Times that the measured process is restarted on top of what the shape does
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000), help_heading = "Corpus")]
    pub cuts: u32,
    /// When samples are taken
    #[arg(long, value_enum, default_value_t, help_heading = "Corpus")]
    pub sampling: SamplingArg,
    /// What the series is drawn from; the table takes as many seeds from this one on as it has series per cell
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Corpus")]
    pub seed: u64,
}

/// When samples are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SamplingArg {
    /// Once per cycle of ten minutes, when its load has ended
    #[default]
    Quiet,
    /// Once a minute, whatever is going on
    Free,
}

impl From<SamplingArg> for Sampling {
    fn from(arg: SamplingArg) -> Self {
        match arg {
            SamplingArg::Quiet => Self::Quiet,
            SamplingArg::Free => Self::Free,
        }
    }
}

/// Writes what is asked for.
pub(super) fn run(args: &CorpusArgs, out: &mut impl Write) -> anyhow::Result<u8> {
    if args.table {
        table(args, out).context("cannot write the table")?;
        return Ok(EXIT_OK);
    }
    match recipe(args) {
        Ok(recipe) => print(out, &csv(&recipe)).map(|()| EXIT_OK),
        Err(why) => {
            eprintln!("{why}");
            Ok(EXIT_CONFIG)
        }
    }
}

fn recipe(args: &CorpusArgs) -> Result<Recipe, String> {
    let name = args.corpus.as_deref().unwrap_or_default();
    let shape = Shape::ALL.into_iter().find(|shape| shape.name() == name).ok_or_else(|| {
        let names = Shape::ALL.map(Shape::name).join(", ");
        format!("--corpus needs a shape ({names}) or --table")
    })?;
    if !(args.hours > 0.0 && args.hours <= HOURS_MAX) {
        return Err(format!("--hours {}: a number above 0 and up to {HOURS_MAX} is needed", args.hours));
    }
    if !(args.leak.is_finite() && args.noise >= 0.0 && args.noise.is_finite()) {
        return Err("--leak and --noise need finite numbers, and noise cannot be less than nothing".to_owned());
    }
    Ok(Recipe {
        shape,
        leak_mb_per_h: args.leak,
        hours: args.hours,
        sampling: args.sampling.into(),
        noise_mb: args.noise,
        cuts: args.cuts,
        lives: true,
        seed: args.seed,
    })
}

/// Returns a series as CSV.
fn csv(recipe: &Recipe) -> String {
    let phase = if recipe.sampling == Sampling::Quiet { "quiet" } else { "load" };
    let mut text = "timestamp,value,epoch,phase\n".to_owned();
    for sample in series(recipe) {
        let at = chrono::DateTime::from_timestamp_millis(sample.at_ms).unwrap_or_default();
        let at = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        text += &format!("{at},{:.3},{},{phase}\n", sample.value, sample.epoch);
    }
    text
}

/// Prints the whole table, a part as soon as it is known.
fn table(args: &CorpusArgs, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(
        out,
        "Seeds {} to {}, {} series per cell, noise {} MB.\n",
        args.seed,
        args.seed + args.series - 1,
        args.series,
        args.noise
    )?;
    for (sampling, name) in [
        (Sampling::Quiet, "quiet samples, one per 10 minutes"),
        (Sampling::Free, "free-running samples, one per minute"),
    ] {
        for hours in [24.0, 72.0] {
            let base = Recipe { sampling, noise_mb: args.noise, ..Recipe::quiet(Shape::Flat, 0.0, hours, args.seed) };
            writeln!(out, "### {hours} hours, {name}\n\n{}", found(&base, args.series))?;
            out.flush()?;
        }
    }
    writeln!(out, "### Cut by {CUTS} restarts\n\n{}", cut(args))
}

/// Returns the rows of all shapes, worked out on all processors.
fn rows(row: impl Fn(Shape) -> String + Sync) -> String {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let done: std::sync::Mutex<Vec<(usize, String)>> = std::sync::Mutex::new(Vec::new());
    let work = || {
        loop {
            let k = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(shape) = Shape::ALL.get(k) else { return };
            let text = row(*shape);
            let _ = write!(stderr(), ".");
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((k, text));
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(Shape::ALL.len());
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let _ = writeln!(stderr());
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort();
    done.into_iter().map(|(_, text)| text).collect()
}

/// Returns how many series are called growing, for each shape and leak.
pub(super) fn found(base: &Recipe, series: u64) -> String {
    let leaks: Vec<String> = LEAKS[1..].iter().map(|leak| format!("{leak} MB/h")).collect();
    let head = format!("| shape | healthy: false alarms | healthy: too little | found: {} |\n", leaks.join(" | "));
    let rule = format!("|---|{}\n", "---:|".repeat(LEAKS.len() + 1));
    let row = |shape: Shape| {
        let cells = LEAKS.map(|leak| cell(&Recipe { shape, leak_mb_per_h: leak, ..*base }, series));
        let share = |cell: &Cell| percent(cell.growing, cell.series);
        let leaking: Vec<String> = cells[1..].iter().map(share).collect();
        let healthy = &cells[0];
        let little = percent(healthy.too_little, healthy.series);
        format!("| {} | {} | {little} | {} |\n", shape.name(), share(healthy), leaking.join(" | "))
    };
    head + &rule + &rows(row)
}

/// Returns what becomes of verdicts when series are cut.
fn cut(args: &CorpusArgs) -> String {
    // The looker is restarted, or the process itself; with the leak that the goal names, and without.
    let columns = [
        (24.0, 0.5, Sampling::Quiet, false),
        (72.0, 0.25, Sampling::Quiet, false),
        (24.0, 0.5, Sampling::Quiet, true),
        (24.0, 0.5, Sampling::Free, true),
        (72.0, 0.25, Sampling::Quiet, true),
        (72.0, 0.25, Sampling::Free, true),
    ];
    let name = |(hours, leak, sampling, lives): &(f64, f64, Sampling, bool)| {
        let who = if *lives { "process" } else { "observer" };
        let when = if *sampling == Sampling::Quiet { "quiet" } else { "free" };
        format!("{who}, {hours} h, {when}, 0 and {leak} MB/h")
    };
    let head = format!("| shape | {} |\n", columns.iter().map(name).collect::<Vec<_>>().join(" | "));
    let rule = format!("|---|{}\n", "---:|".repeat(columns.len()));
    let row = |shape: Shape| {
        let column = |(hours, leak, sampling, lives): &(f64, f64, Sampling, bool)| {
            let of = |leak: f64| {
                let whole = Recipe {
                    sampling: *sampling,
                    noise_mb: args.noise,
                    ..Recipe::quiet(shape, leak, *hours, args.seed)
                };
                changed(&whole, &Recipe { cuts: CUTS, lives: *lives, ..whole }, args.series)
            };
            both(of(0.0), of(*leak))
        };
        format!("| {} | {} |\n", shape.name(), columns.iter().map(column).collect::<Vec<_>>().join(" | "))
    };
    head + &rule + &rows(row)
}

/// Returns how many verdicts turned, and how many could no more or only now be told.
fn both(healthy: Changed, leaking: Changed) -> String {
    let series = healthy.series + leaking.series;
    let share = |of: fn(&Changed) -> u64| percent(of(&healthy) + of(&leaking), series);
    format!(
        "{} / {} / {}",
        share(|changed| changed.turned),
        share(|changed| changed.lost),
        share(|changed| changed.won)
    )
}

fn percent(part: u64, of: u64) -> String {
    let share = 100.0 * part as f64 / of.max(1) as f64;
    if share == 0.0 || share == 100.0 { format!("{share:.0} %") } else { format!("{share:.1} %") }
}
