//! Signals: the first SIGINT or SIGTERM asks for a good end, the second ends at once, SIGHUP asks for a reload. While a
//! dashboard has the terminal, that is given back before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::Notify;

use crate::engine::control::Control;
use crate::observe::dashboard;

/// Exit code of an end at once.
const AT_ONCE: i32 = 2;

/// Watches signals for the rest of the process's life.
pub(super) fn watch(control: Arc<Control>, reload: Arc<Notify>, ui: bool) -> anyhow::Result<()> {
    let armed = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Registered before the flag is set by the same signal: only the second one finds it armed.
        signal_hook::flag::register_conditional_shutdown(signal, AT_ONCE, Arc::clone(&armed))
            .context("watching signals")?;
        if !ui {
            signal_hook::flag::register(signal, Arc::clone(&armed)).context("watching signals")?;
        }
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("watching signals")?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut asked = false;
        for signal in signals.forever() {
            if signal == SIGHUP {
                reload.notify_one();
            } else if ui && std::mem::replace(&mut asked, true) {
                // Another one does not wait for the terminal.
                armed.store(true, Ordering::Relaxed);
                dashboard::restore();
                std::process::exit(AT_ONCE);
            } else {
                tracing::warn!(signal, "stopping after the step in work; a second signal stops at once");
                control.stop.cancel();
            }
        }
    })?;
    Ok(())
}
