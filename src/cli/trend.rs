//! `soakd trend`: the statistics of a soak on anyone's series, and the corpus by which they can be judged.

mod corpus;
mod input;
mod show;

use std::io::{self, Write};

use super::state::print;
use super::{EXIT_CONFIG, EXIT_FAIL, EXIT_OK};
use crate::stats::trend::{Limits, Outcome, examine};

/// Exit code if too little was seen.
const EXIT_TOO_LITTLE: u8 = 2;
/// Growth per hour that is still healthy, in MB or in the unit of the values.
const LIMIT: f64 = 0.1;

/// Say whether a series grows: a CSV file with the columns timestamp and value
///
/// A first line names the columns. Timestamps are RFC 3339 or seconds, milliseconds, microseconds or nanoseconds since 1970.
/// Optional columns: "phase" (samples of the phase "quiet" are judged if there are some) and "epoch" (one life of the
/// measured process; levels of two lives are never compared). Exit code: 0 steady, 1 growing or a step above its limit,
/// 2 too little was seen to tell, 64 for input that cannot be read.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  soakd trend memory.csv --unit bytes --limit 1MB --ceiling 2GiB
  soakd trend --corpus saw-tooth --leak 0.5 --seed 7 | soakd trend - --unit MB
  soakd trend --corpus --table")]
pub struct TrendArgs {
    /// CSV file, or - for the standard input
    #[arg(value_name = "FILE", required_unless_present = "corpus", conflicts_with = "corpus")]
    pub file: Option<String>,
    /// Column with the timestamps [default: timestamp, time or at]
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    /// Column with the values [default: value]
    #[arg(long, value_name = "COLUMN")]
    pub value: Option<String>,
    /// Phase whose samples are judged, or "all" [default: quiet where there is such a phase, else all]
    #[arg(long, value_name = "PHASE")]
    pub phase: Option<String>,
    /// Growth per hour that is still healthy, as 0.5 or 500kB [default: 0.1 MB, or 0.1 without a unit]
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    pub limit: Option<String>,
    /// Lasting rise at once that is still healthy [default: steps are shown, but do not count]
    #[arg(long, value_name = "SIZE")]
    pub step: Option<String>,
    /// Value at which something breaks, for the forecast
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    pub ceiling: Option<String>,
    /// Share of healthy series that may be called growing
    #[arg(long, default_value_t = 0.01)]
    pub alpha: f64,
    /// Unit of the values
    #[arg(long, value_enum, default_value_t)]
    pub unit: Unit,
    /// What the answer looks like
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
    #[command(flatten)]
    pub corpus: corpus::CorpusArgs,
}

/// What values are counted in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Unit {
    Bytes,
    #[value(name = "MB", alias = "mb")]
    Mb,
    #[default]
    None,
}

/// What an answer looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    #[default]
    Text,
    Json,
}

impl Unit {
    /// Returns what one of the unit is in bytes, if it is a size.
    fn bytes(self) -> Option<f64> {
        match self {
            Self::Bytes => Some(1.0),
            Self::Mb => Some(1e6),
            Self::None => None,
        }
    }

    /// Reads a number, with a unit of its own if values are sizes.
    fn read(self, option: &str, text: &str) -> Result<f64, String> {
        const SUFFIXES: [(&str, f64); 8] = [
            ("KiB", 1024.0),
            ("MiB", 1_048_576.0),
            ("GiB", 1_073_741_824.0),
            ("kB", 1e3),
            ("MB", 1e6),
            ("GB", 1e9),
            ("TB", 1e12),
            ("B", 1.0),
        ];
        let text = text.trim();
        let suffix = SUFFIXES.iter().find(|(name, _)| text.ends_with(name));
        let (digits, factor) = match (suffix, self.bytes()) {
            (Some((name, bytes)), Some(own)) => (text.trim_end_matches(name), bytes / own),
            (Some((name, _)), None) => {
                return Err(format!("--{option} {text}: {name} needs values in bytes or MB; say so with --unit"));
            }
            (None, _) => (text, 1.0),
        };
        let number = digits.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        number
            .map(|number| number * factor)
            .ok_or_else(|| format!("--{option} {text}: a number is needed, as 0.5 or 500kB"))
    }
}

/// Reads the limits from the options.
fn limits(args: &TrendArgs) -> Result<Limits, String> {
    let read = |option, text: &Option<String>| text.as_ref().map(|text| args.unit.read(option, text)).transpose();
    if !(args.alpha > 0.0 && args.alpha <= 0.5) {
        return Err(format!("--alpha {}: a share above 0 and up to 0.5 is needed, as 0.01", args.alpha));
    }
    let default = args.unit.bytes().map_or(LIMIT, |bytes| LIMIT * 1e6 / bytes);
    let step = read("step", &args.step)?;
    if step.is_some_and(|step| step < 0.0) {
        return Err("--step: a rise cannot be less than nothing".to_owned());
    }
    Ok(Limits {
        slope_per_h: read("limit", &args.limit)?.unwrap_or(default),
        step: step.unwrap_or(f64::INFINITY),
        ceiling: read("ceiling", &args.ceiling)?,
        alpha: args.alpha,
    })
}

/// Judges a series, or writes what the corpus is asked for.
pub fn run(args: TrendArgs) -> anyhow::Result<u8> {
    let mut out = io::stdout().lock();
    if args.corpus.corpus.is_some() {
        return corpus::run(&args.corpus, &mut out);
    }
    judge(&args, &mut out)
}

fn judge(args: &TrendArgs, out: &mut impl Write) -> anyhow::Result<u8> {
    let file = args.file.as_deref().unwrap_or("-");
    let read = limits(args).and_then(|limits| Ok((limits, input::read(file, args)?)));
    let (limits, input) = match read {
        Ok(read) => read,
        Err(why) => {
            eprintln!("{why}");
            return Ok(EXIT_CONFIG);
        }
    };
    let trend = examine(&input.samples, &limits);
    let shown = show::Shown { name: if file == "-" { "standard input" } else { file }, trend: &trend, limits: &limits };
    print(
        out,
        &match args.format {
            Form::Text => shown.text(&input, args.unit),
            Form::Json => shown.json(&input, args.unit),
        },
    )?;
    Ok(match trend.outcome {
        Outcome::Steady => EXIT_OK,
        Outcome::Growing | Outcome::Stepped => EXIT_FAIL,
        Outcome::TooLittle => EXIT_TOO_LITTLE,
    })
}

#[cfg(test)]
mod tests;
