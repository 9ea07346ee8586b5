//! Holds the load of all workers back and lets it go on, those included that are started again meanwhile.

use std::sync::atomic::Ordering;

use super::{Command, Crew, Worker};

impl Crew {
    /// Tells all workers to stop after the step in work.
    pub async fn stop_loading(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.tell_all(Command::Stop).await;
    }

    /// Tells all workers that loading may go on after a stop.
    pub async fn go_on_loading(&self) {
        self.stopped.store(false, Ordering::SeqCst);
        self.tell_all(Command::Go).await;
    }

    async fn tell_all(&self, command: Command) {
        let workers: Vec<_> = self.workers.read().await.iter().flatten().cloned().collect();
        let mut telling = tokio::task::JoinSet::new();
        for worker in workers {
            // A dead worker has stopped, and its successor hears of it when it starts.
            let command = command.clone();
            telling.spawn(async move { worker.ask(0, command).await });
        }
        telling.join_all().await;
    }

    /// Tells a worker that begins in a pause, or at the end, what the others were told.
    pub(super) async fn tell_late(&self, worker: &Worker) {
        if self.stopped.load(Ordering::SeqCst) {
            let _ = worker.ask(0, Command::Stop).await;
            // Everybody may have been told meanwhile to go on, this one included.
            if !self.stopped.load(Ordering::SeqCst) {
                let _ = worker.ask(0, Command::Go).await;
            }
        }
    }
}
