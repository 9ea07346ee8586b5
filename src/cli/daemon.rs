//! The commands that ask the running daemon or tell it something, and how they reach it.

use std::path::PathBuf;

use super::control::{PauseArgs, StopArgs, TellArgs, TriggerArgs};
use super::events::EventsArgs;
use super::incidents::IncidentsArgs;
use super::state::StateArgs;
use super::status::StatusArgs;
use super::top::TopArgs;
use super::{control, events, incidents, status, top};
use crate::config::ApiConfig;
use crate::observe::api::client::{AskError, Client};
use crate::observe::api::reachable_path;

/// Commands for the running daemon.
#[derive(Debug, clap::Subcommand)]
pub enum DaemonCommand {
    /// Show what the daemon does, and how its run stands
    Status(StatusArgs),
    /// Watch the daemon live
    Top(TopArgs),
    /// Show what is wrong
    Incidents(IncidentsArgs),
    /// Follow what happens
    Events(EventsArgs),
    /// Let no new step of the load begin
    Pause(PauseArgs),
    /// Go on after a pause
    Resume(TellArgs),
    /// Begin a run, or the next cycle, now
    Trigger(TriggerArgs),
    /// End the daemon after the cycle in work
    Stop(StopArgs),
    /// Read the configuration again
    Reload(TellArgs),
}

/// Runs one of the commands and returns its exit code.
pub fn run(command: DaemonCommand) -> anyhow::Result<u8> {
    match command {
        DaemonCommand::Status(args) => status::run(args),
        DaemonCommand::Top(args) => top::run(args),
        DaemonCommand::Incidents(args) => incidents::run(args),
        DaemonCommand::Events(args) => events::run(args),
        DaemonCommand::Pause(args) => control::pause(args),
        DaemonCommand::Resume(args) => control::resume(args),
        DaemonCommand::Trigger(args) => control::trigger(args),
        DaemonCommand::Stop(args) => control::stop(args),
        DaemonCommand::Reload(args) => control::reload(args),
    }
}

/// Which daemon is meant.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SocketArgs {
    #[command(flatten)]
    pub state: StateArgs,
    /// Socket that the daemon listens on [default: soakd.sock in the state directory]
    #[arg(long, value_name = "FILE", env = "SOAKD_SOCKET")]
    pub socket: Option<PathBuf>,
}

impl SocketArgs {
    /// Finds the daemon.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        if let Some(path) = &self.socket {
            return Ok(Client::open(path)?);
        }
        let config = ApiConfig { socket: self.state.socket()?, ..ApiConfig::default() };
        Ok(Client::open(&reachable_path(&config, &self.state.dir()?))?)
    }

    /// Finds the daemon; `None` if there is none, so that the state file can be read instead.
    pub(super) fn client_if_running(&self) -> anyhow::Result<Option<Client>> {
        match self.client() {
            Ok(client) => Ok(Some(client)),
            Err(e) if self.socket.is_none() && matches!(e.downcast_ref(), Some(AskError::NoDaemon(_))) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// Waits for an answer.
pub(super) fn wait<T>(answer: impl Future<Output = T>) -> std::io::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(answer))
}
