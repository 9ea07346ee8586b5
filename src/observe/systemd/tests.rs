//! The talk through a real datagram socket, on a clock that stands still while something is on its way.

use tokio::sync::broadcast::{self, Sender};
use tokio::task::JoinHandle;

use super::*;
use crate::model::record::Phase;
use crate::observe::report::sample;

const WATCHDOG: Duration = Duration::from_secs(600);

/// A service manager, and a daemon that talks to it.
struct Manager {
    socket: UnixDatagram,
    events: Sender<RunEvent>,
    beat: Beat,
    stop: CancellationToken,
    over: CancellationToken,
    talk: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Manager {
    fn new(watchdog: Option<Duration>) -> Self {
        Self::with(watchdog, |service| service)
    }

    fn with(watchdog: Option<Duration>, set: impl FnOnce(Service) -> Service) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let (events, receiver) = broadcast::channel(64);
        let (beat, stop, over) = (Beat::default(), CancellationToken::new(), CancellationToken::new());
        let feed = Feed { events: receiver, beat: beat.clone(), stop: stop.clone(), over: over.clone() };
        let talk = tokio::spawn(set(Service::at(path.into_os_string(), watchdog)).run(feed));
        Self { socket, events, beat, stop, over, talk, _dir: dir }
    }

    fn tell(&self, event: RunEvent) {
        assert!(self.events.send(event).is_ok(), "the talk has ended");
    }

    fn start(&self) {
        let record = Box::new(sample::passing().run);
        self.tell(RunEvent::Started { record, resumed_at: None, steps_recovered: 0 });
    }

    async fn receive(&self) -> String {
        let mut bytes = vec![0; 4096];
        let length = self.socket.recv(&mut bytes).await.expect("a datagram");
        String::from_utf8(bytes[..length].to_vec()).expect("text")
    }

    /// Returns the next datagram with this text.
    async fn wait_for(&self, text: &str) -> String {
        loop {
            let said = self.receive().await;
            if said.contains(text) {
                return said;
            }
        }
    }

