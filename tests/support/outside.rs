//! What stands around a daemon: a web server that collects what is posted, and a service manager that hears its notifications.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A wait that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A web server that takes every message and keeps it.
pub struct Inbox {
    address: SocketAddr,
    messages: Arc<Mutex<Vec<Value>>>,
}

impl Inbox {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let address = listener.local_addr().expect("an address");
        let messages = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&messages);
        // It ends with the test program.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(&stream, &kept));
            }
        });
        Self { address, messages }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Returns the messages so far that are about this, in the order of their arrival.
    pub fn about(&self, event: &str) -> Vec<Value> {
        let messages = self.messages.lock().expect("no test has failed");
        messages.iter().filter(|message| message["event"] == event).cloned().collect()
    }
}

/// Answers requests until the other side closes the connection.
fn serve(mut stream: &TcpStream, kept: &Mutex<Vec<Value>>) {
    let Ok(other) = stream.try_clone() else { return };
    let mut reader = BufReader::new(other);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if !reader.read_line(&mut line).is_ok_and(|n| n > 0) {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        if let Ok(message) = serde_json::from_slice(&body) {
            kept.lock().expect("no test has failed").push(message);
        }
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

/// A service manager: everything that it was told, line by line, with the time of arrival.
pub struct Systemd {
    path: PathBuf,
    heard: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Systemd {
    pub fn start(dir: &Path) -> Self {
        let path = dir.join("notify.sock");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let mut kept = kept.lock().expect("no test has failed");
                kept.extend(text.lines().map(|line| (Instant::now(), line.to_owned())));
            }
        });
        Self { path, heard }
    }

    /// Starts the daemon as a service with a watchdog.
    pub fn service<'a>(&self, command: &'a mut Command, watchdog: Duration) -> &'a mut Command {
        let time = watchdog.as_micros().to_string();
        command.env("NOTIFY_SOCKET", &self.path).env("WATCHDOG_USEC", time).env_remove("WATCHDOG_PID")
    }

    pub fn heard(&self) -> Vec<(Instant, String)> {
        self.heard.lock().expect("no test has failed").clone()
    }

    /// Returns how many lines so far begin with this.
    pub fn count(&self, start: &str) -> usize {
        self.heard().iter().filter(|(_, line)| line.starts_with(start)).count()
    }

    /// Waits for a line that holds the text, from the line with this number on; returns the number of the next one.
    pub fn line(&self, from: usize, text: &str) -> usize {
        let until = Instant::now() + PATIENCE;
        loop {
            let heard = self.heard();
            if let Some(at) = heard.iter().skip(from).position(|(_, line)| line.contains(text)) {
                return from + at + 1;
            }
            assert!(Instant::now() < until, "no {text:?}: {heard:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
