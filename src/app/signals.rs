//! Signals: the first SIGINT or SIGTERM asks for a good end, the second ends at once, SIGHUP asks for a reload.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::Notify;

use crate::engine::control::Control;

/// Watches signals for the rest of the process's life.
pub(super) fn watch(control: Arc<Control>, reload: Arc<Notify>) -> anyhow::Result<()> {
    let armed = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Registered before the flag is set by the same signal: only the second one finds it armed.
        signal_hook::flag::register_conditional_shutdown(signal, 2, Arc::clone(&armed)).context("watching signals")?;
        signal_hook::flag::register(signal, Arc::clone(&armed)).context("watching signals")?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("watching signals")?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if signal == SIGHUP {
                reload.notify_one();
            } else {
                tracing::warn!(signal, "stopping after the step in work; a second signal stops at once");
                control.stop.cancel();
            }
        }
    })?;
    Ok(())
}
