//! `soakd status`: what the running daemon does and how its run stands; without a daemon, what the state file says.

use std::io::{self, IsTerminal};
use std::time::Duration;

use super::daemon::{SocketArgs, wait};
use super::incidents::{incidents, line};
use super::runs::now_ms;
use super::state::{self, NOT_THERE, State};
use super::{EXIT_OK, EXIT_UNAVAILABLE};
use crate::model::incident::Incident;
use crate::model::status::{RunStatus, Status};
use crate::observe::api::client::{AskError, Client};
use crate::observe::report::words::{between, clean, count, duration, moment, number, word};
use crate::observe::report::{self, Format};

/// Time between two looks with `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// Incidents, schedules and processes that are listed.
const LISTED_MAX: usize = 10;
/// Moves a terminal's cursor home and clears it.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// What an answer looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    #[default]
    Text,
    Json,
}

/// Arguments of `soakd status`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct StatusArgs {
    /// What the status looks like
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
    /// Look again every two seconds
    #[arg(long)]
    pub watch: bool,
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// Prints the status; the exit code is 0 if a daemon runs, and 69 if none does.
pub fn run(args: StatusArgs) -> anyhow::Result<u8> {
    let Some(client) = args.socket.client_if_running()? else { return left_behind(&args) };
    let clear = args.watch && args.format == Form::Text && io::stdout().is_terminal();
    loop {
        let (status, text) = look(&client)?;
        let text = match args.format {
            Form::Json => text,
            Form::Text => page(&status, &open(&args.socket, &status)?),
        };
        let start = if clear { CLEAR } else { "" };
        state::print(&mut io::stdout().lock(), &format!("{start}{}\n", text.trim_end()))?;
        if !args.watch {
            return Ok(EXIT_OK);
        }
        std::thread::sleep(WATCH_EVERY);
    }
}

/// Asks for the status; returns it as the daemon wrote it, too.
fn look(client: &Client) -> anyhow::Result<(Status, String)> {
    let text = wait(client.text("/v1/status"))??;
    let status = serde_json::from_str(&text).map_err(|e| AskError::Odd(e.to_string()))?;
    Ok((status, text))
}

fn open(socket: &SocketArgs, status: &Status) -> anyhow::Result<Vec<Incident>> {
    if status.incidents_open == 0 {
        return Ok(Vec::new());
    }
    Ok(incidents(socket, None, false)?.unwrap_or_default())
}

/// Prints what a daemon that has ended left in the state file.
pub(super) fn left_behind(args: &StatusArgs) -> anyhow::Result<u8> {
    let dir = args.socket.state.dir()?;
    let Some(state) = State::open(dir.clone())? else {
        eprintln!("no soakd runs, and there is no state in {}; give the --state-dir of a soakd run", dir.display());
        return Ok(NOT_THERE);
    };
    let State::File(store) = &state else {
        eprintln!("a soakd run holds the state file in {}, and does not answer on its socket", dir.display());
        return Ok(EXIT_UNAVAILABLE);
    };
    let open = store.incidents(true, LISTED_MAX)?;
    let snapshot = match store.latest()? {
        Some(run) => store.snapshot(&run.run)?,
        None => None,
    };
    let text = match (args.format, &snapshot) {
        (Form::Json, snapshot) => {
            let report = snapshot.as_ref().map(|snapshot| report::render(snapshot, Format::Json));
            let report: Option<serde_json::Value> = report.map(|text| serde_json::from_str(&text)).transpose()?;
            let run = report.map_or(serde_json::Value::Null, |mut report| report["run"].take());
            format!("{:#}\n", serde_json::json!({ "daemon": null, "run": run, "incidents_open": open.len() }))
        }
        (Form::Text, None) => "No soakd runs, and there was no run yet.\n".to_owned(),
        (Form::Text, Some(snapshot)) => {
            let head = report::headline(snapshot);
            let (run, now) = (&snapshot.run, now_ms());
            let ended = match run.ended_ms {
                Some(at) => format!("ended {} ({} ago)", moment(at), duration(between(at, now))),
                None => "not ended; the next `soakd run` goes on with it".to_owned(),
            };
            let mut out = format!("No soakd runs. This is what the state file in {} says.\n\n", dir.display());
            out.push_str(&format!("Last run   {} ({}), {ended}\n", clean(&run.name), clean(&run.run)));
            out.push_str(&format!("Verdict    {}: {}\n", head.word, clean(&head.reason)));
            out.push_str(&format!("Incidents  {} open\n", number(open.len() as u64)));
            open.iter().for_each(|incident| out.push_str(&format!("  {}\n", line(incident, now))));
            out
        }
    };
    state::print(&mut io::stdout().lock(), &text)?;
    Ok(EXIT_UNAVAILABLE)
}

