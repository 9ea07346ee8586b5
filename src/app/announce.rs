//! Tells readers what the daemon does, whenever that changes: what it is about, unless a stop or a pause stands above it.

use std::sync::Arc;

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::engine::control::Control;
use crate::engine::event::RunEvent;
use crate::model::status::DaemonState;

/// Tells of every change until the daemon is over.
pub(super) async fn announce(
    mut doing: watch::Receiver<DaemonState>,
    control: Arc<Control>,
    events: broadcast::Sender<RunEvent>,
    over: CancellationToken,
) {
    let mut held = control.watch();
    let mut told = None;
    loop {
        let reasons = control.reasons();
        let state = state(*doing.borrow_and_update(), control.is_ending(), !reasons.is_empty());
        let now = Some((state, reasons.clone()));
        if told != now {
            // Nobody may be listening.
            let _ = events.send(RunEvent::State(state, reasons));
            told = now;
        }
        tokio::select! {
            changed = doing.changed() => if changed.is_err() { return },
            changed = held.changed() => if changed.is_err() { return },
            () = control.ending(), if state != DaemonState::Stopping => {}
            () = over.cancelled() => return,
        }
    }
}

fn state(doing: DaemonState, ending: bool, held: bool) -> DaemonState {
    match (ending, held) {
        (true, _) => DaemonState::Stopping,
        (false, true) => DaemonState::Paused,
        (false, false) => doing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_change_is_told_once() {
        let (events, mut heard) = broadcast::channel(16);
        let (doing, watched) = watch::channel(DaemonState::Starting);
        let control = Arc::new(Control::default());
        let over = CancellationToken::new();
        let task = tokio::spawn(announce(watched, Arc::clone(&control), events, over.clone()));
        let mut next = async || match heard.recv().await {
            Ok(RunEvent::State(state, reasons)) => (state, reasons),
            other => panic!("{other:?}"),
        };
        assert_eq!(next().await, (DaemonState::Starting, vec![]));
        doing.send_replace(DaemonState::Running);
        assert_eq!(next().await, (DaemonState::Running, vec![]));
        control.hold("disk", "it is full".into());
        assert_eq!(next().await, (DaemonState::Paused, vec!["it is full".to_owned()]));
        control.release("disk");
        assert_eq!(next().await, (DaemonState::Running, vec![]));
        control.last_cycle.cancel();
        assert_eq!(next().await, (DaemonState::Stopping, vec![]));
        over.cancel();
        assert!(task.await.is_ok());
    }
}
