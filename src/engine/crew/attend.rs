//! What workers ask for and how they die: answered and written down beside whatever they are at.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Crew;
use crate::engine::ledger::{Ledger, Signal, finding};
use crate::model::finding::{Kind, Side};

/// Answers what workers ask for and writes down how they die, until the channel closes.
pub async fn attend(
    crew: Arc<Crew>,
    ledger: Arc<Ledger>,
    mut signals: mpsc::Receiver<Signal>,
    closing: tokio_util::sync::CancellationToken,
) {
    while let Some(signal) = signals.recv().await {
        match signal {
            Signal::NeedCredential(db) => {
                let crew = Arc::clone(&crew);
                tokio::spawn(async move { crew.renew(db).await });
            }
            Signal::Barrier(done) => {
                // Whoever waited may have been stopped meanwhile.
                let _ = done.send(());
            }
            Signal::Gone(_) if closing.is_cancelled() => {}
            Signal::Gone(death) => {
                let names: Vec<String> = death.databases.iter().map(|db| format!("DB{db}")).collect();
                let what = if death.stuck { "was silent for too long and was ended" } else { "ended" };
                let message = format!(
                    "the worker of {} {what} by {}; its last lines: {}",
                    names.join(", "),
                    death.how,
                    death.last_lines.join(" | ")
                );
                let kind = if death.stuck { Kind::Stuck } else { Kind::Crash };
                let mut crash = finding(ledger.cycle(), "-", (Side::Client, kind), &message);
                crash.db = death.databases.first().copied();
                if ledger.record_findings(vec![crash]).is_err() {
                    return;
                }
            }
        }
    }
}
