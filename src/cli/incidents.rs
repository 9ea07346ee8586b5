//! `soakd incidents`: what is wrong, from the running daemon or from the state file.

use std::io;

use super::daemon::{SocketArgs, wait};
use super::runs::now_ms;
use super::state::{self, NOT_THERE, State};
use super::status::Form;
use super::{EXIT_OK, EXIT_UNAVAILABLE};
use crate::model::incident::{ChangeKind, Incident, IncidentState};
use crate::observe::api::client::AskError;
use crate::observe::report::words::{between, clean, count, duration, moment, number, word};

/// Incidents that are listed.
const LISTED_MAX: usize = 200;

/// Arguments of `soakd incidents`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct IncidentsArgs {
    /// Number of one incident, for all that is known of it
    #[arg(value_name = "ID", conflicts_with = "all")]
    pub id: Option<u64>,
    /// Those that are resolved as well
    #[arg(long)]
    pub all: bool,
    /// What the list looks like
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// Prints the incidents; the exit code says whether it could, not whether there are any.
pub fn run(args: IncidentsArgs) -> anyhow::Result<u8> {
    let Some(found) = incidents(&args.socket, args.id, args.all)? else { return Ok(EXIT_UNAVAILABLE) };
    let text = match (args.format, args.id, found.as_slice()) {
        (_, Some(id), []) => {
            eprintln!("there is no incident {id}; `soakd incidents --all` lists those that are");
            return Ok(NOT_THERE);
        }
        (Form::Json, Some(_), [incident, ..]) => format!("{:#}\n", serde_json::to_value(incident)?),
        (Form::Json, ..) => format!("{:#}\n", serde_json::json!({ "incidents": found })),
        (Form::Text, Some(_), [incident, ..]) => page(incident, now_ms()),
        (Form::Text, ..) => list(&found, args.all, now_ms()),
    };
    state::print(&mut io::stdout().lock(), &text)?;
    Ok(EXIT_OK)
}

/// Reads incidents; `None` if neither the daemon nor the state file can be asked, which was said.
pub(super) fn incidents(socket: &SocketArgs, id: Option<u64>, all: bool) -> anyhow::Result<Option<Vec<Incident>>> {
    if let Some(client) = socket.client_if_running()? {
        if let Some(id) = id {
            return match wait(client.get::<Incident>(&format!("/v1/incidents/{id}")))? {
                Ok(incident) => Ok(Some(vec![incident])),
                Err(AskError::Refused { status: 404, .. }) => Ok(Some(Vec::new())),
                Err(e) => Err(e.into()),
            };
        }
        let which = if all { "all" } else { "open" };
        let path = format!("/v1/incidents?state={which}&limit={LISTED_MAX}");
        let mut answer: serde_json::Value = wait(client.get(&path))??;
        let found = serde_json::from_value(answer["incidents"].take());
        return Ok(Some(found.map_err(|e| AskError::Odd(e.to_string()))?));
    }
    let dir = socket.state.dir()?;
    match State::open(dir.clone())? {
        Some(State::File(store)) => Ok(Some(match id {
            Some(id) => store.incident(id)?.into_iter().collect(),
            None => store.incidents(!all, LISTED_MAX)?,
        })),
        Some(_) => {
            eprintln!("a soakd run holds the state file in {}, and does not answer on its socket", dir.display());
            Ok(None)
        }
        None => {
            eprintln!("there is no soakd state in {}; give the --state-dir of a soakd run", dir.display());
            Ok(None)
        }
    }
}

/// Renders a list.
fn list(incidents: &[Incident], all: bool, now_ms: i64) -> String {
    if incidents.is_empty() {
        return if all { "There was no incident yet.\n" } else { "No incident is open.\n" }.to_owned();
    }
    incidents.iter().map(|incident| format!("{}\n", line(incident, now_ms))).collect()
}

/// Renders one incident as one line.
pub(super) fn line(incident: &Incident, now_ms: i64) -> String {
    let ago = |at: i64| duration(between(at, now_ms));
    let state = match (incident.state, incident.resolved_ms) {
        (IncidentState::Open, _) => format!("open for {}", ago(incident.opened_ms)),
        (IncidentState::Resolved, Some(at)) => format!("resolved {} ago", ago(at)),
        (IncidentState::Resolved, None) => "resolved".to_owned(),
    };
    format!(
        "#{} {}, {state}, seen {}, last {} ago: {}",
        incident.id,
        word(&incident.severity),
        count(incident.count, "time"),
        ago(incident.last_ms),
        clean(&incident.title)
    )
}

/// Renders all that is known of an incident.
fn page(incident: &Incident, now_ms: i64) -> String {
    let mut out = format!("{}\n\n", line(incident, now_ms));
    let cycles = match (incident.cycle_first, incident.cycle_last) {
        (first, last) if first == last => format!("cycle {}", number(first)),
        (first, last) => format!("cycles {} to {}", number(first), number(last)),
    };
    out.push_str(&format!("Run      {}, {cycles}\n", clean(&incident.run)));
    out.push_str(&format!("Since    {}\nLast     {}\n", moment(incident.opened_ms), moment(incident.last_ms)));
    out.push_str(&format!("First    {}: {}\n", clean(&incident.first.phase), clean(&incident.first.message)));
    for (cause, count) in &incident.causes {
        out.push_str(&format!("Cause    {} × {}\n", number(*count), clean(cause)));
    }
    for line in &incident.evidence {
        out.push_str(&format!("Evidence {}\n", clean(line)));
    }
    for change in &incident.history {
        let what = match &change.what {
            ChangeKind::Renamed { before } => format!("renamed; it was: {}", clean(before)),
            what => word(what),
        };
        out.push_str(&format!("History  {} in cycle {}: {what}\n", moment(change.at_ms), number(change.cycle)));
    }
    out
}
