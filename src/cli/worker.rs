//! `soakd worker`: one worker process; started by the daemon, never by a person.

use tracing_subscriber::EnvFilter;

/// Runs a worker on standard input and output.
pub fn run() -> anyhow::Result<u8> {
    let filter = EnvFilter::new("info");
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_target(false)
        .with_writer(std::io::stderr)
        .init();
    crate::engine::worker::process::run()?;
    Ok(super::EXIT_OK)
}
