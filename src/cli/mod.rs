//! One file per command: its arguments, what it prints, and its exit code. Errors meet people here.

pub mod baseline;
pub mod check;
pub mod compare;
pub mod control;
pub mod daemon;
pub mod doctor;
pub mod events;
pub mod export;
pub mod incidents;
pub mod init;
pub mod manual;
pub mod notify;
pub mod report;
pub mod run;
pub mod runs;
pub mod schedule;
mod state;
pub mod status;
pub mod target;
pub mod top;
pub mod trend;
pub mod verify;
pub mod worker;

use crate::app::Refused;
use crate::config::SecretError;
use crate::engine::run::StartError;
use crate::observe::api::BindError;
use crate::observe::api::client::AskError;
use crate::observe::dashboard::NoTerminal;
use crate::store::StoreError;

/// Exit code of a command that did what it should.
pub const EXIT_OK: u8 = 0;
/// Exit code when something that was looked at does not hold.
pub const EXIT_FAIL: u8 = 1;
/// Exit code for wrong usage or a wrong configuration.
pub const EXIT_CONFIG: u8 = 64;
/// Exit code when something that soakd needs cannot be had: the state directory, the state file, a port.
pub const EXIT_UNAVAILABLE: u8 = 69;
/// Exit code when soakd itself failed.
pub const EXIT_INTERNAL: u8 = 70;

/// Returns the exit code that an error ends a command with.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(start) = error.downcast_ref::<StartError>() {
        return match start {
            StartError::Changed { .. } => EXIT_CONFIG,
            StartError::Unavailable(_) => EXIT_UNAVAILABLE,
        };
    }
    if error.is::<SecretError>() || error.is::<Refused>() || error.is::<NoTerminal>() {
        return EXIT_CONFIG;
    }
    if error.is::<BindError>() {
        return EXIT_UNAVAILABLE;
    }
    if let Some(ask) = error.downcast_ref::<AskError>() {
        return match ask {
            AskError::Refused { .. } => EXIT_FAIL,
            AskError::Odd(_) => EXIT_INTERNAL,
            _ => EXIT_UNAVAILABLE,
        };
    }
    match error.downcast_ref::<StoreError>() {
        Some(StoreError::Locked { .. } | StoreError::Directory { .. }) => EXIT_UNAVAILABLE,
        _ => EXIT_INTERNAL,
    }
}