    /// Returns everything that is said within a time.
    async fn said_within(&self, time: Duration) -> String {
        let until = Instant::now() + time;
        let mut all = String::new();
        while let Ok(said) = tokio::time::timeout_at(until, self.receive()).await {
            all.push_str(&said);
        }
        all
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_ready_when_the_run_has_begun_and_says_what_it_does() {
    let manager = Manager::new(None);
    manager.tell(RunEvent::State(DaemonState::Starting, Vec::new()));
    let before = manager.said_within(LOOK_EVERY_MAX * 9).await;
    assert_eq!(before, "STATUS=starting\n", "neither ready nor in need of more time for nothing");
    manager.beat.on();
    manager.wait_for("EXTEND_TIMEOUT_USEC=60000000\n").await;
    manager.start();
    assert_eq!(manager.wait_for("READY=1").await, "READY=1\n");
    assert!(manager.wait_for("STATUS=").await.starts_with("STATUS=running; run "));
    let later = manager.said_within(WATCHDOG).await;
    assert_eq!(later, "", "no watchdog, no change, no word");
}

#[tokio::test(start_paused = true)]
async fn an_idle_daemon_is_ready_too() {
    let manager = Manager::new(None);
    manager.tell(RunEvent::State(DaemonState::Idle, Vec::new()));
    manager.wait_for("READY=1\n").await;
    manager.wait_for("STATUS=idle").await;
    manager.start();
    let later = manager.said_within(WATCHDOG).await;
    assert!(later.starts_with("STATUS=running") && !later.contains("READY"), "ready once: {later}");
}

#[tokio::test(start_paused = true)]
async fn the_status_line_changes_at_most_once_a_second() {
    let manager = Manager::new(None);
    manager.start();
    manager.wait_for("STATUS=running").await;
    let (begin, end) = (Instant::now(), Duration::from_secs(10));
    let talker = async {
        for n in 0..1000 {
            manager.tell(RunEvent::Phase { cycle: n, phase: Phase::Verify, steps: None });
            tokio::time::sleep(end / 1000).await;
        }
    };
    let (said, ()) = tokio::join!(manager.said_within(end + STATUS_EVERY * 2), talker);
    let lines = said.matches("STATUS=").count();
    assert!((9..=12).contains(&lines), "{lines} lines in {:?}", begin.elapsed());
    let last = said.lines().last().expect("a line");
    assert!(last.contains("cycle 999 of 3, verify"), "the last change is told: {said}");
}

#[tokio::test(start_paused = true)]
async fn only_progress_feeds_the_watchdog() {
    let manager = Manager::new(Some(WATCHDOG));
    manager.start();
    manager.wait_for("READY=1").await;
    let wedged = async {
        // Events without a beat, as of a daemon that goes round in circles.
        for n in 0..10 {
            manager.tell(RunEvent::Progress { steps_done: n, rows: 0, errors: 0 });
            tokio::time::sleep(WATCHDOG / 2).await;
        }
    };
    let (said, ()) = tokio::join!(manager.said_within(WATCHDOG * 5), wedged);
    assert!(!said.contains("WATCHDOG=1"), "a wedged daemon was fed: {said}");
    manager.beat.on();
    manager.wait_for("WATCHDOG=1\n").await;
    let again = manager.said_within(WATCHDOG).await;
    assert!(!again.contains("WATCHDOG=1"), "one beat is one meal: {again}");
}

#[tokio::test(start_paused = true)]
async fn a_long_step_with_progress_keeps_the_watchdog_quiet() {
    let manager = Manager::new(Some(WATCHDOG));
    manager.start();
    manager.wait_for("READY=1").await;
    // Just not often enough to be seen by two looks in a row within the whole time.
    let step = async {
        for _ in 0..100 {
            tokio::time::sleep(WATCHDOG * 7 / 8).await;
            manager.beat.on();
        }
    };
    let feeds = async {
        let mut last = Instant::now();
        for _ in 0..100 {
            manager.wait_for("WATCHDOG=1").await;
            assert!(last.elapsed() < WATCHDOG, "{:?} without food", last.elapsed());
            last = Instant::now();
        }
    };
    tokio::join!(step, feeds);
}

#[tokio::test(start_paused = true)]
async fn the_daemons_own_timeouts_come_before_the_watchdog() {
    let (step, drain) = (Duration::from_secs(1800), Duration::from_secs(8));
    let manager = Manager::with(Some(WATCHDOG), |service| service.with_timeouts(step, drain));
    manager.start();
    assert_eq!(manager.wait_for("READY=1").await, "READY=1\nWATCHDOG_USEC=2400000000\n");
    let without = Manager::with(None, |service| service.with_timeouts(step, drain));
    without.start();
    assert_eq!(without.wait_for("READY=1").await, "READY=1\n", "no watchdog is asked for");
    without.stop.cancel();
    assert_eq!(without.wait_for("STOPPING=1").await, "STOPPING=1\nEXTEND_TIMEOUT_USEC=38000000\n");
}

#[tokio::test(start_paused = true)]
async fn a_reload_begins_and_ends() {
    let manager = Manager::new(None);
    manager.start();
    manager.wait_for("READY=1").await;
    manager.tell(RunEvent::Reloaded("refused: line 3".into()));
    let begun = manager.wait_for("RELOADING=1\n").await;
    assert!(begun.contains("MONOTONIC_USEC="), "{begun}");
    assert_eq!(manager.wait_for("READY=1").await, "READY=1\n");
    assert!(manager.wait_for("STATUS=").await.contains("reload: refused: line 3"));
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_with_the_last_events() {
    let manager = Manager::new(Some(WATCHDOG));
    manager.start();
    manager.wait_for("READY=1").await;
    let verdict = crate::model::verdict::Verdict::Pass;
    manager.tell(RunEvent::Ended { verdict, because: "3 cycles done".into() });
    manager.over.cancel();
    manager.wait_for("STOPPING=1").await;
    assert!(manager.wait_for("STATUS=stopping").await.contains("ended PASS: 3 cycles done"));
    manager.talk.await.expect("the talk ends");
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_is_gone_stops_nothing() {
    let manager = Manager::new(Some(WATCHDOG));
    let Manager { socket, events, over, talk, _dir, .. } = manager;
    drop((socket, _dir));
    assert!(events.send(RunEvent::State(DaemonState::Idle, Vec::new())).is_ok());
    over.cancel();
    talk.await.expect("no panic");
}

#[test]
fn a_beat_is_food_once() {
    let mut watchdog = Watchdog { seen: 7 };
    assert_eq!([7, 8, 8, 20, 20].map(|count| watchdog.look(count)), [false, true, false, true, false]);
}
