//! Seven days in about a minute: the real daemon with a fast clock lives through schedules in three zones, digests, retention
//! and its watchdog, is killed once, and goes on. The code is the same as for a real week.

#[path = "support/daemon.rs"]
#[allow(dead_code, unreachable_pub, reason = "every test program uses its part of it")]
mod daemon;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daemon::{Daemon, configuration, ended, list, run_command, soakd};
use serde_json::Value;

/// Seconds of the daemon in one second.
const SCALE: u32 = 7200;

const CONFIG: &str = r#"
[run]
name = "week"
seed = 5
[workload.sync]
scale = "custom"
rows = 4
iterations = 1
databases = 2
[verify]
isolation = false

[schedule.six-hourly]
cron = "0 */6 * * *"
overlap = "queue"
runs = 28
[schedule.six-hourly.run]
cycles = 1

[schedule.daily]
cron = "30 2 * * *"
zone = "Asia/Tokyo"
overlap = "queue"
runs = 7
[schedule.daily.run]
cycles = 1

[schedule.office]
cron = "0 12 * * *"
zone = "America/New_York"
overlap = "queue"
quiet = ["09:00-15:00"]
missed = "once"
runs = 7
[schedule.office.run]
cycles = 1

[notify]
group_wait = "0s"
digest_every = "1d"
[notify.webhook.stub]
address = "http://ADDRESS/"

[retention]
runs = 5
databases = 1
[limits]
every = "1s"
disk_warn = "0B"
disk_pause = "0B"
[log]
level = "info"
format = "text"
"#;

/// A webhook that keeps what is posted to it, by key.
struct Hook {
    address: String,
    posted: Arc<Mutex<Vec<Value>>>,
}

impl Hook {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("an address").to_string();
        let posted = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&posted);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
                let (mut length, mut line) = (0, String::new());
                while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                    if let Some((name, value)) = line.split_once(':')
                        && name.eq_ignore_ascii_case("content-length")
                    {
                        length = value.trim().parse().expect("a length");
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).expect("a body");
                kept.lock().expect("no panic").push(serde_json::from_slice(&body).expect("JSON"));
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            }
        });
        Self { address, posted }
    }

    /// Returns the events of the messages, each message once, in the order in which they came first.
    fn events(&self) -> Vec<(String, Value)> {
        let mut seen = BTreeSet::new();
        let posted = self.posted.lock().expect("no panic");
        let first = posted.iter().filter(|message| seen.insert(message["key"].to_string()));
        first.map(|message| (message["event"].as_str().expect("an event").to_owned(), message.clone())).collect()
    }
}

/// Says what a service manager hears.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("a socket");
        socket.set_nonblocking(true).expect("a mode");
        Self(socket)
    }

    /// Returns how often each line was heard since the last time; status lines are kept whole.
    fn heard(&self) -> BTreeMap<String, usize> {
        let (mut heard, mut bytes) = (BTreeMap::new(), [0; 8192]);
        while let Ok(length) = self.0.recv(&mut bytes) {
            for line in String::from_utf8_lossy(&bytes[..length]).lines() {
                *heard.entry(line.to_owned()).or_default() += 1;
            }
        }
        heard
    }
}

fn start(config: &Path, state: &Path, manager: &Path) -> Daemon {
    let fast = ["--testing", "--time-scale", &SCALE.to_string(), "--plant", "drop-change"].map(str::to_owned);
    let mut command = run_command(config, state, &fast.each_ref().map(String::as_str));
    Daemon::start(command.env("NOTIFY_SOCKET", manager).env("WATCHDOG_USEC", "4000000"))
}

/// Returns the most memory that the daemon ever had, in MiB.
fn peak(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") >> 10
}

#[test]
fn a_week_in_a_minute() {
    let dir = tempfile::tempdir().expect("a directory");
    let (state, socket) = (dir.path().join("state"), dir.path().join("notify"));
    let (hook, manager) = (Hook::start(), Manager::at(&socket));
    let config = configuration(dir.path(), &CONFIG.replace("ADDRESS", &hook.address));

    let mut first = start(&config, &state, &socket);
    for _ in 0..14 {
        first.line(" starts, seed ");
    }
    let peak_before = peak(&first);
    let said = first.count(" starts, seed ");
    first.kill();
    let before = manager.heard();

    let mut second = start(&config, &state, &socket);
    let mut peak_after = 0;
    let begins = [" starts, seed ", "no schedule begins another run"];
    while second.line_of(&begins).is_some_and(|line| line.contains("starts")) {
        peak_after = peak_after.max(peak(&second));
    }
    let begun = said + second.count(" starts, seed ");
    let done = second.end_within(Duration::from_secs(60));
    let after = manager.heard();
    assert_eq!(done.code, Some(1), "every run fails by the planted bug: {}", done.stderr);
    assert!(!done.stderr.contains("panicked"), "{}", done.stderr);

    // 28 + 7 + 7 runs; one may have been stored and not begun when the daemon was killed.
    assert!((41..=42).contains(&begun), "{begun} runs\n{}", done.stderr);
    let events = hook.events();
    let count = |event: &str| events.iter().filter(|(kind, _)| kind == event).count();
    let summaries: BTreeSet<String> =
        events.iter().filter(|(kind, _)| kind == "summary").map(|(_, m)| m["run"]["id"].to_string()).collect();
    assert!((begun - 1..=begun).contains(&summaries.len()), "{} summaries of {begun} runs", summaries.len());
    assert!((5..=9).contains(&count("digest")), "{} digests in seven days", count("digest"));
    assert!((1..=3).contains(&count("opened")), "{:?}", events.iter().map(|(kind, _)| kind).collect::<Vec<_>>());
    assert_eq!(count("resolved"), 0, "the bug is there to the end");

    assert_retained(&state);
    for (life, heard) in [("first", &before), ("second", &after)] {
        assert_eq!(heard.get("READY=1"), Some(&1), "{life}: {heard:?}");
        assert!(heard.get("WATCHDOG=1").is_some_and(|fed| *fed >= 5), "{life}: {heard:?}");
        let next = heard.keys().filter(|line| line.starts_with("STATUS=") && line.contains("next"));
        assert!(next.count() > 2, "{life}: {heard:?}");
    }
    assert_eq!((before.get("STOPPING=1"), after.get("STOPPING=1")), (None, Some(&1)));
    println!(
        "{begun} runs, {} digests, {} messages; most memory {peak_before} and {peak_after} MiB",
        count("digest"),
        events.len()
    );
    assert!(peak_before.max(peak_after) < 160, "{peak_before} and {peak_after} MiB");
}

/// Asserts that old runs are gone with everything that was theirs.
fn assert_retained(state: &Path) {
    let listed = ended(soakd(&["runs", "--format", "json", "--state-dir"]).arg(state));
    let runs: Value = serde_json::from_str(&listed.stdout).expect("a list");
    let runs = list(&runs, "runs");
    assert!((5..=6).contains(&runs.len()), "{} runs are kept", runs.len());
    let entries = |name: &str| std::fs::read_dir(state.join(name)).expect("a directory").count();
    assert!(entries("runs") <= 2, "{} runs keep their databases", entries("runs"));
    assert!(entries("reports") <= 7, "{} entries below reports", entries("reports"));
    let size = std::fs::metadata(state.join("soakd.redb")).expect("the state file").len();
    assert!(size < 16 << 20, "the state file has {size} bytes");
}
