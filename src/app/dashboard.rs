//! The dashboard of a run in the foreground: its thread, and the way of its wishes to the daemon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, oneshot, watch};

use super::daemon::Request;
use crate::engine::control::Control;
use crate::model::status::{Control as Asked, Status};
use crate::observe::dashboard::{End, Mode, Wires, Wish, restore, show};

/// Wishes that may wait.
const WISHES_MAX: usize = 4;
/// How long the end of the dashboard is waited for; a terminal that takes nothing more may hold it up.
const END_MAX: Duration = Duration::from_secs(1);
/// What is said of a pause, to those who look at the status.
const REASON: &str = "asked for in the dashboard";

/// The dashboard's thread.
pub(super) struct Dashboard {
    status: watch::Receiver<Status>,
    leave: Arc<AtomicBool>,
    /// Says something when the thread has ended.
    ended: std_mpsc::Receiver<()>,
}

impl Dashboard {
    /// Takes the terminal and shows the dashboard.
    pub(super) fn start(
        status: watch::Receiver<Status>,
        ask: mpsc::Sender<Request>,
        control: Arc<Control>,
    ) -> anyhow::Result<Self> {
        let leave = Arc::new(AtomicBool::new(false));
        let (wish, wishes) = mpsc::channel(WISHES_MAX);
        let (say, said) = watch::channel(String::new());
        let (end, ended) = std_mpsc::channel();
        let wires = Wires { status: status.clone(), wishes: wish, said, leave: Arc::clone(&leave) };
        tokio::spawn(grant(wishes, ask, control, say));
        let shown = move || {
            match show(Mode::Run, wires) {
                Ok(End::AtOnce) => {
                    tracing::warn!("stopping at once, as the dashboard was told");
                    std::process::exit(2);
                }
                Ok(End::Left | End::Over) => {}
                Ok(End::Panicked) => tracing::warn!("the dashboard has ended because something panicked"),
                Err(error) => tracing::warn!("the dashboard has ended: {error}; the run goes on without it"),
            }
            // Nobody may be waiting.
            let _ = end.send(());
        };
        std::thread::Builder::new().name("dashboard".into()).spawn(shown).context("starting the dashboard")?;
        Ok(Self { status, leave, ended })
    }

    /// Gives the terminal back, and returns where the last status stands.
    pub(super) fn end(self) -> watch::Receiver<Status> {
        self.leave.store(true, Ordering::Relaxed);
        let _ = self.ended.recv_timeout(END_MAX);
        restore();
        self.status
    }
}

/// Sees to it that wishes are granted, one after the other, and says what came of them.
async fn grant(
    mut wishes: mpsc::Receiver<Wish>,
    ask: mpsc::Sender<Request>,
    control: Arc<Control>,
    say: watch::Sender<String>,
) {
    while let Some(wish) = wishes.recv().await {
        let said = match wish {
            Wish::Pause => asked(&ask, Asked::Pause { reason: REASON.into() }).await,
            Wish::Resume => asked(&ask, Asked::Resume).await,
            Wish::Stop => {
                tracing::warn!("stopping after the step in work, as the dashboard was told");
                control.stop.cancel();
                "stopping after the step in work; the next `soakd run` goes on from there".into()
            }
            // These end the dashboard itself.
            Wish::StopNow | Wish::Leave => continue,
        };
        say.send_replace(said);
    }
}

async fn asked(ask: &mpsc::Sender<Request>, what: Asked) -> String {
    let (answer, answered) = oneshot::channel();
    if ask.send((what, answer)).await.is_err() {
        return "the daemon is ending".into();
    }
    match answered.await {
        Ok(Ok(said) | Err(said)) => said,
        Err(_) => "the daemon is ending".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wishes_go_the_way_of_commands_and_a_stop_that_of_a_signal() {
        let control = Arc::new(Control::default());
        let (wish, wishes) = mpsc::channel(WISHES_MAX);
        let (ask, mut requests) = mpsc::channel::<Request>(1);
        let (say, mut said) = watch::channel(String::new());
        let granted = tokio::spawn(grant(wishes, ask, Arc::clone(&control), say));
        for (asked_for, control_asked, answer) in [
            (Wish::Pause, Asked::Pause { reason: REASON.into() }, Ok("paused".to_owned())),
            (Wish::Resume, Asked::Resume, Err("it is not paused".to_owned())),
        ] {
            wish.send(asked_for).await.unwrap();
            let (request, reply) = requests.recv().await.unwrap();
            assert_eq!(request, control_asked);
            reply.send(answer.clone()).unwrap();
            let (Ok(text) | Err(text)) = answer;
            said.wait_for(|said| *said == text).await.unwrap();
        }
        drop(requests);
        wish.send(Wish::Pause).await.unwrap();
        said.wait_for(|said| said == "the daemon is ending").await.unwrap();
        assert!(!control.is_ending());
        wish.send(Wish::Stop).await.unwrap();
        said.wait_for(|said| said.starts_with("stopping")).await.unwrap();
        assert!(control.stop.is_cancelled());
        drop(wish);
        granted.await.unwrap();
    }
}
