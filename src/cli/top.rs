//! `soakd top`: the running daemon, live, in the same dashboard that `soakd run --ui` shows.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::daemon::{SocketArgs, wait};
use super::state::{self, State};
use super::status::{StatusArgs, left_behind};
use super::{EXIT_INTERNAL, EXIT_OK};
use crate::model::status::Status;
use crate::observe::api::client::{AskError, Client};
use crate::observe::dashboard::{self, End, Mode, Wires, Wish};
use crate::observe::status::checks_of;

/// Time between two looks at the status.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Wishes that may wait.
const WISHES_MAX: usize = 4;

/// Arguments of `soakd top`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TopArgs {
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// Shows the daemon until it ends or the user leaves; the exit code is 69 if none runs.
pub fn run(args: TopArgs) -> anyhow::Result<u8> {
    let Some(client) = args.socket.client_if_running()? else {
        return left_behind(&StatusArgs { socket: args.socket, ..StatusArgs::default() });
    };
    dashboard::check()?;
    let first: Status = wait(client.get("/v1/status"))??;
    let leave = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&leave)).context("watching signals")?;
    }
    let (tell, status) = watch::channel(first);
    let (wish, wishes) = mpsc::channel(WISHES_MAX);
    let (say, said) = watch::channel(String::new());
    let (socket, newest) = (args.socket.clone(), status.clone());
    let asking = move || wait(ask(&client, &socket, tell, (wishes, say)));
    std::thread::Builder::new().name("ask".into()).spawn(asking).context("starting a thread")?;
    match dashboard::show(Mode::Top, Wires { status, wishes: wish, said, leave })? {
        End::Left | End::AtOnce => Ok(EXIT_OK),
        End::Panicked => Ok(EXIT_INTERNAL),
        End::Over => {
            let last = newest.borrow().clone();
            let last = known(&args.socket, last);
            let (summary, outcome) = (dashboard::summary(&last), dashboard::outcome(&last));
            let text = format!("The daemon has ended.\n\n{summary}{outcome}\n");
            state::print(&mut io::stdout().lock(), &text)?;
            Ok(EXIT_OK)
        }
    }
}

/// Asks for the status again and again, and hands wishes on, until the daemon or the dashboard has ended.
async fn ask(
    client: &Client,
    socket: &SocketArgs,
    tell: watch::Sender<Status>,
    (mut wishes, say): (mpsc::Receiver<Wish>, watch::Sender<String>),
) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            wish = wishes.recv() => match wish {
                None => return,
                Some(Wish::Pause) => said(client, "/v1/pause", &json!({ "reason": "asked for in soakd top" })).await,
                Some(Wish::Resume) => said(client, "/v1/resume", &json!({})).await,
                Some(Wish::Stop | Wish::StopNow | Wish::Leave) => continue,
            },
            _ = look.tick() => client.get("/v1/status").await.map(|status| {
                tell.send_replace(status);
                None
            }),
        };
        match asked {
            Ok(None) => {}
            Ok(Some(text)) => drop(say.send_replace(text)),
            Err(error) if is_gone(socket) => {
                tracing::debug!("{error}");
                return;
            }
            Err(error) => drop(say.send_replace(error.to_string())),
        }
    }
}

async fn said(client: &Client, path: &str, body: &serde_json::Value) -> Result<Option<String>, AskError> {
    client.command(path, body).await.map(Some)
}

/// Returns true if nobody listens any more.
fn is_gone(socket: &SocketArgs) -> bool {
    socket.client().is_err_and(|error| matches!(error.downcast_ref(), Some(AskError::NoDaemon(_))))
}

/// Adds what the state file knows of how the run ended, if it can be read.
fn known(socket: &SocketArgs, mut status: Status) -> Status {
    let Some(run) = &mut status.run else { return status };
    let Ok(Some(State::File(store))) = socket.state.dir().and_then(State::open) else { return status };
    if let Ok(Some(snapshot)) = store.snapshot(&run.run) {
        let record = snapshot.run;
        (run.phase, run.cycle) = (record.phase, record.cycle);
        run.cycles_by_verdict = snapshot.cycles_by_verdict;
        run.verdict = record.verdict.or(run.verdict);
        status.board.ended = record.ended_because;
        if let Some(cycle) = snapshot.cycles.last() {
            (status.board.checks_of, status.board.checks) = (cycle.cycle, checks_of(cycle));
        }
    }
    status
}
