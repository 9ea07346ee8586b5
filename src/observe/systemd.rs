//! The talk with systemd: that the daemon is ready, reloads or stops, what it does, and that it lives. The watchdog is fed only
//! when something was really done; nothing here may feed it for another reason.

mod status;

use std::ffi::{OsStr, OsString};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::net::UnixDatagram;
use tokio::sync::broadcast::{Receiver, error::RecvError, error::TryRecvError};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::engine::event::{Beat, RunEvent};
use crate::model::status::DaemonState;
use status::Board;

/// Shortest time between two status lines.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Longest time between two looks at the beat.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(10);
/// Looks within the watchdog's time: with eight, the beat may stand still for seven eighths of it and nothing is lost.
const LOOKS: u32 = 8;
/// More time that is asked for whenever a start gets on.
const START_MORE: Duration = Duration::from_secs(60);
/// What reports and the end of the process may take after the drain.
const STOP_MORE: Duration = Duration::from_secs(30);

/// The service manager that started this process.
pub struct Service {
    address: OsString,
    watchdog: Option<Duration>,
    /// The watchdog's time if it is not the one of the unit.
    longer: Option<Duration>,
    drain: Duration,
}

/// What the talk is about.
pub struct Feed {
    pub events: Receiver<RunEvent>,
    pub beat: Beat,
    /// The daemon was asked to stop.
    pub stop: CancellationToken,
    /// No more events come.
    pub over: CancellationToken,
}

impl Service {
    /// Returns the service manager, if there is one that wants to hear of this process.
    pub fn from_env() -> Option<Self> {
        Some(Self::at(std::env::var_os("NOTIFY_SOCKET")?, sd_notify::watchdog_enabled()))
    }

    fn at(address: OsString, watchdog: Option<Duration>) -> Self {
        let watchdog = watchdog.filter(|time| !time.is_zero());
        Self { address, watchdog, longer: None, drain: Duration::ZERO }
    }

    /// Respects what the daemon's own timeouts permit: a step may stand still for `step` before the daemon ends it, which must
    /// come first, and a stop may take `drain`.
    pub fn with_timeouts(mut self, step: Duration, drain: Duration) -> Self {
        self.longer = self.watchdog.map(|time| time.saturating_add(step)).filter(|_| !step.is_zero());
        self.drain = drain;
        self
    }

    /// Tells what happens until it is over.
    pub async fn run(self, feed: Feed) {
        let Feed { mut events, beat, stop, over } = feed;
        let every = self.watchdog.map_or(LOOK_EVERY_MAX, |time| (time / LOOKS).min(LOOK_EVERY_MAX));
        let mut looks = interval(every.max(Duration::from_millis(1)));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut talk = Talk::new(self, &beat);
        loop {
            tokio::select! {
                received = events.recv() => match received {
                    Ok(event) => talk.hear(&event).await,
                    // What was missed shows in a later line.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                },
                () = stop.cancelled(), if !talk.stopping => talk.stop().await,
                _ = looks.tick() => talk.look(&beat).await,
                () = sleep_until(talk.status_at), if talk.changed => talk.status().await,
                () = over.cancelled() => break,
            }
        }
        loop {
            match events.try_recv() {
                Ok(event) => talk.hear(&event).await,
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if !talk.stopping {
            talk.stop().await;
        }
        talk.status().await;
    }

    async fn send(&self, states: &[NotifyState<'_>]) {
        let text: String = states.iter().map(|state| format!("{state}\n")).collect();
        let sent = match self.connect() {
            Ok(socket) => socket.send(text.as_bytes()).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            tracing::warn!(%error, "systemd could not be told of the daemon's state");
        }
    }

    /// Connects anew, as a service manager that was started again has another socket.
    fn connect(&self) -> std::io::Result<UnixDatagram> {
        let socket = StdDatagram::unbound()?;
        match self.address.as_bytes().strip_prefix(b"@") {
            Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
            None => socket.connect::<&OsStr>(&self.address)?,
        }
        socket.set_nonblocking(true)?;
        UnixDatagram::from_std(socket)
    }
}

/// Whether something was done since the last look. What counts is that the beat has grown; that the process can still look at
/// it proves nothing.
struct Watchdog {
    seen: u64,
}

impl Watchdog {
    /// Returns true if the watchdog may be fed.
    fn look(&mut self, count: u64) -> bool {
        let grown = count != self.seen;
        self.seen = count;
        grown
    }
}

/// What was said so far.
struct Talk {
    service: Service,
    board: Board,
    watchdog: Watchdog,
    ready: bool,
    stopping: bool,
    /// The last status line.
    said: String,
    /// When the next one may follow.
    status_at: Instant,
    /// Something happened since the last one.
    changed: bool,
}

impl Talk {
    fn new(service: Service, beat: &Beat) -> Self {
        Self {
            service,
            board: Board::default(),
            watchdog: Watchdog { seen: beat.count() },
            ready: false,
            stopping: false,
            said: String::new(),
            status_at: Instant::now(),
            changed: true,
        }
    }

    async fn hear(&mut self, event: &RunEvent) {
        self.board.note(event);
        self.changed = true;
        match event {
            RunEvent::State(DaemonState::Stopping, _) if !self.stopping => self.stop().await,
            RunEvent::State(DaemonState::Starting | DaemonState::Stopping, _) => {}
            RunEvent::Started { .. } | RunEvent::State(..) if !self.ready && !self.stopping => self.is_ready().await,
            RunEvent::Reloaded(_) if self.ready && !self.stopping => self.reloaded().await,
            _ => {}
        }
    }

    async fn is_ready(&mut self) {
        self.ready = true;
        // Only now: the watchdog's time runs from the moment at which it is set.
        let longer = self.service.longer.map(|time| format!("WATCHDOG_USEC={}", time.as_micros()));
        let states = [Some(NotifyState::Ready), longer.as_deref().map(NotifyState::Custom)];
        self.service.send(&states.into_iter().flatten().collect::<Vec<_>>()).await;
    }

    /// Tells of a reload that is done already: the daemon does it in between two events.
    async fn reloaded(&mut self) {
        let states = [Some(NotifyState::Reloading), NotifyState::monotonic_usec_now().ok()];
        self.service.send(&states.into_iter().flatten().collect::<Vec<_>>()).await;
        self.service.send(&[NotifyState::Ready]).await;
    }

    async fn stop(&mut self) {
        self.stopping = true;
        self.board.note(&RunEvent::State(DaemonState::Stopping, Vec::new()));
        self.changed = true;
        let more = format!("EXTEND_TIMEOUT_USEC={}", (self.service.drain + STOP_MORE).as_micros());
        self.service.send(&[NotifyState::Stopping, NotifyState::Custom(&more)]).await;
    }

    async fn look(&mut self, beat: &Beat) {
        if !self.watchdog.look(beat.count()) {
            return;
        }
        if self.service.watchdog.is_some() {
            self.service.send(&[NotifyState::Watchdog]).await;
        }
        if !self.ready && !self.stopping {
            let more = format!("EXTEND_TIMEOUT_USEC={}", START_MORE.as_micros());
            self.service.send(&[NotifyState::Custom(&more)]).await;
        }
    }

    async fn status(&mut self) {
        self.changed = false;
        let line = self.board.line();
        if line != self.said {
            self.status_at = Instant::now() + STATUS_EVERY;
            self.service.send(&[NotifyState::Status(&line)]).await;
            self.said = line;
        }
    }
}

#[cfg(test)]
mod tests;
