//! `soakd pause`, `resume`, `trigger`, `stop`, `reload`: what the running daemon is told. It says itself what it did.

use serde_json::{Value, json};

use super::EXIT_OK;
use super::daemon::{SocketArgs, wait};

/// Arguments of commands without any of their own.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TellArgs {
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// Arguments of `soakd pause`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PauseArgs {
    /// Why, for those who look at the status
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// Arguments of `soakd trigger`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TriggerArgs {
    /// Name of the schedule; may be left out if there is only one, or to begin the next cycle
    #[arg(value_name = "SCHEDULE")]
    pub schedule: Option<String>,
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// Arguments of `soakd stop`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct StopArgs {
    /// End after the step in work; the next start goes on with the cycle
    #[arg(long)]
    pub now: bool,
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// Pauses the load.
pub fn pause(args: PauseArgs) -> anyhow::Result<u8> {
    tell(&args.socket, "pause", &args.reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason })))
}

/// Goes on after a pause.
pub fn resume(args: TellArgs) -> anyhow::Result<u8> {
    tell(&args.socket, "resume", &json!({}))
}

/// Begins a run, or the next cycle.
pub fn trigger(args: TriggerArgs) -> anyhow::Result<u8> {
    tell(&args.socket, "trigger", &args.schedule.map_or_else(|| json!({}), |name| json!({ "schedule": name })))
}

/// Ends the daemon.
pub fn stop(args: StopArgs) -> anyhow::Result<u8> {
    tell(&args.socket, "stop", &json!({ "now": args.now }))
}

/// Has the configuration read again.
pub fn reload(args: TellArgs) -> anyhow::Result<u8> {
    tell(&args.socket, "reload", &json!({}))
}

fn tell(socket: &SocketArgs, what: &str, body: &Value) -> anyhow::Result<u8> {
    let client = socket.client()?;
    println!("{}", wait(client.command(&format!("/v1/{what}"), body))??);
    Ok(EXIT_OK)
}
