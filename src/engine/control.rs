//! What holds a run back or ends it: pauses with their reasons, the end after the cycle in work, the end after the step in work.
//! Whoever asks for one does not know the engine, and the engine does not know who asked.

use std::collections::BTreeMap;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// Reasons to pause, by who has them.
type Reasons = BTreeMap<&'static str, String>;

/// The reins of the runs of one daemon.
#[derive(Debug, Default)]
pub struct Control {
    /// Cancelled when everything is to end after the step in work.
    pub stop: CancellationToken,
    /// Cancelled when everything is to end after the cycle in work.
    pub last_cycle: CancellationToken,
    held: watch::Sender<Reasons>,
    hurry: Notify,
}

impl Control {
    /// Pauses for a reason; it lasts until whoever had the reason takes it back.
    pub fn hold(&self, who: &'static str, reason: String) {
        self.held.send_if_modified(|held| held.insert(who, reason.clone()).as_ref() != Some(&reason));
    }

    /// Takes a reason to pause back.
    pub fn release(&self, who: &'static str) {
        self.held.send_if_modified(|held| held.remove(who).is_some());
    }

    /// Returns the reasons why nothing new is begun.
    pub fn reasons(&self) -> Vec<String> {
        self.held.borrow().values().cloned().collect()
    }

    /// Returns a view of the reasons that tells of every change.
    pub fn watch(&self) -> watch::Receiver<BTreeMap<&'static str, String>> {
        self.held.subscribe()
    }

    /// Returns true while there is a reason to pause.
    pub fn is_held(&self) -> bool {
        !self.held.borrow().is_empty()
    }

    /// Waits until there is a reason to pause.
    pub async fn held(&self) {
        // The sender lives as long as this.
        let _ = self.held.subscribe().wait_for(|held| !held.is_empty()).await;
    }

    /// Waits until there is no reason to pause any more, or everything is to end; true if work may go on.
    pub async fn free(&self) -> bool {
        let mut held = self.held.subscribe();
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            _ = held.wait_for(BTreeMap::is_empty) => true,
        }
    }

    /// Returns true once an end was asked for, after the step or after the cycle.
    pub fn is_ending(&self) -> bool {
        self.stop.is_cancelled() || self.last_cycle.is_cancelled()
    }

    /// Waits until an end is asked for.
    pub async fn ending(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.last_cycle.cancelled() => {}
        }
    }

    /// Ends the wait between two cycles; without one, the next wait does not take place.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Waits until somebody is in a hurry.
    pub async fn hurried(&self) {
        self.hurry.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pause_lasts_until_every_reason_is_gone() {
        let control = Control::default();
        assert!(control.free().await);
        control.hold("operator", "lunch".into());
        control.hold("disk", "full".into());
        control.held().await;
        control.release("operator");
        assert_eq!(control.reasons(), ["full"]);
        assert!(control.is_held());
        control.release("disk");
        assert!(control.free().await && !control.is_held());
    }

    #[tokio::test]
    async fn a_stop_ends_the_wait_for_the_end_of_a_pause() {
        let control = Control::default();
        control.hold("operator", "lunch".into());
        control.stop.cancel();
        assert!(!control.free().await);
    }
}