/// Renders the status for a person.
fn page(status: &Status, open: &[Incident]) -> String {
    let now = status.now_ms;
    let up = duration(between(status.started_ms, now));
    let mut out = format!("soakd {}, process {}, up {up}", clean(&status.soakd), status.pid);
    if !status.config.is_empty() {
        out.push_str(&format!(", {}", clean(&status.config)));
    }
    out.push_str("\n\n");
    let mut fact = |name: &str, text: String| out.push_str(&format!("{name:<10} {text}\n"));
    fact(
        "State",
        match status.paused_because.as_slice() {
            [] => word(&status.state),
            because => format!("{}: {}", word(&status.state), clean(&because.join("; "))),
        },
    );
    match &status.run {
        Some(run) => of_run(run, now, &mut fact),
        None => fact("Run", "none yet".to_owned()),
    }
    for schedule in status.schedules.iter().take(LISTED_MAX) {
        let next = schedule.next_ms.map_or_else(
            || "no run is left".to_owned(),
            |at| format!("next run {} (in {})", moment(at), duration(between(now, at))),
        );
        let queued = if schedule.queued { ", one is queued" } else { "" };
        fact("Schedule", format!("{}: {next}{queued}, {} left out", clean(&schedule.name), number(schedule.skipped)));
    }
    fact("Incidents", format!("{} open", number(status.incidents_open)));
    for incident in open.iter().take(LISTED_MAX) {
        fact("", line(incident, now));
    }
    if open.len() > LISTED_MAX {
        fact("", "more: `soakd incidents`".to_owned());
    }
    fact("Outbox", outbox(status));
    let memory = |parts: &[String]| if parts.is_empty() { "not measured yet".to_owned() } else { parts.join(", ") };
    let parts: Vec<_> = (status.health.parts.iter().take(LISTED_MAX))
        .map(|part| format!("{} {}", clean(&part.part), bytes(part.rss_bytes)))
        .collect();
    fact("Memory", memory(&parts));
    if status.health.at_ms > 0 {
        let health = &status.health;
        let (free, file, dir) = (health.disk_free_bytes, health.state_file_bytes, health.state_dir_bytes);
        fact("Disk", format!("{} free; state file {}, state directory {}", bytes(free), bytes(file), bytes(dir)));
    }
    if let Some(said) = &status.reload {
        fact("Reload", clean(said));
    }
    out
}

fn of_run(run: &RunStatus, now: i64, fact: &mut impl FnMut(&str, String)) {
    let schedule = run.schedule.as_ref().map_or_else(String::new, |name| format!(", schedule {}", clean(name)));
    let since = duration(between(run.started_ms, now));
    fact("Run", format!("{} ({}), seed {}{schedule}, since {since}", clean(&run.name), clean(&run.run), run.seed));
    let of = run.cycles_planned.map_or_else(String::new, |planned| format!(" of {}", number(planned)));
    let share = match run.steps_planned {
        0 => String::new(),
        planned => {
            let percent = run.steps_done.min(planned) * 100 / planned;
            format!(", {} of {} steps ({percent} %)", number(run.steps_done), number(planned))
        }
    };
    let rate =
        if run.rows_per_s >= 1.0 { format!(", {} rows/s", number(run.rows_per_s as u64)) } else { String::new() };
    let errors = if run.errors > 0 { format!(", {}", count(run.errors, "error")) } else { String::new() };
    fact("Cycle", format!("{}{of}, {}{share}{rate}{errors}", number(run.cycle), run.phase.word()));
    let by: Vec<_> = run.cycles_by_verdict.iter().map(|(verdict, n)| format!("{} {verdict}", number(*n))).collect();
    fact(
        "Verdict",
        match run.verdict {
            None => "none yet: no cycle is finished".to_owned(),
            Some(verdict) if by.is_empty() => verdict.to_string(),
            Some(verdict) => format!("{verdict} ({})", by.join(", ")),
        },
    );
    let pass = |at: i64| format!("{} ({} ago)", moment(at), duration(between(at, now)));
    fact("Last pass", run.last_pass_ms.map_or_else(|| "none".to_owned(), pass));
}

fn outbox(status: &Status) -> String {
    let outbox = &status.outbox;
    let sum = |counts: &std::collections::BTreeMap<String, u64>| counts.values().sum::<u64>();
    let mut text = format!("{} waiting, {} delivered", number(sum(&outbox.waiting)), number(sum(&outbox.delivered)));
    if let Some(at) = outbox.oldest_ms {
        text.push_str(&format!(", the oldest for {}", duration(between(at, status.now_ms))));
    }
    if sum(&outbox.given_up) > 0 {
        text.push_str(&format!(", {} given up", number(sum(&outbox.given_up))));
    }
    if let Some(error) = outbox.last_error.as_ref().filter(|_| sum(&outbox.waiting) > 0) {
        text.push_str(&format!("; last error: {}", clean(error)));
    }
    text
}

/// Returns a size as people read it: `34.5 MiB`.
fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests;
